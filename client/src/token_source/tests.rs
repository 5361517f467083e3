#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use c2c_testkit::contract::Fake;

use super::rule::{Pause, ROWS, SAME_TOKEN};
use super::*;

const TOKENS: &str = "org.cameratocloud.Auth1.Tokens";

/// The answer to a call for a token, as the daemon of the simulation gives it.
#[derive(Clone, Copy)]
enum Answer {
    Error(&'static str),
    /// A token of this generation, which the API takes from this second on.
    Token(u64, u64),
}

use Answer::{Error as E, Token as T};

/// A caller without a pause of its own, in simulated time. `news`: when a signal comes. Returns
/// when calls for a token leave, and when requests to the API do, in seconds.
fn simulated(answer: impl Fn(u64) -> Answer, news: &[u64], end: u64) -> (Vec<u64>, Vec<u64>) {
    let start = Instant::now();
    let at = |second: u64| start + Duration::from_secs(second);
    let second = |instant: Instant| (instant - start).as_secs();
    let after = |now: u64| news.iter().copied().find(|news| *news > now);
    let (mut rule, mut now) = (Rule::default(), 0);
    let (mut calls, mut requests) = (Vec::new(), Vec::new());
    loop {
        let next = match rule.wait() {
            Wait::Nothing => Some(now),
            Wait::Time(until) => Some(second(until)),
            Wait::NewsOr(until) => Some(after(now).map_or(second(until), |news| news.min(second(until)))),
            Wait::News => after(now),
            Wait::Never => None,
        };
        let Some(next) = next.filter(|next| *next < end) else {
            return (calls, requests);
        };
        now = next;
        calls.push(now);
        assert!(calls.len() < 10_000, "a flood");
        match answer(now) {
            E(name) => rule.handle_failed(at(now), Why::of(name)),
            T(generation, good_from) => {
                if let Some(until) = rule.handle_served(at(now), generation) {
                    match after(now).filter(|news| *news < second(until)) {
                        Some(news) => {
                            now = news;
                            continue;
                        }
                        None => now = second(until),
                    }
                }
                if now >= end {
                    return (calls, requests);
                }
                requests.push(now);
                if now >= good_from {
                    // The next file is recorded a minute later.
                    now += 60;
                } else {
                    rule.handle_rejected(at(now), generation);
                }
            }
        }
    }
}

fn calls(error: &'static str, news: &[u64], end: u64) -> Vec<u64> {
    simulated(|_| E(error), news, end).0
}

#[test]
fn each_error_is_paced_as_its_row_has_it() {
    let doubling_from_5 = [0, 5, 15, 35, 75, 135, 195, 255];
    let no_token = [
        "org.cameratocloud.Auth1.Error.Offline",
        "org.cameratocloud.Auth1.Error.ClockNotSet",
        "org.cameratocloud.Auth1.Error.ServerError",
        "org.cameratocloud.Auth1.Error.StorageFailed",
        "org.freedesktop.DBus.Error.Timeout",
        "org.freedesktop.DBus.Error.Failed",
        "org.cameratocloud.Auth1.Error.OnlyANewerDaemonHasThis",
    ];
    let no_daemon = [
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.DBus.Error.TimedOut",
        "org.freedesktop.DBus.Error.Spawn.ChildExited",
        "org.freedesktop.systemd1.NoSuchUnit",
    ];
    let no_token = no_token.map(|error| (error, Why::NoToken));
    for (error, why) in no_token
        .into_iter()
        .chain(no_daemon.map(|error| (error, Why::NoDaemon)))
    {
        assert_eq!(Why::of(error), why, "{error}");
        assert_eq!(calls(error, &[], 300), doubling_from_5, "{error}");
        assert_eq!(calls(error, &[2], 10), [0, 2], "{error}");
    }
    let limits = "org.freedesktop.DBus.Error.LimitsExceeded";
    assert_eq!(calls(limits, &[], 200), [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    assert_eq!(calls(limits, &[4, 5], 8), [0, 1, 3, 7]);
    for error in ["ClientRejected", "NotProvisioned"] {
        assert_eq!(calls(error, &[], 10_000), [0, 3600, 7200], "{error}");
        assert_eq!(calls(error, &[60], 3000), [0, 60], "{error}");
    }
    for error in ["AccessDenied", "InvalidArgs"] {
        assert_eq!(calls(error, &[1, 2], u64::MAX / 2), [0], "{error}");
    }
}

#[test]
fn an_unpaired_device_is_asked_when_there_is_news_and_by_no_timer() {
    let month = 30 * 86_400;
    assert_eq!(calls("NotPaired", &[], month), [0]);
    assert_eq!(calls("NotPaired", &[40, 90_000], month), [0, 40, 90_000]);
}

#[test]
fn pauses_begin_anew_after_a_token_and_after_another_error() {
    let answer = |now| if (10..20).contains(&now) { T(1, 0) } else { E("Offline") };
    assert_eq!(simulated(answer, &[], 100).0, [0, 5, 15, 75, 80, 90]);
    let answer = |now| E(if now < 15 { "Offline" } else { "LimitsExceeded" });
    assert_eq!(simulated(answer, &[], 20).0, [0, 5, 15, 16, 18]);
}

#[test]
fn a_rejected_token_that_comes_back_is_used_after_2_s_that_double_to_60() {
    let (calls, requests) = simulated(|_| T(7, u64::MAX), &[], 300);
    assert_eq!(requests, [0, 2, 6, 14, 30, 62, 122, 182, 242]);
    assert_eq!(calls.len(), requests.len() + 1, "the last one waits");
    let in_ten_seconds = requests.iter().filter(|request| **request < 10);
    assert_eq!(in_ten_seconds.count(), 3);
}

#[test]
fn another_generation_resets_the_pause_and_news_of_it_ends_it() {
    let answer = |now| if now < 20 { T(7, u64::MAX) } else { T(8, 25) };
    assert_eq!(simulated(answer, &[20], 90).1, [0, 2, 6, 14, 20, 22, 26, 86]);
}

#[test]
fn the_api_takes_the_token_after_all_and_no_request_waits_any_more() {
    assert_eq!(simulated(|_| T(7, 1), &[], 200).1, [0, 2, 62, 122, 182]);
}

#[test]
fn several_requests_that_found_one_token_dead_count_once() {
    let start = Instant::now();
    let at = |second: u64| start + Duration::from_secs(second);
    let mut rule = Rule::default();
    rule.handle_rejected(at(0), 7);
    rule.handle_rejected(at(0), 7);
    assert_eq!(rule.handle_served(at(0), 7), Some(at(2)));
    // They left before the pause.
    rule.handle_rejected(at(1), 7);
    rule.handle_rejected(at(1), 6);
    assert_eq!(rule.handle_served(at(1), 7), Some(at(2)));
    assert_eq!(rule.handle_served(at(2), 7), None);
    rule.handle_rejected(at(3), 7);
    assert_eq!(rule.handle_served(at(3), 7), Some(at(7)));
}

/// Error names, seconds and news of a row.
type Told<'a> = (Vec<&'a str>, Option<(u64, u64)>, bool);

/// The rows as the page has them.
fn table(page: &str) -> Vec<Told<'_>> {
    let rows = page.lines().skip_while(|line| !line.starts_with("| error |")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let names = cells[1].split('`').skip(1).step_by(2).collect();
            let seconds = |cell: &str| {
                cell.strip_suffix(" s")
                    .map(|number| number.replace(',', "").parse().unwrap())
            };
            (names, seconds(cells[3]).zip(seconds(cells[4])), cells[5] == "yes")
        })
        .collect()
}

#[test]
fn the_page_and_the_contract_have_the_rows_of_this_table() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let read = |file: &str| std::fs::read_to_string(format!("{root}/{file}")).unwrap();
    let mut ours: Vec<_> = ROWS
        .iter()
        .map(|row| {
            let pause = match row.pause {
                Pause::Doubling(first, longest) => Some((first, longest)),
                Pause::None | Pause::Never => None,
            };
            (row.errors.to_vec(), pause, row.until_news)
        })
        .collect();
    ours.push((vec![], Some(SAME_TOKEN), true));
    assert_eq!(table(&read("docs/uploader.md")), ours);
    // The README and the contract say the same in fewer words.
    let contract = read("dbus/org.cameratocloud.Auth1.xml");
    for row in &ROWS {
        let Pause::Doubling(first, longest) = row.pause else {
            continue;
        };
        let told = format!("{first} s, doubling to {longest} s");
        let told = if row.why == Why::NotAccepted {
            "once an hour".to_owned()
        } else {
            told
        };
        let line = contract
            .lines()
            .find(|line| line.contains(row.errors[0]) && line.contains(&told));
        assert!(
            line.is_some(),
            "the contract has no line for {} with {told}",
            row.errors[0]
        );
    }
    let same = format!("{} s, doubling to {} s", SAME_TOKEN.0, SAME_TOKEN.1);
    for file in ["README.md", "dbus/org.cameratocloud.Auth1.xml"] {
        let words: Vec<_> = read(file).split_whitespace().map(str::to_owned).collect();
        assert!(words.join(" ").contains(&same), "{file} does not say {same}");
    }
}

/// The wiring: each error of the bus ends in its row.
#[tokio::test]
async fn every_error_of_the_contract_is_recognized_on_the_bus() {
    for (error, why) in [
        ("NotPaired", Why::NotPaired),
        ("Offline", Why::NoToken),
        ("ClockNotSet", Why::NoToken),
        ("ServerError", Why::NoToken),
        ("StorageFailed", Why::NoToken),
        ("org.freedesktop.DBus.Error.Timeout", Why::NoToken),
        ("org.freedesktop.DBus.Error.Failed", Why::NoToken),
        ("org.freedesktop.DBus.Error.LimitsExceeded", Why::TooOften),
        ("ClientRejected", Why::NotAccepted),
        ("NotProvisioned", Why::NotAccepted),
        ("org.freedesktop.DBus.Error.AccessDenied", Why::Refused),
        ("org.freedesktop.DBus.Error.InvalidArgs", Why::Refused),
        ("org.freedesktop.DBus.Error.NoReply", Why::NoDaemon),
    ] {
        let fake = Fake::start().await;
        fake.refuse("GetAccessToken", error);
        let source = TokenSource::new(&fake.client).await.unwrap();
        let told = source.token(0).await.unwrap_err();
        assert_eq!(told.why(), why, "{error}: {told}");
        if told.is_final() {
            assert_eq!(source.token(0).await.unwrap_err(), told);
            assert_eq!(fake.calls().iter().filter(|call| *call == "GetAccessToken").count(), 1);
        } else if !matches!(why, Why::TooOften) {
            fake.allow("GetAccessToken");
            // A signal, or a new owner: both are news, and come before the first pause is over.
            if matches!(why, Why::NotAccepted) {
                fake.restart().await;
            } else {
                fake.emit(TOKENS, "AccessTokenChanged", &7_u64).await;
            }
            let asked = std::time::Instant::now();
            assert_eq!(source.token(0).await.unwrap().generation, 7, "{error}");
            assert!(
                asked.elapsed() < Duration::from_secs(4),
                "{error}: {:?}",
                asked.elapsed()
            );
        }
    }
}

/// A program gives a call up, or a task ends: the news is not spent before an answer came.
#[tokio::test]
async fn a_call_that_is_dropped_before_its_answer_leaves_its_news_to_the_next() {
    const ASK: &str = "GetAccessToken";
    for (error, is_owner) in [("NotPaired", false), ("NotPaired", true), ("ClientRejected", false)] {
        let fake = Fake::start().await;
        let source = TokenSource::new(&fake.client).await.unwrap();
        fake.refuse(ASK, error);
        source.token(0).await.unwrap_err();
        fake.allow(ASK);
        fake.leaves_unanswered(ASK);
        // Nothing came yet: this one is dropped in its wait.
        assert!(timeout(Duration::ZERO, source.token(0)).await.is_err());
        if is_owner {
            fake.restart().await;
        } else {
            fake.emit(TOKENS, "AccessTokenChanged", &7_u64).await;
        }
        {
            let (mut first, mut second) = (Box::pin(source.token(0)), Box::pin(source.token(0)));
            tokio::select! {
                biased;
                answer = &mut first => panic!("{answer:?}"),
                // It waits for its turn while the first one asks.
                answer = &mut second => panic!("{answer:?}"),
                () = fake.called_times(ASK, 2) => {}
            }
            drop(first);
            tokio::select! {
                answer = &mut second => panic!("{answer:?}"),
                () = fake.called_times(ASK, 3) => {}
            }
        }
        fake.allow(ASK);
        let token = timeout(Duration::from_secs(4), source.token(0)).await;
        assert_eq!(token.expect("the news was lost").unwrap().generation, 7, "{error}");
        assert!(!source.turn.lock().await.has_changed().unwrap(), "the answer spends it");
    }
}

#[tokio::test]
async fn without_a_daemon_the_next_owner_is_waited_for() {
    let fake = Fake::start().await;
    let source = TokenSource::new(&fake.client).await.unwrap();
    fake.leave().await;
    // This bus says nothing where the name has no owner: as a daemon that hangs.
    tokio::time::pause();
    let asked = Instant::now();
    assert_eq!(source.token(0).await.unwrap_err().why(), Why::NoDaemon);
    assert_eq!(asked.elapsed().as_secs(), CALL_LIMIT.as_secs());
    tokio::time::resume();
    let (token, ()) = tokio::join!(source.token(0), fake.come_back());
    assert_eq!(token.unwrap().access_token(), "token");
}

#[tokio::test]
async fn a_token_that_was_rejected_is_held_back_and_not_shown() {
    let fake = Fake::start().await;
    let source = TokenSource::new(&fake.client).await.unwrap();
    let token = source.token(0).await.unwrap();
    assert_eq!((token.access_token(), token.expires_in), ("token", 60));
    assert!(!format!("{token:?} {source:?}").contains("\"token\""));
    source.rejected(token.generation).await;
    let asked = std::time::Instant::now();
    let again = source.token(0).await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
    assert!((57..=59).contains(&again.expires_in), "{}", again.expires_in);
    assert!(fake.calls().iter().any(|call| call == "RejectAccessToken"));
}

/// The stream of signals is emptied while nobody asks: a full one would stop the connection.
#[tokio::test]
async fn hundreds_of_signals_without_a_question_stop_nothing() {
    let fake = Fake::start().await;
    let source = TokenSource::new(&fake.client).await.unwrap();
    for generation in 1..=500_u64 {
        fake.emit(TOKENS, "AccessTokenChanged", &generation).await;
    }
    assert!(proxy::properties(&fake.client).await.is_ok());
    assert!(source.token(0).await.is_ok());
}

#[tokio::test]
async fn a_lost_bus_is_final() {
    let mut fake = Fake::start().await;
    let source = TokenSource::new(&fake.client).await.unwrap();
    fake.stop_bus();
    let told = source.token(0).await.unwrap_err();
    assert_eq!(told.why(), Why::NoBus, "{told}");
    assert!(told.is_final() && !told.is_for_a_person());
}
