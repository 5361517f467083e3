//! Cargo, and where it put what it built.
//!
//! The demo shows the binaries that are shipped, not itself: they are built by cargo as anybody
//! would build them, in the profile and the target directory of the demo.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::Trouble;

/// The real ones, and the demo itself for the processes of its callers.
#[derive(Debug)]
pub(crate) struct Binaries {
    // `c2c-authd`.
    pub(crate) daemon: PathBuf,
    // `c2c-authctl`.
    pub(crate) tool: PathBuf,
    pub(crate) demo: PathBuf,
    // Where they were copied to, if they had to be.
    _copies: Option<TempDir>,
}

/// The build of the running demo, as its path tells: `TARGET-DIR[/TRIPLE]/PROFILE/examples/demo`.
#[derive(Debug)]
struct Built {
    folder: PathBuf,
    profile: OsString,
}

impl Built {
    fn of(demo: &Path) -> Result<Self, Trouble> {
        let examples = demo
            .parent()
            .filter(|folder| folder.file_name() == Some(OsStr::new("examples")));
        let folder = examples
            .and_then(Path::parent)
            .ok_or("start the demo by: cargo run --example demo")?;
        let profile = match folder.file_name().map(OsStr::as_encoded_bytes) {
            Some(b"debug") => "dev".into(),
            Some(name) => OsStr::new(std::str::from_utf8(name)?).to_owned(),
            None => return Err("the demo lies where cargo puts nothing".into()),
        };
        Ok(Self {
            folder: folder.to_owned(),
            profile,
        })
    }

    /// The target directory, and the triple if one was asked for.
    fn target(&self) -> (&Path, Option<&OsStr>) {
        let above = self.folder.parent().unwrap_or(&self.folder);
        match (above.file_name(), above.parent()) {
            (Some(name), Some(root)) if is_triple(name) => (root, Some(name)),
            _ => (above, None),
        }
    }
}

/// True if a folder is named after a target, as with `--target` or `build.target`. Nothing else in
/// the path tells.
fn is_triple(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.contains(std::env::consts::OS) && name.matches('-').count() >= 2
}

/// Builds both and says how, unless told not to. Cargo's own output goes where ours goes.
pub(crate) fn build(no_build: bool) -> Result<(Binaries, String), Trouble> {
    let demo = std::env::current_exe()?;
    let built = Built::of(&demo)?;
    let (target, triple) = built.target();
    if !no_build {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut command = Command::new(cargo);
        command
            .args(["build", "--quiet", "--bins", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(target)
            .arg("--profile")
            .arg(&built.profile)
            .stdin(Stdio::null());
        if let Some(triple) = triple {
            command.arg("--target").arg(triple);
        }
        for name in std::env::vars_os()
            .map(|(name, _)| name)
            .filter(|name| of_cargo_run(name))
        {
            command.env_remove(name);
        }
        let status = command.status()?;
        if !status.success() {
            return Err(format!("cargo build --bins ended with {status}").into());
        }
    }
    let binaries = Binaries {
        daemon: built.folder.join("c2c-authd"),
        tool: built.folder.join("c2c-authctl"),
        demo,
        _copies: None,
    };
    for binary in [&binaries.daemon, &binaries.tool] {
        if !binary.exists() {
            return Err(format!("{} is not there: leave --no-build out", binary.display()).into());
        }
    }
    let how = format!("profile {}, in {}", built.profile.display(), built.folder.display());
    Ok((binaries, how))
}

/// Variables that `cargo run` sets for the program it runs. Build scripts that watch them would run
/// again, and everything that depends on those would be built again, at every change between cargo
/// from here and cargo from a shell.
fn of_cargo_run(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_")
        || matches!(
            &*name,
            "CARGO_MANIFEST_DIR"
                | "CARGO_MANIFEST_PATH"
                | "CARGO_MANIFEST_LINKS"
                | "CARGO_CRATE_NAME"
                | "CARGO_BIN_NAME"
                | "CARGO_PRIMARY_PACKAGE"
                | "OUT_DIR"
        )
}

impl Binaries {
    /// Sees to it that every user can run them: where they lie in somebody's private directory,
    /// they are copied.
    pub(crate) fn for_everybody(self) -> Result<Self, Trouble> {
        if [&self.daemon, &self.tool, &self.demo]
            .into_iter()
            .all(|path| open_to_all(path))
        {
            return Ok(self);
        }
        let folder = tempfile::Builder::new().prefix("c2c-demo-").tempdir()?;
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everybody.clone())?;
        let copy = |from: &Path| -> Result<PathBuf, Trouble> {
            let to = folder.path().join(from.file_name().unwrap_or_default());
            std::fs::copy(from, &to)?;
            std::fs::set_permissions(&to, everybody.clone())?;
            Ok(to)
        };
        Ok(Self {
            daemon: copy(&self.daemon)?,
            tool: copy(&self.tool)?,
            demo: copy(&self.demo)?,
            _copies: Some(folder),
        })
    }
}

/// True if a user who owns nothing here can read (if it is a file) and run or pass through it, all
/// the way down.
pub(crate) fn open_to_all(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| {
        path.ancestors().all(|part| {
            let wanted = if part.is_dir() { 0o001 } else { 0o005 };
            part.metadata()
                .is_ok_and(|meta| meta.permissions().mode() & wanted == wanted)
        })
    })
}
