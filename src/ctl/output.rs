//! The output of the tool: results on standard output, everything else on standard error.
//!
//! Names of files, texts of a server and what the bus brings are other people's. Must never: let
//! one of them command the terminal that it is printed on, which is often root's.

use std::io::{self, Write};

use super::exit::Failure;

/// Characters that move the cursor, change the colour, answer in the user's place, or reverse the
/// order of what follows.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_escaped(c) {
            out.push_str(&escape(c));
        } else {
            out.push(c);
        }
        out
    })
}

fn is_unsafe_in_text(c: char) -> bool {
    is_unsafe(c) && c != '\n'
}

/// A name or a word from elsewhere, as part of a line.
pub(super) fn one_line(text: &str) -> String {
    escaped(text, is_unsafe, |c| c.escape_unicode().to_string())
}

/// A text whose line breaks are ours.
pub(super) fn printable(text: &str) -> String {
    escaped(text, is_unsafe_in_text, |c| c.escape_unicode().to_string())
}

pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_raw(&printable(text))
}

/// Prints what is meant to reach the reader byte by byte: a token, a drawing.
pub(super) fn print_raw(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::failed(format!("standard output: {error}")))
}

/// Prints a result for people or programs, and what is to be known beside it.
pub(super) fn tell(
    value: &impl serde::Serialize,
    json: bool,
    text: impl FnOnce() -> String,
    warnings: &[String],
) -> Result<(), Failure> {
    print(&if json { to_json(value)? } else { text() })?;
    warned(warnings);
    Ok(())
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|text| json_escaped(&text) + "\n")
        .map_err(|error| Failure::failed(format!("no JSON: {error}")))
}

/// JSON itself escapes the control characters of ASCII alone. The others mean as much to a
/// terminal.
pub(super) fn json_escaped(json: &str) -> String {
    escaped(json, is_unsafe_in_text, |c| format!("\\u{:04x}", u32::from(c)))
}

pub(super) fn warned<'a>(warnings: impl IntoIterator<Item = &'a String>) {
    for warning in warnings {
        note(&format!("warning: {}", one_line(warning)));
    }
}

/// Something beside the result. If nobody reads it, nothing is lost.
pub(super) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_shown_and_not_obeyed() {
        for (from, shown) in [
            ("a\u{1b}]0;owned\u{7}b", "a\\u{1b}]0;owned\\u{7}b"),
            ("a\rb\tc\u{8}", "a\\u{d}b\\u{9}c\\u{8}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("gpj.\u{202e}exe\u{2066}\u{2028}", "gpj.\\u{202e}exe\\u{2066}\\u{2028}"),
            ("Übung “7” – ✓", "Übung “7” – ✓"),
        ] {
            assert_eq!(printable(from), shown);
            assert_eq!(one_line(from), shown);
        }
        assert_eq!(printable("a\nb"), "a\nb");
        assert_eq!(one_line("a\nb"), "a\\u{a}b");
    }

    #[test]
    fn json_stays_json_and_holds_nothing_that_a_terminal_obeys() {
        let value = serde_json::json!({ "name": "a\u{1b}\u{9b}\u{7f}\u{202e}\n" });
        let text = to_json(&value).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(!text.chars().any(is_unsafe_in_text), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
    }
}
