//! The daemon as a client sees it: `dbus/org.cameratocloud.Auth1.xml` by hand, and a test that
//! compares the two.

use std::collections::{BTreeMap, HashMap};

use zbus::export::serde;
use zbus::fdo::PropertiesProxy;
use zbus::names::{BusName, InterfaceName};
use zbus::proxy::CacheProperties;
use zbus::{Connection, Message, OwnedVariant, Variant};

/// The name on the bus.
pub const NAME: &str = "org.cameratocloud.Auth1";
/// The one object.
pub const PATH: &str = "/org/cameratocloud/Auth1";
/// Its interfaces.
pub const INTERFACES: [&str; 3] = [
    "org.cameratocloud.Auth1.Pairing",
    "org.cameratocloud.Auth1.Tokens",
    "org.cameratocloud.Auth1.Device",
];
/// The beginning of the contract's own error names.
pub const ERRORS: &str = "org.cameratocloud.Auth1.Error.";

/// Options of a call, and what it answers with.
pub type Options<'a> = HashMap<&'a str, Variant<'a>>;
/// A dictionary as it comes from the bus.
pub type Answer = HashMap<String, OwnedVariant>;

/// The value of a property.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(crate = "serde", untagged)]
pub enum Value {
    /// A word, a name, an id.
    Text(String),
    /// Yes or no.
    Truth(bool),
    /// A count.
    Number(u64),
    /// `LastError`. `None`: nothing went wrong since the start.
    Error(Option<LastError>),
    /// A type that only a newer daemon has.
    Unknown,
}

/// The last thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(crate = "serde")]
pub struct LastError {
    /// A word of the contract.
    pub word: String,
    /// Seconds since 1970. `None`: not known.
    pub time: Option<u64>,
}

impl From<&Variant<'_>> for Value {
    fn from(value: &Variant<'_>) -> Self {
        match value {
            Variant::Str(text) => Self::Text(text.as_str().to_owned()),
            Variant::Bool(truth) => Self::Truth(*truth),
            Variant::U32(number) => Self::Number(u64::from(*number)),
            Variant::U64(number) => Self::Number(*number),
            Variant::Structure(structure) => match structure.fields() {
                [Variant::Str(word), Variant::U64(time)] => Self::Error((word.as_str() != "none").then(|| LastError {
                    word: word.as_str().to_owned(),
                    time: (*time != 0).then_some(*time),
                })),
                _ => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

/// Properties by their names with hyphens: `pairing-state`. A newer daemon may know more of them,
/// and of their words.
pub type Values = BTreeMap<String, Value>;

/// The interface of pairing. Its properties are asked for each time: a cache is filled by a call
/// that has no limit of time, and would hold what was true before.
///
/// # Errors
/// The connection is lost.
pub async fn pairing(connection: &Connection) -> zbus::Result<PairingProxy<'static>> {
    let builder = PairingProxy::builder(connection);
    builder.cache_properties(CacheProperties::No).build().await
}

/// The interface of tokens, as [`pairing`].
///
/// # Errors
/// The connection is lost.
pub async fn tokens(connection: &Connection) -> zbus::Result<TokensProxy<'static>> {
    let builder = TokensProxy::builder(connection);
    builder.cache_properties(CacheProperties::No).build().await
}

/// All properties.
///
/// # Errors
/// The bus or the daemon does not answer, or refuses.
pub async fn properties(connection: &Connection) -> zbus::Result<Values> {
    let properties = PropertiesProxy::builder(connection)
        .destination(BusName::try_from(NAME)?)
        .path(PATH)
        .build()
        .await?;
    let mut values = Values::new();
    for interface in INTERFACES {
        let all = properties.get_all(InterfaceName::try_from(interface)?).await?;
        values.extend(all.into_iter().map(|(name, value)| (hyphened(&name), (&*value).into())));
    }
    Ok(values)
}

/// The properties that a `PropertiesChanged` signal carries.
///
/// # Errors
/// The message is not such a signal.
pub fn changed(signal: &Message) -> zbus::Result<Values> {
    let body = signal.body();
    let (_, values, _): (&str, BTreeMap<String, OwnedVariant>, Vec<&str>) = body.deserialize()?;
    Ok(values
        .into_iter()
        .map(|(name, value)| (hyphened(&name), (&*value).into()))
        .collect())
}

/// `PairingState` as `pairing-state`.
fn hyphened(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
        out
    })
}

/// The code that the daemon shows, or the address that replaces it. It has no `Debug`: a reader can
/// bind the device to a project of their own.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// Tells it from other codes of one start of the daemon.
    pub id: u64,
    /// `None`: the address is opened in a browser, and there is nothing to type.
    pub typed: Option<String>,
    /// Where to go.
    pub uri: String,
    /// True if there is an address that contains the code.
    pub has_complete: bool,
    /// The name of the device at the server. Empty: not known.
    pub device_name: String,
    /// Seconds.
    pub expires_in: u32,
}

impl PairingCode {
    /// Reads what `StartPairing` and `GetPairingCode` answer with. `None`: it holds no code.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        let text = |key| match answer.get(key).map(|value| &**value) {
            Some(Variant::Str(text)) => Some(text.as_str().to_owned()),
            _ => None,
        };
        let (Variant::U64(id), Variant::U32(expires_in)) = (&**answer.get("code-id")?, &**answer.get("expires-in")?)
        else {
            return None;
        };
        let browser = text("authorization-uri");
        Some(Self {
            id: *id,
            typed: match browser {
                Some(_) => None,
                None => Some(text("user-code")?),
            },
            has_complete: browser.is_some() || answer.contains_key("verification-uri-complete"),
            uri: browser.or_else(|| text("verification-uri"))?,
            device_name: text("device-name").unwrap_or_default(),
            expires_in: *expires_in,
        })
    }
}

/// Pair, cancel, unpair.
#[zbus::proxy(
    interface = "org.cameratocloud.Auth1.Pairing",
    default_service = "org.cameratocloud.Auth1",
    default_path = "/org/cameratocloud/Auth1"
)]
pub trait Pairing {
    /// Starts a flow and answers when there is a code to show.
    fn start_pairing(&self, options: Options<'_>) -> zbus::Result<Answer>;
    /// The code on show.
    fn get_pairing_code(&self) -> zbus::Result<Answer>;
    /// The code on show as a picture: media type and bytes.
    fn get_qr_code(&self, options: Options<'_>) -> zbus::Result<(String, Vec<u8>)>;
    /// Ends the flow.
    fn cancel_pairing(&self) -> zbus::Result<()>;
    /// Ends the flow and forgets the pairing.
    fn unpair(&self) -> zbus::Result<()>;
    /// Hands in the end of the OAuth code flow.
    fn complete_pairing(&self, redirect_uri: &str) -> zbus::Result<()>;
    /// The state or its reason changed. Not named as on the bus: the macro derives the same name
    /// from the property.
    #[zbus(signal, name = "PairingStateChanged")]
    fn flow_changed(&self, state: &str, reason: &str) -> zbus::Result<()>;
    /// Where the flow stands.
    #[zbus(property)]
    fn pairing_state(&self) -> zbus::Result<String>;
    /// Why it stands there.
    #[zbus(property)]
    fn pairing_reason(&self) -> zbus::Result<String>;
    /// True if there is a credential.
    #[zbus(property)]
    fn paired(&self) -> zbus::Result<bool>;
    /// True if a person has to do something.
    #[zbus(property)]
    fn attention_needed(&self) -> zbus::Result<bool>;
}

/// Bearer tokens.
#[zbus::proxy(
    interface = "org.cameratocloud.Auth1.Tokens",
    default_service = "org.cameratocloud.Auth1",
    default_path = "/org/cameratocloud/Auth1"
)]
pub trait Tokens {
    /// Token, seconds left, generation.
    fn get_access_token(&self, min_validity: u32) -> zbus::Result<(String, u32, u64)>;
    /// The API answered 401 to this one.
    fn reject_access_token(&self, generation: u64) -> zbus::Result<()>;
    /// There is a new one.
    #[zbus(signal)]
    fn access_token_changed(&self, generation: u64) -> zbus::Result<()>;
    /// The result that a call would get.
    #[zbus(property)]
    fn token_state(&self) -> zbus::Result<String>;
    /// The generation of the newest token.
    #[zbus(property)]
    fn generation(&self) -> zbus::Result<u64>;
}

/// The identity of the device.
#[zbus::proxy(
    interface = "org.cameratocloud.Auth1.Device",
    default_service = "org.cameratocloud.Auth1",
    default_path = "/org/cameratocloud/Auth1"
)]
pub trait Device {
    /// The unit's identifier at the server.
    #[zbus(property)]
    fn client_id(&self) -> zbus::Result<String>;
    /// The server's name for it.
    #[zbus(property)]
    fn device_name(&self) -> zbus::Result<String>;
    /// The project.
    #[zbus(property)]
    fn project_id(&self) -> zbus::Result<String>;
    /// The project's name.
    #[zbus(property)]
    fn project_name(&self) -> zbus::Result<String>;
    /// When this pairing was stored, in seconds since 1970; 0 here and below: not known.
    #[zbus(property)]
    fn paired_since(&self) -> zbus::Result<u64>;
    /// The end of the token that `GetAccessToken` would give.
    #[zbus(property)]
    fn token_expires(&self) -> zbus::Result<u64>;
    /// Without a refresh until then the device has to be paired again.
    #[zbus(property)]
    fn refresh_by(&self) -> zbus::Result<u64>;
    /// The end that the user chose when pairing, as of the last contact.
    #[zbus(property)]
    fn authorization_expires(&self) -> zbus::Result<u64>;
    /// True if the user had paused the device, as of the last contact.
    #[zbus(property)]
    fn paused(&self) -> zbus::Result<bool>;
    /// As of when that holds. It changes without a signal.
    #[zbus(property(emits_changed_signal = "false"))]
    fn last_contact(&self) -> zbus::Result<u64>;
    /// The version of the device's firmware.
    #[zbus(property)]
    fn firmware_version(&self) -> zbus::Result<String>;
    /// The version of c2c-authd.
    #[zbus(property)]
    fn daemon_version(&self) -> zbus::Result<String>;
    /// The kind of server.
    #[zbus(property)]
    fn provider(&self) -> zbus::Result<String>;
    /// The word, and when in seconds since 1970 (0: not known).
    #[zbus(property)]
    fn last_error(&self) -> zbus::Result<(String, u64)>;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use c2c_testkit::contract::{Fake, members};
    use zbus::proxy::CacheProperties;

    use super::*;

    #[tokio::test]
    async fn the_proxies_have_every_member_of_the_contract_with_its_types() {
        let fake = Fake::start().await;
        // Without a cache each getter asks for its own property, which is what is to be seen.
        let no = CacheProperties::No;
        let pairing = PairingProxy::builder(&fake.client)
            .cache_properties(no)
            .build()
            .await
            .unwrap();
        let tokens = TokensProxy::builder(&fake.client)
            .cache_properties(no)
            .build()
            .await
            .unwrap();
        let device = DeviceProxy::builder(&fake.client)
            .cache_properties(no)
            .build()
            .await
            .unwrap();

        assert_eq!(pairing.start_pairing(Options::new()).await.unwrap().len(), 5);
        assert!(pairing.get_pairing_code().await.unwrap().contains_key("user-code"));
        assert_eq!(pairing.get_qr_code(Options::new()).await.unwrap().1, b"qr");
        pairing.cancel_pairing().await.unwrap();
        pairing.unpair().await.unwrap();
        pairing.complete_pairing("http://127.0.0.1/").await.unwrap();
        assert_eq!(tokens.get_access_token(0).await.unwrap(), ("token".to_owned(), 60, 7));
        tokens.reject_access_token(7).await.unwrap();

        assert_eq!(pairing.pairing_state().await.unwrap(), "paired");
        assert_eq!(pairing.pairing_reason().await.unwrap(), "none");
        assert!(pairing.paired().await.unwrap());
        assert!(!pairing.attention_needed().await.unwrap());
        assert_eq!(tokens.token_state().await.unwrap(), "valid");
        assert_eq!(tokens.generation().await.unwrap(), 7);
        assert_eq!(device.client_id().await.unwrap(), "ClientId");
        assert_eq!(device.device_name().await.unwrap(), "DeviceName");
        assert_eq!(device.project_id().await.unwrap(), "ProjectId");
        assert_eq!(device.project_name().await.unwrap(), "ProjectName");
        assert_eq!(device.paired_since().await.unwrap(), 7);
        assert_eq!(device.token_expires().await.unwrap(), 7);
        assert_eq!(device.refresh_by().await.unwrap(), 7);
        assert_eq!(device.authorization_expires().await.unwrap(), 7);
        assert!(!device.paused().await.unwrap());
        assert_eq!(device.last_contact().await.unwrap(), 7);
        assert_eq!(device.firmware_version().await.unwrap(), "FirmwareVersion");
        assert_eq!(device.daemon_version().await.unwrap(), "DaemonVersion");
        assert_eq!(device.provider().await.unwrap(), "Provider");
        assert_eq!(
            device.last_error().await.unwrap(),
            ("offline".to_owned(), 1_700_000_000)
        );

        let mut flows = pairing.receive_flow_changed().await.unwrap();
        let mut changes = tokens.receive_access_token_changed().await.unwrap();
        fake.flow_changed("unpaired", "denied").await;
        fake.emit("org.cameratocloud.Auth1.Tokens", "AccessTokenChanged", &8_u64)
            .await;
        let (flow, change) = {
            use zbus::export::futures_core::Stream;
            let flow = std::future::poll_fn(|context| std::pin::Pin::new(&mut flows).poll_next(context))
                .await
                .unwrap();
            let change = std::future::poll_fn(|context| std::pin::Pin::new(&mut changes).poll_next(context))
                .await
                .unwrap();
            (flow, change)
        };
        assert_eq!(
            (flow.args().unwrap().state, flow.args().unwrap().reason),
            ("unpaired", "denied")
        );
        assert_eq!(change.args().unwrap().generation, 8);

        let mut touched = fake.touched();
        touched.extend(["Pairing.PairingStateChanged", "Tokens.AccessTokenChanged"].map(str::to_owned));
        assert_eq!(touched, members());
    }
}
