//! One file: from text to [`Raw`], with the place of every key, and the faults of a text told by
//! line and key.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::raw::{EXCLUSIVE, Raw};
use super::value::{Kind, Text as _};

/// One file that was read.
#[derive(Debug)]
pub(super) struct Layer {
    file: PathBuf,
    pub(super) raw: Raw,
    /// The line of each key that is written, by its full name.
    lines: BTreeMap<String, usize>,
}

impl Layer {
    /// Reads a text. `file` is for the messages.
    pub(super) fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source { file, text };
        let document = DeTable::parse(text).map_err(|error| source.syntax(&error))?;
        let lines = source.known(document.get_ref())?;
        let raw = toml::from_str(text).map_err(|error| source.value(document.get_ref(), &error))?;
        let layer = Self {
            file: file.to_owned(),
            raw,
            lines,
        };
        for (one, other) in EXCLUSIVE {
            if layer.lines.contains_key(one) && layer.lines.contains_key(other) {
                return Err(layer.bad(
                    other,
                    format!("{one} is written too, and only one of them can hold; remove one"),
                ));
            }
        }
        Ok(layer)
    }

    /// Where `key` is written, if it is.
    pub(super) fn place(&self, key: &str) -> Option<Place> {
        self.lines.get(key).map(|line| Place {
            file: self.file.clone(),
            line: Some(*line),
            key: Some(key.to_owned()),
        })
    }

    fn bad(&self, key: &str, problem: String) -> ConfigError {
        let place = Place {
            file: self.file.clone(),
            line: self.lines.get(key).copied(),
            key: Some(key.to_owned()),
        };
        ConfigError::Bad { place, problem }
    }
}

struct Source<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn line(&self, span: &Range<usize>) -> usize {
        // A fault at the very end lies behind the last byte.
        self.text.as_bytes()[..span.start.min(self.text.len())]
            .split(|byte| *byte == b'\n')
            .count()
    }

    fn bad(&self, span: Option<&Range<usize>>, key: Option<String>, problem: String) -> ConfigError {
        let place = Place {
            file: self.file.to_owned(),
            line: span.map(|span| self.line(span)),
            key,
        };
        ConfigError::Bad { place, problem }
    }

    /// Only the parser's own description: its `Display` repeats the line, which may hold what it
    /// should not.
    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let problem = match error.message() {
            "duplicate key" => match error.span().map(|span| self.text[..span.start].ends_with('[')) {
                Some(true) => "this section is written twice; write its keys below one of the two".to_owned(),
                Some(false) | None => "this key is written twice; remove one".to_owned(),
            },
            message => {
                format!("this is not TOML ({message}); correct the line, a value is written as key = \"value\"")
            }
        };
        self.bad(error.span().as_ref(), None, problem)
    }

    /// Refuses unknown sections and keys, and tells the line of every known one.
    fn known(&self, document: &DeTable<'_>) -> Result<BTreeMap<String, usize>, ConfigError> {
        let schema = Raw::schema();
        // Another kind has keys of its own, and each of them would be called unknown before the
        // true reason is told.
        if let Some(DeValue::Table(provider)) = document.get("provider").map(toml::Spanned::get_ref)
            && let Some(kind) = provider.get("kind")
            && let Some(problem) = kind.get_ref().as_str().and_then(|text| Kind::read(text).err())
        {
            return Err(self.bad(Some(&kind.span()), Some("provider.kind".to_owned()), problem));
        }
        let mut lines = BTreeMap::new();
        for (section, content) in document {
            let name = section.get_ref().as_ref();
            let Some((_, keys)) = schema.iter().find(|(known, _)| *known == name) else {
                let owner = schema.iter().find(|(_, keys)| keys.iter().any(|key| key == name));
                let problem = match (owner, nearest(name, schema.iter().map(|(known, _)| *known))) {
                    (Some((owner, _)), _) => format!("this is a key of [{owner}]; write it below that section"),
                    (None, Some(near)) => format!("there is no such section; did you mean [{near}]?"),
                    (None, None) => format!(
                        "there is no such section; the sections are {}",
                        list(schema.iter().map(|(known, _)| *known))
                    ),
                };
                let shown = name.escape_debug().to_string();
                return Err(self.bad(Some(&section.span()), Some(shown), problem));
            };
            let DeValue::Table(content) = content.get_ref() else {
                let problem = format!("this is a section; write [{name}] on a line of its own and its keys below");
                return Err(self.bad(Some(&section.span()), Some(name.to_owned()), problem));
            };
            for key in content.keys() {
                let full = format!("{name}.{}", key.get_ref().escape_debug());
                if !keys.iter().any(|known| known == key.get_ref().as_ref()) {
                    let problem = format!("there is no such key; {}", hint(&schema, name, keys, key.get_ref()));
                    return Err(self.bad(Some(&key.span()), Some(full), problem));
                }
                lines.insert(full, self.line(&key.span()));
            }
        }
        Ok(lines)
    }

    /// A value of the wrong type or out of its range.
    fn value(&self, document: &DeTable<'_>, error: &toml::de::Error) -> ConfigError {
        // serde quotes a value of the wrong type. The expected type is enough.
        let problem = match error
            .message()
            .strip_prefix("invalid type: ")
            .and_then(|rest| rest.rsplit_once(", expected "))
        {
            Some((_, "a boolean")) => {
                "the value is of the wrong type; write true or false without quotation marks".to_owned()
            }
            Some((_, "a sequence")) => {
                "the value is of the wrong type; write a list, such as [\"one\", \"two\"]".to_owned()
            }
            Some((_, expected)) => format!("the value is of the wrong type; write {expected}"),
            None => error.message().to_owned(),
        };
        let span = error.span();
        let key = span.as_ref().and_then(|span| key_at(document, span));
        self.bad(span.as_ref(), key, problem)
    }
}

/// The full name of the key whose value lies at `span`.
fn key_at(document: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    document.iter().find_map(|(section, content)| {
        content.get_ref().as_table()?.iter().find_map(|(key, value)| {
            let around = value.span();
            (around.start <= span.start && span.end <= around.end)
                .then(|| format!("{}.{}", section.get_ref(), key.get_ref()))
        })
    })
}

fn hint(schema: &[(&str, Vec<String>)], section: &str, keys: &[String], key: &str) -> String {
    let near = match nearest(key, keys.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {section}.{near}?"),
        None => match schema.iter().find(|(_, keys)| keys.iter().any(|known| known == key)) {
            Some((owner, _)) => format!("it belongs below [{owner}]"),
            None => format!("the keys of [{section}] are {}", list(keys.iter().map(String::as_str))),
        },
    };
    if section == "secrets" {
        format!("{near} (a secret itself never stands in the configuration)")
    } else {
        near
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// The known word that was probably meant: one that continues it or that it continues, else the one
/// with the fewest typing errors.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    known
        .map(|candidate| {
            let related = word.len() >= 3 && (candidate.starts_with(&word) || word.starts_with(candidate));
            (if related { 0 } else { distance(&word, candidate) }, candidate)
        })
        // A third of the letters wrong is a typing error. More is another word.
        .filter(|(errors, candidate)| errors * 3 <= word.len().max(candidate.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, by bytes: how many letters to insert, remove or replace.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
