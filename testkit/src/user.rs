//! A process on the bus, as the tests play it: one connection, and the calls of the contract.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use zbus::proxy::{CacheProperties, Proxy};
use zbus::{DBusError as _, OwnedVariant, Variant};

use crate::harness::{LIMIT, LOOK};

/// The answer of `GetAccessToken`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// The token itself.
    pub access: String,
    /// Seconds.
    pub expires_in: u32,
    /// It counts up.
    pub generation: u64,
}

/// A process on the bus: one connection.
#[derive(Clone, Debug)]
pub struct User {
    /// For calls that no method here makes.
    pub connection: zbus::Connection,
}

/// The options of a call.
pub type Options<'a> = [(&'a str, Variant<'a>)];

#[expect(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "an error is the daemon's, and a test that cannot go on has failed"
)]
impl User {
    /// Connects to this bus.
    pub async fn at(address: &str) -> Self {
        // The daemon answers every call within 20 s. A call of a daemon that was killed may never
        // be answered.
        let builder = zbus::connection::Builder::address(address).method_timeout(LIMIT);
        Self {
            connection: builder.build().await.unwrap(),
        }
    }

    /// An interface of the daemon's object.
    pub async fn proxy(&self, interface: &str) -> Proxy<'static> {
        zbus::proxy::Builder::new(&self.connection)
            .destination("org.cameratocloud.Auth1")
            .path("/org/cameratocloud/Auth1")
            .interface(interface.to_owned())
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .unwrap()
    }

    /// One of our three interfaces.
    pub async fn ours(&self, name: &str) -> Proxy<'static> {
        self.proxy(&format!("org.cameratocloud.Auth1.{name}")).await
    }

    /// `GetAccessToken`.
    pub async fn token(&self) -> zbus::Result<Token> {
        let tokens = self.ours("Tokens").await;
        let answer = tokens.call_method("GetAccessToken", &(0_u32,)).await?;
        let (access, expires_in, generation) = answer.body().deserialize()?;
        Ok(Token {
            access,
            expires_in,
            generation,
        })
    }

    /// `RejectAccessToken`.
    pub async fn reject(&self, generation: u64) -> zbus::Result<()> {
        let tokens = self.ours("Tokens").await;
        tokens.call_method("RejectAccessToken", &(generation,)).await.map(drop)
    }

    /// `StartPairing`.
    pub async fn start_pairing(&self, options: &Options<'_>) -> zbus::Result<HashMap<String, OwnedVariant>> {
        let options: HashMap<_, _> = options.iter().map(|(name, value)| (*name, value)).collect();
        let pairing = self.ours("Pairing").await;
        let answer = pairing.call_method("StartPairing", &(options,)).await?;
        answer.body().deserialize()
    }

    /// `StartPairing`, and of its answer what is text.
    pub async fn code(&self, options: &Options<'_>) -> zbus::Result<HashMap<String, String>> {
        let answer = self.start_pairing(options).await?;
        let texts = answer.into_iter().filter_map(|(key, value)| Some((key, text(&value)?)));
        Ok(texts.collect())
    }

    /// [`Self::code`]. Codes are given five seconds apart at least: until then the daemon refuses,
    /// for this reason and no other.
    pub async fn code_when_it_may(&self, options: &Options<'_>) -> HashMap<String, String> {
        let limit = Instant::now() + LIMIT;
        loop {
            let answer = self.code(options).await;
            if let Ok(code) = answer {
                return code;
            }
            assert_eq!(error_name(&answer), "org.freedesktop.DBus.Error.LimitsExceeded");
            assert!(Instant::now() < limit, "it never may");
            tokio::time::sleep(LOOK * 10).await;
        }
    }

    /// `CompletePairing`.
    pub async fn complete(&self, address: &str) -> zbus::Result<()> {
        let pairing = self.ours("Pairing").await;
        pairing.call_method("CompletePairing", &(address,)).await.map(drop)
    }

    /// `CancelPairing`.
    pub async fn cancel(&self) -> zbus::Result<()> {
        self.ours("Pairing")
            .await
            .call_method("CancelPairing", &())
            .await
            .map(drop)
    }

    /// `Unpair`.
    pub async fn unpair(&self) -> zbus::Result<()> {
        self.ours("Pairing").await.call_method("Unpair", &()).await.map(drop)
    }

    /// A property that is text.
    pub async fn word(&self, interface: &str, property: &str) -> String {
        self.ours(interface).await.get_property(property).await.unwrap()
    }

    /// A property of `Pairing` that is true or false.
    pub async fn flag(&self, property: &str) -> bool {
        self.ours("Pairing").await.get_property(property).await.unwrap()
    }

    /// `Generation`.
    pub async fn generation(&self) -> u64 {
        self.ours("Tokens").await.get_property("Generation").await.unwrap()
    }

    /// The word of `LastError`.
    pub async fn last_error(&self) -> String {
        let (word, _): (String, u64) = self.ours("Device").await.get_property("LastError").await.unwrap();
        word
    }

    /// All properties of our interfaces.
    pub async fn properties(&self) -> HashMap<String, OwnedVariant> {
        let properties = self.proxy("org.freedesktop.DBus.Properties").await;
        let mut all = HashMap::new();
        for interface in ["Pairing", "Tokens", "Device"] {
            let name = format!("org.cameratocloud.Auth1.{interface}");
            let answer = properties.call_method("GetAll", &(name,)).await.unwrap();
            all.extend(answer.body().deserialize::<HashMap<String, OwnedVariant>>().unwrap());
        }
        all
    }

    /// All that the daemon tells about itself, for a failure's message.
    pub async fn told(&self) -> String {
        format!("{:?}", self.properties().await)
    }

    /// Waits until a property has a value.
    pub async fn until(&self, interface: &str, property: &str, wanted: &str) {
        let limit = Instant::now() + LIMIT;
        while self.word(interface, property).await != wanted {
            let told = self.told().await;
            assert!(Instant::now() < limit, "{property} never became {wanted}: {told}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until there is a token of this generation or a later one.
    pub async fn until_generation(&self, wanted: u64) {
        let limit = Instant::now() + LIMIT;
        while self.generation().await < wanted {
            let told = self.told().await;
            assert!(Instant::now() < limit, "generation {wanted} never came: {told}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Does `what`, and the slowest answer to `Ping` meanwhile: what this machine, busy as it is,
    /// adds to any answer at that time.
    pub async fn beside_pings<T>(&self, what: impl Future<Output = T>) -> (T, Duration) {
        let peer = self.proxy("org.freedesktop.DBus.Peer").await;
        let mut what = std::pin::pin!(what);
        let mut slowest = Duration::ZERO;
        loop {
            let asked = Instant::now();
            let ping = async {
                tokio::time::sleep(LOOK).await;
                peer.call_method("Ping", &()).await.unwrap();
            };
            tokio::select! {
                done = &mut what => return (done, slowest.max(asked.elapsed())),
                () = ping => slowest = slowest.max(asked.elapsed()),
            }
        }
    }
}

/// The string in a variant, if it is one.
#[must_use]
pub fn text(value: &OwnedVariant) -> Option<String> {
    match &**value {
        Variant::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

/// The name of the D-Bus error of a call that was refused.
pub fn error_name<T>(result: &zbus::Result<T>) -> String {
    match result {
        Err(zbus::Error::MethodError(name, ..)) => name.to_string(),
        Err(zbus::Error::FDO(error)) => error.name().to_string(),
        Err(other) => format!("{other:?}"),
        Ok(_) => "no error".to_owned(),
    }
}
