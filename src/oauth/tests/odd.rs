//! Odd values in answers: they cost what they stand in, and nothing else.

use super::*;
use crate::oauth::json::{Json, Object};

/// Values that a strict reader refuses the whole text for, and some that it does not.
fn odd_values() -> Vec<Vec<u8>> {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}0{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let texts = [
        "1e999",
        "-1e999",
        "[1e999,{\"a\":1e999}]",
        "NaN",
        "-Infinity",
        "0123",
        "+1",
        ".5",
        "undefined",
        r#""\ud800""#,
        r#""cut \ud83c""#,
        r#""\udf00\ud83c""#,
        r#"{"\ud800":"\ud800"}"#,
        r#""\x41 \u12 \'""#,
        "\"a\nb\tc\u{0}\"",
        r#""\"}""#,
        r#""\\""#,
        r#"["]","}",{"[":"{"}]"#,
    ];
    let mut all: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend([deep(127), deep(128), deep(10_000), objects(128), objects(10_000)].map(String::into_bytes));
    all.extend([b"\"f\xfcr\"".to_vec(), b"[\"\xff\",\"\xed\xa0\x80\"]".to_vec()]);
    all
}

/// The object with this value under a key that nobody reads: at its beginning, and at its end with
/// a key as odd.
fn beside(object: &str, value: &[u8]) -> [Vec<u8>; 2] {
    let inner = object.trim().trim_start_matches('{').trim_end_matches('}');
    [
        [b"{\"x\":", value, b",", inner.as_bytes(), b"}"].concat(),
        [b"{", inner.as_bytes(), b", \"\\ud800\xff\" : ", value, b" }"].concat(),
    ]
}

fn said(kind: Kind, status: u16, body: &[u8]) -> Answer {
    provider_of(settings()).answer(kind, &response(status, JSON, body))
}

#[test]
fn a_member_that_nobody_reads_costs_nothing_whatever_stands_in_it() {
    let info = r#"{"name":"Cam-1","project_id":"57b0"}"#;
    for value in odd_values() {
        for (kind, status, object) in [
            (Kind::Refresh, 200, PAIR),
            (Kind::Poll, 200, PAIR),
            (Kind::DeviceCode, 200, CODE),
            (Kind::Probe, 200, info),
            (Kind::Heartbeat, 200, info),
            (Kind::Refresh, 400, r#"{"error":"invalid_grant"}"#),
            (Kind::Refresh, 400, r#"{"error":"invalid_client"}"#),
            (Kind::Poll, 400, r#"{"error":"access_denied"}"#),
            (Kind::Poll, 400, r#"{"error":"authorization_pending"}"#),
            (Kind::Revoke, 400, r#"{"error":"invalid_token"}"#),
            (Kind::DeviceCode, 401, r#"{"error":"invalid_client"}"#),
        ] {
            let wanted = said(kind, status, object.as_bytes());
            for body in beside(object, &value) {
                let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
                assert_eq!(said(kind, status, &body), wanted, "{kind:?} {shown}");
            }
        }
    }
}

#[test]
fn a_word_counts_beside_latin_1() {
    for words in ["f\u{fc}r", "1"] {
        let body: Vec<u8> = format!(r#"{{"error":"invalid_grant","error_description":"{words}"}}"#)
            .chars()
            .map(|c| u8::try_from(c).unwrap())
            .collect();
        assert_eq!(
            said(Kind::Refresh, 400, &body),
            Answer::Refresh(RefreshAnswer::InvalidGrant)
        );
    }
}

#[test]
fn a_name_with_half_a_character_is_shown_with_the_rest() {
    let named = |body: &[u8]| match said(Kind::Probe, 200, body) {
        Answer::Probe(ProbeAnswer::Accepted(Some(DeviceStatus { info, .. }))) => (info.name, info.project_name),
        other => panic!("{other:?}"),
    };
    for (said, shown) in [
        (&br"Shoot \ud83c"[..], "Shoot \u{fffd}"),
        (br"\ud83c Shoot", "\u{fffd} Shoot"),
        (br"Shoot \ud83c\u0041", "Shoot \u{fffd}A"),
        (br"Shoot \ud83c\ud83c\udf00", "Shoot \u{fffd}\u{1f300}"),
        (br"Shoot \udf00", "Shoot \u{fffd}"),
        (br"Shoot \ud83c\udf00!", "Shoot \u{1f300}!"),
        (b"Dreh f\xfcr", "Dreh f\u{fffd}r"),
        (br"a\x\u12", "a\u{fffd}\u{fffd}12"),
        (br#"\"\\\/\u00e9"#, "\"\\/\u{e9}"),
    ] {
        let body = [br#"{"name":""#, said, br#"","project":{"name":""#, said, br#""}}"#].concat();
        assert_eq!(named(&body), (shown.to_owned(), shown.to_owned()));
    }
}

#[test]
fn an_odd_lifetime_interval_or_address_costs_itself() {
    for value in odd_values() {
        let text = |key: &str| {
            let end = CODE.find(&format!("\"{key}\"")).unwrap();
            let (front, back) = CODE.split_at(end);
            let back = &back[back.find([',', '}']).unwrap()..];
            [
                front.as_bytes(),
                format!("\"{key}\":").as_bytes(),
                &value,
                back.as_bytes(),
            ]
            .concat()
        };
        for key in ["expires_in", "interval", "name", "verification_uri_complete"] {
            let Answer::Code(CodeAnswer::Granted(code)) = said(Kind::DeviceCode, 200, &text(key)) else {
                panic!("{key}: {}", String::from_utf8_lossy(&value));
            };
            assert_eq!((code.device_code.expose(), code.user_code.expose()), ("DC", "098765"));
        }
        let pair = [
            br#"{"access_token":"AT","refresh_token":"RT","expires_in":"#,
            &value[..],
            b"}",
        ]
        .concat();
        let Answer::Refresh(RefreshAnswer::Granted(_)) = said(Kind::Refresh, 200, &pair) else {
            panic!("{}", String::from_utf8_lossy(&value));
        };
    }
}

#[test]
fn of_an_object_only_the_ends_of_its_members_are_looked_for() {
    let keys = |text: &str| Object::read(text.as_bytes()).is_some();
    for whole in [
        "{}",
        " { } ",
        r#"{"a":1}"#,
        "\r\n\t{ \"a\" : [ 1 , 2 ] , \"b\" : x }\n",
        r#"{"a":[{"b":]}]}"#,
        r#"{"a":{"b" 1,,,}}"#,
        r#"{"a":"}","b":"\\"}"#,
    ] {
        assert_eq!(keys(whole), !whole.contains("]}]"), "{whole}");
    }
    for broken in [
        "",
        "{",
        "}",
        "[]",
        "{}{}",
        "{},",
        "{}x",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1"#,
        r#"{"a":1,}"#,
        "{,}",
        r#"{"a":1 2}"#,
        r#"{"a":"b}"#,
        r#"{"a":"b\"}"#,
        "{a:1}",
        r#"{"a":[}"#,
        r#"{"a":[1}}"#,
        r#"{"a"::1}"#,
        r#"{"a":t"b"}"#,
    ] {
        assert!(!keys(broken), "{broken}");
    }
}

#[test]
fn of_keys_given_twice_the_last_counts_however_it_is_written() {
    let read = |body: &str, key: &str| {
        Object::read(body.as_bytes())
            .unwrap()
            .text(key)
            .map(|text| text.to_string())
    };
    assert_eq!(read(r#"{"a":"1","\u0061":"2"}"#, "a").as_deref(), Some("2"));
    assert_eq!(read(r#"{"\u0061":"2","a":"1"}"#, "a").as_deref(), Some("1"));
    assert_eq!(read(r#"{"a":"1","a":null}"#, "a"), None);
    assert_eq!(
        read(r#"{"a":"1","A":"2","a\u0000":"3","a\ud800":"4"}"#, "a").as_deref(),
        Some("1")
    );
}

#[test]
fn a_list_of_odd_values_gives_its_texts() {
    let list = |body: &[u8]| match Object::read(body).unwrap().get("a") {
        Json::List(list) => Some(list.iter().map(|text| text.to_string()).collect::<Vec<_>>()),
        _ => None,
    };
    let body = br#"{"a":["x",NaN,1e999,["no"],{"no":"no"},"\ud800",null,"\u0079"]}"#;
    assert_eq!(list(body), Some(vec!["x".into(), "\u{fffd}".into(), "y".into()]));
    assert_eq!(list(br#"{"a":[]}"#), Some(vec![]));
    assert_eq!(list(br#"{"a":["x" "y"]}"#), None);
}

/// Anything that is JSON.
fn well_formed() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[a-z\"\\\\/{}\\[\\]:,\u{0}-\u{1f}\u{1f300}-\u{1f310}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[ab\"\\\\]{0,2}|.{0,3}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The text with each character of its strings escaped that can be, as some servers do.
fn escaped(text: &str) -> String {
    let escape = |c: char| {
        let mut units = [0; 2];
        let units = c.encode_utf16(&mut units);
        units
            .iter()
            .fold(String::new(), |text, unit| format!("{text}\\u{unit:04x}"))
    };
    text.chars()
        .map(|c| if c.is_ascii() { c.to_string() } else { escape(c) })
        .collect()
}

fn same(ours: &Json<'_>, theirs: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (ours, theirs) {
        (Json::Null, Value::Null) => true,
        (Json::Bool(ours), Value::Bool(theirs)) => ours == theirs,
        (Json::Number(ours), Value::Number(theirs)) => {
            let theirs = theirs.as_f64().unwrap();
            // The last digits are guessed by default.
            (ours - theirs).abs() <= 1e-12 * theirs.abs()
        }
        (Json::Text(ours), Value::String(theirs)) => **ours == *theirs,
        (Json::List(ours), Value::Array(theirs)) => {
            let theirs: Vec<_> = theirs.iter().filter_map(Value::as_str).collect();
            ours.iter().map(|text| text.as_str()).collect::<Vec<_>>() == theirs
        }
        (Json::Object(ours), Value::Object(theirs)) => {
            theirs.iter().all(|(key, value)| same(&ours.get(key), value)) && matches!(ours.get("absent"), Json::Null)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_well_formed_is_read_as_by_serde_json(value in well_formed(), pretty in any::<bool>(), escape in any::<bool>()) {
        let value = serde_json::json!({ "a": value });
        let mut body = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        if escape {
            body = escaped(&body);
        }
        let object = Object::read(body.as_bytes()).unwrap();
        prop_assert!(same(&Json::Object(object), &value), "{}", body);
        for cut in 1..body.len() {
            prop_assert!(Object::read(&body.as_bytes()[..cut]).is_none(), "a part is no object: {} {}", cut, body);
        }
    }

    #[test]
    fn no_bytes_panic_in_the_reader(body in "[{}\\[\\]\":,a\\\\u0dD8 \u{e9}\u{1f300}]{0,40}", cut in 0..40_usize) {
        let mut bytes = format!("{{\"a\":\"{body}").into_bytes();
        if cut < bytes.len() {
            bytes.remove(cut);
        }
        for end in ["", "\"}", "}"] {
            let body = [&bytes, end.as_bytes()].concat();
            let _ = Object::read(&body).map(|object| matches!(object.get("a"), Json::Null));
        }
    }
}
