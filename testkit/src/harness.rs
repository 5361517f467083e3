//! The common ground of all tests that start the real daemon: a server, a bus, a device, and its
//! users.
//!
//! Owns: all of it but the daemon's process, which a test may start not at all, once or many times.
//! Must never: read what the daemon has stored (its store belongs to the crate under test).

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::bus::TestBus;
use crate::rig::{CLIENT_ID, Process, Rig};
use crate::server::{Endpoint, Fault, Options, Outcome, Pause, Server, Stage, Truth};
use crate::standard::{CLIENT, Client, Quirks, Standard};
use crate::user::User;

/// How long anything may take that is to happen at all, on a machine that is ten times slower than
/// most. After a lost answer the same refresh token is sent again 40 s later, which no
/// configuration changes.
pub const LIMIT: Duration = Duration::from_secs(120);

/// How often a process is asked that tells nothing by itself.
pub const LOOK: Duration = Duration::from_millis(20);

/// One device and its surroundings.
#[derive(Debug)]
pub struct Harness<S = Server> {
    /// The authorization server.
    pub server: S,
    /// The message bus.
    pub bus: TestBus,
    /// The device's directories, secrets and configuration.
    pub rig: Rig,
    daemon: PathBuf,
    debug: bool,
}

/// A C2C server whose polls are quick and whose tokens live as long as Frame.io's.
#[must_use]
pub fn quick() -> Options {
    Options {
        interval: Duration::from_secs(1),
        ..Options::default()
    }
}

#[expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]
impl<S> Harness<S> {
    /// A device with this daemon program between a bus and a server.
    pub fn around(daemon: impl Into<PathBuf>, server: S, rig: Rig) -> Self {
        Self {
            server,
            bus: TestBus::start().unwrap(),
            rig,
            daemon: daemon.into(),
            debug: false,
        }
    }

    /// Sets keys of the configuration: section, key, value.
    pub fn set(&mut self, keys: &[(&str, &str, &str)]) {
        let change = |config: &mut crate::rig::Config| {
            for (section, key, value) in keys {
                config.set(section, key, *value);
            }
        };
        self.rig.configure(change).unwrap();
    }

    /// The daemon's process. It is not waited for.
    #[must_use]
    pub fn spawn(&self) -> Process {
        let change = |command: &mut Command| {
            if self.debug {
                command.env("C2C_LOG", "debug");
            }
        };
        self.rig.spawn_with(&self.daemon, self.bus.address(), change).unwrap()
    }

    /// The daemon, ready.
    pub async fn start(&self) -> Process {
        let daemon = self.spawn();
        daemon.wait_ready(LIMIT).await.unwrap();
        daemon
    }

    /// [`Self::start`] for code that is not async.
    #[must_use]
    pub fn start_blocking(&self) -> Process {
        let daemon = self.spawn();
        daemon.wait_ready_blocking(LIMIT).unwrap();
        daemon
    }

    /// Another daemon for the same device, after the power went.
    pub async fn restart(&self, daemon: &mut Process) {
        daemon.kill().unwrap();
        *daemon = self.start().await;
    }

    /// A reload that has been carried out.
    pub async fn reload(&self, daemon: &Process) {
        daemon.notifications().forget();
        daemon.hang_up().unwrap();
        daemon.wait_ready(LIMIT).await.unwrap();
    }

    /// A new connection to the bus.
    pub async fn user(&self) -> User {
        User::at(self.bus.address()).await
    }
}

#[expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]
impl Harness<Server> {
    /// A device of Frame.io's own kind.
    pub fn c2c(daemon: impl Into<PathBuf>, options: Options) -> Self {
        let server = Server::start(options).unwrap();
        let rig = Rig::new(&server).unwrap();
        Self::around(daemon, server, rig)
    }

    /// The daemon, ready and paired, and the user who paired it.
    pub async fn paired(&self) -> (Process, User) {
        let daemon = self.start().await;
        let user = self.user().await;
        self.pair(&user).await;
        (daemon, user)
    }

    /// Another daemon for the same device, whose first request to `devices/me` waits to be
    /// released.
    pub async fn restart_unvouched(&self, daemon: &mut Process) {
        let probes = |truth: &Truth| truth.requests(Endpoint::Me).count();
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

    /// The access token that the server takes, if any.
    #[must_use]
    pub fn live_access(&self) -> Option<String> {
        self.server
            .truth(|truth| truth.live(CLIENT_ID).access.map(ToOwned::to_owned))
    }

    /// The refresh token that the server takes, if any.
    #[must_use]
    pub fn live_refresh(&self) -> Option<String> {
        self.server
            .truth(|truth| truth.live(CLIENT_ID).refresh.map(ToOwned::to_owned))
    }

    /// Waits until the server has seen something.
    pub async fn seen(&self, until: impl FnMut(&Truth) -> bool + Send + 'static) {
        self.server.wait_for(until, LIMIT).await.unwrap();
    }

    /// Makes every write of a record fail, whoever the daemon runs as: what it would create is
    /// there already, and no file.
    pub fn block_records(&self, blocked: bool) {
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

    /// From nothing to a pairing whose token is served.
    pub async fn pair(&self, user: &User) {
        let starting = user.start_pairing(&[]);
        let approving = self.approve_until_paired(user);
        let (started, ()) = tokio::join!(starting, approving);
        started.unwrap();
    }

    /// A person at the server who approves whatever code waits, until the device says that it is
    /// paired.
    pub async fn approve_until_paired(&self, user: &User) {
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

#[expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]
impl Harness<Standard> {
    /// A device of the kind `oauth-device`, at a server that describes itself.
    pub fn device(daemon: impl Into<PathBuf>, quirks: Quirks) -> Self {
        Self::standard(daemon, "oauth-device", quirks)
    }

    /// The same of the kind `oauth-code`.
    pub fn code(daemon: impl Into<PathBuf>, quirks: Quirks) -> Self {
        Self::standard(daemon, "oauth-code", quirks)
    }

    /// A device of this kind, at a server that describes itself.
    pub fn standard(daemon: impl Into<PathBuf>, kind: &str, quirks: Quirks) -> Self {
        let mut harness = Self::client_of(daemon, quirks);
        let issuer = harness.server.issuer();
        harness.set(&[("provider", "kind", kind), ("provider", "issuer", &issuer)]);
        harness
    }

    /// A client of a known server, all of whose addresses are here.
    pub fn preset(
        daemon: impl Into<PathBuf>,
        preset: &str,
        scope: &str,
        redirect: Option<&str>,
        quirks: Quirks,
    ) -> Self {
        let mut harness = Self::client_of(daemon, quirks);
        let (authorization, token, revocation) = harness.server.endpoints();
        harness.set(&[
            ("provider", "kind", "oauth-code"),
            ("provider", "preset", preset),
            ("provider", "scope", scope),
            ("provider", "authorization-endpoint", &authorization),
            ("provider", "token-endpoint", &token),
        ]);
        if let Some(revocation) = &revocation {
            harness.set(&[("provider", "revocation-endpoint", revocation)]);
        }
        if let Some(redirect) = redirect {
            harness.set(&[("provider", "redirect-uri", redirect)]);
        }
        harness
    }

    /// A device with this configuration, but for the issuer, at the server of a row.
    pub fn of_file(daemon: impl Into<PathBuf>, text: &str, quirks: Quirks) -> Self {
        let harness = Self::client_of(daemon, quirks);
        let issuer = harness.server.issuer();
        let mut harness = harness;
        let change = |config: &mut crate::rig::Config| {
            config.unset("provider", "client-id").unset("provider", "client-auth");
            config.read(text).set("provider", "issuer", issuer.as_str());
        };
        harness.rig.configure(change).unwrap();
        harness
    }

    /// The client that the server knows, by the server's address alone.
    fn client_of(daemon: impl Into<PathBuf>, quirks: Quirks) -> Self {
        let client = quirks.client.clone();
        let server = Standard::start(quirks).unwrap();
        let (secret, auth) = match &client {
            Client::Public => (None, "none"),
            Client::Confidential(secret) => (Some(secret), "basic"),
            Client::Posted(secret) => (Some(secret), "post"),
        };
        let given = secret.map_or("not needed", String::as_str);
        let rig = Rig::elsewhere(server.ca_pem(), given.as_bytes()).unwrap();
        if secret.is_none() {
            rig.remove_credential("client-secret").unwrap();
        }
        let mut harness = Self::around(daemon, server, rig);
        harness.debug = true;
        harness.set(&[("provider", "client-id", CLIENT), ("provider", "client-auth", auth)]);
        harness
    }

    /// No request was other than the standards have it.
    pub fn no_request_was_strange(&self) {
        assert!(self.server.violations().is_empty(), "{:?}", self.server.violations());
        assert!(!self.server.log().is_empty());
    }
}

/// Runs futures side by side and says which of them failed.
///
/// # Panics
///
/// When one of them failed.
pub async fn side_by_side<F>(cases: impl IntoIterator<Item = (String, F)>)
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
