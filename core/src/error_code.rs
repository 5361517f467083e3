//! An error code in the server's own spelling, where no standard gives it a meaning here.
//!
//! It is the one text of a server that reaches the journal. So it is short, of the characters of
//! RFC 6749 §5.2 (no quote, no backslash, no control character), and left out where it repeats a
//! secret.

use zeroize::Zeroizing;

use super::token::Secret;

/// Longest error code that is named. The longest that is known has 31 characters.
const LONGEST: usize = 40;

/// So many letters and digits in a row of a secret tell too much of it. A client secret has dozens,
/// a user code eight at most.
const TELLING: usize = 6;

/// RFC 6749 §5.2 `error`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// `None` where the text is not of the form of an error code, or is longer than any.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=b'~');
        let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed);
        (fits && text.trim() == text).then(|| Self(text.to_owned()))
    }

    /// The code, or nothing where it repeats this secret or a part of it. Letters and digits alone
    /// are compared, whatever their case: a user code may be repeated without its dash.
    #[must_use]
    pub fn unless_it_repeats(self, secret: &Secret) -> Option<Self> {
        let bare = |text: &str| Zeroizing::new(text.bytes().filter(u8::is_ascii_alphanumeric).collect::<Vec<_>>());
        let (secret, code) = (bare(secret.expose()), bare(&self.0));
        let contains = |text: &[u8], part: &[u8]| {
            let mut windows = text.windows(part.len().max(1));
            !part.is_empty() && windows.any(|window| window.eq_ignore_ascii_case(part))
        };
        let repeats = contains(&code, &secret)
            || contains(&secret, &code)
            || code.windows(TELLING).any(|part| contains(&secret, part));
        (!repeats).then_some(self)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_code_is_short_and_of_the_characters_of_the_rfc() {
        for good in ["bad_verification_code", "E", "urn:x/y z!", &"e".repeat(LONGEST)] {
            assert_eq!(ErrorCode::new(good).expect("it is of the form").as_str(), good);
        }
        for bad in [
            "",
            " ",
            "e ",
            "a\"b",
            "a\\b",
            "a\nb",
            "a\u{7f}",
            "é",
            &"e".repeat(LONGEST + 1),
        ] {
            assert_eq!(ErrorCode::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_error_code_that_repeats_a_secret_is_left_out() {
        let secret = Secret::new("0123-4567".to_owned());
        for echo in ["bad code 0123-4567", "0123-4567", "4567"] {
            assert_eq!(
                ErrorCode::new(echo)
                    .expect("it is of the form")
                    .unless_it_repeats(&secret),
                None,
                "{echo}"
            );
        }
        let client = Secret::new("Example client Secret of some length".to_owned());
        for echo in ["bad secret example CLIENT", "lengt", "unknown tsecreto"] {
            let code = ErrorCode::new(echo).expect("it is of the form");
            assert_eq!(code.unless_it_repeats(&client), None, "{echo}");
        }
        let dashed = Secret::new("ABCD-EFGH".to_owned());
        let code = ErrorCode::new("unknown code abcdefgh").expect("it is of the form");
        assert_eq!(code.unless_it_repeats(&dashed), None);
        let code = ErrorCode::new("bad_code_0123").expect("it is of the form");
        assert!(code.clone().unless_it_repeats(&secret).is_some());
        assert!(code.unless_it_repeats(&Secret::new(String::new())).is_some());
    }
}
