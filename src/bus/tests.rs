//! The bus as its clients see it: against a scripted loop, over a connection without a bus (paused
//! time) and over a real one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod broker;
mod browser;
mod contract;
mod malformed;
mod order;
mod pictures;
mod policy;
mod roles;
mod secrets;
mod standard;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use zbus::connection::Builder;
use zbus::connection::socket::Channel;
use zbus::export::futures_core::Stream;
use zbus::{Connection, Guid, Message, MessageStream, OwnedVariant, Variant};

use super::access::Caller;
use super::*;
use crate::messages::contract::{DEVICE, ErrorName, PAIRING, TOKENS};
use c2c_auth_core::{
    AccessToken, AuthorizationCode, CodeView, Contact, DeviceInfo, Generation, Lifetimes, PairingState, Prompt, Reason,
    RedirectOutcome, StateParameter, TokenState, UserCode, WallTime,
};

/// Found nowhere but in the answers that are meant to carry them.
const TOKEN: &str = "canary-access-token";
const STATE: &str = "canary-state";
const AUTHORIZATION_CODE: &str = "canary-authorization-code";
const USER_CODE: &str = "424242";
const COMPLETE: &str = "https://next.frame.io/confirm?code=424242";

const ADDRESS: &str = "https://next.frame.io/confirm";

fn unpaired() -> Snapshot {
    Snapshot {
        pairing: PairingState::Unpaired,
        reason: Reason::NeverPaired,
        paired: false,
        attention: false,
        token: TokenState::None,
        generation: Generation::NONE,
        device: DeviceInfo::default(),
        lifetimes: Lifetimes::default(),
        contact: Contact::default(),
        last_error: None,
    }
}

/// Differs from [`unpaired`] in something on every interface.
fn paired() -> Snapshot {
    Snapshot {
        pairing: PairingState::Paired,
        reason: Reason::None,
        paired: true,
        attention: false,
        token: TokenState::Valid,
        generation: Generation(1),
        device: DeviceInfo {
            name: "Camera A".into(),
            project_id: "p-1".into(),
            project_name: "Feature film".into(),
        },
        lifetimes: Lifetimes {
            paired_since: Some(WallTime::from_secs(1_700_000_001)),
            token_expires: Some(WallTime::from_secs(1_700_000_002)),
            refresh_by: Some(WallTime::from_secs(1_700_000_003)),
            authorization_expires: Some(WallTime::from_secs(1_700_000_004)),
        },
        contact: Contact {
            at: Some(WallTime::from_secs(1_700_000_005)),
            paused: true,
        },
        last_error: None,
    }
}

fn code() -> CodeView {
    CodeView {
        id: 7,
        prompt: Prompt::Code {
            user_code: UserCode::new(USER_CODE.into()),
            verification_uri: ADDRESS.into(),
            verification_uri_complete: Some(UserCode::new(COMPLETE.into())),
        },
        device_name: "Camera A".into(),
        expires_in: Duration::from_millis(119_999),
    }
}

/// The good answer to each command.
fn answer(command: &Command) -> Reply {
    match command {
        Command::StartPairing { options, .. } => Reply::Started {
            code: code(),
            renew: options.renew,
            replace: options.replace,
            give_up_in: Duration::from_secs(600),
        },
        Command::GetPairingCode => Reply::Code(code()),
        Command::CancelPairing | Command::CompletePairing(_) | Command::Unpair | Command::RejectAccessToken { .. } => {
            Reply::Done
        }
        Command::GetAccessToken { .. } => Reply::Token {
            access: AccessToken::new(TOKEN.into()),
            expires_in: Duration::from_millis(28_799_900),
            generation: Generation(1),
        },
    }
}

fn facts() -> DeviceFacts {
    DeviceFacts {
        client_id: "SN-000123".into(),
        firmware_version: "2.16.4".into(),
        daemon_version: "0.1.0".into(),
        provider: "frameio-c2c".into(),
    }
}

const UI: Principal = Principal::Gid(500);
const UPLOADER: Principal = Principal::Gid(600);

fn access() -> Access {
    Access {
        ui: vec![UI],
        uploader: vec![UPLOADER],
    }
}

fn caller(uid: u32, groups: &[u32]) -> Caller {
    Caller {
        uid,
        groups: groups.to_vec(),
        pid: None,
    }
}

fn everybody() -> Caller {
    caller(1000, &[500, 600])
}

/// The rest of the daemon. It knows three redirects.
fn wiring(access: watch::Receiver<Arc<Access>>, calls: mpsc::Sender<Call>) -> Wiring {
    let redirects: ReadRedirect = Box::new(|address| match address {
        "http://127.0.0.1/none" => None,
        "http://127.0.0.1/good" => Some(Ok(Redirect {
            state: StateParameter::new(STATE.into()),
            outcome: RedirectOutcome::Code(AuthorizationCode::new(AUTHORIZATION_CODE.into())),
        })),
        _ => Some(Err("the address is not the redirect URI of this device".to_owned())),
    });
    Wiring {
        access,
        calls,
        redirects,
    }
}

/// A daemon's bus and a client, joined without a bus. The test is the loop.
struct Pair {
    bus: Bus,
    calls: mpsc::Receiver<Call>,
    access: watch::Sender<Arc<Access>>,
    client: Connection,
    /// Everything that reaches the client, in order.
    arrivals: MessageStream,
}

impl Pair {
    async fn new(caller: Caller, first: Snapshot) -> Self {
        Self::with_queue(caller, first, CALL_QUEUE).await
    }

    async fn with_queue(caller: Caller, first: Snapshot, queue: usize) -> Self {
        let (ours, theirs) = Channel::pair();
        let guid = Guid::generate();
        let client = Builder::authenticated_socket(theirs, guid.clone())
            .p2p()
            // A test that does not look at the arrivals must not stall its own connection.
            .max_queued(NonZeroUsize::new(4096).unwrap())
            .build()
            .await
            .unwrap();
        let arrivals = MessageStream::from(&client);
        let (to_loop, calls) = mpsc::channel(queue);
        let (access, roles) = watch::channel(Arc::new(access()));
        let builder = Builder::authenticated_socket(ours, guid).p2p();
        let callers = Callers::Fixed(Arc::new(caller));
        let bus = serve_on(builder, callers, facts(), wiring(roles, to_loop), first)
            .await
            .unwrap();
        Self {
            bus,
            calls,
            access,
            client,
            arrivals,
        }
    }

    /// As [`Pair::new`], with the first announcement already taken.
    async fn settled(caller: Caller, first: Snapshot) -> Self {
        let signals = if first.generation == Generation::NONE { 4 } else { 5 };
        let mut pair = Self::new(caller, first).await;
        for _ in 0..signals {
            pair.arrival().await;
        }
        pair
    }

    async fn arrival(&mut self) -> Message {
        next(&mut self.arrivals).await
    }

    /// A method call that a task of its own waits for.
    fn call<B>(
        &self,
        interface: &'static str,
        method: &'static str,
        body: B,
    ) -> tokio::task::JoinHandle<zbus::Result<Message>>
    where
        B: serde::Serialize + zbus::DynamicType + Send + Sync + 'static,
    {
        let client = self.client.clone();
        tokio::spawn(async move { call(&client, interface, method, &body).await })
    }

    /// As many calls for a token as may wait, all of them at the loop.
    async fn waits_in_full(&mut self) -> (Vec<tokio::task::JoinHandle<zbus::Result<Message>>>, Vec<Call>) {
        let held: Vec<_> = (0..throttle::WAITING)
            .map(|_| self.call(TOKENS, "GetAccessToken", (0u32,)))
            .collect();
        let mut open = Vec::new();
        for _ in &held {
            open.push(self.calls.recv().await.unwrap());
        }
        (held, open)
    }

    /// One call, answered well if it reaches the loop.
    async fn answered<B>(&mut self, interface: &'static str, method: &'static str, body: B) -> zbus::Result<Message>
    where
        B: serde::Serialize + zbus::DynamicType + Send + Sync + 'static,
    {
        let mut call = self.call(interface, method, body);
        loop {
            tokio::select! {
                result = &mut call => return result.unwrap(),
                Some(call) = self.calls.recv() => {
                    let good = answer(&call.command);
                    call.reply.send(Ok(good)).unwrap();
                }
            }
        }
    }
}

async fn next(stream: &mut MessageStream) -> Message {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context))
        .await
        .unwrap()
        .unwrap()
}

async fn call<B>(client: &Connection, interface: &str, method: &str, body: &B) -> zbus::Result<Message>
where
    B: serde::Serialize + zbus::DynamicType + Sync,
{
    client
        .call_method(Some(NAME), OBJECT, Some(interface), method, body)
        .await
}

fn no_options() -> HashMap<&'static str, Variant<'static>> {
    HashMap::new()
}

fn options<const N: usize>(options: [(&'static str, Variant<'static>); N]) -> HashMap<&'static str, Variant<'static>> {
    HashMap::from(options)
}

fn dictionary(message: &Message) -> HashMap<String, OwnedVariant> {
    message.body().deserialize().unwrap()
}

/// Name and text of a failed call.
fn failure(result: zbus::Result<Message>) -> (ErrorName, String) {
    use zbus::DBusError;
    let (name, text) = match result.unwrap_err() {
        zbus::Error::MethodError(name, text, _) => (name.to_string(), text),
        zbus::Error::FDO(error) => (error.name().to_string(), error.description().map(str::to_owned)),
        other => panic!("{other}"),
    };
    let kind = ErrorName::from_name(&name).unwrap_or_else(|| panic!("{name} is not in the contract"));
    (kind, text.unwrap_or_default())
}

/// "Signal Interface.Member" or the kind of message, for comparing orders.
fn label(message: &Message) -> String {
    let header = message.header();
    match message.message_type() {
        MessageType::Signal => {
            let member = header.member().unwrap();
            if member == "PropertiesChanged" {
                let body = message.body();
                let (interface, _, _): (String, HashMap<String, OwnedVariant>, Vec<String>) =
                    body.deserialize().unwrap();
                format!("{member} {}", interface.rsplit('.').next().unwrap())
            } else {
                member.to_string()
            }
        }
        other => format!("{other:?}"),
    }
}
