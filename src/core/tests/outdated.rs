//! An answer tells of the time at which its request left: what came later it does not settle.

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

/// Paired at a server that has one pairing for each device; a request carries the old token when the user, who cancelled the
/// replacement a moment ago, approves it all the same.
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
