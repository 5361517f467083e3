//! `standard DIRECTORY`: the standard authorization server, and its verbs. Decides nothing: every
//! verb is a method of the library's.

use std::{error::Error, path::PathBuf};

use c2c_testkit::standard::{Quirks, Secret, Standard};

use crate::{
    USAGE,
    control::{Said, lines, seconds},
    give, listen, serve,
};

/// The verbs, as the usage text shows them.
const VERBS: &str = "approve CODE|any | deny CODE|any | browse URI approve|deny | takes TOKEN | grants | seen BEGINS | \
    access-life SECONDS | kinds | secrets KIND | log | violations";

const KINDS: [(&str, Secret); 7] = [
    ("device-code", Secret::DeviceCode),
    ("user-code", Secret::UserCode),
    ("state", Secret::State),
    ("authorization-code", Secret::AuthorizationCode),
    ("code-verifier", Secret::CodeVerifier),
    ("access-token", Secret::AccessToken),
    ("refresh-token", Secret::RefreshToken),
];

/// Starts it. `ca.pem` and `issuer` are what a device has to be given.
pub(crate) fn run(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(args.next().ok_or(USAGE)?);
    if args.next().is_some() {
        return Err(USAGE.into());
    }
    let listener = listen(&directory)?;
    let server = Standard::start(Quirks::default())?;
    give(&directory.join("ca.pem"), server.ca_pem(), 0o644)?;
    give(&directory.join("issuer"), &server.issuer(), 0o644)?;
    serve(&listener, move |words| obey(&server, words))
}

fn obey(server: &Standard, words: &[&str]) -> Said {
    let nothing = String::new();
    match words {
        ["approve", code] => decide(server, code, true).map(|()| nothing),
        ["deny", code] => decide(server, code, false).map(|()| nothing),
        ["browse", uri, verdict @ ("approve" | "deny")] => {
            let back = server.browse(uri, *verdict == "approve");
            Ok(back.ok_or("this is no request of the known client")?)
        }
        ["takes", token] if server.takes(token) => Ok(nothing),
        ["takes", _] => Err("it is not live".into()),
        ["grants"] => Ok(server.live_grants().to_string()),
        ["seen", begins] => {
            let log = server.log();
            Ok(log.iter().filter(|line| line.starts_with(begins)).count().to_string())
        }
        ["access-life", life] => {
            let life = seconds(life)?.as_secs();
            server.change(|quirks| quirks.token_life = Some(life));
            Ok(nothing)
        }
        ["kinds"] => Ok(lines(KINDS.map(|(name, _)| name.to_owned()))),
        ["secrets", name] => {
            let kind = KINDS.iter().find(|(of, _)| of == name);
            Ok(lines(
                server.secrets(kind.ok_or("there is no such kind: see `kinds`")?.1),
            ))
        }
        ["log"] => Ok(lines(server.log())),
        ["violations"] => Ok(lines(server.violations())),
        _ => Err(VERBS.into()),
    }
}

fn decide(server: &Standard, code: &str, approve: bool) -> Result<(), Box<dyn Error>> {
    let code = match code {
        "any" => server.waiting().pop().ok_or("nobody waits for an approval")?,
        code => code.to_owned(),
    };
    if server.decide(&code, approve) {
        Ok(())
    } else {
        Err("there is no such code".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_do_what_they_say_and_refuse_what_is_not_there() {
        let server = Standard::start(Quirks::default()).expect("the server starts");
        assert_eq!(obey(&server, &["grants"]).expect("a number"), "0");
        assert_eq!(obey(&server, &["seen", "POST"]).expect("a number"), "0");
        assert!(obey(&server, &["kinds"]).expect("a list").contains("code-verifier"));
        assert_eq!(obey(&server, &["secrets", "refresh-token"]).expect("a list"), "");
        for refused in [
            &["approve", "any"][..],
            &["deny", "no-such-code"],
            &["takes", "nothing"],
            &["browse", "https://elsewhere.example/authorize?x=y", "approve"],
            &["secrets", "no-such-kind"],
            &["no-such-verb"],
        ] {
            assert!(obey(&server, refused).is_err(), "{refused:?}");
        }
        assert_eq!(server.violations().len(), 1, "a browser that was sent astray is told");
    }
}
