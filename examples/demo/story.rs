//! The steps, in order. Each says what it is about, does it, and checks what came of it: at the
//! callers, and in the server's own account.

use std::time::Instant;

use c2c_testkit::server::Endpoint;

use crate::args::Wishes;
use crate::binaries::{self, Binaries};
use crate::cast::{Cast, Role};
use crate::say::Say;
use crate::stage::{FIRST_LIFE, MOMENT, Stage};
use crate::{Trouble, stay};

mod access;
mod pairing;
mod tokens;

/// It was told why. There is nothing more to say.
#[derive(Debug)]
pub(crate) struct Told;

/// Tells the whole story. `Err` when a step did not hold. It has been said then.
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
