//! Options in an `a{sv}`: each known, each of its type, none twice, none left over.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use zbus::{Type, Variant};

use crate::bus::error_reply::ErrorReply;
use crate::bus::text::quote;
use crate::messages::contract::ErrorName;

/// Options not yet read, in the order of the message. A map would drop one of two with the same
/// name, and which of them is chance.
#[derive(Type)]
#[zbus(signature = "a{sv}")]
pub(super) struct Options<'a>(Vec<(&'a str, Variant<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Options<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Vec<(&'de str, Variant<'de>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("options")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Entries).map(Options)
    }
}

impl<'a> Options<'a> {
    pub(super) fn bool(&mut self, key: &str) -> Result<Option<bool>, ErrorReply> {
        self.take(key, "b", |value| match value {
            Variant::Bool(value) => Some(value),
            _ => None,
        })
    }

    pub(super) fn u32(&mut self, key: &str) -> Result<Option<u32>, ErrorReply> {
        self.take(key, "u", |value| match value {
            Variant::U32(value) => Some(value),
            _ => None,
        })
    }

    pub(super) fn u64(&mut self, key: &str) -> Result<Option<u64>, ErrorReply> {
        self.take(key, "t", |value| match value {
            Variant::U64(value) => Some(value),
            _ => None,
        })
    }

    /// One of several words. `parse` knows them, and `words` lists them in the error.
    pub(super) fn word<T>(
        &mut self,
        key: &str,
        words: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ErrorReply> {
        let word = self.take(key, "s", |value| match value {
            Variant::Str(value) => Some(value),
            _ => None,
        })?;
        let Some(word) = word else { return Ok(None) };
        parse(&word).map(Some).ok_or_else(|| {
            let word = quote(&word);
            invalid(format!(
                "the option \"{key}\" cannot be \"{word}\": it is one of {words}"
            ))
        })
    }

    /// Nothing may be left: a misspelt option must not be ignored in silence.
    pub(super) fn end(self, known: &str) -> Result<(), ErrorReply> {
        match self.0.iter().map(|(key, _)| key).min() {
            None => Ok(()),
            Some(key) => {
                let key = quote(key);
                Err(invalid(format!(
                    "there is no option \"{key}\": the options are {known}"
                )))
            }
        }
    }

    fn take<T>(
        &mut self,
        key: &str,
        signature: &str,
        convert: impl FnOnce(Variant<'a>) -> Option<T>,
    ) -> Result<Option<T>, ErrorReply> {
        let Some(at) = self.position(key) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(at);
        if self.position(key).is_some() {
            return Err(invalid(format!("the option \"{key}\" is given twice")));
        }
        convert(value).map(Some).ok_or_else(|| {
            invalid(format!(
                "the option \"{key}\" is of another type: pass it as \"{signature}\""
            ))
        })
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|(name, _)| *name == key)
    }
}

pub(super) fn invalid(text: String) -> ErrorReply {
    ErrorReply::new(ErrorName::InvalidArgs, text)
}
