//! A forward proxy on loopback for the tests of devices behind one (RFC 9110 §9.3.6).
//!
//! Each name that it is asked for is this machine, so that a server with a name that has no address
//! can be reached through it and in no other way.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use crate::watched::{TimedOut, Watched};

/// The fate of a request for a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is opened.
    Open,
    /// The proxy says this, and closes.
    Say(String),
    /// The proxy says nothing.
    Silent,
}

#[derive(Debug)]
struct State {
    way: Way,
    asked: Vec<String>,
    /// Both ends of each tunnel, and those that wait.
    open: Vec<TcpStream>,
}

/// A handle to a running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Watched<State>,
}

impl Proxy {
    /// Starts one on a free port.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub fn start(way: Way) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = Watched::new(State {
            way,
            asked: Vec::new(),
            open: Vec::new(),
        });
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = shared.clone();
                // A client that left is no fault of the proxy's.
                thread::spawn(move || serve(client, &shared));
            }
        });
        Ok(Self { address, state })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Decides on the requests to come.
    pub fn set(&self, way: Way) {
        self.state.update(|state| state.way = way);
    }

    /// The heads of all requests so far.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.state.read(|state| state.asked.clone())
    }

    /// Waits until so many requests have come.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if they did not within `limit`.
    pub async fn seen(&self, requests: usize, limit: Duration) -> Result<(), TimedOut> {
        let enough = move |state: &State| (state.asked.len() >= requests).then_some(());
        self.state.wait(enough, limit).await
    }

    /// Ends each tunnel.
    pub fn cut(&self) {
        for stream in self.state.update(|state| std::mem::take(&mut state.open)) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(mut client: TcpStream, state: &Watched<State>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let port = head
        .split(' ')
        .nth(1)
        .and_then(|target| target.rsplit(':').next()?.parse().ok());
    let way = state.update(|state| {
        state.asked.push(head);
        state.way.clone()
    });
    match (way, port) {
        (Way::Open, Some(port)) => {
            let server = TcpStream::connect(("127.0.0.1", port))?;
            let ends = [client.try_clone()?, server.try_clone()?];
            state.update(|state| state.open.extend(ends));
            client.write_all(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 Connection established\r\n\r\n")?;
            copy(client.try_clone()?, server.try_clone()?);
            copy(server, client);
            Ok(())
        }
        (Way::Say(text), _) => {
            client.write_all(text.as_bytes())?;
            client.shutdown(Shutdown::Write)?;
            // A close before the rest is read would be a reset, which may overtake the text.
            io::copy(&mut client, &mut io::sink()).map(drop)
        }
        (Way::Silent, _) => io::copy(&mut client, &mut io::sink()).map(drop),
        (Way::Open, None) => client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // However it ended, the other side has to hear of it.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}
