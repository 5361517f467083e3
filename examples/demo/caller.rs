//! The process of a caller of the daemon: the device's UI, the uploader, a stranger.
//!
//! Reads one wish a line from standard input, does it over D-Bus as any program would, and writes
//! one answer a line to standard output, as JSON. Ends with its input. Knows nothing of the daemon
//! but its contract.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use zbus::export::futures_core::Stream as _;
use zbus::proxy::{CacheProperties, Proxy};
use zbus::{Connection, DBusError as _, OwnedVariant, Variant};

use crate::{Trouble, api};

/// A request to a caller.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Wish {
    // `StartPairing`.
    StartPairing,
    // `GetPairingCode`.
    GetPairingCode,
    /// `GetQrCode`, in half blocks.
    GetQrCode,
    // `PairingState` and `PairingReason`.
    State,
    // `ProjectName` and `DeviceName`.
    Names,
    // `Unpair`.
    Unpair,
    // `GetAccessToken`.
    GetAccessToken,
    // `RejectAccessToken`.
    RejectAccessToken(u64),
    /// Wait for an `AccessTokenChanged` of a later generation.
    AwaitChange {
        after: u64,
        /// At most so many seconds.
        seconds: u64,
    },
    /// Show a token to the API, as an upload would.
    Upload {
        base_uri: String,
        ca_file: PathBuf,
        token: String,
    },
}

/// The result of a wish.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Done. There is nothing to tell.
    Done,
    Code(Code),
    /// A picture, or two words.
    Text(String, String),
    Token(Token),
    /// `AccessTokenChanged` with this generation. `None` if it did not come in time.
    Changed(Option<u64>),
    /// The API's HTTP status.
    Status(u16),
    /// An error of the bus or the daemon: its name, and its text.
    Refused(String, String),
    /// Anything else that went wrong.
    Broken(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    /// Each code has its own.
    pub(crate) id: u64,
    pub(crate) typed: String,
    /// Where to type them.
    pub(crate) address: String,
    /// The same with the digits inside.
    pub(crate) complete: Option<String>,
    /// The server's name for the device.
    pub(crate) device: String,
    pub(crate) expires_in: u32,
}

/// A bearer token. No `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) value: String,
    pub(crate) expires_in: u32,
    pub(crate) generation: u64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "generation {}, {} s left", self.generation, self.expires_in)
    }
}

pub(crate) fn main(bus: &str) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no event loop: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve(bus)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("a caller of the daemon: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(bus: &str) -> Result<(), Trouble> {
    let connection = zbus::connection::Builder::address(bus).build().await?;
    let changes = listen(&connection).await?;
    let mut wishes = wishes();
    while let Some(line) = wishes.recv().await {
        let answer = match fulfil(&connection, &changes, serde_json::from_str(&line)?).await {
            Ok(answer) => answer,
            Err(error) => explain(&error),
        };
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &answer)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

/// Standard input, line by line.
fn wishes() -> mpsc::UnboundedReceiver<String> {
    let (sender, wishes) = mpsc::unbounded_channel();
    // Never joined: it ends with its input, or with the process.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    wishes
}

/// Listens to `AccessTokenChanged` from now on, across restarts of the daemon.
async fn listen(connection: &Connection) -> Result<watch::Receiver<u64>, Trouble> {
    let mut signals = interface(connection, "Tokens")
        .await?
        .receive_signal("AccessTokenChanged")
        .await?;
    let (newest, changes) = watch::channel(0);
    tokio::spawn(async move {
        while let Some(signal) = poll_fn(|context| Pin::new(&mut signals).poll_next(context)).await {
            if let Ok(generation) = signal.body().deserialize::<u64>() {
                // Nobody listening is no reason to stop.
                newest.send_replace(generation);
            }
        }
    });
    Ok(changes)
}

async fn fulfil(connection: &Connection, changes: &watch::Receiver<u64>, wish: Wish) -> Result<Answer, Trouble> {
    let none: HashMap<&str, Variant<'_>> = HashMap::new();
    Ok(match wish {
        Wish::StartPairing => {
            let answer = call(connection, "Pairing", "StartPairing", &(none,)).await?;
            Answer::Code(code(&answer.body().deserialize()?)?)
        }
        Wish::GetPairingCode => {
            let answer = call(connection, "Pairing", "GetPairingCode", &()).await?;
            Answer::Code(code(&answer.body().deserialize()?)?)
        }
        Wish::GetQrCode => {
            let options = HashMap::from([("format", Variant::from("text"))]);
            let answer = call(connection, "Pairing", "GetQrCode", &(options,)).await?;
            let (media_type, picture): (String, Vec<u8>) = answer.body().deserialize()?;
            Answer::Text(media_type, String::from_utf8(picture)?)
        }
        Wish::State => {
            let pairing = interface(connection, "Pairing").await?;
            Answer::Text(
                pairing.get_property("PairingState").await?,
                pairing.get_property("PairingReason").await?,
            )
        }
        Wish::Names => {
            let device = interface(connection, "Device").await?;
            Answer::Text(
                device.get_property("ProjectName").await?,
                device.get_property("DeviceName").await?,
            )
        }
        Wish::Unpair => {
            call(connection, "Pairing", "Unpair", &()).await?;
            Answer::Done
        }
        Wish::GetAccessToken => {
            let answer = call(connection, "Tokens", "GetAccessToken", &(0_u32,)).await?;
            let (value, expires_in, generation) = answer.body().deserialize()?;
            Answer::Token(Token {
                value,
                expires_in,
                generation,
            })
        }
        Wish::RejectAccessToken(generation) => {
            call(connection, "Tokens", "RejectAccessToken", &(generation,)).await?;
            Answer::Done
        }
        Wish::AwaitChange { after, seconds } => {
            let mut changes = changes.clone();
            let later = changes.wait_for(|generation| *generation > after);
            match tokio::time::timeout(Duration::from_secs(seconds), later).await {
                Ok(generation) => Answer::Changed(Some(*generation?)),
                Err(_) => Answer::Changed(None),
            }
        }
        Wish::Upload {
            base_uri,
            ca_file,
            token,
        } => Answer::Status(api::show(&base_uri, &ca_file, &token).await?),
    })
}

async fn interface(connection: &Connection, name: &str) -> zbus::Result<Proxy<'static>> {
    zbus::proxy::Builder::new(connection)
        .destination("org.cameratocloud.Auth1")
        .path("/org/cameratocloud/Auth1")
        .interface(format!("org.cameratocloud.Auth1.{name}"))
        .cache_properties(CacheProperties::No)
        .build()
        .await
}

async fn call<B>(connection: &Connection, name: &str, method: &str, body: &B) -> zbus::Result<zbus::Message>
where
    B: Serialize + zbus::DynamicType,
{
    interface(connection, name).await?.call_method(method, body).await
}

fn code(answer: &HashMap<String, OwnedVariant>) -> Result<Code, Trouble> {
    let text = |key| match answer.get(key).map(|value| &**value) {
        Some(Variant::Str(text)) => Some(text.as_str().to_owned()),
        _ => None,
    };
    let read = || {
        Some(Code {
            id: match &**answer.get("code-id")? {
                Variant::U64(id) => *id,
                _ => return None,
            },
            typed: text("user-code")?,
            address: text("verification-uri")?,
            complete: text("verification-uri-complete"),
            device: text("device-name")?,
            expires_in: match &**answer.get("expires-in")? {
                Variant::U32(seconds) => *seconds,
                _ => return None,
            },
        })
    };
    read().ok_or_else(|| "the daemon's answer holds no code".into())
}

fn explain(error: &Trouble) -> Answer {
    match error.downcast_ref::<zbus::Error>() {
        Some(zbus::Error::MethodError(name, text, _)) => {
            Answer::Refused(name.to_string(), text.clone().unwrap_or_default())
        }
        Some(zbus::Error::FDO(known)) => Answer::Refused(
            known.name().to_string(),
            known.description().unwrap_or_default().to_owned(),
        ),
        _ => Answer::Broken(error.to_string()),
    }
}
