#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::ctl::check::Verdict;
use c2c_testkit::contract::{Fake, Flow};
use c2c_testkit::server::{Endpoint, Fault, Options, Page, Server, Times, Tls};
use serde_json::json;

struct World {
    _folder: tempfile::TempDir,
    site: Site,
    server: Server,
}

impl World {
    /// A provisioned device without a daemon, which is configured for this server.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::at(folder.path());
        let server = Server::start(Options::default()).unwrap();
        for directory in ["/etc/c2c-authd", "/s", "/run/c2c-authd", "/var/lib/c2c-authd"] {
            fs::create_dir_all(site.path(directory)).unwrap();
        }
        let world = Self {
            _folder: folder,
            site,
            server,
        };
        world.configure(&format!("base-uri = \"{}\"", world.server.base_uri()));
        let secret = world.site.path("/s/secret");
        fs::write(&secret, world.server.client_secret()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        world
    }

    fn configure(&self, provider: &str) {
        let text = format!(
            "[device]\nclient-id = \"SN-1\"\nfirmware-version = \"1.2.3\"\n[provider]\n{provider}\n[tls]\nca-file = \"{}\"\n\
             [secrets]\nclient-secret-file = \"/s/secret\"\n",
            self.server.ca_file().display()
        );
        fs::write(self.site.path("/etc/c2c-authd/config.toml"), text).unwrap();
    }

    async fn ask(&self) -> Result<(Finding, Exit), Failure> {
        ask(&self.site, &"unix:path=/nowhere/at/all".into()).await
    }

    fn asked(&self) -> usize {
        self.server.truth(|truth| truth.requests(Endpoint::DeviceCode).count())
    }

    /// Asks, and holds the row and the exit code against these.
    async fn expect(&self, exit: Exit, named: &str) {
        let (row, told) = self.ask().await.unwrap();
        let line = row.line();
        assert!(told == exit && line.contains(named), "{told:?}: {line}");
        assert_eq!(row.verdict == Verdict::Fail, exit != Exit::Ok, "{line}");
        assert!(!line.contains(&self.server.client_secret()), "{line}");
        // An answer without a verdict finds no fault of this device.
        let id = match (told, self.site.path("/s/secret").exists()) {
            (Exit::Offline, _) => "",
            (_, false) => "C2C-E04",
            (_, true) => "C2C-E24",
        };
        assert_eq!(row.id, id, "{line}");
    }
}

#[tokio::test]
async fn the_servers_verdict_on_secret_scope_and_version_is_told_with_its_word() {
    let world = World::new();
    world.expect(Exit::Ok, "accepts this device").await;
    let refusals = [
        (Page::Json(400, json!({ "error": "invalid_scope" })), "invalid_scope"),
        (
            Page::Json(400, json!({ "error": "firmware_too_old" })),
            "firmware_too_old",
        ),
        (
            Page::Json(403, json!({ "errors": [{ "detail": "too old" }] })),
            "status 403",
        ),
    ];
    for (page, word) in refusals {
        world.server.fault(Endpoint::DeviceCode, Fault::Instead(page));
        world.expect(Exit::NotProvisioned, word).await;
    }
    let sent = world.server.truth(|truth| {
        let mut sent = truth.requests(Endpoint::DeviceCode);
        sent.all(|request| request.client_version.as_deref() == Some("1.2.3"))
    });
    assert!(sent, "the version of this device goes with each");
    world
        .server
        .set_options(|options| options.client_secret = "another".to_owned());
    world.expect(Exit::NotProvisioned, "invalid_client").await;
    fs::remove_file(world.site.path("/s/secret")).unwrap();
    let asked = world.asked();
    world.expect(Exit::NotProvisioned, "no client secret").await;
    assert_eq!(world.asked(), asked);
    assert_eq!(world.server.truth(|truth| truth.requests(Endpoint::Poll).count()), 0);
    assert_eq!(fs::read_dir(world.site.path("/var/lib/c2c-authd")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_that_gives_no_verdict_is_told_as_such() {
    let world = World::new();
    for page in [
        Page::CaptivePortal,
        Page::Redirect,
        Page::NotFound,
        Page::Status(502),
        Page::TooManyRequests(Some(30)),
        Page::Json(503, json!({ "error": "temporarily_unavailable" })),
    ] {
        world
            .server
            .faults(Endpoint::DeviceCode, Times::Always, Fault::Instead(page));
        world.expect(Exit::Offline, "gave no verdict").await;
        world.server.clear_faults();
    }
    world.server.set_tls(Tls::WrongCa);
    world.expect(Exit::Offline, "not trusted").await;
    world.server.set_tls(Tls::Good);
    world.server.refuse_connections();
    world.expect(Exit::Offline, "cannot be reached").await;
}

#[tokio::test]
async fn while_a_pairing_is_in_progress_nothing_is_asked() {
    let world = World::new();
    let exit = |done: Result<(Finding, Exit), Failure>| done.map(|(_, exit)| exit).map_err(|failure| failure.exit);
    let flow = world.site.runtime_directory().join("flow");
    fs::write(&flow, "sealed").unwrap();
    assert_eq!(
        exit(world.ask().await),
        Err(Exit::Differs),
        "of a daemon that is stopped"
    );
    fs::remove_file(flow).unwrap();

    let fake = Fake::start().await;
    let bus = fake.address().into();
    fake.has_a_flow(Flow::Always);
    assert_eq!(exit(ask(&world.site, &bus).await), Err(Exit::Differs));
    fake.has_a_flow(Flow::None);
    let lock = Lock::take(&world.site.state_directory(None)).unwrap();
    assert_eq!(exit(world.ask().await), Err(Exit::Unreachable), "one runs elsewhere");
    assert_eq!(world.asked(), 0);
    assert_eq!(exit(ask(&world.site, &bus).await), Ok(Exit::Ok));
    drop(lock);
}

#[tokio::test]
async fn a_server_of_the_code_grant_cannot_be_asked() {
    let world = World::new();
    world.configure(
        "kind = \"oauth-code\"\nissuer = \"https://example.org\"\nclient-id = \"c\"\nscope = \"s\"\n\
         redirect-uri = \"http://127.0.0.1:8765/callback\"",
    );
    let refused = world.ask().await.unwrap_err();
    assert!(
        refused.exit == Exit::Failed && refused.sentence.contains("oauth-code"),
        "{refused}"
    );
}
