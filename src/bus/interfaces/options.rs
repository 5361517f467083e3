//! Options in an `a{sv}`: each known, each of its type, none left over.

use std::collections::HashMap;

use zbus::Variant;

use crate::bus::error_reply::ErrorReply;
use crate::bus::text::quote;
use crate::messages::contract::ErrorName;

/// Options not yet read.
pub(super) struct Options<'a>(HashMap<&'a str, Variant<'a>>);

impl<'a> Options<'a> {
    pub(super) fn new(options: HashMap<&'a str, Variant<'a>>) -> Self {
        Self(options)
    }

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
        match self.0.keys().min() {
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
        match self.0.remove(key) {
            None => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| {
                invalid(format!(
                    "the option \"{key}\" is of another type: pass it as \"{signature}\""
                ))
            }),
        }
    }
}

pub(super) fn invalid(text: String) -> ErrorReply {
    ErrorReply::new(ErrorName::InvalidArgs, text)
}
