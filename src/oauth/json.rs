//! JSON as a server may send it: any type anywhere, repeated keys, numbers beyond all bounds, secrets in the strings.
//!
//! `serde_json::Value` would leave tokens unwiped in freed memory, and a derived struct would refuse an answer for one
//! field of a wrong type. Depth is bounded by `serde_json` (128), size by the body's limit.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// Any value.
pub(super) enum Json {
    /// `null`, and what is absent.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number a double can hold.
    Number(f64),
    /// Wiped when dropped.
    Text(Zeroizing<String>),
    /// Its strings; what else a list holds is of no use to anybody here.
    List(Vec<Zeroizing<String>>),
    /// An object.
    Object(Object),
}

/// An object; of keys that are repeated the last counts (RFC 8259 §4 leaves it open).
pub(super) struct Object(Vec<(String, Json)>);

/// What the protocol has numbers in. Read without them where one of them is too absurd for a double: `1e999` as a
/// lifetime must not cost the token beside it.
const NUMBERS: [&str; 2] = ["expires_in", "interval"];

impl Object {
    /// `None` where the bytes are not exactly one JSON object.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let read = |reader: Reader| {
            let mut source = serde_json::Deserializer::from_slice(bytes);
            let value = reader.deserialize(&mut source).ok()?;
            source.end().ok()?;
            Some(value)
        };
        match read(Reader { numbers: true }).or_else(|| read(Reader { numbers: false }))? {
            Json::Object(object) => Some(object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => None,
        }
    }

    /// The value; [`Json::Null`] where the key is absent.
    pub(super) fn get(&self, key: &str) -> &Json {
        self.0
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map_or(&Json::Null, |(_, value)| value)
    }

    /// The value, if it is a string.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Json::Text(text) => Some(text),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => None,
        }
    }

    /// The value, if it is an object.
    pub(super) fn object(&self, key: &str) -> Option<&Self> {
        match self.get(key) {
            Json::Object(object) => Some(object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) => None,
        }
    }
}

#[derive(Clone, Copy)]
struct Reader {
    numbers: bool,
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Json, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 2^53 every number here is absurd and will be clamped"
    )]
    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "beyond 2^53 every number here is absurd and will be clamped"
    )]
    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut strings = Vec::new();
        while let Some(element) = list.next_element_seed(self)? {
            if let Json::Text(text) = element {
                strings.push(text);
            }
        }
        Ok(Json::List(strings))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = if !self.numbers && NUMBERS.contains(&key.as_str()) {
                map.next_value::<IgnoredAny>()?;
                Json::Null
            } else {
                map.next_value_seed(self)?
            };
            object.push((key, value));
        }
        Ok(Json::Object(Object(object)))
    }
}
