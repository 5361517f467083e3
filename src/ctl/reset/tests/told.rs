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

/// The answer comes from nobody, or from a daemon that was paired, was not, or cannot read the
/// records, or from one that refuses.
#[tokio::test]
async fn what_is_held_back_is_told_by_what_was_done() {
    use Server::{NotTold, NothingToTell, Pending};
    const UNREADABLE: &str = "Nothing was removed: there are records that may be a pairing, but c2c-authd cannot read";
    const RECORDS: &str =
        "Nothing was removed: there are records that may be a pairing, and without the secrets nobody";
    const REFUSED: &str = "Nothing was removed: c2c-authd did not unpair";
    const LIST: &str = "Nothing was removed: the server was not told yet of a former pairing";
    const UNPAIRED: &str = "Unpaired, but nothing was removed: the server was not told yet";
    let all = FactoryReset {
        provisioning: true,
        ..WANTED
    };
    for (who, record, list, server, told) in [
        ("nobody", false, false, NothingToTell, ""),
        ("nobody", false, true, Pending, LIST),
        ("nobody", true, false, NotTold, RECORDS),
        ("nobody", true, true, NotTold, RECORDS),
        ("paired", false, false, Server::Told, ""),
        ("paired", false, true, Pending, UNPAIRED),
        ("paired", true, false, Server::Told, ""),
        ("paired", true, true, Pending, UNPAIRED),
        ("unpaired", false, false, NothingToTell, ""),
        ("unpaired", false, true, Pending, LIST),
        ("unpaired", true, false, NothingToTell, ""),
        ("unpaired", true, true, Pending, LIST),
        ("foreign-record", false, false, NothingToTell, ""),
        ("foreign-record", false, true, Pending, LIST),
        ("foreign-record", true, false, NotTold, UNREADABLE),
        ("foreign-record", true, true, NotTold, UNREADABLE),
        ("StorageFailed", false, false, NotTold, REFUSED),
        ("StorageFailed", true, true, NotTold, REFUSED),
        ("NotProvisioned", false, false, NothingToTell, ""),
        ("NotProvisioned", false, true, Pending, LIST),
        ("NotProvisioned", true, true, NotTold, REFUSED),
    ] {
        let fake = Fake::start().await;
        let mut bus = BusAddress::from(fake.address());
        match who {
            "nobody" => bus = nobody(),
            "paired" => {}
            refused if refused.starts_with(char::is_uppercase) => fake.refuse("Unpair", refused),
            reason => fake.is_unpaired(reason),
        }
        let names = [("record.0", record), ("revocations", list)];
        let names: Vec<_> = names
            .iter()
            .filter(|(_, there)| *there)
            .map(|(name, _)| *name)
            .collect();
        let (_folder, site) = machine(&names);
        let report = reset(&site, &bus, &all).await.unwrap();
        let case = format!("{who}, record {record}, list {list}: {report:?}");
        assert_eq!((report.server, report.held_back), (server, !told.is_empty()), "{case}");
        let why = report.why.as_deref().unwrap_or_default();
        assert!(why.starts_with(told), "{case}");
        assert_eq!(left(&site).is_empty(), !report.held_back || names.is_empty(), "{case}");
    }
}

#[test]
fn a_name_of_a_file_cannot_command_the_terminal() {
    let (_folder, site) = machine(&["record.\u{1b}]0;owned\u{7}\n.1", "other\u{1b}[2J"]);
    let outcome = clear(
        &site,
        Wanted {
            records: true,
            ..LITTLE
        },
    );
    let report = told(&unpaired(Some(false)), None, outcome, Vec::new());
    let text = report.text();
    assert!(text.contains("record.\\u{1b}]0;owned\\u{7}\\u{a}.1"), "{text:?}");
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
}
