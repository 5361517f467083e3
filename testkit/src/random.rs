//! Made-up identifiers and secrets. Random, so that a canary search cannot hit by accident.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel has entropy");
    bytes
}

/// Random text for a URL or a header: 4 characters for every 3 of `N` bytes.
pub(crate) fn text<const N: usize>() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<N>())
}

/// Six digits, leading zeros included: what a person types.
pub(crate) fn six_digits() -> String {
    format!("{:06}", u32::from_le_bytes(bytes()) % 1_000_000)
}

/// A random (version 4) UUID, the shape of Frame.io's refresh tokens and ids.
pub(crate) fn uuid() -> String {
    let mut raw = u128::from_le_bytes(bytes());
    raw = raw & !(0xf << 76) | (0x4 << 76); // version 4
    raw = raw & !(0x3 << 62) | (0x2 << 62); // variant of RFC 9562
    let hex = format!("{raw:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// At least so many bytes of it.
pub(crate) fn padded(mut text: String, length: usize) -> String {
    text.extend(std::iter::repeat_n('x', length.saturating_sub(text.len())));
    text
}
