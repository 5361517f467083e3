//! Which connection is held after a rejection, and for how long.

use super::*;

#[test]
fn a_program_that_connects_anew_for_each_call_gets_the_same_token_once_a_second() {
    let mut fixture = Fixture::paired();
    let mut connection = 1;
    let mut handed = vec![];
    let old = Client { uid: 0, connection: 0 };
    fixture.get_as(old);
    let mut calls: Vec<CallId> = vec![];
    let end = fixture.now.after(secs(30));
    while fixture.now < end {
        fixture.advance(Duration::from_millis(50));
        if fixture.out(is_probe) {
            fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Refused)));
        }
        for call in std::mem::take(&mut calls) {
            if fixture.reply(call).is_some() {
                assert_eq!(fixture.token(call), "a1");
                handed.push(fixture.now);
                connection += 1;
                fixture.reject_as(Client { uid: 0, connection }, 1);
            } else {
                calls.push(call);
            }
        }
        if calls.is_empty() {
            connection += 1;
            calls.push(fixture.get_as(Client { uid: 0, connection }));
        }
        let call = fixture.get_as(old);
        assert_eq!(fixture.token(call), "a1", "who did not reject is served as when idle");
    }
    let gaps: Vec<_> = handed.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(
        gaps[1..].iter().all(|gap| *gap >= Duration::from_millis(950)),
        "{gaps:?}"
    );
    assert!(handed.len() > 20, "{}", handed.len());
}

#[test]
fn a_new_connection_is_held_while_a_probe_is_out_and_then_as_any_other() {
    let mut fixture = Fixture::paired();
    let at = |connection| Client { uid: 0, connection };
    fixture.get_as(at(1));
    fixture.advance(secs(2));
    fixture.reject_as(at(1), 1);
    let new = fixture.get_as(at(2));
    assert!(fixture.reply(new).is_none(), "a probe is out");
    let other = fixture.get_as(Client {
        uid: OTHER,
        connection: 3,
    });
    assert_eq!(fixture.token(other), "a1", "of another uid");
    fixture.alive();
    assert_eq!(fixture.token(new), "a1");
    for _ in 0..10 {
        let again = fixture.get_as(at(2));
        assert_eq!(fixture.token(again), "a1", "it has the token and did not reject it");
    }
    let newer = fixture.get_as(at(4));
    assert!(fixture.reply(newer).is_none());
    fixture.advance(secs(1));
    assert_eq!(fixture.token(newer), "a1", "new ones once a second");
    fixture.advance(secs(20));
    for connection in 5..8 {
        let later = fixture.get_as(at(connection));
        assert_eq!(fixture.token(later), "a1", "20 s after the last rejection");
    }
}

#[test]
fn a_connection_that_was_there_before_the_rejection_is_not_new() {
    let mut fixture = Fixture::paired();
    let at = |connection| Client { uid: 0, connection };
    fixture.get_as(at(1));
    fixture.advance(secs(2));
    fixture.call(Command::RejectAccessToken {
        client: at(1),
        newest: 7,
        generation: Generation(1),
    });
    assert!(fixture.out(is_probe));
    let first = fixture.get_as(at(7));
    assert_eq!(fixture.token(first), "a1", "its first call, and it did not reject");
    let new = fixture.get_as(at(8));
    assert!(fixture.reply(new).is_none());
}

#[test]
fn a_failed_probe_ends_the_hold_with_the_same_token_and_then_once_in_twenty_seconds() {
    let mut fixture = Fixture::paired();
    fixture.get_token(None);
    fixture.advance(secs(2));
    let call = fixture.reject(UPLOADER, 1);
    let held = fixture.get_token(None);
    assert!(fixture.reply(held).is_none());
    fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Refused)));
    assert_eq!(fixture.error(call), CallError::ServerError);
    assert_eq!(fixture.token(held), "a1", "better than an error");
    let again = fixture.get_token(None);
    assert!(fixture.reply(again).is_none());
    let since = fixture.now;
    while fixture.reply(again).is_none() {
        fixture.advance(secs(1));
        if fixture.out(is_probe) {
            fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Refused)));
        }
    }
    assert_eq!(fixture.token(again), "a1");
    assert_eq!(fixture.now.since(since), secs(20));
}

#[test]
fn a_rejection_whose_probe_is_put_off_returns_at_once() {
    let mut fixture = Fixture::paired();
    fixture.get_token(None);
    fixture.advance(secs(2));
    fixture.reject(UPLOADER, 1);
    fixture.alive();
    fixture.advance(secs(2));
    let paused = fixture.reject(UPLOADER, 1);
    assert_eq!(
        fixture.reply(paused),
        Some(&Ok(Reply::Done)),
        "it was wrong a moment ago"
    );
    let held = fixture.get_token(None);
    fixture.advance(secs(7));
    assert!(fixture.reply(held).is_none() && !fixture.out(is_probe));
    fixture.advance(secs(1));
    assert!(fixture.out(is_probe), "ten seconds after it was wrong");
    fixture.probed(ProbeAnswer::Failed(fault(FaultKind::Offline)));
    fixture.get_as(client(OTHER));
    let failing = fixture.reject(OTHER, 1);
    assert_eq!(fixture.error(failing), CallError::Offline);
}

#[test]
fn a_rejection_outlives_a_refresh_that_takes_the_probe_away_and_fails() {
    let mut fixture = Fixture::paired();
    fixture.get_token(None);
    fixture.advance(secs(28_800 * 83 / 100));
    // The probe is out when the POST leaves.
    let call = fixture.reject(UPLOADER, 1);
    assert!(fixture.out(is_probe));
    fixture.prepare(PrepareAnswer::Ready);
    assert!(fixture.out(is_refresh) && !fixture.out(is_probe));
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    let held = fixture.get_token(None);
    let other = fixture.get_as(client(OTHER));
    fixture.advance(secs(9));
    assert!(fixture.reply(held).is_none(), "the refresh is out");
    assert_eq!(fixture.token(other), "a1");
    fixture.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    assert!(fixture.reply(held).is_none(), "and now the probe is");
    fixture.probed(ProbeAnswer::Rejected);
    assert!(fixture.reply(held).is_none(), "refused: no longer served");
    fixture.advance(secs(5));
    fixture.refresh_to(2);
    assert_eq!(fixture.token(held), "a2");
}

#[test]
fn where_nobody_can_be_asked_a_client_gets_the_same_token_once_in_twenty_seconds() {
    let without_probe = Policy {
        can_probe: false,
        ..policy()
    };
    let mut crowd = Crowd::new(Fixture::paired().reboot_with(without_probe, true), &thirty());
    crowd.run(secs(1));
    crowd.kill();
    crowd.run(secs(10));
    crowd.assert_no_flood();
    crowd.assert_served();
    assert_eq!(crowd.issued, 2);
    // The limit puts the next refresh off.
    crowd.kill();
    crowd.run(secs(200));
    for requests in crowd.requests() {
        assert!((9..=12).contains(&requests), "{:?}", crowd.requests());
    }
    crowd.run(secs(500));
    crowd.assert_served();
}
