//! The wording of refusals and warnings.

use super::*;

#[test]
fn faults_name_file_line_key_and_cure() {
    let faults = [
        "[device]\nclient-id = \"00:1A:2b:3c:4d:5e\"\n",
        "[device]\nclient-id = \"001a.2b3c.4d5e\"\n",
        "[device]\nclient-id = \"operator@example.com\"\n",
        "[device]\nclient-id = \"\"\n",
        "[device]\nclient-id = \"two words\"\n",
        "[device]\nclient-id = 123\n",
        "[device]\nclient-id = \"A\"\nclient-id-from = \"machine-id\"\n",
        "[device]\nclient-id-from = \"serial\"\n",
        "[device]\nclient-id-from = \"file:serial\"\n",
        "[device]\nclient-id-from = \"machine-id\"\n",
        "[device]\nfirmware-version = \"v2.16\"\n",
        "[device]\nfirmware-version-from = \"file:/nowhere\"\n",
        "[provider]\nkind = \"frameio\"\n",
        "[provider]\nclient-auth = \"post\"\n",
        "[provider]\nkind = \"oauth-device\"\n",
        "[provider]\nkind = \"oauth-device\"\ntoken-endpoint = \"https://a.example/t\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\nredirect-uri = \"http://127.0.0.1/cb\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"http://a.example\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example?x\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\nbase-uri = \"https://a.example\"\n",
        "[provider]\nkind = \"oauth-code\"\nauthorization-endpoint = \"https://a.example/a\"\n",
        "[provider]\nkind = \"oauth-code\"\npreset = \"google\"\n",
        "[provider]\nkind = \"oauth-code\"\npreset = \"adobe-ims\"\n",
        "[provider]\nkind = \"oauth-code\"\npreset = \"frameio-applications\"\nissuer = \"https://a.example\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nclient-auth = \"jwt\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nclient-id = \"two words\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\ntoken-endpoint = \"https://a.example/#t\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"http://192.0.2.1/cb\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"http://127.0.0.1:0/cb\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"https://a.example/cb?x\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nredirect-uri = \"/cb\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\nrefresh-token-life = \"1min\"\n",
        "[provider]\naudience = \"https://a.example\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\nresource = [\"api\"]\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\nextra = [{ name = \"client_secret\", value = \"x\" }]\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n[[provider.extra]]\nname = \"a\"\nvalue = \"x\"\nin = [\"poll\"]\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\naudience = \"a\"\n[[provider.extra]]\nname = \"audience\"\nvalue = \"x\"\n",
        "[provider]\npkce = \"s256\"\n",
        "[provider]\nkind = \"oauth-code\"\nissuer = \"https://a.example\"\npkce = \"s256\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\npkce = \"plain\"\n",
        "[provider]\ndead-words = [\"invalid_request\"]\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\ndead-words = [\"temporarily_unavailable\"]\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\ndead-words = [\"\"]\n",
        "[provider]\nbase-uri = \"http://api.frame.io\"\n",
        "[provider]\nbase-uri = \"https://user:secret@api.frame.io\"\n",
        "[provider]\nbase-uri = \"https://api.frame.io/?x\"\n",
        "[provider]\nbody = \"json\"\n",
        "[provider]\nscope = \"\"\n",
        "[provider]\ndevice-code-path = \"v2/device/code\"\n",
        "[provider]\ndevice-code-path = \"/v2/`/code\"\n",
        "[provider]\nurl-pairing = \"yes\"\n",
        "[tls]\nca-file = \"ca.pem\"\n",
        "[secrets]\ncreate-state-key = true\n",
        "[state]\ndirectory = \"state\"\n",
        "[refresh]\npolicy = \"lazy\"\n",
        "[refresh]\nat = 75\n",
        "[refresh]\nat = \"96%\"\n",
        "[refresh]\nmin-validity = \"2h\"\n",
        "[refresh]\nmin-validity = \"60\"\n",
        "[refresh]\nreplay-after = \"500ms\"\n",
        "[refresh]\nreplay-after = \"39s\"\n",
        "[refresh]\nreplay-after = \"2h\"\n",
        "[refresh]\nreuse-window = \"30s\"\n",
        "[refresh]\nreuse-window = \"any\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n[refresh]\nreuse-window = \"2h\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n[refresh]\nreuse-window = \"always\"\n",
        "[pairing]\ngive-up-after = \"5m\"\n",
        "[pairing]\ngive-up-after = \"2d\"\n",
        "[heartbeat]\ninterval = \"30s\"\n",
        "[heartbeat]\ninterval = false\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n[heartbeat]\ninterval = \"120s\"\n",
        "[access]\nui = \"c2c-ui\"\n",
        "[access]\nui = [\n  \"c2c-ui\",\n  \"uid:root\",\n]\n",
        "[access]\nuploader = [-1]\n",
        "[refresh]\nminvalidity = \"1min\"\n",
        "[refresh]\nmin_validity = \"1min\"\n",
        "[refresh]\ngive-up-after = \"1min\"\n",
        "[refresh]\nfrequency = \"1min\"\n",
        "[secrets]\nclient-secret = \"x\"\n",
        "[refesh]\nat = \"75%\"\n",
        "[transport]\n",
        "[network]\nproxy = \"http://10.0.0.1:3128\"\n",
        "[network]\nproxy = \"environment\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n[network]\nproxy = \"https://10.0.0.1:3128\"\n",
        "[provider]\nkind = \"oauth-device\"\nissuer = \"https://a.example\"\n[network]\nproxy = \"http://user@10.0.0.1:3128\"\n",
        "interval = \"120s\"\n",
        "refresh = \"eager\"\n",
        "[refresh]\nat = \"75%\nmin-validity = \"60s\"\n",
        "[refresh]\nat = \"75%\"\nat = \"76%\"\n",
        "[refresh]\nat = \"75%\"\n[refresh]\nmin-validity = \"60s\"\n",
    ];
    let told: Vec<_> = faults
        .iter()
        .map(|text| format!("{text}--> {}\n", refused(text)))
        .collect();
    for line in &told {
        assert!(line.contains("tmp/test.toml:"), "{line}");
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_could_be_a_secret_in_the_wrong_place_is_never_repeated() {
    const CANARY: &str = "canary7f3a";
    for text in [
        format!("[secrets]\nclient-secret = \"{CANARY}\"\n"),
        format!("[secrets]\nclient-secret-file = \"{CANARY}\"\n"),
        format!("[secrets]\ncreate-state-key = \"{CANARY}\"\n"),
        format!("[secrets]\nstate-key-file = [\"{CANARY}\"]\n"),
        format!("[secrets]\nstate-key-file = \"{CANARY}\n"),
        format!("[secrets]\nstate-key-file = {CANARY}\n"),
        format!("[provider]\nbase-uri = \"https://{CANARY}@api.frame.io\"\n"),
        format!("[provider]\nurl-pairing = \"{CANARY}\"\n"),
        format!("[provider]\nissuer = \"https://{CANARY}@a.example\"\n"),
        format!("[provider]\ntoken-endpoint = \"https://u:{CANARY}@a.example/t\"\n"),
        format!("[provider]\nredirect-uri = \"https://u:{CANARY}@a.example/t\"\n"),
        format!("[provider]\nclient-id = \"{CANARY} \"\n"),
        format!("[network]\nproxy = \"http://u:{CANARY}@10.0.0.1:3128\"\n"),
        format!("[network]\nproxy = \"{CANARY}@10.0.0.1:3128\"\n"),
        format!("secrets = \"{CANARY}\"\n"),
    ] {
        let told = refused(&text);
        assert!(!told.contains(CANARY), "{told}");
    }
}

#[test]
fn control_characters_in_a_key_or_value_do_not_reach_the_terminal() {
    for text in [
        "[\"a\\u001bb\"]\n",
        "[refresh]\n\"a\\nb\" = 1\n",
        "[refresh]\nat = \"\\u001b[2J\"\n",
        "[access]\nui = [\"a\\nb\"]\n",
    ] {
        let told = refused(text);
        assert!(!told.contains(char::is_control), "{told:?}");
    }
}

#[test]
fn warnings_tell_what_is_allowed_but_probably_not_meant() {
    let config = good(
        "[device]\nclient-id = \"001A2B3C4D5E\"\n[access]\nui = [\"no-such-group-here\"]\nuploader = [\"user:no-such-user-here\"]\n",
    );
    let told = config.warnings.join("\n");
    assert_eq!(config.warnings.len(), 4, "{told}");
    for word in [
        "the version of the operating system",
        "MAC",
        "no-such-group-here",
        "no-such-user-here",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let ui = Principals {
        unknown_groups: vec!["no-such-group-here".to_owned()],
        ..Principals::default()
    };
    assert_eq!((config.access.ui, config.access.uploader), (ui, Principals::default()));
}

#[test]
fn a_source_that_does_not_exist_yet_leaves_the_device_unprovisioned_with_a_warning() {
    let config = good("[device]\nclient-id-from = \"devicetree-serial\"\n");
    assert_eq!(config.device.client_id, None);
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("serial-number does not exist"))
    );
}

#[test]
fn a_serial_number_is_held_to_the_same_rules_wherever_it_comes_from() {
    let machine = Machine::new();
    machine.write("/sys/firmware/devicetree/base/serial-number", "00:11:22:33:44:55\0");
    let error = machine
        .read("[device]\nclient-id-from = \"devicetree-serial\"\n")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("device.client-id-from") && error.contains("MAC"),
        "{error}"
    );
}
