//! Servers that people use: each example file at a strict server that speaks as that one does, and
//! what else servers say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use c2c_testkit::harness::side_by_side;
use c2c_testkit::standard::{Challenge, Loss, Rules, Standard};
use c2c_testkit::user::User;

use super::browser::pair;
use super::*;

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/providers");
const DOCUMENTED: &str = include_str!("../../../docs/providers.md");

/// The files, by name.
fn files() -> BTreeMap<String, String> {
    let files = fs::read_dir(FILES).unwrap().map(|file| file.unwrap().path());
    let named = files.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    named.collect()
}

fn rules(name: &str) -> Rules {
    let row = Rules::EXAMPLES.into_iter().find(|rules| rules.name == name);
    row.unwrap_or_else(|| panic!("the simulator has no row for {name}"))
}

async fn approve(world: &Harness<Standard>, user: &User) {
    let code = user.code_when_it_may(&[]).await;
    world.server.seen("POST /token device_code", 1, LIMIT).await.unwrap();
    assert!(world.server.decide(&code["user-code"], true));
    user.until("Pairing", "PairingState", "paired").await;
}

/// The answer to a start, once the one before is long enough ago.
async fn refusal(user: &User) -> zbus::Result<std::collections::HashMap<String, String>> {
    loop {
        let answer = user.code(&[]).await;
        if error_name(&answer) != "org.freedesktop.DBus.Error.LimitsExceeded" {
            return answer;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// From the first code to the last refusal.
async fn lives(file: String, rules: Rules) {
    let quirks = Quirks {
        token_life: Some(8),
        ..Quirks::of(rules)
    };
    let world = Harness::of_file(DAEMON, &file, quirks);
    let user = world.user().await;
    let mut daemon = world.start().await;
    // A decline, after one code.
    let code = user.code(&[]).await.unwrap();
    assert!(world.server.decide(&code["user-code"], false));
    user.until("Pairing", "PairingReason", "denied").await;
    assert_eq!(world.server.secrets(Secret::UserCode).len(), 1);
    // A code that ends is followed by another.
    let code = user.code_when_it_may(&[]).await;
    assert!(world.server.expire(&code["user-code"]));
    let limit = Instant::now() + LIMIT;
    while world.server.secrets(Secret::UserCode).len() < 3 {
        assert!(Instant::now() < limit, "{:?}", world.server.log());
        tokio::time::sleep(LOOK).await;
    }
    user.cancel().await.unwrap();
    // A pairing, refreshes, and one whose answer is lost.
    approve(&world, &user).await;
    user.until_generation(2).await;
    if !rules.rotates || file.contains("\nreuse-window") {
        let lost = user.generation().await;
        world.server.change(|quirks| quirks.loses.push(Loss::Before));
        // Without a window it is sent again after 40 s.
        let limit = Instant::now() + LIMIT * 2;
        while world.server.will_lose() || user.generation().await == lost {
            assert!(Instant::now() < limit, "{:?}", world.server.log());
            tokio::time::sleep(LOOK).await;
        }
    }
    assert!(world.server.takes(&user.token().await.unwrap().access));
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    // A dead token.
    world.server.revoke_all();
    user.until("Pairing", "PairingReason", "revoked").await;
    daemon.kill().unwrap();
    world.no_request_was_strange();
}

#[tokio::test]
async fn each_example_file_lives_at_the_strict_server_of_its_row() {
    let files = files();
    assert_eq!(files.len(), Rules::EXAMPLES.len());
    side_by_side(files.into_iter().map(|(name, file)| {
        let rules = rules(&name);
        (name, lives(file, rules))
    }))
    .await;
}

/// The first pairing fails, or the first dead token is not heard.
#[tokio::test]
async fn each_quirk_of_an_example_file_is_needed() {
    let without = [
        ("google", "pkce = \"off\"", "pkce = \"s256\""),
        ("google", "client-auth = \"post\"", "client-auth = \"basic\""),
        ("entra", " offline_access", ""),
        ("keycloak", "pkce = \"s256\"", "pkce = \"off\""),
        ("keycloak", "client-auth = \"basic\"", "client-auth = \"post\""),
        ("auth0", "audience = \"https://api.example.com\"\n", ""),
        ("okta", "client-auth = \"none\"", "client-auth = \"basic\""),
        ("authentik", "client-auth = \"basic\"", "client-auth = \"post\""),
        ("dex", "client-auth = \"post\"", "client-auth = \"basic\""),
    ];
    let files = files();
    side_by_side(without.map(|(name, quirk, other)| {
        let file = files[name].replace(quirk, other);
        assert_ne!(file, files[name], "{name} has no {quirk}");
        let case = async move {
            let world = Harness::of_file(DAEMON, &file, Quirks::of(rules(name)));
            // Without a secret in the row, one is there for the method that wants it.
            world
                .rig
                .write_credential("client-secret", b"made-up-client.secret_1~")
                .unwrap();
            let user = world.user().await;
            let mut daemon = world.start().await;
            let refused = user.code(&[("timeout", 5_u32.into())]).await;
            assert_eq!(
                error_name(&refused),
                "org.cameratocloud.Auth1.Error.ClientRejected",
                "{refused:?}"
            );
            daemon.kill().unwrap();
            let key = quirk.split(' ').next().unwrap();
            let said = daemon.output().join("\n");
            let is_named = key.is_empty() || said.contains(&format!("provider.{key}"));
            assert!(is_named, "the cure names no provider.{key}: {said}");
        };
        (format!("{name} {quirk}"), case)
    }))
    .await;
}

#[tokio::test]
async fn a_dead_token_in_another_word_is_none_without_the_key() {
    let file = files()["dex"].replace("dead-words = [\"invalid_request\"]\n", "");
    let quirks = Quirks {
        token_life: Some(8),
        ..Quirks::of(rules("dex"))
    };
    let world = Harness::of_file(DAEMON, &file, quirks);
    let user = world.user().await;
    let _daemon = world.start().await;
    approve(&world, &user).await;
    world.server.revoke_all();
    world
        .server
        .seen("POST /token refresh_token 400 invalid_request", 2, LIMIT)
        .await
        .unwrap();
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
}

/// It comes again 40 s later, which is after the window of either.
#[tokio::test]
async fn without_its_window_in_the_file_a_lost_answer_costs_the_pairing() {
    let files = files();
    let cases = [("okta", "30s"), ("dex", "3s")].map(|(name, window)| {
        let written = format!("reuse-window = \"{window}\"\n");
        let file = files[name].replace(&written, "");
        assert_ne!(file, files[name], "{name} has no {written}");
        let case = async move {
            let quirks = Quirks {
                loses: vec![Loss::Before],
                next_life: Some(8),
                ..Quirks::of(rules(name))
            };
            let world = Harness::of_file(DAEMON, &file, quirks);
            let user = world.user().await;
            let _daemon = world.start().await;
            approve(&world, &user).await;
            user.until("Pairing", "PairingReason", "refresh-answer-lost").await;
        };
        (name.to_owned(), case)
    });
    side_by_side(cases).await;
}

#[tokio::test]
async fn a_server_whose_errors_have_status_200_is_understood() {
    let quirks = Quirks {
        token_life: Some(8),
        ..Quirks::of(Rules::GITHUB)
    };
    let world = Harness::device(DAEMON, quirks);
    let user = world.user().await;
    let _daemon = world.start().await;
    let code = user.code(&[]).await.unwrap();
    world
        .server
        .seen("POST /token device_code 200 authorization_pending", 3, LIMIT)
        .await
        .unwrap();
    assert!(world.server.decide(&code["user-code"], false));
    user.until("Pairing", "PairingReason", "denied").await;
    assert_eq!(world.server.secrets(Secret::UserCode).len(), 1);
    approve(&world, &user).await;
    world.server.revoke_all();
    world
        .server
        .seen("POST /token refresh_token 200 bad_refresh_token", 1, LIMIT)
        .await
        .unwrap();
    world.server.change(|quirks| quirks.rules.dead = (200, "invalid_grant"));
    world
        .server
        .seen("POST /token refresh_token 200 invalid_grant", 1, LIMIT)
        .await
        .unwrap();
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_code_is_proven_after_a_restart_by_the_verifier_of_its_own() {
    let quirks = Quirks {
        document: Document::Unlisted,
        ..Quirks::default()
    };
    let mut world = Harness::device(DAEMON, quirks);
    let user = world.user().await;
    // With auto, and a server that does not say that it knows the method: nothing is sent.
    let mut daemon = world.start().await;
    let code = user.code(&[]).await.unwrap();
    world.server.seen("POST /token device_code", 1, LIMIT).await.unwrap();
    assert!(world.server.secrets(Secret::CodeVerifier).is_empty());
    assert!(world.server.decide(&code["user-code"], false));
    user.until("Pairing", "PairingReason", "denied").await;
    // A kill could leave the flow behind, and the next daemon would go on with its code.
    daemon.terminate().unwrap();
    tokio::task::spawn_blocking(move || daemon.wait_exit_blocking(LIMIT).unwrap())
        .await
        .unwrap();
    // Demanded, and told by the description or by the key.
    for listed in [true, false] {
        world.server.change(|quirks| {
            quirks.rules.challenge = Challenge::Demanded;
            quirks.document = if listed { Document::Good } else { Document::Unlisted };
        });
        world.set(&[("provider", "pkce", if listed { "auto" } else { "s256" })]);
        let mut daemon = world.start().await;
        let code = user.code_when_it_may(&[("replace", true.into())]).await;
        world.restart(&mut daemon).await;
        assert!(world.server.decide(&code["user-code"], true));
        user.until("Pairing", "PairingState", "paired").await;
        user.unpair().await.unwrap();
        daemon.kill().unwrap();
        let left = left_behind(&world, &daemon);
        let verifiers = world.server.secrets(Secret::CodeVerifier);
        assert!(!verifiers.is_empty());
        for verifier in verifiers {
            assert!(!left.windows(verifier.len()).any(|window| window == verifier.as_bytes()));
        }
    }
    // A server that does not know PKCE, and refuses what it does not know.
    world
        .server
        .change(|quirks| quirks.rules.challenge = Challenge::Refused);
    let mut daemon = world.start().await;
    let refused = refusal(&user).await;
    assert_eq!(error_name(&refused), "org.cameratocloud.Auth1.Error.ClientRejected");
    daemon.kill().unwrap();
    assert!(daemon.output().join("\n").contains("provider.pkce"));
}

#[tokio::test]
async fn the_servers_sentence_stands_in_the_journal_and_repeats_no_secret() {
    let quirks = Quirks {
        describes_with: Some("Missing parameter:\n code_challenge_method".to_owned()),
        ..Quirks::of(Rules {
            challenge: Challenge::Demanded,
            ..rules("keycloak")
        })
    };
    let file = files()["keycloak"].replace("s256", "off");
    let world = Harness::of_file(DAEMON, &file, quirks);
    let user = world.user().await;
    let mut daemon = world.start().await;
    assert!(user.code(&[]).await.is_err());
    let told = |line: &str| line.contains("The server says: \"Missing parameter: code_challenge_method\".");
    daemon.wait_output(told, LIMIT).await.unwrap();
    world.server.change(|quirks| {
        quirks.describes_with = Some("bad client camera-app with made-up-client.secret_1~".to_owned());
    });
    refusal(&user).await.unwrap_err();
    daemon.kill().unwrap();
    assert!(
        !daemon.output().join("\n").contains("made-up-client"),
        "{:?}",
        daemon.output()
    );
}

/// The strict server refuses what is not demanded, wherever it comes.
async fn parameters_arrive(kind: &'static str, begins: &'static [(&'static str, &'static str, &'static str)]) {
    let rules = Rules {
        demands: begins,
        ..Rules::RFC
    };
    let quirks = Quirks {
        token_life: Some(8),
        ..Quirks::of(rules)
    };
    let file = format!(
        "[provider]\nkind = \"{kind}\"\nclient-id = \"camera-app\"\nclient-auth = \"none\"\n\
         audience = \"https://api.example.com\"\n\
         resource = [\"https://a.example.com\", \"urn:example:b\"]\n\
         extra = [{{ name = \"acr\", value = \"high\" }}, \
         {{ name = \"tenant\", value = \"a b&c\", in = [\"token\", \"refresh\"] }}]\n"
    );
    let mut world = Harness::of_file(DAEMON, &file, quirks);
    let user = world.user().await;
    let mut daemon = world.start().await;
    pair(&world, &user, kind).await;
    user.until_generation(2).await;
    world.no_request_was_strange();
    // Another audience is no other server.
    daemon.kill().unwrap();
    world.set(&[("provider", "audience", "https://other.example.com")]);
    let _daemon = world.start().await;
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
    user.until_generation(4).await;
    world.no_request_was_strange();
}

#[tokio::test]
async fn further_parameters_go_where_they_belong_and_nowhere_else() {
    let device = parameters_arrive(
        "oauth-device",
        &[
            ("device", "audience", "https://api.example.com"),
            ("device", "resource", "https://a.example.com"),
            ("device", "resource", "urn:example:b"),
            ("device", "acr", "high"),
            ("token", "tenant", "a b&c"),
            ("refresh", "tenant", "a b&c"),
        ],
    );
    let code = parameters_arrive(
        "oauth-code",
        &[
            ("authorize", "audience", "https://api.example.com"),
            ("authorize", "resource", "https://a.example.com"),
            ("authorize", "resource", "urn:example:b"),
            ("authorize", "acr", "high"),
            ("token", "tenant", "a b&c"),
            ("refresh", "tenant", "a b&c"),
        ],
    );
    tokio::join!(device, code);
}

/// A server is a file of keys.
#[test]
fn no_code_names_a_server_but_frameio_and_those_of_the_presets() {
    const NAMES: [&str; 13] = [
        "google",
        "entra",
        "keycloak",
        "auth0",
        "okta",
        "authentik",
        "dex",
        "github",
        "twitch",
        "amazon",
        "zitadel",
        "hydra",
        "glewlwyd",
    ];
    fn look(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && name != "tests" {
                look(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
                let text = fs::read_to_string(&path).unwrap().to_lowercase();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let code = code.lines().map(|line| line.split("//").next().unwrap_or_default());
                let words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric()));
                let named = words.filter(|word| NAMES.contains(word));
                found.extend(named.map(|server| format!("{}: {server}", path.display())));
            }
        }
    }
    let mut found = Vec::new();
    look(
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")),
        &mut found,
    );
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_documented_table_of_servers_is_printed_from_the_files() {
    let mut table = "| file | what it writes beside its addresses |\n|---|---|\n".to_owned();
    for (name, file) in files() {
        let is_address =
            |line: &&str| line.starts_with("issuer") || line.starts_with("client-id") || line.starts_with("kind");
        let keys = file
            .lines()
            .filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
        let keys: Vec<_> = keys
            .filter(|line| !is_address(line))
            .map(|line| format!("`{line}`"))
            .collect();
        let keys = keys.join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(table, "| [{name}](../examples/providers/{name}.toml) | {keys} |");
    }
    assert!(DOCUMENTED.contains(&table), "docs/providers.md needs:\n{table}");
}
