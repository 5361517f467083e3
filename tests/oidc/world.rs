//! The certified server, a browser, a bus and a device.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use c2c_sim::bus::TestBus;
use c2c_sim::rig::{Process, Rig};
use c2c_sim::watched::Watched;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use serde_json::Value;
use zbus::proxy::{CacheProperties, Proxy};
use zbus::{DBusError as _, OwnedVariant, Variant};

const DAEMON: &str = env!("CARGO_BIN_EXE_c2c-authd");
const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oidc");

/// How long anything may take that is to happen at all.
const LIMIT: Duration = Duration::from_secs(40);

/// How often a process is asked that tells nothing by itself.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct World {
    server: Child,
    commands: Mutex<ChildStdin>,
    log: Watched<Vec<Value>>,
    rig: Rig,
    bus: TestBus,
    user: zbus::Connection,
    _directory: tempfile::TempDir,
}

/// Where a walk of the browser ended.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) text: String,
    /// How often it had to say who it is.
    pub(crate) logins: u64,
}

impl World {
    /// A server, and a device that is one of its clients.
    pub(crate) async fn new(kind: &str, client: &str, auth: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let ca = certificates(directory.path());
        let mut server = Command::new("node")
            .arg(format!("{HERE}/server.mjs"))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is there: tests/oidc/run installs it");
        let log = Watched::new(Vec::new());
        let lines = BufReader::new(server.stdout.take().unwrap());
        let told = log.clone();
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                // What is not JSON is a notice of the server's to whoever deploys it.
                if let Ok(entry) = serde_json::from_str::<Value>(&line) {
                    told.update(|log| log.push(entry));
                }
            }
        });
        let listens = |log: &Vec<Value>| {
            let first = log.iter().find(|entry| entry["issuer"].is_string())?;
            Some((
                first["issuer"].as_str()?.to_owned(),
                first["secret"].as_str()?.to_owned(),
            ))
        };
        let (issuer, secret) = log.wait(listens, LIMIT).await.expect("the server listens");
        let mut rig = Rig::elsewhere(&ca, secret.as_bytes()).unwrap();
        rig.configure(|config| {
            config
                .set("provider", "kind", kind)
                .set("provider", "client-id", client)
                .set("provider", "client-auth", auth)
                .set("provider", "issuer", issuer.as_str())
                .set("provider", "scope", "openid offline_access");
        })
        .unwrap();
        if auth == "none" {
            rig.remove_credential("client-secret").unwrap();
        }
        let bus = TestBus::start().unwrap();
        let user = zbus::connection::Builder::address(bus.address()).build().await.unwrap();
        Self {
            commands: Mutex::new(server.stdin.take().unwrap()),
            server,
            log,
            rig,
            bus,
            user,
            _directory: directory,
        }
    }

    pub(crate) fn rig(&self) -> &Rig {
        &self.rig
    }

    pub(crate) fn set(&mut self, section: &str, key: &str, value: &str) {
        self.rig
            .configure(|config| {
                config.set(section, key, value);
            })
            .unwrap();
    }

    pub(crate) async fn start(&self) -> Process {
        let daemon = self.rig.spawn(Path::new(DAEMON), self.bus.address()).unwrap();
        daemon.wait_ready(LIMIT).await.unwrap();
        daemon
    }

    /// Orders something of the server, and waits for what came of it.
    pub(crate) fn control(&self, command: &str) -> Value {
        let word = command.split(' ').next().unwrap();
        let done = |log: &Vec<Value>| log.iter().filter(|entry| entry["control"] == word).count();
        let before = self.log.read(done);
        writeln!(self.commands.lock().unwrap(), "{command}").unwrap();
        let newest = |log: &Vec<Value>| log.iter().rfind(|entry| entry["control"] == word).cloned();
        self.log
            .wait_blocking(|log| (done(log) > before).then(|| newest(log))?, LIMIT)
            .unwrap()
    }

    /// A person opens an address and does what the pages ask for.
    pub(crate) async fn browse(&self, address: &str, wish: &str, end: &str) -> Page {
        self.walk(&[address, wish, end]).await
    }

    /// Approves on the board, in a browser that remembers who was there before.
    pub(crate) async fn approve_as_before(&self, address: &str, profile: &Path) -> Page {
        self.walk(&[address, "approve", "http://127.0.0.1", profile.to_str().unwrap()])
            .await
    }

    async fn walk(&self, arguments: &[&str]) -> Page {
        let walk = tokio::process::Command::new("node")
            .arg(format!("{HERE}/browser.mjs"))
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let walked = tokio::time::timeout(LIMIT * 2, walk).await.unwrap().unwrap();
        let said = String::from_utf8(walked.stdout).unwrap();
        let failed = String::from_utf8_lossy(&walked.stderr);
        let page: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("no last page: {said} {failed}"));
        let text = |key: &str| page[key].as_str().unwrap().to_owned();
        Page {
            url: text("url"),
            title: text("title"),
            text: text("text"),
            logins: page["logins"].as_u64().unwrap(),
        }
    }

    /// What the daemon asked of the server so far.
    pub(crate) fn requests(&self) -> usize {
        self.log
            .read(|log| log.iter().filter(|entry| is_daemons(entry)).count())
    }

    /// Every request of the daemon was as the server wants it. `but`: the OAuth errors that the test brought about, each as
    /// often as it did; `authorization_pending` is the device grant's way to say «not yet».
    pub(crate) fn nothing_was_rejected(&self, but: &[&str]) {
        assert!(self.requests() > 0, "this check can fail");
        self.log.read(|log| {
            let mut expected = but.to_vec();
            let mut refused = 0;
            for entry in log {
                let event = entry["event"].as_str().unwrap_or_default();
                let error = entry["error"].as_str().unwrap_or_default();
                if event.ends_with("error") && error != "authorization_pending" {
                    let known = expected.iter().position(|word| *word == error);
                    expected.remove(known.unwrap_or_else(|| panic!("refused: {entry}")));
                }
                if is_daemons(entry) && entry["status"].as_u64().unwrap() >= 400 {
                    refused += 1;
                }
            }
            let pending = log
                .iter()
                .filter(|entry| entry["error"] == "authorization_pending")
                .count();
            assert!(refused <= pending + but.len(), "{log:#?}");
        });
    }

    /// Served, good at the server, refreshed with rotation, kept over a crash, revoked at the end.
    pub(crate) async fn lives_the_same_life_as_any_token(&self, mut daemon: Process) {
        let (token, generation) = self.token().await;
        assert_eq!(generation, 1);
        assert_eq!(self.control(&format!("whoami {token}"))["status"], 200);
        self.until_generation(2).await;
        let (refreshed, _) = self.token().await;
        assert_ne!(refreshed, token);
        assert_eq!(self.control(&format!("whoami {refreshed}"))["status"], 200);
        daemon.kill().unwrap();
        let _daemon = self.start().await;
        self.until("Pairing", "PairingState", "paired").await;
        self.until_generation(3).await;
        self.call("Pairing", "Unpair", &()).await.unwrap();
        assert_eq!(self.word("Pairing", "PairingState").await, "unpaired");
        let revoked = |log: &Vec<Value>| {
            let revocation = log.iter().any(|entry| {
                entry["path"].as_str().is_some_and(|path| path.ends_with("/revocation")) && entry["status"] == 200
            });
            (revocation && log.iter().any(|entry| entry["event"] == "grant.revoked")).then_some(())
        };
        self.log.wait(revoked, LIMIT).await.expect("revoked at the server");
        let rotations = |log: &Vec<Value>| {
            let used = |entry: &&Value| entry["event"] == "refresh_token.consumed";
            log.iter().filter(used).count()
        };
        assert!(self.log.read(rotations) >= 2);
        self.nothing_was_rejected(&[]);
    }

    async fn proxy(&self, interface: &str) -> Proxy<'static> {
        zbus::proxy::Builder::new(&self.user)
            .destination("org.cameratocloud.Auth1")
            .path("/org/cameratocloud/Auth1")
            .interface(format!("org.cameratocloud.Auth1.{interface}"))
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .unwrap()
    }

    async fn call<B>(&self, interface: &str, method: &str, body: &B) -> zbus::Result<zbus::Message>
    where
        B: serde::Serialize + zbus::DynamicType + Sync,
    {
        self.proxy(interface).await.call_method(method, body).await
    }

    pub(crate) async fn try_start_pairing(&self) -> zbus::Result<HashMap<String, String>> {
        self.try_start_pairing_with(HashMap::new()).await
    }

    /// Pairs anew although paired. Codes are asked for some seconds apart at least.
    pub(crate) async fn start_replacing(&self) -> HashMap<String, String> {
        let limit = Instant::now() + LIMIT;
        loop {
            match self.try_start_pairing_with([("replace", true.into())].into()).await {
                Ok(code) => return code,
                Err(error) => assert!(Instant::now() < limit, "{error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the daemon asked for a revocation.
    pub(crate) fn was_asked_to_revoke(&self) -> bool {
        let asks = |entry: &Value| entry["path"].as_str().is_some_and(|path| path.ends_with("/revocation"));
        self.log.read(|log| log.iter().any(asks))
    }

    async fn try_start_pairing_with(
        &self,
        options: HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<HashMap<String, String>> {
        let answer = self.call("Pairing", "StartPairing", &(options,)).await?;
        let code: HashMap<String, OwnedVariant> = answer.body().deserialize()?;
        let texts = code.into_iter().filter_map(|(key, value)| match &*value {
            Variant::Str(text) => Some((key, text.to_string())),
            _ => None,
        });
        Ok(texts.collect())
    }

    pub(crate) async fn start_pairing(&self) -> HashMap<String, String> {
        self.try_start_pairing().await.unwrap()
    }

    pub(crate) async fn complete_pairing(&self, address: &str) -> zbus::Result<()> {
        self.call("Pairing", "CompletePairing", &(address,)).await.map(drop)
    }

    pub(crate) async fn token(&self) -> (String, u64) {
        let answer = self.call("Tokens", "GetAccessToken", &(0_u32,)).await.unwrap();
        let (token, _, generation): (String, u32, u64) = answer.body().deserialize().unwrap();
        (token, generation)
    }

    pub(crate) async fn word(&self, interface: &str, property: &str) -> String {
        self.proxy(interface).await.get_property(property).await.unwrap()
    }

    pub(crate) async fn until(&self, interface: &str, property: &str, wanted: &str) {
        let limit = Instant::now() + LIMIT;
        while self.word(interface, property).await != wanted {
            let reason = self.word("Pairing", "PairingReason").await;
            assert!(Instant::now() < limit, "{property} never became {wanted}: {reason}");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn until_generation(&self, wanted: u64) {
        let limit = Instant::now() + LIMIT;
        let tokens = self.proxy("Tokens").await;
        while tokens.get_property::<u64>("Generation").await.unwrap() < wanted {
            let reason = self.word("Pairing", "PairingReason").await;
            assert!(Instant::now() < limit, "generation {wanted} never came: {reason}");
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Ended already where the test ended it.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn is_daemons(entry: &Value) -> bool {
    entry["agent"]
        .as_str()
        .is_some_and(|agent| agent.starts_with("c2c-authd/"))
}

/// A CA whose certificate is returned, and a leaf for this machine in the directory.
fn certificates(directory: &Path) -> String {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    fs::write(directory.join("cert.pem"), leaf.pem()).unwrap();
    fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    authority.pem()
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
