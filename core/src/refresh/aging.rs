//! Warnings about a refresh token that grows old without a refresh, while there is time to act.

use std::time::Duration;

use crate::{BootTime, Context, Core, LogEvent};

/// How many days before the refresh token's predicted end each warning comes, where it lives for
/// Frame.io's 14: after 10, 12 and 13 days. It is closer to the end where a life is shorter, and
/// never earlier than a person needs to act.
const WARNING_DAYS: [u32; 3] = [4, 2, 1];

fn warning_lead(days: u32, life: Duration) -> Duration {
    (Duration::from_secs(24 * 3600) * days).min(life / 14 * days)
}

/// How long before the refresh token's predicted end a person is asked to act.
pub(crate) fn first_warning_lead(life: Duration) -> Duration {
    warning_lead(WARNING_DAYS[0], life)
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
    }

    pub(crate) fn warning_due(&self) -> Option<BootTime> {
        self.next_warning().map(|(at, _)| at)
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
