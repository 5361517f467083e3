//! Which connection is held after a rejection, and for how long.

use super::*;

#[test]
fn a_program_that_connects_anew_for_each_call_gets_the_same_token_once_a_second() {
    let mut scene = Scene::paired();
    let mut connection = 1;
    let mut handed = vec![];
    let old = Client { uid: 0, connection: 0 };
    scene.get_as(old);
    let mut calls: Vec<CallId> = vec![];
    let end = scene.now.after(secs(30));
    while scene.now < end {
        scene.advance(Duration::from_millis(50));
        if scene.out(is_identify) {
            scene.probed(ResourceAnswer::Failed(fault(FaultKind::Refused)));
        }
        for call in std::mem::take(&mut calls) {
            if scene.reply(call).is_some() {
                assert_eq!(scene.token(call), "a1");
                handed.push(scene.now);
                connection += 1;
                scene.reject_as(Client { uid: 0, connection }, 1);
            } else {
                calls.push(call);
            }
        }
        if calls.is_empty() {
            connection += 1;
            calls.push(scene.get_as(Client { uid: 0, connection }));
        }
        let call = scene.get_as(old);
        assert_eq!(scene.token(call), "a1", "who did not reject is served as when idle");
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
    let mut scene = Scene::paired();
    let at = |connection| Client { uid: 0, connection };
    scene.get_as(at(1));
    scene.advance(secs(2));
    scene.reject_as(at(1), 1);
    let new = scene.get_as(at(2));
    assert!(scene.reply(new).is_none(), "a probe is out");
    let other = scene.get_as(Client {
        uid: OTHER,
        connection: 3,
    });
    assert_eq!(scene.token(other), "a1", "of another uid");
    scene.alive();
    assert_eq!(scene.token(new), "a1");
    for _ in 0..10 {
        let again = scene.get_as(at(2));
        assert_eq!(scene.token(again), "a1", "it has the token and did not reject it");
    }
    let newer = scene.get_as(at(4));
    assert!(scene.reply(newer).is_none());
    scene.advance(secs(1));
    assert_eq!(scene.token(newer), "a1", "new ones once a second");
    scene.advance(secs(20));
    for connection in 5..8 {
        let later = scene.get_as(at(connection));
        assert_eq!(scene.token(later), "a1", "20 s after the last rejection");
    }
}

#[test]
fn a_connection_that_was_there_before_the_rejection_is_not_new() {
    let mut scene = Scene::paired();
    let at = |connection| Client { uid: 0, connection };
    scene.get_as(at(1));
    scene.advance(secs(2));
    scene.call(Command::RejectAccessToken {
        client: at(1),
        newest: 7,
        generation: Generation(1),
    });
    assert!(scene.out(is_identify));
    let first = scene.get_as(at(7));
    assert_eq!(scene.token(first), "a1", "its first call, and it did not reject");
    let new = scene.get_as(at(8));
    assert!(scene.reply(new).is_none());
}

#[test]
fn a_failed_probe_ends_the_hold_with_the_same_token_and_then_once_in_twenty_seconds() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.advance(secs(2));
    let call = scene.reject(UPLOADER, 1);
    let held = scene.get_token(None);
    assert!(scene.reply(held).is_none());
    scene.probed(ResourceAnswer::Failed(fault(FaultKind::Refused)));
    assert_eq!(scene.error(call), CallError::ServerError);
    assert_eq!(scene.token(held), "a1", "better than an error");
    let again = scene.get_token(None);
    assert!(scene.reply(again).is_none());
    let since = scene.now;
    while scene.reply(again).is_none() {
        scene.advance(secs(1));
        if scene.out(is_identify) {
            scene.probed(ResourceAnswer::Failed(fault(FaultKind::Refused)));
        }
    }
    assert_eq!(scene.token(again), "a1");
    assert_eq!(scene.now.since(since), secs(20));
}

#[test]
fn a_rejection_whose_probe_is_put_off_returns_at_once() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.advance(secs(2));
    scene.reject(UPLOADER, 1);
    scene.alive();
    scene.advance(secs(2));
    let paused = scene.reject(UPLOADER, 1);
    assert_eq!(scene.reply(paused), Some(&Ok(Reply::Done)), "it was wrong a moment ago");
    let held = scene.get_token(None);
    scene.advance(secs(7));
    assert!(scene.reply(held).is_none() && !scene.out(is_identify));
    scene.advance(secs(1));
    assert!(scene.out(is_identify), "ten seconds after it was wrong");
    scene.probed(ResourceAnswer::Failed(fault(FaultKind::Offline)));
    scene.get_as(client(OTHER));
    let failing = scene.reject(OTHER, 1);
    assert_eq!(scene.error(failing), CallError::Offline);
}

#[test]
fn a_rejection_outlives_a_refresh_that_takes_the_probe_away_and_fails() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.advance(secs(28_800 * 83 / 100));
    // The probe is out when the POST leaves.
    let call = scene.reject(UPLOADER, 1);
    assert!(scene.out(is_identify));
    scene.prepare(PrepareAnswer::Ready);
    assert!(scene.out(is_refresh) && !scene.out(is_identify));
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    let held = scene.get_token(None);
    let other = scene.get_as(client(OTHER));
    scene.advance(secs(9));
    assert!(scene.reply(held).is_none(), "the refresh is out");
    assert_eq!(scene.token(other), "a1");
    scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Refused)));
    assert!(scene.reply(held).is_none(), "and now the probe is");
    scene.probed(ResourceAnswer::Unauthorized);
    assert!(scene.reply(held).is_none(), "refused: no longer served");
    scene.advance(secs(5));
    scene.refresh_to(2);
    assert_eq!(scene.token(held), "a2");
}

#[test]
fn where_nobody_can_be_asked_a_client_gets_the_same_token_once_in_twenty_seconds() {
    let without_probe = Policy {
        can_probe: false,
        ..policy()
    };
    let mut crowd = Crowd::new(Scene::paired().reboot_with(without_probe, true), &thirty());
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
