//! A browser's way back to the real daemon where the machine has nothing to listen with, and where
//! nobody comes.
//!
//! (Browsers that do come are in `main.rs`. Not tried here: a system without random bytes.
//! `getrandom` waits until there are some, and a kernel that does not know the call cannot be had
//! for a test.)

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use c2c_testkit::harness::{Harness, LIMIT, LOOK};
use c2c_testkit::rig::{Process, Rig};
use c2c_testkit::server::{Options, Server};
use c2c_testkit::user::{User, error_name};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use zbus::{OwnedVariant, Variant};

use super::browser::listens;
use crate::DAEMON;

type Answer = HashMap<String, OwnedVariant>;

/// A device that pairs by code at a server nobody has to ask for its addresses.
struct Fixture {
    daemon: Process,
    user: User,
    _harness: Harness,
}

impl Fixture {
    async fn new() -> Self {
        let nobody = Server::start(Options::default()).unwrap();
        let rig = Rig::elsewhere(nobody.ca_pem(), b"not needed").unwrap();
        rig.remove_credential("client-secret").unwrap();
        let mut harness = Harness::around(DAEMON, nobody, rig);
        harness.set(&[
            ("provider", "kind", "oauth-code"),
            ("provider", "client-id", "camera-app"),
            ("provider", "client-auth", "none"),
            ("provider", "authorization-endpoint", "https://id.example/authorize"),
            ("provider", "token-endpoint", "https://id.example/token"),
        ]);
        Self {
            daemon: harness.start().await,
            user: harness.user().await,
            _harness: harness,
        }
    }

    async fn start_pairing(&self, option: &str, seconds: u32) -> zbus::Result<Answer> {
        self.user.start_pairing(&[(option, Variant::from(seconds))]).await
    }

    async fn code(&self) -> zbus::Result<Answer> {
        let pairing = self.user.ours("Pairing").await;
        pairing.call_method("GetPairingCode", &()).await?.body().deserialize()
    }

    async fn words(&self) -> (String, String) {
        let state = self.user.word("Pairing", "PairingState").await;
        (state, self.user.word("Pairing", "PairingReason").await)
    }

    async fn until(&self, state: &str, reason: &str, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let now = self.words().await;
            if (now.0.as_str(), now.1.as_str()) == (state, reason) {
                return;
            }
            assert!(Instant::now() < end, "{now:?}: {:?}", self.daemon.output());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Until this is in the journal: it is written when it happens and read a moment later.
    async fn logged(&self, part: &'static str) {
        let found = self.daemon.wait_output(move |line| line.contains(part), LIMIT).await;
        found.unwrap_or_else(|error| panic!("{part}: {error}"));
    }

    /// How many files the daemon may have open. `None`: as many as it could before.
    fn files(&self, limit: Option<u64>, former: Option<Rlimit>) -> Rlimit {
        let pid = Pid::from_raw(i32::try_from(self.daemon.pid()).unwrap()).unwrap();
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum;
        let wanted = former.unwrap_or(Rlimit {
            current: limit,
            maximum: hard,
        });
        prlimit(Some(pid), Resource::Nofile, wanted).unwrap()
    }

    /// The lowest descriptor that is free: with it as the limit there is none to be had.
    fn lowest_free(&self) -> u64 {
        let open: BTreeSet<u64> = std::fs::read_dir(format!("/proc/{}/fd", self.daemon.pid()))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
            .collect();
        (0..=open.len() as u64).find(|number| !open.contains(number)).unwrap()
    }
}

/// Where the browser of this code comes back to.
fn port(code: &Answer) -> u16 {
    let Variant::Str(uri) = &*code["authorization-uri"] else {
        panic!("no address for a browser")
    };
    let back = uri
        .as_str()
        .split_once("redirect_uri=http%3A%2F%2F127.0.0.1%3A")
        .unwrap()
        .1;
    back.split_once('%').unwrap().0.parse().unwrap()
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
}

#[tokio::test]
async fn a_machine_that_has_nothing_to_listen_with_is_told_and_the_flow_goes_on_when_it_has() {
    let world = Fixture::new().await;
    // A first call, so that nothing is left that is opened once.
    assert_eq!(
        error_name(&world.code().await),
        "org.cameratocloud.Auth1.Error.NoPairing"
    );
    let former = world.files(Some(world.lowest_free()), None);

    let refused = world.start_pairing("timeout", 2).await;
    assert_eq!(error_name(&refused), "org.freedesktop.DBus.Error.Failed");
    let told = format!("{refused:?}");
    assert!(
        told.contains("cannot be listened on") && told.contains("see: journalctl -u c2c-authd"),
        "{told}"
    );
    assert_eq!(
        world.words().await,
        ("requesting-code".to_owned(), "local-fault".to_owned())
    );
    world.logged("a browser cannot be awaited: the addresses of this machine itself cannot be listened on (Too many open files")
        .await;
    world
        .logged("No pairing code: the address of provider.redirect-uri cannot be listened on. Trying again in")
        .await;

    world.files(None, Some(former));
    world.until("awaiting-user", "none", LIMIT).await;
    let port = port(&world.code().await.unwrap());
    assert!(connect(port).is_ok() && listens(&world.daemon, port));
    world.user.cancel().await.unwrap();
    assert!(!listens(&world.daemon, port));
}

/// It takes the shortest time after which a flow may give up: a minute.
#[tokio::test]
async fn a_flow_that_nobody_comes_back_to_gives_up_and_its_port_with_it() {
    const SHORTEST: Duration = Duration::from_secs(60);
    let world = Fixture::new().await;
    let asked = Instant::now();
    let code = world.start_pairing("give-up-after", 1).await.unwrap();
    let Variant::U32(left) = *code["give-up-after"] else {
        panic!("no time to give up after")
    };
    // A minute less the answer's own way. It is neither the second that was asked for nor the
    // default.
    assert!((30..=60).contains(&left), "{left}");
    let port = port(&code);
    world.until("awaiting-user", "none", LIMIT).await;

    // Somebody is always connected and says nothing, up to the end.
    let mut last = None;
    while world.words().await.0 == "awaiting-user" {
        assert!(asked.elapsed() < SHORTEST + LIMIT, "it never gave up");
        let stream = connect(port);
        // It is the daemon's own, not that of whoever has the port since.
        if stream.is_ok() && listens(&world.daemon, port) {
            last = stream.ok();
        }
        tokio::time::sleep(LOOK * 10).await;
    }
    assert!(
        asked.elapsed() + Duration::from_secs(1) >= SHORTEST,
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(world.words().await, ("unpaired".to_owned(), "gave-up".to_owned()));
    assert!(!listens(&world.daemon, port));
    // A client that was connected is cut, not left waiting.
    let mut rest = Vec::new();
    let mut last = last.unwrap();
    last.set_read_timeout(Some(LIMIT)).unwrap();
    match last.read_to_end(&mut rest) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    assert_eq!(
        error_name(&world.code().await),
        "org.cameratocloud.Auth1.Error.NoPairing"
    );
    world.logged("C2C_REASON=\"gave-up\"").await;
}
