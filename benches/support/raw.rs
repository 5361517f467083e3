//! A D-Bus client of a write and a read for each call.
//!
//! Owns: one blocking connection, and calls that are marshalled once. Must never: share code with
//! what it measures. A client library's own cost, on both sides of a ratio, would hide the
//! difference.

use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};

/// A method call, whole but for its serial.
pub(crate) struct Call(Vec<u8>);

impl Call {
    /// `body` is marshalled already.
    pub(crate) fn new(
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: &[u8],
    ) -> Self {
        let mut fields = Vec::new();
        let texts = [
            (1, b'o', path),
            (2, b's', interface),
            (3, b's', member),
            (6, b's', destination),
        ];
        for (code, kind, text) in texts {
            pad(&mut fields);
            fields.extend([code, 1, kind, 0]);
            fields.extend(length(text.len()));
            fields.extend(text.bytes().chain([0]));
        }
        if !signature.is_empty() {
            pad(&mut fields);
            fields.extend([8, 1, b'g', 0, u8::try_from(signature.len()).unwrap_or(u8::MAX)]);
            fields.extend(signature.bytes().chain([0]));
        }
        let mut message = vec![b'l', 1, 0, 1];
        message.extend(length(body.len()));
        message.extend([0; 4]);
        message.extend(length(fields.len()));
        message.extend(fields);
        pad(&mut message);
        message.extend(body);
        Self(message)
    }
}

/// A string as it stands in a body.
pub(crate) fn string(text: &str) -> Vec<u8> {
    let mut marshalled = length(text.len()).to_vec();
    marshalled.extend(text.bytes().chain([0]));
    marshalled
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Return,
    Error,
}

pub(crate) struct Raw {
    socket: UnixStream,
    serial: u32,
    read: Vec<u8>,
}

impl Raw {
    /// Up to the answer to `Hello`.
    pub(crate) fn connect(address: &str) -> io::Result<Self> {
        let first = address.split([',', ';']).next().unwrap_or_default();
        let socket = if let Some(path) = first.strip_prefix("unix:path=") {
            UnixStream::connect(path)?
        } else if let Some(name) = first.strip_prefix("unix:abstract=") {
            UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?
        } else {
            return Err(io::Error::other(format!("not a socket of this machine: {address}")));
        };
        let mut raw = Self {
            socket,
            serial: 0,
            read: Vec::new(),
        };
        let uid = rustix::process::getuid().as_raw().to_string();
        // Each digit in hex.
        let uid: Vec<u8> = uid.bytes().flat_map(|digit| [b'3', digit]).collect();
        raw.socket
            .write_all(&[b"\0AUTH EXTERNAL ", &uid[..], b"\r\n"].concat())?;
        let mut line = [0; 512];
        let count = raw.socket.read(&mut line)?;
        if !line[..count].starts_with(b"OK ") {
            return Err(io::Error::other("the bus lets nobody in"));
        }
        raw.socket.write_all(b"BEGIN\r\n")?;
        let bus = "org.freedesktop.DBus";
        raw.call(&Call::new(bus, "/org/freedesktop/DBus", bus, "Hello", "", &[]))?;
        Ok(raw)
    }

    pub(crate) fn call(&mut self, call: &Call) -> io::Result<Answer> {
        self.send(call)?;
        self.answer()
    }

    pub(crate) fn send(&mut self, call: &Call) -> io::Result<()> {
        self.serial += 1;
        let mut message = call.0.clone();
        message[8..12].copy_from_slice(&self.serial.to_le_bytes());
        self.socket.write_all(&message)
    }

    /// The next answer, whichever call it is for.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        loop {
            self.fill(16)?;
            let number = |at: usize| {
                let bytes = [0, 1, 2, 3].map(|index| self.read[at + index]);
                u32::from_le_bytes(bytes) as usize
            };
            let kind = self.read[1];
            let whole = 16 + number(12).next_multiple_of(8) + number(4);
            self.fill(whole)?;
            self.read.drain(..whole);
            match kind {
                2 => return Ok(Answer::Return),
                3 => return Ok(Answer::Error),
                _ => {}
            }
        }
    }

    fn fill(&mut self, count: usize) -> io::Result<()> {
        while self.read.len() < count {
            let mut buffer = [0; 16384];
            let count = self.socket.read(&mut buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.read.extend_from_slice(&buffer[..count]);
        }
        Ok(())
    }
}
