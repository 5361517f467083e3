//! `watch`: one line for each change, until interrupted.
//!
//! Values are taken from the signals in order, not read again: even a momentary state is a line.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use zbus::export::futures_core::Stream;
use zbus::fdo::{DBusProxy, PropertiesProxy};
use zbus::names::{BusName, InterfaceName};
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant, Variant};

use super::exit::{Exit, Failure};
use super::pair::Interrupted;
use crate::messages::contract::{DEVICE, NAME, OBJECT, PAIRING, TOKENS};

/// The command. Ends well when it is interrupted, and when nobody reads any more.
pub(super) async fn watch(connection: &Connection, json: bool) -> Result<Exit, Failure> {
    let mut interrupted = Interrupted::new()?;
    // Before the first question, so that no change is missed.
    let signals = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(NAME)
        .interface("org.freedesktop.DBus.Properties")
        .path(OBJECT)
        .build()?;
    let mut changes = MessageStream::for_match_rule(signals, connection, None).await?;
    let mut owners = DBusProxy::new(connection)
        .await?
        .receive_name_owner_changed_with_args(&[(0, NAME)])
        .await?;
    let mut known = Known::default();
    let mut out = Lines { json };
    out.say(&known.learn(read(connection).await?), &known)?;
    loop {
        let news = tokio::select! {
            message = next(&mut changes) => match message {
                Some(message) => known.learn(changed(&message)?),
                None => return Err(Failure::new(Exit::Unreachable, "the connection to the bus is lost")),
            },
            owner = poll_fn(|context| Pin::new(&mut owners).poll_next(context)) => {
                let Some(owner) = owner else {
                    return Err(Failure::new(Exit::Unreachable, "the connection to the bus is lost"));
                };
                if owner.args().is_ok_and(|args| args.new_owner.is_none()) {
                    known.learn(gone())
                } else {
                    known.learn(read(connection).await?)
                }
            },
            () = interrupted.wait() => return Ok(Exit::Ok),
        };
        match out.say(&news, &known) {
            Err(failure) if failure.exit == Exit::Ok => return Ok(Exit::Ok),
            said => said?,
        }
    }
}

async fn next(stream: &mut MessageStream) -> Option<Message> {
    loop {
        if let Ok(message) = poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await? {
            return Some(message);
        }
    }
}

/// Names as in `status --json`, with their values.
type Values = BTreeMap<String, serde_json::Value>;

/// All properties, and that somebody has them.
async fn read(connection: &Connection) -> Result<Values, Failure> {
    let properties = PropertiesProxy::builder(connection)
        .destination(BusName::try_from(NAME)?)
        .path(OBJECT)
        .build()
        .await?;
    let mut values = Values::from([("running".to_owned(), true.into())]);
    for interface in [PAIRING, TOKENS, DEVICE] {
        let interface = InterfaceName::try_from(interface)?;
        let all = properties.get_all(interface).await.map_err(zbus::Error::from)?;
        values.extend(all.into_iter().map(|(name, value)| (kebab(&name), plain(&value))));
    }
    Ok(values)
}

fn gone() -> Values {
    Values::from([("running".to_owned(), false.into())])
}

fn changed(message: &Message) -> Result<Values, Failure> {
    let body = message.body();
    let (_, values, _): (&str, BTreeMap<String, OwnedVariant>, Vec<&str>) = body.deserialize()?;
    let values = values.into_iter();
    Ok(values.map(|(name, value)| (kebab(&name), plain(&value))).collect())
}

/// `PairingState` as `pairing-state`.
fn kebab(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(c.to_ascii_lowercase());
        out
    })
}

/// As `status --json` shows them.
fn plain(value: &Variant<'_>) -> serde_json::Value {
    match value {
        Variant::Str(text) => text.as_str().into(),
        Variant::Bool(truth) => (*truth).into(),
        Variant::U64(number) => (*number).into(),
        Variant::U32(number) => (*number).into(),
        Variant::Structure(structure) => match structure.fields() {
            [Variant::Str(word), _] if word.as_str() == "none" => serde_json::Value::Null,
            [Variant::Str(word), Variant::U64(time)] => {
                let time = (*time != 0).then_some(*time);
                serde_json::json!({ "word": word.as_str(), "time": time })
            }
            _ => serde_json::Value::Null,
        },
        _ => serde_json::Value::Null,
    }
}

/// What was last seen.
#[derive(Default)]
struct Known(Values);

impl Known {
    /// Takes over, and returns what is new.
    fn learn(&mut self, values: Values) -> Values {
        let mut new = Values::new();
        for (name, value) in values {
            if self.0.get(&name) != Some(&value) {
                new.insert(name.clone(), value.clone());
                self.0.insert(name, value);
            }
        }
        new
    }
}

struct Lines {
    json: bool,
}

impl Lines {
    /// Nothing for nothing. With nobody left to read, that is the end and no failure: [`Exit::Ok`].
    fn say(&mut self, changed: &Values, known: &Known) -> Result<(), Failure> {
        if changed.is_empty() {
            return Ok(());
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let line = if self.json {
            json_line(now, changed, known)
        } else {
            text_line(now, changed)
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| {
            let exit = match error.kind() {
                io::ErrorKind::BrokenPipe => Exit::Ok,
                _ => Exit::Failed,
            };
            Failure::new(exit, format!("standard output: {error}"))
        })
    }
}

fn json_line(now: u64, changed: &Values, known: &Known) -> String {
    serde_json::json!({ "time": now, "changed": changed, "state": known.0 }).to_string()
}

/// Words first that matter most; what never changes is left to `status`.
fn text_line(now: u64, changed: &Values) -> String {
    const SHOWN: [&str; 9] = [
        "running",
        "pairing-state",
        "pairing-reason",
        "paired",
        "attention-needed",
        "token-state",
        "generation",
        "project-name",
        "last-error",
    ];
    let told: Vec<_> = SHOWN
        .iter()
        .filter_map(|name| Some((name, changed.get(*name)?)))
        .map(|(name, value)| match value {
            serde_json::Value::String(text) if name.ends_with("-name") => format!("{name} {text:?}"),
            serde_json::Value::String(text) => format!("{name} {text}"),
            serde_json::Value::Bool(truth) => format!("{name} {}", if *truth { "yes" } else { "no" }),
            serde_json::Value::Object(error) => {
                format!(
                    "{name} {}",
                    error.get("word").and_then(|word| word.as_str()).unwrap_or_default()
                )
            }
            serde_json::Value::Null => format!("{name} none"),
            other => format!("{name} {other}"),
        })
        .collect();
    format!("{} {}", utc(now), told.join(", "))
}

/// RFC 3339. Days to date after H. Hinnant's `civil_from_days`.
fn utc(secs: u64) -> String {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;
    use c2c_testkit::contract::Fake;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(1_793_491_200), "2026-11-01T00:00:00Z");
        assert_eq!(utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }

    #[tokio::test]
    async fn everything_is_new_at_first_and_nothing_twice() {
        let fake = Fake::start().await;
        let mut known = Known::default();
        let first = known.learn(read(&fake.client).await.unwrap());
        assert_eq!(first["pairing-state"], "paired");
        assert_eq!(first["generation"], 7);
        assert_eq!(first["last-error"]["word"], "offline");
        assert_eq!(first["running"], true);
        assert!(known.learn(read(&fake.client).await.unwrap()).is_empty());
        assert_eq!(known.learn(gone()), gone());
        assert_eq!(known.0["pairing-state"], "paired", "the last that was seen");
    }

    #[test]
    fn a_line_says_what_changed_and_a_json_line_also_what_is() {
        let mut known = Known::default();
        known.learn(Values::from([("paired".to_owned(), false.into())]));
        let changed = known.learn(Values::from([
            ("project-name".to_owned(), "A \u{1b} B".into()),
            ("paired".to_owned(), true.into()),
        ]));
        assert_eq!(
            text_line(0, &changed),
            "1970-01-01T00:00:00Z paired yes, project-name \"A \\u{1b} B\""
        );
        let json: serde_json::Value = serde_json::from_str(&json_line(5, &changed, &known)).unwrap();
        assert_eq!((&json["time"], &json["changed"]["paired"]), (&5.into(), &true.into()));
        assert_eq!(json["state"]["project-name"], "A \u{1b} B");
    }
}
