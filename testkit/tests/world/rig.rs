//! The rig lays out what a daemon needs, and runs and watches a program as systemd would. A small
//! program stands in for the daemon.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        net::UnixDatagram,
        process::ExitStatusExt as _,
    },
    path::Path,
    process::Command,
    time::Duration,
};

use c2c_testkit::{
    rig::{Notifications, Process, ProcessError, Rig, User},
    server::{Options, Server},
};

const SOON: Duration = Duration::from_secs(10);

/// Says that it is up, `reloaded` on SIGHUP, and ends with 78 on SIGTERM.
const STAND_IN: &str = env!("CARGO_BIN_EXE_c2c-stand-in");

fn rig() -> (Server, Rig) {
    let server = Server::start(Options::default()).unwrap();
    let rig = Rig::new(&server).unwrap();
    (server, rig)
}

fn spawn(directory: &Path, command: &mut Command) -> Process {
    let notifications = Notifications::listen(&directory.join("notify")).unwrap();
    Process::spawn(command, notifications).unwrap()
}

fn shell(directory: &Path, script: &str) -> Process {
    spawn(directory, Command::new("/bin/sh").args(["-c", script]))
}

#[test]
fn the_command_line_and_environment_are_systemds() {
    let (_server, rig) = rig();
    let command = rig.command(Path::new("/daemon"), "unix:path=/bus");
    let arguments: Vec<_> = command.get_args().map(|a| a.to_str().unwrap().to_owned()).collect();
    assert_eq!(
        arguments,
        [
            "--config",
            rig.config_file().to_str().unwrap(),
            "--bus",
            "unix:path=/bus"
        ]
    );
    let environment: BTreeMap<_, _> = command
        .get_envs()
        .filter_map(|(n, v)| Some((n.to_str()?, v?.into())))
        .collect();
    let expected = [
        ("CREDENTIALS_DIRECTORY", rig.credentials_directory()),
        ("RUNTIME_DIRECTORY", rig.runtime_directory()),
        ("STATE_DIRECTORY", rig.state_directory()),
    ];
    assert_eq!(environment, BTreeMap::from(expected));
}

#[test]
fn secrets_are_credentials_that_only_the_owner_reads() {
    let (server, rig) = rig();
    let secret = rig.credentials_directory().join("client-secret");
    assert_eq!(fs::read_to_string(&secret).unwrap(), server.client_secret());
    assert_eq!(
        fs::read(rig.credentials_directory().join("state-key")).unwrap(),
        rig.state_key()
    );
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(
        fs::metadata(rig.state_directory()).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let config = fs::read_to_string(rig.config_file()).unwrap();
    assert!(!config.contains(&server.client_secret()));
    rig.remove_credential("client-secret").unwrap();
    assert!(!secret.exists());
}

#[test]
fn the_configuration_is_the_servers_with_a_tests_changes() {
    let (server, mut rig) = rig();
    rig.configure(|c| {
        c.set("refresh", "replay-after", "50s")
            .set("access", "uploader", [] as [&str; 0]);
    })
    .unwrap();
    let config = fs::read_to_string(rig.config_file()).unwrap();
    assert!(
        config.contains(&format!("base-uri = \"{}\"\n", server.base_uri())),
        "{config}"
    );
    assert!(
        config.contains("replay-after = \"50s\"\n") && config.contains("uploader = []\n"),
        "{config}"
    );
}

#[test]
fn a_power_cut_empties_the_runtime_directory_only() {
    let (_server, rig) = rig();
    fs::write(rig.runtime_directory().join("flow"), "x").unwrap();
    fs::write(rig.state_directory().join("record"), "x").unwrap();
    rig.lose_runtime_directory().unwrap();
    assert_eq!(fs::read_dir(rig.runtime_directory()).unwrap().count(), 0);
    assert!(rig.state_directory().join("record").exists());
}

#[test]
fn signals_reach_the_process_and_its_end_is_told() {
    signalled(&mut Command::new(STAND_IN));
}

#[test]
fn signals_reach_a_process_that_was_started_with_all_of_them_ignored() {
    // As `nohup` and a shell's `&` start the tests.
    signalled(Command::new("/bin/sh").args(["-c", &format!("trap '' HUP INT QUIT TERM; exec '{STAND_IN}'")]));
}

fn signalled(stand_in: &mut Command) {
    let directory = tempfile::tempdir().unwrap();
    let mut process = spawn(directory.path(), stand_in);
    process.wait_output_blocking(|l| l == "up", SOON).unwrap();
    process.hang_up().unwrap();
    process.wait_output_blocking(|l| l == "reloaded", SOON).unwrap();
    let early = process.wait_exit_blocking(Duration::from_millis(1)).unwrap_err();
    assert!(
        matches!(&early, ProcessError::TimedOut { output, .. } if output.contains("reloaded")),
        "{early}"
    );
    process.terminate().unwrap();
    assert_eq!(process.wait_exit_blocking(SOON).unwrap().code(), Some(78));
    assert!(process.terminate().is_err(), "a signal to the dead goes nowhere");
}

#[test]
fn a_killed_process_ends_by_signal_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = shell(directory.path(), "exec sleep 100");
    assert_eq!(process.kill().unwrap().signal(), Some(9));
}

#[test]
fn whoever_awaited_the_end_has_all_that_was_said() {
    for round in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let mut process = shell(directory.path(), "seq 9999; seq 9999 >&2");
        assert_eq!(process.wait_exit_blocking(SOON).unwrap().code(), Some(0));
        assert_eq!(process.output().len(), 2 * 9999, "round {round}");
    }
}

#[tokio::test]
async fn readiness_and_the_end_can_be_awaited() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = spawn(directory.path(), &mut Command::new(STAND_IN));
    process.wait_output(|l| l == "up", SOON).await.unwrap();
    let sender = UnixDatagram::unbound().unwrap();
    sender
        .send_to(b"STATUS=Waiting for approval\nREADY=1", process.notifications().path())
        .unwrap();
    process.wait_ready(SOON).await.unwrap();
    assert_eq!(
        process.notifications().last("STATUS").as_deref(),
        Some("Waiting for approval")
    );
    process.terminate().unwrap();
    assert_eq!(process.wait_exit(SOON).await.unwrap().code(), Some(78));
}

#[test]
fn a_rig_can_belong_to_another_user() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not tried: only root can give files away");
        return;
    }
    let (_server, mut rig) = rig();
    let user = User {
        uid: 65_432,
        gid: 65_433,
    };
    rig.run_as(user).unwrap();
    let secret = fs::metadata(rig.credentials_directory().join("client-secret")).unwrap();
    assert_eq!((secret.uid(), secret.gid()), (user.uid, user.gid));
    let mut command = Command::new("/bin/sh");
    user.apply(&mut command);
    let script = format!(
        "id -u; id -g; id -G; cat {}/client-secret",
        rig.credentials_directory().display()
    );
    let said = command.args(["-c", &script]).current_dir("/").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(
        said.starts_with("65432\n65433\n65433\ncanary-client-secret-"),
        "no group of root's stays: {said}"
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let (_server, rig) = rig();
    let error = rig
        .spawn(Path::new("/nowhere/c2c-authd"), "unix:path=/bus")
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/c2c-authd"), "{error}");
}
