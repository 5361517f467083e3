//! Warnings about a pairing that ends, while there is time to act: a refresh token that grows old
//! without a refresh, and an end that the user chose.

use std::time::Duration;

use crate::credential::Credential;
use crate::{BootTime, Context, Core, LogEvent};

/// How many days before the refresh token's predicted end each warning comes, where it lives for
/// Frame.io's 14: after 10, 12 and 13 days. It is closer to the end where a life is shorter, and
/// never earlier than a person needs to act.
const WARNING_DAYS: [u32; 3] = [4, 2, 1];

fn warning_lead(days: u32, life: Duration) -> Duration {
    (Duration::from_secs(24 * 3600) * days).min(life / 14 * days)
}

/// How long before each end the warnings come, the first one first.
fn warning_leads(life: Duration) -> [Duration; WARNING_DAYS.len()] {
    WARNING_DAYS.map(|days| warning_lead(days, life))
}

impl Core {
    pub(crate) fn warn(&mut self, cx: &mut Context<'_>) {
        while let Some((at, lead)) = self.next_warning()
            && at <= cx.at()
        {
            self.refresh.warnings_given += 1;
            let age = self.setup.policy().refresh_token_life.saturating_sub(lead);
            cx.log(LogEvent::RefreshTokenAging { age });
        }
        let leads = warning_leads(self.setup.policy().refresh_token_life);
        let chosen = self.credential.paired_mut().map(Credential::chosen_end_mut);
        if let Some(remaining) = chosen.and_then(|end| end.warn(&leads, cx.at())) {
            cx.log(LogEvent::AuthorizationEnding { remaining });
        }
    }

    pub(crate) fn warning_due(&self) -> Option<BootTime> {
        let leads = warning_leads(self.setup.policy().refresh_token_life);
        let chosen = self.credential.paired().map(Credential::chosen_end);
        let chosen = chosen.and_then(|end| end.warning_due(&leads));
        let aging = self.next_warning().map(|(at, _)| at);
        [aging, chosen].into_iter().flatten().min()
    }

    /// True if the pairing ends so soon that a person is asked to act.
    pub(crate) fn ends_soon(&self, now: BootTime) -> bool {
        let lead = warning_lead(WARNING_DAYS[0], self.setup.policy().refresh_token_life);
        let ends = |credential: &Credential| [credential.refresh_ends(), credential.chosen_end().at()];
        let ends = self.credential.paired().map(ends).into_iter().flatten().flatten();
        ends.into_iter().any(|end| end.before(lead) <= now)
    }

    /// When the next warning is due, and how long before the end that is.
    fn next_warning(&self) -> Option<(BootTime, Duration)> {
        let credential = self.credential.paired()?;
        credential.refresh_token()?;
        let days = WARNING_DAYS.get(self.refresh.warnings_given)?;
        let lead = warning_lead(*days, self.setup.policy().refresh_token_life);
        credential.refresh_ends().map(|end| (end.before(lead), lead))
    }
}
