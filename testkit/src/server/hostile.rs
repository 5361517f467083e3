//! Strings and numbers made to hurt whoever trusts them, and the edits that put them into answers.

use serde_json::{Number, Value};

use super::fault::{Edit, Wrapping};

/// Strings worth showing to no one. Each is also in the answer of [`Edit::HostileStrings`].
pub const STRINGS: [&str; 6] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{1b}[31m", // clears the terminal, sets its title, colours it
    "\u{202e}txt.exe\u{2066}\u{200f}",        // overrides the direction of text
    "line\r\nSTATUS=owned\nREADY=1",          // a second line in a notification or a log
    "nul\u{0}bell\u{7}del\u{7f}c1\u{85}\u{9b}31m", // control characters of both sets
    "<script>alert(1)</script>&'\"`$(reboot)`;--", // markup and shells
    "\u{feff}\u{200b}\u{ad}\u{e000}\u{fffe}\u{e0041}", // invisible, private, non-characters, tags
];

/// One string with all of [`STRINGS`], and so long that it does not fit anywhere: 64 KiB would hold
/// a few of them.
#[must_use]
pub fn string() -> String {
    let mut all = STRINGS.concat();
    all.extend(std::iter::repeat_n('W', 5000));
    all
}

/// A value in the place of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Junk {
    /// -5.
    Negative,
    /// 0.
    Zero,
    /// 1e308, which no integer holds.
    Huge,
    /// 1e999, which no double holds.
    Infinite,
    /// The string "NaN".
    NanText,
    /// A number as a string.
    Text,
    /// `null`.
    Null,
    /// The key is not there.
    Missing,
}

impl Junk {
    /// Every kind, for tests that try all.
    pub const ALL: [Self; 8] = [
        Self::Negative,
        Self::Zero,
        Self::Huge,
        Self::Infinite,
        Self::NanText,
        Self::Text,
        Self::Null,
        Self::Missing,
    ];

    fn value(self) -> Option<Value> {
        match self {
            Self::Negative => Some(Value::from(-5)),
            Self::Zero => Some(Value::from(0)),
            Self::Huge => Number::from_f64(1e308).map(Value::Number),
            Self::Infinite => Some(Value::from(INFINITE)),
            Self::NanText => Some(Value::from("NaN")),
            Self::Text => Some(Value::from("120")),
            Self::Null => Some(Value::Null),
            Self::Missing => None,
        }
    }
}

// serde_json cannot hold 1e999. The placeholder is replaced in the text.
const INFINITE: &str = "\u{fdd0}infinite";

/// Keys whose strings the client has to send back or is judged by: they stay as they are in
/// [`Edit::HostileStrings`].
const PRECIOUS: [&str; 5] = ["access_token", "refresh_token", "device_code", "token_type", "error"];

/// Writes `body` with `edit` done to it.
pub(super) fn edited(mut body: Value, edit: &Edit) -> String {
    match edit {
        Edit::Remove(key) => drop(body.as_object_mut().and_then(|o| o.remove(*key))),
        Edit::Set(key, value) => {
            if let Some(object) = body.as_object_mut() {
                object.insert((*key).to_owned(), value.clone());
            }
        }
        Edit::Truncate => {
            let mut text = body.to_string();
            let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(middle.unwrap_or_default());
            return text;
        }
        Edit::HostileStrings => replace_strings(&mut body),
        Edit::JunkNumbers(junk) => replace_numbers(&mut body, *junk),
        Edit::Wrapped(Wrapping { mark, member, .. }) => {
            let mut text = body.to_string();
            if !member.is_empty() {
                text = text.replacen('{', &format!("{{{member},"), 1);
            }
            return if *mark { format!("\u{feff}{text}") } else { text };
        }
    }
    body.to_string().replace(&format!("\"{INFINITE}\""), "1e999")
}

fn replace_strings(value: &mut Value) {
    match value {
        Value::String(text) => *text = string(),
        Value::Array(items) => items.iter_mut().for_each(replace_strings),
        Value::Object(fields) => {
            fields
                .iter_mut()
                .filter(|(key, _)| !PRECIOUS.contains(&key.as_str()))
                .for_each(|(_, v)| replace_strings(v));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn replace_numbers(value: &mut Value, junk: Junk) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace_numbers(item, junk)),
        Value::Object(fields) => {
            if junk == Junk::Missing {
                fields.retain(|_, v| !v.is_number());
            }
            fields.values_mut().for_each(|v| replace_numbers(v, junk));
        }
        Value::Number(_) => *value = junk.value().unwrap_or(Value::Null),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn junk_takes_the_place_of_numbers_only() {
        let answer = json!({"expires_in": 120, "name": "x"});
        let junk = |junk| edited(answer.clone(), &Edit::JunkNumbers(junk));
        assert_eq!(junk(Junk::Negative), r#"{"expires_in":-5,"name":"x"}"#);
        assert_eq!(junk(Junk::Infinite), r#"{"expires_in":1e999,"name":"x"}"#);
        assert_eq!(junk(Junk::Missing), r#"{"name":"x"}"#);
    }

    #[test]
    fn hostile_strings_spare_what_must_come_back() {
        let answer = edited(
            json!({"device_code": "d", "user_code": "123456"}),
            &Edit::HostileStrings,
        );
        let answer: Value = serde_json::from_str(&answer).expect("it is still JSON");
        assert_eq!(answer["device_code"], "d");
        assert!(
            answer["user_code"]
                .as_str()
                .is_some_and(|s| s.contains('\u{202e}') && s.len() > 5000)
        );
    }
}
