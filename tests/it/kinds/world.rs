//! A standard server, a bus, a device that is a client of that server, and what its users do.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use c2c_testkit::bus::TestBus;
use c2c_testkit::rig::{Process, Rig};
use c2c_testkit::standard::{CLIENT, Client, Habits, Standard};
use zbus::proxy::{CacheProperties, Proxy};
use zbus::{DBusError as _, OwnedVariant, Variant};

pub(crate) const DAEMON: &str = env!("CARGO_BIN_EXE_c2c-authd");
pub(crate) const LIMIT: Duration = Duration::from_secs(40);
pub(crate) const LOOK: Duration = Duration::from_millis(20);
pub(crate) const REFRESH: &str = "POST /token refresh_token";

pub(crate) struct World {
    pub(crate) server: Standard,
    pub(crate) rig: Rig,
    pub(crate) bus: TestBus,
    user: zbus::Connection,
}

impl World {
    /// The client that the server knows, by the server's address alone.
    fn client_of(habits: Habits) -> (Standard, Rig) {
        let client = habits.client.clone();
        let server = Standard::start(habits).unwrap();
        let (secret, auth) = match &client {
            Client::Public => (None, "none"),
            Client::Confidential(secret) => (Some(secret), "basic"),
        };
        let given = secret.map_or("not needed", String::as_str);
        let mut rig = Rig::elsewhere(server.ca_pem(), given.as_bytes()).unwrap();
        if secret.is_none() {
            rig.remove_credential("client-secret").unwrap();
        }
        rig.configure(|config| {
            config
                .set("provider", "client-id", CLIENT)
                .set("provider", "client-auth", auth);
        })
        .unwrap();
        (server, rig)
    }

    async fn around((server, rig): (Standard, Rig)) -> Self {
        let bus = TestBus::start().unwrap();
        let user = zbus::connection::Builder::address(bus.address()).build().await.unwrap();
        Self { server, rig, bus, user }
    }

    /// A client of a known server, all of whose addresses are here.
    pub(crate) async fn preset(preset: &str, scope: &str, redirect: Option<&str>, habits: Habits) -> Self {
        let (server, mut rig) = Self::client_of(habits);
        let (authorization, token, revocation) = server.endpoints();
        rig.configure(|config| {
            config
                .set("provider", "kind", "oauth-code")
                .set("provider", "preset", preset)
                .set("provider", "scope", scope)
                .set("provider", "authorization-endpoint", authorization.as_str())
                .set("provider", "token-endpoint", token.as_str());
            for (key, value) in [
                ("revocation-endpoint", revocation.as_deref()),
                ("redirect-uri", redirect),
            ] {
                if let Some(value) = value {
                    config.set("provider", key, value);
                }
            }
        })
        .unwrap();
        Self::around((server, rig)).await
    }

    /// A client of a server that describes itself.
    pub(crate) async fn new(kind: &str, habits: Habits) -> Self {
        let (server, mut rig) = Self::client_of(habits);
        rig.configure(|config| {
            config
                .set("provider", "kind", kind)
                .set("provider", "issuer", server.issuer().as_str());
        })
        .unwrap();
        Self::around((server, rig)).await
    }

    pub(crate) async fn start(&self) -> Process {
        let loud = |command: &mut Command| {
            command.env("C2C_LOG", "debug");
        };
        let daemon = self
            .rig
            .spawn_with(Path::new(DAEMON), self.bus.address(), loud)
            .unwrap();
        daemon.wait_ready(LIMIT).await.unwrap();
        daemon
    }

    /// Codes are given five seconds apart at least: until then the daemon refuses, for this reason and no other.
    pub(crate) async fn start_pairing_when_it_may(&self, options: &[(&str, Variant<'_>)]) -> HashMap<String, String> {
        let limit = Instant::now() + LIMIT;
        loop {
            let answer = self.start_pairing(options).await;
            if let Ok(code) = answer {
                return code;
            }
            assert_eq!(error_name(&answer), "org.freedesktop.DBus.Error.LimitsExceeded");
            assert!(Instant::now() < limit, "it never may");
            tokio::time::sleep(LOOK * 10).await;
        }
    }

    /// Pairs anew although paired.
    pub(crate) async fn replace(&self) {
        let (old, _, _) = self.token().await.unwrap();
        self.start_pairing_when_it_may(&[("replace", true.into())]).await;
        let used = self.token().await.unwrap().0;
        assert_eq!(used, old, "usable until the new one is durable");
        self.pair_by_browser(&[("replace", true.into())]).await;
    }

    pub(crate) async fn proxy(&self, interface: &str) -> Proxy<'static> {
        zbus::proxy::Builder::new(&self.user)
            .destination("org.cameratocloud.Auth1")
            .path("/org/cameratocloud/Auth1")
            .interface(format!("org.cameratocloud.Auth1.{interface}"))
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .unwrap()
    }

    pub(crate) async fn pairing(&self, method: &str) -> zbus::Result<()> {
        self.proxy("Pairing").await.call_method(method, &()).await.map(drop)
    }

    pub(crate) async fn start_pairing(&self, options: &[(&str, Variant<'_>)]) -> zbus::Result<HashMap<String, String>> {
        let options: HashMap<_, _> = options.iter().map(|(key, value)| (*key, value)).collect();
        let pairing = self.proxy("Pairing").await;
        let answer = pairing.call_method("StartPairing", &(options,)).await?;
        let code: HashMap<String, OwnedVariant> = answer.body().deserialize()?;
        let texts = code.into_iter().filter_map(|(key, value)| match &*value {
            Variant::Str(text) => Some((key, text.to_string())),
            _ => None,
        });
        Ok(texts.collect())
    }

    pub(crate) async fn complete(&self, address: &str) -> zbus::Result<()> {
        let pairing = self.proxy("Pairing").await;
        pairing.call_method("CompletePairing", &(address,)).await.map(drop)
    }

    pub(crate) async fn token(&self) -> zbus::Result<(String, u32, u64)> {
        let tokens = self.proxy("Tokens").await;
        let answer = tokens.call_method("GetAccessToken", &(0_u32,)).await?;
        answer.body().deserialize()
    }

    pub(crate) async fn reject(&self, generation: u64) -> zbus::Result<()> {
        let tokens = self.proxy("Tokens").await;
        tokens.call_method("RejectAccessToken", &(generation,)).await.map(drop)
    }

    pub(crate) async fn word(&self, property: &str) -> String {
        self.proxy("Pairing").await.get_property(property).await.unwrap()
    }

    pub(crate) async fn until(&self, property: &str, wanted: &str) {
        let limit = Instant::now() + LIMIT;
        while self.word(property).await != wanted {
            let now = (self.word("PairingState").await, self.word("PairingReason").await);
            assert!(
                Instant::now() < limit,
                "{property} never became {wanted}: {now:?} {:?}",
                self.server.log()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn until_generation(&self, wanted: u64) {
        let limit = Instant::now() + LIMIT;
        let tokens = self.proxy("Tokens").await;
        while tokens.get_property::<u64>("Generation").await.unwrap() < wanted {
            assert!(
                Instant::now() < limit,
                "generation {wanted} never came: {:?}",
                self.server.log()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Everything on disk and in the runtime directory, and everything that was logged: all of it once the daemon has ended.
    pub(crate) fn left_behind(&self, daemon: &Process) -> Vec<u8> {
        let mut all = daemon.output().join("\n").into_bytes();
        for directory in [self.rig.state_directory(), self.rig.runtime_directory()] {
            for entry in std::fs::read_dir(directory).unwrap() {
                all.extend(std::fs::read(entry.unwrap().path()).unwrap_or_default());
            }
        }
        all
    }

    /// By code, with a browser on the board.
    pub(crate) async fn pair_by_browser(&self, options: &[(&str, Variant<'_>)]) {
        let code = self.start_pairing(options).await.unwrap();
        let back = self.server.browse(&code["authorization-uri"], true).unwrap();
        let page = open(back).await;
        assert!(
            page.starts_with("HTTP/1.1 200 ") && page.contains("is paired"),
            "{page}"
        );
        assert_eq!(self.word("PairingState").await, "paired");
    }

    pub(crate) fn no_request_was_strange(&self) {
        assert!(self.server.violations().is_empty(), "{:?}", self.server.violations());
        assert!(!self.server.log().is_empty());
    }
}

/// Whether a daemon listens on this port, with a socket of its own: a port that it gave back may be anybody's a moment later.
pub(crate) fn listens(daemon: &Process, port: u16) -> bool {
    let fds = match std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())) {
        Ok(fds) => fds,
        // It made itself undumpable, and only root can look.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return TcpStream::connect(("127.0.0.1", port)).is_ok();
        }
        Err(error) => panic!("{error}"),
    };
    let own: Vec<_> = fds
        // Connections come and go meanwhile.
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .collect();
    let table =
        |family: &str| std::fs::read_to_string(format!("/proc/{}/net/{family}", daemon.pid())).unwrap_or_default();
    [table("tcp"), table("tcp6")]
        .iter()
        .flat_map(|all| all.lines())
        .any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            // State 0A is LISTEN.
            let [_, local, _, "0A", _, _, _, _, _, inode, ..] = words[..] else {
                return false;
            };
            local.ends_with(&format!(":{port:04X}")) && own.contains(&format!("socket:[{inode}]").into())
        })
}

/// The host and port of an address here.
pub(crate) fn host(address: &str) -> String {
    let rest = address.strip_prefix("http://").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// The port of an address here.
pub(crate) fn port(address: &str) -> u16 {
    let host = host(address);
    host.split_once(':').unwrap().1.parse().unwrap()
}

/// What a browser shows that is sent to this address.
pub(crate) async fn open(address: String) -> String {
    tokio::task::spawn_blocking(move || {
        let rest = address.strip_prefix("http://").unwrap();
        let (host, target) = rest.split_at(rest.find('/').unwrap());
        say(host, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    })
    .await
    .unwrap()
}

pub(crate) fn say(host: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

pub(crate) fn error_name<T>(result: &zbus::Result<T>) -> String {
    match result {
        Err(zbus::Error::MethodError(name, ..)) => name.to_string(),
        Err(zbus::Error::FDO(error)) => error.name().to_string(),
        Err(other) => format!("{other:?}"),
        Ok(_) => "no error".to_owned(),
    }
}

pub(crate) fn short_lived() -> Habits {
    Habits {
        token_life: Some(8),
        ..Habits::default()
    }
}
