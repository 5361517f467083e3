#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;

const RAW: [u8; 32] = *b"an example key, 32 bytes of text";
const TEXT: &[u8] = b"YW4gZXhhbXBsZSBrZXksIDMyIGJ5dGVzIG9mIHRleHQ=";

#[test]
fn a_key_is_read_raw_or_as_base64_with_one_newline() {
    for text in [
        RAW.to_vec(),
        TEXT.to_vec(),
        TEXT.strip_suffix(b"=").unwrap().to_vec(),
        [TEXT, b"\n"].concat(),
    ] {
        assert_eq!(StateKey::parse(&text).unwrap().expose(), &RAW);
    }
}

#[test]
fn what_is_no_key_is_refused() {
    for text in [
        &b""[..],
        b"\n",
        &RAW[1..],
        &[&RAW[..], b"\n"].concat(),
        &TEXT[..40],
        &[TEXT, b"\n\n"].concat(),
        &[TEXT, b" "].concat(),
        &[b" ", TEXT].concat(),
        &[TEXT, TEXT].concat(),
        b"YW4gZXhhbXBsZSBrZXksIDMyIGJ5dGVzIG9mIHRleHQgYW5k",
    ] {
        assert_eq!(StateKey::parse(text).unwrap_err(), KeyError::Shape);
    }
}

#[test]
fn a_key_of_zeros_is_refused_as_never_written() {
    assert_eq!(StateKey::parse(&[0; 32]).unwrap_err(), KeyError::Zero);
    assert_eq!(StateKey::parse(&[b'A'; 43]).unwrap_err(), KeyError::Zero);
}

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

proptest! {
    #[test]
    fn anything_may_be_given_as_a_key(text in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = StateKey::parse(&text);
    }
}
