//! The disk: what is written again, when, and what callers notice of it.

use super::refreshing::sent;
use super::*;

/// A pair that the disk did not take, in memory and in the runtime directory.
fn spilled() -> Scene {
    let mut scene = sent();
    scene.disk_works = false;
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.alive();
    assert_eq!(scene.stored().kept, Kept::Spilled);
    scene
}

fn start(stored: Stored, at: BootTime) -> Scene {
    Scene::start(policy(), Provisioning::Ready, stored, BOOT, at.as_millis() + 1, true)
}

fn failures(scene: &Scene) -> usize {
    scene.notes.iter().filter(|note| **note == Note::StoreFailed).count()
}

#[test]
fn a_pair_from_the_runtime_directory_is_written_to_the_disk_at_once_and_once() {
    let restarted = spilled().restart();
    assert!(restarted.notes.contains(&Note::RecordSpilled { doubted: false }));
    assert_eq!(restarted.access_on_disk(), "a2");
    assert_eq!(restarted.durable().kept, Kept::Twice);
    assert_eq!(restarted.spill, None);
    let mut again = restarted.reboot(true);
    assert_eq!(again.stores, 0, "where all is well nothing is written");
    again.alive();
    let call = again.get_token(None);
    assert_eq!(again.token(call), "a2");
}

#[test]
fn what_one_generation_alone_holds_is_written_to_the_other_at_once_and_once() {
    let mut paired = Scene::paired();
    let mut unpaired = Scene::paired();
    unpaired.call(Command::Unpair);
    for scene in [&mut paired, &mut unpaired] {
        let torn = Stored {
            kept: Kept::Once,
            ..scene.stored()
        };
        let restarted = start(torn, scene.now);
        assert_eq!(restarted.record, scene.record);
        assert_eq!(restarted.stored().kept, Kept::Twice);
        assert_eq!(restarted.notes, [], "nobody need know");
        assert_eq!(restarted.reboot(true).stores, 0);
    }
}

#[test]
fn a_disk_that_still_fails_after_the_restart_is_told_and_tried_until_it_works() {
    let spilled = spilled();
    let mut restarted = Scene::failing(spilled.stored(), spilled.now);
    assert_eq!(failures(&restarted), 1);
    let last_error = |scene: &Scene| scene.core.snapshot().last_error.map(|(word, _)| word);
    assert_eq!(last_error(&restarted), Some(ErrorWord::StorageFailed));
    restarted.alive();
    let call = restarted.get_token(None);
    assert_eq!(restarted.token(call), "a2", "served all the same");
    let before = restarted.stores;
    restarted.advance(secs(3600));
    assert!(restarted.stores > before + 30, "{}", restarted.stores - before);
    assert_eq!(failures(&restarted), 1, "and told once");
    assert_eq!(restarted.stored().kept, Kept::Spilled);
    restarted.disk_works = true;
    restarted.advance(secs(120));
    assert_eq!(restarted.durable().kept, Kept::Twice);
    assert_eq!(restarted.access_on_disk(), "a2");
    assert!(restarted.notes.contains(&Note::StoreRecovered));
}

#[test]
fn a_pair_from_the_runtime_directory_beside_damaged_records_is_kept_and_doubted() {
    let scene = spilled();
    let mut stored = scene.stored();
    if let Loaded::Current(record) = stored.record {
        stored.record = Loaded::Previous(record);
    }
    let restarted = start(stored, scene.now);
    assert_eq!(restarted.notes, [Note::RecordSpilled { doubted: true }]);
    assert!(restarted.core.snapshot().paired);
    assert_eq!(restarted.durable().kept, Kept::Twice);
    assert_eq!(restarted.access_on_disk(), "a2");
    assert!(restarted.on_disk().mark.is_some(), "one of the two may have been newer");
}
