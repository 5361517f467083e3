//! The server's word on the device beside its tokens: names, the end that the user chose, pause.

use super::Credential;
use crate::credential::chosen_end::ChosenEnd;
use crate::{AuthorizationEnd, BootTime, Contact, DeviceStatus, Lifetimes, Now, Policy, WallTime};

impl Credential {
    /// Takes over what an answer of this `date` says. True if the record is out of date by that.
    pub(crate) fn set_status(&mut self, status: DeviceStatus, date: Option<WallTime>, now: Now) -> bool {
        let wall = date.or(now.wall);
        self.stored.device = status.info;
        self.contact = Contact {
            at: wall,
            paused: status.paused.unwrap_or(self.contact.paused),
        };
        let known = self.stored.authorization_expires;
        let told = match status.authorization {
            AuthorizationEnd::Untold => known,
            AuthorizationEnd::Never => None,
            // The token works, so the pairing has not ended by then.
            AuthorizationEnd::At(end) if known.is_none() && end <= wall.unwrap_or(now.floor) => None,
            AuthorizationEnd::At(end) => Some(end),
        };
        if told == known {
            return false;
        }
        self.stored.authorization_expires = told;
        self.chosen_end = ChosenEnd::default();
        match date {
            Some(date) => self.chosen_end.date_from_answer(told, date, now.boot),
            None => self.chosen_end.date_from_clock(told, now),
        }
        true
    }

    /// The same device with another pair of tokens: what was told of it holds.
    pub(super) fn with_status(self, (chosen_end, contact): (ChosenEnd, Contact)) -> Self {
        // One that no answer has dated yet was concluded again.
        let chosen_end = if chosen_end.at().is_some() {
            chosen_end
        } else {
            self.chosen_end
        };
        Self {
            chosen_end,
            contact,
            ..self
        }
    }

    /// The same device, approved anew: what was told concerned the approval before.
    pub(crate) fn approved_anew(&mut self) {
        self.stored.approved_anew();
        self.chosen_end = ChosenEnd::default();
        self.contact = Contact::default();
    }

    pub(crate) const fn chosen_end(&self) -> ChosenEnd {
        self.chosen_end
    }

    pub(crate) const fn chosen_end_mut(&mut self) -> &mut ChosenEnd {
        &mut self.chosen_end
    }

    /// Beginnings and ends that a trusted clock can be held against.
    pub(crate) fn lifetimes(&self, policy: &Policy, now: BootTime) -> Lifetimes {
        let obtained = self.stored.pair.obtained.wall;
        let lives = !self.is_unusable(now);
        Lifetimes {
            paired_since: self.stored.paired_since,
            token_expires: obtained
                .filter(|_| lives)
                .map(|at| at.after(self.stored.pair.expires_in)),
            refresh_by: obtained
                .filter(|_| self.refresh_token().is_some())
                .map(|at| at.after(policy.refresh_token_life)),
            authorization_expires: self.stored.authorization_expires,
        }
    }

    /// Where no resource tells, the last grant is the last that was heard.
    pub(crate) fn contact(&self, policy: &Policy) -> Contact {
        let granted = self.stored.pair.obtained.wall.filter(|_| !policy.can_probe);
        Contact {
            at: self.contact.at.or(granted),
            ..self.contact
        }
    }
}
