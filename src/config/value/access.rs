//! The entries of `[access]`, which give a role to users and groups.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// One entry of `[access]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) enum Principal {
    Group(String),
    Gid(u32),
    User(String),
    Uid(u32),
}

impl Principal {
    const FORMS: &'static str = "a group's name, a gid, \"user:NAME\" or \"uid:N\"";

    fn read(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not known; an entry is {}", Self::FORMS);
        let name = |name: &str| {
            let good = !name.is_empty()
                && name.len() <= 256
                && !name.starts_with('-')
                && name
                    .chars()
                    .all(|c| !c.is_whitespace() && !c.is_control() && c != ':' && c != '/' && c != ',');
            good.then(|| name.to_owned()).ok_or_else(wrong)
        };
        if let Some(number) = text.strip_prefix("uid:") {
            return number.parse().map(Self::Uid).map_err(|_| wrong());
        }
        if let Some(user) = text.strip_prefix("user:") {
            return name(user).map(Self::User);
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(Self::Gid).map_err(|_| wrong());
        }
        name(text).map(Self::Group)
    }
}

impl<'de> Deserialize<'de> for Principal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Principal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Principal::FORMS)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Principal, E> {
                Principal::read(text).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, gid: i64) -> Result<Principal, E> {
                u32::try_from(gid)
                    .map(Principal::Gid)
                    .map_err(|_| E::custom(format!("{gid} is not a gid; an entry is {}", Principal::FORMS)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
