//! The simulated servers as a program, for systems that are booted whole: what tests in one process
//! do by methods, scripts do here over a unix socket.
//!
//! `serve DIRECTORY [--listen ADDRESS:PORT --name HOST] [--interval SECONDS] [--access-life
//! SECONDS]` starts it, writes what a device has to be given (`ca.pem`, `client-secret`,
//! `base-uri`, in this order) and listens for verbs on `DIRECTORY/ctl`. `ctl SOCKET VERB …` speaks
//! one of them. [`control`] lists them. `standard DIRECTORY` starts the standard server in its
//! place (`ca.pem`, `issuer`), with verbs of its own: [`standard`].
//!
//! Must never: hold a secret that is not a made-up one, or know c2c-authd.

mod control;
mod forward;
mod standard;

use std::{
    error::Error,
    fs,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr},
    os::unix::{
        fs::PermissionsExt as _,
        net::{UnixDatagram, UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use c2c_testkit::{
    page::Page,
    server::{Options, Server},
};

const USAGE: &str = "usage: c2c-sim serve DIRECTORY [--listen ADDRESS:PORT --name HOST] [--interval SECONDS]\n\
    \x20              [--access-life SECONDS]\n\
    \x20      c2c-sim standard DIRECTORY\n\
    \x20      c2c-sim ctl SOCKET VERB [ARGUMENT…]";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let done = match args.next().as_deref() {
        Some("serve") => Serve::parse(args).and_then(Serve::run),
        Some("standard") => standard::run(args),
        Some("ctl") => ctl(args),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("c2c-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Sends the verb, prints the answer. The first line of an answer says whether it is one.
fn ctl(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let socket = args.next().ok_or(USAGE)?;
    let words: Vec<_> = args.collect();
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(words.join("\t").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once('\n') {
        Some(("ok", rest)) => Ok(io::stdout().write_all(rest.as_bytes())?),
        Some(("error", rest)) => Err(rest.into()),
        _ => Err("the simulation hung up".into()),
    }
}

/// The options of `serve`.
struct Serve {
    directory: PathBuf,
    listen: Option<(SocketAddr, String)>,
    options: Options,
}

impl Serve {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let directory = args.next().ok_or(USAGE)?.into();
        let mut options = Options {
            interval: Duration::from_secs(1),
            ..Options::default()
        };
        let (mut address, mut name) = (None, None);
        while let Some(flag) = args.next() {
            let value = args.next().ok_or(USAGE)?;
            match flag.as_str() {
                "--listen" => address = Some(value.parse()?),
                "--name" => {
                    options.names.push(value.clone());
                    name = Some(value);
                }
                "--interval" => options.interval = control::seconds(&value)?,
                "--access-life" => options.access_life = control::seconds(&value)?,
                _ => return Err(USAGE.into()),
            }
        }
        let listen = match (address, name) {
            (Some(address), Some(name)) => Some((address, name)),
            (None, None) => None,
            _ => return Err(USAGE.into()),
        };
        Ok(Self {
            directory,
            listen,
            options,
        })
    }

    fn run(self) -> Result<(), Box<dyn Error>> {
        let listener = listen(&self.directory)?;
        let server = Server::start(self.options)?;
        let page = Page::open(&server)?;
        let base = match self.listen {
            Some((address, name)) => {
                let here = forward::to(address, server.address())?;
                format!("https://{name}:{}", here.port())
            }
            None => server.base_uri(),
        };
        give(&self.directory.join("ca.pem"), server.ca_pem(), 0o644)?;
        give(&self.directory.join("client-secret"), &server.client_secret(), 0o600)?;
        give(&self.directory.join("page"), &page.plain_url(), 0o644)?;
        give(&self.directory.join("base-uri"), &base, 0o644)?;
        serve(&listener, move |words| control::obey(&server, words))
    }
}

/// The socket for verbs, in a directory that is made.
fn listen(directory: &Path) -> io::Result<UnixListener> {
    fs::create_dir_all(directory)?;
    let socket = directory.join("ctl");
    // A simulation that was killed leaves its socket.
    let _ = fs::remove_file(&socket);
    UnixListener::bind(&socket)
}

/// Answers verbs, for good.
fn serve(
    listener: &UnixListener,
    obey: impl Fn(&[&str]) -> Result<String, Box<dyn Error>> + Send + Sync + 'static,
) -> Result<(), Box<dyn Error>> {
    let obey = Arc::new(obey);
    tell_manager();
    for stream in listener.incoming() {
        let (stream, obey) = (stream?, Arc::clone(&obey));
        // A verb may wait. The others go on meanwhile.
        std::thread::spawn(move || {
            // A client that hangs up does not want the answer.
            let _ = answer(&*obey, stream);
        });
    }
    Ok(())
}

fn answer(obey: &impl Fn(&[&str]) -> Result<String, Box<dyn Error>>, mut stream: UnixStream) -> io::Result<()> {
    let mut words = String::new();
    stream.read_to_string(&mut words)?;
    let words: Vec<_> = words.split('\t').collect();
    match obey(&words) {
        Ok(said) => writeln!(stream, "ok\n{said}"),
        Err(error) => writeln!(stream, "error\n{error}"),
    }
}

/// Whole or not at all: who waits for the file reads it at once.
fn give(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, content)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    fs::rename(new, path)
}

/// READY, where a service manager started this.
fn tell_manager() {
    if let Some(path) = std::env::var_os("NOTIFY_SOCKET")
        && let Ok(socket) = UnixDatagram::unbound()
    {
        // Without it the manager gives up on us, and says so.
        let _ = socket.send_to(b"READY=1\n", Path::new(&path));
    }
}
