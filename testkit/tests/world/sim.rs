//! `c2c-sim` as a program: each verb of its man page, as a script speaks it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::client::{Client, ID, SOON};

const SIM: &str = env!("CARGO_BIN_EXE_c2c-sim");

/// A server as a process, and the verbs that were tried.
struct Sim {
    process: Child,
    directory: tempfile::TempDir,
    tried: BTreeSet<String>,
}

impl Sim {
    /// `last`: the file that it writes last.
    fn start(kind: &str, options: &[&str], last: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(SIM);
        let process = command
            .arg(kind)
            .arg(directory.path())
            .args(options)
            .stderr(Stdio::null());
        let sim = Self {
            process: process.spawn().unwrap(),
            directory,
            tried: BTreeSet::new(),
        };
        let begun = Instant::now();
        while !sim.file(last).exists() {
            assert!(begun.elapsed() < SOON, "{last} is not written");
            thread::sleep(Duration::from_millis(10));
        }
        sim
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn ctl(&mut self, line: &str) -> Result<String, String> {
        let words: Vec<_> = line.split(' ').collect();
        self.tried.insert(words[0].to_owned());
        let output = Command::new(SIM)
            .args(["ctl", &self.file("ctl").display().to_string()])
            .args(words)
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// All verbs were tried, and the page has these and no other.
    fn tried_what_is_documented(mut self, section: &str) {
        let tried = std::mem::take(&mut self.tried);
        let told = self.ctl("no-such-verb").unwrap_err();
        let told = told.strip_prefix("c2c-sim: ").unwrap();
        let verb = |line: &str| line.split_whitespace().next().unwrap().to_owned();
        assert_eq!(tried, told.split(" | ").map(verb).collect());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/c2c-sim.1");
        let page = fs::read_to_string(path).unwrap().replace("\\-", "-");
        let (_, rest) = page.split_once(&format!("\n.Sh VERBS OF {section}\n")).unwrap();
        let (list, _) = rest.split_once("\n.Sh ").unwrap();
        assert_eq!(tried, list.split("\n.It Cm ").skip(1).map(verb).collect());
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn each_verb_of_the_server_does_what_its_page_says() {
    let mut sim = Sim::start("serve", &["--interval", "0"], "base-uri");
    let base = fs::read_to_string(sim.file("base-uri")).unwrap();
    let port = base.rsplit(':').next().unwrap().parse().unwrap();
    let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let ca_file = sim.file("ca.pem");
    let secret = fs::read_to_string(sim.file("client-secret")).unwrap();
    let connect = async || Client::to(address, &ca_file, secret.clone()).await;
    let mut device = connect().await.unwrap();

    assert_eq!(sim.ctl("waiting").unwrap(), "");
    assert!(sim.ctl("approve any").is_err() && sim.ctl("deny 000000").is_err());
    sim.ctl("code-life 60").unwrap();
    sim.ctl("access-life 100").unwrap();
    sim.ctl("refreshed-life 200").unwrap();
    let code = device.code().await.unwrap();
    assert_eq!(code.json()["expires_in"], 60);
    let user_code = code.text("user_code");
    assert_eq!(sim.ctl("waiting").unwrap(), user_code);
    sim.ctl(&format!("deny {user_code}")).unwrap();
    let code = device.code().await.unwrap();
    sim.ctl("approve any Feature").unwrap();
    let paired = device.poll(&code.text("device_code")).await.unwrap();
    assert_eq!((paired.status, paired.json()["expires_in"].as_u64()), (200, Some(100)));
    let access = paired.text("access_token");
    assert_eq!(sim.ctl(&format!("live {ID} access")).unwrap(), access);
    assert_eq!(device.me(&access).await.unwrap().json()["project"]["name"], "Feature");

    sim.ctl("fault me status 503 2").unwrap();
    assert_eq!(device.me(&access).await.unwrap().status, 503);
    sim.ctl("clear").unwrap();
    assert_eq!(device.me(&access).await.unwrap().status, 200);
    sim.ctl("fault me stall-before released").unwrap();
    sim.ctl("release").unwrap();
    sim.ctl("clear").unwrap();
    sim.ctl(&format!("end-access-token {ID}")).unwrap();
    assert_eq!(device.me(&access).await.unwrap().status, 401);
    let refreshed = device.refresh(&paired.text("refresh_token")).await.unwrap();
    assert_eq!(refreshed.json()["expires_in"], 200);
    let access = refreshed.text("access_token");
    sim.ctl("advance 300").unwrap();
    assert_eq!(device.me(&access).await.unwrap().status, 401);
    assert_eq!(sim.ctl("count refreshes").unwrap(), "1");
    sim.ctl("await refresh 1 5").unwrap();
    assert_eq!(sim.ctl("requests refresh").unwrap(), "1");
    assert!(sim.ctl("kinds").unwrap().contains("refresh-token"));
    assert!(sim.ctl("secrets access-token").unwrap().contains(&access));
    assert!(sim.ctl("log").unwrap().contains("/v2/devices/me"));
    assert_eq!(sim.ctl("violations").unwrap(), "");
    sim.ctl("secret replace").unwrap();
    assert_eq!(device.code().await.unwrap().status, 200, "both are taken");
    sim.ctl("secret end-old").unwrap();
    assert_ne!(device.code().await.unwrap().status, 200);
    sim.ctl(&format!("forget {ID}")).unwrap();
    assert!(sim.ctl(&format!("live {ID} refresh")).is_err());

    sim.ctl("tls wrong-ca").unwrap();
    assert!(connect().await.is_err());
    sim.ctl("tls good").unwrap();
    sim.ctl("refuse").unwrap();
    assert!(connect().await.is_err());
    sim.ctl("accept").unwrap();
    let mut again = connect().await.unwrap();
    sim.ctl("cut").unwrap();
    assert!(again.me(&access).await.is_err());
    sim.tried_what_is_documented("SERVE");
}

#[test]
fn each_verb_of_the_standard_server_answers() {
    let mut sim = Sim::start("standard", &[], "issuer");
    for (line, said) in [("grants", "0"), ("seen POST", "0"), ("log", ""), ("access-life 60", "")] {
        assert_eq!(sim.ctl(line).unwrap(), said, "{line}");
    }
    assert!(sim.ctl("kinds").unwrap().contains("code-verifier"));
    assert_eq!(sim.ctl("secrets refresh-token").unwrap(), "");
    for line in [
        "approve any",
        "deny any",
        "takes nothing",
        "browse https://elsewhere.example/authorize?x=y approve",
    ] {
        assert!(sim.ctl(line).is_err(), "{line}");
    }
    assert_ne!(sim.ctl("violations").unwrap(), "", "a browser that was sent astray");
    sim.tried_what_is_documented("STANDARD");
}
