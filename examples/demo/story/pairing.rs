//! Pairing and unpairing: what the device's UI does.

use std::time::{Duration, Instant};

use c2c_testkit::rig::CLIENT_ID;
use c2c_testkit::server::{Endpoint, Entry, Outcome, Truth};

use super::{Story, must};
use crate::Trouble;
use crate::caller::{Code, Wish};
use crate::cast::Role;
use crate::stage::MOMENT;

/// Long enough to be out of the story.
const LONG_LIFE: Duration = Duration::from_secs(60 * 60);

/// How long a person may take who watches a terminal: as long as the daemon offers codes.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long one may take whom nobody can see.
const BLIND_PATIENCE: Duration = Duration::from_secs(2 * 60);

impl Story<'_> {
    pub(super) async fn pair(&mut self) -> Result<(), Trouble> {
        let code = self.stage.ui.start_pairing().await?;
        self.say.check("the UI called StartPairing and has a code to show");
        self.show(&code).await?;
        if self.wishes.approve {
            self.stage.server.approve(&code.typed)?;
            self.say.note("Approved (--approve).");
        } else {
            self.wait_for_a_person(code).await?;
        }
        let sentence = self.stage.sentence("Paired with").await?;
        let (project, _) = self.stage.ui.words(Wish::Names).await?;
        let truth = self.stage.truth(Truth::counters);
        must(truth.pairings == 1, || {
            format!("the server counts {} pairings", truth.pairings)
        })?;
        must(project == "Demo project", || {
            format!("the project is called {project:?}")
        })?;
        self.say.check(&format!(
            "the server knows the device as paired; the daemon asked {} ×",
            truth.polls
        ));
        self.say.check(&format!("it says “{sentence}”"));
        // From the next one on. The first keeps the life it was given.
        self.stage.tokens_live(LONG_LIFE);
        let status = self.stage.tool(Role::Ui, &["status"]).await?;
        must(status.status.success(), || {
            format!("c2c-authctl status ends with {}", status.status)
        })?;
        self.say.check("c2c-authctl status says:");
        self.say.note(&String::from_utf8_lossy(&status.stdout));
        Ok(())
    }

    async fn show(&mut self, code: &Code) -> Result<(), Trouble> {
        let (media_type, picture) = self.stage.ui.words(Wish::GetQrCode).await?;
        must(media_type.starts_with("text/plain"), || {
            format!("the QR code is {media_type}")
        })?;
        let address = code
            .complete
            .as_deref()
            .ok_or("the code comes without an address to scan")?;
        self.say.picture(&picture);
        self.say.note(&format!(
            "{}\ncode      {}\naddress   {}\nor        {address}",
            code.device, code.typed, code.address
        ));
        Ok(())
    }

    async fn wait_for_a_person(&mut self, mut code: Code) -> Result<(), Trouble> {
        let patience = if self.say.watched() { PATIENCE } else { BLIND_PATIENCE };
        let page = self.stage.page.plain_url();
        self.say.note(&format!(
            "Open {page}/{} in a browser on this machine, and approve; or deny, to see that too.\n\
             (It is the same page as by https, which no browser trusts here.) Without a browser:\n\
             curl -d code={} -d do=approve {page}\nThis waits for {} s; --approve does it by itself.",
            code.typed,
            code.typed,
            patience.as_secs()
        ));
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let (state, reason) = self.stage.ui.words(Wish::State).await?;
            match state.as_str() {
                "paired" => return Ok(()),
                "unpaired" if reason == "denied" => {
                    self.say.check("denied, and not paired; the UI asks for another code");
                    code = self.start_again().await?;
                    self.show(&code).await?;
                }
                "unpaired" => return Err(format!("the daemon gave up: {reason}").into()),
                _ => {
                    let newest = self.stage.ui.pairing_code().await?;
                    if let Some(newest) = newest.filter(|newest| newest.id != code.id) {
                        self.say.note("The code expired. Here is the next:");
                        code = newest;
                        self.show(&code).await?;
                    }
                }
            }
        }
        Err(format!("nobody approved within {} s", patience.as_secs()).into())
    }

    /// Two code requests are at least 5 s apart: the daemon refuses the second until then.
    async fn start_again(&mut self) -> Result<Code, Trouble> {
        let deadline = Instant::now() + MOMENT;
        loop {
            match self.stage.ui.start_pairing().await {
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                Ok(code) => return Ok(code),
            }
        }
    }

    pub(super) async fn unpair(&mut self) -> Result<(), Trouble> {
        let output = self.stage.tool(Role::Ui, &["unpair", "--yes"]).await?;
        must(output.status.success(), || {
            format!("c2c-authctl unpair: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        self.say.check(&format!(
            "c2c-authctl unpair: “{}”",
            String::from_utf8_lossy(&output.stdout).trim_end()
        ));
        let refusal = self.stage.uploader.refused(Wish::GetAccessToken).await?;
        must(refusal.word == "NotPaired", || {
            format!("GetAccessToken answers {}", refusal.word)
        })?;
        self.say.check("GetAccessToken: NotPaired");
        let revoked = |entry: &Entry| {
            entry.committed && entry.verdict == "ok" && matches!(entry.outcome, Outcome::Answered(200..300))
        };
        self.stage
            .server
            .wait_for(move |truth| truth.requests(Endpoint::Revoke).any(revoked), MOMENT)
            .await?;
        let target = self.stage.truth(|truth| {
            truth
                .requests(Endpoint::Revoke)
                .map(|entry| entry.target.clone())
                .next_back()
        });
        let dead = self.stage.truth(|truth| {
            let live = truth.live(CLIENT_ID);
            live.access.is_none() && live.refresh.is_none()
        });
        must(dead, || "the server still knows a token of this device".to_owned())?;
        self.say.check(&format!(
            "the server's log: “{}”, and it knows no token of this device any more",
            target.unwrap_or_default()
        ));
        Ok(())
    }
}
