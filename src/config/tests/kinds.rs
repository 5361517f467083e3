//! The rules of each kind of provider.

use super::*;
use crate::core::GrantKind;

#[test]
fn a_client_of_its_own_wins_over_the_units_id() {
    let unit = "[device]\nclient-id = \"SN-1\"\n";
    let config = good(&format!("{unit}[provider]\n{DEVICE}\nclient-id = \"camera-app\"\n"));
    assert_eq!(config.device.client_id.as_deref(), Some("camera-app"));
    let config = good(&format!("{unit}[provider]\n{DEVICE}\n"));
    assert_eq!(config.device.client_id.as_deref(), Some("SN-1"));
    assert_eq!(good(&format!("[provider]\n{DEVICE}\n")).device.client_id, None);
}

#[test]
fn nothing_of_frameios_habits_is_in_the_policy_of_a_standard_server() {
    for (kind, grant) in [(DEVICE, GrantKind::Device), (CODE, GrantKind::Code)] {
        let policy = good(&format!("[provider]\n{kind}\n")).policy();
        assert_eq!(policy.grant, grant);
        assert!(policy.sole_grant && !policy.can_probe);
        let separate = good(&format!("[provider]\n{kind}\nseparate-grants = true\n")).policy();
        assert!(!separate.sole_grant);
        assert_eq!(policy.heartbeat, None);
        assert_eq!(policy.refresh_token_life, Duration::from_secs(30 * 86_400));
    }
    let policy = good("").policy();
    assert!(policy.sole_grant && policy.heartbeat.is_some());
}

#[test]
fn a_public_client_needs_no_secret() {
    let needs = |auth: &str| {
        good(&format!("[provider]\n{DEVICE}\n{auth}"))
            .provider
            .needs_client_secret()
    };
    assert!(needs("") && needs("client-auth = \"post\"\n") && needs("client-auth = \"basic\"\n"));
    assert!(!needs("client-auth = \"none\"\n"));
}

#[test]
fn a_preset_knows_its_server_and_gives_way_to_what_is_written() {
    let code = |text: &str| match good(&format!("[provider]\nkind = \"oauth-code\"\n{text}")).provider {
        Provider::OauthCode(code) => code,
        other => panic!("{other:?}"),
    };
    let frameio = code("preset = \"frameio-applications\"\nscope = \"offline asset.create\"\n");
    let endpoints = &frameio.server.endpoints;
    assert_eq!(
        endpoints.token.as_deref(),
        Some("https://applications.frame.io/oauth2/token")
    );
    assert_eq!(
        (endpoints.revocation.as_deref(), frameio.redirect_uri.as_str()),
        (None, "http://127.0.0.1/callback")
    );
    let adobe = code(
        "preset = \"adobe-ims\"\nredirect-uri = \"https://a.example/cb\"\ntoken-endpoint = \"https://a.example/t\"\n",
    );
    assert_eq!(adobe.server.endpoints.token.as_deref(), Some("https://a.example/t"));
    assert_eq!(
        adobe.server.endpoints.revocation.as_deref(),
        Some("https://ims-na1.adobelogin.com/ims/revoke")
    );
    assert_eq!(adobe.server.refresh_token_life, Duration::from_secs(14 * 86_400));
    let written = code("preset = \"frameio-applications\"\nrefresh-token-life = \"7d\"\n");
    assert_eq!(written.server.refresh_token_life, Duration::from_secs(7 * 86_400));
}

#[test]
fn a_preset_without_the_word_for_offline_access_is_told() {
    let config = good("[provider]\nkind = \"oauth-code\"\npreset = \"frameio-applications\"\n");
    assert!(
        config.warnings.iter().any(|warning| warning.contains("\"offline\"")),
        "{:?}",
        config.warnings
    );
}

#[test]
fn redirect_uris_are_of_this_machine_or_safe_on_the_way() {
    let accepted = |uri: &str| {
        Machine::new()
            .read(&format!("[provider]\n{CODE}\nredirect-uri = {uri:?}\n"))
            .is_ok()
    };
    for uri in [
        "http://127.0.0.1/callback",
        "http://127.0.0.1:8910/callback",
        "http://[::1]/cb",
        "http://localhost:8910",
        "https://app.example/cb",
        "com.example.app:/cb",
        "adobe+abc123://adobeid/abc123",
    ] {
        assert!(accepted(uri), "{uri}");
    }
    for uri in [
        "http://localhost.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http:/cb",
        "https://",
        "://x",
        "x://",
        "1x:/cb",
        "com.example.app:cb",
    ] {
        assert!(!accepted(uri), "{uri}");
    }
}
