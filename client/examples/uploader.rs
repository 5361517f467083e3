//! Announces clips to Frame.io, each until the API has taken it: `uploader CLIP...`
//! Tests run `deliver` with the real daemon. Not tried: the address and the body of `announce` were
//! never sent to Frame.io. The size is made up, and no chunk of a clip is sent.

use std::{env, error::Error, process::Stdio, time::Duration};

use c2c_auth_client::proxy::DeviceProxy;
use c2c_auth_client::token_source::{Token, TokenError, TokenSource};
use tokio::{io::AsyncWriteExt as _, process::Command, time};
use zbus::{Connection, proxy::CacheProperties::No};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let connection = Connection::system().await?;
    let source = TokenSource::new(&connection).await?;
    let device = DeviceProxy::builder(&connection).cache_properties(No).build().await?;
    // A real queue is on disk: clips and ids, never a token.
    for clip in env::args_os().skip(1).map(|clip| clip.to_string_lossy().into_owned()) {
        let send = async |token| announce(&token, &version(&device).await, &clip).await.unwrap_or(0);
        println!("{clip:?}: {}", deliver(&source, send).await?);
    }
    Ok(())
}

/// Sends a request until the API takes or refuses it. Returns its status; 0 is no answer.
pub(crate) async fn deliver(source: &TokenSource, send: impl AsyncFn(Token) -> u16) -> Result<u16, TokenError> {
    loop {
        match source.token(0).await {
            Err(error) if error.is_final() => return Err(error),
            Err(error) => eprintln!("no token yet: {error}"), // the next call waits as long as it has to
            Ok(token) => match (token.generation, send(token).await) {
                (generation, 401) => source.rejected(generation).await,
                // Paused, too many requests, a server or a network in trouble: the token is good.
                (_, 0 | 300..=399 | 409 | 429 | 500..) => time::sleep(Duration::from_secs(30)).await,
                (_, status) => return Ok(status),
            },
        }
    }
}

/// `0.0.0` where none is known, also while the daemon does not answer: no clip waits for it.
pub(crate) async fn version(device: &DeviceProxy<'_>) -> String {
    let told = time::timeout(Duration::from_secs(25), device.firmware_version()).await;
    let known = told.ok().and_then(Result::ok).filter(|version| !version.is_empty());
    known.unwrap_or_else(|| "0.0.0".to_owned())
}

/// By curl, to which nobody sees the token go. The answer would have addresses for the chunks.
async fn announce(token: &Token, version: &str, clip: &str) -> Result<u16, Box<dyn Error>> {
    let bearer = token.access_token();
    let headers = format!("Authorization: Bearer {bearer}\nx-client-version: {version}\n");
    let arguments = "-s -o /dev/null -w %{http_code} -H @- https://api.frame.io/v2/devices/assets --json";
    let body = serde_json::json!({"name": clip, "filetype": "video/mp4", "filesize": 1, "offset": 0}).to_string();
    let mut curl = Command::new("curl");
    curl.args(arguments.split(' ').chain([&*body])).stdin(Stdio::piped());
    let mut child = curl.stdout(Stdio::piped()).spawn()?;
    let stdin = child.stdin.as_mut().ok_or("no pipe")?;
    stdin.write_all(headers.as_bytes()).await?;
    Ok(String::from_utf8(child.wait_with_output().await?.stdout)?.parse()?)
}
