//! Form bodies in both encodings. They hold secrets, so they are built in one allocation that is
//! wiped when dropped.

use bytes::Bytes;
use zeroize::Zeroizing;

/// How a form travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Encoding {
    // RFC 7578.
    #[default]
    Multipart,
    /// `application/x-www-form-urlencoded`, as RFC 6749 appendix B has it.
    Urlencoded,
}

/// Names are ours, or checked by the configuration, and need no escaping. Values are anybody's.
pub(super) type Fields<'a> = [(&'a str, &'a str)];

impl Encoding {
    /// Content type and body.
    pub(super) fn encode(self, fields: &Fields<'_>, entropy: [u8; 16]) -> (String, Bytes) {
        let (kind, body) = match self {
            Self::Multipart => {
                let boundary = boundary(fields, entropy);
                let body = multipart(fields, &boundary);
                (format!("multipart/form-data; boundary={boundary}"), body)
            }
            Self::Urlencoded => ("application/x-www-form-urlencoded".to_owned(), urlencoded(fields)),
        };
        (kind, Bytes::from_owner(body))
    }
}

/// RFC 2046 §5.1.1: the boundary must not occur in any part. Chance forbids it, this makes sure: it
/// grows until no value contains it, and no finite value contains them all.
fn boundary(fields: &Fields<'_>, entropy: [u8; 16]) -> String {
    let mut boundary = format!("c2c{:032x}", u128::from_be_bytes(entropy));
    while fields.iter().any(|(_, value)| value.contains(&boundary)) {
        boundary.push('x');
    }
    boundary
}

fn multipart(fields: &Fields<'_>, boundary: &str) -> Zeroizing<Vec<u8>> {
    // The text around boundary, name and value of a part takes 48 bytes.
    let parts: usize = fields
        .iter()
        .map(|(name, value)| boundary.len() + name.len() + value.len() + 64)
        .sum();
    let mut body = Zeroizing::new(Vec::with_capacity(parts + boundary.len() + 16));
    for (name, value) in fields {
        for piece in [
            "--",
            boundary,
            "\r\ncontent-disposition: form-data; name=\"",
            name,
            "\"\r\n\r\n",
            value,
            "\r\n",
        ] {
            body.extend_from_slice(piece.as_bytes());
        }
    }
    for piece in ["--", boundary, "--\r\n"] {
        body.extend_from_slice(piece.as_bytes());
    }
    body
}

fn urlencoded(fields: &Fields<'_>) -> Zeroizing<Vec<u8>> {
    // A byte takes three at most.
    let most: usize = fields
        .iter()
        .map(|(name, value)| name.len() + value.len() * 3 + 2)
        .sum();
    let mut body = Zeroizing::new(Vec::with_capacity(most));
    for (name, value) in fields {
        if !body.is_empty() {
            body.push(b'&');
        }
        body.extend_from_slice(name.as_bytes());
        body.push(b'=');
        for piece in form_urlencoded::byte_serialize(value.as_bytes()) {
            body.extend_from_slice(piece.as_bytes());
        }
    }
    body
}
