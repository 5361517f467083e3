//! Announces clips to Frame.io, each until the API has taken it: `uploader CLIP...`

use std::{env, error::Error, process::Stdio, time::Duration};

use c2c_auth_client::proxy::DeviceProxy;
use c2c_auth_client::token_source::{Token, TokenError, TokenSource};
use tokio::{io::AsyncWriteExt as _, process::Command, time::sleep};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let connection = zbus::Connection::system().await?;
    let source = TokenSource::new(&connection).await?;
    let version = DeviceProxy::new(&connection).await?.firmware_version().await?;
    // A real queue is on disk: clips and ids, never a token.
    for clip in env::args().skip(1) {
        let status = deliver(&source, async |token| announce(&token, &version, &clip).await).await?;
        println!("{clip}: {status}");
    }
    Ok(())
}

/// Sends a request until the API takes or refuses it. Returns its status.
pub(crate) async fn deliver(source: &TokenSource, send: impl AsyncFn(Token) -> u16) -> Result<u16, TokenError> {
    loop {
        let token = match source.token(0).await {
            Ok(token) => token,
            Err(error) if error.is_final() => return Err(error),
            Err(error) => {
                eprintln!("no token yet: {error}"); // the next call waits as long as it has to
                continue;
            }
        };
        let generation = token.generation;
        match send(token).await {
            401 => source.rejected(generation).await,
            // Paused, too many requests, a server or a network in trouble: the token is good.
            0 | 409 | 429 | 500.. => sleep(Duration::from_secs(30)).await,
            status => return Ok(status),
        }
    }
}

/// By curl, to which nobody sees the token go. 0: no answer. The body has addresses for the chunks.
async fn announce(token: &Token, version: &str, clip: &str) -> u16 {
    let clip = format!(r#"{{"name":"{clip}","filetype":"video/mp4","filesize":1,"offset":0}}"#);
    let bearer = token.access_token();
    let headers = format!("Authorization: Bearer {bearer}\nx-client-version: {version}\n");
    let arguments = "-s -o /dev/null -w %{http_code} -H @- https://api.frame.io/v2/devices/assets --json";
    let mut curl = Command::new("curl");
    curl.args(arguments.split(' ').chain([&*clip])).stdin(Stdio::piped());
    let Ok(mut child) = curl.stdout(Stdio::piped()).spawn() else {
        return 0;
    };
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(headers.as_bytes()).await;
    }
    let output = child.wait_with_output().await;
    output.map_or(0, |output| String::from_utf8_lossy(&output.stdout).parse().unwrap_or(0))
}
