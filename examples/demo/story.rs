//! The steps, in order. Each says what it is about, does it, and checks what came of it: at the callers, and in the server's
//! own account.

use std::time::{Duration, Instant};

use c2c_sim::rig::CLIENT_ID;
use c2c_sim::server::{Endpoint, Entry, Outcome, Truth};

use crate::args::Wishes;
use crate::binaries::{self, Binaries};
use crate::caller::{Code, Token, Wish};
use crate::cast::{Cast, Role};
use crate::say::Say;
use crate::stage::{FIRST_LIFE, MOMENT, Stage};
use crate::{Trouble, stay};

/// Long enough to be out of the story.
const LONG_LIFE: Duration = Duration::from_secs(60 * 60);

/// Of an uploader that got a 401.
const BETWEEN_REJECTIONS: Duration = Duration::from_secs(2);

/// How long a person may take who watches a terminal: as long as the daemon offers codes.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long one may take whom nobody can see.
const BLIND_PATIENCE: Duration = Duration::from_secs(2 * 60);

/// What a daemon has whose caller was refused: an exit code of `c2c-authctl`.
const DENIED: i32 = 6;

/// It was told why; there is nothing more to say.
#[derive(Debug)]
pub(crate) struct Told;

/// Tells the whole story. `Err` when a step did not hold; it has been said then.
pub(crate) async fn tell(wishes: Wishes, say: &Say) -> Result<(), Told> {
    let began = Instant::now();
    say.line("c2c-authd from pairing to unpairing: real binaries, a private bus, a simulated server over real TLS.");
    say.step("Build the daemon and its tool");
    let (cast, binaries) = prepare(wishes, say).await.map_err(|error| failed(say, &error, &[]))?;

    let built = Instant::now();
    say.step("Start a bus, a server and the daemon");
    let stage = Stage::set(cast, binaries).map_err(|error| failed(say, &error, &[]))?;
    let mut story = Story { wishes, say, stage };
    if let Err(error) = story.play().await {
        let error = match story.stage.epitaph().await {
            Some(epitaph) => format!("{error}\n{epitaph}").into(),
            None => error,
        };
        return Err(failed(say, &error, &story.stage.last_words()));
    }
    say.success(built.elapsed().as_secs_f32(), (built - began).as_secs_f32());
    if wishes.stay {
        stay::invite(say, &story.stage);
        // Until Ctrl-C, which drops all of this.
        std::future::pending::<()>().await;
    }
    Ok(())
}

fn failed(say: &Say, error: &Trouble, log: &[String]) -> Told {
    say.failure("This did not hold:", &error.to_string(), log);
    Told
}

async fn prepare(wishes: Wishes, say: &Say) -> Result<(Cast, Binaries), Trouble> {
    let cast = Cast::choose()?;
    if !wishes.no_build {
        say.note("cargo build --bins …");
    }
    let began = Instant::now();
    let (binaries, how) = tokio::task::spawn_blocking(move || binaries::build(wishes.no_build)).await??;
    let binaries = match cast {
        Cast::Users => binaries.for_everybody()?,
        Cast::OneUser(_) => binaries,
    };
    cast.rehearse(&binaries)?;
    say.check(&format!(
        "c2c-authd and c2c-authctl are there ({how}, {:.0} s)",
        began.elapsed().as_secs_f32()
    ));
    Ok((cast, binaries))
}

/// Fails with a sentence unless something holds.
fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Trouble> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

struct Story<'a> {
    wishes: Wishes,
    say: &'a Say,
    stage: Stage,
}

impl Story<'_> {
    async fn play(&mut self) -> Result<(), Trouble> {
        self.curtain().await?;
        self.say.step("Pair the device");
        self.pair().await?;
        self.say.step("Refuse a caller without the role");
        self.refuse().await?;
        self.say.step("Hand out a token");
        let first = self.fetch().await?;
        self.say.step("Refresh it before it ends");
        let second = self.refresh(first).await?;
        self.say.step("Kill the daemon between two refreshes (kill -9)");
        let second = self.kill(second).await?;
        self.say.step("Replace a token that the API no longer takes");
        self.reject(second).await?;
        self.say.step("Unpair");
        self.unpair().await?;
        self.say.step("Look back");
        self.look_back();
        self.judge().await
    }

    async fn curtain(&mut self) -> Result<(), Trouble> {
        let (say, stage) = (self.say, &self.stage);
        say.check(&format!("a private bus at {}", stage.bus.address()));
        say.check(&format!(
            "a simulated C2C server at {}, whose access tokens live {} s instead of 8 h",
            stage.server.base_uri(),
            FIRST_LIFE.as_secs()
        ));
        stage.daemon.wait_ready(MOMENT).await?;
        let sentence = stage.sentence("Not paired").await?;
        say.check(&format!(
            "c2c-authd, process {}, is ready: “{sentence}”",
            stage.daemon.pid()
        ));
        let cast = stage.cast;
        say.note(&match cast {
            Cast::Users => format!(
                "Each is a user of its own: the daemon uid {}, the device's UI {} (process {}), the uploader {} \
                 (process {}), a stranger {}.",
                cast.uid(Role::Daemon),
                cast.uid(Role::Ui),
                stage.ui.pid(),
                cast.uid(Role::Uploader),
                stage.uploader.pid(),
                cast.uid(Role::Stranger)
            ),
            Cast::OneUser(uid) => format!(
                "All are the one user {uid}; the device's UI is process {}, the uploader {}. As root each would be a user \
                 of its own.",
                stage.ui.pid(),
                stage.uploader.pid()
            ),
        });
        Ok(())
    }

    async fn pair(&mut self) -> Result<(), Trouble> {
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
        // From the next one on; the first keeps the life it was given.
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
                        self.say.note("The code ran out. Here is the next:");
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

    async fn refuse(&mut self) -> Result<(), Trouble> {
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

    async fn fetch(&mut self) -> Result<Token, Trouble> {
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

    async fn refresh(&mut self, first: Token) -> Result<Token, Trouble> {
        self.say
            .note("At half of its life, here; the uploader goes on working, and listens for AccessTokenChanged.");
        self.watch(first.generation).await?;
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

    async fn kill(&mut self, second: Token) -> Result<Token, Trouble> {
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

    async fn reject(&mut self, second: Token) -> Result<(), Trouble> {
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
            "It calls RejectAccessToken, and again. What the API said holds for 10 s, so that no uploader can drive the \
             daemon.",
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

    async fn unpair(&mut self) -> Result<(), Trouble> {
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

    fn look_back(&self) {
        let rows = self.stage.truth(|truth| {
            [
                ("asked for a code", Endpoint::DeviceCode),
                ("asked whether it is approved", Endpoint::Poll),
                ("refreshed", Endpoint::Refresh),
                ("asked who it is", Endpoint::Me),
                ("revoked", Endpoint::Revoke),
            ]
            .map(|(what, endpoint)| (what, truth.requests(endpoint).count()))
        });
        self.say
            .note("What the server saw of this device, the uploader's requests among them:");
        for (what, count) in rows {
            self.say.note(&format!("{count:>4} × {what}"));
        }
    }

    async fn judge(&mut self) -> Result<(), Trouble> {
        let violations = self.stage.truth(|truth| truth.violations().to_vec());
        must(violations.is_empty(), || {
            format!("the server complains: {violations:?}")
        })?;
        self.say.check("the server has nothing to complain of");
        let mut secrets: Vec<_> = self
            .stage
            .truth(|truth| truth.issued().iter().map(|issued| issued.value.clone()).collect());
        secrets.push(self.stage.server.client_secret());
        let log = self.stage.log();
        // The fractions of the time at its head have six digits, too.
        let told = log.iter().map(|line| line.split_once(' ').map_or("", |(_, told)| told));
        let leaks = told
            .filter(|line| secrets.iter().any(|secret| line.contains(secret)))
            .count();
        must(leaks == 0, || {
            format!("{leaks} lines of the daemon's log hold a secret")
        })?;
        self.say.check(&format!(
            "none of its {} codes, tokens and secrets stands in the daemon's {} lines of log",
            secrets.len(),
            log.len()
        ));
        if !self.wishes.stay {
            self.stage.daemon.terminate()?;
            let status = self.stage.daemon.wait_exit(MOMENT).await?;
            must(status.success(), || format!("on SIGTERM the daemon ends with {status}"))?;
            self.say.check("the daemon ends in order on SIGTERM");
        }
        Ok(())
    }
}
