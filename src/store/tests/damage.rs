//! Whatever happens to the bytes on disk: no panic, and never a record that was not written.

use std::fs;

use proptest::prelude::*;

use super::fixture::*;
use c2c_auth_core::{Loaded, Store as Write};

#[derive(Clone, Debug)]
enum Harm {
    Flip(prop::sample::Index, u8),
    Truncate(prop::sample::Index),
    Grow(Vec<u8>),
    Zero(prop::sample::Index, u16),
    Replace(Vec<u8>),
}

fn harm() -> impl Strategy<Value = Harm> {
    let some = || any::<prop::sample::Index>();
    prop_oneof![
        4 => (some(), 0_u8..8).prop_map(|(at, bit)| Harm::Flip(at, bit)),
        1 => some().prop_map(Harm::Truncate),
        1 => prop::collection::vec(any::<u8>(), 1..40).prop_map(Harm::Grow),
        1 => (some(), any::<u16>()).prop_map(|(from, len)| Harm::Zero(from, len)),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Harm::Replace),
    ]
}

fn inflict(harm: Harm, bytes: &mut Vec<u8>) {
    match harm {
        Harm::Flip(at, bit) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        Harm::Truncate(at) => bytes.truncate(at.index(bytes.len())),
        Harm::Grow(more) => bytes.extend(more),
        Harm::Zero(from, len) => {
            let from = from.index(bytes.len());
            let to = bytes.len().min(from + usize::from(len));
            bytes[from..to].fill(0);
        }
        Harm::Replace(all) => *bytes = all,
    }
}

/// Returns whether anything changed: the middle of a nonce may be zero already.
fn harmed(device: &Device, name: &str, harm: Harm) -> bool {
    let before = fs::read(device.file(name)).unwrap();
    device.edit(name, |bytes| inflict(harm, bytes));
    fs::read(device.file(name)).unwrap() != before
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn one_harmed_generation_leaves_the_other_in_doubt(newest: bool, harm in harm()) {
        let device = Device::with(&[one(paired(1)), one(paired(2))]);
        let (name, other) = if newest { ("record.1", 1) } else { ("record.0", 2) };
        prop_assume!(harmed(&device, name, harm));
        prop_assert_eq!(device.loaded(), Loaded::Previous(paired(other)));
        device.write(&[one(paired(3))]);
        prop_assert_eq!(device.loaded(), Loaded::Current(paired(3)));
    }

    #[test]
    fn two_harmed_generations_are_never_used(first in harm(), second in harm()) {
        let device = Device::with(&[one(paired(1)), one(paired(2))]);
        prop_assume!(harmed(&device, "record.0", first) & harmed(&device, "record.1", second));
        // A harmed key id looks like another key, and cannot be told from one.
        prop_assert!(matches!(device.loaded(), Loaded::Damaged | Loaded::KeyUnavailable));
    }

    #[test]
    fn harmed_revocations_and_flows_are_never_used(harm in harm()) {
        let device = Device::with(&[Write::Revocations(vec![revocation(1)]), flow_write(flow())]);
        prop_assume!(harmed(&device, "revocations", harm.clone()));
        let mut bytes = fs::read(device.run_file("flow")).unwrap();
        let before = bytes.clone();
        inflict(harm, &mut bytes);
        prop_assume!(bytes != before);
        fs::write(device.run_file("flow"), bytes).unwrap();
        prop_assert_eq!(device.open().1, stored(Loaded::Missing));
    }
}

/// Exhaustive where chance would miss: each bit of header and tag, and a good part of the body.
#[test]
fn no_flipped_bit_of_the_header_goes_unnoticed() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    let good = fs::read(device.file("record.1")).unwrap();
    for at in (0..120).chain(good.len() - 16..good.len()) {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            fs::write(device.file("record.1"), bytes).unwrap();
            assert_eq!(device.loaded(), Loaded::Previous(paired(1)), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_record_cut_off_anywhere_goes_unused() {
    let device = Device::with(&[one(paired(1)), one(paired(2))]);
    let good = fs::read(device.file("record.1")).unwrap();
    for len in 0..good.len() {
        fs::write(device.file("record.1"), &good[..len]).unwrap();
        assert_eq!(device.loaded(), Loaded::Previous(paired(1)), "{len} bytes");
    }
}
