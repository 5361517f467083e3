//! The entries of the journal: for each kind a stable `MESSAGE_ID`, a word, a priority and a
//! sentence for people.
//!
//! The ids are API (a message catalog and an operator's alerts refer to them): never changed, never
//! used for another kind. Entries are made from typed events only, so that no secret can slip in
//! (I8). Priority *error* means that this device will not work until somebody acts. *Warning* means
//! that it may come to that or that something should be checked. Being offline is normal for a
//! camera and no more than *info*.

mod priority;
mod refusals;

use std::time::Duration;

use super::{self as messages, Words};
use c2c_auth_core::{FaultKind, Generation, LogEvent, PairingState, Reason};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $id:literal $word:literal,)+) => {
        $($(#[$doc])* pub(crate) const $name: Kind = Kind { id: $id, word: $word };)+

        impl Kind {
            /// Every kind there is.
            pub const ALL: &'static [Self] = &[$($name,)+];
        }
    };
}

/// A kind of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The value of the field `MESSAGE_ID=`.
    pub id: &'static str,
    /// The value of the field `C2C_EVENT=`.
    pub word: &'static str,
}

kinds! {
    STARTED = "6f44f24713ac4b8dbb909f1500fd67a5" "started",
    /// The daemon was asked to end, or has to.
    STOPPING = "fd4e0ed559c54ce0bd676b1cfd688b5f" "stopping",
    /// The daemon cannot start or cannot go on.
    FAILED = "fa956be7b9ce4982a7824205d239a3d2" "failed",
    /// Another configuration is in force.
    RELOADED = "fd9fe59e9412442da05f3791a2f0a06d" "reloaded",
    /// A new configuration was refused as a whole.
    RELOAD_REFUSED = "ce6f59bb12734c849a5d3075db838f36" "reload-refused",
    /// The connection to the bus was lost.
    BUS_LOST = "6bd3d9f256a343138280d3c0140105d4" "bus-lost",
    /// Work was cut at the end of the drain.
    DRAIN_CUT = "38da6c97e8a54163bc02a7b8b7a2f2b0" "drain-cut",
    /// The state key is no better protected than what it seals, or another setting deserves a word.
    ADVICE = "65a318f98d2f4800a599368f967b60db" "advice",
    CODE_SHOWN = "4d1f47471ec041c7b86729be95e1d403" "code-shown",
    CODE_REQUEST_FAILED = "e42504d9af9641ce90401849577743eb" "code-request-failed",
    BAD_USER_CODE = "42745e74975f44c7bbf5682c271e9236" "bad-user-code",
    STRAY_REDIRECT = "b074fe6172fb416dbbf3b6fd86cba6bd" "stray-redirect",
    EXCHANGE_FAILED = "effdc201c96a4e13845c97cca057e449" "exchange-failed",
    CODE_REFUSED = "d80fc74460114f40b6c1058d02ee2449" "code-refused",
    CODE_ENDED = "564e4d8a2678406da6bbfffbc0ecb664" "code-ended",
    SLOWED_DOWN = "00b516b27d4642cd848bd53b99ea9912" "slowed-down",
    FLOW_ENDED = "10669c3143874d75891f85114a57dd7e" "flow-ended",
    PAIRED = "0689bdc1edb0430894efb0b91c475fa3" "paired",
    REFRESHED = "8fd028cc304d4fa797f3486eeb1b107d" "refreshed",
    TOKEN_UNUSABLE = "d60c9a5bd7741e39fc1667cf0d5e5d21" "token-unusable",
    REFRESH_FAILED = "031e62e3372548ba898744fdca689d29" "refresh-failed",
    CLIENT_REJECTED = "bb116d00d5c44b0bafdbcfbb40ea76e3" "client-rejected",
    PAIRING_LOST = "63c27caa7ef04eaca829cc6bf729ba88" "pairing-lost",
    UNPAIRED = "ceba7a8135da4d9ca8611fac49f7397a" "unpaired",
    REVOKED = "1bb81e38e61a4d769b46baf8d31b722a" "revoked",
    REVOCATION_DROPPED = "f312f35217f94690924505f2f7ce2fe4" "revocation-dropped",
    REJECTION_UNFOUNDED = "8213ba8af5c44b8db7efb0fadfd63790" "rejection-unfounded",
    REJECTION_UNCHECKED = "f2a2750376e44da696a495839575e8eb" "rejection-unchecked",
    TOKEN_REFUSED = "7e5f954decf34a68bdb564fc98eb81ab" "token-refused",
    STORE_FAILED = "30c343aad329477fbe5406113776a971" "store-failed",
    STORE_RECOVERED = "99d60da817474ca28c1366a3492cc63c" "store-recovered",
    REFRESH_TOKEN_AGING = "6a68fd12640f43839790a12a931cfadd" "refresh-token-aging",
    AUTHORIZATION_ENDING = "81b4543fa68b405f9d423460f5e3bfd4" "authorization-ending",
    RECORD_UNUSABLE = "c87a996d71e6457b819825be854a15e5" "record-unusable",
    RECORD_FELL_BACK = "1cefb6034fb24fc69f5873a54d1cbba7" "record-fell-back",
    RECORD_SPILLED = "72c9ee8b68134797b567cf0e4c17799c" "record-spilled",
    FLOW_RESUMED = "7a2154d6db6d497eb0f8259585d1a98a" "flow-resumed",
    /// Written by the bus, which knows the caller. See `bus/token_audit.rs`.
    TOKEN_HANDED_OUT = "ac21ab928ae249ee923003f523d89912" "token-handed-out",
}

/// How urgent an entry is. See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    Error,
    Warning,
    Info,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub priority: Priority,
    pub kind: Kind,
    // `MESSAGE=`.
    pub sentence: String,
    /// `C2C_STATE=`: the pairing state at this moment.
    pub state: Option<PairingState>,
    // `C2C_REASON=`.
    pub reason: Option<Reason>,
    // `C2C_GENERATION=`.
    pub generation: Option<Generation>,
    // `C2C_CALLER_UID=`.
    pub caller: Option<u32>,
}

impl Entry {
    /// An entry with no more than a sentence.
    pub(crate) fn new(priority: Priority, kind: Kind, sentence: impl Into<String>) -> Self {
        Self {
            priority,
            kind,
            sentence: sentence.into(),
            state: None,
            reason: None,
            generation: None,
            caller: None,
        }
    }

    pub(crate) fn in_state(mut self, state: PairingState) -> Self {
        self.state = Some(state);
        self
    }

    fn reason(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    fn generation(mut self, generation: Generation) -> Self {
        self.generation = Some(generation);
        self
    }

    /// The entry for an event. `why`: the fault of the answer that it is about.
    #[expect(
        clippy::too_many_lines,
        reason = "one arm for each event: a table, and tables are read whole"
    )]
    pub(crate) fn because(event: &LogEvent, why: Option<&str>) -> Self {
        match *event {
            LogEvent::CodeShown { expires_in } => Self::new(
                Priority::Info,
                CODE_SHOWN,
                format!("A pairing code is shown for {}.", span(expires_in)),
            ),
            LogEvent::CodeRequestFailed { fault, retry_in } => Self::new(
                Priority::of_fault(fault),
                CODE_REQUEST_FAILED,
                format!(
                    "No pairing code: {}. Trying again in {}.",
                    explain_fault(fault, why),
                    span(retry_in)
                ),
            ),
            LogEvent::BadUserCode => Self::new(
                Priority::Warning,
                BAD_USER_CODE,
                "The server sent a malformed pairing code; it is not shown, and another one is requested.",
            ),
            LogEvent::StrayRedirect => Self::new(
                Priority::Warning,
                STRAY_REDIRECT,
                "A redirect arrived that does not answer the current authorization request, or arrived again; pairing continues.",
            ),
            LogEvent::ExchangeFailed { fault, retry_in } => exchange_failed(fault, why, retry_in),
            LogEvent::CodeRefused { error, ref word } => refusals::code_refused(error, word.as_ref()),
            LogEvent::CodeEnded { ref word } => refusals::code_ended(word.as_ref()),
            LogEvent::SlowedDown { interval } => Self::new(
                Priority::Info,
                SLOWED_DOWN,
                format!(
                    "The server asks for fewer polls: one every {} from now on.",
                    span(interval)
                ),
            ),
            LogEvent::FlowEnded { reason, ref word } => refusals::flow_ended(reason, word.as_ref()),
            LogEvent::Paired {
                generation,
                replaced,
                refreshable,
            } => paired(generation, replaced, refreshable),
            LogEvent::Refreshed { generation, expires_in } => Self::new(
                Priority::Info,
                REFRESHED,
                format!(
                    "Refreshed: access token {} is valid for {}.",
                    generation.0,
                    span(expires_in)
                ),
            )
            .generation(generation),
            LogEvent::TokenUnusable { token, why, retry_in } => {
                refusals::token_unusable(token, why, span(retry_in).as_str())
            }
            LogEvent::RefreshFailed {
                fault,
                retry_in,
                ambiguous,
                sends,
            } => {
                let clause = explain_fault(fault, why);
                refresh_failed(fault, &clause, retry_in, ambiguous, sends)
            }
            LogEvent::ClientRejected { error, paired } => refusals::client_rejected(error, paired),
            LogEvent::PairingLost { reason } => Self::new(Priority::Error, PAIRING_LOST, {
                let Words { what, cure } = messages::reason(reason);
                format!("The pairing is lost: {what}. {cure}.")
            })
            .reason(reason),
            LogEvent::Unpaired => Self::new(Priority::Info, UNPAIRED, "Unpaired on request."),
            LogEvent::Revoked => Self::new(
                Priority::Info,
                REVOKED,
                "The server revoked the tokens of a former pairing.",
            ),
            LogEvent::RevocationDropped => Self::new(
                Priority::Warning,
                REVOCATION_DROPPED,
                "The tokens of a former pairing could not be revoked at the server and are left to expire. If that matters, \
                 remove the device at the server.",
            ),
            LogEvent::ReportContradicted { caller, generation } => Self {
                caller: Some(caller),
                ..Self::new(
                    Priority::Warning,
                    REJECTION_UNFOUNDED,
                    format!(
                        "Uid {caller} rejected access token {}. The server was asked after that and took it; nothing was refreshed.",
                        generation.0
                    ),
                )
                .generation(generation)
            },
            LogEvent::ReportUnverified { caller, generation } => Self {
                caller: Some(caller),
                ..Self::new(
                    Priority::Warning,
                    REJECTION_UNCHECKED,
                    format!(
                        "Uid {caller} rejected access token {}, which cannot be checked here; it is used until a refresh replaces it.",
                        generation.0
                    ),
                )
                .generation(generation)
            },
            LogEvent::TokenRejected { generation } => Self::new(
                Priority::Warning,
                TOKEN_REFUSED,
                format!("The server refused access token {} before it expired.", generation.0),
            )
            .generation(generation),
            LogEvent::StoreFailed => Self::new(
                Priority::Error,
                STORE_FAILED,
                format!(
                    "A file in the state or runtime directory cannot be written; tokens are kept in memory and writing \
                     is retried. {}.",
                    messages::reason(Reason::StorageFailed).cure
                ),
            ),
            LogEvent::StoreRecovered => Self::new(
                Priority::Info,
                STORE_RECOVERED,
                "All that the files are to hold is in them again.",
            ),
            LogEvent::RefreshTokenAging { age } => Self::new(
                Priority::Warning,
                REFRESH_TOKEN_AGING,
                format!(
                    "No refresh has succeeded for {}. Bring the device online, or its pairing will expire.",
                    span(age)
                ),
            ),
            LogEvent::AuthorizationEnding { remaining } => Self::new(
                Priority::Warning,
                AUTHORIZATION_ENDING,
                format!(
                    "The time that the user chose for this pairing ends in {}. {}.",
                    span(remaining),
                    messages::BEFORE_THE_END
                ),
            ),
            LogEvent::RecordUnusable { reason } => Self::new(Priority::Error, RECORD_UNUSABLE, {
                let Words { what, cure } = messages::reason(reason);
                format!("The stored pairing is kept, but cannot be used: {what}. {cure}.")
            })
            .reason(reason),
            LogEvent::RecordFellBack => Self::new(
                Priority::Warning,
                RECORD_FELL_BACK,
                "A record of the pairing is damaged; the other one is in use and may be out of date.",
            ),
            LogEvent::RecordSpilled { doubted } => Self::new(Priority::Warning, RECORD_SPILLED, {
                let doubt = if doubted {
                    " A record in the state directory is damaged, so it may be out of date."
                } else {
                    ""
                };
                format!(
                    "The record of the pairing was found in the runtime directory only; it is written to the state directory \
                     now.{doubt}"
                )
            }),
            LogEvent::FlowResumed => Self::new(
                Priority::Info,
                FLOW_RESUMED,
                "Pairing continues after the restart; the code is still valid.",
            ),
        }
    }
}

fn paired(generation: Generation, replaced: bool, refreshable: bool) -> Entry {
    let how = if replaced { "Paired anew" } else { "Paired" };
    if refreshable {
        Entry::new(Priority::Info, PAIRED, format!("{how}."))
    } else {
        let Words { what, cure } = messages::reason(Reason::NoRefreshToken);
        let sentence = format!("{how}, but {what}. {cure}.");
        Entry::new(Priority::Warning, PAIRED, sentence)
    }
    .generation(generation)
}

fn refresh_failed(fault: FaultKind, clause: &str, retry_in: Duration, ambiguous: bool, sends: u32) -> Entry {
    let (priority, outcome) = if ambiguous {
        (
            Priority::Warning,
            " The server may have renewed the tokens all the same.",
        )
    } else {
        (Priority::of_fault(fault), "")
    };
    let count = if sends > 1 {
        format!(" This refresh token was sent {sends} times.")
    } else {
        String::new()
    };
    let sentence = format!(
        "Not refreshed: {clause}.{outcome}{count} Trying again in {}.",
        span(retry_in)
    );
    Entry::new(priority, REFRESH_FAILED, sentence)
}

fn exchange_failed(fault: FaultKind, why: Option<&str>, retry_in: Option<Duration>) -> Entry {
    let next = retry_in.map_or_else(
        || "The user has to approve again.".to_owned(),
        |wait| format!("Trying again in {}.", span(wait)),
    );
    let sentence = format!(
        "The user approved, but the server issued no tokens: {}. {next}",
        explain_fault(fault, why)
    );
    Entry::new(Priority::of_fault(fault), EXCHANGE_FAILED, sentence)
}

/// Why a request came to nothing: a clause. `why`: what was wrong with its answer.
pub(crate) fn explain_fault(fault: FaultKind, why: Option<&str>) -> String {
    match (fault, why) {
        (FaultKind::Garbled, Some(why)) => format!("the server's answer cannot be used ({why})"),
        (fault, Some(why)) => format!("{} ({why})", fault_clause(fault)),
        (fault, None) => fault_clause(fault).to_owned(),
    }
}

const fn fault_clause(fault: FaultKind) -> &'static str {
    match fault {
        FaultKind::Offline => "the server cannot be reached",
        FaultKind::ClockNotSet => "the clock is not set, so the server's certificate cannot be checked",
        FaultKind::Untrusted => "the server's certificate is not trusted",
        FaultKind::Lost => "the connection broke or timed out before the answer",
        FaultKind::Garbled => "the server failed, or its answer does not follow the protocol",
        FaultKind::RateLimited => "the server asks for fewer requests",
        FaultKind::Refused => "the server did not carry out the request",
        FaultKind::Local(fault) => messages::local(fault).clause,
    }
}

/// A duration for people: its two largest units.
fn span(duration: Duration) -> String {
    // Half a second up: "in 0 s" reads as "never stopped trying".
    let secs = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let (days, hours, mins, secs) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60);
    let units = [(days, "d"), (hours, "h"), (mins, "min"), (secs, "s")];
    let Some(first) = units.iter().position(|(count, _)| *count > 0) else {
        return "less than a second".to_owned();
    };
    units[first..]
        .iter()
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests;
