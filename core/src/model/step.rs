//! The steps that are possible in the model. A trace is a list of these, so that it can be
//! replayed, printed and shortened.

use crate::Client;

use super::disk::Restart;

/// The state of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Clock {
    /// It says the true time.
    Right,
    /// It cannot be trusted, and the driver knows that.
    Untrusted,
    /// It stood still while the power was off. Trusted until a `Date`, or the record's floor,
    /// contradicts it.
    Behind,
    /// It is a day ahead, and nothing tells but a `Date`.
    Ahead,
}

/// One move of the world.
///
/// A step names what it concerns by kind, never by number: a trace stays meaningful when the
/// shrinker takes steps out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    /// A client calls.
    Ask(Ask),
    /// The oldest request of this kind ends.
    Answer(RequestKind, Outcome),
    /// The server looks at the oldest request of this kind, and carries it out; its answer is still
    /// on the way.
    Look(RequestKind),
    /// The second request of this kind is answered before the first.
    Overtake(RequestKind),
    /// A refresh whose sender gave up reaches the server after all.
    LateArrival,
    /// The store at the head of the queue ends.
    Disk(DiskFate),
    /// The daemon dies, and starts again from what the disk holds.
    Crash {
        /// How many queued stores reached the disk without being acknowledged.
        stored: u8,
        /// The first half of the next store, which goes to both generations, did.
        torn: bool,
        /// The fate of the requests on their way.
        server: InFlightFate,
        /// How it comes back.
        restart: Restart,
    },
    /// Time goes on to the next moment at which something is due.
    Advance,
    /// The machine slept through whatever was due: time goes on by this many seconds.
    Sleep(u32),
    /// The user agrees to the newest code.
    Approve,
    /// The user declines it.
    Deny,
    /// The device is removed from its project.
    Forget,
    /// A route appears.
    NetworkUp,
    /// The wall clock is set, to this.
    ClockStepped(Clock),
    /// A reload brings the other refresh mode.
    Reload,
    /// A reload opens the advisory window after this share of the token's life, in percent.
    Window(u8),
    /// The daemon is told to end.
    Shutdown,
}

/// The content of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RedirectKind {
    /// The user's decision on the newest request. Comes once, after they said it.
    Back,
    /// The same once more: somebody reloads the page.
    Again,
    /// A code under a `state` that nobody drew.
    Forged,
    /// The server's failure, for the newest request.
    Failed,
    /// The server refuses our client id, for the newest request.
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ask {
    /// `StartPairing`.
    Start {
        /// Option `renew`.
        renew: bool,
        /// Option `replace`.
        replace: bool,
    },
    /// `GetPairingCode`.
    Code,
    /// `CancelPairing`.
    Cancel,
    /// `Unpair`.
    Unpair,
    /// `GetAccessToken(0)`.
    Token,
    /// `GetAccessToken` for longer than any token lives.
    LongToken,
    /// `CompletePairing`, or a browser at the listener.
    Redirect(RedirectKind),
    /// `RejectAccessToken` of the newest generation.
    RejectCurrent,
    /// `RejectAccessToken` of the one before.
    RejectOlder,
    /// `RejectAccessToken` of one that never was.
    RejectUnknown,
    /// `GetAccessToken` for an hour, by another program of another user.
    OtherToken,
    /// `RejectAccessToken` of the newest generation, by the same.
    OtherRejects,
}

impl Ask {
    /// The program that calls.
    pub(super) const fn client(self) -> Client {
        let (uid, connection) = match self {
            Self::OtherToken | Self::OtherRejects => (1001, 2),
            Self::Start { .. }
            | Self::Code
            | Self::Cancel
            | Self::Unpair
            | Self::Token
            | Self::LongToken
            | Self::Redirect(_)
            | Self::RejectCurrent
            | Self::RejectOlder
            | Self::RejectUnknown => (1000, 1),
        };
        Client { uid, connection }
    }

    /// True if the newest generation is rejected.
    pub(super) const fn rejects_current(self) -> bool {
        matches!(self, Self::RejectCurrent | Self::OtherRejects)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RequestKind {
    Code,
    Poll,
    Authorize,
    Exchange,
    Prepare,
    Refresh,
    Revoke,
    Probe,
    Heartbeat,
}

impl RequestKind {
    pub(super) const ALL: [Self; 9] = [
        Self::Code,
        Self::Poll,
        Self::Authorize,
        Self::Exchange,
        Self::Prepare,
        Self::Refresh,
        Self::Revoke,
        Self::Probe,
        Self::Heartbeat,
    ];

    /// True if the request is one that must run to its own limit once it may have been sent.
    pub(super) const fn spends(self) -> bool {
        match self {
            Self::Poll | Self::Exchange | Self::Refresh => true,
            Self::Code | Self::Authorize | Self::Prepare | Self::Revoke | Self::Probe | Self::Heartbeat => false,
        }
    }

    /// Outcomes that can come instead of the honest one.
    pub(super) const fn faults(self) -> &'static [Outcome] {
        match self {
            Self::Code => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Local,
                Outcome::Garbled,
                Outcome::RateLimited,
                Outcome::ClientRejected,
                Outcome::BadCode,
            ],
            Self::Poll => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Local,
                Outcome::Garbled,
                Outcome::Lost,
                Outcome::LostAfter,
                Outcome::SlowDown,
                Outcome::RateLimited,
                Outcome::ClientRejected,
            ],
            Self::Authorize => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Local,
                Outcome::Garbled,
                Outcome::RateLimited,
            ],
            Self::Exchange => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Local,
                Outcome::Lost,
                Outcome::LostAfter,
                Outcome::Garbled,
                Outcome::GarbledAfter,
                Outcome::RateLimited,
                Outcome::Refused,
                Outcome::ClientRejected,
            ],
            Self::Prepare => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Local,
                Outcome::Lost,
                Outcome::RateLimited,
                Outcome::Undated,
                Outcome::Misdated,
            ],
            Self::Heartbeat => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Lost,
                Outcome::RateLimited,
            ],
            Self::Refresh => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Lost,
                Outcome::LostAfter,
                Outcome::LostLate,
                Outcome::GarbledAfter,
                Outcome::RateLimited,
                Outcome::Throttled,
                Outcome::Refused,
                Outcome::ClientRejected,
                Outcome::Misdated,
            ],
            Self::Revoke => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Local,
                Outcome::LostAfter,
                Outcome::RateLimited,
                Outcome::Refused,
            ],
            Self::Probe => &[
                Outcome::Offline,
                Outcome::Untrusted,
                Outcome::ClockNotSet,
                Outcome::Garbled,
                Outcome::RateLimited,
                Outcome::Undated,
                Outcome::Misdated,
            ],
        }
    }
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Outcome {
    /// As it truly is; what a resource says of a token, as it was when the request was sent.
    Honest,
    /// As it truly is by now, where that differs: the request was slow, and the token died
    /// meanwhile.
    HonestByNow,
    /// As it truly is, without a usable `Date`.
    Undated,
    /// As it truly is, with a `Date` that is wrong.
    Misdated,
    /// Nothing was sent.
    Offline,
    /// Nothing was sent: the certificate is not to be trusted.
    Untrusted,
    /// Nothing was sent: the certificate's dates do not fit a clock that is known to be wrong.
    ClockNotSet,
    /// Nothing was sent: something on this device is in the way, or its configuration does not fit
    /// the server.
    Local,
    /// Sent, never carried out, no answer.
    Lost,
    /// Carried out, no answer.
    LostAfter,
    /// No answer, and carried out some time later, if at all.
    LostLate,
    /// Never carried out; the answer is none of this protocol.
    Garbled,
    /// Carried out; the answer is none of this protocol.
    GarbledAfter,
    /// 429 with a `Retry-After`.
    RateLimited,
    /// 429 without one.
    Throttled,
    /// An answer that is no verdict.
    Refused,
    /// `invalid_client`.
    ClientRejected,
    /// RFC 8628 §3.5 `slow_down`.
    SlowDown,
    /// A code of the wrong shape.
    BadCode,
}

impl Outcome {
    /// True if the server did what the request asked for.
    pub(super) const fn carries_out(self) -> bool {
        match self {
            Self::Honest
            | Self::HonestByNow
            | Self::Undated
            | Self::Misdated
            | Self::LostAfter
            | Self::GarbledAfter => true,
            Self::Offline
            | Self::Untrusted
            | Self::ClockNotSet
            | Self::Local
            | Self::Lost
            | Self::LostLate
            | Self::Garbled
            | Self::RateLimited
            | Self::Throttled
            | Self::Refused
            | Self::ClientRejected
            | Self::SlowDown
            | Self::BadCode => false,
        }
    }
}

/// How a store ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum DiskFate {
    /// Done.
    Done,
    /// It failed, and nothing of it is there.
    Failed,
    /// It was reported as failed, and is there.
    FailedThere,
}

/// The fate of requests whose sender died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum InFlightFate {
    /// They never arrived.
    Dropped,
    /// They are carried out.
    CarriedOut,
    /// A refresh is carried out some time later, if at all.
    Late,
}
