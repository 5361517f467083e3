//! The real daemon as its own process, as systemd and an operator see it: notifications, signals,
//! exit codes, one sentence.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::{Notifications, Process, Rig};
use c2c_testkit::server::{Cut, Endpoint, Fault, Options, Pause, Server, Stage};
use rustix::process::Signal;
use zbus::Variant;

use crate::DAEMON;

async fn status(daemon: &Process, part: &'static str) -> String {
    let heard = daemon
        .notifications()
        .wait(move |n| n.get("STATUS").is_some_and(|s| s.contains(part)), LIMIT)
        .await;
    heard
        .unwrap_or_else(|error| panic!("{part}: {error}: {:?}", daemon.output()))
        .get("STATUS")
        .unwrap()
        .to_owned()
}

async fn exit(daemon: &mut Process) -> Option<i32> {
    daemon.wait_exit(LIMIT).await.unwrap().code()
}

#[tokio::test]
async fn a_stop_with_nothing_to_finish_does_not_wait_for_its_limits() {
    let world = Harness::c2c(DAEMON, quick());
    let mut all = Vec::new();
    // The bus is given a second at most for the last answers, of which there are none. A daemon
    // that waits for it never ends sooner, whichever time. One that does not needs a few
    // milliseconds, except where the machine is busy.
    for _ in 0..5 {
        let mut daemon = world.start().await;
        let asked = std::time::Instant::now();
        daemon.terminate().unwrap();
        assert_eq!(exit(&mut daemon).await, Some(0));
        let took = asked.elapsed();
        if took < Duration::from_millis(900) {
            return;
        }
        all.push(took);
    }
    panic!("{all:?}");
}

#[tokio::test]
async fn it_pairs_serves_a_token_and_ends_cleanly_on_sigterm() {
    let world = Harness::c2c(DAEMON, quick());
    let mut daemon = world.start().await;
    status(&daemon, "Not paired").await;
    let user = world.user().await;
    world.pair(&user).await;
    status(&daemon, "access token valid").await;
    let token = user.token().await.unwrap();
    assert!(!token.access.is_empty() && token.expires_in > 28_000 && token.generation == 1);

    daemon.terminate().unwrap();
    assert_eq!(exit(&mut daemon).await, Some(0));
    let heard = daemon.notifications().all();
    assert!(heard.iter().any(|n| n.get("STOPPING") == Some("1")));
    assert!(heard.iter().any(|n| n.get("EXTEND_TIMEOUT_USEC").is_some()));
    let output = daemon.output().join("\n");
    for event in ["started", "code-shown", "paired", "stopping"] {
        assert!(
            output.contains(&format!("C2C_EVENT=\"{event}\"")),
            "{event} in {output}"
        );
    }
    assert!(!output.contains(&token.access), "{output}");
}

#[tokio::test]
async fn a_restart_and_a_kill_keep_the_pairing() {
    let world = Harness::c2c(DAEMON, quick());
    let mut daemon = world.start().await;
    let user = world.user().await;
    world.pair(&user).await;
    status(&daemon, "access token valid").await;
    let before = user.token().await.unwrap();
    daemon.kill().unwrap();
    let daemon = world.start().await;
    status(&daemon, "access token valid").await;
    let after = user.token().await.unwrap();
    assert_eq!((before.access, before.generation), (after.access, after.generation));
}

#[tokio::test]
async fn sigterm_waits_for_a_refresh_that_was_sent() {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(100),
            ..quick()
        },
    );
    world
        .rig
        .configure(|config| {
            config.set("refresh", "at", "1%");
        })
        .unwrap();
    world.server.fault(
        Endpoint::Refresh,
        Fault::Stall(Stage::AfterCommit, Pause::UntilReleased),
    );
    let mut daemon = world.start().await;
    let user = world.user().await;
    world.pair(&user).await;
    status(&daemon, "access token valid").await;
    let first = user.token().await.unwrap().access;
    world
        .server
        .wait_for(|truth| truth.requests(Endpoint::Refresh).next().is_some(), LIMIT)
        .await
        .unwrap();
    daemon.terminate().unwrap();
    daemon
        .notifications()
        .wait(|n| n.get("STOPPING") == Some("1"), LIMIT)
        .await
        .unwrap();
    world.server.release();
    assert_eq!(exit(&mut daemon).await, Some(0));

    world
        .rig
        .configure(|config| {
            config.set("refresh", "at", "75%");
        })
        .unwrap();
    let daemon = world.start().await;
    status(&daemon, "access token valid").await;
    let second = user.token().await.unwrap().access;
    assert_ne!(first, second);
    assert_eq!(world.server.truth(|truth| truth.requests(Endpoint::Refresh).count()), 1);
}

#[tokio::test]
async fn a_lost_bus_ends_with_75() {
    let mut world = Harness::c2c(DAEMON, quick());
    let mut daemon = world.start().await;
    world.bus.stop();
    assert_eq!(exit(&mut daemon).await, Some(75));
    status(&daemon, "bus was lost").await;
}

#[tokio::test]
async fn an_absent_bus_is_75_and_a_taken_name_too() {
    let world = Harness::c2c(DAEMON, quick());
    let mut daemon = world
        .rig
        .spawn(Path::new(DAEMON), "unix:path=/nonexistent/bus")
        .unwrap();
    assert_eq!(exit(&mut daemon).await, Some(75));
    let _first = world.start().await;
    let other = Rig::new(&world.server).unwrap();
    let mut second = other.spawn(Path::new(DAEMON), world.bus.address()).unwrap();
    assert_eq!(exit(&mut second).await, Some(75));
    let mut third = world.rig.spawn(Path::new(DAEMON), world.bus.address()).unwrap();
    assert_eq!(exit(&mut third).await, Some(75));
    assert!(
        third
            .notifications()
            .last("STATUS")
            .unwrap()
            .contains("in use by another c2c-authd")
    );
}

#[tokio::test]
async fn a_refused_reload_names_the_key_and_a_good_one_clears_it() {
    let mut world = Harness::c2c(DAEMON, quick());
    let daemon = world.start().await;
    daemon.notifications().forget();
    world
        .rig
        .configure(|config| {
            config.set("device", "client-id", "SIM-999999");
        })
        .unwrap();
    daemon.hang_up().unwrap();
    let refused = status(&daemon, "refused").await;
    assert!(
        refused.contains("device.client-id") && refused.contains("restart"),
        "{refused}"
    );
    daemon.wait_ready(LIMIT).await.unwrap();
    let heard = daemon.notifications().all();
    let reloading = heard.iter().find(|n| n.get("RELOADING") == Some("1")).unwrap();
    assert!(reloading.get("MONOTONIC_USEC").is_some());

    daemon.notifications().forget();
    world
        .rig
        .configure(|config| {
            config
                .set("device", "client-id", c2c_testkit::rig::CLIENT_ID)
                .set("refresh", "at", "50%");
        })
        .unwrap();
    daemon.hang_up().unwrap();
    daemon.wait_ready(LIMIT).await.unwrap();
    assert!(!daemon.notifications().last("STATUS").unwrap().contains("refused"));

    daemon.notifications().forget();
    world
        .rig
        .configure(|config| {
            config.set("refresh", "at", "500%");
        })
        .unwrap();
    daemon.hang_up().unwrap();
    let refused = status(&daemon, "refused").await;
    assert!(
        refused.contains("config.toml") && refused.contains("refresh.at"),
        "{refused}"
    );
}

#[tokio::test]
async fn signals_that_were_ignored_at_the_start_are_heeded() {
    // As below `nohup`, or behind the `&` of a script.
    let world = Harness::c2c(DAEMON, quick());
    let start = |end: Signal| {
        let path = world.rig.runtime_directory().join(format!("notify.{}", end.as_raw()));
        let notifications = Notifications::listen(&path).unwrap();
        let daemon = world.rig.command(Path::new(DAEMON), world.bus.address());
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "trap '' HUP INT TERM; exec \"$0\" \"$@\""])
            .arg(daemon.get_program())
            .args(daemon.get_args())
            .env_clear()
            .envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .env("NOTIFY_SOCKET", notifications.path());
        Process::spawn(&mut command, notifications).unwrap()
    };
    for end in [Signal::INT, Signal::TERM] {
        let mut daemon = start(end);
        daemon.wait_ready(LIMIT).await.unwrap();
        daemon.notifications().forget();
        daemon.hang_up().unwrap();
        daemon
            .notifications()
            .wait(|n| n.get("RELOADING") == Some("1"), LIMIT)
            .await
            .unwrap();
        daemon.wait_ready(LIMIT).await.unwrap();
        daemon.signal(end).unwrap();
        assert_eq!(exit(&mut daemon).await, Some(0), "{end:?}");
    }
}

/// The most memory that it ever had, in kB.
fn peak(daemon: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test]
async fn a_flood_of_pictures_costs_little_memory_and_holds_no_token_back() {
    type Options<'a> = std::collections::HashMap<&'a str, Variant<'a>>;
    let world = Harness::c2c(DAEMON, quick());
    let daemon = world.start().await;
    let user = world.user().await;
    world.pair(&user).await;
    status(&daemon, "access token valid").await;
    let pairing = user.ours("Pairing").await;
    let replace: Options<'_> = [("replace", true.into())].into_iter().collect();
    // Codes are throttled for a while. Each try is a costly call, as a picture is.
    while pairing.call_method("StartPairing", &(replace.clone(),)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let before = peak(&daemon);

    let drawn = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut flood = tokio::task::JoinSet::new();
    // Each of another size, so that each has to be drawn.
    for size in 950..1000_u32 {
        let (pairing, drawn) = (pairing.clone(), std::sync::Arc::clone(&drawn));
        flood.spawn(async move {
            let format = ["png", "svg", "text"][size as usize % 3];
            let options: Options<'_> = [("size", size.into()), ("format", format.into())].into_iter().collect();
            pairing.call_method("GetQrCode", &(options,)).await.unwrap();
            drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
        });
    }
    flood.join_next().await.unwrap().unwrap();
    let early = drawn.load(std::sync::atomic::Ordering::Relaxed);
    user.token().await.unwrap();
    let late = drawn.load(std::sync::atomic::Ordering::Relaxed);
    assert!(
        late - early < 16,
        "{early} pictures came before the token was asked for, {late} before it came"
    );
    while let Some(picture) = flood.join_next().await {
        picture.unwrap();
    }
    let grown = peak(&daemon) - before;
    assert!(grown < 4_000, "{grown} kB more than {before} kB");
}

#[tokio::test]
async fn the_watchdog_is_fed_while_nothing_happens() {
    let world = Harness::c2c(DAEMON, quick());
    let daemon = world
        .rig
        .spawn_with(Path::new(DAEMON), world.bus.address(), |command| {
            command.env("WATCHDOG_USEC", "200000");
        })
        .unwrap();
    daemon.wait_ready(LIMIT).await.unwrap();
    for _ in 0..3 {
        daemon.notifications().forget();
        daemon
            .notifications()
            .wait(|n| n.get("WATCHDOG") == Some("1"), LIMIT)
            .await
            .unwrap();
    }
}

/// Runs to its end, without a service manager.
fn run(command: &mut Command) -> (ExitStatus, String) {
    let output = command.output().unwrap();
    (
        output.status,
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn what_is_wrong_is_one_sentence_and_an_exit_code() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(Options::default()).unwrap();
    let fresh = || Rig::new(&server).unwrap();
    let expect = |rig: &Rig, code: i32, parts: &[&str]| {
        let (status, text) = run(&mut rig.command(Path::new(DAEMON), "unix:path=/nonexistent"));
        assert_eq!(status.code(), Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part:?} in {text}");
        }
        assert_eq!(text.lines().count(), 1, "{text}");
    };
    let mut rig = fresh();
    rig.configure(|config| {
        config.set("refresh", "att", "75%");
    })
    .unwrap();
    expect(&rig, 78, &["config.toml", "att"]);
    let mut rig = fresh();
    rig.configure(|config| {
        config.set("device", "client-id", "00:11:22:33:44:55");
    })
    .unwrap();
    expect(&rig, 78, &["device.client-id"]);
    let rig = fresh();
    std::fs::set_permissions(rig.state_directory(), std::fs::Permissions::from_mode(0o777)).unwrap();
    expect(&rig, 77, &["state", "chmod"]);
    let rig = fresh();
    rig.write_credential("state-key", b"short").unwrap();
    expect(&rig, 78, &["state key"]);
    let mut rig = fresh();
    rig.configure(|config| {
        config.set("state", "directory", "/nonexistent/c2c");
    })
    .unwrap();
    expect(&rig, 74, &["/nonexistent/c2c"]);
    expect(&fresh(), 75, &["/nonexistent", "is it running?"]);
}

#[test]
fn the_command_line_answers_for_itself() {
    let (status, text) = run(Command::new(DAEMON).arg("--version"));
    assert!(
        status.success() && text == format!("c2c-authd {}\n", env!("CARGO_PKG_VERSION")),
        "{text}"
    );
    let (status, text) = run(Command::new(DAEMON).arg("--help"));
    assert!(status.success() && text.contains("--check-config"));
    let (status, text) = run(Command::new(DAEMON).arg("--nonsense"));
    assert!(status.code() == Some(64) && text.contains("--nonsense"), "{text}");
    let server = Server::start(Options::default()).unwrap();
    let rig = Rig::new(&server).unwrap();
    let (status, text) = run(Command::new(DAEMON)
        .arg("--check-config")
        .arg("--config")
        .arg(rig.config_file()));
    assert!(status.success() && text.contains("SIM-000123"), "{text}");
}

#[tokio::test]
async fn a_device_without_secrets_is_ready_and_says_what_is_missing() {
    let world = Harness::c2c(DAEMON, quick());
    world.rig.remove_credential("client-secret").unwrap();
    let daemon = world.start().await;
    let said = status(&daemon, "Not provisioned").await;
    assert!(said.contains("client secret"), "{said}");
    assert!(world.server.truth(|truth| truth.log().is_empty()));
}

#[tokio::test]
async fn a_lost_answer_ends_in_a_sentence_that_says_so() {
    let mut world = Harness::c2c(
        DAEMON,
        Options {
            access_life: Duration::from_secs(100),
            ..quick()
        },
    );
    world
        .rig
        .configure(|config| {
            config.set("refresh", "at", "1%");
        })
        .unwrap();
    world.server.fault(Endpoint::Refresh, Fault::Cut(Cut::AfterCommit));
    let daemon = world.start().await;
    let user = world.user().await;
    world.pair(&user).await;
    status(&daemon, "access token valid").await;
    let said = status(
        &daemon,
        "never arrived. Attention needed. Nothing is broken; pair this device",
    )
    .await;
    assert!(
        said.starts_with("Not paired: the connection broke while the server renewed the tokens"),
        "{said}"
    );
    // It is told in both ways. Chance decides which of them is read first.
    let told =
        |line: &str| line.contains("C2C_EVENT=\"pairing-lost\"") && line.contains("C2C_REASON=\"refresh-answer-lost\"");
    daemon.wait_output(told, LIMIT).await.unwrap();
}
