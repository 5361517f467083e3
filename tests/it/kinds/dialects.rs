//! Strange answers that a server may give: each pairs, refreshes and keeps the pairing.

use c2c_testkit::harness::side_by_side;
use c2c_testkit::standard::Shape;
use serde_json::{Value, json};

use super::browser::{REFRESH, short_lived};
use super::*;

/// The members of an answer, changed.
fn with(mut body: Value, members: Value) -> Value {
    if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
        body.extend(members);
    }
    body
}

fn without(mut body: Value, name: &str) -> Value {
    if let Value::Object(body) = &mut body {
        body.remove(name);
    }
    body
}

fn is_pending(body: &Value) -> bool {
    body["error"] == "authorization_pending"
}

fn gives_tokens(body: &Value) -> bool {
    body.get("access_token").is_some()
}

const DIALECTS: &[(&str, Shape)] = &[
    (
        "the device endpoint says an error with 200 at first",
        |number, at, status, body| {
            let busy = number == 1 && at == "device";
            if busy {
                (200, json!({"error": "temporarily_unavailable"}))
            } else {
                (status, body)
            }
        },
    ),
    (
        "the device endpoint is asked too often at first",
        |number, at, status, body| {
            let busy = number == 1 && at == "device";
            if busy {
                (400, json!({"error": "slow_down"}))
            } else {
                (status, body)
            }
        },
    ),
    ("the first answer has no user code", |number, at, status, body| {
        (
            status,
            if number == 1 && at == "device" {
                without(body, "user_code")
            } else {
                body
            },
        )
    }),
    ("numbers are strings", |_, _, status, body| {
        let strings = match (body.get("interval"), body.get("expires_in")) {
            (Some(_), _) => json!({"interval": "1", "expires_in": "600"}),
            (None, Some(life)) => json!({"expires_in": life.to_string()}),
            (None, None) => Value::Null,
        };
        (status, with(body, strings))
    }),
    ("numbers are fractions", |_, _, status, body| {
        let fractions = match (body.get("interval"), body.get("expires_in")) {
            (Some(_), _) => json!({"interval": 0.5, "expires_in": 600.0}),
            (None, Some(life)) => json!({"expires_in": life.as_f64().map(|life| life + 0.25)}),
            (None, None) => Value::Null,
        };
        (status, with(body, fractions))
    }),
    ("a code tells no life and no interval", |_, at, status, body| {
        let told = if at == "device" {
            without(without(body, "expires_in"), "interval")
        } else {
            body
        };
        (status, told)
    }),
    ("what is not known is null", |_, at, status, body| {
        let nulls = if at == "device" {
            json!({"interval": null, "verification_uri_complete": null, "error": null})
        } else if gives_tokens(&body) {
            json!({"scope": null, "id_token": null, "error": null, "error_description": null})
        } else {
            json!({"error_uri": null, "access_token": null})
        };
        (status, with(body, nulls))
    }),
    ("what is not known is empty", |_, at, status, body| {
        let empty = if at == "device" {
            json!({"verification_uri_complete": "", "error": ""})
        } else if gives_tokens(&body) {
            json!({"scope": "", "error": ""})
        } else {
            json!({"error_uri": "", "access_token": ""})
        };
        (status, with(body, empty))
    }),
    ("the page is spelt as in the drafts", |_, at, status, mut body| {
        if at == "device" {
            body["verification_url"] = body["verification_uri"].take();
            body = without(body, "verification_uri");
        }
        (status, body)
    }),
    ("the type is BEARER", |_, _, status, body| {
        let kind = if gives_tokens(&body) {
            json!({"token_type": "BEARER"})
        } else {
            Value::Null
        };
        (status, with(body, kind))
    }),
    ("there is no type", |_, _, status, body| {
        (status, without(body, "token_type"))
    }),
    ("more than is known, and nested", |_, _, status, body| {
        let more = json!({
            "details": {"error": "invalid_grant", "access_token": "another", "list": [[[{"error": "access_denied"}]]]},
            "errors": [{"error": "expired_token"}],
            "meta": {"interval": 600, "expires_in": 1},
        });
        (status, with(body, more))
    }),
    ("scope and audience are lists", |_, _, status, body| {
        let lists = if gives_tokens(&body) {
            json!({"scope": ["a", "b"], "aud": ["c"], "token_type": "bearer"})
        } else {
            Value::Null
        };
        (status, with(body, lists))
    }),
    ("errors are in capitals", |_, _, status, mut body| {
        if let Some(error) = body["error"].as_str().map(str::to_ascii_uppercase) {
            body["error"] = json!(error);
        }
        (status, body)
    }),
    ("each poll is too soon", |_, _, status, body| {
        if is_pending(&body) {
            (400, json!({"error": "slow_down"}))
        } else {
            (status, body)
        }
    }),
    ("a slow_down tells its interval", |_, _, status, body| {
        if is_pending(&body) {
            (429, json!({"error": "slow_down", "interval": 2}))
        } else {
            (status, body)
        }
    }),
    ("pending is accepted", |_, _, status, body| {
        (if is_pending(&body) { 202 } else { status }, body)
    }),
    ("pending is another refusal", |number, _, status, body| {
        let statuses = [401, 403, 404, 409, 412, 428];
        (
            if is_pending(&body) {
                statuses[number % statuses.len()]
            } else {
                status
            },
            body,
        )
    }),
    ("what is new is created", |_, _, status, body| {
        (if status == 200 { 201 } else { status }, body)
    }),
    ("an error beside what is granted", |_, _, status, body| {
        let error = if status == 200 {
            json!({"error": "none"})
        } else {
            Value::Null
        };
        (status, with(body, error))
    }),
    ("a description is no text", |_, _, status, body| {
        let odd = if is_pending(&body) {
            json!({"error_description": {"en": "wait"}, "error_uri": 7})
        } else {
            Value::Null
        };
        (status, with(body, odd))
    }),
    ("lives that cannot be", |_, _, status, body| {
        let lives = if body.get("interval").is_some() {
            json!({"expires_in": -1, "interval": 0})
        } else {
            Value::Null
        };
        (status, with(body, lives))
    }),
    ("a life without an end", |_, at, status, body| {
        let lives = if at == "device" {
            json!({"expires_in": 1e300})
        } else {
            Value::Null
        };
        (status, with(body, lives))
    }),
];

async fn lives(shape: Shape) {
    let quirks = Quirks {
        shape: Some(shape),
        ..short_lived()
    };
    let world = Harness::device(DAEMON, quirks);
    let user = world.user().await;
    let mut daemon = world.start().await;
    // The first answer may be an error that passes.
    let _ = user.code(&[]).await;
    user.until("Pairing", "PairingState", "awaiting-user").await;
    let code = world.server.waiting().pop().unwrap();
    // The person needs as long as two polls.
    world.server.seen("POST /token device_code", 2, LIMIT).await.unwrap();
    assert!(world.server.decide(&code, true));
    user.until("Pairing", "PairingState", "paired").await;
    user.until_generation(3).await;
    assert!(world.server.takes(&user.token().await.unwrap().access));
    // Each refresh was sent once.
    let refreshes = world
        .server
        .log()
        .iter()
        .filter(|line| line.starts_with(REFRESH))
        .count();
    let generation = user.generation().await;
    assert!(
        u64::try_from(refreshes).unwrap() <= generation,
        "{:?}",
        world.server.log()
    );
    daemon.kill().unwrap();
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_strange_server_that_can_be_understood_is() {
    side_by_side(DIALECTS.iter().map(|(name, shape)| ((*name).to_owned(), lives(*shape)))).await;
}
