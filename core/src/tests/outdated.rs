//! An answer tells of the time at which its request left: what came later it does not settle.

use super::refreshing::sent;
use super::*;

#[test]
fn only_what_left_after_a_rejection_answers_it() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.advance(secs(6));
    let first = scene.reject(UPLOADER, 1);
    scene.get_as(client(OTHER));
    let second = scene.reject(OTHER, 1);
    let waiting = scene.get_as(client(OTHER));
    // Taken before the second rejection: that may be true all the same.
    scene.alive();
    assert_eq!(scene.reply(first), Some(&Ok(Reply::Done)));
    assert!(scene.reply(second).is_none() && scene.reply(waiting).is_none());
    let named = |scene: &Scene, caller| {
        let generation = Generation(1);
        scene.notes.contains(&Note::RejectionUnfounded { caller, generation })
    };
    assert!(
        named(&scene, UPLOADER) && !named(&scene, OTHER),
        "nobody is named on the strength of an older answer"
    );
    assert!(!scene.out(is_identify), "a second apart");
    scene.advance(secs(1));
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(scene.reply(second), Some(&Ok(Reply::Done)));
    scene.refresh_to(2);
    assert_eq!(scene.token(waiting), "a2");
    assert!(!named(&scene, OTHER));
}

#[test]
fn the_generation_that_a_caller_named_is_the_one_in_the_journal() {
    let mut scene = Scene::paired();
    scene.get_token(None);
    scene.start_pairing(true);
    scene.show_code();
    scene.advance(secs(5));
    scene.reject(UPLOADER, 1);
    // The replacement has its number, and is not yet on disk.
    scene.hold_stores = true;
    scene.poll(PollAnswer::Granted(grant(2)));
    scene.alive();
    let named: Vec<_> = scene
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::RejectionUnfounded { caller, generation } => Some((*caller, generation.0)),
            _ => None,
        })
        .collect();
    assert_eq!(named, [(UPLOADER, 1)]);
}

/// Paired at a server that has one pairing for each device; a request carries the old token when
/// the user, who cancelled the replacement a moment ago, approves it all the same.
fn crossed() -> Scene {
    let mut scene = Scene::paired_with(Policy {
        heartbeat: Some(secs(120)),
        ..policy()
    });
    scene.advance(secs(112));
    scene.start_pairing(true);
    scene.show_code();
    scene.advance(secs(5));
    scene.call(Command::CancelPairing);
    scene.advance(secs(5));
    assert!(scene.out(is_heartbeat));
    scene.poll(PollAnswer::Granted(grant(2)));
    assert!(scene.on_disk().candidate.is_some());
    scene
}

fn beats(scene: &mut Scene, answer: ResourceAnswer) {
    scene.answer(is_heartbeat, Answer::Resource(answer));
}

#[test]
fn a_2xx_that_left_before_a_second_pair_came_does_not_drop_it() {
    let mut scene = crossed();
    beats(&mut scene, ResourceAnswer::Alive(None));
    assert!(
        scene.on_disk().candidate.is_some(),
        "the approval may have ended the first"
    );
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(scene.access_on_disk(), "a2");
    assert!(scene.core.snapshot().paired);

    let mut scene = crossed();
    beats(&mut scene, ResourceAnswer::Alive(None));
    scene.alive();
    assert!(scene.on_disk().candidate.is_none(), "taken after the second came");
    assert_eq!(scene.access_on_disk(), "a1");
}

#[test]
fn a_401_that_left_before_a_second_pair_came_does_not_adopt_it() {
    let mut scene = crossed();
    scene.get_token(None);
    beats(&mut scene, ResourceAnswer::Unauthorized);
    assert_eq!(scene.access_on_disk(), "a1");
    assert!(scene.on_disk().candidate.is_some());
    scene.alive();
    assert!(scene.on_disk().candidate.is_none());
    assert_eq!(scene.access_on_disk(), "a1");
    let call = scene.get_token(None);
    assert_eq!(scene.token(call), "a1");
}

#[test]
fn a_failure_that_left_before_a_second_pair_came_is_followed_by_a_probe() {
    let mut scene = crossed();
    beats(&mut scene, ResourceAnswer::Failed(fault(FaultKind::Lost)));
    scene.advance(secs(15));
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(scene.access_on_disk(), "a2");
}

/// A refresh is out when the user, who cancelled the replacement a moment ago, approves it all the
/// same.
fn approved_while_a_refresh_is_out(mut scene: Scene) -> Scene {
    assert!(scene.out(is_refresh));
    scene.start_pairing(true);
    scene.show_code();
    scene.advance(secs(5));
    scene.call(Command::CancelPairing);
    scene.poll(PollAnswer::Granted(grant(3)));
    assert!(scene.on_disk().candidate.is_some());
    scene
}

#[test]
fn a_refresh_that_left_before_a_second_pair_came_does_not_drop_it() {
    let mut scene = approved_while_a_refresh_is_out(sent());
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(scene.access_on_disk(), "a2");
    assert!(
        scene.on_disk().candidate.is_some(),
        "the approval may have ended what the refresh brought"
    );
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(scene.access_on_disk(), "a3");
    assert!(scene.core.snapshot().paired);

    let mut scene = approved_while_a_refresh_is_out(sent());
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    let mut scene = scene.restart();
    scene.alive();
    assert_eq!(scene.access_on_disk(), "a2");
    assert!(scene.on_disk().candidate.is_none(), "taken after the second came");
}

#[test]
fn nor_does_it_after_an_unpairing_that_failed() {
    let mut scene = approved_while_a_refresh_is_out(sent());
    scene.disk_works = false;
    let call = scene.call(Command::Unpair);
    assert_eq!(scene.error(call), CallError::StorageFailed);
    scene.disk_works = true;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert!(scene.on_disk().candidate.is_some());

    // The answer comes while the tombstone is being written.
    let mut scene = approved_while_a_refresh_is_out(sent());
    (scene.disk_works, scene.hold_stores) = (false, true);
    let call = scene.call(Command::Unpair);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    while scene.reply(call).is_none() {
        scene.finish_store();
    }
    assert_eq!(scene.error(call), CallError::StorageFailed);
    (scene.disk_works, scene.hold_stores) = (true, false);
    scene.event(Event::Tick);
    scene.probed(ResourceAnswer::Unauthorized);
    assert_eq!(scene.access_on_disk(), "a3");
}

#[test]
fn where_nobody_can_be_asked_the_next_refresh_settles_it() {
    let mut scene = Scene::paired().reboot_with(
        Policy {
            can_probe: false,
            ..policy()
        },
        true,
    );
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    let mut scene = approved_while_a_refresh_is_out(scene);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(scene.access_on_disk(), "a2");
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Dead);
    assert_eq!(scene.access_on_disk(), "a3");
}

#[test]
fn a_refresh_that_left_after_a_second_pair_came_drops_it() {
    let mut scene = Scene::paired();
    scene.start_pairing(true);
    scene.show_code();
    scene.advance(secs(5));
    scene.call(Command::CancelPairing);
    scene.poll(PollAnswer::Granted(grant(3)));
    while !scene.out(is_prepare) {
        if scene.out(is_identify) {
            scene.unsettled();
        }
        scene.advance(secs(60));
    }
    assert!(scene.on_disk().candidate.is_some());
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(scene.access_on_disk(), "a2");
    assert!(scene.on_disk().candidate.is_none());
}
