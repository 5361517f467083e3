#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use super::*;

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
    assert_eq!(code.expires_in, Duration::from_secs(120));
    assert_eq!(
        code.text(),
        "Scan the QR code, or go to https://next.frame.io/device and enter\n\n    123456\n\nIt is the right device if it is called Cam-1 there.\n"
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
fn each_state_has_its_step() {
    assert_eq!(step("requesting-code", "none"), Step::Wait(""));
    assert_eq!(
        step("requesting-code", "code-expired"),
        Step::Wait("The code ran out; asking for a new one.")
    );
    assert_eq!(
        step("requesting-code", "offline"),
        Step::Wait("The server cannot be reached")
    );
    assert_eq!(step("awaiting-user", "none"), Step::Show);
    assert_eq!(step("paired", "none"), Step::Paired);
    assert_eq!(step("unpaired", "denied"), Step::Over(Exit::Failed));
    assert_eq!(step("unpaired", "client-rejected"), Step::Over(Exit::NotProvisioned));
    assert_eq!(
        step("unprovisioned", "state-key-missing"),
        Step::Over(Exit::NotProvisioned)
    );
    assert_eq!(step("a-state-of-tomorrow", "none"), Step::Wait(""));
}

#[test]
fn an_end_without_success_says_why_and_what_to_do() {
    let told = ending(Exit::Failed, "denied").sentence;
    assert_eq!(
        told,
        "The pairing was declined at the server. Pair it: c2c-authctl pair."
    );
    assert!(
        ending(Exit::Failed, "a-word-of-tomorrow")
            .sentence
            .contains("c2c-authctl status")
    );
    assert!(ending(Exit::Failed, "none").sentence.contains("c2c-authctl status"));
}

#[test]
fn only_faults_that_pass_by_themselves_leave_the_flow_running() {
    assert!(goes_on(&fdo::Error::Timeout("20 s".to_owned()).into()));
    assert!(!goes_on(&fdo::Error::AccessDenied("no".to_owned()).into()));
    assert!(!goes_on(&zbus::Error::InvalidReply));
}

#[test]
fn a_flow_of_somebody_else_is_recognised() {
    assert!(is_running("awaiting-user") && is_running("requesting-code"));
    assert!(!is_running("paired") && !is_running("unpaired") && !is_running("unprovisioned"));
}

#[test]
fn the_qr_code_is_black_on_white_on_any_terminal() {
    assert_eq!(on_white("▀\n▄\n"), "\x1b[30;107m▀\x1b[0m\n\x1b[30;107m▄\x1b[0m\n");
}
