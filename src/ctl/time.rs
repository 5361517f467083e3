//! Instants and spans of time, in words for people.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 by the system's clock.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// RFC 3339. Days to date after H. Hinnant's `civil_from_days`.
pub(super) fn utc(secs: u64) -> String {
    let (days, second) = (secs / 86_400, secs % 86_400);
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// A span of seconds in its largest units, at most so many of them.
pub(super) fn span(seconds: u64, units: usize) -> String {
    let mut rest = seconds;
    let counted = [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)].map(|(unit, size)| {
        let count = rest / size;
        rest %= size;
        (count, unit)
    });
    let told = counted.iter().skip_while(|(count, _)| *count == 0).take(units);
    let told = told.filter(|(count, _)| *count > 0);
    let told = told.map(|(count, unit)| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" }));
    told.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_793_491_200), "2026-11-01T00:00:00Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[test]
    fn a_span_is_told_in_its_largest_units() {
        for (seconds, one, two) in [
            (59, "59 seconds", "59 seconds"),
            (61, "1 minute", "1 minute 1 second"),
            (600, "10 minutes", "10 minutes"),
            (7_260, "2 hours", "2 hours 1 minute"),
            (86_405, "1 day", "1 day"),
            (1_572_800, "18 days", "18 days 4 hours"),
        ] {
            assert_eq!((&*span(seconds, 1), &*span(seconds, 2)), (one, two));
        }
    }
}
