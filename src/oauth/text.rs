//! Strings of a server, before anybody sees them.

use hyper::http::Uri;
use zeroize::Zeroizing;

use c2c_auth_core::{Secret, TOKEN_MAX, Unusable, WallTime};

/// Longest name shown or stored, in characters: D-Bus, journal and terminal need no more.
const NAME_MAX: usize = 256;

/// Longest sentence of a server in the journal, in characters.
const SENTENCE_MAX: usize = 200;

/// Longest address, in bytes: beyond it no QR code that a phone can read holds it.
const URI_MAX: usize = 2048;

/// A name for people: without what can reorder, hide or control, and capped.
pub(super) fn name(raw: &str) -> String {
    let visible: String = raw.chars().filter(|&c| !is_deceptive(c)).take(NAME_MAX).collect();
    visible.trim().to_owned()
}

/// True if this text holds no part of the secret: no six letters or digits in a row, whatever their
/// case and whatever stands between them.
pub(crate) fn is_free_of(said: &str, secret: &Secret) -> bool {
    const TELLING: usize = 6;
    let bare = |text: &str| -> Zeroizing<Vec<u8>> {
        let letters = text.bytes().filter(u8::is_ascii_alphanumeric);
        Zeroizing::new(letters.map(|byte| byte.to_ascii_lowercase()).collect())
    };
    let (said, secret) = (bare(said), bare(secret.expose()));
    let part = secret.len().min(TELLING);
    part == 0
        || !secret
            .windows(part)
            .any(|part| said.windows(part.len()).any(|window| window == part))
}

/// A server's sentence for people: one line, and nothing at all where it could hold a secret that
/// it was sent. A run of 32 characters may be another.
pub(super) fn sentence(raw: &str, carried: &[&Secret]) -> Option<String> {
    const RUN_MAX: usize = 31;
    let has_run = raw.split_whitespace().any(|run| run.chars().count() > RUN_MAX);
    if has_run || !carried.iter().all(|secret| is_free_of(raw, secret)) {
        return None;
    }
    let line = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    let visible: String = name(&line).chars().take(SENTENCE_MAX).collect();
    (!visible.is_empty()).then_some(visible)
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

/// RFC 3339, whose fraction of a second is dropped; years from 1970 on.
pub(super) fn instant(raw: &str) -> Option<WallTime> {
    let (date, rest) = raw.split_at_checked(10)?;
    let (time, rest) = rest.strip_prefix(['T', 't', ' '])?.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let days_of_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let fits = year >= 1970 && (1..=12).contains(&month) && (1..=days_of_month).contains(&day);
    // 60 is a leap second.
    if !fits || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970, with a year that begins in March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let local = days * 86_400 + hour * 3_600 + minute * 60 + second;
    let utc = local.checked_sub(offset(rest)?)?;
    u64::try_from(utc).ok().map(WallTime::from_secs)
}

/// The distance of an instant's zone from UTC, in seconds, behind a fraction.
fn offset(rest: &str) -> Option<i64> {
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
        None => rest,
    };
    let (sign, zone) = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => return Some(0),
        ("+", zone) => (1, zone),
        ("-", zone) => (-1, zone),
        _ => return None,
    };
    let [hours, minutes] = numbers(zone, ':')?;
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// As many numbers as are asked for, all digits.
fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Option<Vec<i64>> = text
        .split(between)
        .map(|part| digits(part).then(|| part.parse().ok()).flatten())
        .collect();
    parts?.try_into().ok()
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
    fn a_sentence_is_one_short_visible_line_and_repeats_no_secret() {
        let secret = Secret::new("s3cr-3t_W0rd".to_owned());
        let said = |raw: &str| sentence(raw, &[&secret]);
        assert_eq!(
            said("Missing parameter:\r\n\tcode_challenge_method\u{202e}\u{1b}[0m"),
            Some("Missing parameter: code_challenge_method[0m".to_owned())
        );
        assert_eq!(
            said(&"ab ".repeat(300)).map(|line| line.chars().count()),
            Some(SENTENCE_MAX)
        );
        assert_eq!(said(&"a".repeat(31)), Some("a".repeat(31)));
        for bad in [
            "",
            " \u{200b}\n",
            &"a".repeat(32),
            &format!("{} {}", "ab ".repeat(300), "a".repeat(32)),
            "your secret is s3cr-3t_W0rd",
            "s 3 c r 3 t",
            "S3CR3T was wrong",
            "3T-W0RD",
        ] {
            assert_eq!(said(bad), None, "{bad:?}");
        }
        assert_eq!(sentence("the code is ab.", &[&Secret::new("AB".to_owned())]), None);
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
    fn an_instant_is_read_as_rfc_3339_has_it() {
        for (raw, secs) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1994-11-06T08:49:37Z", 784_111_777),
            ("2025-10-23T20:17:41.997130Z", 1_761_250_661),
            ("2025-10-23t22:17:41+02:00", 1_761_250_661),
            ("2025-10-23 14:47:41.5-05:30", 1_761_250_661),
            ("2000-02-29T00:00:00z", 951_782_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(instant(raw), Some(WallTime::from_secs(secs)), "{raw}");
        }
        for bad in [
            "",
            "friday",
            "2025-10-23",
            "2025-10-23T20:17:41",
            "2025-10-23T20:17Z",
            "2025-13-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "2025-10-23T24:00:00Z",
            "2025-10-23T20:17:41.Z",
            "2025-10-23T20:17:41Z ",
            "2025-10-23T20:17:41+2",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "+025-10-23T20:17:41Z",
            "2025-10-23T20:17:41é",
            "1761250661",
        ] {
            assert_eq!(instant(bad), None, "{bad}");
        }
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
