//! A third-party server, as a process that is told and tells (common.mjs says what).
//!
//! Must never know what the daemon did: that is the server's to say.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use c2c_testkit::watched::Watched;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;

pub(crate) const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc");

/// How long anything may take that is to happen at all.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// How often a process is asked that tells nothing by itself.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Server {
    process: Child,
    /// Gone when it is to end.
    commands: Mutex<Option<ChildStdin>>,
    log: Watched<Vec<Value>>,
    pub(crate) ca: String,
    pub(crate) issuer: String,
    pub(crate) secret: String,
    /// The loopback address that its clients registered.
    pub(crate) redirect: String,
    _directory: tempfile::TempDir,
}

/// A server's count of the refresh tokens that it gave to a client.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) live: u64,
    pub(crate) spent: u64,
}

impl Server {
    pub(crate) async fn start(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ca = certificates(directory.path());
        let mut program = if let Some((name, grace)) = name.split_once(' ') {
            let python = std::env::var_os("DJANGO").expect("tests/oidc/run says which python has it");
            let mut program = Command::new(python);
            program.arg(format!("{HERE}/{name}.py")).env("GRACE", grace);
            program
        } else {
            let mut program = Command::new("node");
            program.arg(format!("{HERE}/{name}.mjs"));
            program
        };
        let mut process = program
            .arg(directory.path())
            .args(ports().map(|port| port.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is there: tests/oidc/run installs it");
        let log = Watched::new(Vec::new());
        let lines = BufReader::new(process.stdout.take().unwrap());
        let told = log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let entry = serde_json::from_str::<Value>(&line).expect("one JSON object a line");
                told.update(|log| log.push(entry));
            }
            told.update(|log| log.push("it ended".into()));
        });
        let listens = |log: &Vec<Value>| {
            let wanted = |entry: &&Value| entry["issuer"].is_string() || entry.is_string();
            log.iter().find(wanted).cloned()
        };
        let first = log.wait(listens, LIMIT).await.expect("the server listens");
        let said = |key: &str| first[key].as_str().expect("the server listens").to_owned();
        Self {
            commands: Mutex::new(process.stdin.take()),
            process,
            log,
            ca,
            issuer: said("issuer"),
            secret: said("secret"),
            redirect: said("redirect"),
            _directory: directory,
        }
    }

    /// Orders something of the server, and waits for what came of it.
    pub(crate) fn control(&self, command: &str) -> Value {
        let word = command.split(' ').next().unwrap();
        let done = |log: &Vec<Value>| log.iter().filter(|entry| entry["control"] == word).count();
        let before = self.log.read(done);
        writeln!(self.commands.lock().unwrap().as_mut().unwrap(), "{command}").unwrap();
        let newest = |log: &Vec<Value>| log.iter().rfind(|entry| entry["control"] == word).cloned();
        self.log
            .wait_blocking(|log| (done(log) > before).then(|| newest(log))?, LIMIT)
            .unwrap()
    }

    /// True if an access token is good.
    pub(crate) fn takes(&self, token: &str) -> bool {
        self.control(&format!("whoami {token}"))["status"] == 200
    }

    pub(crate) fn tokens(&self, client: &str) -> Tokens {
        let said = self.control(&format!("tokens {client}"));
        let number = |key: &str| said[key].as_u64().unwrap();
        Tokens {
            live: number("live"),
            spent: number("spent"),
        }
    }

    /// How many requests it got that no browser and no command sent.
    pub(crate) fn requests(&self) -> u64 {
        self.control("refused")["requests"].as_u64().unwrap()
    }

    /// The refused requests, in the server's own words.
    pub(crate) fn refused(&self) -> Vec<String> {
        let said = self.control("refused");
        let words = said["refused"].as_array().unwrap();
        words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// Every request of the daemon was as the server wants it. `but`: what the test brought about,
    /// each as often as it did, no more and no less.
    pub(crate) fn nothing_was_rejected(&self, but: &[&str]) {
        assert!(self.requests() > 0, "this check can fail");
        let mut refused = self.refused();
        refused.sort_unstable();
        assert_eq!(refused, but, "{:#?}", self.log.read(Clone::clone));
    }

    /// True if anybody asked for a revocation.
    pub(crate) fn was_asked_to_revoke(&self) -> bool {
        let asks = |entry: &Value| entry["path"].as_str().is_some_and(|path| path.ends_with("/revocation"));
        self.log.read(|log| log.iter().any(asks))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without commands it ends what it started, and itself.
        self.commands.get_mut().unwrap().take();
        let limit = Instant::now() + LIMIT;
        while self.process.try_wait().unwrap().is_none() {
            if Instant::now() > limit {
                self.process.kill().unwrap();
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Ports that are one server's alone: of those that the kernel gives to nobody who asks for any,
/// others than the servers beside it have, and others than those of a run beside this one.
fn ports() -> Range<u16> {
    const EACH: u16 = 5;
    const OF_A_RUN: u16 = 200;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let given_away: u16 = range.split_whitespace().next().unwrap().parse().unwrap();
    let runs = given_away.saturating_sub(10_000) / OF_A_RUN;
    assert!(
        runs > 0,
        "the kernel gives ports away from {given_away} on, and none is left for a server"
    );
    let run = u16::try_from(std::process::id() % u32::from(runs)).unwrap();
    let of_this = NEXT.fetch_add(EACH, Ordering::Relaxed);
    let first = 10_000 + run * OF_A_RUN + of_this;
    assert!(of_this + EACH <= OF_A_RUN, "more servers than a run has ports for");
    first..first + EACH
}

/// A CA whose certificate is returned, and a leaf for this machine in the directory.
fn certificates(directory: &Path) -> String {
    let mut authority = CertificateParams::new([]).unwrap();
    // Another name than the leaf's, which would else look as if it had signed itself.
    authority.distinguished_name.push(DnType::CommonName, "The trial's own");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    fs::write(directory.join("ca.pem"), authority.pem()).unwrap();
    fs::write(directory.join("cert.pem"), leaf.pem()).unwrap();
    fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    authority.pem()
}
