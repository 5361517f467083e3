//! Why answers were dropped, for the journal and for callers. Nothing here decides anything, so
//! the core does not know it.
//!
//! Owns: the last failure of each kind of request, until a good answer to one of that kind. Must
//! never: hold more of an answer than its status and the words of `oauth`.

use std::collections::BTreeMap;

use crate::messages::journal;
use crate::oauth::{self, Dropped, Kind};
use c2c_auth_core::{Answer, CallError, CodeAnswer, Command, Fault, FaultKind, LogEvent, PollAnswer, UserCode};

/// The purpose of a call, by which the requests that were made for it are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Pairing,
    Token,
    Other,
}

impl Purpose {
    pub(super) const fn of(command: &Command) -> Self {
        match command {
            Command::StartPairing { .. } | Command::GetPairingCode | Command::CompletePairing(_) => Self::Pairing,
            Command::GetAccessToken { .. } | Command::RejectAccessToken { .. } => Self::Token,
            Command::CancelPairing | Command::Unpair => Self::Other,
        }
    }

    const fn serves(self, kind: Kind) -> bool {
        match kind {
            Kind::DeviceCode | Kind::Poll | Kind::Authorize | Kind::Exchange => matches!(self, Self::Pairing),
            Kind::Prepare | Kind::Refresh | Kind::Probe => matches!(self, Self::Token),
            Kind::Revoke | Kind::Heartbeat => false,
        }
    }
}

/// Why the last answer to a kind of request was no good.
#[derive(Debug)]
struct Failure {
    fault: FaultKind,
    why: Option<String>,
    /// When it was learned, compared to the others.
    number: u64,
}

impl Failure {
    fn clause(&self) -> String {
        journal::explain_fault(self.fault, self.why.as_deref())
    }
}

/// More codes than that are not polled at a time.
const USER_CODES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct DroppedAnswers {
    failures: BTreeMap<Kind, Failure>,
    number: u64,
    /// The failure that the core is handed now, until something is said about it. True if it is the
    /// same as the one before.
    present: Option<(Kind, bool)>,
    /// The server's own sentence about it, for the first entry that comes of it.
    explanation: Option<String>,
    /// The newest last. No poll carries one, and a server may repeat it in its answer to one, also
    /// after another code took its place.
    user_codes: Vec<UserCode>,
}

impl DroppedAnswers {
    /// An answer is on its way to the core.
    pub(super) fn handle_answer(&mut self, kind: Kind, answer: &Answer, dropped: Option<&Dropped>) {
        let Some(Fault { kind: fault, .. }) = answer.fault() else {
            self.failures.remove(&kind);
            // Polls of a new code begin anew.
            if matches!(answer, Answer::Code(CodeAnswer::Granted(_))) {
                self.failures.remove(&Kind::Poll);
            }
            self.present = None;
            return;
        };
        let why = dropped.map(ToString::to_string);
        let last = self.failures.get(&kind);
        let repeats = last.is_some_and(|last| (last.fault, &last.why) == (fault, &why));
        self.present = Some((kind, repeats));
        self.number += 1;
        let number = self.number;
        self.failures.insert(kind, Failure { fault, why, number });
    }

    /// Keeps the server's sentence about a refusal until something is said of it.
    pub(super) fn keep_explanation(&mut self, kind: Kind, answer: &Answer, explanation: Option<String>) {
        if let Answer::Code(CodeAnswer::Granted(code)) = answer {
            self.user_codes.push(code.user_code.clone());
            let old = self.user_codes.len().saturating_sub(USER_CODES);
            self.user_codes.drain(..old);
        }
        let goes_on = matches!(answer, Answer::Poll(PollAnswer::Pending | PollAnswer::SlowDown(..)));
        self.explanation = explanation.filter(|said| match kind {
            _ if goes_on => false,
            // A code of before the start is not known here.
            Kind::Poll => {
                let mut codes = self.user_codes.iter();
                codes.len() > 0 && codes.all(|code| oauth::is_free_of(said, code.secret()))
            }
            _ => true,
        });
    }

    pub(super) fn take_explanation(&mut self) -> Option<String> {
        let said = self.explanation.take()?;
        Some(format!(" The server says: \"{said}\"."))
    }

    /// For the core's own entry about this answer, which then needs no other.
    pub(super) fn take_why(&mut self, fault: FaultKind) -> Option<String> {
        let (kind, _) = self.present?;
        let failure = self.failures.get(&kind).filter(|failure| failure.fault == fault)?;
        self.present = None;
        failure.why.clone()
    }

    /// The sentence about an answer of which the core said nothing: the first of a kind, and each
    /// that says something else.
    pub(super) fn take_sentence(&mut self) -> Option<(FaultKind, String)> {
        let (kind, repeats) = self.present.take()?;
        let failure = self.failures.get(&kind)?;
        // Being offline is normal, and a refresh or a code request that has to wait says so.
        let is_worth_it = kind == Kind::Poll || failure.why.is_some();
        (is_worth_it && !repeats).then(|| (failure.fault, format!("{} failed: {}.", name(kind), failure.clause())))
    }

    /// The reason behind an error that a caller gets.
    pub(super) fn behind(&self, error: CallError, purpose: Purpose) -> Option<String> {
        let fits = |kind: Kind, failure: &Failure| {
            purpose.serves(kind)
                && match failure.fault {
                    FaultKind::Garbled | FaultKind::RateLimited | FaultKind::Refused => error == CallError::ServerError,
                    FaultKind::Offline | FaultKind::Lost => error == CallError::Offline,
                    FaultKind::ClockNotSet | FaultKind::Untrusted | FaultKind::Local(_) => false,
                }
        };
        let fitting = self.failures.iter().filter(|(kind, failure)| fits(**kind, failure));
        let latest = fitting.max_by_key(|(_, failure)| failure.number);
        latest.map(|(_, failure)| failure.clause())
    }
}

/// The fault that an entry of the core is about.
pub(super) const fn fault_of(event: &LogEvent) -> Option<FaultKind> {
    if let LogEvent::CodeRequestFailed { fault, .. }
    | LogEvent::ExchangeFailed { fault, .. }
    | LogEvent::RefreshFailed { fault, .. } = event
    {
        Some(*fault)
    } else {
        None
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::DeviceCode => "The request for a pairing code",
        Kind::Poll => "A poll for the approval",
        Kind::Prepare => "The test of the connection",
        Kind::Refresh => "The refresh",
        Kind::Revoke => "The revocation of a former pairing",
        Kind::Probe => "The request for devices/me",
        Kind::Heartbeat => "The heartbeat",
        Kind::Authorize => "The authorization request",
        Kind::Exchange => "The exchange of the authorization code",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::Defect;
    use c2c_auth_core::{CodeGrant, DeviceCode, ProbeAnswer, UserCode};
    use std::time::Duration;

    fn failed(kind: Kind, fault: FaultKind) -> Answer {
        kind.failed(Fault {
            kind: fault,
            retry_after: None,
        })
    }

    fn code(user_code: &str) -> Answer {
        Answer::Code(CodeAnswer::Granted(CodeGrant {
            device_code: DeviceCode::new("d".to_owned()),
            verifier: None,
            user_code: UserCode::new(user_code.to_owned()),
            verification_uri: String::new(),
            verification_uri_complete: None,
            device_name: String::new(),
            expires_in: Duration::from_secs(60),
            interval: Duration::from_secs(5),
        }))
    }

    fn dropped(status: u16, defect: Defect) -> Dropped {
        Dropped {
            status: Some(status),
            ..Dropped::unanswered(defect)
        }
    }

    fn told(answers: &mut DroppedAnswers, kind: Kind, fault: FaultKind, why: Option<(u16, Defect)>) -> Option<String> {
        let why = why.map(|(status, defect)| dropped(status, defect));
        answers.handle_answer(kind, &failed(kind, fault), why.as_ref());
        answers.take_sentence().map(|(_, sentence)| sentence)
    }

    #[test]
    fn of_the_polls_of_a_code_the_first_failure_is_told_and_each_change() {
        let answers = &mut DroppedAnswers::default();
        let poll = Kind::Poll;
        let unavailable = || Some((503, Defect::NotJson));
        let first = told(answers, poll, FaultKind::Refused, unavailable());
        assert_eq!(
            first.as_deref(),
            Some("A poll for the approval failed: the server did not carry out the request (status 503: not JSON).")
        );
        assert_eq!(told(answers, poll, FaultKind::Refused, unavailable()), None);
        let offline = told(answers, poll, FaultKind::Offline, None);
        assert_eq!(
            offline.as_deref(),
            Some("A poll for the approval failed: the server cannot be reached.")
        );
        answers.handle_answer(Kind::DeviceCode, &code("u"), None);
        assert!(told(answers, poll, FaultKind::Offline, None).is_some(), "another code");
    }

    #[test]
    fn what_repeats_a_code_is_not_told_also_once_another_took_its_place() {
        let answers = &mut DroppedAnswers::default();
        let refused = failed(Kind::Poll, FaultKind::Refused);
        let said = |answers: &mut DroppedAnswers, text: &str| {
            answers.keep_explanation(Kind::Poll, &refused, Some(text.to_owned()));
            answers.take_explanation()
        };
        assert_eq!(said(answers, "busy"), None, "no code is known here");
        for user_code in ["WDJB-MJHT", "KLPQ-RSTV"] {
            answers.keep_explanation(Kind::DeviceCode, &code(user_code), None);
        }
        assert_eq!(said(answers, "no such code wdjbmjht"), None);
        assert_eq!(said(answers, "no such code KLPQ-RSTV"), None);
        assert!(said(answers, "busy").is_some());
    }

    #[test]
    fn each_kind_of_request_has_its_own_sentence_and_a_good_answer_begins_anew() {
        let answers = &mut DroppedAnswers::default();
        let page = || Some((200, Defect::Page));
        for kind in [Kind::Heartbeat, Kind::Probe, Kind::Revoke, Kind::Prepare] {
            let sentence = told(answers, kind, FaultKind::Garbled, page());
            assert!(
                sentence.is_some_and(|said| said.contains("(status 200: not JSON but a web page)")),
                "{kind:?}"
            );
            assert_eq!(told(answers, kind, FaultKind::Garbled, page()), None);
        }
        answers.handle_answer(Kind::Heartbeat, &Answer::Probe(ProbeAnswer::Accepted(None)), None);
        assert!(told(answers, Kind::Heartbeat, FaultKind::Garbled, page()).is_some());
        assert_eq!(
            told(answers, Kind::Heartbeat, FaultKind::Offline, None),
            None,
            "being offline is normal"
        );
    }

    #[test]
    fn what_the_core_says_of_an_answer_is_not_said_twice() {
        let answers = &mut DroppedAnswers::default();
        let why = dropped(200, Defect::NotHttps("verification_uri"));
        answers.handle_answer(
            Kind::DeviceCode,
            &failed(Kind::DeviceCode, FaultKind::Garbled),
            Some(&why),
        );
        assert_eq!(
            answers.take_why(FaultKind::Garbled).as_deref(),
            Some("status 200: verification_uri is not https")
        );
        assert_eq!(answers.take_sentence(), None);
    }

    #[test]
    fn a_caller_is_told_what_its_own_requests_met() {
        let answers = &mut DroppedAnswers::default();
        told(
            answers,
            Kind::DeviceCode,
            FaultKind::RateLimited,
            Some((429, Defect::TooManyRequests)),
        );
        told(answers, Kind::Refresh, FaultKind::Refused, Some((503, Defect::NotJson)));
        let behind = |answers: &DroppedAnswers, error, purpose| answers.behind(error, purpose).unwrap_or_default();
        let code = behind(answers, CallError::ServerError, Purpose::Pairing);
        assert!(code.contains("429") && !code.contains("portal"), "{code}");
        assert!(behind(answers, CallError::ServerError, Purpose::Token).contains("503"));
        assert_eq!(behind(answers, CallError::Offline, Purpose::Token), "");
        told(answers, Kind::Prepare, FaultKind::Offline, None);
        assert!(behind(answers, CallError::Offline, Purpose::Token).contains("cannot be reached"));
        assert_eq!(answers.behind(CallError::ServerError, Purpose::Other), None);
    }
}
