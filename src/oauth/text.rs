//! Strings of a server, before anybody sees them.

use hyper::http::Uri;

use c2c_auth_core::{TOKEN_MAX, Unusable};

/// Longest name shown or stored, in characters: D-Bus, journal and terminal need no more.
const NAME_MAX: usize = 256;

/// Longest address, in bytes: beyond it no QR code that a phone can read holds it.
const URI_MAX: usize = 2048;

/// A name for people: without what can reorder, hide or control, and capped.
pub(super) fn name(raw: &str) -> String {
    let visible: String = raw.chars().filter(|&c| !is_deceptive(c)).take(NAME_MAX).collect();
    visible.trim().to_owned()
}

/// A token or code fit for a header, a form and a record: visible ASCII only. RFC 6749 appendix A
/// uses VSCHAR, but a space would split an `Authorization` header.
pub(super) fn credential(raw: &str) -> Result<&str, Unusable> {
    match raw.len() {
        0 => Err(Unusable::Absent),
        1..=TOKEN_MAX if raw.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(raw),
        1..=TOKEN_MAX => Err(Unusable::Characters),
        length => Err(Unusable::TooLong(length)),
    }
}

/// An address that a person may be sent to: absolute, `https`, no user information that could pass
/// for a host.
pub(super) fn https_uri(raw: &str) -> Option<&str> {
    if raw.len() > URI_MAX || !raw.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let uri: Uri = raw.parse().ok()?;
    let authority = uri.authority()?;
    let fits = uri.scheme_str() == Some("https") && !authority.host().is_empty() && !authority.as_str().contains('@');
    fits.then_some(raw)
}

/// Control characters, bidi marks, embeddings and isolates, zero-width and other invisible format
/// characters, line and paragraph separators, and the tag block.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_deceives_and_keep_what_people_write() {
        assert_eq!(name(" Kamera \u{1f3a5} Zoë "), "Kamera \u{1f3a5} Zoë");
        assert_eq!(
            name("a\u{202e}b\u{200b}c\u{2066}d\u{feff}e\u{1b}[31m\0\r\nf\u{85}\u{e0041}"),
            "abcde[31mf"
        );
        assert_eq!(name(&"é".repeat(300)).chars().count(), NAME_MAX);
        assert_eq!(name("\u{200b}\u{2028} \t"), "");
    }

    #[test]
    fn credentials_are_visible_ascii_of_bounded_length() {
        assert_eq!(credential("aZ09-._~+/=!"), Ok("aZ09-._~+/=!"));
        assert_eq!(credential(""), Err(Unusable::Absent));
        for bad in ["a b", "a\nb", "a\u{7f}", "\u{e9}", "a\0"] {
            assert_eq!(credential(bad), Err(Unusable::Characters), "{bad:?}");
        }
        assert!(credential(&"a".repeat(32_768)).is_ok());
        assert_eq!(credential(&"a".repeat(32_769)), Err(Unusable::TooLong(32_769)));
    }

    #[test]
    fn people_are_sent_to_https_addresses_only() {
        for good in ["https://next.frame.io/pair/987654", "https://h:8443/p?code=1"] {
            assert_eq!(https_uri(good), Some(good));
        }
        for bad in [
            "",
            "next.frame.io/pair",
            "/pair",
            "http://next.frame.io/pair",
            "javascript:alert(1)",
            "data:text/html,hi",
            "https://frame.io@evil.example/pair",
            "https://",
            "https://h/a b",
            "https://h/\u{202e}",
            "https://h/\n",
        ] {
            assert_eq!(https_uri(bad), None, "{bad:?}");
        }
        assert_eq!(https_uri(&format!("https://h/{}", "a".repeat(URI_MAX))), None);
    }
}
