//! The client's credentials in a request's header (RFC 6749 §2.3.1).
//!
//! Owns: their encodings. Must never: decide whether they are sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::http::HeaderValue;
use zeroize::Zeroizing;

use c2c_auth_core::Secret;

/// RFC 6749 §2.3.1: id and secret are form-encoded each before RFC 7617 joins them, or a colon in
/// the id would move the border between the two. A tilde stays as it is: to decode it changes
/// nothing, it is in the secrets of Entra ID, and a server that never decodes (glewlwyd) takes no
/// other.
pub(super) fn basic(id: &str, secret: &Secret) -> Option<HeaderValue> {
    let mut line = Zeroizing::new(String::from("Basic "));
    line.push_str(basic_credentials(id, secret).expose());
    let mut value = HeaderValue::from_str(&line).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The credentials of the line, which a server may repeat.
pub(super) fn basic_credentials(id: &str, secret: &Secret) -> Secret {
    let (id, secret) = (encoded(id), encoded(secret.expose()));
    let mut pair = Zeroizing::new(String::with_capacity(id.expose().len() + secret.expose().len() + 1));
    pair.extend([id.expose(), ":", secret.expose()]);
    Secret::new(STANDARD.encode(pair.as_bytes()))
}

/// In a form's encoding, but for the tilde.
pub(super) fn encoded(text: &str) -> Secret {
    let mut to = String::with_capacity(text.len() * 3);
    // Pieces are runs of what is not encoded, or one encoded byte.
    for piece in form_urlencoded::byte_serialize(text.as_bytes()) {
        to.push_str(if piece == "%7E" { "~" } else { piece });
    }
    Secret::new(to)
}
