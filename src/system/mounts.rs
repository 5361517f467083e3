//! The fate of a file, depending on where it is: kept, lost at the next boot, or not writable at
//! all.
//!
//! Read from the kernel's list of mounts (`proc_pid_mountinfo(5)`), because a file system's type
//! alone does not tell: an overlay is as persistent as its upper layer.

use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// It is there after the next boot, as far as can be seen.
    Lasting,
    /// It can be written, and is gone with the next boot.
    Volatile,
    ReadOnly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    read_only: bool,
    kind: String,
    source: String,
    /// The directory that holds an overlay's changes.
    upper: Option<PathBuf>,
}

/// Everything that is mounted, in the order in which it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounts(Vec<Mount>);

impl Mounts {
    /// The mounts of this process. Where the list cannot be read, all counts as lasting.
    pub(crate) fn of_process() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    pub(crate) fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(parse_line).collect())
    }

    /// The ground of a file that may not exist yet.
    pub(crate) fn ground(&self, path: &Path) -> Ground {
        // An upper layer on an overlay on an overlay …
        const DEPTH: u8 = 4;
        self.look(path, DEPTH)
    }

    /// True if a file that is there can be removed so that it stays away. In an overlay that
    /// forgets its changes, the file below is back with the next boot.
    pub(crate) fn removal_lasts(&self, path: &Path) -> bool {
        let is_overlay = self.over(path).is_some_and(|mount| mount.kind == "overlay");
        match self.ground(path) {
            Ground::Lasting => true,
            Ground::Volatile => !is_overlay,
            Ground::ReadOnly => false,
        }
    }

    /// The mount over a file, which may not exist yet. The later of two on one point hides the
    /// earlier.
    fn over(&self, path: &Path) -> Option<&Mount> {
        let existing = path.ancestors().find_map(|path| fs::canonicalize(path).ok());
        let existing = existing.as_deref().unwrap_or(path);
        let over = self.0.iter().filter(|mount| existing.starts_with(&mount.point));
        over.max_by_key(|mount| mount.point.components().count())
    }

    fn look(&self, path: &Path, depth: u8) -> Ground {
        let Some(mount) = self.over(path) else {
            return Ground::Lasting;
        };
        if mount.read_only {
            return Ground::ReadOnly;
        }
        let in_memory = ["/dev/zram", "/dev/ram"]
            .iter()
            .any(|device| mount.source.starts_with(device));
        match (mount.kind.as_str(), &mount.upper) {
            ("tmpfs" | "ramfs" | "devtmpfs" | "rootfs", _) => Ground::Volatile,
            _ if in_memory => Ground::Volatile,
            // A mount from before the root was switched may have gone out of sight. Then the
            // nearest visible mount decides. It may be this overlay itself, which tells nothing. A
            // device whose overlay lasts must not be refused.
            ("overlay", Some(upper)) if depth > 0 => self.look(upper, depth - 1),
            _ => Ground::Lasting,
        }
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &str) -> Option<Mount> {
    let (own, of_file_system) = line.split_once(" - ")?;
    let mut own = own.split(' ').skip(4);
    let (point, options) = (own.next()?, own.next()?);
    let mut of_file_system = of_file_system.split(' ');
    let (kind, source) = (of_file_system.next()?, of_file_system.next()?);
    let super_options = of_file_system.next().unwrap_or_default();
    let read_only = |options: &str| options.split(',').any(|option| option == "ro");
    let upper = super_options
        .split(',')
        .find_map(|option| option.strip_prefix("upperdir="));
    Some(Mount {
        point: PathBuf::from(unescape(point)),
        read_only: read_only(options) || read_only(super_options),
        kind: kind.to_owned(),
        source: unescape(source),
        upper: upper.map(|path| PathBuf::from(unescape(path))),
    })
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..3).and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                out.push(byte);
                rest = &behind[3..];
            }
            _ => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;

    fn ground(mounts: &str, path: &Path) -> Ground {
        Mounts::parse(mounts).ground(path)
    }

    #[test]
    fn the_deepest_mount_decides_and_of_two_on_one_point_the_later() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["etc", "var", "upper"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        let at = |lines: &str, path: &str| {
            let lines = format!(
                "1 0 8:1 / / rw - ext4 /dev/root rw\n{}",
                lines.replace('@', root.to_str().unwrap())
            );
            ground(&lines, &root.join(path))
        };
        assert_eq!(at("", "etc/x/y"), Ground::Lasting);
        assert_eq!(
            at("2 1 8:2 / @ ro - ext4 /dev/data rw", "etc/x"),
            Ground::ReadOnly,
            "mounted so"
        );
        assert_eq!(
            at("2 1 8:2 / @ rw - ext4 /dev/data ro", "etc/x"),
            Ground::ReadOnly,
            "is so"
        );
        for volatile in ["tmpfs tmpfs rw", "ramfs none rw", "ext4 /dev/zram0 rw"] {
            let lines = format!("2 1 0:9 / @/etc rw - {volatile}");
            assert_eq!(at(&lines, "etc/x"), Ground::Volatile, "{volatile}");
            assert_eq!(at(&lines, "var/x"), Ground::Lasting, "{volatile}");
        }
        let twice = "2 1 8:2 / @/etc rw - ext4 /dev/data rw\n3 1 0:9 / @/etc rw - tmpfs tmpfs rw";
        assert_eq!(at(twice, "etc/x"), Ground::Volatile, "the later hides the earlier");
    }

    #[test]
    fn an_overlay_lasts_as_long_as_its_upper_layer() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in ["etc", "memory/upper", "disk/up per"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let at = |upper: &str| {
            let root = root.to_str().unwrap();
            let lines = format!(
                "1 0 8:1 / / rw - ext4 /dev/root rw\n\
                 2 1 0:9 / {root}/memory rw - tmpfs tmpfs rw\n\
                 3 1 0:10 / {root}/etc rw,relatime - overlay overlay rw,lowerdir=/a{upper}\n"
            );
            ground(&lines, &folder.path().join("etc/credstore.encrypted"))
        };
        let with = |path: &str| format!(",upperdir={}/{path},workdir=/w", root.display());
        assert_eq!(at(&with("memory/upper")), Ground::Volatile);
        assert_eq!(
            at(&with("memory/gone/with/the/initrd")),
            Ground::Volatile,
            "what is nearest tells"
        );
        assert_eq!(at(&with("disk/up\\040per")), Ground::Lasting);
        assert_eq!(at(&with("etc/of/itself")), Ground::Lasting, "and it ends");
    }
}
