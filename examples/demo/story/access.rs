//! The rights of callers: a stranger is refused, and so is an uploader before it is told to be one.

use super::{Story, must};
use crate::Trouble;
use crate::caller::Wish;
use crate::cast::{Cast, Role};
use crate::stage::MOMENT;

/// The exit code of `c2c-authctl` for a caller who was refused.
const DENIED: i32 = 6;

impl Story<'_> {
    pub(super) async fn refuse(&mut self) -> Result<(), Trouble> {
        match self.stage.cast {
            Cast::Users => {
                let uid = self.stage.cast.uid(Role::Stranger);
                let refusal = self.stage.stranger.refused(Wish::GetAccessToken).await?;
                self.denied(&format!("the stranger (uid {uid}) wants a token"), &refusal.word)?;
                self.say.note(&refusal.text);
                let refusal = self.stage.stranger.refused(Wish::GetPairingCode).await?;
                self.denied("the stranger wants the pairing code", &refusal.word)?;
                let refusal = self.stage.ui.refused(Wish::GetAccessToken).await?;
                self.denied("the UI wants a token", &refusal.word)?;
                let refusal = self.stage.uploader.refused(Wish::Unpair).await?;
                self.denied("the uploader wants to unpair", &refusal.word)?;
                self.tool_is_denied(Role::Stranger).await
            }
            Cast::OneUser(uid) => {
                self.say
                    .note("So far nobody holds the role: the configuration says uploader = [].");
                let refusal = self.stage.uploader.refused(Wish::GetAccessToken).await?;
                self.denied("the uploader wants a token", &refusal.word)?;
                self.say.note(&refusal.text);
                self.tool_is_denied(Role::Uploader).await?;
                let entry = self.stage.cast.entry(Role::Uploader);
                self.stage.rig.configure(|config| {
                    config.set("access", "uploader", [entry.as_str()]);
                })?;
                let daemon = &self.stage.daemon;
                daemon.notifications().forget();
                daemon.hang_up()?;
                daemon.wait_ready(MOMENT).await?;
                self.stage.uploader.token().await?;
                self.say.check(&format!(
                    "after uploader = [\"uid:{uid}\"] and a reload (SIGHUP) it gets one"
                ));
                Ok(())
            }
        }
    }

    fn denied(&self, what: &str, word: &str) -> Result<(), Trouble> {
        must(word == "AccessDenied", || format!("{what} and gets {word}"))?;
        self.say.check(&format!("{what}: {word}"));
        Ok(())
    }

    async fn tool_is_denied(&mut self, role: Role) -> Result<(), Trouble> {
        let output = self.stage.tool(role, &["token"]).await?;
        must(output.status.code() == Some(DENIED) && output.stdout.is_empty(), || {
            format!("c2c-authctl token ends with {}", output.status)
        })?;
        self.say.check(&format!(
            "c2c-authctl token in its place: exit code {DENIED}, and nothing printed"
        ));
        Ok(())
    }
}
