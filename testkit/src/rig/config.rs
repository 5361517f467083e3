//! The daemon's configuration file, as a test writes it.

use std::{collections::BTreeMap, fmt::Write as _};

/// Sections, keys and values of a `config.toml`, one level deep as the daemon's is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config(BTreeMap<String, BTreeMap<String, String>>);

/// A TOML value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value(String);

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(quoted(text))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self(truth.to_string())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self(number.to_string())
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(items: [&str; N]) -> Self {
        Self(format!("[{}]", items.map(quoted).join(", ")))
    }
}

impl From<&[String]> for Value {
    fn from(items: &[String]) -> Self {
        Self(format!(
            "[{}]",
            items.iter().map(|i| quoted(i)).collect::<Vec<_>>().join(", ")
        ))
    }
}

impl Config {
    /// Sets a key, whatever it was.
    pub fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) -> &mut Self {
        self.0
            .entry(section.to_owned())
            .or_default()
            .insert(key.to_owned(), value.into().0);
        self
    }

    /// Sets all keys of a file, each of which has a line of its own.
    pub fn read(&mut self, text: &str) -> &mut Self {
        let mut section = String::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('[') {
                name.trim_end_matches(']').clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
                let keys = self.0.entry(section.clone()).or_default();
                keys.insert(key.to_owned(), value.to_owned());
            }
        }
        self
    }

    /// Takes a key out.
    pub fn unset(&mut self, section: &str, key: &str) -> &mut Self {
        if let Some(keys) = self.0.get_mut(section) {
            keys.remove(key);
        }
        self
    }

    /// The text of the file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (section, keys) in &self.0 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "[{section}]");
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_setting_of_a_key_counts() {
        let mut config = Config::default();
        config
            .set("heartbeat", "interval", "120s")
            .set("heartbeat", "interval", "off");
        config
            .set("access", "ui", ["uid:1", "a\"b"])
            .set("secrets", "create-state-key", true)
            .set("x", "y", 5);
        config.unset("x", "y");
        let expected = "[access]\nui = [\"uid:1\", \"a\\\"b\"]\n[heartbeat]\ninterval = \"off\"\n\
            [secrets]\ncreate-state-key = true\n[x]\n";
        assert_eq!(config.to_toml(), expected);
    }
}
