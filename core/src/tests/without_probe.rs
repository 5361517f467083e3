//! `RejectAccessToken` where nobody can be asked: a client's word is worth one refresh within the
//! limit, and nothing else.

use super::*;

/// Where there is no resource to ask, as at the standard kinds.
fn without_probe() -> Policy {
    Policy {
        can_probe: false,
        ..policy()
    }
}

/// Paired, and both uploaders hold generation 1.
fn handed() -> Scene {
    let mut scene = Scene::paired().reboot_with(without_probe(), true);
    for caller in [UPLOADER, OTHER] {
        assert_eq!(fetched(&mut scene, caller), "a1");
    }
    scene
}

fn asks(scene: &mut Scene, caller: u32) -> CallId {
    scene.get_as(client(caller))
}

/// The token that this caller gets at once.
fn fetched(scene: &mut Scene, caller: u32) -> String {
    let call = asks(scene, caller);
    scene.token(call).to_owned()
}

/// Whether a refresh begins within the longest pause that retries have while the token serves.
fn soon(scene: &mut Scene) -> bool {
    (0..15 * 60).any(|_| {
        scene.advance(secs(1));
        scene.out(is_prepare)
    })
}

fn rejects(scene: &mut Scene, caller: u32, generation: u64) {
    let call = scene.reject(caller, generation);
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn a_rejection_does_not_decide_which_of_two_pairs_lives() {
    let answers = [(RefreshAnswer::Granted(grant(3)), "a3"), (RefreshAnswer::Dead, "a2")];
    for (answer, survivor) in answers {
        let mut scene = Scene::paired().reboot_with(without_probe(), true);
        scene.start_pairing(true);
        scene.show_code();
        scene.advance(secs(5));
        scene.call(Command::CancelPairing);
        scene.poll(PollAnswer::Granted(grant(2)));
        assert!(scene.on_disk().candidate.is_some());
        let handed = scene.get_token(None);
        assert_eq!(scene.token(handed), "a1");
        let call = scene.reject(UPLOADER, 1);
        assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
        assert_eq!(scene.access_on_disk(), "a1", "the cancelled pair waits");
        scene.prepare(PrepareAnswer::Ready);
        scene.refresh(answer);
        assert_eq!(scene.access_on_disk(), survivor);
        assert!(scene.on_disk().candidate.is_none());
    }
}

#[test]
fn who_rejected_waits_for_the_next_token_and_nobody_else_does() {
    let mut scene = handed();
    rejects(&mut scene, UPLOADER, 1);
    let waiting = asks(&mut scene, UPLOADER);
    assert!(scene.reply(waiting).is_none(), "the next one is on its way");
    assert_eq!(fetched(&mut scene, OTHER), "a1");
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(scene.token(waiting), "a2");
    assert_eq!(fetched(&mut scene, OTHER), "a2");
}

#[test]
fn a_rejected_token_serves_on_while_no_other_can_be_had() {
    let mut scene = handed();
    rejects(&mut scene, UPLOADER, 1);
    let waiting = asks(&mut scene, UPLOADER);
    scene.prepare(PrepareAnswer::Failed(fault(FaultKind::Offline)));
    assert_eq!(scene.token(waiting), "a1", "better than an error");
    assert_eq!(fetched(&mut scene, OTHER), "a1");
    assert!(soon(&mut scene), "the wish outlives the failure");
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(fetched(&mut scene, UPLOADER), "a2");
}

#[test]
fn who_insists_takes_the_token_from_nobody() {
    let mut scene = handed();
    rejects(&mut scene, UPLOADER, 1);
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    for _ in 0..3 {
        assert_eq!(fetched(&mut scene, UPLOADER), "a2");
        rejects(&mut scene, UPLOADER, 2);
        scene.advance(secs(60));
        assert!(!scene.out(is_prepare), "within the limit");
        assert_eq!(fetched(&mut scene, OTHER), "a2");
    }
    scene.advance(secs(600 - 180));
    assert!(scene.out(is_prepare), "delayed, never forgotten");
}

#[test]
fn a_rejection_outlives_the_failure_of_a_refresh_that_was_out() {
    for rejected in [false, true] {
        // Nothing but a caller, or a rejection, starts a refresh.
        let mut scene = Scene::paired().reboot_with(
            Policy {
                refresh: RefreshMode::OnDemand,
                ..without_probe()
            },
            true,
        );
        scene.advance(secs(28_800 * 80 / 100));
        let short = scene.get_token(Some(secs(7_200)));
        scene.prepare(PrepareAnswer::Ready);
        assert!(scene.out(is_refresh));
        if rejected {
            rejects(&mut scene, UPLOADER, 1);
        }
        // Later than the caller can wait for.
        let refused = Fault {
            retry_after: Some(secs(60)),
            ..fault(FaultKind::Refused)
        };
        scene.refresh(RefreshAnswer::Failed(refused));
        assert!(scene.reply(short).is_some());
        assert_eq!(soon(&mut scene), rejected);
    }
}

#[test]
fn a_token_that_nobody_rejected_until_its_ordinary_refresh_ends_the_doubling() {
    let mut scene = handed();
    let renewed = |scene: &mut Scene, generation: u32| {
        scene.prepare(PrepareAnswer::Ready);
        scene.refresh(RefreshAnswer::Granted(grant(generation)));
        assert_eq!(fetched(scene, UPLOADER), format!("a{generation}"));
    };
    let waited = |scene: &mut Scene, generation: u64| {
        let since = scene.now;
        rejects(scene, UPLOADER, generation);
        while !scene.out(is_prepare) {
            scene.advance(secs(1));
        }
        scene.now.since(since)
    };
    waited(&mut scene, 1);
    renewed(&mut scene, 2);
    assert_eq!(waited(&mut scene, 2), secs(600));
    renewed(&mut scene, 3);
    scene.advance(secs(28_800 * 83 / 100));
    renewed(&mut scene, 4);
    waited(&mut scene, 4);
    renewed(&mut scene, 5);
    assert_eq!(waited(&mut scene, 5), secs(600), "as if for the first time");
}

#[test]
fn a_rejection_ends_no_pairing_that_cannot_be_refreshed() {
    let mut paired = Scene::paired();
    if let Body::Paired(pairing) = &mut paired.record.as_mut().unwrap().body {
        pairing.pair.refresh = None;
    }
    let mut scene = paired.reboot_with(without_probe(), true);
    let before = scene.core.snapshot().clone();
    for caller in [UPLOADER, OTHER] {
        assert_eq!(fetched(&mut scene, caller), "a1");
        rejects(&mut scene, caller, 1);
        rejects(&mut scene, caller, 1);
    }
    assert_eq!(fetched(&mut scene, UPLOADER), "a1");
    assert_eq!(*scene.core.snapshot(), before);
    assert_eq!(scene.access_on_disk(), "a1");
    let told = scene
        .notes
        .iter()
        .filter(|note| matches!(note, Note::RejectionUnchecked { .. }))
        .count();
    assert_eq!(told, 2, "once for each of the two callers");
}

/// Seconds until the next resend, after as many lost answers; `rejected` each time by that caller.
fn resends(rejected: [Option<u32>; 5]) -> Vec<u64> {
    let mut scene = handed();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    let mut waits = vec![];
    for caller in rejected {
        scene.refresh(RefreshAnswer::Failed(fault(FaultKind::Lost)));
        let lost = scene.now;
        if let Some(caller) = caller {
            rejects(&mut scene, caller, 1);
        }
        while !scene.out(is_prepare) {
            scene.advance(secs(1));
        }
        waits.push(scene.now.since(lost).as_secs());
        scene.prepare(PrepareAnswer::Ready);
    }
    waits
}

#[test]
fn a_rejection_after_a_lost_answer_hastens_one_resend_and_no_client_sets_the_pace() {
    let patient = resends([None; 5]);
    assert!(patient[3] >= 320 && patient[4] >= 640, "{patient:?}");
    let hastened = resends([None, None, None, Some(UPLOADER), Some(OTHER)]);
    assert_eq!(hastened[..3], patient[..3]);
    assert!((40..320).contains(&hastened[3]), "{hastened:?}");
    assert!(hastened[4] >= 640, "{hastened:?}");
}
