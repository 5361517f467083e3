//! Trouble between a camera and the API in hotels, on trains and in bad hours of the API itself.
//! None of it may cost a credential, and when it ends, the device goes on by itself.

use std::time::Duration;

use c2c_auth_core::{DeviceInfo, PairingRecord};
use c2c_testkit::harness::{Harness, LIMIT, LOOK, quick, side_by_side};
use c2c_testkit::rig::Process;
use c2c_testkit::server::{Cut, DateHeader, Edit, Endpoint, Fault, Options, Page, Times, Tls, hostile};
use c2c_testkit::user::{User, text};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::disk::pairing_on_disk;
use crate::DAEMON;

const YEAR: i64 = 365 * 24 * 3600;

/// A paired device, before its first refresh.
pub(crate) async fn paired() -> (Harness, Process, User) {
    let world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(400),
            ..quick()
        },
    );
    let (daemon, user) = world.paired().await;
    (world, daemon, user)
}

/// The part of the pairing that no trouble may change. It lacks the mark of a refresh that was
/// begun, and the server's names for the device, which are written along with that mark.
fn credential(world: &Harness) -> PairingRecord {
    PairingRecord {
        mark: None,
        device: DeviceInfo::default(),
        ..pairing_on_disk(world)
    }
}

/// Makes a refresh due, now.
pub(crate) async fn refresh(world: &mut Harness, daemon: &Process) {
    world.set(&[("refresh", "at", "1%")]);
    world.reload(daemon).await;
}

/// The trouble is over: the device gets its new tokens without anybody's help, by the pairing it
/// had.
pub(crate) async fn recovers(world: &Harness, user: &User) {
    user.until_generation(2).await;
    // More refreshes may follow, and one may be on its way at any moment.
    let limit = Instant::now() + LIMIT;
    loop {
        let token = user.token().await.unwrap();
        let record = pairing_on_disk(world);
        let refresh = record.pair.refresh.unwrap();
        let agreed = Some(token.access) == world.live_access()
            && Some(refresh.expose()) == world.live_refresh().as_deref()
            && record.mark.is_none();
        if agreed {
            break;
        }
        assert!(Instant::now() < limit, "{}", user.told().await);
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(world.server.truth(|truth| truth.counters().pairings), 1);
    assert_eq!(world.server.truth(|truth| truth.violations().to_vec()), []);
}

/// The answers that are not the API's, and whether the POST of a refresh is to meet them or
/// everything.
fn troubles() -> Vec<(String, Endpoint, Fault)> {
    let pages = [
        ("captive portal", Page::CaptivePortal),
        ("404", Page::NotFound),
        ("429 with Retry-After", Page::TooManyRequests(Some(2))),
        ("500", Page::Status(500)),
        ("502", Page::Status(502)),
        ("503", Page::Unavailable(2)),
        ("504", Page::Status(504)),
        ("redirect", Page::Redirect),
        ("truncated JSON", Page::TruncatedJson),
        ("oversized", Page::Oversized(1 << 20)),
        ("401 without a verdict", Page::Status(401)),
        (
            "another error",
            Page::Json(400, json!({ "error": "temporarily_unavailable" })),
        ),
        ("hostile error", Page::Json(400, json!({ "error": hostile::string() }))),
        (
            "a verdict labelled HTML",
            Page::Labelled(400, "text/html", json!({ "error": "invalid_grant" })),
        ),
        (
            "a verdict labelled as text",
            Page::Labelled(400, "text/plain", json!({ "error": "invalid_request" })),
        ),
        ("somebody else's JSON", Page::Json(200, json!({ "status": "ok" }))),
        ("no token in it", Page::Json(200, json!({ "expires_in": 28_800 }))),
    ];
    let mut all = Vec::new();
    for (name, page) in pages {
        all.push((
            format!("{name} for the POST"),
            Endpoint::Refresh,
            Fault::Instead(page.clone()),
        ));
        all.push((format!("{name} for all"), Endpoint::Health, Fault::Instead(page)));
    }
    all.push(("a cut".to_owned(), Endpoint::Refresh, Fault::Cut(Cut::BeforeCommit)));
    all.push(("garbage".to_owned(), Endpoint::Health, Fault::Garbage));
    all
}

async fn survives(endpoint: Endpoint, fault: Fault) {
    let (mut world, daemon, user) = paired().await;
    let before = credential(&world);
    if endpoint == Endpoint::Refresh {
        world.server.faults(endpoint, Times::Always, fault);
    } else {
        world.server.fault_everywhere(fault);
    }
    refresh(&mut world, &daemon).await;
    let struck = move |truth: &c2c_testkit::server::Truth| {
        let over = |entry: &&c2c_testkit::server::Entry| {
            entry.fault.is_some() && entry.outcome != c2c_testkit::server::Outcome::InFlight
        };
        truth.requests(endpoint).filter(over).count() >= 1
    };
    world.seen(struck).await;
    // The daemon has drawn its conclusion when it says that it will try again.
    let log = daemon.wait_output(|line| line.contains("refresh-failed"), LIMIT);
    log.await.unwrap();
    assert_eq!(credential(&world), before, "the credential on disk");
    assert!(user.flag("Paired").await);
    world.server.clear_faults();
    recovers(&world, &user).await;
}

#[tokio::test]
async fn no_answer_that_is_not_the_servers_verdict_changes_the_credential() {
    // They wait most of the time, but each holds sockets and files, and a process may have a
    // thousand or so.
    let mut cases = troubles();
    while !cases.is_empty() {
        let next = cases.drain(..cases.len().min(15));
        side_by_side(next.map(|(name, endpoint, fault)| (name, survives(endpoint, fault)))).await;
    }
}

/// A limit with a window of a minute and no `Retry-After`: the window is kept to, which is longer
/// than a test should take.
#[tokio::test]
async fn a_rate_limit_changes_no_credential_and_its_window_is_kept() {
    let (mut world, daemon, user) = paired().await;
    let before = credential(&world);
    world
        .server
        .fault(Endpoint::Refresh, Fault::Instead(Page::TooManyRequests(None)));
    refresh(&mut world, &daemon).await;
    let failed = |line: &str| line.contains("refresh-failed");
    let told = daemon.wait_output(failed, LIMIT).await.unwrap();
    assert!(told.contains("1 min"), "{told}");
    assert_eq!(credential(&world), before, "the credential on disk");
    assert_eq!(user.last_error().await, "rate-limited");
    assert!(user.token().await.is_ok());
}

async fn survives_tls(tls: Tls) {
    let (mut world, daemon, user) = paired().await;
    let before = credential(&world);
    world.server.set_tls(tls);
    world.server.cut_connections();
    let failed = world.server.truth(|truth| truth.counters().handshakes_failed);
    refresh(&mut world, &daemon).await;
    world
        .seen(move |truth| truth.counters().handshakes_failed > failed)
        .await;
    let log = daemon.wait_output(|line| line.contains("refresh-failed"), LIMIT);
    log.await.unwrap();
    assert_eq!(credential(&world), before, "the credential on disk");
    assert_eq!(user.last_error().await, "tls-untrusted");
    assert_eq!(world.server.truth(|truth| truth.counters().refreshes), 0);
    world.server.set_tls(Tls::Good);
    recovers(&world, &user).await;
}

#[tokio::test]
async fn no_absence_of_the_server_changes_the_credential() {
    let (mut world, daemon, user) = paired().await;
    let before = credential(&world);
    world.server.refuse_connections();
    world.server.cut_connections();
    refresh(&mut world, &daemon).await;
    let log = daemon.wait_output(|line| line.contains("refresh-failed"), LIMIT);
    log.await.unwrap();
    assert_eq!(credential(&world), before, "the credential on disk");
    world.server.accept_connections();
    recovers(&world, &user).await;
}

#[tokio::test]
async fn no_certificate_that_is_not_to_be_trusted_changes_the_credential() {
    side_by_side([
        ("not yet valid".to_owned(), survives_tls(Tls::NotYetValid)),
        ("expired".to_owned(), survives_tls(Tls::Expired)),
        ("another CA".to_owned(), survives_tls(Tls::WrongCa)),
        ("another name".to_owned(), survives_tls(Tls::WrongName)),
    ])
    .await;
}

/// The server's `Date` and the clock of this machine tell different times: one of them is wrong.
async fn survives_date(date: DateHeader) {
    let (mut world, mut daemon, user) = paired().await;
    let before = credential(&world);
    let old = user.token().await.unwrap();
    match date {
        DateHeader::Skewed(seconds) => world.server.set_date_skew(seconds),
        DateHeader::Missing | DateHeader::Garbage => world.server.fault_everywhere(Fault::Date(date)),
    }
    world.restart(&mut daemon).await;
    assert_eq!(user.token().await.unwrap().access, old.access);
    assert_eq!(credential(&world), before, "the credential on disk");
    refresh(&mut world, &daemon).await;
    recovers(&world, &user).await;
    // Such a date must not lock the device out at its next start.
    world.set(&[("refresh", "at", "75%")]);
    let renewed = credential(&world);
    world.restart(&mut daemon).await;
    let token = user.token().await.unwrap();
    assert_eq!(Some(token.access), world.live_access());
    world.server.set_date_skew(0);
    world.server.clear_faults();
    world.restart(&mut daemon).await;
    assert_eq!(Some(user.token().await.unwrap().access), world.live_access());
    assert_eq!(credential(&world).pair, renewed.pair);
    assert_eq!(world.server.truth(|truth| truth.counters().pairings), 1);
}

#[tokio::test]
async fn no_wrong_date_changes_the_credential() {
    side_by_side([
        (
            "ten years ahead".to_owned(),
            survives_date(DateHeader::Skewed(10 * YEAR)),
        ),
        (
            "ten years behind".to_owned(),
            survives_date(DateHeader::Skewed(-10 * YEAR)),
        ),
        ("an hour ahead".to_owned(), survives_date(DateHeader::Skewed(3600))),
        ("no date".to_owned(), survives_date(DateHeader::Missing)),
        ("no date at all".to_owned(), survives_date(DateHeader::Garbage)),
    ])
    .await;
}

/// True if a text could do harm on a terminal, in a log or on a screen.
fn harmful(text: &str) -> bool {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().any(invisible) || text.len() > 4096
}

#[tokio::test]
async fn hostile_strings_never_reach_the_bus_the_status_or_the_log() {
    let world = Harness::c2c(DAEMON, quick());
    let name = Fault::Edit(Edit::Set("name", Value::from(hostile::string())));
    world.server.fault(Endpoint::DeviceCode, name);
    let project = json!({ "id": hostile::string(), "name": hostile::string() });
    let project = Fault::Edit(Edit::Set("project", project));
    world.server.faults(Endpoint::Me, Times::Always, project);
    let daemon = world.start().await;
    let user = world.user().await;
    let code = user.start_pairing(&[]).await.unwrap();
    for value in code.values().filter_map(text) {
        assert!(!harmful(&value), "{value:?}");
    }
    world.approve_until_paired(&user).await;
    // The name of the project comes from `devices/me`.
    world
        .seen(|truth| {
            let answered = c2c_testkit::server::Outcome::Answered(200);
            truth.requests(Endpoint::Me).any(|entry| entry.outcome == answered)
        })
        .await;
    let limit = std::time::Instant::now() + LIMIT;
    while user.word("Device", "ProjectName").await.is_empty() {
        assert!(std::time::Instant::now() < limit, "{}", user.told().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for property in ["DeviceName", "ProjectName", "ProjectId"] {
        let text = user.word("Device", property).await;
        assert!(!harmful(&text) && text.len() <= 1024, "{property}: {text:?}");
    }
    for line in daemon.output() {
        assert!(!harmful(&line), "{line:?}");
    }
    for heard in daemon.notifications().all() {
        assert_ne!(heard.get("STATUS"), Some("owned"));
        assert!(!harmful(heard.get("STATUS").unwrap_or_default()), "{heard:?}");
    }
}

async fn shows_the_code_after(odd: &'static str) {
    let world = Harness::c2c(DAEMON, quick());
    let odd = Fault::Edit(Edit::Set("user_code", Value::from(odd)));
    world.server.fault(Endpoint::DeviceCode, odd);
    let _daemon = world.start().await;
    let user = world.user().await;
    let asked = || world.server.truth(|truth| truth.requests(Endpoint::DeviceCode).count());
    // Asks again until there is a code as promised, or its own time is over. The flow goes on in
    // any case.
    let _ = user.start_pairing(&[]).await;
    assert_eq!(user.last_error().await, "bad-user-code");
    let limit = std::time::Instant::now() + LIMIT;
    let shown = loop {
        let pairing = user.ours("Pairing").await;
        if let Ok(answer) = pairing.call_method("GetPairingCode", &()).await {
            let body = answer.body();
            break body
                .deserialize::<std::collections::HashMap<String, zbus::OwnedVariant>>()
                .unwrap();
        }
        assert!(asked() <= 2, "the second code is as promised");
        assert!(std::time::Instant::now() < limit, "{}", user.told().await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let shown = text(&shown["user-code"]).unwrap();
    assert!(shown.len() == 6 && shown.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(asked(), 2);
}

#[tokio::test]
async fn a_user_code_with_letters_is_not_shown() {
    side_by_side(["ABC123", "12345", "１２３４５６"].map(|odd| (odd.to_owned(), shows_the_code_after(odd)))).await;
}
