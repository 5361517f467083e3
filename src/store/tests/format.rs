//! The bytes on disk. What a released version wrote, every later one reads: these vectors never
//! change, new versions add their own. Each was made by another implementation (Python's
//! `cryptography`) from the description in `seal.rs`.

use std::time::Duration;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::fixture::*;
use crate::store::body;
use crate::store::seal::{Defect, Kind, MAX_BODY, MAX_FILE, Sealer};
use c2c_auth_core::{
    AccessToken, Body, BootId, BootTime, DeviceInfo, Generation, GrantId, IntentMark, PairingRecord, Reason, Record,
    RefreshToken, Stamp, TokenPair, WallTime,
};

const NONCE: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

fn sealer() -> Sealer {
    Sealer::new(&key(), identity())
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn holds(
    kind: Kind,
    sequence: u64,
    [json, hex]: [&str; 2],
    written: Option<Zeroizing<Vec<u8>>>,
    is_read: impl FnOnce(&[u8]) -> bool,
) {
    let written = written.unwrap();
    assert_eq!(std::str::from_utf8(&written).unwrap(), json.trim_end());
    let file = from_hex(hex);
    let sealed = sealer().seal(kind, sequence, NONCE, written).unwrap();
    assert_eq!(sealed, file);
    let opened = sealer().open(kind, &file).unwrap();
    assert_eq!(opened.sequence, sequence);
    assert!(is_read(&opened.body));
}

macro_rules! vector {
    ($name:literal) => {
        [
            include_str!(concat!("vectors/", $name, ".json")),
            include_str!(concat!("vectors/", $name, ".hex")),
        ]
    };
}

#[test]
fn the_format_of_a_pairing_never_changes() {
    let record = paired(1);
    holds(
        Kind::Record,
        2,
        vector!("paired"),
        body::write_record(&record),
        |body| body::read_record(body) == Some(record.clone()),
    );
}

#[test]
fn a_record_of_before_the_times_is_read_and_one_with_them_is_written() {
    let [without, _] = vector!("paired");
    let mut record = body::read_record(without.as_bytes()).unwrap();
    let Body::Paired(pairing) = &mut record.body else {
        panic!("{record:?}");
    };
    pairing.paired_since = Some(WallTime::from_secs(1_800_000_000));
    pairing.authorization_expires = Some(WallTime::from_secs(1_800_604_800));
    let written = body::write_record(&record).unwrap();
    let with = without.trim_end().replace(
        "\"}}}}",
        "\"},\"paired-since\":1800000000,\"authorization-expires\":1800604800}}}",
    );
    assert_eq!(std::str::from_utf8(&written).unwrap(), with);
    assert_eq!(body::read_record(&written), Some(record));
}

#[test]
fn the_format_of_a_tombstone_never_changes() {
    let record = tombstone(2);
    holds(
        Kind::Record,
        3,
        vector!("tombstone"),
        body::write_record(&record),
        |body| body::read_record(body) == Some(record.clone()),
    );
}

#[test]
fn the_format_of_revocations_never_changes() {
    let list = vec![revocation(1), revocation(2)];
    holds(
        Kind::Revocations,
        4,
        vector!("revocations"),
        body::write_revocations(&list),
        |body| body::read_revocations(body) == Some(list.clone()),
    );
}

#[test]
fn the_format_of_a_flow_never_changes() {
    holds(Kind::Flow, 5, vector!("flow"), body::write_flow(&flow()), |body| {
        body::read_flow(body) == Some(flow())
    });
}

#[test]
fn every_reason_can_be_stored() {
    for &reason in Reason::ALL {
        let record = Record {
            body: Body::Tombstone(reason),
            ..tombstone(1)
        };
        let written = body::write_record(&record).unwrap();
        assert_eq!(body::read_record(&written), Some(record));
    }
}

#[test]
fn a_body_with_an_unknown_missing_or_surplus_part_is_not_read() {
    let [json, _] = vector!("tombstone");
    assert!(body::read_record(json.as_bytes()).is_some());
    for (part, other) in [
        ("\"grant\":1", "\"grant\":1,\"more\":1"),
        ("\"grant\":1,", ""),
        ("\"grant\":1", "\"grant\":-1"),
        ("\"unpaired\"", "\"no such reason\""),
        ("\"tombstone\"", "\"headstone\""),
        ("}}", "}}{}"),
    ] {
        assert!(json.contains(part));
        assert_eq!(
            body::read_record(json.replacen(part, other, 1).as_bytes()),
            None,
            "{other}"
        );
    }
    let [json, _] = vector!("revocations");
    let three = json.replacen('[', &json.trim_end().replace(']', ","), 1);
    assert_eq!(body::read_revocations(three.as_bytes()).unwrap().len(), 4);
    let five = three.replacen('[', &json.trim_end().replace(']', ","), 1);
    assert_eq!(body::read_revocations(five.as_bytes()), None);
}

#[test]
fn what_is_sealed_is_never_too_large_to_be_opened() {
    let seal = |len| sealer().seal(Kind::Record, 1, NONCE, Zeroizing::new(vec![0; len]));
    let largest = seal(MAX_BODY).unwrap();
    assert_eq!(largest.len(), MAX_FILE);
    assert_eq!(sealer().open(Kind::Record, &largest).unwrap().body.len(), MAX_BODY);
    assert_eq!(seal(MAX_BODY + 1), None);
    let longer = [&largest[..], &[0]].concat();
    assert_eq!(sealer().open(Kind::Record, &longer).err(), Some(Defect::Damaged));
}

#[test]
fn a_body_opens_only_as_what_it_was_sealed() {
    let kinds = [Kind::Record, Kind::Revocations, Kind::Flow];
    for sealed_as in kinds {
        let file = sealer()
            .seal(sealed_as, 1, NONCE, Zeroizing::new(b"body".to_vec()))
            .unwrap();
        for kind in kinds {
            assert_eq!(sealer().open(kind, &file).is_ok(), kind == sealed_as);
        }
        // Nor with magic and version exchanged: they are authenticated.
        for kind in kinds.into_iter().filter(|kind| *kind != sealed_as) {
            let other = sealer().seal(kind, 1, NONCE, Zeroizing::new(Vec::new())).unwrap();
            let forged = [&other[..10], &file[10..]].concat();
            assert_eq!(sealer().open(kind, &forged).err(), Some(Defect::Damaged));
        }
    }
}

fn pairs() -> impl Strategy<Value = TokenPair> {
    let stamp = (any::<[u8; 16]>(), any::<u64>(), any::<Option<u64>>()).prop_map(|(boot, at, wall)| Stamp {
        boot: BootId(boot),
        at: BootTime::from_millis(at),
        wall: wall.map(WallTime::from_secs),
    });
    (
        any::<Option<String>>(),
        any::<Option<String>>(),
        any::<Duration>(),
        stamp,
    )
        .prop_map(|(access, refresh, expires_in, obtained)| TokenPair {
            access: access.map(AccessToken::new),
            refresh: refresh.map(RefreshToken::new),
            expires_in,
            obtained,
        })
}

fn records() -> impl Strategy<Value = Record> {
    let mark = (any::<[u8; 16]>(), any::<u64>(), any::<u32>()).prop_map(|(boot, at, sends)| IntentMark {
        boot: BootId(boot),
        at: BootTime::from_millis(at),
        sends,
    });
    let device = any::<[String; 3]>().prop_map(|[name, project_id, project_name]| DeviceInfo {
        name,
        project_id,
        project_name,
    });
    let times = any::<[Option<u64>; 2]>().prop_map(|times| times.map(|time| time.map(WallTime::from_secs)));
    let pairing = (
        pairs(),
        prop::option::of(mark),
        prop::option::of(pairs()),
        device,
        times,
    );
    (any::<[u64; 2]>(), any::<Option<u64>>(), pairing).prop_map(|([generation, grant], floor, pairing)| Record {
        generation: Generation(generation),
        grant: GrantId(grant),
        floor: floor.map(WallTime::from_secs),
        body: Body::Paired(Box::new(PairingRecord {
            pair: pairing.0,
            mark: pairing.1,
            candidate: pairing.2,
            device: pairing.3,
            paired_since: pairing.4[0],
            authorization_expires: pairing.4[1],
        })),
    })
}

proptest! {
    #[test]
    fn any_record_is_read_as_it_was_written(record in records()) {
        let written = body::write_record(&record).unwrap();
        prop_assert_eq!(body::read_record(&written), Some(record));
    }

    #[test]
    fn any_bytes_may_be_opened(kind in 0..3_usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let kind = [Kind::Record, Kind::Revocations, Kind::Flow][kind];
        prop_assert!(sealer().open(kind, &bytes).is_err());
        prop_assert_eq!(body::read_record(&bytes), None);
        prop_assert_eq!(body::read_flow(&bytes), None);
    }
}
