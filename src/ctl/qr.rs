//! `qr`: the current code as a QR code, on the terminal or in a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, PROC_SUPER_MAGIC, statfs};
use rustix::io::Errno;
use zbus::Connection;

use super::args::Qr;
use super::exit::{Exit, Failure, word_of};
use super::output::print_raw;
use super::pair::Terminal;
use crate::system::atomic_file::{Access, Disk, PRIVATE, names_a_directory};
use c2c_auth_client::proxy::{self, Options};

pub(super) async fn qr(connection: &Connection, wanted: &Qr) -> Result<Exit, Failure> {
    let format = wanted.file.as_ref().map_or("text", |(format, _)| *format);
    let mut options: Options<'_> = [("format", format.into())].into_iter().collect();
    if wanted.fixed {
        options.insert("what", "uri".into());
    }
    if let Some(size) = wanted.size {
        options.insert("size", size.into());
    }
    let answer = proxy::pairing(connection).await?.get_qr_code(options).await;
    let picture = match answer {
        Ok((_, picture)) => zeroize::Zeroizing::new(picture),
        Err(error) if word_of(&error) == Some("NoPairing") => {
            return Err(Failure::failed("there is no code to show; run: c2c-authctl pair"));
        }
        Err(error) => return Err(error.into()),
    };
    let Some((_, path)) = &wanted.file else {
        let text = String::from_utf8_lossy(&picture);
        let text = match Terminal::of_stdout() {
            Some(terminal) => terminal.picture(&text).rows.join("\n") + "\n",
            None => text.into_owned(),
        };
        print_raw(&text)?;
        return Ok(Exit::Ok);
    };
    let failed = |what: String| move |error: io::Error| Failure::failed(format!("{what}: cannot be written ({error})"));
    if path.as_os_str() == "-" {
        let mut out = io::stdout().lock();
        out.write_all(&picture)
            .and_then(|()| out.flush())
            .map_err(failed("standard output".to_owned()))?;
    } else {
        write(path, &picture).map_err(failed(path.display().to_string()))?;
    }
    Ok(Exit::Ok)
}

/// Writes to the file that the user's name leads to. A regular file is replaced as a whole, so that
/// nobody reads half of it. It keeps its owner and mode. A new file is readable by its owner alone:
/// anybody who reads the code can bind the device to a project of their own. A FIFO, a device and
/// an open descriptor are written and stay what they are.
fn write(path: &Path, picture: &[u8]) -> io::Result<()> {
    let no_file = || io::Error::new(io::ErrorKind::InvalidInput, "this is not the name of a file");
    if names_a_directory(path) {
        return Err(no_file());
    }
    // The kernel goes there first: it refuses a stranger's link in a directory where everybody may
    // write.
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        found => Some(found?),
    };
    let (path, is_descriptor) = followed(path)?;
    let Some(found) = found else {
        return replace(&path, picture, PRIVATE);
    };
    if found.is_dir() {
        return Err(no_file());
    }
    if is_descriptor || !found.is_file() {
        // Never made here, and never cut: others write to it as well.
        return File::options()
            .append(true)
            .custom_flags(OFlags::NOCTTY.bits().cast_signed())
            .open(&path)?
            .write_all(picture);
    }
    let access = Access {
        mode: found.mode() & 0o777,
        owner: Some((found.uid(), found.gid())),
    };
    match replace(&path, picture, access) {
        // The file is the user's to write, and its directory or its owner is not, or it is a mount
        // of its own.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::ResourceBusy
            ) =>
        {
            let mut file = File::options().write(true).truncate(true).open(&path)?;
            file.write_all(picture)?;
            file.sync_all()
        }
        done => done,
    }
}

/// Writes a file as a whole. [`Disk`] knows names of UTF-8 alone, as ours are; a user's may be
/// others.
fn replace(path: &Path, picture: &[u8], access: Access) -> io::Result<()> {
    if path.file_name().is_some_and(|name| name.to_str().is_some()) {
        return Disk::real().write(path, picture, access);
    }
    let beside = path.with_file_name(format!(".c2c-authctl-{}", std::process::id()));
    Disk::real().write(&beside, picture, access)?;
    fs::rename(&beside, path).inspect_err(|_| {
        let _ = fs::remove_file(&beside);
    })
}

/// The path that this name's links lead to. Its target may be absent. The flag is true for an open
/// descriptor (`/dev/stdout`), because the text of its link is no file name.
fn followed(path: &Path) -> io::Result<(PathBuf, bool)> {
    // As many as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..=LINKS {
        let above = match path.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        match fs::read_link(&path) {
            Ok(_) if statfs(above)?.f_type == PROC_SUPER_MAGIC => return Ok((path, true)),
            Ok(to) => path = above.join(to),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok((path, false));
            }
            Err(error) => return Err(error),
        }
    }
    Err(Errno::LOOP.into())
}

#[cfg(test)]
mod tests;
