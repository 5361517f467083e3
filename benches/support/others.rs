//! The services that the daemon is measured beside, and children of the bench.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use zbus::connection::Builder;

use crate::support::{OBJECT, Outcome};

/// Said by a child that is up.
pub(crate) const STARTED: &str = "started";

/// As long as ours: the messages differ in nothing else.
const SDBUS: &str = "org.cameratocloud.Sdbus";
const BARE: &str = "org.cameratocloud.Zbus1";

/// The services beside the daemon.
pub(crate) struct Others {
    /// `None` where it cannot be built.
    sdbus: Option<Ended>,
    _bare: Ended,
}

impl Others {
    pub(crate) fn start(program: &Path, directory: &Path, address: &str) -> Outcome<Self> {
        let up = |command: &mut Command| -> Outcome<Ended> {
            let mut child = Ended(command.stdout(Stdio::piped()).spawn()?);
            child.line()?;
            Ok(child)
        };
        let sdbus = match build_sdbus(directory) {
            Ok(path) => Some(up(Command::new(path).args([address, SDBUS]))?),
            Err(error) => {
                println!("the service in C is left out: {error}; it needs cc and libsystemd-dev");
                None
            }
        };
        let bare = up(Command::new(program).args(["--serve", address]))?;
        Ok(Self { sdbus, _bare: bare })
    }

    /// The name on the bus, and the word for it in the table.
    pub(crate) fn names(&self) -> Vec<(&'static str, &'static str)> {
        let sdbus = self.sdbus.is_some().then_some((SDBUS, "sd-bus in C"));
        sdbus.into_iter().chain([(BARE, "bare zbus")]).collect()
    }
}

fn build_sdbus(directory: &Path) -> Outcome<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/support/sdbus.c");
    let program = directory.join("sdbus");
    let built = Command::new("cc")
        .arg("-O2")
        .arg("-o")
        .args([&program, &source])
        .arg("-lsystemd")
        .output()?;
    if !built.status.success() {
        return Err(String::from_utf8_lossy(&built.stderr)
            .lines()
            .next()
            .unwrap_or_default()
            .into());
    }
    Ok(program)
}

struct Bare {
    token: String,
    state: &'static str,
    generation: u64,
}

#[zbus::interface(name = "org.cameratocloud.Auth1.Tokens")]
impl Bare {
    #[zbus(out_args("access_token", "expires_in", "generation"))]
    fn get_access_token(&self, min_validity: u32) -> (&str, u32, u64) {
        (&self.token, 28_800.max(min_validity), self.generation)
    }

    #[zbus(property)]
    fn token_state(&self) -> &'static str {
        self.state
    }

    #[zbus(property)]
    fn generation(&self) -> u64 {
        self.generation
    }
}

pub(crate) async fn serve(address: &str) -> Outcome<()> {
    let bare = Bare {
        token: "c".repeat(1024),
        state: "valid",
        generation: 1,
    };
    let connection = Builder::address(address)
        .serve_at(OBJECT, bare)
        .name(BARE)
        .build()
        .await?;
    tell(STARTED)?;
    connection.closed().await;
    Ok(())
}

pub(crate) fn tell(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

/// A child that ends with its handle.
pub(crate) struct Ended(pub(crate) Child);

impl Ended {
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if let Some(stdout) = self.0.stdout.as_mut() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if line.is_empty() {
            return Err("a child ended before it said anything".into());
        }
        Ok(line)
    }

    pub(crate) fn numbers(mut self) -> Outcome<[f64; 2]> {
        let line = self.line()?;
        let numbers: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
        let numbers = numbers?.try_into();
        numbers.map_err(|_| format!("not two numbers: {line}").into())
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
