//! The parts that tests at standard servers share: browsers, the daemon's listener, a life that is
//! short.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use c2c_testkit::harness::Harness;
use c2c_testkit::rig::Process;
use c2c_testkit::standard::{Quirks, Standard};
use c2c_testkit::user::{Options, User};

pub(crate) const REFRESH: &str = "POST /token refresh_token";

/// By code, with a browser on the board.
pub(crate) async fn pair_by_browser(world: &Harness<Standard>, user: &User, options: &Options<'_>) {
    let code = user.code(options).await.unwrap();
    let back = world.server.browse(&code["authorization-uri"], true).unwrap();
    let page = open(back).await;
    assert!(
        page.starts_with("HTTP/1.1 200 ") && page.contains("is paired"),
        "{page}"
    );
    assert_eq!(user.word("Pairing", "PairingState").await, "paired");
}

/// By the way of this kind.
pub(crate) async fn pair(world: &Harness<Standard>, user: &User, kind: &str) {
    if kind == "oauth-code" {
        pair_by_browser(world, user, &[]).await;
    } else {
        let code = user.code(&[]).await.unwrap();
        assert!(world.server.decide(&code["user-code"], true));
        user.until("Pairing", "PairingState", "paired").await;
    }
}

/// Pairs anew although paired.
pub(crate) async fn replace(world: &Harness<Standard>, user: &User) {
    let old = user.token().await.unwrap().access;
    user.code_when_it_may(&[("replace", true.into())]).await;
    let served = user.token().await.unwrap().access;
    assert_eq!(served, old, "usable until the new one is durable");
    pair_by_browser(world, user, &[("replace", true.into())]).await;
}

/// Everything on disk and in the runtime directory, and everything that was logged: all of it once
/// the daemon has ended.
pub(crate) fn left_behind(world: &Harness<Standard>, daemon: &Process) -> Vec<u8> {
    let mut all = daemon.output().join("\n").into_bytes();
    for directory in [world.rig.state_directory(), world.rig.runtime_directory()] {
        for entry in std::fs::read_dir(directory).unwrap() {
            all.extend(std::fs::read(entry.unwrap().path()).unwrap_or_default());
        }
    }
    all
}

/// True if a daemon listens on this port, with a socket of its own. A port that it gave back may be
/// anybody's a moment later.
pub(crate) fn listens(daemon: &Process, port: u16) -> bool {
    let fds = match std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())) {
        Ok(fds) => fds,
        // It made itself undumpable, and only root can look.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            return TcpStream::connect(("127.0.0.1", port)).is_ok();
        }
        Err(error) => panic!("{error}"),
    };
    let own: Vec<_> = fds
        // Connections come and go meanwhile.
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .collect();
    let table =
        |family: &str| std::fs::read_to_string(format!("/proc/{}/net/{family}", daemon.pid())).unwrap_or_default();
    [table("tcp"), table("tcp6")]
        .iter()
        .flat_map(|all| all.lines())
        .any(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            // State 0A is LISTEN.
            let [_, local, _, "0A", _, _, _, _, _, inode, ..] = words[..] else {
                return false;
            };
            local.ends_with(&format!(":{port:04X}")) && own.contains(&format!("socket:[{inode}]").into())
        })
}

/// The host and port of an address here.
pub(crate) fn host(address: &str) -> String {
    let rest = address.strip_prefix("http://").unwrap();
    rest.split('/').next().unwrap().to_owned()
}

/// The port of an address here.
pub(crate) fn port(address: &str) -> u16 {
    let host = host(address);
    host.split_once(':').unwrap().1.parse().unwrap()
}

/// The page of a browser that is sent to this address.
pub(crate) async fn open(address: String) -> String {
    tokio::task::spawn_blocking(move || {
        let rest = address.strip_prefix("http://").unwrap();
        let (host, target) = rest.split_at(rest.find('/').unwrap());
        say(host, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    })
    .await
    .unwrap()
}

pub(crate) fn say(host: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

pub(crate) fn short_lived() -> Quirks {
    Quirks {
        token_life: Some(8),
        ..Quirks::default()
    }
}
