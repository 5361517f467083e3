//! Tokens: what the uploader does.

use std::time::{Duration, Instant};

use c2c_testkit::rig::{CLIENT_ID, FIRMWARE_VERSION};
use c2c_testkit::server::{Endpoint, Truth};

use super::{Story, must};
use crate::Trouble;
use crate::caller::{Token, Wish};
use crate::cast::Role;
use crate::stage::{FIRST_LIFE, MOMENT};

/// The pause of an uploader that got a 401.
const BETWEEN_REJECTIONS: Duration = Duration::from_secs(2);

impl Story<'_> {
    pub(super) async fn fetch(&mut self) -> Result<Token, Trouble> {
        let token = self.stage.uploader.token().await?;
        self.alive(&token, "the uploader called GetAccessToken").await?;
        let output = self.stage.tool(Role::Uploader, &["token"]).await?;
        let printed = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        // It may be a newer one by now.
        must(output.status.success() && self.stage.is_live(&printed), || {
            format!("c2c-authctl token ends with {}", output.status)
        })?;
        self.say.check("c2c-authctl token prints it for a shell script");
        Ok(token)
    }

    /// The token is the server's living one, and the API takes it.
    async fn alive(&mut self, token: &Token, how: &str) -> Result<(), Trouble> {
        let status = self.stage.upload(&token.value).await?;
        must(status == 200 && self.stage.is_live(&token.value), || {
            format!("{how}, and the API answers {status} to {token:?}")
        })?;
        self.say
            .check(&format!("{how}: {token:?}; the API takes it ({status})"));
        Ok(())
    }

    pub(super) async fn refresh(&mut self, first: Token) -> Result<Token, Trouble> {
        self.say
            .note("At half of its life, here; the uploader goes on working, and listens for AccessTokenChanged.");
        // On a busy machine it was refreshed before anybody looked.
        if first.generation == 1 {
            self.watch(first.generation).await?;
        }
        let refreshes = self.stage.refreshes();
        must(refreshes == 1, || format!("the server counts {refreshes} refreshes"))?;
        let second = self.stage.uploader.token().await?;
        must(
            second.generation == 2 && second.value != first.value || first.generation == 2,
            || format!("the token after the refresh is {second:?}"),
        )?;
        self.alive(&second, "the uploader has the new one").await?;
        if first.generation == 1 {
            let status = self.stage.upload(&first.value).await?;
            must(status == 401, || format!("the API answers {status} to the old token"))?;
            self.say
                .check("the old one is dead (401): the server ends both when it renews them");
        }
        Ok(second)
    }

    /// Looks on until there is a later generation than this one.
    async fn watch(&mut self, before: u64) -> Result<u64, Trouble> {
        let began = Instant::now();
        while began.elapsed() < MOMENT + FIRST_LIFE {
            if let Some(after) = self.stage.uploader.change(before, 1).await? {
                self.say.passed();
                self.say.check(&format!(
                    "AccessTokenChanged: generation {after}, after {:.0} s",
                    began.elapsed().as_secs_f32()
                ));
                return Ok(after);
            }
            // The uploader works on: whatever it is given must be good.
            let token = self.stage.uploader.token().await?;
            let left = token.expires_in;
            must(token.generation != before || left > 0, || {
                "a token without life was handed out".to_owned()
            })?;
            self.say
                .passing(&format!("{token:?} {}", "▪".repeat(left.min(20) as usize)));
        }
        Err(format!("no refresh of generation {before} within {:?}", began.elapsed()).into())
    }

    pub(super) async fn kill(&mut self, second: Token) -> Result<Token, Trouble> {
        let pid = self.stage.daemon.pid();
        self.stage.kill()?;
        self.say
            .check(&format!("process {pid} is gone, without a chance to tidy up"));
        self.stage.restart()?;
        self.stage.daemon.wait_ready(MOMENT).await?;
        let sentence = self.stage.sentence("Paired with").await?;
        self.say
            .check(&format!("process {} is ready: “{sentence}”", self.stage.daemon.pid()));
        let token = self.stage.uploader.token().await?;
        must(
            token.value == second.value && token.generation == second.generation,
            || format!("before there was {second:?}, now {token:?}"),
        )?;
        self.alive(&token, "the uploader gets the same token as before").await?;
        Ok(token)
    }

    pub(super) async fn reject(&mut self, second: Token) -> Result<(), Trouble> {
        let before = self.stage.truth(Truth::counters);
        self.stage
            .uploader
            .plain(Wish::RejectAccessToken(second.generation))
            .await?;
        let token = self.stage.uploader.token().await?;
        must(token.value == second.value, || {
            format!("a rejection without reason led to {token:?}")
        })?;
        self.say
            .check("the uploader rejects the token without reason: the API takes it, so the daemon keeps it");

        self.stage.server.end_access_token(CLIENT_ID)?;
        let status = self.stage.upload(&second.value).await?;
        must(status == 401, || format!("the API answers {status} to a dead token"))?;
        self.say
            .check("the server ends the access token before its time: the uploader gets a 401");
        let third = self.insist(&second).await?;
        // The uploader's own requests bear another version.
        let asked = self.stage.truth(|truth| {
            truth
                .requests(Endpoint::Me)
                .any(|e| e.client_version.as_deref() == Some(FIRMWARE_VERSION) && e.verdict == "unauthorized")
        });
        must(asked, || "the daemon did not ask the API itself".to_owned())?;
        self.alive(&third, "the daemon asked the API itself, got a 401, and refreshed")
            .await?;
        self.stage
            .uploader
            .plain(Wish::RejectAccessToken(second.generation))
            .await?;
        let after = self.stage.truth(Truth::counters);
        let refreshes = after.refreshes_committed - before.refreshes_committed;
        must(refreshes == 1 && after.pairings == 1, || {
            format!(
                "rejecting one generation led to {refreshes} refreshes, {} pairings",
                after.pairings
            )
        })?;
        self.say
            .check("however often this generation was rejected: one refresh in all");
        self.say
            .check("so the daemon that was killed has refreshed again, without pairing again");
        Ok(())
    }

    /// As an uploader does that is told 401: reject, fetch, and try again a little later.
    async fn insist(&mut self, dead: &Token) -> Result<Token, Trouble> {
        let deadline = Instant::now() + MOMENT;
        self.say.note(
            "It calls RejectAccessToken and GetAccessToken, which waits until the daemon has asked the server itself.",
        );
        while Instant::now() < deadline {
            self.stage
                .uploader
                .plain(Wish::RejectAccessToken(dead.generation))
                .await?;
            let token = self.stage.uploader.token().await?;
            if token.generation != dead.generation {
                self.say.passed();
                must(
                    token.generation == dead.generation + 1 && token.value != dead.value,
                    || format!("after {dead:?} there is {token:?}"),
                )?;
                return Ok(token);
            }
            self.say
                .passing(&format!("rejected, and still generation {}", token.generation));
            tokio::time::sleep(BETWEEN_REJECTIONS).await;
        }
        Err(format!("a dead token is still handed out after {MOMENT:?}").into())
    }
}
