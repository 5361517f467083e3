//! The rights of callers, over a real bus, as real users where this process may become them.
//!
//! The methods are those of the normative XML, so that a new one cannot be forgotten here.

use std::collections::HashMap;

use c2c_testkit::harness::{Harness, quick};
use c2c_testkit::rig::Process;
use c2c_testkit::user::{User, error_name};
use rustix::fs::{Gid, Uid};
use zbus::Variant;

use crate::DAEMON;

const DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
const XML: &str = include_str!("../../../dbus/org.cameratocloud.Auth1.xml");

/// Uids of nobody, for the three kinds of users.
const UI: u32 = 61_235;
const UPLOADER: u32 = 61_236;
const STRANGER: u32 = 61_237;

/// Every method of ours: interface, name, and the signature of what it takes.
fn methods() -> Vec<(String, String, String)> {
    let node = zbus_xml::Node::from_reader(XML.as_bytes()).unwrap();
    let mut all = Vec::new();
    for interface in node.interfaces() {
        for method in interface.methods() {
            let inputs = method
                .args()
                .iter()
                .filter(|arg| arg.direction() == Some(zbus_xml::ArgDirection::In));
            let signature: String = inputs.map(|arg| arg.ty().to_string()).collect();
            all.push((interface.name().to_string(), method.name().to_string(), signature));
        }
    }
    assert!(all.len() >= 8, "{all:?}");
    all
}

/// The error's name of a call with harmless arguments, "no error" if it succeeded.
async fn outcome(user: &User, interface: &str, method: &str, signature: &str) -> String {
    let proxy = user.proxy(interface).await;
    let options = HashMap::<&str, Variant<'_>>::new();
    let answer = match signature {
        "" => proxy.call_method(method, &()).await,
        "a{sv}" => proxy.call_method(method, &(options,)).await,
        "s" => proxy.call_method(method, &("https://localhost/",)).await,
        "u" => proxy.call_method(method, &(0_u32,)).await,
        "t" => proxy.call_method(method, &(1_u64,)).await,
        other => panic!("{method} takes {other}: teach this test to call it"),
    };
    error_name(&answer)
}

/// Calls every method and holds who is refused against what the user may.
async fn check(user: &User, may: &[&str]) {
    for (interface, method, signature) in methods() {
        let outcome = outcome(user, &interface, &method, &signature).await;
        let allowed = may.iter().any(|role| interface.ends_with(role));
        assert_eq!(outcome != DENIED, allowed, "{interface}.{method}: {outcome}");
    }
}

/// Does something on a thread that is another user: the bus sees whoever connects.
pub(crate) fn as_user<R: Send>(uid: u32, what: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let user = scope.spawn(move || {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(uid));
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            what()
        });
        user.join().unwrap()
    })
}

/// Runs a user's part on such a thread.
fn act<F: Future<Output = ()>>(address: &str, uid: u32, part: impl FnOnce(User) -> F + Send) {
    as_user(uid, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { part(User::at(address).await).await });
    });
}

fn blocking<R>(what: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(what)
}

fn started(ui: &[String], uploader: &[String]) -> (Harness, Process) {
    let mut world = Harness::c2c(DAEMON, quick());
    world
        .rig
        .configure(|config| {
            config.set("access", "ui", ui).set("access", "uploader", uploader);
        })
        .unwrap();
    let daemon = blocking(world.start());
    (world, daemon)
}

fn grant(world: &mut Harness, daemon: &Process, role: &str, uid: u32) {
    world
        .rig
        .configure(|config| {
            config.set("access", role, [format!("uid:{uid}").as_str()]);
        })
        .unwrap();
    blocking(world.reload(daemon));
}

fn with_uids() {
    let (mut world, daemon) = started(&[format!("uid:{UI}")], &[format!("uid:{UPLOADER}")]);
    let address = world.bus.address().to_owned();
    act(&address, STRANGER, async |user| {
        check(&user, &[]).await;
        // The bus policy alone guards properties without secrets.
        assert_eq!(user.word("Pairing", "PairingState").await, "unpaired");
    });
    assert!(
        world.server.truth(|truth| truth.log().is_empty()),
        "a stranger caused a request"
    );
    act(&address, UPLOADER, async |user| check(&user, &["Tokens"]).await);
    act(&address, UI, async |user| check(&user, &["Pairing"]).await);
    // root may everything.
    blocking(async {
        let root = User::at(&address).await;
        check(&root, &["Tokens", "Pairing"]).await;
    });
    grant(&mut world, &daemon, "uploader", STRANGER);
    act(&address, STRANGER, async |user| check(&user, &["Tokens"]).await);
    act(&address, UPLOADER, async |user| check(&user, &[]).await);
}

fn with_one_uid() {
    let me = rustix::process::getuid().as_raw();
    let (mut world, daemon) = started(&[], &[]);
    let address = world.bus.address().to_owned();
    blocking(async { check(&User::at(&address).await, &[]).await });
    assert!(
        world.server.truth(|truth| truth.log().is_empty()),
        "a stranger caused a request"
    );
    grant(&mut world, &daemon, "uploader", me);
    blocking(async { check(&User::at(&address).await, &["Tokens"]).await });
    grant(&mut world, &daemon, "ui", me);
    blocking(async { check(&User::at(&address).await, &["Tokens", "Pairing"]).await });
}

#[test]
fn every_method_is_refused_to_a_stranger_and_granted_by_a_reload() {
    if rustix::process::geteuid().is_root() {
        with_uids();
    } else {
        with_one_uid();
    }
}

#[test]
fn only_who_was_handed_a_token_may_reject_it() {
    if !rustix::process::geteuid().is_root() {
        println!("not shown without root, which two uids take; the core's own tests hold the rule");
        return;
    }
    let both = [format!("uid:{UPLOADER}"), format!("uid:{STRANGER}")];
    let (world, _daemon) = started(&[], &both);
    blocking(async { world.pair(&world.user().await).await });
    let address = world.bus.address().to_owned();
    act(&address, UPLOADER, async |user| {
        assert_eq!(user.token().await.unwrap().generation, 1);
    });
    act(&address, STRANGER, async |user| {
        assert_eq!(error_name(&user.reject(1).await), DENIED);
    });
    act(&address, UPLOADER, async |user| user.reject(1).await.unwrap());
}
