#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::future::ready;

use tokio::task::JoinHandle;
use zbus::Variant;

use super::*;
use c2c_auth_client::proxy::Answer;
use c2c_testkit::contract::{Fake, Flow};

fn spawned(fake: &Fake) -> JoinHandle<Result<Exit, Failure>> {
    let client = fake.client.clone();
    tokio::spawn(async move { pair(&client, false).await })
}

/// A tool that waits for the end of the flow that it started.
async fn waiting() -> (Fake, JoinHandle<Result<Exit, Failure>>) {
    let fake = Fake::start().await;
    fake.has_a_flow(Flow::AfterStart);
    let pairing = spawned(&fake);
    fake.called("GetQrCode").await;
    (fake, pairing)
}

fn answer(more: &[(&str, Variant<'_>)]) -> Answer {
    let mut answer: Answer = [
        ("code-id", Variant::from(3_u64)),
        ("user-code", "123456".into()),
        ("verification-uri", "https://next.frame.io/device".into()),
        ("expires-in", 120_u32.into()),
    ]
    .iter()
    .chain(more)
    .map(|(key, value)| ((*key).to_owned(), value.try_into().unwrap()))
    .collect();
    answer.retain(|_, value| **value != Variant::from("absent"));
    answer
}

#[test]
fn a_code_is_told_with_its_address_and_the_name_to_look_for() {
    let code = Code::from_answer(&answer(&[
        ("device-name", "Cam-1".into()),
        (
            "verification-uri-complete",
            "https://next.frame.io/device?code=123456".into(),
        ),
    ]))
    .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(code.expires_in(), Duration::from_secs(120));
    assert_eq!(
        code.text(),
        "Scan the QR code, or go to https://next.frame.io/device and enter\n\n    123456\n\nCheck that the device is called Cam-1 there.\n"
    );
}

#[test]
fn without_a_name_and_a_complete_address_nothing_is_promised() {
    let code = Code::from_answer(&answer(&[])).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(
        code.text(),
        "Go to https://next.frame.io/device and enter\n\n    123456\n\n"
    );
}

#[test]
fn an_address_for_a_browser_takes_the_place_of_the_code() {
    let browser = |redirect: &str| {
        let address = format!("https://id.example/authorize?redirect_uri={redirect}&state=x");
        let answer = answer(&[
            ("user-code", "absent".into()),
            ("verification-uri", "absent".into()),
            ("authorization-uri", address.as_str().into()),
        ]);
        Code::from_answer(&answer).unwrap_or_else(|failure| panic!("{failure}"))
    };
    let here = browser("http%3A%2F%2F127.0.0.1%3A41234%2Fcallback");
    assert!(here.comes_back_here(), "no QR code: a phone's 127.0.0.1 is the phone");
    assert!(
        here.text()
            .starts_with("Open this address in a browser on this device:\n\n    https://id.example/")
    );
    let elsewhere = browser("com.example.camera%3A%2Fcallback");
    assert!(!elsewhere.comes_back_here());
    assert!(
        elsewhere
            .text()
            .starts_with("Scan the QR code, or open\n\n    https://id.example/")
    );
}

#[test]
fn an_answer_without_a_code_is_a_failure_that_does_not_show_what_came() {
    for key in ["code-id", "user-code", "verification-uri", "expires-in"] {
        let failure = Code::from_answer(&answer(&[(key, "absent".into())])).err().unwrap();
        assert_eq!(failure.exit, Exit::Failed);
        assert!(!failure.sentence.contains("123456"));
    }
    assert!(
        Code::from_answer(&answer(&[("expires-in", 120_i64.into())])).is_err(),
        "of another type"
    );
}

#[test]
fn a_code_is_another_one_by_its_id_or_by_what_is_typed_and_not_by_its_seconds() {
    let code =
        |more: &[(&str, Variant<'_>)]| Code::from_answer(&answer(more)).unwrap_or_else(|failure| panic!("{failure}"));
    let shown = code(&[]);
    assert!(code(&[("expires-in", 7_u32.into())]).is(&shown));
    for other in [
        ("code-id", Variant::from(4_u64)),
        // A daemon that started anew counts from 1 again, and so repeats the id.
        ("user-code", "654321".into()),
        ("verification-uri", "https://elsewhere.example/device".into()),
    ] {
        assert!(!code(std::slice::from_ref(&other)).is(&shown), "{}", other.0);
    }
}

#[test]
fn an_unknown_state_waits_and_every_known_one_shows_waits_or_ends() {
    assert_eq!(step("requesting-code", "none"), Step::Wait(String::new()));
    assert_eq!(
        step("requesting-code", "code-expired"),
        Step::Wait("The code expired; asking for a new one.".to_owned())
    );
    assert_eq!(
        step("requesting-code", "offline"),
        Step::Wait("The server cannot be reached.".to_owned())
    );
    assert_eq!(step("awaiting-user", "none"), Step::Show);
    assert_eq!(step("paired", "none"), Step::Paired);
    assert_eq!(step("unpaired", "denied"), Step::Over(Exit::Failed));
    assert_eq!(step("unpaired", "client-rejected"), Step::Over(Exit::NotProvisioned));
    assert_eq!(
        step("unprovisioned", "state-key-missing"),
        Step::Over(Exit::NotProvisioned)
    );
    assert_eq!(step("a-state-of-tomorrow", "none"), Step::Wait(String::new()));
}

#[test]
fn an_end_without_success_says_why_and_what_to_do() {
    let told = ending(Exit::Failed, "denied").sentence;
    assert_eq!(
        told,
        "pairing was declined at the server. Pair this device, on its screen or by: c2c-authctl pair."
    );
    assert!(
        ending(Exit::Failed, "a-word-of-tomorrow")
            .sentence
            .contains("c2c-authctl status")
    );
    assert!(ending(Exit::Failed, "none").sentence.contains("c2c-authctl status"));
    for reason in Reason::ALL {
        let told = ending(Exit::Failed, reason.word()).sentence;
        assert!(
            !told.contains("portal") && !told.contains("tries again"),
            "nothing goes on: {told}"
        );
    }
}

/// True for the errors after which this tool goes on waiting.
fn is_followed(kind: ErrorName) -> bool {
    use ErrorName as K;
    match kind {
        K::NotSupported
        | K::Timeout
        | K::AddressInUse
        | K::Failed
        | K::Offline
        | K::ClockNotSet
        | K::ServerError
        | K::StorageFailed => true,
        K::AccessDenied
        | K::InvalidArgs
        | K::LimitsExceeded
        | K::NotProvisioned
        | K::NotPaired
        | K::AlreadyPaired
        | K::NoPairing
        | K::ClientRejected => false,
    }
}

#[tokio::test]
async fn every_error_of_a_start_is_followed_while_the_flow_goes_on_and_leaves_no_flow_otherwise() {
    for kind in ErrorName::ALL {
        let fake = Fake::start().await;
        fake.refuse("StartPairing", kind.name());
        fake.has_a_flow(Flow::AfterStart);
        let pairing = spawned(&fake);
        // Whoever does not listen any more is not disturbed by it.
        fake.called("StartPairing").await;
        fake.flow_changed("unpaired", "denied").await;
        let failure = pairing.await.unwrap().unwrap_err();
        let followed = failure.sentence.contains("declined at the server");
        assert_eq!(followed, is_followed(*kind), "{kind:?}: {failure}");
        assert!(
            !fake.calls().contains(&"CancelPairing".to_owned()),
            "{kind:?}: it was not begun here, or is over"
        );

        // The same where the daemon says that there is no flow: nothing to wait for.
        let fake = Fake::start().await;
        fake.refuse("StartPairing", kind.name());
        let failure = pair(&fake.client, false).await.unwrap_err();
        assert!(
            !failure.sentence.is_empty() && !fake.calls().contains(&"CancelPairing".to_owned()),
            "{kind:?}"
        );
    }
}

#[tokio::test]
async fn a_replacement_that_ends_at_its_start_is_not_told_as_the_end_of_the_pairing() {
    let fake = Fake::start().await;
    fake.refuse("StartPairing", ErrorName::NoPairing.name());
    let failure = pair(&fake.client, true).await.unwrap_err();
    assert!(failure.sentence.contains("still paired as before"), "{failure}");
}

#[tokio::test]
async fn a_tool_that_cannot_go_on_ends_what_it_started_or_says_how() {
    let failed = ErrorName::Failed.name();
    for (flow, cancel_fails, cancels, says) in [
        (Flow::AfterStart, false, true, "Cancelled."),
        (
            Flow::AfterStart,
            true,
            true,
            "may continue; to end it: c2c-authctl cancel",
        ),
        (
            Flow::Always,
            false,
            false,
            "was not started here; to end it: c2c-authctl cancel",
        ),
    ] {
        let fake = Fake::start().await;
        fake.has_a_flow(flow);
        fake.refuse("GetQrCode", failed);
        if cancel_fails {
            fake.refuse("CancelPairing", failed);
        }
        let failure = pair(&fake.client, false).await.unwrap_err();
        let told = &failure.sentence;
        assert!(told.starts_with("refused with") && told.contains(says), "{told}");
        assert_eq!(fake.calls().contains(&"CancelPairing".to_owned()), cancels, "{told}");
    }
}

#[tokio::test]
async fn a_daemon_that_went_away_is_asked_again_when_it_is_back() {
    let (fake, pairing) = waiting().await;
    // Its flow was a browser's, and ended with it.
    fake.is_unpaired("cancelled");
    fake.has_a_flow(Flow::None);
    fake.restart().await;
    let failure = pairing.await.unwrap().unwrap_err();
    assert!(failure.sentence.contains("cancelled on this device"), "{failure}");
}

/// A bus delivers a signal that names its receiver, whoever sends it.
#[tokio::test]
async fn a_signal_of_somebody_else_is_not_the_daemons() {
    let (fake, pairing) = waiting().await;
    let stranger = zbus::connection::Builder::address(fake.address())
        .build()
        .await
        .unwrap();
    let path = "/org/cameratocloud/Auth1";
    let to = fake.client.unique_name().unwrap();
    for interface in ["org.cameratocloud.Auth1.Pairing", "x.y"] {
        let denied = ("unpaired", "denied");
        stranger
            .emit_signal(Some(to), path, interface, "PairingStateChanged", &denied)
            .await
            .unwrap();
        stranger
            .emit_signal(Some(to), path, interface, "PairingStateChanged", &())
            .await
            .unwrap();
    }
    fake.flow_changed("unpaired", "gave-up").await;
    let failure = pairing.await.unwrap().unwrap_err();
    assert!(failure.sentence.contains("in time"), "{failure}");
    assert!(!fake.calls().iter().any(|call| call == "CancelPairing"));
}

#[test]
fn a_flow_of_somebody_else_is_recognised() {
    assert!(is_running("awaiting-user") && is_running("requesting-code"));
    assert!(!is_running("paired") && !is_running("unpaired") && !is_running("unprovisioned"));
}

#[tokio::test]
async fn a_question_whose_answer_was_lost_is_asked_once_more() {
    let lost = || zbus::Error::FDO(Box::new(zbus::fdo::Error::NoReply("gone".to_owned())));
    let calls = std::cell::Cell::new(0);
    let second = ask(|| {
        calls.set(calls.get() + 1);
        ready(if calls.get() == 1 { Err(lost()) } else { Ok("an answer") })
    });
    assert_eq!(second.await.unwrap(), "an answer");
    calls.set(0);
    let never = ask(|| {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(lost()))
    });
    assert!(never.await.is_err());
    assert_eq!(calls.get(), 2);
    calls.set(0);
    let refused = ask(|| {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(zbus::Error::Unsupported))
    });
    assert!(refused.await.is_err());
    assert_eq!(calls.get(), 1, "an answer is an answer");
}
