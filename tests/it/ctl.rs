//! The operator's tool as its own process, against the real daemon: what it prints, and what a
//! script learns from it.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use c2c_testkit::harness::{Harness, LIMIT, quick};
use c2c_testkit::rig::{CLIENT_ID, Notifications, Process};

use crate::DAEMON;

const TOOL: &str = env!("CARGO_BIN_EXE_c2c-authctl");

/// What a command left behind.
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

fn command(world: &Harness, line: &str) -> Command {
    let mut command = Command::new(TOOL);
    command
        .args(["--bus", world.bus.address()])
        .args(line.split(' '))
        .env_clear();
    command
}

fn run(world: &Harness, line: &str) -> Done {
    let output = command(world, line).output().unwrap();
    Done {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A command that goes on.
fn start(world: &Harness, line: &str) -> Process {
    let directory = tempfile::tempdir().unwrap();
    let notifications = Notifications::listen(&directory.path().join("unused")).unwrap();
    Process::spawn(&mut command(world, line), notifications).unwrap()
}

/// The code that a `pair` shows.
fn shown(pair: &Process) -> String {
    let code = shown_for(pair, 0);
    let output = pair.output();
    assert!(
        output.iter().any(|line| line.contains('█') || line.contains('▀')),
        "a QR code: {output:?}"
    );
    code
}

/// The first code that a `pair` shows and that has at least so many seconds left.
fn shown_for(pair: &Process, least: u64) -> String {
    let life = |line: &str| {
        let (_, rest) = line.strip_prefix("The code ")?.split_once(" for ")?;
        rest.strip_suffix(" s.")?.parse::<u64>().ok()
    };
    let long = |line: &str| life(line).is_some_and(|left| left >= least);
    pair.wait_output_blocking(long, LIMIT).unwrap();
    let output = pair.output();
    let end = output.iter().position(|line| long(line)).unwrap();
    let above = output[..end].iter().rposition(|line| line.ends_with(" and enter"));
    output[above.unwrap() + 2].trim().to_owned()
}

/// A daemon that is paired. Another one than that which asked for the code: codes are throttled for
/// a while.
fn paired(world: &Harness) -> Process {
    let first = world.start_blocking();
    let mut pair = start(world, "pair");
    world.server.approve(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
    drop(first);
    world.start_blocking()
}

fn ended(process: &mut Process) -> Option<i32> {
    process.wait_exit_blocking(LIMIT).unwrap().code()
}

#[test]
fn from_pairing_to_a_token_to_unpairing() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let before = run(&world, "status");
    assert_eq!(before.code, Some(3), "{}", before.err);
    assert!(
        before.out.contains("never paired") && before.out.contains(CLIENT_ID),
        "{}",
        before.out
    );
    let refused = run(&world, "token");
    assert_eq!((refused.code, refused.out.as_str()), (Some(3), ""));

    let mut pair = start(&world, "pair");
    world.server.approve(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
    pair.wait_output_blocking(|line| line == "Paired with Testbed.", LIMIT)
        .unwrap();

    let status = run(&world, "status");
    assert_eq!(status.code, Some(0));
    assert!(status.out.starts_with("Paired with Testbed"), "{}", status.out);
    let json = run(&world, "status --json");
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&json["paired"], &json["project-name"]),
        (&true.into(), &"Testbed".into())
    );

    let token = run(&world, "token --min-validity 10min");
    let live = world
        .server
        .truth(|truth| truth.live(CLIENT_ID).access.unwrap().to_owned());
    assert_eq!(
        (token.code, token.out.trim_end(), token.err.as_str()),
        (Some(0), live.as_str(), "")
    );
    assert!(!status.out.contains(&live));

    let again = run(&world, "pair");
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("--replace"), "{}", again.err);
    let unanswered = run(&world, "unpair");
    assert_eq!(unanswered.code, Some(2), "nobody to ask: {}", unanswered.err);
    assert!(unanswered.err.contains("--yes"));
    assert_eq!(run(&world, "status").code, Some(0), "and nothing has changed");
    assert_eq!(run(&world, "unpair --yes").code, Some(0));
    assert_eq!(run(&world, "status").code, Some(3));
    assert_eq!(run(&world, "unpair --yes").code, Some(0), "idempotent");
}

#[test]
fn an_interrupted_pair_cancels_what_it_started() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    shown(&pair);
    pair.terminate().unwrap();
    assert_eq!(ended(&mut pair), Some(130));
    let status = run(&world, "status");
    assert!(status.out.contains("cancelled on this device"), "{}", status.out);
}

#[test]
fn an_interrupted_pair_leaves_the_flow_of_another_alone() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut first = start(&world, "pair");
    let code = shown(&first);
    let mut second = start(&world, "pair");
    assert_eq!(shown(&second), code, "the running flow's code");
    second.terminate().unwrap();
    assert_eq!(ended(&mut second), Some(130));
    world.server.approve(&code).unwrap();
    assert_eq!(ended(&mut first), Some(0));
}

#[test]
fn cancel_ends_a_pair_that_waits() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    shown(&pair);
    let cancel = run(&world, "cancel");
    assert_eq!((cancel.code, cancel.out.as_str()), (Some(0), "Cancelled.\n"));
    assert_eq!(ended(&mut pair), Some(1));
    let again = run(&world, "cancel");
    assert_eq!(again.code, Some(0));
    assert!(again.out.contains("nothing to cancel"), "{}", again.out);
}

#[test]
fn a_declined_pairing_says_so() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    world.server.deny(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(1));
    pair.wait_output_blocking(|line| line.contains("declined at the server"), LIMIT)
        .unwrap();
}

#[test]
fn a_code_that_runs_out_is_followed_by_the_next() {
    let world = Harness::c2c(DAEMON, quick());
    world
        .server
        .set_options(|options| options.code_life = Duration::from_secs(3));
    let _daemon = world.start_blocking();
    let mut pair = start(&world, "pair");
    let first = shown_for(&pair, 0);
    world
        .server
        .set_options(|options| options.code_life = Duration::from_secs(120));
    pair.wait_output_blocking(|line| line.contains("The code expired"), LIMIT)
        .unwrap();
    let next = shown_for(&pair, 60);
    assert_ne!(next, first);
    world.server.approve(&next).unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
}

#[test]
fn a_declined_replacement_is_no_success_and_leaves_the_pairing() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = paired(&world);
    let mut pair = start(&world, "pair --replace");
    world.server.deny(&shown(&pair)).unwrap();
    assert_eq!(ended(&mut pair), Some(1), "{:?}", pair.output());
    pair.wait_output_blocking(|line| line.contains("paired as before"), LIMIT)
        .unwrap();
    assert_eq!(run(&world, "token").code, Some(0));
}

#[test]
fn a_replacement_that_is_approved_is_a_success() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = paired(&world);
    let mut pair = start(&world, "pair --replace");
    world.server.approve_into(&shown(&pair), "Second Unit").unwrap();
    assert_eq!(ended(&mut pair), Some(0), "{:?}", pair.output());
}

#[test]
fn a_device_without_its_secret_is_told_as_not_provisioned() {
    let world = Harness::c2c(DAEMON, quick());
    world.rig.remove_credential("client-secret").unwrap();
    let _daemon = world.start_blocking();
    let status = run(&world, "status");
    assert_eq!(status.code, Some(4));
    assert!(status.out.contains("No client secret is provisioned"), "{}", status.out);
    assert_eq!(run(&world, "pair").code, Some(4));
}

#[test]
fn a_bus_without_the_daemon_is_told_with_7() {
    let world = Harness::c2c(DAEMON, quick());
    for line in ["pair", "cancel", "unpair --yes", "token", "qr", "watch"] {
        let done = run(&world, line);
        assert_eq!(done.code, Some(7), "{line}: {}", done.err);
        assert!(done.err.contains("systemctl status c2c-authd"), "{}", done.err);
    }
    let status = run(&world, "status");
    assert_eq!((status.code, status.err.as_str()), (Some(7), ""));
    assert!(status.out.starts_with("c2c-authd does not answer."), "{}", status.out);
    let json: serde_json::Value = serde_json::from_str(&run(&world, "status --json").out).unwrap();
    assert_eq!(json["running"], false);
    assert!(json["error"].as_str().unwrap().contains("not running"), "{json}");
}

#[test]
fn a_code_on_show_is_to_be_had_as_text_picture_and_drawing() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let none = run(&world, "qr");
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""));
    assert!(none.err.contains("c2c-authctl pair"), "{}", none.err);
    let pair = start(&world, "pair");
    shown(&pair);
    let text = run(&world, "qr");
    assert!(text.code == Some(0) && text.out.contains('█'), "{}", text.err);
    assert_ne!(run(&world, "qr --static").out, text.out);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code.png");
    let done = run(&world, &format!("qr --png {} --size 400", path.display()));
    assert_eq!((done.code, done.out.as_str(), done.err.as_str()), (Some(0), "", ""));
    let picture = fs::read(&path).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(u32::from_be_bytes(picture[16..20].try_into().unwrap()) >= 400);
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o7777, 0o600, "who reads it can bind the device");
    assert!(run(&world, "qr --svg -").out.contains("<svg"));
    assert!(
        run(&world, "qr --svg /dev/fd/1").out.contains("<svg"),
        "a pipe stays one"
    );
    let nowhere = run(&world, "qr --png /nowhere/code.png");
    assert_eq!(nowhere.code, Some(1));
    assert!(nowhere.err.contains("/nowhere/code.png"), "{}", nowhere.err);
}

#[test]
fn a_picture_goes_to_a_name_of_any_form_and_to_no_directory() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let pair = start(&world, "pair");
    shown(&pair);
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let output = command(&world, line).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let absolute = folder.path().join("absolute.png").display().to_string();
    for name in ["bare.png", "./here.png", &absolute] {
        assert_eq!(run(&format!("qr --png {name}")), (Some(0), String::new()), "{name}");
        let picture = fs::read(folder.path().join(name)).unwrap();
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
        // Once more over what is there.
        assert_eq!(run(&format!("qr --png {name}")), (Some(0), String::new()), "{name}");
    }
    assert_eq!(run("qr --svg bare.svg"), (Some(0), String::new()));
    assert!(
        fs::read_to_string(folder.path().join("bare.svg"))
            .unwrap()
            .starts_with("<svg")
    );
    for name in ["code/", "code/.", ".", ".."] {
        let (code, said) = run(&format!("qr --png {name}"));
        assert_eq!(code, Some(1), "{name}");
        assert!(said.contains(name) && said.contains("not the name of a file"), "{said}");
    }
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["absolute.png", "bare.png", "bare.svg", "here.png"]);
}

/// A `pair` whose standard output is a pipe or a terminal, and all that it wrote there.
struct Onlooker {
    tool: std::process::Child,
    output: std::thread::JoinHandle<String>,
}

impl Onlooker {
    fn new(world: &Harness, terminal: bool) -> Self {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let mut command = command(world, "pair");
        command.stderr(std::process::Stdio::null());
        let (tool, mut stream): (_, Box<dyn std::io::Read + Send>) = if terminal {
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
            grantpt(&master).unwrap();
            unlockpt(&master).unwrap();
            let slave = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
            let slave = fs::OpenOptions::new().read(true).write(true).open(slave).unwrap();
            let tool = command.stdout(slave).spawn().unwrap();
            (tool, Box::new(fs::File::from(master)))
        } else {
            let mut tool = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
            let stream = tool.stdout.take().unwrap();
            (tool, Box::new(stream))
        };
        // The command holds the terminal open: at its end nobody does, and the stream ends.
        drop(command);
        let output = std::thread::spawn(move || {
            let (mut all, mut some) = (Vec::new(), [0; 4096]);
            while let Ok(size @ 1..) = stream.read(&mut some) {
                all.extend(&some[..size]);
            }
            String::from_utf8(all).unwrap()
        });
        Self { tool, output }
    }

    /// All that it wrote, once it has ended.
    fn end(mut self, code: i32) -> String {
        assert_eq!(self.tool.wait().unwrap().code(), Some(code));
        self.output.join().unwrap()
    }
}

/// How many codes were shown, each with its picture, and that none was shown twice.
fn codes(output: &str) -> usize {
    let lines: Vec<_> = output.lines().map(str::trim_end).collect();
    let typed = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.ends_with(" and enter"));
    let mut typed: Vec<_> = typed.map(|(at, _)| lines[at + 2].trim()).collect();
    let shown = typed.len();
    typed.sort_unstable();
    typed.dedup();
    assert_eq!(typed.len(), shown, "a code was shown twice: {output}");
    // Only the outermost rows of a picture hold nothing but ink and paper's two upper modules of a
    // finder pattern.
    let pictures = lines
        .windows(2)
        .filter(|two| !has_ink(two[0]) && has_ink(two[1]))
        .count();
    assert_eq!(pictures, shown, "{output}");
    shown
}

fn has_ink(line: &str) -> bool {
    line.contains(['█', '▀', '▄'])
}

#[test]
fn each_code_is_shown_once_in_a_pipe_and_on_a_terminal() {
    for terminal in [false, true] {
        let world = Harness::c2c(DAEMON, quick());
        let _daemon = world.start_blocking();
        let first = Onlooker::new(&world, terminal);
        let code = another(&world, "");
        let joined = Onlooker::new(&world, terminal);
        // Another one that joins, so that it is known when the one before it has.
        shown(&start(&world, "pair"));
        world.server.approve(&code).unwrap();
        for onlooker in [first, joined] {
            let output = onlooker.end(0);
            assert_eq!(codes(&output), 1, "{output}");
            assert!(output.contains("Paired"), "{output}");
        }
    }
}

#[test]
fn a_code_is_not_shown_again_by_a_denial_a_renewal_or_a_restart() {
    for terminal in [false, true] {
        let world = Harness::c2c(DAEMON, quick());
        world
            .server
            .set_options(|options| options.code_life = Duration::from_secs(3));
        let daemon = world.start_blocking();
        let onlooker = Onlooker::new(&world, terminal);
        let first = another(&world, "");
        world
            .server
            .set_options(|options| options.code_life = Duration::from_secs(120));
        let second = another(&world, &first);
        // A shown code outlives the daemon.
        shown_for(&start(&world, "pair"), 60);
        drop(daemon);
        let _daemon = world.start_blocking();
        shown_for(&start(&world, "pair"), 60);
        world.server.deny(&second).unwrap();
        let output = onlooker.end(1);
        assert_eq!(codes(&output), 2, "{output}");
    }
}

/// The newest code that the server has given out, once that is not this one.
fn another(world: &Harness, than: &str) -> String {
    let end = std::time::Instant::now() + LIMIT;
    loop {
        let newest = world.server.waiting().pop().map(|waiting| waiting.user_code);
        if let Some(code) = newest.filter(|code| code != than) {
            return code;
        }
        assert!(std::time::Instant::now() < end, "there is no other code than {than:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn watching_shows_each_change_and_the_daemon_going_and_ends_well() {
    let world = Harness::c2c(DAEMON, quick());
    let daemon = world.start_blocking();
    let mut lines = start(&world, "watch");
    let mut json = start(&world, "watch --json");
    let sees = |watch: &Process, what: &str| watch.wait_output_blocking(|line| line.contains(what), LIMIT).unwrap();
    sees(
        &lines,
        "running yes, pairing-state unpaired, pairing-reason never-paired, paired no",
    );
    sees(&json, "\"never-paired\"");
    let mut pair = start(&world, "pair");
    let code = shown(&pair);
    sees(&lines, "pairing-state awaiting-user");
    world.server.approve(&code).unwrap();
    assert_eq!(ended(&mut pair), Some(0));
    sees(&lines, "project-name \"Testbed\"");
    sees(&json, "\"Testbed\"");
    drop(daemon);
    sees(&lines, "running no");
    let _daemon = world.start_blocking();
    sees(&lines, "running yes");
    let states: Vec<_> = json
        .output()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| line["changed"]["pairing-state"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(states[..4], ["unpaired", "requesting-code", "awaiting-user", "paired"]);
    for (watch, of) in [(&lines, "text"), (&json, "json")] {
        let output = watch.output();
        assert!(
            !output.iter().any(|line| line.contains(&code)),
            "{of}: no code is ever in it"
        );
    }
    for watch in [&mut lines, &mut json] {
        watch.terminate().unwrap();
        assert_eq!(ended(watch), Some(0), "an interrupt is how it ends");
    }
}

#[test]
fn a_check_of_a_machine_without_c2c_authd_fails_and_says_so_line_by_line() {
    let world = Harness::c2c(DAEMON, quick());
    let check = run(&world, "check --offline");
    assert_eq!(check.code, Some(1), "{}", check.err);
    assert!(
        check.out.lines().any(|line| line.starts_with("FAIL  daemon ")),
        "{}",
        check.out
    );
    let json: serde_json::Value = serde_json::from_str(&run(&world, "check --json --offline").out).unwrap();
    assert_eq!(json["verdict"], "fail");
    let checks = json["checks"].as_array().unwrap();
    assert!(
        checks
            .iter()
            .all(|check| check["what"].is_string() && check["cure"].is_string()),
        "{json}"
    );
}

#[test]
fn what_changes_the_machine_needs_a_yes_or_a_person() {
    let world = Harness::c2c(DAEMON, quick());
    let refused = run(&world, "factory-reset");
    // As root there is nobody to ask; anybody else is not even asked.
    assert!(matches!(refused.code, Some(2 | 6)), "{}", refused.err);
    let refused = run(&world, "provision --files /nowhere/at/all");
    assert!(matches!(refused.code, Some(1 | 2 | 6)), "{}", refused.err);
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn the_tool_leaves_no_core_and_nobody_of_its_user_looks_into_it() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    // A bus that takes the connection and says nothing: the tool waits.
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(folder.path(), 0o755);
    let socket = folder.path().join("bus");
    let bus = UnixListener::bind(&socket).unwrap();
    open(&socket, 0o777);
    let mut command = Command::new(TOOL);
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        // As somebody else, or there would be nothing to see.
        let copy = folder.path().join("c2c-authctl");
        // By a process of its own: what this one has open for writing, children of tests beside
        // this one have too, and then the kernel refuses to run it.
        let copied = Command::new("install")
            .args(["-m755", TOOL])
            .arg(&copy)
            .status()
            .unwrap();
        assert!(copied.success(), "{copied}");
        command = Command::new(copy);
        command.uid(65534).gid(65534);
    }
    let mut tool = command
        .args(["--bus", &format!("unix:path={}", socket.display()), "token"])
        .env_clear()
        .spawn()
        .unwrap();
    let (_connection, _) = bus.accept().unwrap();
    let process = PathBuf::from(format!("/proc/{}", tool.id()));
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    // What is not dumpable belongs to root, whoever runs it: nobody else may trace it or read its
    // memory.
    let owner = fs::metadata(process.join("mem")).unwrap().uid();
    tool.kill().unwrap();
    tool.wait().unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
    assert_eq!(owner, 0);
}

#[test]
fn no_variable_of_the_caller_decides_which_program_runs_or_what_it_loads() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    for name in ["systemctl", "systemd-creds", "journalctl", "sh"] {
        let planted = folder.path().join(name);
        fs::write(&planted, format!("#!/bin/sh\necho {name} >>{}\n", ran.display())).unwrap();
        fs::set_permissions(&planted, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let loads = folder.path().join("loads");
    fs::create_dir(&loads).unwrap();
    // Nobody is on that bus, so systemd is asked why.
    let tool = Command::new(TOOL)
        .args(["--bus", "unix:path=/nonexistent/bus", "status"])
        .env_clear()
        .env("PATH", folder.path())
        .env("SYSTEMD_LOG_LEVEL", "debug")
        .env("LD_DEBUG", "files")
        .env("LD_DEBUG_OUTPUT", loads.join("of"))
        .output()
        .unwrap();
    assert_eq!(tool.status.code(), Some(7), "{tool:?}");
    assert!(!ran.exists(), "it ran: {}", fs::read_to_string(&ran).unwrap());
    // The loader writes one for each process that has the variable: the tool's own is the only one.
    let loads: Vec<_> = fs::read_dir(&loads)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(loads.len() <= 1, "{loads:?}");
}
