//! The verbs: one line each in [`VERBS`], words in, text out.
//!
//! They cover people's decisions, the network's faults, and the record of what really happened. The
//! texts are for scripts: a number, a word, or one item a line. Decides nothing: every verb is a
//! method of the library's.

use std::{error::Error, fmt::Write as _, time::Duration};

use c2c_testkit::server::{Cut, Endpoint, Fault, Issued, Kind, Options, Page, Pause, Server, Stage, Times, Tls, Truth};

/// The verbs, as the usage text shows them.
const VERBS: &str = "waiting | approve CODE|any [PROJECT] | deny CODE|any | forget ID | end-access-token ID | \
    fault ENDPOINT FAULT [ARGUMENT] [N|always] | clear | release | refuse | accept | cut | tls KIND | advance SECONDS | \
    access-life SECONDS | refreshed-life SECONDS | code-life SECONDS | secret replace|end-old | count WHAT | requests ENDPOINT | await ENDPOINT N SECONDS | live ID access|refresh | \
    kinds | secrets [KIND] | log | violations";
const KINDS: [&str; 4] = ["device-code", "user-code", "access-token", "refresh-token"];

pub(crate) type Said = Result<String, Box<dyn Error>>;

/// Does what the words say, or tells what they ask for.
pub(crate) fn obey(server: &Server, words: &[&str]) -> Said {
    match words {
        ["waiting"] => Ok(lines(server.waiting().into_iter().map(|w| w.user_code))),
        ["count", what] => count(server, what),
        ["requests", at] => {
            let at = endpoint(at)?;
            Ok(server.truth(|t| t.requests(at).count()).to_string())
        }
        ["live", id, which] => server.truth(|t| {
            let live = t.live(id);
            let token = match *which {
                "access" => live.access,
                "refresh" => live.refresh,
                _ => return Err(VERBS.into()),
            };
            token.map(ToOwned::to_owned).ok_or_else(|| "there is none".into())
        }),
        ["kinds"] => Ok(KINDS.join("\n")),
        ["secrets"] => {
            let secret = server.client_secret();
            Ok(lines(issued(server, |_| true).into_iter().chain([secret])))
        }
        ["secrets", kind] => {
            let kind = kind_of(kind)?;
            Ok(lines(issued(server, |i| i.kind == kind)))
        }
        ["log"] => Ok(server.truth(|t| {
            lines(t.log().iter().map(|e| {
                let verdict = if e.verdict.is_empty() { "-" } else { e.verdict.as_str() };
                format!("{} {verdict} {:?} {:?}", e.target, e.outcome, e.fault)
            }))
        })),
        ["violations"] => Ok(server.truth(|t| lines(t.violations().iter().map(|v| format!("{v:?}"))))),
        _ => act(server, words).map(|()| String::new()),
    }
}

fn act(server: &Server, words: &[&str]) -> Result<(), Box<dyn Error>> {
    match words {
        ["approve", code] => server.approve(&code_of(server, code)?)?,
        ["approve", code, project] => server.approve_into(&code_of(server, code)?, project)?,
        ["deny", code] => server.deny(&code_of(server, code)?)?,
        ["forget", id] => server.forget(id)?,
        ["end-access-token", id] => server.end_access_token(id)?,
        ["fault", at, fault @ ..] => {
            let (times, fault) = parse_fault(fault)?;
            server.faults(endpoint(at)?, times, fault);
        }
        ["clear"] => server.clear_faults(),
        ["release"] => server.release(),
        ["refuse"] => server.refuse_connections(),
        ["accept"] => server.accept_connections(),
        ["cut"] => server.cut_connections(),
        ["tls", kind] => server.set_tls(tls(kind)?),
        ["advance", by] => server.advance(seconds(by)?),
        ["access-life", life] => {
            let life = seconds(life)?;
            server.set_options(|o| o.access_life = life);
        }
        ["refreshed-life", life] => {
            let life = seconds(life)?;
            server.set_options(|o| o.refreshed_life = Some(life));
        }
        ["code-life", life] => {
            let life = seconds(life)?;
            server.set_options(|o| o.code_life = life);
        }
        ["secret", "replace"] => server.set_options(Options::replace_secret),
        ["secret", "end-old"] => server.set_options(Options::end_old_secret),
        ["await", at, n, limit] => {
            let (at, n) = (endpoint(at)?, n.parse::<usize>()?);
            server.wait_for_blocking(|t| t.requests(at).count() >= n, seconds(limit)?)?;
        }
        _ => return Err(VERBS.into()),
    }
    Ok(())
}

/// A duration in (fractions of) seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

pub(crate) fn lines(items: impl IntoIterator<Item = String>) -> String {
    items.into_iter().collect::<Vec<_>>().join("\n")
}

fn code_of(server: &Server, code: &str) -> Said {
    if code != "any" {
        return Ok(code.to_owned());
    }
    let newest = server.waiting().pop();
    Ok(newest.ok_or("nobody waits for an approval")?.user_code)
}

fn issued(server: &Server, which: impl Fn(&Issued) -> bool) -> Vec<String> {
    server.truth(|t| {
        let some = t.issued().iter().filter(|i| which(i));
        some.map(|i| i.value.clone()).collect()
    })
}

fn count(server: &Server, what: &str) -> Said {
    let c = server.truth(Truth::counters);
    let number = match what {
        "connections" => c.connections,
        "handshakes-failed" => c.handshakes_failed,
        "codes" => c.codes_issued,
        "polls" => c.polls,
        "pairings" => c.pairings,
        "refreshes" => c.refreshes,
        "refreshes-committed" => c.refreshes_committed,
        "revocations" => c.revocations,
        "heartbeats" => c.heartbeats,
        _ => return Err(VERBS.into()),
    };
    Ok(number.to_string())
}

fn kind_of(name: &str) -> Result<Kind, Box<dyn Error>> {
    Ok(match name {
        "device-code" => Kind::DeviceCode,
        "user-code" => Kind::UserCode,
        "access-token" => Kind::AccessToken,
        "refresh-token" => Kind::RefreshToken,
        _ => return Err(format!("kinds: {}", KINDS.join(", ")).into()),
    })
}

fn endpoint(name: &str) -> Result<Endpoint, Box<dyn Error>> {
    Ok(match name {
        "device-code" => Endpoint::DeviceCode,
        "poll" => Endpoint::Poll,
        "refresh" => Endpoint::Refresh,
        "revoke" => Endpoint::Revoke,
        "me" => Endpoint::Me,
        "heartbeat" => Endpoint::Heartbeat,
        "health" => Endpoint::Health,
        _ => return Err("endpoints: device-code, poll, refresh, revoke, me, heartbeat, health".into()),
    })
}

fn tls(kind: &str) -> Result<Tls, Box<dyn Error>> {
    Ok(match kind {
        "good" => Tls::Good,
        "wrong-ca" => Tls::WrongCa,
        "expired" => Tls::Expired,
        "not-yet-valid" => Tls::NotYetValid,
        "wrong-name" => Tls::WrongName,
        "silent" => Tls::Silent,
        _ => return Err("kinds: good, wrong-ca, expired, not-yet-valid, wrong-name, silent".into()),
    })
}

/// `FAULT [ARGUMENT] [N|always]`, once if it is not said how often.
fn parse_fault(words: &[&str]) -> Result<(Times, Fault), Box<dyn Error>> {
    let pause = |text: &str| -> Result<Pause, Box<dyn Error>> {
        Ok(match text {
            "released" => Pause::UntilReleased,
            time => Pause::For(seconds(time)?),
        })
    };
    let (fault, rest) = match words {
        ["stall-before", until, rest @ ..] => (Fault::Stall(Stage::BeforeCommit, pause(until)?), rest),
        ["stall-after", until, rest @ ..] => (Fault::Stall(Stage::AfterCommit, pause(until)?), rest),
        ["cut-before", rest @ ..] => (Fault::Cut(Cut::BeforeCommit), rest),
        ["cut-after", rest @ ..] => (Fault::Cut(Cut::AfterCommit), rest),
        ["status", status, rest @ ..] => (Fault::Instead(Page::Status(status.parse()?)), rest),
        ["too-many", after, rest @ ..] => (Fault::Instead(Page::TooManyRequests(Some(after.parse()?))), rest),
        ["portal", rest @ ..] => (Fault::Instead(Page::CaptivePortal), rest),
        ["garbage", rest @ ..] => (Fault::Garbage, rest),
        _ => {
            let mut usage = "faults: stall-before SECONDS|released, stall-after SECONDS|released, ".to_owned();
            // Writing to a String cannot fail.
            let _ = write!(
                usage,
                "cut-before, cut-after, status CODE, too-many SECONDS, portal, garbage"
            );
            return Err(usage.into());
        }
    };
    let times = match rest {
        [] => Times::Next(1),
        ["always"] => Times::Always,
        [n] => Times::Next(n.parse()?),
        _ => return Err("a fault ends with how often: N or always".into()),
    };
    Ok((times, fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_what_and_how_often() {
        let stall = |pause| Fault::Stall(Stage::AfterCommit, pause);
        let cases: [(&[&str], _); 3] = [
            (
                &["stall-after", "released"],
                (Times::Next(1), stall(Pause::UntilReleased)),
            ),
            (
                &["stall-after", "1.5", "always"],
                (Times::Always, stall(Pause::For(Duration::from_millis(1500)))),
            ),
            (&["garbage", "3"], (Times::Next(3), Fault::Garbage)),
        ];
        for (words, expected) in cases {
            assert_eq!(parse_fault(words).expect("a fault"), expected);
        }
        assert!(parse_fault(&["garbage", "3", "4"]).is_err());
        assert!(parse_fault(&["nothing"]).is_err());
    }

    #[test]
    fn what_is_done_is_found_in_the_truth() {
        let server = Server::start(Options::default()).expect("the server starts");
        assert_eq!(obey(&server, &["count", "pairings"]).expect("a number"), "0");
        assert_eq!(
            obey(&server, &["secrets"]).expect("the secret alone"),
            server.client_secret()
        );
        assert!(obey(&server, &["approve", "any"]).is_err());
        assert!(obey(&server, &["no-such-verb"]).is_err());
    }
}
