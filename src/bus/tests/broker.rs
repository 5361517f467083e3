//! On a real bus, in process.

use std::thread::JoinHandle;

use super::*;

/// A private bus on a thread of its own. Ends when dropped.
struct Broker {
    address: BusAddress,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Broker {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let wanted = format!("unix:dir={}", directory.path().display());
        let (stop, mut stopped) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            zruntime::block_on(async move {
                let mut bus = busd::bus::Bus::for_address(Some(&wanted)).await.unwrap();
                tell.send(bus.address().to_string()).unwrap();
                let mut run = std::pin::pin!(bus.run());
                std::future::poll_fn(|context| {
                    assert!(run.as_mut().poll(context).is_pending(), "the bus ended by itself");
                    Pin::new(&mut stopped).poll(context).map(|_| ())
                })
                .await;
            });
        });
        Self {
            address: BusAddress::Address(told.await.unwrap()),
            stop: Some(stop),
            thread: Some(thread),
            _directory: directory,
        }
    }

    async fn client(&self) -> Connection {
        let BusAddress::Address(address) = &self.address else {
            unreachable!("it is ours")
        };
        Builder::address(address.as_str()).build().await.unwrap()
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whoever runs this test may do everything.
fn myself() -> Access {
    let me = vec![Principal::Uid(rustix::process::getuid().as_raw())];
    Access {
        ui: me.clone(),
        uploader: me,
    }
}

struct Daemon {
    bus: Bus,
    calls: mpsc::Receiver<Call>,
    _access: watch::Sender<Arc<Access>>,
}

async fn start(broker: &Broker, access: Access) -> Result<Daemon, BusError> {
    let (to_loop, calls) = mpsc::channel(CALL_QUEUE);
    let (access, roles) = watch::channel(Arc::new(access));
    let bus = serve(&broker.address, facts(), wiring(roles, to_loop), paired()).await?;
    Ok(Daemon {
        bus,
        calls,
        _access: access,
    })
}

impl Daemon {
    fn known(&self) -> usize {
        match &self.bus.gateway.callers {
            Callers::Bus(known) => known.len(),
            Callers::Fixed(_) => unreachable!("it is on a bus"),
        }
    }
}

/// Answers every call well, for as long as the future takes.
async fn answering<T>(calls: &mut mpsc::Receiver<Call>, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            done = &mut future => return done,
            Some(call) = calls.recv() => {
                let good = answer(&call.command);
                call.reply.send(Ok(good)).unwrap();
            }
        }
    }
}

/// Lets everything else run until it is so.
async fn eventually(mut so: impl FnMut() -> bool) {
    let limit = Duration::from_secs(10);
    let looking = async {
        while !so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(limit, looking).await.unwrap();
}

async fn owner(client: &Connection) -> bool {
    let bus = "org.freedesktop.DBus";
    let reply = client
        .call_method(Some(bus), "/org/freedesktop/DBus", Some(bus), "NameHasOwner", &NAME)
        .await;
    reply.unwrap().body().deserialize().unwrap()
}

#[tokio::test]
async fn the_bus_vouches_for_uid_groups_and_pid_and_is_asked_once() {
    let broker = Broker::start().await;
    let mut daemon = start(&broker, myself()).await.unwrap();
    let client = broker.client().await;
    for _ in 0..3 {
        answering(&mut daemon.calls, call(&client, TOKENS, "GetAccessToken", &(0u32,)))
            .await
            .unwrap();
    }
    assert_eq!(daemon.known(), 1);

    let callers = &daemon.bus.gateway.callers;
    let name = client.unique_name().unwrap();
    let (identity, _) = callers.identify(&daemon.bus.connection, Some(&**name)).await.unwrap();
    assert_eq!(identity.uid, rustix::process::getuid().as_raw());
    assert_eq!(identity.pid, Some(std::process::id()));
    let mut groups: Vec<_> = rustix::process::getgroups()
        .unwrap()
        .iter()
        .map(|group| group.as_raw())
        .collect();
    groups.push(rustix::process::getegid().as_raw());
    groups.sort_unstable();
    groups.dedup();
    assert_eq!(identity.groups, groups);

    let denied = callers.identify(&daemon.bus.connection, None).await.unwrap_err();
    assert_eq!(denied.kind(), ErrorName::AccessDenied, "a message without a sender");
    let nobody = zbus::names::UniqueName::try_from(":9.999").unwrap();
    let denied = callers
        .identify(&daemon.bus.connection, Some(&nobody))
        .await
        .unwrap_err();
    assert_eq!(
        denied.kind(),
        ErrorName::AccessDenied,
        "a sender that the bus does not know"
    );
}

#[tokio::test]
async fn a_caller_is_forgotten_when_it_leaves_the_bus() {
    let broker = Broker::start().await;
    let mut daemon = start(&broker, myself()).await.unwrap();
    let (first, second) = (broker.client().await, broker.client().await);
    for client in [&first, &second] {
        answering(&mut daemon.calls, call(client, TOKENS, "GetAccessToken", &(0u32,)))
            .await
            .unwrap();
    }
    assert_eq!((daemon.known(), daemon.bus.gateway.throttle.users()), (2, 1));
    drop(first);
    eventually(|| daemon.known() == 1).await;
    assert_eq!(daemon.bus.gateway.throttle.users(), 1, "the uid still has a connection");
    drop(second);
    eventually(|| daemon.known() == 0 && daemon.bus.gateway.throttle.users() == 0).await;
}

#[tokio::test]
async fn without_a_role_a_real_caller_is_refused_on_every_interface() {
    let broker = Broker::start().await;
    let daemon = start(&broker, Access::default()).await.unwrap();
    let client = broker.client().await;
    // root always may: the table of roles is tried without a bus then.
    if rustix::process::getuid().is_root() {
        return;
    }
    assert_eq!(
        failure(call(&client, TOKENS, "GetAccessToken", &(0u32,)).await).0,
        ErrorName::AccessDenied
    );
    assert_eq!(
        failure(call(&client, PAIRING, "Unpair", &()).await).0,
        ErrorName::AccessDenied
    );
    assert!(daemon.calls.is_empty());
}

#[tokio::test]
async fn signals_reach_a_subscriber_before_the_answer_through_a_real_bus() {
    let broker = Broker::start().await;
    let mut daemon = start(&broker, myself()).await.unwrap();
    let client = broker.client().await;
    let rule = MatchRule::builder()
        .msg_type(MessageType::Signal)
        .path(OBJECT)
        .build()
        .unwrap();
    // The first announcement went out before anybody could subscribe, and the answer to AddMatch
    // came before the stream.
    let relevant = |message: &Message| {
        message
            .header()
            .sender()
            .is_some_and(|sender| sender != "org.freedesktop.DBus")
    };
    let _subscription = MessageStream::for_match_rule(rule, &client, None).await.unwrap();
    let mut arrivals = MessageStream::from(&client);
    let changing = {
        let client = client.clone();
        tokio::spawn(async move { call(&client, PAIRING, "Unpair", &()).await })
    };
    let asked = daemon.calls.recv().await.unwrap();
    let mut snapshot = unpaired();
    snapshot.generation = Generation(1);
    daemon.bus.publish(snapshot);
    asked.reply.send(Ok(Reply::Done)).unwrap();
    let mut order = Vec::new();
    while order.last().is_none_or(|last| last != "MethodReturn") {
        let message = next(&mut arrivals).await;
        if relevant(&message) {
            order.push(label(&message));
        }
    }
    assert_eq!(
        order,
        [
            "PropertiesChanged Pairing",
            "PropertiesChanged Tokens",
            "PropertiesChanged Device",
            "PairingStateChanged",
            "MethodReturn"
        ]
    );
    changing.await.unwrap().unwrap();
}

#[tokio::test]
async fn many_clients_of_one_uid_are_all_served() {
    let broker = Broker::start().await;
    let mut daemon = start(&broker, myself()).await.unwrap();
    let mut clients = JoinSet::new();
    for _ in 0..64 {
        let client = broker.client().await;
        clients.spawn(async move {
            for _ in 0..10 {
                call(&client, TOKENS, "GetAccessToken", &(0u32,)).await.unwrap();
            }
        });
    }
    answering(&mut daemon.calls, async {
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn there_is_only_one_daemon_on_a_bus_and_it_says_what_to_do() {
    let broker = Broker::start().await;
    let first = start(&broker, myself()).await.unwrap();
    let second = start(&broker, myself()).await.err().unwrap();
    assert!(matches!(second, BusError::NameTaken { .. }), "{second:?}");
    assert!(second.to_string().contains("stop it first"));
    drop(first);
}

#[tokio::test]
async fn the_last_answer_is_out_before_the_daemon_leaves_and_the_name_is_free() {
    let broker = Broker::start().await;
    let mut daemon = start(&broker, myself()).await.unwrap();
    let client = broker.client().await;
    let last = {
        let client = client.clone();
        tokio::spawn(async move { call(&client, TOKENS, "GetAccessToken", &(0u32,)).await })
    };
    let asked = daemon.calls.recv().await.unwrap();
    let good = answer(&asked.command);
    asked.reply.send(Ok(good)).unwrap();
    assert!(owner(&client).await);
    daemon.bus.leave().await;
    last.await.unwrap().unwrap();
    assert!(!owner(&client).await);
}

#[tokio::test]
async fn a_missing_bus_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let (to_loop, _calls) = mpsc::channel(CALL_QUEUE);
    let (_access, roles) = watch::channel(Arc::default());
    let nowhere = format!("unix:path={}/bus", directory.path().display());
    let address = BusAddress::from(nowhere.as_str());
    let error = serve(&address, facts(), wiring(roles, to_loop), paired())
        .await
        .unwrap_err();
    assert!(matches!(error, BusError::Unreachable { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&nowhere) && text.contains("is it running?"), "{text}");
}

#[tokio::test]
async fn no_logind_is_no_inhibitor_and_no_wait() {
    let broker = Broker::start().await;
    let daemon = start(&broker, myself()).await.unwrap();
    let refused = daemon.bus.inhibit().await.unwrap_err();
    assert!(matches!(refused, BusError::NoInhibitor { .. }));
}

/// The other ends of the locks that were given.
type Held = Arc<std::sync::Mutex<Vec<(String, std::os::unix::net::UnixStream)>>>;

/// logind as systemd 252 has it: two things in one question need a right that delaying does not.
struct Logind(Held);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Logind {
    #[expect(
        clippy::unused_async,
        reason = "the attribute takes async methods only for this signature"
    )]
    async fn inhibit(&self, what: String, who: String, why: String, mode: String) -> zbus::fdo::Result<zbus::OwnedFd> {
        assert!(!who.is_empty() && !why.is_empty(), "logind shows both to people");
        if !["shutdown", "sleep"].contains(&what.as_str()) || mode != "delay" {
            return Err(zbus::fdo::Error::AccessDenied("Permission denied".to_owned()));
        }
        let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
        self.0.lock().unwrap().push((what, ours));
        Ok(std::os::fd::OwnedFd::from(theirs).into())
    }
}

#[tokio::test]
async fn shutdown_and_sleep_are_held_off_until_the_lock_goes() {
    let broker = Broker::start().await;
    let BusAddress::Address(address) = &broker.address else {
        unreachable!("it is ours")
    };
    let held = Held::default();
    let _login1 = Builder::address(address.as_str())
        .serve_at("/org/freedesktop/login1", Logind(Arc::clone(&held)))
        .name("org.freedesktop.login1")
        .build()
        .await
        .unwrap();
    let daemon = start(&broker, myself()).await.unwrap();
    let lock = daemon.bus.inhibit().await.unwrap();

    let mut held = std::mem::take(&mut *held.lock().unwrap());
    held.sort_by(|a, b| a.0.cmp(&b.0));
    let what: Vec<_> = held.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["shutdown", "sleep"]);
    let is_held = |end: &std::os::unix::net::UnixStream| {
        end.set_nonblocking(true).unwrap();
        std::io::Read::read(&mut &*end, &mut [0]).is_err()
    };
    assert!(held.iter().all(|(_, end)| is_held(end)));
    drop(lock);
    // The message of this logind holds copies of the locks until its connection has let go of it.
    let gone = async {
        while held.iter().any(|(_, end)| is_held(end)) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
}
