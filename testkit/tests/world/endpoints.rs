//! Each endpoint answers as the API's pages say.

use std::time::Duration;

use crate::client::{Client, DEVICE_GRANT, ID, server};
use c2c_testkit::server::{CodeError, End, Endpoint, Kind, Options, Outcome, RateLimit, Server, Violation};
use http_body_util::Full;
use hyper::Request;

const UNAUTHORIZED: &str = "You are not allowed to access that resource";

#[tokio::test]
async fn a_code_is_issued_with_the_pairing_address_only_where_it_was_asked_for() {
    let server = Server::start(Options::default()).unwrap();
    let mut client = Client::connect(&server).await.unwrap();
    let code = client.code().await.unwrap();
    let json = code.json();
    assert_eq!(
        (code.status, json["expires_in"].as_u64(), json["interval"].as_u64()),
        (200, Some(120), Some(5))
    );
    let user_code = code.text("user_code");
    assert!(
        user_code.len() == 6 && user_code.bytes().all(|b| b.is_ascii_digit()),
        "{user_code}"
    );
    assert_eq!(code.text("name"), format!("Sim-C2C-Camera-{ID}"));
    assert_eq!(
        code.text("verification_uri_complete"),
        format!("https://next.frame.io/pair/{user_code}")
    );

    let secret = server.client_secret();
    let fields = [
        ("client_id", ID),
        ("client_secret", secret.as_str()),
        ("scope", "offline"),
    ];
    let legacy = client.form("/v2/device/code", &fields).await.unwrap();
    assert_eq!(legacy.status, 200);
    assert!(legacy.json().get("verification_uri").is_none());
    server.truth(|t| {
        assert_eq!((t.counters().codes_issued, t.counters().connections), (2, 1));
        assert!(t.violations().is_empty(), "{:?}", t.violations());
        assert_eq!(t.log()[1].target, "POST /v2/device/code");
    });
}

#[tokio::test]
async fn a_multipart_form_is_as_good_as_an_urlencoded_one_and_json_is_refused() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let secret = server.client_secret();
    let part = |name: &str, value: &str| {
        format!("--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body = [
        part("client_id", ID),
        part("client_secret", &secret),
        part("scope", "offline"),
        "--b0undary--\r\n".into(),
    ];
    let post = |media_type: &str, body: String| {
        let request = Request::post("/v2/auth/device/code").header("host", "localhost");
        let request = request
            .header("x-client-version", "1.0.0")
            .header("content-type", media_type);
        request.body(body.into()).unwrap()
    };
    let multipart = client
        .raw(post("multipart/form-data; boundary=b0undary", body.concat()))
        .await
        .unwrap();
    assert_eq!(multipart.status, 200);
    let json = client.raw(post("application/json", "{}".to_owned())).await.unwrap();
    assert_eq!((json.status, json.text("error").as_str()), (400, "bad_request"));
    server.truth(|t| {
        assert_eq!(t.log()[0].media_type.as_deref(), Some("multipart/form-data"));
        assert_eq!(t.violations(), [Violation::NotAForm(Endpoint::DeviceCode)]);
    });
}

#[tokio::test]
async fn a_wrong_secret_is_an_invalid_client_and_a_missing_field_a_bad_request() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let code = "/v2/auth/device/code";
    let wrong = client
        .form(code, &[("client_id", ID), ("client_secret", "x"), ("scope", "offline")])
        .await
        .unwrap();
    assert_eq!((wrong.status, wrong.text("error").as_str()), (400, "invalid_client"));
    let missing = client
        .form(code, &[("client_id", ID), ("scope", "offline")])
        .await
        .unwrap();
    assert_eq!((missing.status, missing.text("error").as_str()), (400, "bad_request"));
    let unknown = client
        .form("/v2/auth/token", &[("grant_type", "password")])
        .await
        .unwrap();
    assert_eq!(unknown.text("error"), "bad_request");
}

#[tokio::test]
async fn polling_goes_from_pending_to_a_pair_and_a_used_code_is_an_invalid_grant() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let code = client.code().await.unwrap();
    let device_code = code.text("device_code");
    assert_eq!(
        client.poll(&device_code).await.unwrap().text("error"),
        "authorization_pending"
    );
    assert_eq!(server.waiting()[0].user_code, code.text("user_code"));
    server.approve(&code.text("user_code")).unwrap();
    assert_eq!(server.approve(&code.text("user_code")), Err(CodeError::Answered));
    let pair = client.poll(&device_code).await.unwrap();
    assert_eq!((pair.status, pair.text("token_type").as_str()), (200, "bearer"));
    assert_eq!(pair.json()["expires_in"].as_u64(), Some(28_800));
    server.truth(|t| {
        assert!(t.live(ID).access == Some(&pair.text("access_token")));
        assert!(t.live(ID).refresh == Some(&pair.text("refresh_token")));
        assert!(t.violations().is_empty(), "{:?}", t.violations());
    });
    assert_eq!(client.poll(&device_code).await.unwrap().text("error"), "invalid_grant");
    assert_eq!(server.truth(|t| t.violations().to_vec()), [Violation::PolledAfterEnd]);
    assert_eq!(
        client.poll("never-issued").await.unwrap().text("error"),
        "invalid_grant"
    );
}

#[tokio::test]
async fn a_denied_code_says_so_and_an_old_one_has_expired() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let denied = client.code().await.unwrap();
    server.deny(&denied.text("user_code")).unwrap();
    assert_eq!(
        client.poll(&denied.text("device_code")).await.unwrap().text("error"),
        "access_denied"
    );
    let old = client.code().await.unwrap();
    server.advance(Duration::from_secs(120));
    assert_eq!(
        client.poll(&old.text("device_code")).await.unwrap().text("error"),
        "expired_token"
    );
    assert_eq!(server.approve(&old.text("user_code")), Err(CodeError::Expired));
    assert!(server.waiting().is_empty());
}

#[tokio::test]
async fn polling_before_the_interval_is_slowed_down_by_five_seconds_for_good() {
    let server = Server::start(Options::default()).unwrap();
    let mut client = Client::connect(&server).await.unwrap();
    let device_code = client.code().await.unwrap().text("device_code");
    assert_eq!(client.poll(&device_code).await.unwrap().text("error"), "slow_down");
    assert!(matches!(server.truth(|t| t.violations().to_vec())[..], [Violation::PolledEarly(by)] if by.as_secs() == 4));
    server.advance(Duration::from_secs(9));
    assert_eq!(client.poll(&device_code).await.unwrap().text("error"), "slow_down");
    server.advance(Duration::from_secs(15));
    assert_eq!(
        client.poll(&device_code).await.unwrap().text("error"),
        "authorization_pending"
    );
}

#[tokio::test]
async fn a_refresh_ends_both_old_tokens_and_reuse_is_an_invalid_request() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (access, refresh) = client.pair(&server).await;
    let renewed = client.refresh(&refresh).await.unwrap();
    assert_eq!(renewed.status, 200);
    assert_eq!(client.me(&access).await.unwrap().status, 401);
    let reused = client.refresh(&refresh).await.unwrap();
    assert_eq!((reused.status, reused.text("error").as_str()), (400, "invalid_request"));
    assert_eq!(client.me(&renewed.text("access_token")).await.unwrap().status, 200);
    server.truth(|t| {
        assert_eq!((t.counters().refreshes, t.counters().refreshes_committed), (2, 1));
        let rotated = t
            .issued()
            .iter()
            .filter(|i| i.ended == Some(End::Rotated))
            .map(|i| i.kind);
        assert_eq!(rotated.collect::<Vec<_>>(), [Kind::AccessToken, Kind::RefreshToken]);
    });
}

#[tokio::test]
async fn a_forgotten_device_gets_the_detailed_401() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (access, refresh) = client.pair(&server).await;
    server.forget(ID).unwrap();
    let refused = client.refresh(&refresh).await.unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["errors"][0]["detail"], UNAUTHORIZED);
    assert_eq!(client.me(&access).await.unwrap().json()["code"], 401);
    assert!(server.forget(ID).is_err());
}

#[tokio::test]
async fn tokens_age_by_the_servers_clock() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (access, refresh) = client.pair(&server).await;
    server.advance(Duration::from_secs(28_800));
    assert_eq!(client.me(&access).await.unwrap().status, 401);
    let refresh = client.refresh(&refresh).await.unwrap().text("refresh_token");
    server.advance(Duration::from_secs(14 * 86_400));
    assert_eq!(client.refresh(&refresh).await.unwrap().status, 401);
    let date = client.get("/health").await.unwrap();
    let date = httpdate::parse_http_date(date.header("date").unwrap()).unwrap();
    assert!(server.now().duration_since(date).unwrap() < Duration::from_secs(60));
}

#[tokio::test]
async fn what_a_refresh_brings_may_live_another_time_than_what_a_pairing_brings() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    server.set_options(|o| {
        o.access_life = Duration::from_secs(40);
        o.refreshed_life = Some(Duration::from_secs(90));
    });
    let (access, refresh) = client.pair(&server).await;
    server.advance(Duration::from_secs(41));
    assert_eq!(client.me(&access).await.unwrap().status, 401);
    let renewed = client.refresh(&refresh).await.unwrap();
    assert_eq!(renewed.json()["expires_in"], 90);
    server.advance(Duration::from_secs(41));
    assert_eq!(client.me(&renewed.text("access_token")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_revoked_token_takes_its_twin_along() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (access, refresh) = client.pair(&server).await;
    assert_eq!(client.revoke(&refresh).await.unwrap().json()["success"], true);
    assert_eq!(client.me(&access).await.unwrap().status, 401);
    assert_eq!(
        client.revoke(&refresh).await.unwrap().status,
        200,
        "RFC 7009: revoking the dead succeeds"
    );
    assert_eq!(server.truth(|t| t.counters().revocations), 1);
}

#[tokio::test]
async fn without_the_offline_scope_there_is_no_refresh_token() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let secret = server.client_secret();
    let fields = [
        ("client_id", ID),
        ("client_secret", secret.as_str()),
        ("scope", "asset_create"),
    ];
    let code = client.form("/v2/auth/device/code", &fields).await.unwrap();
    server.approve(&code.text("user_code")).unwrap();
    let pair = client.poll(&code.text("device_code")).await.unwrap();
    assert!(pair.json().get("refresh_token").is_none());
}

#[tokio::test]
async fn a_second_pairing_of_a_unit_replaces_the_first() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (first, _) = client.pair(&server).await;
    let (second, _) = client.pair(&server).await;
    assert_eq!(client.me(&first).await.unwrap().status, 401);
    assert_eq!(client.me(&second).await.unwrap().status, 200);
}

#[tokio::test]
async fn devices_me_tells_names_and_state() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (access, _) = client.pair(&server).await;
    let me = client.me(&access).await.unwrap().json();
    assert_eq!(
        (&me["project"]["name"], &me["status"]),
        (&"Testbed".into(), &"online".into())
    );
    assert_eq!(me["last_known_firmware_version"], "1.2.3");
    server.rename_project(ID, "Night shoot").unwrap();
    server.pause(ID, true).unwrap();
    let renamed = client.me(&access).await.unwrap().json();
    assert_eq!(
        (&renamed["project"]["name"], &renamed["status"]),
        (&"Night shoot".into(), &"paused".into())
    );
    assert_eq!(renamed["project_id"], me["project_id"]);
    server.end_access_token(ID).unwrap();
    assert_eq!(client.me(&access).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_heartbeat_answers_204_and_two_in_a_minute_are_noted() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let (access, _) = client.pair(&server).await;
    let heartbeat = "/v2/devices/heartbeat";
    assert_eq!(client.bearer("POST", heartbeat, &access).await.unwrap().status, 204);
    server.advance(Duration::from_secs(60));
    assert_eq!(client.bearer("POST", heartbeat, &access).await.unwrap().status, 204);
    assert!(server.truth(|t| t.violations().is_empty()));
    client.bearer("POST", heartbeat, &access).await.unwrap();
    assert_eq!(server.truth(|t| t.violations().to_vec()), [Violation::HeartbeatTooSoon]);
    assert_eq!(client.bearer("POST", heartbeat, "nobody's").await.unwrap().status, 401);
}

#[tokio::test]
async fn requests_that_break_the_servers_rules_are_recorded_and_without_the_secret() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let get = |uri: &str| Request::get(uri).header("host", "localhost");
    client.raw(get("/health").body(Full::default()).unwrap()).await.unwrap();
    client
        .raw(
            get("/health")
                .header("x-client-version", "v2")
                .body(Full::default())
                .unwrap(),
        )
        .await
        .unwrap();
    let nowhere = client.get("/v3/devices").await.unwrap();
    assert_eq!(nowhere.status, 404);
    let leaky = format!("/health?s={}", server.client_secret());
    client.get(&leaky).await.unwrap();
    let expected = [
        Violation::ClientVersionMissing(Endpoint::Health),
        Violation::ClientVersionMalformed(Endpoint::Health),
        Violation::UnknownTarget("GET /v3/devices".to_owned()),
        Violation::SecretInUrl(Endpoint::Health),
    ];
    assert_eq!(server.truth(|t| t.violations().to_vec()), expected);
    let shown = server.truth(|t| format!("{t:?}"));
    assert!(
        !shown.contains(&server.client_secret()),
        "the account itself shows no secret"
    );
}

#[tokio::test]
async fn over_the_rate_limit_is_429_until_the_window_ends() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let window = Duration::from_secs(60);
    server.set_rate_limit(Some(RateLimit {
        limit: 1,
        window,
        retry_after: Some(7),
    }));
    let first = client.get("/health").await.unwrap();
    assert_eq!((first.status, first.header("x-ratelimit-remaining")), (200, Some("0")));
    let second = client.get("/health").await.unwrap();
    assert_eq!((second.status, second.header("retry-after")), (429, Some("7")));
    assert_eq!(second.header("x-ratelimit-window"), Some("60000"));
    server.advance(window);
    assert_eq!(client.get("/health").await.unwrap().status, 200);
}

#[tokio::test]
async fn the_log_tells_connection_version_and_outcome() {
    let server = server();
    for _ in 0..2 {
        Client::connect(&server).await.unwrap().get("/health").await.unwrap();
    }
    server.truth(|t| {
        let seen: Vec<_> = t
            .requests(Endpoint::Health)
            .map(|e| (e.connection, e.outcome))
            .collect();
        assert_eq!(seen, [(1, Outcome::Answered(200)), (2, Outcome::Answered(200))]);
        assert_eq!(t.log()[0].client_version.as_deref(), Some("1.2.3"));
    });
}

#[tokio::test]
async fn the_grant_of_another_unit_is_not_honoured() {
    let server = server();
    let mut client = Client::connect(&server).await.unwrap();
    let code = client.code().await.unwrap();
    server.approve(&code.text("user_code")).unwrap();
    let (secret, device_code) = (server.client_secret(), code.text("device_code"));
    let fields = [
        ("grant_type", DEVICE_GRANT),
        ("client_id", "unit-2"),
        ("client_secret", &secret),
        ("device_code", &device_code),
    ];
    assert_eq!(
        client.form("/v2/auth/token", &fields).await.unwrap().text("error"),
        "invalid_grant"
    );
}
