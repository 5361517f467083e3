//! Where client id and firmware version come from when they are not written in the file.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::accounts::{Accounts, Native};
use super::value::{ClientId, ClientIdFrom, Version, VersionFrom};

/// Our application id for [`machine-id(5)`]'s application-specific ids. Part of every derived
/// client id: never change it.
///
/// [`machine-id(5)`]: https://www.freedesktop.org/software/systemd/man/latest/machine-id.html
pub(crate) const APPLICATION_ID: [u8; 16] = [
    0x12, 0xd5, 0x57, 0xc1, 0xba, 0x21, 0x4d, 0x9e, 0xa1, 0x62, 0x43, 0xc1, 0x47, 0x1a, 0x37, 0xf2,
];

/// `/etc/machine-id`, and how long it is worth something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineId {
    /// The same after the next boot, as far as can be seen.
    Lasting([u8; 16]),
    /// Invented for this boot. The next one has another.
    Transient([u8; 16]),
    /// There is none: this is an image, or a system before its first boot.
    Absent,
}

impl MachineId {
    /// The answer of systemd's `sd_id128_get_machine_app_specific` for this application.
    #[must_use]
    pub fn app_specific(&self, application: &[u8; 16]) -> Option<[u8; 16]> {
        match self {
            Self::Lasting(machine) | Self::Transient(machine) => Some(app_specific(machine, application)),
            Self::Absent => None,
        }
    }
}

/// The machine that is configured: its files, below a root that tests put elsewhere, and its users
/// and groups.
#[derive(Clone, Debug)]
pub struct System {
    root: PathBuf,
    pub(super) accounts: Arc<dyn Accounts>,
}

impl System {
    #[must_use]
    /// The files and accounts of the machine that this runs on.
    pub fn host() -> Self {
        Self::at("/").with(Arc::new(Native))
    }

    /// A machine whose files lie below `root`, without users and groups.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            accounts: Arc::new(()),
        }
    }

    /// The same with these users and groups.
    #[must_use]
    pub fn with(self, accounts: Arc<dyn Accounts>) -> Self {
        Self { accounts, ..self }
    }

    /// Where the absolute `path` of that machine is found.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Why there is no value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Its source does not exist: not provisioned yet.
    Absent(String),
    /// Its source exists, and what it says is not to be used.
    Refused(String),
}

impl System {
    pub(super) fn client_id(&self, from: &ClientIdFrom) -> Result<ClientId, Missing> {
        match from {
            ClientIdFrom::MachineId => self.app_specific_machine_id(),
            ClientIdFrom::DevicetreeSerial => self.id_in(Path::new("/sys/firmware/devicetree/base/serial-number")),
            ClientIdFrom::File(path) => self.id_in(path),
        }
    }

    /// Its id. One that cannot be read is none.
    #[must_use]
    pub fn machine_id(&self) -> MachineId {
        let path = self.path("/etc/machine-id");
        let Some(machine) = read_line(&path).ok().and_then(|text| parse_id(&text)) else {
            return MachineId::Absent;
        };
        if is_transient(&path).unwrap_or(false) {
            MachineId::Transient(machine)
        } else {
            MachineId::Lasting(machine)
        }
    }

    fn id_in(&self, path: &Path) -> Result<ClientId, Missing> {
        let path = self.path(path);
        let text = read_line(&path)?;
        text.parse()
            .map_err(|why| Missing::Refused(format!("{}: {why}", path.display())))
    }

    /// The answer of `systemd-id128 machine-id --app-specific=`, as UUID: HMAC-SHA256 of our id,
    /// keyed by the machine's, marked as version 4, variant 1 of RFC 9562. The machine id itself
    /// must not travel over networks.
    fn app_specific_machine_id(&self) -> Result<ClientId, Missing> {
        let path = self.path("/etc/machine-id");
        let refused = |why: &str| Missing::Refused(format!("{}: {why}", path.display()));
        let text = match read_line(&path) {
            Ok(text) => text,
            Err(Missing::Absent(_)) => return Err(refused("there is no machine id; run systemd-machine-id-setup")),
            Err(other) => return Err(other),
        };
        let machine = parse_id(&text).ok_or_else(|| {
            refused("the machine id is not set yet; it must be 32 hexadecimal digits, see systemd-machine-id-setup")
        })?;
        if is_transient(&path).map_err(|why| refused(&why.to_string()))? {
            return Err(refused(
                "the machine id is transient, so that the device would be another after each start; make /etc/machine-id persistent",
            ));
        }
        Ok(ClientId(uuid(&app_specific(&machine, &APPLICATION_ID))))
    }

    pub(super) fn firmware_version(&self, from: &VersionFrom) -> Result<Version, Missing> {
        match from {
            VersionFrom::File(path) => {
                let path = self.path(path);
                let text = read_line(&path)?;
                text.parse()
                    .map_err(|why| Missing::Refused(format!("{}: {why}", path.display())))
            }
            VersionFrom::OsRelease => self.os_release_version(),
        }
    }

    /// `VERSION_ID` of os-release(5), which names the second path as fallback.
    fn os_release_version(&self) -> Result<Version, Missing> {
        let paths = ["/etc/os-release", "/usr/lib/os-release"].map(|path| self.path(path));
        let Some((path, text)) = paths.iter().find_map(|path| Some((path, read(path).ok()?))) else {
            return Err(Missing::Absent(format!("{} does not exist", paths[0].display())));
        };
        let text = String::from_utf8_lossy(&text);
        let id = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("VERSION_ID="))
            .map(|value| value.trim_matches(['"', '\'']))
            .next_back()
            .ok_or_else(|| Missing::Absent(format!("{} has no VERSION_ID", path.display())))?;
        pad(id).ok_or_else(|| {
            Missing::Refused(format!(
                "{}: VERSION_ID {id:?} cannot be read as one, two or three numbers; write device.firmware-version instead",
                path.display()
            ))
        })
    }
}

/// Makes `SemVer` of the versions that distributions use: `12` and `22.04` become `12.0.0` and
/// `22.4.0`.
fn pad(id: &str) -> Option<Version> {
    let end = id.find(['-', '+']).unwrap_or(id.len());
    let (core, rest) = id.split_at(end);
    let mut numbers = core
        .split('.')
        .map(|number| number.parse::<u32>().ok())
        .collect::<Option<Vec<_>>>()?;
    if numbers.len() > 3 {
        return None;
    }
    numbers.resize(3, 0);
    format!("{}.{}.{}{rest}", numbers[0], numbers[1], numbers[2])
        .parse()
        .ok()
}

/// More than any id, version or os-release file needs.
const LIMIT: u64 = 16 * 1024;

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    fs::File::open(path)?.take(LIMIT).read_to_end(&mut content)?;
    Ok(content)
}

/// The one line of a file. The device tree ends its strings with NUL, everybody else with a line
/// feed.
fn read_line(path: &Path) -> Result<String, Missing> {
    let content = read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Missing::Absent(format!("{} does not exist", path.display())),
        _ => Missing::Refused(format!("{}: cannot be read ({error})", path.display())),
    })?;
    let text = String::from_utf8(content)
        .map_err(|_| Missing::Refused(format!("{}: this is not text; it must be one line", path.display())))?;
    Ok(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned())
}

fn parse_id(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let id = u128::from_str_radix(text, 16).ok()?;
    (id != 0).then(|| id.to_be_bytes())
}

fn app_specific(machine: &[u8; 16], application: &[u8; 16]) -> [u8; 16] {
    // RFC 2104 §2: a key shorter than the block is filled up with zeros.
    let mut key = [0; 64];
    key[..16].copy_from_slice(machine);
    let mut mac = Hmac::<Sha256>::new(&key.into());
    mac.update(application);
    let mut id = [0; 16];
    id.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

fn uuid(id: &[u8; 16]) -> String {
    let hex = format!("{:032x}", u128::from_be_bytes(*id));
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// Where it cannot write `/etc/machine-id`, systemd invents an id and mounts it over the file from
/// `/run`. A bind mount from a persistent file system (usual on read-only images) is as good as the
/// file itself.
fn is_transient(path: &Path) -> io::Result<bool> {
    const TMPFS: u64 = 0x0102_1994;
    let directory = path.parent().unwrap_or(path);
    let mounted = fs::metadata(path)?.dev() != fs::metadata(directory)?.dev();
    let kind = rustix::fs::statfs(path)?.f_type;
    Ok(mounted && u64::try_from(kind).is_ok_and(|kind| kind == TMPFS))
}

#[cfg(test)]
mod tests;
