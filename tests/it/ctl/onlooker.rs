//! The view of somebody who watches `pair` in a pipe, or the daemon.

use super::*;

/// A `pair` whose standard output is a pipe, and all that it wrote there.
struct Onlooker {
    tool: std::process::Child,
    output: std::thread::JoinHandle<String>,
}

impl Onlooker {
    fn new(world: &Harness) -> Self {
        let mut command = command(world, "pair");
        command.stderr(std::process::Stdio::null());
        let mut tool = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let stream = tool.stdout.take().unwrap();
        let output = std::thread::spawn(move || std::io::read_to_string(stream).unwrap());
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
fn each_code_is_shown_once_in_a_pipe() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let first = Onlooker::new(&world);
    let code = another(&world, "");
    let joined = Onlooker::new(&world);
    // Another one that joins, so that it is known when the one before it has.
    shown(&start(&world, "pair"));
    world.server.approve(&code).unwrap();
    for onlooker in [first, joined] {
        let output = onlooker.end(0);
        assert_eq!(codes(&output), 1, "{output}");
        assert!(output.contains("Paired") && !output.contains('\x1b'), "{output}");
    }
}

#[test]
fn a_code_is_not_shown_again_by_a_denial_a_renewal_or_a_restart() {
    let world = Harness::c2c(DAEMON, quick());
    world
        .server
        .set_options(|options| options.code_life = Duration::from_secs(3));
    let daemon = world.start_blocking();
    let onlooker = Onlooker::new(&world);
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

/// The newest code that the server has given out, once that is not this one.
pub(super) fn another(world: &Harness, than: &str) -> String {
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
fn watching_waits_for_a_daemon_that_is_not_there_yet() {
    let world = Harness::c2c(DAEMON, quick());
    let mut lines = start(&world, "watch");
    let mut json = start(&world, "watch --json");
    let sees = |watch: &Process, what: &str| watch.wait_output_blocking(|line| line.contains(what), LIMIT).unwrap();
    sees(&lines, " running no");
    sees(&json, "\"state\":{\"running\":false}");
    let _daemon = world.start_blocking();
    // Its first signals may be read before the news that it has come.
    sees(&lines, "running yes");
    sees(&lines, "pairing-state unpaired");
    sees(&json, "\"never-paired\"");
    for watch in [&mut lines, &mut json] {
        watch.terminate().unwrap();
        assert_eq!(ended(watch), Some(0));
    }
}

#[test]
fn a_check_of_a_machine_without_c2c_authd_fails_and_says_so_line_by_line() {
    let world = Harness::c2c(DAEMON, quick());
    let check = run(&world, "check --offline");
    assert_eq!(check.code, Some(1), "{}", check.err);
    assert!(
        check
            .out
            .lines()
            .last()
            .is_some_and(|line| line.starts_with("Fix first: ")),
        "{}",
        check.out
    );
    let (code, report) = report(&world, "check --json --offline");
    assert_eq!((code, &report["verdict"]), (Some(1), &"fail".into()));
    let rows = report["checks"].as_array().unwrap();
    for row in ["network", "dns", "tcp", "tls", "server", "time"] {
        let found: Vec<_> = rows.iter().filter(|found| found["check"] == row).collect();
        assert!(found.len() == 1 && found[0]["verdict"] == "skip", "{row}: {report}");
    }
}

#[test]
fn what_changes_the_machine_needs_a_yes_or_a_person() {
    let world = Harness::c2c(DAEMON, quick());
    let refused = run(&world, "factory-reset");
    // As root there is nobody to ask. Anybody else is not even asked.
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
    // A process that is not dumpable belongs to root, whoever runs it: nobody else may trace it or
    // read its memory.
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
