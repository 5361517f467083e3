//! The rules of each kind of provider.

use super::*;
use crate::oauth::{Endpoint, ProviderSettings};
use c2c_auth_core::GrantKind;

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
fn what_a_kind_does_not_use_neither_stops_the_daemon_nor_gives_advice() {
    let told = |text: &str| -> Vec<_> {
        let mut warnings = good(text).warnings;
        warnings.retain(|told| !is_of_the_machine(told));
        warnings
    };
    // The machine has no machine id, and no file.
    for from in ["machine-id", "file:/nowhere"] {
        let device = format!("[device]\nclient-id-from = {from:?}\n");
        for kind in [DEVICE, CODE] {
            let text = format!("{device}[provider]\n{kind}\nclient-id = \"camera-app\"\n");
            assert_eq!(good(&text).device.client_id.as_deref(), Some("camera-app"));
            assert!(told(&text).is_empty(), "{from}: {:?}", told(&text));
        }
    }
    // Without one of its own, the unit's id is the client, and counts.
    let unit = |from: &str| format!("[device]\nclient-id-from = {from:?}\n[provider]\n{DEVICE}\n");
    assert!(refused(&unit("machine-id")).contains("device.client-id-from"));
    assert!(told(&unit("file:/nowhere"))[0].contains("not provisioned"));
    // Only Frame.io refuses MAC addresses.
    let unit = "[device]\nclient-id = \"001a2b3c4d5e\"\n";
    assert_eq!(told(unit).len(), 1);
    assert!(told(&format!("{unit}[provider]\n{DEVICE}\n")).is_empty());
}

#[test]
fn a_firmware_version_that_no_server_is_told_may_be_unknown() {
    let bare = Machine(tempfile::tempdir().unwrap());
    let read = |device: &str| {
        bare.read(&format!("[device]\n{device}\n[provider]\n{DEVICE}\n"))
            .unwrap()
    };
    let told = |config: &Config, part: &str| config.warnings.iter().any(|told| told.contains(part));
    let silent = read("");
    assert_eq!(silent.device.firmware_version, "");
    assert!(!told(&silent, "firmware"), "{:?}", silent.warnings);
    assert!(silent.check().contains("firmware version    not known\n"));
    let asked = read("firmware-version-from = \"file:/nowhere\"");
    assert_eq!(asked.device.firmware_version, "");
    assert!(told(&asked, "firmware-version-from"), "{:?}", asked.warnings);
    assert_eq!(read("firmware-version = \"2.16.4\"").device.firmware_version, "2.16.4");
    bare.write("/etc/os-release", "VERSION_ID=12\n");
    assert_eq!(read("").device.firmware_version, "12.0.0");
}

#[test]
fn presence_belongs_to_frameio_and_may_be_called_off_anywhere() {
    for kind in [DEVICE, CODE] {
        let with = |interval: &str| format!("[provider]\n{kind}\n[heartbeat]\ninterval = {interval:?}\n");
        let why = refused(&with("120s"));
        assert!(
            why.contains("heartbeat.interval: this key goes with kind = \"frameio-c2c\""),
            "{why}"
        );
        assert_eq!(good(&with("off")).policy().heartbeat, None);
    }
}

#[test]
fn nothing_of_frameios_habits_is_in_the_policy_of_a_standard_server() {
    for (kind, grant) in [(DEVICE, GrantKind::Device), (CODE, GrantKind::Code)] {
        let policy = good(&format!("[provider]\n{kind}\n")).policy();
        assert_eq!(policy.grant, grant);
        assert!(!policy.separate_grants && !policy.can_probe);
        let separate = good(&format!("[provider]\n{kind}\nseparate-grants = true\n")).policy();
        assert!(separate.separate_grants);
        assert_eq!(policy.heartbeat, None);
        assert_eq!(policy.refresh_token_life, Duration::from_secs(30 * 86_400));
    }
    let policy = good("").policy();
    assert!(!policy.separate_grants && policy.heartbeat.is_some());
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
    let code = |text: &str| {
        let provider = good(&format!("[provider]\nkind = \"oauth-code\"\n{text}")).provider;
        match provider.settings {
            ProviderSettings::OauthCode(server, redirect) => (server.endpoints, redirect, provider.refresh_token_life),
            other => panic!("{other:?}"),
        }
    };
    let (endpoints, redirect, _) = code("preset = \"frameio-applications\"\nscope = \"offline asset.create\"\n");
    assert_eq!(
        endpoints.token.as_ref().map(Endpoint::as_str),
        Some("https://applications.frame.io/oauth2/token")
    );
    assert_eq!(
        (endpoints.revocation, redirect.to_string().as_str()),
        (None, "http://127.0.0.1/callback")
    );
    let (endpoints, _, life) = code(
        "preset = \"adobe-ims\"\nredirect-uri = \"https://a.example/cb\"\ntoken-endpoint = \"https://a.example/t\"\n",
    );
    assert_eq!(
        endpoints.token.as_ref().map(Endpoint::as_str),
        Some("https://a.example/t")
    );
    assert_eq!(
        endpoints.revocation.as_ref().map(Endpoint::as_str),
        Some("https://ims-na1.adobelogin.com/ims/revoke")
    );
    assert_eq!(life, Duration::from_secs(14 * 86_400));
    let (_, _, life) = code("preset = \"frameio-applications\"\nrefresh-token-life = \"7d\"\n");
    assert_eq!(life, Duration::from_secs(7 * 86_400));
}

#[test]
fn dead_words_are_those_that_are_written_and_the_presets() {
    let words = |text: &str| match good(&format!("[provider]\n{text}")).provider.settings {
        ProviderSettings::OauthDevice(server) | ProviderSettings::OauthCode(server, _) => server.dead_words,
        other @ ProviderSettings::FrameioC2c(_) => panic!("{other:?}"),
    };
    assert!(words(DEVICE).is_empty() && words(CODE).is_empty());
    assert_eq!(
        words(&format!("{DEVICE}\ndead-words = [\"invalid_request\"]\n")),
        ["invalid_request"]
    );
    let preset = "kind = \"oauth-code\"\npreset = \"frameio-applications\"\nscope = \"offline\"\n";
    assert_eq!(words(preset), ["token_inactive"]);
    assert_eq!(
        words(&format!("{preset}dead-words = [\"x\"]\n")),
        ["x", "token_inactive"]
    );
}

#[test]
fn an_issuer_beside_a_preset_is_the_presets_own() {
    let with = |preset: &str, more: &str| {
        let text = format!("[provider]\nkind = \"oauth-code\"\npreset = \"{preset}\"\n{more}");
        Machine::new().read(&text).map(drop).map_err(|why| why.to_string())
    };
    let adobe = "redirect-uri = \"https://a.example/cb\"\n";
    let told = with("adobe-ims", &format!("{adobe}issuer = \"https://id.example.com\"\n")).unwrap_err();
    assert!(
        told.contains("provider.issuer") && told.contains("provider.preset"),
        "{told}"
    );
    let own = format!("{adobe}issuer = \"https://IMS-na1.adobelogin.com\"\n");
    assert_eq!(with("adobe-ims", &own), Ok(()));
    // A server that speaks like it, at an address of its own.
    let other = "issuer = \"https://a.example\"\ntoken-endpoint = \"https://a.example/t\"\n";
    assert_eq!(with("frameio-applications", other), Ok(()));
}

#[test]
fn a_port_that_the_daemon_does_not_get_is_told() {
    let told = |uri: &str| {
        let config = good(&format!("[provider]\n{CODE}\nredirect-uri = {uri:?}\n"));
        config.warnings.iter().any(|told| told.contains("below 1024"))
    };
    for uri in ["http://127.0.0.1:80/cb", "http://[::1]:1023", "http://LOCALHOST:443/"] {
        assert!(told(uri), "{uri}");
    }
    for uri in [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1024/cb",
        "https://a.example:443/cb",
        "com.example:/80",
    ] {
        assert!(!told(uri), "{uri}");
    }
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
        "x://h!st/",
        "com.example.app:cb",
    ] {
        assert!(!accepted(uri), "{uri}");
    }
}
