//! Durations: a number and its unit, never a bare number.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer};

use super::{Text, TextVisitor};

/// Reads a duration: a whole number and one of the units `ms`, `s`, `min`, `h`, `d`.
///
/// # Errors
/// A sentence for people that says how a duration is written.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (number, unit) = (digits, text[digits.len()..].trim_start());
    let wrong =
        |why: &str| format!("{text:?} is not a duration: {why}; write for example \"90s\", \"10min\" or \"2h\"");
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong("it must be a whole number and a unit"));
    }
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => return Err(wrong("the unit is missing")),
        // "m" means a month to some and a minute to others, and nobody would notice a wrong guess.
        "m" => return Err(wrong("\"m\" could be minutes or months")),
        _ => return Err(wrong("the units are ms, s, min, h and d")),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis))
        .map(Duration::from_millis)
        .ok_or_else(|| wrong("the number is too large"))
}

/// Writes a duration as [`duration`] reads it, in the largest unit that is exact.
#[must_use]
pub(crate) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)]
        .into_iter()
        .find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit))
        .map_or_else(
            || {
                if millis == 0 {
                    "0s".to_owned()
                } else {
                    format!("{millis}ms")
                }
            },
            |(name, unit)| format!("{}{name}", millis / unit),
        )
}

/// A duration of `MIN` to `MAX` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Between<const MIN: u64, const MAX: u64>(pub(in crate::config) Duration);

impl<const MIN: u64, const MAX: u64> Text for Between<MIN, MAX> {
    const EXPECTED: &'static str = "a duration in quotation marks, such as \"90s\" or \"10min\"";

    fn read(text: &str) -> Result<Self, String> {
        let (min, max) = (Duration::from_secs(MIN), Duration::from_secs(MAX));
        let read = duration(text)?;
        if (min..=max).contains(&read) {
            Ok(Self(read))
        } else {
            let (min, max) = (duration_text(min), duration_text(max));
            Err(format!(
                "{text:?} is out of range; it must lie between \"{min}\" and \"{max}\""
            ))
        }
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Between<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(std::marker::PhantomData))
    }
}
