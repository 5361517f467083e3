//! A server, a bus, a device, and what its users do to it over the bus.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use c2c_auth_core::{Body, BootId, Loaded, Pairing, Record, Stored};
use c2c_authd::for_tests::{Directories, Identity, StateKey, Store};
use c2c_testkit::bus::TestBus;
use c2c_testkit::rig::{CLIENT_ID, Process, Rig};
use c2c_testkit::server::{Endpoint, Fault, Options, Outcome, Pause, Server, Stage};
use zbus::proxy::{CacheProperties, Proxy};
use zbus::{DBusError as _, OwnedVariant, Variant};

/// The daemon under test.
pub(crate) const DAEMON: &str = env!("CARGO_BIN_EXE_c2c-authd");

/// How long anything may take that is to happen at all: four tests on two slow cores included.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// How often a process is asked that tells nothing by itself.
const LOOK: Duration = Duration::from_millis(20);

/// One device and its surroundings.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) bus: TestBus,
    pub(crate) rig: Rig,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let server = Server::start(options).unwrap();
        let rig = Rig::new(&server).unwrap();
        let bus = TestBus::start().unwrap();
        Self { server, bus, rig }
    }

    /// Sets keys of the configuration: section, key, value.
    pub(crate) fn set(&mut self, keys: &[(&str, &str, &str)]) {
        let change = |config: &mut c2c_testkit::rig::Config| {
            for (section, key, value) in keys {
                config.set(section, key, *value);
            }
        };
        self.rig.configure(change).unwrap();
    }

    /// The daemon, ready.
    pub(crate) async fn start(&self) -> Process {
        let daemon = self.rig.spawn(Path::new(DAEMON), self.bus.address()).unwrap();
        daemon.wait_ready(LIMIT).await.unwrap();
        daemon
    }

    /// Another daemon for the same device, after the power went.
    pub(crate) async fn restart(&self, daemon: &mut Process) {
        daemon.kill().unwrap();
        *daemon = self.start().await;
    }

    /// Another daemon for the same device, whose first request to `devices/me` waits to be released.
    pub(crate) async fn restart_unvouched(&self, daemon: &mut Process) {
        let probes = |truth: &c2c_testkit::server::Truth| truth.requests(Endpoint::Me).count();
        self.seen(|truth| {
            truth
                .requests(Endpoint::Me)
                .all(|entry| entry.outcome != Outcome::InFlight)
        })
        .await;
        daemon.kill().unwrap();
        let before = self.server.truth(probes);
        let stall = Fault::Stall(Stage::BeforeCommit, Pause::UntilReleased);
        self.server.fault(Endpoint::Me, stall);
        *daemon = self.start().await;
        self.seen(move |truth| probes(truth) > before).await;
    }

    /// A reload that has been carried out.
    pub(crate) async fn reload(&self, daemon: &Process) {
        daemon.notifications().forget();
        daemon.hang_up().unwrap();
        daemon.wait_ready(LIMIT).await.unwrap();
    }

    pub(crate) async fn user(&self) -> User {
        User::at(self.bus.address()).await
    }

    /// The access token that the server takes, if any.
    pub(crate) fn live_access(&self) -> Option<String> {
        self.server
            .truth(|truth| truth.live(CLIENT_ID).access.map(ToOwned::to_owned))
    }

    /// The refresh token that the server takes, if any.
    pub(crate) fn live_refresh(&self) -> Option<String> {
        self.server
            .truth(|truth| truth.live(CLIENT_ID).refresh.map(ToOwned::to_owned))
    }

    /// Waits until the server has seen something.
    pub(crate) async fn seen(&self, until: impl FnMut(&c2c_testkit::server::Truth) -> bool + Send + 'static) {
        self.server.wait_for(until, LIMIT).await.unwrap();
    }

    /// What is on disk, by the store's own reading of a copy: the daemon holds the lock on the original.
    pub(crate) fn on_disk(&self) -> Loaded {
        self.stored(true).record
    }

    /// What a start would find if the power went now.
    pub(crate) fn after_power_off(&self) -> Stored {
        self.stored(false)
    }

    fn stored(&self, runtime: bool) -> Stored {
        let copy = tempfile::tempdir().unwrap();
        let inside = |name: &str, from: PathBuf| {
            let to = copy.path().join(name);
            std::fs::create_dir(&to).unwrap();
            for entry in std::fs::read_dir(from).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    // See `block_records`.
                    continue;
                }
                // A write under way is renamed or swept between the listing and the copy: it is not part of what is there.
                let copied = std::fs::copy(entry.path(), to.join(entry.file_name()));
                assert!(copied.is_ok() || !entry.path().exists(), "{}", entry.path().display());
            }
            to
        };
        let dirs = Directories {
            state: inside("state", self.rig.state_directory()),
            runtime: runtime.then(|| inside("runtime", self.rig.runtime_directory())),
        };
        let identity = Identity::new("frameio-c2c", &self.server.base_uri(), CLIENT_ID);
        let key = StateKey::from_bytes(self.rig.state_key());
        let (_, stored) = Store::open(dirs, Some(key), identity, BootId([0; 16])).unwrap();
        stored
    }

    /// Makes every write of a record fail, whoever the daemon runs as: what it would create is there already, and no file.
    pub(crate) fn block_records(&self, blocked: bool) {
        for name in [".record.0.new", ".record.1.new"] {
            let path = self.rig.state_directory().join(name);
            let done = if blocked {
                std::fs::create_dir(path)
            } else {
                std::fs::remove_dir(path)
            };
            done.unwrap();
        }
    }

    /// The pairing on disk.
    pub(crate) fn pairing_on_disk(&self) -> Pairing {
        match self.on_disk() {
            Loaded::Current(Record {
                body: Body::Paired(pairing),
                ..
            }) => *pairing,
            other => panic!("no pairing on disk: {other:?}"),
        }
    }

    /// From nothing to a pairing whose token is served.
    pub(crate) async fn pair(&self, user: &User) {
        let starting = user.start_pairing(&[]);
        let approving = self.approve_until_paired(user);
        let (started, ()) = tokio::join!(starting, approving);
        started.unwrap();
    }

    /// A person at the server who approves whatever code waits, until the device says that it is paired.
    pub(crate) async fn approve_until_paired(&self, user: &User) {
        let limit = Instant::now() + LIMIT;
        while !(user.flag("Paired").await && user.word("Pairing", "PairingState").await == "paired") {
            for waiting in self.server.waiting() {
                // It may have run out or been used since.
                let _ = self.server.approve(&waiting.user_code);
            }
            assert!(Instant::now() < limit, "not paired in time: {}", user.told().await);
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A server whose polls are quick and whose tokens live as long as Frame.io's.
pub(crate) fn quick() -> Options {
    Options {
        interval: Duration::from_secs(1),
        ..Options::default()
    }
}

/// What `GetAccessToken` answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) access: String,
    pub(crate) expires_in: u32,
    pub(crate) generation: u64,
}

/// A process on the bus: one connection.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) connection: zbus::Connection,
}

impl User {
    pub(crate) async fn at(address: &str) -> Self {
        // The daemon answers every call within 20 s; what was called of a daemon that was killed may never be answered.
        let builder = zbus::connection::Builder::address(address).method_timeout(LIMIT);
        Self {
            connection: builder.build().await.unwrap(),
        }
    }

    pub(crate) async fn proxy(&self, interface: &str) -> Proxy<'static> {
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
    pub(crate) async fn ours(&self, name: &str) -> Proxy<'static> {
        self.proxy(&format!("org.cameratocloud.Auth1.{name}")).await
    }

    pub(crate) async fn token(&self) -> zbus::Result<Token> {
        let answer = self
            .ours("Tokens")
            .await
            .call_method("GetAccessToken", &(0_u32,))
            .await?;
        let (access, expires_in, generation) = answer.body().deserialize()?;
        Ok(Token {
            access,
            expires_in,
            generation,
        })
    }

    pub(crate) async fn reject(&self, generation: u64) -> zbus::Result<()> {
        let tokens = self.ours("Tokens").await;
        tokens.call_method("RejectAccessToken", &(generation,)).await.map(drop)
    }

    pub(crate) async fn start_pairing(
        &self,
        options: &[(&str, Variant<'_>)],
    ) -> zbus::Result<HashMap<String, OwnedVariant>> {
        let options: HashMap<_, _> = options.iter().map(|(name, value)| (*name, value)).collect();
        let answer = self
            .ours("Pairing")
            .await
            .call_method("StartPairing", &(options,))
            .await?;
        answer.body().deserialize()
    }

    pub(crate) async fn unpair(&self) -> zbus::Result<()> {
        self.ours("Pairing").await.call_method("Unpair", &()).await.map(drop)
    }

    pub(crate) async fn word(&self, interface: &str, property: &str) -> String {
        self.ours(interface).await.get_property(property).await.unwrap()
    }

    pub(crate) async fn flag(&self, property: &str) -> bool {
        self.ours("Pairing").await.get_property(property).await.unwrap()
    }

    pub(crate) async fn generation(&self) -> u64 {
        self.ours("Tokens").await.get_property("Generation").await.unwrap()
    }

    pub(crate) async fn last_error(&self) -> String {
        let (word, _): (String, u64) = self.ours("Device").await.get_property("LastError").await.unwrap();
        word
    }

    /// All properties of our interfaces.
    pub(crate) async fn properties(&self) -> HashMap<String, OwnedVariant> {
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
    pub(crate) async fn told(&self) -> String {
        format!("{:?}", self.properties().await)
    }

    /// Waits until a property has a value.
    pub(crate) async fn until(&self, interface: &str, property: &str, wanted: &str) {
        let limit = Instant::now() + LIMIT;
        while self.word(interface, property).await != wanted {
            assert!(
                Instant::now() < limit,
                "{property} never became {wanted}: {}",
                self.told().await
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until there is a token of this generation or a later one.
    pub(crate) async fn until_generation(&self, wanted: u64) {
        let limit = Instant::now() + LIMIT;
        while self.generation().await < wanted {
            assert!(
                Instant::now() < limit,
                "generation {wanted} never came: {}",
                self.told().await
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The string in a variant, if it is one.
pub(crate) fn text(value: &OwnedVariant) -> Option<String> {
    match &**value {
        Variant::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

/// The name of the D-Bus error of a call that was refused.
pub(crate) fn error_name<T>(result: &zbus::Result<T>) -> String {
    match result {
        Err(zbus::Error::MethodError(name, ..)) => name.to_string(),
        Err(zbus::Error::FDO(error)) => error.name().to_string(),
        Err(other) => format!("{other:?}"),
        Ok(_) => "no error".to_owned(),
    }
}

/// Does `what`, and the slowest answer to `Ping` meanwhile: what this machine, busy as it is, adds to any answer at that time.
pub(crate) async fn beside_pings<T>(user: &User, what: impl Future<Output = T>) -> (T, Duration) {
    let peer = user.proxy("org.freedesktop.DBus.Peer").await;
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

/// Runs futures side by side and says which of them failed.
pub(crate) async fn side_by_side<F>(cases: impl IntoIterator<Item = (String, F)>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let cases: Vec<_> = cases
        .into_iter()
        .map(|(name, case)| (name, tokio::spawn(case)))
        .collect();
    let mut failed = Vec::new();
    for (name, case) in cases {
        if case.await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed, for the reasons above: {failed:?}");
}
