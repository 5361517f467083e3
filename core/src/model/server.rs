//! The authorization server as it truly is, whatever of it reaches the device.
//!
//! Owns: which tokens live, which codes stand and what the user said to them, and one request that
//! is still on its way after its sender gave up. Faithful to what Frame.io documents: a refresh
//! kills both old tokens, a used refresh token is dead, a forgotten device is dead.

use std::time::Duration;

use crate::{
    Authorization, AuthorizationCode, CodeGrant, CodeVerifier, DeviceCode, ExchangeAnswer, OAuthErrorCode, PollAnswer,
    RefreshAnswer, Revocable, StateParameter, TokenGrant, UserCode,
};

pub(super) use super::pair::{CANARY, Pair};

/// Properties of this server, fixed for one exploration.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent habits, not the states of one machine"
)]
pub(super) struct Quirks {
    /// Life of an access token.
    pub(super) access_life: Duration,
    /// True if refresh tokens are granted.
    pub(super) offline: bool,
    /// True if a new pairing of the same device ends the one before it. Frame.io does not say.
    pub(super) exclusive: bool,
    /// Life of a code.
    pub(super) code_life: Duration,
    /// Least time between polls.
    pub(super) interval: Duration,
    /// The wait that a rate-limited answer asks for.
    pub(super) retry_after: Duration,
    /// An approved code is answered after its end too.
    pub(super) honours: bool,
    /// The access token of a device that is removed, or whose refresh token ended, lives to its own
    /// end.
    pub(super) outliving: bool,
    /// Life of a refresh token, if it has an end.
    pub(super) refresh_life: Option<Duration>,
    /// A refresh leaves the refresh token as it is (RFC 6749 §6).
    pub(super) keeps: bool,
}

/// A pairing that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Live {
    pub(super) pair: Pair,
    /// End of its access token.
    pub(super) ends: u64,
    /// End of its refresh token; 0 if there is none, or none any more.
    refresh_ends: u64,
}

/// The user's decision on a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Consent {
    Pending,
    Approved,
    Denied,
    Used,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ServerCode {
    id: u8,
    ends: u64,
    consent: Consent,
}

/// An authorization request before a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ServerRequest {
    id: u8,
    consent: Consent,
    /// The pair that its code bought.
    bought: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Server {
    live: Vec<Live>,
    /// The newest turn of each family.
    issued: Vec<u8>,
    /// The last two codes: an older one may still have a poll on its way.
    codes: Vec<ServerCode>,
    next_code: u8,
    /// The last two authorization requests: an older one may still have its code on the way.
    requests: Vec<ServerRequest>,
    next_request: u8,
    /// A browser that is on its way back, from which request.
    returning: Option<u8>,
    /// A refresh whose sender gave up, and the moment after which it can no longer be carried out.
    late: Option<(Pair, u64)>,
}

impl Server {
    pub(super) fn new() -> Self {
        Self {
            live: Vec::new(),
            issued: Vec::new(),
            codes: Vec::new(),
            next_code: 0,
            requests: Vec::new(),
            next_request: 0,
            returning: None,
            late: None,
        }
    }

    pub(super) fn live(&self) -> &[Live] {
        &self.live
    }

    /// How many authorizations there ever were.
    pub(super) fn families(&self) -> u8 {
        u8::try_from(self.issued.len()).expect("budgets keep the number of pairings small")
    }

    /// True if our own refresh used this refresh token up.
    pub(super) fn rotated_away(&self, pair: Pair) -> bool {
        self.issued
            .get(usize::from(pair.family))
            .is_some_and(|newest| pair.turn < *newest)
    }

    pub(super) fn access_lives(&self, pair: Pair, real: u64) -> bool {
        self.live.iter().any(|live| live.pair == pair && real < live.ends)
    }

    /// True while its refresh token could bring another pair.
    pub(super) fn renews(&self, pair: Pair, real: u64) -> bool {
        self.live
            .iter()
            .any(|live| live.pair == pair && real < live.refresh_ends)
    }

    /// When this access token ends or would have ended, if it was the newest of a family that
    /// lives.
    pub(super) fn access_end(&self, pair: Pair) -> Option<u64> {
        self.live.iter().find(|live| live.pair == pair).map(|live| live.ends)
    }

    pub(super) fn authorize(&mut self, quirks: &Quirks, real: u64) -> Pair {
        let pair = Pair {
            family: self.families(),
            turn: 0,
        };
        if quirks.exclusive {
            self.live.clear();
        }
        self.issued.push(0);
        self.live.push(Live {
            pair,
            ends: real + millis(quirks.access_life),
            refresh_ends: refresh_end(quirks, real),
        });
        pair
    }

    pub(super) fn new_code(&mut self, quirks: &Quirks, real: u64) -> CodeGrant {
        let id = self.next_code;
        self.next_code += 1;
        self.codes.push(ServerCode {
            id,
            ends: real + millis(quirks.code_life),
            consent: Consent::Pending,
        });
        if self.codes.len() > 2 {
            self.codes.remove(0);
        }
        CodeGrant {
            device_code: DeviceCode::new(format!("{CANARY}-d{id}")),
            verifier: None,
            user_code: UserCode::new(format!("{CANARY}-u{id}")),
            verification_uri: String::from("https://example.test/device"),
            verification_uri_complete: Some(UserCode::new(format!("{CANARY}-c{id}"))),
            device_name: String::from("camera"),
            expires_in: quirks.code_life,
            interval: quirks.interval,
        }
    }

    /// The number of the newest code.
    pub(super) fn newest_code(&self) -> Option<u8> {
        self.codes.last().map(|code| code.id)
    }

    /// True if the user has a code before them that waits for a decision.
    pub(super) fn awaits_consent(&self, real: u64) -> bool {
        let code = self.codes.last();
        let request = self.requests.last();
        code.is_some_and(|code| code.consent == Consent::Pending && real < code.ends)
            || request.is_some_and(|request| request.consent == Consent::Pending)
    }

    /// The user decides about the newest code.
    pub(super) fn consent(&mut self, approved: bool) {
        let said = if approved { Consent::Approved } else { Consent::Denied };
        if let Some(code) = self.codes.last_mut() {
            code.consent = said;
        }
        if let Some(request) = self.requests.last_mut() {
            request.consent = said;
            self.returning = Some(request.id);
        }
    }

    /// An authorization request is composed, and a browser may open it.
    pub(super) fn new_request(&mut self) -> Authorization {
        let id = self.next_request;
        self.next_request += 1;
        self.requests.push(ServerRequest {
            id,
            consent: Consent::Pending,
            bought: None,
        });
        if self.requests.len() > 2 {
            self.requests.remove(0);
        }
        Authorization {
            state: state_of(id),
            verifier: CodeVerifier::new(format!("{CANARY}-v{id}")),
            authorization_uri: UserCode::new(format!("{CANARY}-b{id}")),
            redirect_uri: String::from("http://127.0.0.1/"),
        }
    }

    /// True if a browser is on its way back.
    pub(super) const fn returns(&self) -> bool {
        self.returning.is_some()
    }

    /// The browser is back: from which request, and whether the user approved.
    pub(super) fn come_back(&mut self) -> Option<(u8, bool)> {
        let id = self.returning.take()?;
        Some((id, self.said(id)))
    }

    /// The newest request, and whether the user approved of it.
    pub(super) fn newest_request(&self) -> Option<(u8, bool)> {
        let id = self.requests.last()?.id;
        Some((id, self.said(id)))
    }

    fn said(&self, id: u8) -> bool {
        let request = self.requests.iter().find(|request| request.id == id);
        request.is_some_and(|request| matches!(request.consent, Consent::Approved | Consent::Used))
    }

    /// RFC 6749 §4.1.3. A code that comes again takes along what it has bought (§4.1.2).
    pub(super) fn exchange(
        &mut self,
        code: &AuthorizationCode,
        verifier: &CodeVerifier,
        quirks: &Quirks,
        real: u64,
    ) -> ExchangeAnswer {
        let id = number(code.expose(), 'x');
        let proven = number(verifier.expose(), 'v') == id;
        let Some(at) = self.requests.iter().position(|request| request.id == id && proven) else {
            return ExchangeAnswer::InvalidGrant(OAuthErrorCode::Grant, None);
        };
        match self.requests[at].consent {
            Consent::Approved => {
                let pair = self.authorize(quirks, real);
                self.requests[at].consent = Consent::Used;
                self.requests[at].bought = Some(pair.family);
                ExchangeAnswer::Granted(grant(pair, quirks))
            }
            Consent::Used => {
                let bought = self.requests[at].bought;
                self.live.retain(|live| Some(live.pair.family) != bought);
                ExchangeAnswer::InvalidGrant(OAuthErrorCode::Grant, None)
            }
            Consent::Pending | Consent::Denied => ExchangeAnswer::InvalidGrant(OAuthErrorCode::Grant, None),
        }
    }

    pub(super) fn poll(&mut self, device_code: &DeviceCode, quirks: &Quirks, real: u64) -> PollAnswer {
        let id = code_id(device_code);
        let Some(code) = self.codes.iter_mut().find(|code| code.id == id) else {
            return PollAnswer::CodeUnknown(None);
        };
        let honoured = quirks.honours && code.consent == Consent::Approved;
        if real >= code.ends && !honoured {
            return PollAnswer::Expired;
        }
        match code.consent {
            Consent::Pending => PollAnswer::Pending,
            Consent::Denied => PollAnswer::Denied,
            Consent::Used => PollAnswer::CodeUnknown(None),
            Consent::Approved => {
                code.consent = Consent::Used;
                PollAnswer::Granted(grant(self.authorize(quirks, real), quirks))
            }
        }
    }

    /// Carries a refresh out. `None`: this refresh token is worth nothing.
    pub(super) fn rotate(&mut self, old: Pair, quirks: &Quirks, real: u64) -> Option<Pair> {
        let carries = |live: &Live| live.pair == old || quirks.keeps && live.pair.family == old.family;
        let usable = |live: &&mut Live| real < live.refresh_ends && carries(live);
        let live = self.live.iter_mut().find(usable)?;
        live.pair.turn += 1;
        live.ends = real + millis(quirks.access_life);
        live.refresh_ends = refresh_end(quirks, real);
        if !quirks.keeps {
            self.issued[usize::from(old.family)] = live.pair.turn;
        }
        Some(live.pair)
    }

    pub(super) fn revoke(&mut self, token: &Revocable, quirks: &Quirks) {
        let pair = Pair::of_revocable(token);
        // A refresh token that stays the same stands for every pair of its family.
        let takes = |live: &Live| live.pair == pair || quirks.keeps && live.pair.family == pair.family;
        self.live.retain(|live| !takes(live));
    }

    /// Somebody removed the device from its project.
    pub(super) fn forget(&mut self, quirks: &Quirks, real: u64) {
        for live in &mut self.live {
            live.refresh_ends = 0;
        }
        self.live.retain(|live| quirks.outliving && real < live.ends);
    }

    /// A refresh whose answer nobody waits for any more may be carried out until `until`.
    pub(super) fn leave_on_its_way(&mut self, pair: Pair, until: u64) {
        self.late = Some((pair, until));
    }

    pub(super) fn late_request(&self, real: u64) -> Option<Pair> {
        self.late.filter(|(_, until)| real < *until).map(|(pair, _)| pair)
    }

    pub(super) fn arrive_late(&mut self, quirks: &Quirks, real: u64) {
        if let Some(pair) = self.late_request(real) {
            self.rotate(pair, quirks, real);
        }
        self.late = None;
    }

    /// Drops what can no longer matter, so that equal futures are equal states.
    pub(super) fn expire(&mut self, quirks: &Quirks, real: u64) {
        if self.late_request(real).is_none() {
            self.late = None;
        }
        // Without a refresh token nothing is left of an authorization whose access token ended.
        self.live
            .retain(|live| real < live.refresh_ends || quirks.outlives(live, real));
    }
}

fn refresh_end(quirks: &Quirks, real: u64) -> u64 {
    match quirks.refresh_life {
        _ if !quirks.offline => 0,
        Some(life) => real + millis(life),
        None => u64::MAX,
    }
}

impl Quirks {
    /// True if the access token goes on without its refresh token.
    const fn outlives(&self, live: &Live, real: u64) -> bool {
        (self.outliving || !self.offline) && real < live.ends
    }
}

/// The server's answer that carries this pair.
pub(super) fn grant(pair: Pair, quirks: &Quirks) -> TokenGrant {
    TokenGrant {
        access: Ok(pair.access()),
        refresh: Ok(quirks.offline.then(|| pair.refresh())),
        expires_in: quirks.access_life,
    }
}

/// The answer to a refresh that was carried out, or found dead.
pub(super) fn refresh_answer(outcome: Option<Pair>, quirks: &Quirks) -> RefreshAnswer {
    outcome.map_or(RefreshAnswer::InvalidGrant, |pair| {
        let mut grant = grant(pair, quirks);
        if quirks.keeps {
            grant.refresh = Ok(None);
        }
        RefreshAnswer::Granted(grant)
    })
}

/// The number inside a fake device code.
pub(super) fn code_id(code: &DeviceCode) -> u8 {
    number(code.expose(), 'd')
}

/// The number inside a fake secret of this kind.
pub(super) fn number(text: &str, kind: char) -> u8 {
    text.strip_prefix(CANARY)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_prefix(kind))
        .and_then(|id| id.parse().ok())
        .expect("every secret of the model was made by it")
}

/// The `state` of a request.
pub(super) fn state_of(request: u8) -> StateParameter {
    StateParameter::new(format!("{CANARY}-s{request}"))
}

/// The code that a request brings back.
pub(super) fn authorization_code(request: u8) -> AuthorizationCode {
    AuthorizationCode::new(format!("{CANARY}-x{request}"))
}

/// Whole milliseconds; the model has no finer time.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("the model's spans are short")
}
