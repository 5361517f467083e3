//! The faults of the store, in words for whoever has to fix them. No variant can carry a byte of a
//! secret (I8).

use std::io;
use std::path::PathBuf;

/// The store cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the state directory.
    #[error("the state directory {} is in use by another c2c-authd: stop that one first", .path.display())]
    Locked { path: PathBuf },
    /// The directory belongs to another user.
    #[error("{} belongs to uid {owner}, but this is uid {us}: run as that user, or run: chown -R {us} {}", .path.display(), .path.display())]
    NotOurs { path: PathBuf, owner: u32, us: u32 },
    /// Others than the owner could put files of their own in place of ours.
    #[error("{} has mode {mode:04o}, so others may write there; run: chmod go-w {}", .path.display(), .path.display())]
    Mode { path: PathBuf, mode: u32 },
    /// There is no such directory. It is never created here: a mount that failed would be mistaken
    /// for a new device.
    #[error("{} does not exist or is not a directory: create it, or let systemd do so (StateDirectory=, RuntimeDirectory=)", .path.display())]
    Missing { path: PathBuf },
    /// The system refused for another reason.
    #[error("cannot read {} ({source}): check its owner and the disk", .path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        source: io::Error,
    },
}

/// A write failed: nothing of it can be relied on, and nothing of what was there before is lost.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no state key to seal with.
    #[error("no state key is provisioned, so nothing can be sealed; run: c2c-authctl provision")]
    NoKey,
    /// The file would be larger than a start reads back.
    #[error("refusing to store more than {limit} bytes")]
    TooLarge { limit: usize },
    /// The kernel gave no random bytes for a nonce.
    #[error("the kernel gives no random bytes")]
    Entropy,
    /// Another directory took the place of ours, and cannot be used.
    #[error(transparent)]
    Replaced(#[from] OpenError),
    /// Another directory took the place of ours, and its record is newer than all that this process
    /// has written.
    #[error("{} is another directory now, with a newer record: restart c2c-authd to use that one", .path.display())]
    Newer { path: PathBuf },
    /// The directory cannot be written.
    #[error("cannot write in {} ({source}): check its free space and mount", .path.display())]
    Io { path: PathBuf, source: io::Error },
}
