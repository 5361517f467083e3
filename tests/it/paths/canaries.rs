//! Every secret is a canary: after a long and troubled life of a device, none may be found where it
//! does not belong, in clear, in hexadecimal or in base64.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::{CLIENT_ID, Process};
use c2c_testkit::server::{Cut, Endpoint, Fault, Kind, Options, Page, Pause, Stage, Truth};
use c2c_testkit::user::User;
use serde_json::json;
use zbus::Variant;

use super::recorder::{Message, Recorder};
use crate::DAEMON;

/// A secret, and the methods whose answers are meant to carry it.
pub(crate) struct Canary {
    pub(crate) what: String,
    forms: Vec<Vec<u8>>,
    carried_by: &'static [&'static str],
}

impl Canary {
    pub(crate) fn new(what: impl Into<String>, secret: &[u8], carried_by: &'static [&'static str]) -> Self {
        Self {
            what: what.into(),
            forms: forms(secret),
            carried_by,
        }
    }

    /// As it is.
    pub(crate) fn plain(&self) -> &[u8] {
        &self.forms[0]
    }

    pub(crate) fn is_in(&self, hay: &[u8]) -> bool {
        self.forms
            .iter()
            .any(|form| hay.windows(form.len()).any(|window| window == form))
    }
}

/// The shapes in which a secret might be written down by mistake.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = hex(secret);
    let mut all = vec![secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    // Rust's `{:?}` writes bytes like this.
    let list = format!("{secret:?}");
    all.push(list.trim_matches(['[', ']']).as_bytes().to_vec());
    // In the middle of something longer, base64 has three shapes. The characters at both ends
    // depend on the neighbours.
    for before in 0..3 {
        let shifted = [&vec![0; before], secret].concat();
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let text = engine.encode(&shifted);
            let inner = &text[(before * 8).div_ceil(6)..shifted.len() * 8 / 6];
            all.push(inner.as_bytes().to_vec());
        }
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// All secrets of this world, those included that are long dead.
pub(crate) fn canaries(world: &Harness) -> Vec<Canary> {
    let mut all = vec![
        Canary::new("client secret", world.server.client_secret().as_bytes(), &[]),
        Canary::new("state key", &world.rig.state_key(), &[]),
    ];
    world.server.truth(|truth| {
        for issued in truth.issued() {
            let carried_by: &[&str] = match issued.kind {
                Kind::DeviceCode | Kind::RefreshToken => &[],
                // The picture and the text of a QR code do not contain it as text. The SVG does not
                // either.
                Kind::UserCode => &["StartPairing", "GetPairingCode"],
                Kind::AccessToken => &["GetAccessToken"],
            };
            all.push(Canary::new(
                format!("{:?}", issued.kind),
                issued.value.as_bytes(),
                carried_by,
            ));
        }
    });
    all
}

/// Every file below, with its content.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if let Ok(content) = fs::read(&path) {
            all.push((path.display().to_string(), content));
        }
    }
    all
}

/// Looks at what others can see of the process and at what is known by now of all that it has
/// written.
fn inspect(world: &Harness, daemon: &Process, at: &str) {
    let mut places = written(world, daemon);
    for name in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{name}", daemon.pid());
        match fs::read(&path) {
            Ok(content) => places.push((path, content)),
            // The daemon made itself undumpable: then only root can read it at all, and root runs
            // this in CI.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{path}"),
        }
    }
    assert!(places.iter().any(|(name, _)| name.ends_with("cmdline")));
    search(world, &places, at);
}

/// Looks at all that a process has written, which is known once it has ended.
fn inspect_the_dead(world: &Harness, daemon: &Process, at: &str) {
    search(world, &written(world, daemon), at);
}

fn written(world: &Harness, daemon: &Process) -> Vec<(String, Vec<u8>)> {
    let mut places = vec![("its output".to_owned(), output(daemon).into_bytes())];
    places.push((
        "its notifications".to_owned(),
        format!("{:?}", daemon.notifications().all()).into_bytes(),
    ));
    places.extend(files(&world.rig.state_directory()));
    places.extend(files(&world.rig.runtime_directory()));
    places
}

fn search(world: &Harness, places: &[(String, Vec<u8>)], at: &str) {
    for canary in canaries(world) {
        for (place, content) in places {
            assert!(!canary.is_in(content), "{at}: a canary ({}) is in {place}", canary.what);
        }
    }
}

/// The log without its times, whose fractions of a second are six digits like a user code.
fn output(daemon: &Process) -> String {
    let lines = daemon.output();
    let texts = lines
        .iter()
        .map(|line| line.split_once(' ').map_or(line.as_str(), |(_, text)| text));
    texts.collect::<Vec<_>>().join("\n")
}

fn check(messages: &[Message], canaries: &[Canary], said: bool) {
    for message in messages {
        for canary in canaries.iter().filter(|canary| canary.is_in(&message.bytes)) {
            let carrier = said && message.kind == 2 && canary.carried_by.contains(&message.member.as_str());
            assert!(
                carrier,
                "a canary ({}) is in a message of type {} ({}), said by the daemon: {said}",
                canary.what, message.kind, message.member
            );
        }
    }
}

/// Calls that are refused, so that there are error texts to search.
async fn provoke(user: &User) {
    let odd = [("no-such-option", Variant::from(true))];
    assert!(user.start_pairing(&odd).await.is_err());
    assert!(user.reject(u64::MAX).await.is_err());
    let pairing = user.ours("Pairing").await;
    assert!(
        pairing
            .call_method("CompletePairing", &("https://localhost/?code=1",))
            .await
            .is_err()
    );
    let stale = std::collections::HashMap::from([("code-id", Variant::from(1_u64))]);
    assert!(pairing.call_method("GetQrCode", &(stale,)).await.is_err());
}

async fn qr_codes(user: &User) {
    let pairing = user.ours("Pairing").await;
    for format in ["png", "svg", "text"] {
        let options = std::collections::HashMap::from([("format", Variant::from(format))]);
        pairing.call_method("GetQrCode", &(options,)).await.unwrap();
    }
    pairing.call_method("GetPairingCode", &()).await.unwrap();
}

/// A server, or something in its place, that sends back what it was sent.
fn echo(world: &Harness) -> Fault {
    let refresh = world.live_refresh().unwrap();
    let access = world.live_access().unwrap();
    let secret = world.server.client_secret();
    let text = format!("{refresh} {access} {secret}");
    Fault::Instead(Page::Json(
        400,
        json!({ "error": refresh, "error_description": text, "message": text }),
    ))
}

#[tokio::test]
async fn no_secret_is_where_it_does_not_belong() {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            // 1 % of it is over soon, 75 % never.
            access_life: Duration::from_secs(100),
            ..quick()
        },
    );
    let recorder = Recorder::start(world.bus.address());
    let spawn = |world: &Harness| {
        let debug = |command: &mut std::process::Command| {
            command.env("C2C_LOG", "debug");
        };
        world
            .rig
            .spawn_with(Path::new(DAEMON), &recorder.address(), debug)
            .unwrap()
    };
    let mut daemon = spawn(&world);
    daemon.wait_ready(LIMIT).await.unwrap();
    let user = world.user().await;

    // A code on show, the flow in the runtime directory, and a start that resumes it.
    user.start_pairing(&[]).await.unwrap();
    qr_codes(&user).await;
    provoke(&user).await;
    user.properties().await;
    inspect(&world, &daemon, "a code is on show");
    daemon.kill().unwrap();
    inspect_the_dead(&world, &daemon, "killed while a code is on show");
    daemon = spawn(&world);
    daemon.wait_ready(LIMIT).await.unwrap();
    inspect(&world, &daemon, "the flow is resumed");
    world.approve_until_paired(&user).await;
    user.token().await.unwrap();
    provoke(&user).await;

    // Refreshes that go wrong in telling ways, then well.
    world.server.fault(Endpoint::Refresh, echo(&world));
    world.set(&[("refresh", "at", "1%")]);
    world.reload(&daemon).await;
    daemon
        .wait_output(|line| line.contains("refresh-failed"), LIMIT)
        .await
        .unwrap();
    user.until_generation(2).await;
    inspect(&world, &daemon, "refreshed after an error that quotes secrets");
    world.set(&[("refresh", "at", "75%")]);
    world.reload(&daemon).await;

    // A token that is refused, a mark on disk, an answer that is lost.
    daemon.kill().unwrap();
    inspect_the_dead(&world, &daemon, "killed after refreshes");
    let probes = |truth: &Truth| truth.requests(Endpoint::Me).count();
    let before = world.server.truth(probes);
    // Nothing is to vouch for the token before it is rejected.
    world
        .server
        .fault(Endpoint::Me, Fault::Stall(Stage::BeforeCommit, Pause::UntilReleased));
    daemon = spawn(&world);
    daemon.wait_ready(LIMIT).await.unwrap();
    world.seen(move |truth| probes(truth) > before).await;
    let token = user.token().await.unwrap();
    world.server.end_access_token(CLIENT_ID).unwrap();
    world.server.fault(Endpoint::Refresh, Fault::Cut(Cut::AfterCommit));
    let caller = user.clone();
    let rejecting = tokio::spawn(async move { caller.reject(token.generation).await });
    world.server.release();
    rejecting.await.unwrap().unwrap();
    world.seen(|truth| truth.counters().refreshes_committed == 2).await;
    inspect(&world, &daemon, "a refresh is open");
    user.until("Pairing", "PairingReason", "refresh-answer-lost").await;
    inspect(&world, &daemon, "the pairing is lost");

    world.pair(&user).await;
    user.token().await.unwrap();
    user.unpair().await.unwrap();
    world.seen(|truth| truth.counters().revocations == 1).await;
    user.properties().await;
    inspect(&world, &daemon, "unpaired");
    daemon.terminate().unwrap();
    daemon.wait_exit(LIMIT).await.unwrap();
    inspect_the_dead(&world, &daemon, "ended");

    let canaries = canaries(&world);
    for kind in ["DeviceCode", "UserCode", "AccessToken", "RefreshToken"] {
        assert!(
            canaries.iter().any(|canary| canary.what == kind),
            "no {kind} was ever issued"
        );
    }
    let (said, heard) = recorder.messages();
    check(&said, &canaries, true);
    check(&heard, &canaries, false);
    // The search itself works: it finds every access token that was handed out, and every code that
    // was shown.
    for method in ["GetAccessToken", "StartPairing", "GetPairingCode"] {
        let carriers = said
            .iter()
            .filter(|message| message.kind == 2 && message.member == method);
        let found = |message: &Message| canaries.iter().any(|canary| canary.is_in(&message.bytes));
        assert!(carriers.clone().count() > 0 && carriers.clone().all(found), "{method}");
    }
    for kind in [3, 4] {
        assert!(
            said.iter().any(|message| message.kind == kind),
            "no message of type {kind} was searched"
        );
    }
}

#[test]
fn a_canary_is_found_in_every_form() {
    let secret = b"a-secret-of-some-length";
    let canary = Canary::new("test", secret, &[]);
    let hex = hex(secret).to_uppercase();
    let mut hays = vec![hex, format!("{secret:?}"), String::from_utf8(secret.to_vec()).unwrap()];
    for before in ["", "x", "xy", "xyz"] {
        let text = [before.as_bytes(), secret, b"tail"].concat();
        hays.push(STANDARD_NO_PAD.encode(&text));
        hays.push(URL_SAFE_NO_PAD.encode(&text));
    }
    for hay in hays {
        assert!(canary.is_in(format!("<{hay}>").as_bytes()), "{hay}");
    }
    assert!(!canary.is_in(b"a-secret-of-another-length"));
}
