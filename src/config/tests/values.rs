//! Single values: which are taken, and where they end up.

use std::path::Path;

use c2c_auth_core::ReuseWindow;
use proptest::prelude::*;

use super::*;
use crate::oauth::{BaseUri, Proxy};

#[test]
fn roles_are_groups_users_and_numbers_and_may_be_empty() {
    let config = good("[access]\nui = [\"cameras\", 1001, \"1002\", 1001]\nuploader = [\"user:ann\", \"uid:1003\"]\n");
    assert_eq!(
        config.access.ui,
        Principals {
            uids: vec![],
            gids: vec![71, 1001, 1002],
            ..Principals::default()
        }
    );
    assert_eq!(
        config.access.uploader,
        Principals {
            uids: vec![70, 1003],
            ..Principals::default()
        }
    );
    assert_eq!(good("[access]\nuploader = []\n").access.uploader, Principals::default());
}

#[test]
fn what_a_running_daemon_cannot_change_is_named() {
    let before = good("");
    let after = |text: &str| before.restart_needed(&good(text));
    assert_eq!(after("[provider]\nbody = \"urlencoded\"\n"), Some("provider"));
    assert_eq!(after("[device]\nclient-id = \"A\"\n"), Some("device.client-id"));
    assert_eq!(
        after("[device]\nfirmware-version = \"1.0.0\"\n"),
        Some("device.firmware-version")
    );
    assert_eq!(after("[state]\ndirectory = \"/data\"\n"), Some("state.directory"));
    assert_eq!(after("[secrets]\nclient-secret-file = \"/s\"\n"), Some("secrets"));
    let device = |rest: &str| good(&format!("[provider]\n{DEVICE}\n{rest}"));
    assert_eq!(
        device("").restart_needed(&device("[network]\nproxy = \"environment\"\n")),
        Some("network.proxy")
    );
    assert_eq!(
        after("[refresh]\nat = \"50%\"\n[access]\nui = []\n[heartbeat]\ninterval = \"off\"\n"),
        None
    );
}

#[test]
fn every_value_reaches_its_place() {
    let config = good(
        r#"
[device]
client-id = "SN-000123"
firmware-version = "2.16.4-rc.1+build.7"
[provider]
base-uri = "HTTPS://Api.Example:8443/base/"
scope = "offline"
url-pairing = false
device-code-path = "/v2/device/code"
body = "urlencoded"
[tls]
ca-file = "/ca.pem"
[secrets]
client-secret-file = "/cs"
state-key-file = "/sk"
create-state-key = true
[state]
directory = "/data"
[refresh]
policy = "on-demand"
at = "5%"
min-validity = "0s"
replay-after = "1h"
[pairing]
give-up-after = "1d"
[heartbeat]
interval = "5min"
[access]
ui = ["uid:7"]
uploader = [8]
"#,
    );
    insta::assert_snapshot!(config.check().replace(config.files[0].to_str().unwrap(), "FILE"));
}

#[test]
fn a_proxy_is_an_address_or_a_word() {
    let of = |text: &str| good(&format!("[provider]\n{DEVICE}\n[network]\nproxy = \"{text}\"\n")).proxy;
    for text in ["direct", "environment", "http://10.0.0.1:3128", "http://[fd00::1]:3128"] {
        assert_eq!(of(text).to_string(), text);
    }
    assert_eq!(good("[network]\nproxy = \"direct\"\n").proxy, Proxy::Direct);
}

#[test]
fn a_reuse_window_is_a_time_or_any() {
    let server = "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n[refresh]\n";
    for (written, window) in [
        ("", ReuseWindow::NONE),
        ("reuse-window = \"0s\"", ReuseWindow::NONE),
        ("reuse-window = \"30s\"", ReuseWindow::For(Duration::from_secs(30))),
        ("reuse-window = \"any\"", ReuseWindow::Any),
    ] {
        let config = good(&format!("{server}{written}\n"));
        assert_eq!(config.policy().reuse_window, window);
        let line = format!("reuse-window        {}\n", written.split('"').nth(1).unwrap_or("0s"));
        assert!(config.check().contains(&line), "{}", config.check());
    }
}

#[test]
fn the_check_says_what_is_missing() {
    let text = Machine::new().load().unwrap().check();
    assert!(text.contains("client id           none: not provisioned\n"), "{text}");
    assert!(
        text.contains("files               none, every value is the default\n"),
        "{text}"
    );
}

#[test]
fn addresses_are_taken_apart() {
    let parts = |text: &str| {
        BaseUri::parse(text).map(|uri| {
            (
                uri.origin().dial_host().to_owned(),
                uri.origin().port(),
                uri.to_string(),
            )
        })
    };
    assert_eq!(
        parts("https://localhost:8443/a/b/").unwrap(),
        ("localhost".to_owned(), 8443, "https://localhost:8443/a/b".to_owned())
    );
    assert_eq!(
        parts("https://[::1]:9/").unwrap(),
        ("::1".to_owned(), 9, "https://[::1]:9".to_owned())
    );
    assert_eq!(
        BaseUri::parse("https://[::1]:9/x/").unwrap().to_string(),
        "https://[::1]:9/x"
    );
    for bad in [
        "",
        "https://",
        "https:///path",
        "https://a:0",
        "https://a:65536",
        "https://a:",
        "https://a:+1",
        "https://a b",
        "https://[::1",
        "https://[x]",
        "https://a#b",
        "httpsx://a",
        "é",
        "https://ü",
    ] {
        assert!(parts(bad).is_err(), "{bad}");
    }
}

#[test]
fn versions_are_held_to_semver() {
    let good = |version: &str| {
        Machine::new()
            .read(&format!("[device]\nfirmware-version = {version:?}\n"))
            .is_ok()
    };
    for version in [
        "0.0.0",
        "2.16.4",
        "1.0.0-alpha.1",
        "1.0.0-0a",
        "1.0.0--",
        "1.0.0+001",
        "1.0.0-a+b-c",
    ] {
        assert!(good(version), "{version}");
    }
    for version in [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "v1.2.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3+",
        "1.2.3-a..b",
        " 1.2.3",
        "1.2.x",
    ] {
        assert!(!good(version), "{version}");
    }
}

#[test]
fn a_uuid_or_serial_number_is_not_mistaken_for_an_address() {
    for id in [
        "6f1c0c2e-98a5-4d2b-9d0c-0a3d5f7b1e11",
        "100000003d1f8a2c",
        "Some-Client-ID",
        "12-34-56",
        "@home",
        "4CA00368",
    ] {
        let config = good(&format!("[device]\nclient-id = \"{id}\"\n"));
        assert_eq!(config.device.client_id.as_deref(), Some(id));
    }
}

proptest! {
    #[test]
    fn any_duration_is_read_back_as_it_is_written(millis in 0_u64..1 << 45) {
        let time = Duration::from_millis(millis);
        prop_assert_eq!(duration(&duration_text(time)), Ok(time));
    }

    #[test]
    fn no_text_brings_the_reader_down_and_every_fault_is_one_line(
        text in "(\\[(device|refresh|secrets|access)\\]\n)?((client-id|at|ui|\"a\\\\nb\"|[a-z-]{1,8}) = [\"\\[a-z0-9%\\]é]{0,9}\n){0,3}"
    ) {
        if let Err(error) = layer::Layer::parse(Path::new("f"), &text) {
            prop_assert!(!error.to_string().contains('\n'), "{}", error);
        }
    }

    #[test]
    fn no_address_version_or_duration_brings_the_reader_down(text in "\\PC{0,24}") {
        let _ = BaseUri::parse(&text);
        let _ = BaseUri::parse(&format!("https://{text}"));
        let _ = duration(&text);
    }
}
