//! One way to wait for a kernel descriptor that tokio has no type for.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a non-blocking descriptor with the runtime, for reading. Must be called inside a
/// runtime with IO.
#[expect(
    deprecated,
    reason = "tokio's successor is an unsafe function, because an `AsRawFd` may name a descriptor that it does not own; an \
              `OwnedFd` owns it for as long as it is registered, which is all that the unsafe function asks for"
)]
pub(super) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
