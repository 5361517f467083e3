//! Calls that no ordinary binding sends: what they are answered with, and that they start nothing.

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use zbus::Type;

use super::*;

/// Options as a hand-made message may hold them: in any order, any of them more than once.
#[derive(Clone, Type)]
#[zbus(signature = "a{sv}")]
struct Entries(Vec<(&'static str, Variant<'static>)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

#[tokio::test(start_paused = true)]
async fn an_option_that_is_given_twice_is_refused_by_its_name() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let known: [(&str, &[(&str, Variant<'static>)]); 2] = [
        (
            "StartPairing",
            &[
                ("renew", true.into()),
                ("replace", true.into()),
                ("give-up-after", 90u32.into()),
                ("timeout", 9u32.into()),
            ],
        ),
        (
            "GetQrCode",
            &[
                ("format", "svg".into()),
                ("what", "uri".into()),
                ("size", 300u32.into()),
                ("code-id", 7u64.into()),
            ],
        ),
    ];
    for (method, options) in known {
        for (key, value) in options {
            // Not beside each other, and the same value: even then it is a mistake of the caller.
            let mut given: Vec<_> = options
                .iter()
                .map(|(key, value)| (*key, value.try_clone().unwrap()))
                .collect();
            given.push((key, value.try_clone().unwrap()));
            let (kind, text) = failure(pair.answered(PAIRING, method, (Entries(given),)).await);
            assert_eq!(kind, ErrorName::InvalidArgs, "{method} {key}");
            assert_eq!(text, format!("the option \"{key}\" is given twice"));
        }
    }
    drop(pair.bus);
    assert!(pair.calls.recv().await.is_none(), "nothing was started");
}

#[tokio::test(start_paused = true)]
async fn an_option_in_other_capitals_is_unknown() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let given = Entries(vec![("Renew", true.into()), ("renew", true.into())]);
    let (kind, text) = failure(pair.answered(PAIRING, "StartPairing", (given,)).await);
    assert_eq!(kind, ErrorName::InvalidArgs);
    assert!(text.contains("\"Renew\""), "{text}");
}

async fn error_of<B>(pair: &mut Pair, path: &str, interface: &str, method: &str, body: &B) -> String
where
    B: Serialize + zbus::DynamicType + Sync,
{
    use zbus::DBusError;
    let result = pair
        .client
        .call_method(Some(NAME), path, Some(interface), method, body)
        .await;
    match result.unwrap_err() {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        zbus::Error::FDO(error) => error.name().to_string(),
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_what_does_not_exist_gets_the_name_that_the_specification_has_for_it() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let bus = |word: &str| format!("org.freedesktop.DBus.Error.{word}");
    let path = OBJECT;
    let pair = &mut pair;
    assert_eq!(
        error_of(pair, path, PAIRING, "Frobnicate", &()).await,
        bus("UnknownMethod")
    );
    assert_eq!(
        error_of(pair, path, "a.b", "Unpair", &()).await,
        bus("UnknownInterface")
    );
    assert_eq!(
        error_of(pair, "/elsewhere", PAIRING, "Unpair", &()).await,
        bus("UnknownObject")
    );
    // The member belongs to another interface.
    assert_eq!(error_of(pair, path, TOKENS, "Unpair", &()).await, bus("UnknownMethod"));
    for method in ["GetPairingCode", "CancelPairing", "Unpair"] {
        assert_eq!(
            error_of(pair, path, PAIRING, method, &(1i16,)).await,
            bus("InvalidArgs"),
            "{method}"
        );
    }
    for (interface, method) in [
        (PAIRING, "StartPairing"),
        (PAIRING, "GetQrCode"),
        (PAIRING, "CompletePairing"),
        (TOKENS, "GetAccessToken"),
        (TOKENS, "RejectAccessToken"),
    ] {
        assert_eq!(
            error_of(pair, path, interface, method, &()).await,
            bus("InvalidArgs"),
            "{method}"
        );
        assert_eq!(
            error_of(pair, path, interface, method, &(1i16,)).await,
            bus("InvalidArgs"),
            "{method}"
        );
    }
}
