//! Everything the core can ask of the world, and what it answers to callers.

use std::time::Duration;

use super::error_code::ErrorCode;
use super::event::{FaultKind, LocalFault, OAuthErrorCode, TokenKind, Unusable};
use super::op::{CallId, OpId};
use super::record::{FlowRecord, PendingRevocation, Record, Revocable};
use super::snapshot::{Reason, Snapshot};
use super::token::{
    AccessToken, AuthorizationCode, CodeVerifier, DeviceCode, Generation, RefreshToken, StateParameter, UserCode,
};

/// One output. The driver carries them out in order (D1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a request; its end comes back as `Event::Answered`.
    Request(OpId, Request),
    /// Drop a request: no answer is wanted, and a prepared connection may be closed.
    Cancel(OpId),
    /// Write; its end comes back as `Event::Stored`, in order (D2).
    Store(OpId, Store),
    /// Hold off shutdown and sleep, best effort, until [`Effect::Release`].
    Inhibit,
    /// Let go of shutdown and sleep.
    Release,
    /// Show this to the world: properties, then signals (D4).
    Publish(Box<Snapshot>),
    /// Answer a call.
    Reply(CallId, Result<Reply, CallError>),
    /// Something for the journal.
    Log(LogEvent),
    /// After `Event::Shutdown`: nothing is left that must be finished.
    Drained,
}

/// A request to the server. The driver adds client id, secret and version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// RFC 8628 §3.1.
    DeviceCode,
    /// RFC 8628 §3.4, with the proof for this code. Never cancelled once sent.
    Poll(DeviceCode, Option<CodeVerifier>),
    /// Draw `state` and verifier, bind the loopback listener where there is one, and compose the
    /// authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 8252 §7.3).
    Authorize,
    /// RFC 6749 §4.1.3 with RFC 7636 §4.5. Never cancelled once sent.
    Exchange {
        /// The code to spend.
        code: AuthorizationCode,
        /// The proof that it was meant for us.
        verifier: CodeVerifier,
        /// As in the authorization request.
        redirect_uri: String,
        /// The value from the authorization request, for servers that want to see it again.
        state: StateParameter,
    },
    /// Bring up a connection to the token endpoint and prove it alive by a cheap request that
    /// carries no credential.
    Prepare,
    /// RFC 6749 §6, on the connection of that `Prepare`. Never cancelled once sent.
    Refresh {
        /// The `Prepare` whose connection to use.
        on: OpId,
        /// The token to spend.
        token: RefreshToken,
        /// The answer is waited for no longer than this, so that another send fits into the time in
        /// which the server takes the token again. `None`: as long as any answer may take.
        patience: Option<Duration>,
    },
    /// RFC 7009 §2.1.
    Revoke(Revocable),
    /// Ask a resource who we are: `GET /v2/devices/me`.
    Probe(AccessToken),
    /// Report presence.
    Heartbeat(AccessToken),
}

/// A write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Store {
    /// The record.
    Record {
        /// The record to write.
        record: Box<Record>,
        /// Into which generations.
        slots: Slots,
    },
    /// The list of pending revocations, whole.
    Revocations(Vec<PendingRevocation>),
    /// The flow in the runtime directory; `None` removes it, durably.
    Flow(Option<Box<FlowRecord>>),
    /// As much as a record, taken back at once: it tells whether the state directory takes one.
    Trial,
}

/// How many generations on disk a write reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slots {
    /// The older one gives way.
    One,
    /// Both: what was there before must never come back.
    Both,
}

/// A good answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To `CancelPairing`, `CompletePairing`, `Unpair`, `RejectAccessToken`.
    Done,
    /// To `StartPairing`.
    Started {
        /// The code on show.
        code: CodeView,
        /// True if the running flow renews its codes.
        renew: bool,
        /// True if the running flow replaces a pairing.
        replace: bool,
        /// How long the running flow still lasts.
        give_up_in: Duration,
    },
    /// To `GetPairingCode`.
    Code(CodeView),
    /// To `GetAccessToken`.
    Token {
        /// The bearer token.
        access: AccessToken,
        /// Life left.
        expires_in: Duration,
        /// Its generation.
        generation: Generation,
    },
}

/// The view that the `ui` role has of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeView {
    /// Tells this code from the one before it.
    pub id: u64,
    /// The step that the user is asked to take.
    pub prompt: Prompt,
    /// The name the user sees when confirming; empty where the server gives none.
    pub device_name: String,
    /// Life left.
    pub expires_in: Duration,
}

/// The step that the user is asked to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Type a code (RFC 8628 §3.3).
    Code {
        /// For typing.
        user_code: UserCode,
        /// Where to type it.
        verification_uri: String,
        /// With the code inside, for a QR code or link.
        verification_uri_complete: Option<UserCode>,
    },
    /// Open an address in a browser (RFC 6749 §4.1.1).
    Browser {
        /// The address.
        authorization_uri: UserCode,
    },
}

/// Why a call failed. Each has a D-Bus error name; the words for people are the bus's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallError {
    /// Something needed is absent: `PairingReason` says what.
    NotProvisioned,
    /// There is no pairing.
    NotPaired,
    /// There is one already and `replace` was not asked for.
    AlreadyPaired,
    /// There is no flow, or it ended.
    NoPairing,
    /// The server cannot be reached.
    Offline,
    /// The clock is not set.
    ClockNotSet,
    /// Another certificate than the server's came.
    Untrusted,
    /// The server refuses this client, its secret or what it asks for.
    ClientRejected,
    /// The server answers, but not as its protocol says.
    ServerError,
    /// The server refused the access token before its end, soon after it had refused another.
    TokenRefused {
        /// Until the next refresh is due.
        wait: Duration,
    },
    /// Something on this device, or a configuration that does not fit its server.
    Local(LocalFault),
    /// The state directory cannot be written.
    StorageFailed,
    /// The flow has ended, and the runtime directory may still hold its file.
    FlowNotRemoved,
    /// The call's time is over; the work goes on.
    Timeout,
    /// There is no redirect to be completed by this kind of provider.
    NotByRedirect,
    /// A redirect that does not answer the request on show, or comes again.
    WrongState,
    /// A generation that never was.
    UnknownGeneration,
    /// A generation this caller never got.
    NotYours,
    /// Too many code requests.
    TooOften {
        /// Until the next is admitted.
        wait: Duration,
    },
}

/// Something worth a line in the journal. Typed, so that no secret can slip in (I8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A code is on show.
    CodeShown {
        /// Life of the code.
        expires_in: Duration,
    },
    /// A code request failed and will be retried.
    CodeRequestFailed {
        /// Why.
        fault: FaultKind,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// A user code not of the promised shape was discarded.
    BadUserCode,
    /// A redirect came that does not answer the request on show, or came again; the flow goes on.
    StrayRedirect,
    /// An authorization code was sent and brought no verdict.
    ExchangeFailed {
        /// Why.
        fault: FaultKind,
        /// When the same code is sent again; `None` where it must not be (RFC 6749 §4.1.2) and the
        /// user is asked again.
        retry_in: Option<Duration>,
    },
    /// The server gave no tokens for a code that came back; the user is asked again.
    CodeRefused {
        /// In which words.
        error: OAuthErrorCode,
        /// The server's own word, where it can be named.
        word: Option<ErrorCode>,
    },
    /// The server ended a code on show by an error that is neither a denial nor the end of its
    /// time.
    CodeEnded {
        /// The error, where it can be named.
        word: Option<ErrorCode>,
    },
    /// The server asked for slower polls.
    SlowedDown {
        /// The new interval.
        interval: Duration,
    },
    /// A flow ended without a pairing.
    FlowEnded {
        /// Why.
        reason: Reason,
        /// By which error the server ended the last of the codes that it refused one after the
        /// other, if that is why.
        word: Option<ErrorCode>,
    },
    /// A new pairing is durable.
    Paired {
        /// Its first token.
        generation: Generation,
        /// It took another's place.
        replaced: bool,
        /// True if it can be refreshed.
        refreshable: bool,
    },
    /// A refresh brought a new token.
    Refreshed {
        /// The new token.
        generation: Generation,
        /// Its life.
        expires_in: Duration,
    },
    /// A token of the server's cannot be used; the one beside it is kept.
    TokenUnusable {
        /// Which.
        token: TokenKind,
        /// Why.
        why: Unusable,
        /// When the pair is renewed, or ends.
        retry_in: Duration,
    },
    /// A refresh failed and will be retried.
    RefreshFailed {
        /// Why.
        fault: FaultKind,
        /// When it is tried again.
        retry_in: Duration,
        /// True if the server may have carried it out.
        ambiguous: bool,
        /// How many times this refresh token was sent.
        sends: u32,
    },
    /// The server refuses this client, or what it asks for; tokens are kept.
    ClientRejected {
        /// In which words.
        error: OAuthErrorCode,
        /// True if there is a pairing, which goes on.
        paired: bool,
    },
    /// The server's final answer ended the pairing.
    PairingLost {
        /// Why.
        reason: Reason,
    },
    /// Unpaired by a user.
    Unpaired,
    /// A revocation reached the server.
    Revoked,
    /// A revocation was given up.
    RevocationDropped,
    /// A caller rejected a token that the server took when it was asked after that.
    ReportContradicted {
        /// The caller.
        caller: u32,
        /// The token that it named.
        generation: Generation,
    },
    /// A caller rejected a token, and there is no resource to ask whether it is right.
    ReportUnverified {
        /// The caller.
        caller: u32,
        /// The token.
        generation: Generation,
    },
    /// The server refused an access token that had not ended.
    TokenRejected {
        /// The token.
        generation: Generation,
    },
    /// A write failed.
    StoreFailed,
    /// Writing works again.
    StoreRecovered,
    /// The refresh token grows old without a refresh.
    RefreshTokenAging {
        /// Its age.
        age: Duration,
    },
    /// The end that the user chose when pairing is near.
    AuthorizationEnding {
        /// How much time is left.
        remaining: Duration,
    },
    /// The record could not be used.
    RecordUnusable {
        /// Why.
        reason: Reason,
    },
    /// One generation of the record is damaged and the other is in use: it may be the one before.
    RecordFellBack,
    /// The record was found in the runtime directory alone, and is written to the state directory.
    RecordSpilled {
        /// A record in the state directory cannot be used, and may have been the newer one.
        doubted: bool,
    },
    /// A flow of before the restart goes on.
    FlowResumed,
}
