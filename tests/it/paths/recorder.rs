//! Between the daemon and its bus: everything either says, kept, and taken apart into messages
//! afterwards.
//!
//! More than a monitor would show: also what the bus itself answers, and what no match rule
//! selects.

use std::collections::HashMap;
use std::io::{IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

type Bytes = Arc<Mutex<Vec<u8>>>;

/// A socket that passes on to a bus.
pub(crate) struct Recorder {
    directory: tempfile::TempDir,
    tapes: Arc<Mutex<Vec<(Bytes, Bytes)>>>,
}

/// One message, as far as a search for canaries needs it.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
    /// 1 call, 2 return, 3 error, 4 signal.
    pub(crate) kind: u8,
    pub(crate) member: String,
    serial: u32,
    answers: Option<u32>,
    sender: String,
    destination: String,
}

impl Recorder {
    /// Listens, and passes on to the bus at this address.
    pub(crate) fn start(bus: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("bus")).unwrap();
        let bus = bus.strip_prefix("unix:path=").unwrap().to_owned();
        let tapes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&tapes);
        // Ends with the test's process: a listener has no other end.
        std::thread::spawn(move || {
            for daemon in listener.incoming() {
                let (Ok(daemon), Ok(bus)) = (daemon, UnixStream::connect(Path::new(&bus))) else {
                    return;
                };
                let (said, heard) = (Bytes::default(), Bytes::default());
                kept.lock().unwrap().push((Arc::clone(&said), Arc::clone(&heard)));
                pass(daemon.try_clone().unwrap(), bus.try_clone().unwrap(), said);
                pass(bus, daemon, heard);
            }
        });
        Self { directory, tapes }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.directory.path().join("bus").display())
    }

    /// All messages so far: what the daemon said, each with the member that it answers, and what it
    /// heard.
    pub(crate) fn messages(&self) -> (Vec<Message>, Vec<Message>) {
        let (mut said, mut heard) = (Vec::new(), Vec::new());
        for (ours, theirs) in self.tapes.lock().unwrap().iter() {
            let calls = messages(&theirs.lock().unwrap());
            let mut answers = messages(&ours.lock().unwrap());
            let names: HashMap<_, _> = calls
                .iter()
                .filter(|message| message.kind == 1)
                .map(|call| ((call.sender.clone(), call.serial), call.member.clone()))
                .collect();
            for answer in answers.iter_mut().filter(|message| message.answers.is_some()) {
                let key = (answer.destination.clone(), answer.answers.unwrap_or_default());
                answer.member = names.get(&key).cloned().unwrap_or_default();
            }
            said.extend(answers);
            heard.extend(calls);
        }
        (said, heard)
    }
}

/// Passes on, descriptors included: the bus tells who a caller is with one.
fn pass(from: UnixStream, to: UnixStream, tape: Bytes) {
    std::thread::spawn(move || {
        while let Ok(true) = pass_some(&from, &to, &tape) {}
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
}

/// True if there may be more.
fn pass_some(from: &UnixStream, mut to: &UnixStream, tape: &Bytes) -> std::io::Result<bool> {
    let mut buffer = [0; 16 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let into = &mut [IoSliceMut::new(&mut buffer)];
    let size = recvmsg(from, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
    tape.lock().unwrap().extend_from_slice(&buffer[..size]);
    let owned: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    let fds: Vec<_> = owned.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    }
    let sent = match size {
        0 => 0,
        _ => sendmsg(
            to,
            &[IoSlice::new(&buffer[..size])],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?,
    };
    to.write_all(&buffer[sent..size])?;
    Ok(size > 0)
}

/// Takes a stream apart: the lines of the authentication, then messages.
fn messages(stream: &[u8]) -> Vec<Message> {
    let mut rest = stream;
    // A line of the authentication ends with CR LF. A message begins with its byte order, which no
    // such line does here.
    while !matches!(rest, [b'l', 1..=4, _, 1, ..]) {
        let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return Vec::new();
        };
        rest = &rest[end + 2..];
    }
    let mut all = Vec::new();
    while rest.len() >= 16 {
        assert_eq!(rest[0], b'l', "this test reads little-endian messages");
        let size = 16 + u32_at(rest, 12).next_multiple_of(8) + u32_at(rest, 4);
        if rest.len() < size {
            break;
        }
        all.push(message(&rest[..size]));
        rest = &rest[size..];
    }
    all
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn message(bytes: &[u8]) -> Message {
    let mut message = Message {
        bytes: bytes.to_vec(),
        kind: bytes[1],
        serial: u32::try_from(u32_at(bytes, 8)).unwrap(),
        ..Message::default()
    };
    let end = 16 + u32_at(bytes, 12);
    let mut at = 16;
    while at < end {
        at = at.next_multiple_of(8);
        let (field, kind) = (bytes[at], bytes[at + 2]);
        // The field's code, a signature of one letter, its NUL: the value follows.
        at += 4;
        let value = match kind {
            b'u' => {
                at = at.next_multiple_of(4);
                at += 4;
                if field == 5 {
                    message.answers = u32::try_from(u32_at(bytes, at - 4)).ok();
                }
                continue;
            }
            b'g' => {
                at += 1 + usize::from(bytes[at]) + 1;
                continue;
            }
            b's' | b'o' => {
                at = at.next_multiple_of(4);
                let size = u32_at(bytes, at);
                let text = String::from_utf8(bytes[at + 4..at + 4 + size].to_vec()).unwrap();
                at += 4 + size + 1;
                text
            }
            other => panic!("a header field of type {}", char::from(other)),
        };
        match field {
            3 => message.member = value,
            6 => message.destination = value,
            7 => message.sender = value,
            _ => {}
        }
    }
    message
}
