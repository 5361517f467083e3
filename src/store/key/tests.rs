#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const RAW: [u8; 32] = *b"an example key, 32 bytes of text";

#[test]
fn a_key_prints_nothing_of_itself() {
    assert_eq!(format!("{:?}", StateKey::from_bytes(RAW)), "StateKey([redacted])");
}

#[test]
fn an_identity_does_not_run_together() {
    let one = Identity::new("oauth-device", "https://a.example", "unit-1");
    assert_eq!(one, Identity::new("oauth-device", "https://a.example", "unit-1"));
    for other in [
        Identity::new("oauth-devic", "ehttps://a.example", "unit-1"),
        Identity::new("oauth-device", "https://a.exampleunit-1", ""),
        Identity::new("oauth-device", "https://a.example", "unit-2"),
        Identity::new("frameio-c2c", "https://a.example", "unit-1"),
    ] {
        assert_ne!(one, other);
    }
}

/// Another value here would make every record in the field foreign.
#[test]
fn an_identity_never_changes() {
    let identity = Identity::new("frameio-c2c", "https://api.frame.io", "SN-000123");
    let expected = "
        98 b7 72 6b b1 42 02 0b 3c cb 7e 13 91 9c 2a bd
        73 a2 91 64 03 bc f3 e3 9e 57 06 44 ee be bb 6e
    ";
    let expected: Vec<_> = expected
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(identity.bytes()[..], expected);
}
