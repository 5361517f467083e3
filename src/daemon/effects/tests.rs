#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use c2c_testkit::bus::TestBus;
use c2c_testkit::rig::Rig;
use c2c_testkit::server::{Endpoint, Options, Server};
use tokio::sync::{mpsc, watch};

use super::*;
use crate::bus;
use crate::config::System;
use crate::daemon::boot;
use crate::daemon::reload::Source;
use crate::messages::contract::{self, BusAddress};
use crate::oauth::{ClientAuth, Endpoints, Issuer, OauthDevice, Provider, ServerSettings};
use crate::store::{Directories, Identity, StateKey};
use crate::system::clock::Clock;
use crate::transport::{FloorClock, TlsSettings, Ways};
use c2c_auth_core::{
    Body, BootId, CodeAnswer, DeviceCode, Generation, GrantId, Loaded, PollAnswer, PrepareAnswer, Reason, Record,
    RefreshToken, Slots, Snapshot, TokenState,
};

/// The runner between a real bus, a real server and a real directory. Only the core is missing:
/// effects are made by hand.
struct Bench {
    runner: EffectRunner,
    calls: mpsc::Receiver<Call>,
    server: Server,
    bus: TestBus,
    rig: Rig,
    _access: watch::Sender<Arc<bus::Access>>,
}

impl Bench {
    async fn new() -> Self {
        let server = Server::start(Options::default()).unwrap();
        let rig = Rig::new(&server).unwrap();
        let bus = TestBus::start().unwrap();
        let config = Source {
            file: Some(rig.config_file()),
            system: System::at("/nowhere"),
        }
        .read()
        .unwrap();
        let secret = c2c_auth_core::Secret::new(server.client_secret());
        let provider = Arc::new(config.provider_with(Some(secret)).unwrap());
        let clock = Arc::new(FloorClock::new(Clock::new(None).floor()));
        let client = Client::new(
            provider,
            TlsSettings {
                ca_file: config.tls.ca_file.clone(),
                clock,
                ways: Ways::default(),
            },
        )
        .unwrap();
        let (access, who) = watch::channel(Arc::new(boot::access(&config)));
        let (sender, calls) = mpsc::channel(8);
        let address = BusAddress::Address(bus.address().to_owned());
        let wiring = bus::Wiring {
            access: who,
            calls: sender.clone(),
            redirects: crate::daemon::authorize::reader(client.clone()),
        };
        let front = bus::serve(&address, boot::facts(&config), wiring, snapshot())
            .await
            .unwrap();
        let runner = EffectRunner::new(
            client,
            front,
            store_thread(open(&rig).0).unwrap(),
            PairingState::Unpaired,
            sender,
        );
        Self {
            runner,
            calls,
            server,
            bus,
            rig,
            _access: access,
        }
    }

    fn carry_out(&mut self, effects: impl IntoIterator<Item = Effect>) -> Done {
        let mut effects: Effects = effects.into_iter().collect();
        let done = self.runner.carry_out(&mut effects);
        assert!(effects.is_empty());
        done
    }

    async fn answer(&mut self) -> (OpId, Answer) {
        match self.runner.next().await {
            Event::Answered { op, answer, .. } => (op, answer),
            other => panic!("{other:?}"),
        }
    }

    fn refreshes(&self) -> usize {
        self.server.truth(|truth| truth.requests(Endpoint::Refresh).count())
    }
}

fn open(rig: &Rig) -> (Store, c2c_auth_core::Stored) {
    let directories = Directories {
        state: rig.state_directory(),
        runtime: Some(rig.runtime_directory()),
    };
    // The thread of an runner that was dropped a moment ago may still hold the lock.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let opened = Store::open(
            directories.clone(),
            Some(StateKey::from_bytes(rig.state_key())),
            Identity::new("frameio-c2c", "https://localhost", "SIM-000123"),
            BootId([1; 16]),
        );
        match opened {
            Err(_) if std::time::Instant::now() < until => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        pairing: PairingState::Unpaired,
        reason: Reason::NeverPaired,
        paired: false,
        attention: false,
        token: TokenState::None,
        generation: Generation::NONE,
        device: c2c_auth_core::DeviceInfo::default(),
        lifetimes: c2c_auth_core::Lifetimes::default(),
        contact: c2c_auth_core::Contact::default(),
        last_error: None,
    }
}

fn refresh(op: u64, on: u64) -> Effect {
    let token = RefreshToken::new("made-up".to_owned());
    Effect::Request(
        OpId(op),
        Request::Refresh {
            on: OpId(on),
            token,
            patience: None,
        },
    )
}

fn record(generation: u64) -> Record {
    Record {
        generation: Generation(generation),
        grant: GrantId(1),
        floor: None,
        body: Body::Tombstone(Reason::Unpaired),
    }
}

#[tokio::test]
async fn a_refresh_goes_out_on_the_connection_of_its_prepare_and_only_once() {
    let mut bench = Bench::new().await;
    bench.carry_out([Effect::Request(OpId(1), Request::Prepare)]);
    assert_eq!(bench.answer().await, (OpId(1), Answer::Prepare(PrepareAnswer::Ready)));
    bench.carry_out([refresh(2, 1)]);
    // The server does not know this token.
    assert_eq!(
        bench.answer().await,
        (OpId(2), Answer::Refresh(RefreshAnswer::InvalidGrant))
    );
    bench.carry_out([refresh(3, 1)]);
    assert_eq!(bench.answer().await, (OpId(3), unsent().outcome.answer));
    assert_eq!(bench.refreshes(), 1);
}

#[tokio::test]
async fn a_cancelled_prepare_leaves_no_connection_behind() {
    let mut bench = Bench::new().await;
    bench.carry_out([Effect::Request(OpId(1), Request::Prepare)]);
    bench.answer().await;
    bench.carry_out([Effect::Cancel(OpId(1)), refresh(2, 1)]);
    assert_eq!(bench.answer().await, (OpId(2), unsent().outcome.answer));
    assert_eq!(bench.refreshes(), 0);
}

#[tokio::test]
async fn a_request_is_answered_with_the_servers_date_and_a_cancelled_one_is_not() {
    let mut bench = Bench::new().await;
    let ask = |op| Effect::Request(OpId(op), Request::DeviceCode);
    bench.carry_out([ask(1), Effect::Cancel(OpId(1)), ask(2)]);
    let Event::Answered { op, date, answer } = bench.runner.next().await else {
        panic!("no answer")
    };
    assert_eq!(op, OpId(2));
    assert!(date.is_some());
    assert!(matches!(answer, Answer::Code(CodeAnswer::Granted(_))));
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_description_of_the_server() {
    let mut bench = Bench::new().await;
    // It takes connections and says nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("https://{}", mute.local_addr().unwrap());
    bench.runner.client = undescribed(&issuer, bench.server.ca_file());
    let begun = std::time::Instant::now();
    bench.carry_out([Effect::Request(
        OpId(1),
        Request::Poll(DeviceCode::new("made-up".to_owned()), None),
    )]);
    tokio::task::yield_now().await;
    bench.runner.shut_down();
    let (_, answer) = bench.answer().await;
    assert!(
        matches!(&answer, Answer::Poll(PollAnswer::Failed(fault)) if fault.kind.unsent()),
        "{answer:?}"
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(5));
}

/// A client that has to ask its server for every address.
fn undescribed(issuer: &str, ca_file: std::path::PathBuf) -> Client {
    let settings = ServerSettings {
        client_id: "made-up".to_owned(),
        client_secret: None,
        auth: ClientAuth::None,
        scope: None,
        issuer: Some(Issuer::parse(issuer).unwrap()),
        endpoints: Endpoints::default(),
        ..ServerSettings::default()
    };
    let tls = TlsSettings {
        ca_file: Some(ca_file),
        clock: Arc::new(FloorClock::new(Clock::new(None).floor())),
        ways: Ways::default(),
    };
    Client::new(Arc::new(Provider::OauthDevice(OauthDevice::new(settings))), tls).unwrap()
}

#[tokio::test]
async fn writes_are_answered_in_order_and_are_on_disk() {
    let mut bench = Bench::new().await;
    let write = |op, generation| {
        Effect::Store(
            OpId(op),
            c2c_auth_core::Store::Record {
                record: Box::new(record(generation)),
                slots: Slots::One,
            },
        )
    };
    bench.carry_out([
        write(1, 1),
        write(2, 2),
        Effect::Store(OpId(3), c2c_auth_core::Store::Flow(None)),
    ]);
    for op in 1..=3 {
        assert_eq!(bench.runner.next().await, Event::Stored { op: OpId(op), ok: true });
    }
    let Bench { runner, rig, .. } = bench;
    runner.leave().await;
    assert_eq!(open(&rig).1.record, Loaded::Current(record(2)));
}

#[tokio::test]
async fn a_write_that_fails_is_answered_as_failed() {
    let mut bench = Bench::new().await;
    std::fs::remove_dir_all(bench.rig.state_directory()).unwrap();
    let what = c2c_auth_core::Store::Record {
        record: Box::new(record(1)),
        slots: Slots::Both,
    };
    bench.carry_out([Effect::Store(OpId(1), what)]);
    assert_eq!(bench.runner.next().await, Event::Stored { op: OpId(1), ok: false });
}

#[tokio::test]
async fn a_call_gets_the_answer_that_the_core_gives_it_and_sees_the_state_before() {
    let mut bench = Bench::new().await;
    let client = zbus::connection::Builder::address(bench.bus.address())
        .build()
        .await
        .unwrap();
    let unpair = tokio::spawn({
        let client = client.clone();
        async move { call(&client, contract::PAIRING, "Unpair").await }
    });
    let (id, command) = bench.runner.admit(bench.calls.recv().await.unwrap());
    assert_eq!(command, Command::Unpair);
    let mut after = snapshot();
    after.reason = Reason::Unpaired;
    let done = bench.carry_out([Effect::Publish(Box::new(after)), Effect::Reply(id, Ok(Reply::Done))]);
    assert_eq!(
        done,
        Done {
            published: true,
            drained: false
        }
    );
    unpair.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_that_is_open_at_the_end_gets_an_error() {
    let mut bench = Bench::new().await;
    let client = zbus::connection::Builder::address(bench.bus.address())
        .build()
        .await
        .unwrap();
    let cancel = tokio::spawn(async move { call(&client, contract::PAIRING, "CancelPairing").await });
    bench.runner.admit(bench.calls.recv().await.unwrap());
    assert!(bench.carry_out([Effect::Drained]).drained);
    bench.runner.leave().await;
    assert!(cancel.await.unwrap().is_err());
}

async fn call(client: &zbus::Connection, interface: &str, method: &str) -> zbus::Result<zbus::Message> {
    client
        .call_method(Some(contract::NAME), contract::OBJECT, Some(interface), method, &())
        .await
}
