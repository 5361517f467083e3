//! The report on the server after a reset.

use super::*;
use crate::config::Provider;
use crate::ctl::reset::report::remains;

fn unpaired(was_paired: Option<bool>) -> Unpaired {
    Unpaired {
        was_paired,
        tombstone: was_paired.is_some(),
        reason: String::new(),
        complaint: None,
    }
}

#[test]
fn what_the_server_knows_is_never_told_better_than_it_is() {
    let after = |was_paired, had_records, pending, gave_up_revocations| {
        let outcome = Outcome {
            had_records,
            pending,
            gave_up_revocations,
            ..Outcome::default()
        };
        told(&unpaired(was_paired), None, outcome, Vec::new())
    };
    for (report, server, exit) in [
        (after(Some(true), true, false, false), Server::Told, Exit::Ok),
        (
            after(Some(true), true, true, false),
            Server::Pending,
            Exit::ServerNotTold,
        ),
        (
            after(Some(true), true, false, true),
            Server::NotTold,
            Exit::ServerNotTold,
        ),
        (after(Some(false), true, false, false), Server::NothingToTell, Exit::Ok),
        (
            after(Some(false), true, true, false),
            Server::Pending,
            Exit::ServerNotTold,
        ),
        (after(None, true, false, false), Server::NotTold, Exit::ServerNotTold),
        (after(None, false, true, false), Server::Pending, Exit::ServerNotTold),
        (after(None, false, false, false), Server::NothingToTell, Exit::Ok),
    ] {
        assert_eq!((report.server, report.exit()), (server, exit));
        assert!(report.text().contains("server"), "{}", report.text());
    }
}

#[test]
fn a_revocation_that_was_set_aside_or_half_written_is_given_up_aloud() {
    for name in ["revocations.foreign.1", "revocations.other-key.2", ".revocations.new"] {
        let (_folder, site) = machine(&[name]);
        let outcome = clear(&site, LITTLE);
        assert_eq!(left(&site), [""; 0]);
        let report = told(&unpaired(Some(false)), None, outcome, Vec::new());
        assert_eq!(
            (report.server, report.exit()),
            (Server::NotTold, Exit::ServerNotTold),
            "{name}"
        );
    }
}

#[test]
fn a_server_that_cannot_be_told_was_not() {
    let with = |more: &str| {
        let provider = provider(&format!("{DEVICE}{more}"));
        told(&unpaired(Some(true)), Some(&provider), Outcome::default(), Vec::new())
    };
    let report = with("");
    assert_eq!((report.server, report.exit()), (Server::NotTold, Exit::ServerNotTold));
    for more in [
        "revocation-endpoint = \"https://id.example/revoke\"\n",
        "issuer = \"https://id.example\"\n",
    ] {
        assert_eq!(with(more).server, Server::Told, "{more}");
    }
}

const DEVICE: &str = "kind = \"oauth-device\"\nclient-id = \"x\"\nclient-auth = \"none\"\n\
    token-endpoint = \"https://id.example/token\"\n\
    device-authorization-endpoint = \"https://id.example/device\"\n";

/// As a `[provider]` section says it.
fn provider(section: &str) -> Provider {
    let (_folder, site) = machine(&[]);
    let path = site.path("/etc/c2c-authd/config.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("[provider]\n{section}")).unwrap();
    site.config().unwrap().provider
}

#[test]
fn what_a_server_that_was_not_told_still_has_is_told_for_each_kind() {
    let of = |section: Option<&str>| remains(section.map(provider).as_ref());
    let frameio = of(Some(""));
    assert!(
        frameio.contains("within 14 days") && frameio.contains("Frame.io"),
        "{frameio}"
    );
    let week = format!("{DEVICE}refresh-token-life = \"7d\"\n");
    let code = "kind = \"oauth-code\"\nissuer = \"https://id.example\"\nrefresh-token-life = \"36h\"\n";
    for (section, wanted) in [
        (Some(DEVICE), "within 30 days."),
        (Some(week.as_str()), "within 7 days."),
        (Some(code), "within 36h."),
        (None, "until they expire."),
    ] {
        let told = of(section);
        assert!(told.contains(wanted), "{told}");
        assert!(!told.contains("Frame.io") && told.contains("withdraw"), "{told}");
    }
}
