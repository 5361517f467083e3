//! From accepted connection to answer: TLS, HTTP, faults.
//!
//! Owns: the listener, the connections. Must never: decide what the API answers (that is
//! [`State`]'s), hold the state's lock over an await.

use std::{net::SocketAddr, os::fd::OwnedFd, sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Limited};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
};

use super::{
    answer::{self, Payload},
    call::{Call, Reply, Route},
    certs::Certificates,
    fault::{Cut, Edit, Fault, Pause, Stage},
    state::{State, Ticket},
    truth::Outcome,
    wire::{Harm, HarmSlot, Wire},
};
use crate::watched::Watched;

// The largest form the API needs is well under a kilobyte.
const BODY_LIMIT: usize = 64 * 1024;
// Nothing that is HTTP, to any parser.
const GARBAGE: &[u8] = b"\x15\x03\x01\x00\x02\x02\x28\x00\xff\xfe%!PS not HTTP at all\r\n\r\n\x00\x00";

/// The handle's orders to the listener. The newest order counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Orders {
    pub(super) open: bool,
    /// Connections with numbers up to this one are to end.
    pub(super) cut_up_to: u64,
    /// How often stalled requests were released.
    pub(super) releases: u64,
}

/// The parts that all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) state: Watched<State>,
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) certificates: Arc<Certificates>,
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct CutOff;

/// Binds a loopback port. `None` picks a free one. A second socket of ours may be bound to the same
/// port.
pub(super) fn bind(at: Option<SocketAddr>) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(at.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0))))?;
    Ok(socket)
}

/// Stops listening at once. A process that is being started between fork and exec has a copy of the
/// descriptor, and connects would go on succeeding until its exec: closing is not enough.
fn close(listener: TcpListener) -> std::io::Result<()> {
    let descriptor = OwnedFd::from(listener.into_std()?);
    std::net::TcpStream::from(descriptor).shutdown(std::net::Shutdown::Both)
}

/// Accepts connections until the orders end.
pub(super) async fn run(shared: Shared, mut listener: TcpListener, address: SocketAddr) {
    let mut orders = shared.orders.clone();
    loop {
        if !orders.borrow_and_update().open {
            // Bound but not listening: connects are refused. It is bound before the listener
            // closes, so that no other process gets the port in between.
            let reserved = bind(Some(address)).expect("our own port can be bound again");
            close(listener).expect("our own listener can be shut down");
            shared.state.update(|s| s.listening = false);
            if orders.wait_for(|o| o.open).await.is_err() {
                return;
            }
            listener = reserved.listen(1024).expect("our own port can be listened on again");
            shared.state.update(|s| s.listening = true);
        }
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let number = shared.state.update(|s| {
                    let truth = &mut s.truth;
                    truth.counters.connections += 1;
                    truth.open_connections.push(truth.counters.connections);
                    truth.counters.connections
                });
                tokio::spawn(connection(shared.clone(), stream, number));
            },
            changed = orders.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn connection(shared: Shared, stream: TcpStream, number: u64) {
    let mut orders = shared.orders.clone();
    let (state, served) = (shared.state.clone(), speak(shared, stream, number));
    tokio::select! {
        () = served => {}
        // An error means that the server is gone, and with it the connection.
        _ = orders.wait_for(|o| o.cut_up_to >= number) => {}
    }
    state.update(|s| s.truth.open_connections.retain(|n| *n != number));
}

async fn speak(shared: Shared, stream: TcpStream, number: u64) {
    let tls = shared.state.read(|s| s.tls);
    let Some(acceptor) = shared.certificates.acceptor(tls) else {
        return std::future::pending().await;
    };
    // Answers are small and alone in their segment: Nagle would only delay them.
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else {
        return shared.state.update(|s| s.truth.counters.handshakes_failed += 1);
    };
    let harm = HarmSlot::default();
    let wire = TokioIo::new(Wire::new(stream, harm.clone()));
    let service = service_fn(|request| answer(shared.clone(), harm.clone(), number, request));
    // How a connection ends is in the log already, request by request.
    let _ = http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(wire, service)
        .await;
}

async fn answer(
    shared: Shared,
    harm: HarmSlot,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Payload>, CutOff> {
    let (head, body) = request.into_parts();
    let route = Route::of(&head.method, head.uri.path());
    let unread = shared.state.update(|s| {
        let endpoint = s.faults.take_unread(route.endpoints())?;
        let target = format!("{} {}", head.method, head.uri.path());
        s.turned_away(connection, endpoint, target, Fault::Cut(Cut::Unread));
        Some(())
    });
    if unread.is_some() {
        return Err(CutOff);
    }
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return Err(CutOff);
    };
    let call = Call::new(connection, &head, &body.to_bytes());
    // Subscribed before the request can be seen in the log: a release that follows its arrival is
    // not missed.
    let orders = shared.orders.clone();
    let releases = orders.borrow().releases;
    let ticket = shared.state.update(|s| s.arrive(&call));
    let ending = Ending {
        state: shared.state.clone(),
        number: ticket.number,
    };
    let fault = ticket.fault.clone();
    // A task of its own: a real server goes on although the client hung up.
    let acting = tokio::spawn(act(
        shared.state.clone(),
        call,
        ticket,
        Released { orders, seen: releases },
    ));
    let Ok(Some(reply)) = acting.await else {
        ending.with(Outcome::Cut);
        return Err(CutOff);
    };
    let response = respond(&shared.state, &reply, fault.as_ref(), &harm);
    let outcome = response
        .as_ref()
        .map_or(Outcome::Cut, |r| Outcome::Answered(r.status().as_u16()));
    ending.with(outcome);
    response.ok_or(CutOff)
}

/// Acts on a request, or not, with the stalls asked for. `None`: cut before acting.
async fn act(state: Watched<State>, call: Call, ticket: Ticket, mut released: Released) -> Option<Decided> {
    match &ticket.fault {
        Some(Fault::Cut(Cut::BeforeCommit | Cut::Unread)) => return None,
        Some(Fault::Instead(_)) => return Some(Decided::NotAsked),
        Some(Fault::Stall(Stage::BeforeCommit, pause)) => released.pause(*pause).await,
        _ => {}
    }
    let reply = state.update(|s| s.act(&call, &ticket));
    if let Some(Fault::Stall(Stage::AfterCommit, pause)) = &ticket.fault {
        released.pause(*pause).await;
    }
    Some(Decided::Replied(reply))
}

/// The result of a request.
enum Decided {
    /// The API replied.
    Replied(Reply),
    /// Something in between answers in its place.
    NotAsked,
}

/// Writes the answer, with what the fault does to it. `None`: cut.
fn respond(
    state: &Watched<State>,
    decided: &Decided,
    fault: Option<&Fault>,
    harm: &HarmSlot,
) -> Option<Response<Payload>> {
    harm.set(Harm::None);
    let reply = match (decided, fault) {
        (_, Some(Fault::Instead(page) | Fault::InsteadAfterCommit(page))) => {
            return Some(state.read(|s| answer::from_page(page, s)));
        }
        (Decided::Replied(reply), _) => reply,
        (Decided::NotAsked, _) => return None,
    };
    let edit: Option<&Edit> = if let Some(Fault::Edit(edit)) = fault {
        Some(edit)
    } else {
        None
    };
    let date = if let Some(Fault::Date(date)) = fault {
        Some(*date)
    } else {
        None
    };
    let mut response = state.read(|s| answer::from_reply(reply, s, edit, date));
    match fault {
        Some(Fault::Cut(Cut::MidHeaders)) => harm.set(Harm::CutAfter("HTTP/1.1 200".len())),
        Some(Fault::Cut(Cut::MidBody)) => harm.set(Harm::CutInBody(answer::body_len(&response) / 2)),
        Some(Fault::Cut(Cut::AfterCommit)) => return None,
        Some(Fault::Garbage) => harm.set(Harm::Replace(GARBAGE)),
        Some(Fault::Drip(every)) => harm.set(Harm::Drip(*every)),
        Some(Fault::Close) => answer::close(&mut response),
        _ => {}
    }
    Some(response)
}

/// The log must know how a request ended, also when its future is dropped because the connection
/// went.
struct Ending {
    state: Watched<State>,
    number: usize,
}

impl Ending {
    fn with(self, outcome: Outcome) {
        self.state.update(|s| s.end_request(self.number, outcome));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.state.update(|s| s.end_request(self.number, Outcome::ClientGone));
    }
}

/// A stall's way out.
struct Released {
    orders: watch::Receiver<Orders>,
    seen: u64,
}

impl Released {
    async fn pause(&mut self, pause: Pause) {
        match pause {
            Pause::For(duration) => tokio::time::sleep(duration).await,
            // An error means that the server is gone.
            Pause::UntilReleased => drop(self.orders.wait_for(|o| o.releases > self.seen).await),
        }
    }
}

/// How long a handle waits for its own thread to follow an order.
pub(super) const ORDER_LIMIT: Duration = Duration::from_secs(10);
