use super::*;
use c2c_auth_core::{Contact, DeviceInfo, ErrorWord, Generation, Lifetimes, Reason};

fn snapshot(pairing: PairingState, reason: Reason) -> Snapshot {
    Snapshot {
        pairing,
        reason,
        paired: pairing == PairingState::Paired,
        attention: false,
        token: TokenState::None,
        generation: Generation(7),
        device: DeviceInfo::default(),
        lifetimes: Lifetimes::default(),
        contact: Contact::default(),
        last_error: None,
    }
}

#[test]
fn the_common_states_read_well() {
    let unprovisioned = snapshot(PairingState::Unprovisioned, Reason::ClientSecretMissing);
    assert_eq!(
        sentence(&unprovisioned),
        "Not provisioned: no client secret is provisioned. Run: c2c-authctl provision."
    );
    let fresh = snapshot(PairingState::Unpaired, Reason::NeverPaired);
    assert_eq!(
        sentence(&fresh),
        "Not paired: this device was never paired. Pair this device, on its screen or by: c2c-authctl pair."
    );
    let asking = snapshot(PairingState::RequestingCode, Reason::None);
    assert_eq!(sentence(&asking), "Asking the server for a pairing code.");
    let offline = snapshot(PairingState::RequestingCode, Reason::Offline);
    assert_eq!(
        sentence(&offline),
        "Asking the server for a pairing code (the server cannot be reached). Check the network; the device tries again by itself."
    );
    let waiting = snapshot(PairingState::AwaitingUser, Reason::None);
    assert_eq!(sentence(&waiting), "Waiting for someone to enter the pairing code.");
}

#[test]
fn a_pairing_names_its_project_and_the_state_of_its_token() {
    let mut snapshot = snapshot(PairingState::Paired, Reason::None);
    snapshot.token = TokenState::Valid;
    assert_eq!(sentence(&snapshot), "Paired; access token valid.");
    snapshot.device.project_name = "Short Film".to_owned();
    snapshot.token = TokenState::Stale;
    assert_eq!(
        sentence(&snapshot),
        "Paired with \"Short Film\"; access token expired, waiting for a new one."
    );
    snapshot.attention = true;
    snapshot.last_error = Some((ErrorWord::Offline, Some(WallTime::from_secs(1))));
    let told = sentence(&snapshot);
    assert!(
        told.contains("the pairing expires soon. Attention needed. Connect the device to the internet"),
        "{told}"
    );
    snapshot.last_error = Some((ErrorWord::StorageFailed, None));
    assert_eq!(sentence(&snapshot), told, "the last error may be of something else");
}

#[test]
fn the_last_words_are_the_cure_of_the_reason() {
    for (pairing, reason, cure) in [
        (
            PairingState::Unpaired,
            Reason::ClientRejected,
            "the journal names the server's word.",
        ),
        (
            PairingState::Paired,
            Reason::ClientRejected,
            "the journal names the server's word.",
        ),
        (
            PairingState::Unpaired,
            Reason::ForeignRecord,
            "Bring back the former configuration and restart c2c-authd; or pair this device, on its screen or by: c2c-authctl pair.",
        ),
        (
            PairingState::Unpaired,
            Reason::StateKeyMismatch,
            "Bring back the former state key and restart c2c-authd; or pair this device, on its screen or by: c2c-authctl pair.",
        ),
        (
            PairingState::Unpaired,
            Reason::Revoked,
            "Attention needed. Pair this device, on its screen or by: c2c-authctl pair.",
        ),
    ] {
        let mut snapshot = snapshot(pairing, reason);
        snapshot.attention = true;
        let text = sentence(&snapshot);
        assert!(text.ends_with(cure), "{text}");
        assert_eq!(text.matches("Attention needed.").count(), 1, "{text}");
    }
}

#[test]
fn a_replacement_shows_that_the_old_pairing_lives() {
    let mut snapshot = snapshot(PairingState::AwaitingUser, Reason::None);
    snapshot.paired = true;
    assert_eq!(
        sentence(&snapshot),
        "Paired; pairing again: waiting for someone to enter the code."
    );
}

#[test]
fn a_lost_pairing_says_why_and_what_to_do() {
    let mut snapshot = snapshot(PairingState::Unpaired, Reason::RefreshAnswerLost);
    snapshot.attention = true;
    let text = sentence(&snapshot);
    assert!(
        text.starts_with("Not paired: the connection broke while the server renewed the tokens"),
        "{text}"
    );
    assert!(
        text.ends_with("Nothing is broken; pair this device, on its screen or by: c2c-authctl pair."),
        "{text}"
    );
    snapshot.token = TokenState::Valid;
    assert!(sentence(&snapshot).contains("The last token is served until it expires."));
}

#[test]
fn after_a_flow_ended_nobody_is_told_to_wait() {
    for &reason in Reason::ALL {
        let text = sentence(&snapshot(PairingState::Unpaired, reason));
        assert!(
            !text.contains("tries again") && !text.contains("newest code"),
            "nothing goes on: {text}"
        );
    }
    assert_eq!(
        sentence(&snapshot(PairingState::Unpaired, Reason::ServerError)),
        "Not paired: the server refused several codes in a row, or the only one. Look at the journal (journalctl -u c2c-authd) for \
         its error, then pair this device, on its screen or by: c2c-authctl pair."
    );
    let asking = sentence(&snapshot(PairingState::RequestingCode, Reason::ServerError));
    assert!(
        asking.contains("portal") && asking.contains("tries again by itself"),
        "{asking}"
    );
}

#[test]
fn an_access_token_that_cannot_be_used_is_not_blamed_on_the_network() {
    let mut snapshot = snapshot(PairingState::Paired, Reason::ServerError);
    snapshot.attention = true;
    snapshot.token = TokenState::Stale;
    snapshot.generation = Generation::NONE;
    assert_eq!(
        sentence(&snapshot),
        "Paired; access token expired, waiting for a new one: the server's access token cannot be used. Attention needed. Look at \
         the journal (journalctl -u c2c-authd) for its size or fault, and let the server issue another kind of token; the device \
         asks again every 15 minutes."
    );
    // One that could be used has ended, and no answer brings another.
    snapshot.generation = Generation(7);
    let text = sentence(&snapshot);
    assert!(text.contains("no usable answer") && text.contains("portal"), "{text}");
}

#[test]
fn every_state_and_reason_gives_one_line_that_ends_like_a_sentence() {
    for &pairing in PairingState::ALL {
        for &reason in Reason::ALL {
            for &token in TokenState::ALL {
                for bits in 0..4 {
                    let mut snapshot = snapshot(pairing, reason);
                    snapshot.token = token;
                    snapshot.attention = bits & 1 != 0;
                    snapshot.paired |= bits & 2 != 0;
                    let text = sentence(&snapshot);
                    assert!(
                        text.ends_with('.') && !text.ends_with("..") && !text.contains(['\n', '\r']),
                        "{text}"
                    );
                    assert!(text.chars().next().is_some_and(char::is_uppercase), "{text}");
                }
            }
        }
    }
}
