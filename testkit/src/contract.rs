#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test that cannot set up its world has failed"
)]

//! The contract as a daemon: it knows of itself only what the XML says, answers every call with
//! values of the XML's types, and refuses one that the XML does not know.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zbus::connection::Builder;
use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, OwnedVariant, Variant, fdo};
use zbus_xml::{ArgDirection, Node};

use crate::bus::TestBus;

const XML: &str = include_str!("../../dbus/org.cameratocloud.Auth1.xml");
const PATH: &str = "/org/cameratocloud/Auth1";

/// In the place of an error: the call gets no answer.
const SILENCE: &str = "";

/// How long a call may take that is to come at all.
const LIMIT: Duration = Duration::from_secs(20);

/// Every member of the contract that was touched, such as `Tokens.GetAccessToken`.
type Touched = Arc<Mutex<BTreeSet<String>>>;

/// The script of the stand-in: its differences from a paired daemon.
#[derive(Default)]
struct Script {
    /// Member, the error's last word, and true if only after `Unpair`.
    refusals: Vec<(&'static str, &'static str, bool)>,
    /// Not paired, for this reason.
    unpaired: Option<&'static str>,
    /// When a code is on show.
    flow: Flow,
    /// Every method that was called, in order, and was not refused by its types.
    calls: Vec<String>,
}

/// When a flow is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// Never.
    #[default]
    None,
    /// From `StartPairing` on, whatever that answers.
    AfterStart,
    /// Somebody else started it.
    Always,
}

impl Script {
    fn pairing_state(&self) -> &'static str {
        let called = |member: &str| self.calls.iter().any(|call| call == member);
        match (self.flow, self.unpaired) {
            (Flow::AfterStart, _) if called("StartPairing") => "awaiting-user",
            (Flow::Always, _) => "awaiting-user",
            (Flow::None | Flow::AfterStart, Some(_)) => "unpaired",
            (Flow::None | Flow::AfterStart, None) => "paired",
        }
    }
}

/// On a real bus.
pub struct Fake {
    /// A connection of somebody who asks.
    pub client: Connection,
    server: Connection,
    touched: Touched,
    script: Arc<Mutex<Script>>,
    bus: TestBus,
}

impl Fake {
    /// On a bus of its own.
    pub async fn start() -> Self {
        let bus = TestBus::start().unwrap();
        let requests = Builder::address(bus.address()).build_message_stream().await.unwrap();
        let server = Connection::from(&requests);
        server.request_name("org.cameratocloud.Auth1").await.unwrap();
        let touched = Touched::default();
        let script = Arc::<Mutex<Script>>::default();
        tokio::spawn(serve(requests, server.clone(), touched.clone(), script.clone()));
        let client = Builder::address(bus.address()).build().await.unwrap();
        Self {
            client,
            server,
            touched,
            script,
            bus,
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &str {
        self.bus.address()
    }

    /// Every member that was touched, such as `Tokens.GetAccessToken`.
    #[must_use]
    pub fn touched(&self) -> BTreeSet<String> {
        self.touched.lock().unwrap().clone()
    }

    /// From now on this method ends with this error of the contract: the last word of one of ours,
    /// or a whole name.
    pub fn refuse(&self, member: &'static str, word: &'static str) {
        self.script.lock().unwrap().refusals.push((member, word, false));
    }

    /// The same, once `Unpair` was called.
    pub fn refuse_after_unpair(&self, member: &'static str, word: &'static str) {
        self.script.lock().unwrap().refusals.push((member, word, true));
    }

    /// From now on this method gets no answer.
    pub fn leaves_unanswered(&self, member: &'static str) {
        self.refuse(member, SILENCE);
    }

    /// From now on this method is answered again.
    pub fn allow(&self, member: &'static str) {
        self.script
            .lock()
            .unwrap()
            .refusals
            .retain(|(name, ..)| *name != member);
    }

    /// It is not paired, for this reason.
    pub fn is_unpaired(&self, reason: &'static str) {
        self.script.lock().unwrap().unpaired = Some(reason);
    }

    /// Lets its state name a flow.
    pub fn has_a_flow(&self, flow: Flow) {
        self.script.lock().unwrap().flow = flow;
    }

    /// The methods that were called, refused or not.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.script.lock().unwrap().calls.clone()
    }

    /// Waits until this method is called.
    pub async fn called(&self, member: &str) {
        self.called_times(member, 1).await;
    }

    /// Waits until this method was called so often.
    pub async fn called_times(&self, member: &str, times: usize) {
        // Real time, whatever the runtime's clock does: nothing here sets a timer.
        let limit = Instant::now() + LIMIT;
        while self.calls().iter().filter(|call| *call == member).count() < times {
            assert!(Instant::now() < limit, "{member} was never called: {:?}", self.calls());
            tokio::task::yield_now().await;
        }
    }

    /// The signal alone.
    pub async fn flow_changed(&self, state: &str, reason: &str) {
        self.emit(
            "org.cameratocloud.Auth1.Pairing",
            "PairingStateChanged",
            &(state, reason),
        )
        .await;
    }

    /// Its name is gone for a moment.
    pub async fn restart(&self) {
        self.leave().await;
        self.come_back().await;
    }

    /// Gives its name up.
    pub async fn leave(&self) {
        self.server.release_name("org.cameratocloud.Auth1").await.unwrap();
    }

    /// Takes its name again.
    pub async fn come_back(&self) {
        self.server.request_name("org.cameratocloud.Auth1").await.unwrap();
    }

    /// Ends the bus: every connection is lost.
    pub fn stop_bus(&mut self) {
        self.bus.stop();
    }

    /// A signal whose body has the types of the contract.
    pub async fn emit<B: zbus::export::serde::Serialize + zbus::DynamicType>(
        &self,
        interface: &str,
        member: &str,
        body: &B,
    ) {
        let message = Message::signal(PATH, interface, member).build(body).unwrap();
        assert_eq!(
            message.body().signature().to_string_no_parens(),
            signal_signature(interface, member)
        );
        self.server.send(&message).await.unwrap();
    }
}

async fn serve(mut requests: MessageStream, connection: Connection, touched: Touched, script: Arc<Mutex<Script>>) {
    let node = Node::from_reader(XML.as_bytes()).unwrap();
    while let Some(message) = next(&mut requests).await {
        if message.message_type() != Type::MethodCall {
            continue;
        }
        if let Some(member) = message.header().member() {
            script.lock().unwrap().calls.push(member.to_string());
        }
        if let Some(word) = refused(&message, &touched, &script) {
            let name = match word {
                SILENCE => continue,
                whole if whole.contains('.') => whole.to_owned(),
                word => format!("org.cameratocloud.Auth1.Error.{word}"),
            };
            let text = format!("refused with {word}");
            connection.reply_error(&message.header(), name, &text).await.unwrap();
            continue;
        }
        // A refusal is an answer: who waits for one would wait for ever.
        let answered = answer(&node, &message, &connection, &touched, &script).await;
        if let Err(why) = answered {
            connection
                .reply_dbus_error(&message.header(), fdo::Error::Failed(why))
                .await
                .unwrap();
        }
    }
}

fn refused(message: &Message, touched: &Touched, script: &Mutex<Script>) -> Option<&'static str> {
    let header = message.header();
    let member = header.member()?.as_str();
    let unpaired = touched.lock().unwrap().contains("Pairing.Unpair");
    let script = script.lock().unwrap();
    let found = script
        .refusals
        .iter()
        .find(|(name, _, after)| *name == member && (unpaired || !after));
    found.map(|(_, word, _)| *word)
}

async fn answer(
    node: &Node<'_>,
    message: &Message,
    connection: &Connection,
    touched: &Touched,
    script: &Mutex<Script>,
) -> Result<(), String> {
    let header = message.header();
    let (interface, member) = (header.interface().unwrap().as_str(), header.member().unwrap().as_str());
    let known = |name: &str| node.interfaces().iter().find(|known| known.name() == name);
    let touch = |interface: &str, member: &str| {
        let short = interface.rsplit('.').next().unwrap();
        touched.lock().unwrap().insert(format!("{short}.{member}"));
    };
    let arguments = message.body();
    if interface == "org.freedesktop.DBus.Properties" {
        let (of, one) = match member {
            "GetAll" => (arguments.deserialize::<&str>().unwrap(), None),
            "Get" => arguments
                .deserialize()
                .map(|(of, one): (&str, &str)| (of, Some(one)))
                .unwrap(),
            _ => return Err("properties are read only".to_owned()),
        };
        let mut all = HashMap::new();
        for property in known(of).ok_or("no such interface")?.properties() {
            let name = property.name().to_string();
            let value = property_value(&name, &property.ty().to_string(), &script.lock().unwrap())?;
            all.insert(name, value);
        }
        let sent = if let Some(one) = one {
            touch(of, one);
            connection
                .reply(&header, &all.remove(one).ok_or("no such property")?)
                .await
        } else {
            connection.reply(&header, &all).await
        };
        return sent.map_err(|error| error.to_string());
    }
    let method = known(interface).and_then(|found| found.methods().find(|method| method.name() == member));
    let method = method.ok_or_else(|| format!("{interface}.{member} is not in the contract"))?;
    let types = |direction: ArgDirection| -> String {
        let of = method.args().iter().filter(|arg| arg.direction() == Some(direction));
        of.map(|arg| arg.ty().to_string()).collect()
    };
    let sent = arguments.signature().to_string_no_parens();
    if sent != types(ArgDirection::In) {
        return Err(format!("{member} was called with {sent}"));
    }
    touch(interface, member);
    let sent = match types(ArgDirection::Out).as_str() {
        "" => connection.reply(&header, &()).await,
        "a{sv}" => connection.reply(&header, &code()).await,
        "say" => connection.reply(&header, &("text/plain", b"qr".as_slice())).await,
        "sut" => connection.reply(&header, &("token", 60_u32, 7_u64)).await,
        other => return Err(format!("{member} answers with {other}")),
    };
    sent.map_err(|error| error.to_string())
}

async fn next(stream: &mut MessageStream) -> Option<Message> {
    use zbus::export::futures_core::Stream;
    std::future::poll_fn(|context| std::pin::Pin::new(&mut *stream).poll_next(context))
        .await?
        .ok()
}

fn property_value(name: &str, signature: &str, script: &Script) -> Result<OwnedVariant, String> {
    let unpaired = script.unpaired;
    let value: Variant<'_> = match signature {
        "b" => (name == "Paired" && unpaired.is_none()).into(),
        "t" => 7_u64.into(),
        "(st)" => ("offline", 1_700_000_000_u64).into(),
        "s" => match name {
            "PairingState" => script.pairing_state().into(),
            "PairingReason" => unpaired.unwrap_or("none").into(),
            "TokenState" => "valid".into(),
            name => name.to_owned().into(),
        },
        other => return Err(format!("{name} is of type {other}")),
    };
    value.try_into().map_err(|error: zbus::Error| error.to_string())
}

fn code() -> HashMap<&'static str, Variant<'static>> {
    HashMap::from([
        ("code-id", 3_u64.into()),
        ("user-code", "123456".into()),
        ("verification-uri", "https://example.com/pair".into()),
        ("device-name", "Cam".into()),
        ("expires-in", 120_u32.into()),
    ])
}

fn signal_signature(interface: &str, member: &str) -> String {
    let node = Node::from_reader(XML.as_bytes()).unwrap();
    let interface = node
        .interfaces()
        .iter()
        .find(|known| known.name() == interface)
        .unwrap();
    let signal = interface.signals().find(|known| known.name() == member).unwrap();
    signal.args().iter().map(|arg| arg.ty().to_string()).collect()
}

/// All members of the XML.
#[must_use]
pub fn members() -> BTreeSet<String> {
    let node = Node::from_reader(XML.as_bytes()).unwrap();
    let mut members = BTreeSet::new();
    for interface in node.interfaces() {
        let short = interface.name().rsplit('.').next().unwrap().to_owned();
        members.extend(interface.methods().map(|method| format!("{short}.{}", method.name())));
        members.extend(
            interface
                .properties()
                .map(|property| format!("{short}.{}", property.name())),
        );
        members.extend(interface.signals().map(|signal| format!("{short}.{}", signal.name())));
    }
    members
}
