//! `watch`: one line for each change, until interrupted.
//!
//! Values are taken from the signals in order, not read again: even a momentary state is a line.

use std::collections::BTreeMap;
use std::io::{self, Write};

use zbus::Connection;

use super::connect::{News, Subscription, dial, warn_of_peer};
use super::exit::{Exit, Failure};
use super::output::{json_escaped, one_line};
use super::pair::Interrupted;
use super::time::{now, utc};
use crate::messages::contract::BusAddress;
use c2c_auth_client::proxy;

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The command. Ends well when it is interrupted, and when nobody reads any more.
pub(super) async fn watch(bus: &BusAddress, json: bool) -> Result<Exit, Failure> {
    let mut interrupted = Interrupted::new()?;
    let connection = &dial(bus).await?;
    let mut news = Subscription::new(connection, PROPERTIES, "PropertiesChanged").await?;
    let mut known = Known::default();
    let mut changed = look(bus, connection).await?;
    loop {
        match say(json, &known.learn(changed), &known) {
            Err(failure) if failure.exit == Exit::Ok => return Ok(Exit::Ok),
            said => said?,
        }
        changed = tokio::select! {
            news = news.next() => match news {
                Some(News::Signal(signal)) => plain(proxy::changed(&signal)?),
                Some(News::Gone) => gone(),
                Some(News::Back) => look(bus, connection).await?,
                None => return Err(Failure::new(Exit::Unreachable, "the connection to the bus is lost")),
            },
            () = interrupted.wait() => return Ok(Exit::Ok),
        };
    }
}

/// Everything as it is now. A daemon that is not there may come, which the bus then tells.
async fn look(bus: &BusAddress, connection: &Connection) -> Result<Values, Failure> {
    let read = async {
        warn_of_peer(bus, connection).await?;
        read(connection).await
    };
    match read.await {
        Err(failure) if failure.exit == Exit::Unreachable => Ok(gone()),
        values => values,
    }
}

/// Names as in `status --json`, with their values.
pub(super) type Values = BTreeMap<String, serde_json::Value>;

pub(super) async fn read(connection: &Connection) -> Result<Values, Failure> {
    let mut values = plain(proxy::properties(connection).await?);
    values.insert("running".to_owned(), true.into());
    Ok(values)
}

fn gone() -> Values {
    Values::from([("running".to_owned(), false.into())])
}

fn plain(values: proxy::Values) -> Values {
    let values = values.into_iter();
    values.map(|(name, value)| (name, serde_json::json!(value))).collect()
}

#[derive(Default)]
struct Known(Values);

impl Known {
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

/// Nothing for nothing. With nobody left to read, that is the end and no failure: [`Exit::Ok`].
fn say(json: bool, changed: &Values, known: &Known) -> Result<(), Failure> {
    if changed.is_empty() {
        return Ok(());
    }
    let line = if json {
        Some(json_escaped(&json_line(now(), changed, known)))
    } else {
        text_line(now(), changed).map(|line| one_line(&line))
    };
    let Some(line) = line else { return Ok(()) };
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::BrokenPipe => Exit::Ok,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("standard output: {error}"))
    })
}

fn json_line(now: u64, changed: &Values, known: &Known) -> String {
    serde_json::json!({ "time": now, "changed": changed, "state": known.0 }).to_string()
}

/// The words that matter most come first. `status` shows what never changes, or with each token.
fn text_line(now: u64, changed: &Values) -> Option<String> {
    const SHOWN: [&str; 11] = [
        "running",
        "pairing-state",
        "pairing-reason",
        "paired",
        "attention-needed",
        "token-state",
        "generation",
        "project-name",
        "paused",
        "authorization-expires",
        "last-error",
    ];
    let told: Vec<_> = SHOWN
        .iter()
        .filter_map(|name| Some((name, changed.get(*name)?)))
        .map(|(name, value)| match value {
            serde_json::Value::String(text) if text.is_empty() => format!("{name} none"),
            serde_json::Value::String(text) if name.ends_with("-name") => format!("{name} {text:?}"),
            serde_json::Value::String(text) => format!("{name} {text}"),
            serde_json::Value::Bool(truth) => format!("{name} {}", if *truth { "yes" } else { "no" }),
            serde_json::Value::Object(error) => {
                let word = error.get("word").and_then(|word| word.as_str());
                format!("{name} {}", word.unwrap_or_default())
            }
            serde_json::Value::Null => format!("{name} none"),
            other => format!("{name} {other}"),
        })
        .collect();
    (!told.is_empty()).then(|| format!("{} {}", utc(now), told.join(", ")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;
    use c2c_testkit::contract::Fake;

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
            text_line(0, &changed).unwrap(),
            "1970-01-01T00:00:00Z paired yes, project-name \"A \\u{1b} B\""
        );
        let renewed = Values::from([("token-expires".to_owned(), 7.into())]);
        assert_eq!(text_line(0, &renewed), None, "no line for what is not shown");
        let json: serde_json::Value = serde_json::from_str(&json_line(5, &changed, &known)).unwrap();
        assert_eq!((&json["time"], &json["changed"]["paired"]), (&5.into(), &true.into()));
        assert_eq!(json["state"]["project-name"], "A \u{1b} B");
    }
}
