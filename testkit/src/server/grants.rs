//! The auth endpoints: codes, polling, rotation, revocation, and what a person does with a code.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{
    call::Reply,
    form::Form,
    state::{Answer, Attempt, Device, Grant, State, Ticket, seconds},
    truth::{End, Kind},
};
use crate::random;

// RFC 8628 §3.5: each slow_down adds this to the interval.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// Why a code cannot be approved or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// No device shows it.
    #[error("no device shows this code; check the digits")]
    Unknown,
    /// Its time is up.
    #[error("this code has run out; the device shows a new one")]
    Expired,
    /// It was approved, denied or used before.
    #[error("this code was answered before")]
    Answered,
}

impl State {
    pub(super) fn issue_code(&mut self, form: &Form, with_uris: bool) -> Reply {
        let (Some(client_id), Some(scope)) = (form.get("client_id"), form.get("scope")) else {
            return Reply::refused("bad_request");
        };
        if let Some(refusal) = self.check_secret(form) {
            return refusal;
        }
        let now = self.now();
        let (device_code, user_code) = (random::text::<57>(), self.unused_user_code());
        let mut answer = json!({
            "device_code": device_code,
            "expires_in": seconds(self.options.code_life),
            "interval": seconds(self.options.interval),
            "name": self.device_name(client_id),
            "user_code": user_code,
        });
        if with_uris {
            let uri = &self.options.verification_uri;
            answer["verification_uri_complete"] = Value::from(format!("{uri}/{user_code}"));
            answer["verification_uri"] = Value::from(uri.as_str());
        }
        self.truth.issue(Kind::DeviceCode, &device_code, client_id, now);
        self.truth.issue(Kind::UserCode, &user_code, client_id, now);
        self.truth.counters.codes_issued += 1;
        self.codes.push(Attempt {
            device_code,
            user_code,
            client_id: client_id.to_owned(),
            offline: scope.split(' ').any(|s| s == "offline"),
            ends: now + self.options.code_life,
            interval: self.options.interval,
            last_poll: now,
            answer: Answer::None,
            over: None,
        });
        Reply::done(answer)
    }

    pub(super) fn poll(&mut self, form: &Form, ticket: &Ticket) -> Reply {
        let (Some(client_id), Some(device_code)) = (form.get("client_id"), form.get("device_code")) else {
            return Reply::refused("bad_request");
        };
        if let Some(refusal) = self.check_secret(form) {
            return refusal;
        }
        let now = self.now();
        let known = self
            .codes
            .iter_mut()
            .find(|c| c.device_code == device_code && c.client_id == client_id);
        let Some(code) = known.filter(|c| c.over.is_none()) else {
            return Reply::refused("invalid_grant");
        };
        if code.ends <= now {
            code.over = Some(ticket.number);
            return Reply::refused("expired_token");
        }
        if ticket.early {
            code.interval += SLOW_DOWN;
            return Reply::refused("slow_down");
        }
        let answer = code.answer.clone();
        code.over = (answer != Answer::None).then_some(ticket.number);
        let (offline, user_code) = (code.offline, code.user_code.clone());
        let project = match answer {
            Answer::None => return Reply::refused("authorization_pending"),
            Answer::Denied => None,
            Answer::Approved { project } => Some(project),
        };
        self.truth.end(device_code, End::Used);
        self.truth.end(&user_code, End::Used);
        project.map_or_else(
            || Reply::refused("access_denied"),
            |project| self.pair(client_id, project, offline, now),
        )
    }

    pub(super) fn refresh(&mut self, form: &Form) -> Reply {
        let (Some(client_id), Some(token)) = (form.get("client_id"), form.get("refresh_token")) else {
            return Reply::refused("bad_request");
        };
        if let Some(refusal) = self.check_secret(form) {
            return refusal;
        }
        let now = self.now();
        self.end_chosen(now);
        let holder = self.devices.get(client_id).and_then(|d| d.grant.as_ref());
        if let Some(grant) = holder.filter(|g| g.refresh.as_deref() == Some(token)) {
            if grant.refresh_ends <= now {
                return Reply::unauthorized();
            }
            // The rotation: from here on both old tokens are dead, whether or not the answer
            // arrives.
            self.end_grant(client_id, End::Rotated);
            self.truth.counters.refreshes_committed += 1;
            let life = self.options.refreshed_life.unwrap_or(self.options.access_life);
            return Reply::done(self.grant(client_id, true, life, now));
        }
        let issued = self
            .truth
            .issued
            .iter()
            .find(|i| i.value == token && i.client_id == client_id);
        match issued.and_then(|i| i.ended) {
            Some(End::Forgotten | End::Revoked | End::Replaced) => Reply::unauthorized(),
            Some(End::Rotated | End::Used) => {
                if self.options.reuse_ends_family {
                    self.end_grant(client_id, End::Revoked);
                }
                Reply::refused("invalid_request")
            }
            None => Reply::refused("invalid_request"),
        }
    }

    pub(super) fn revoke(&mut self, form: &Form) -> Reply {
        let (Some(client_id), Some(token)) = (form.get("client_id"), form.get("token")) else {
            return Reply::refused("bad_request");
        };
        if let Some(refusal) = self.check_secret(form) {
            return refusal;
        }
        // RFC 7009 §2.2: a token that is unknown or dead is as good as revoked.
        let success = json!({ "success": true });
        let held = |g: &Grant| g.access == token || g.refresh.as_deref() == Some(token);
        let device = self
            .devices
            .get_mut(client_id)
            .filter(|d| d.grant.as_ref().is_some_and(held));
        let Some(grant) = device.and_then(|d| d.grant.as_mut()) else {
            return Reply::found(success);
        };
        if self.options.revoking_ends_both {
            self.end_grant(client_id, End::Revoked);
        } else {
            if grant.refresh.as_deref() == Some(token) {
                grant.refresh = None;
            } else {
                grant.access.clear();
            }
            self.truth.end(token, End::Revoked);
        }
        self.truth.counters.revocations += 1;
        Reply::done(success)
    }

    /// The person's answer to a code.
    pub(super) fn answer_code(&mut self, user_code: &str, answer: Answer) -> Result<(), CodeError> {
        let now = self.now();
        let code = self
            .codes
            .iter_mut()
            .rev()
            .find(|c| c.user_code == user_code)
            .ok_or(CodeError::Unknown)?;
        if code.answer != Answer::None || code.over.is_some() {
            return Err(if code.ends <= now {
                CodeError::Expired
            } else {
                CodeError::Answered
            });
        }
        if code.ends <= now {
            return Err(CodeError::Expired);
        }
        code.answer = answer;
        Ok(())
    }

    /// Ends the pairs of all units whose chosen end has come.
    pub(super) fn end_chosen(&mut self, now: SystemTime) {
        let over = |device: &Device| device.ends.is_some_and(|end| end <= now);
        let over: Vec<_> = self
            .devices
            .iter()
            .filter(|(_, device)| over(device))
            .map(|(id, _)| id.clone())
            .collect();
        for client_id in over {
            self.end_grant(&client_id, End::Forgotten);
        }
    }

    /// Ends a unit's pair, if it has one.
    pub(super) fn end_grant(&mut self, client_id: &str, end: End) -> bool {
        let Some(grant) = self.devices.get_mut(client_id).and_then(|d| d.grant.take()) else {
            return false;
        };
        self.truth.end(&grant.access, end);
        if let Some(refresh) = &grant.refresh {
            self.truth.end(refresh, end);
        }
        true
    }

    pub(super) fn device_name(&self, client_id: &str) -> String {
        format!("{}-{client_id}", self.options.model)
    }

    fn pair(&mut self, client_id: &str, project: String, offline: bool, now: SystemTime) -> Reply {
        if self.options.replacing_ends_old {
            self.end_grant(client_id, End::Replaced);
        }
        let device = Device {
            id: random::uuid(),
            model_id: random::uuid(),
            project_id: random::uuid(),
            project,
            paired_at: now,
            last_seen: now,
            firmware: "0.0.0".to_owned(),
            paused: false,
            ends: self.options.authorization_life.map(|life| now + life),
            heartbeat: None,
            grant: None,
        };
        // One client id is one device: the unit moves to the project of its last pairing.
        self.devices.insert(client_id.to_owned(), device);
        self.truth.counters.pairings += 1;
        Reply::done(self.grant(client_id, offline, self.options.access_life, now))
    }

    /// Issues a pair to a unit, its access token good for `life`, and writes the answer.
    fn grant(&mut self, client_id: &str, offline: bool, life: Duration, now: SystemTime) -> Value {
        // It looks like a JWT, as the real one does. Nobody is to read it.
        let length = self.options.token_length;
        let access = format!("eyJhbGciOiJub25lIn0.{}.{}", random::text::<48>(), random::text::<24>());
        let access = random::padded(access, length);
        let refresh = offline.then(|| random::padded(random::uuid(), length));
        let mut answer = json!({
            "access_token": access,
            "expires_in": seconds(life),
            "token_type": "bearer",
        });
        self.truth.issue(Kind::AccessToken, &access, client_id, now);
        if let Some(refresh) = &refresh {
            answer["refresh_token"] = Value::from(refresh.as_str());
            self.truth.issue(Kind::RefreshToken, refresh, client_id, now);
        }
        if let Some(device) = self.devices.get_mut(client_id) {
            device.grant = Some(Grant {
                access,
                access_ends: now + life,
                refresh,
                refresh_ends: now + self.options.refresh_life,
            });
        }
        answer
    }

    fn check_secret(&self, form: &Form) -> Option<Reply> {
        match form.get("client_secret") {
            None => Some(Reply::refused("bad_request")),
            Some(secret) => (!self.options.takes_secret(secret)).then(|| Reply::refused("invalid_client")),
        }
    }

    fn unused_user_code(&self) -> String {
        std::iter::repeat_with(random::six_digits)
            .find(|digits| self.codes.iter().all(|c| c.user_code != *digits))
            .unwrap_or_default()
    }
}
