//! The surroundings of the story: a bus, a server, a page, a device, and the daemon as a process of
//! its own.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use c2c_testkit::bus::TestBus;
use c2c_testkit::page::Page;
use c2c_testkit::rig::{CLIENT_ID, Process, Rig};
use c2c_testkit::server::{Options, Server, Truth};

use crate::Trouble;
use crate::actor::Actor;
use crate::binaries::Binaries;
use crate::caller::Wish;
use crate::cast::{Cast, Role};

/// How long anything may take that takes a moment.
pub(crate) const MOMENT: Duration = Duration::from_secs(20);

/// The access token of the pairing lives this long: 8 hours at the real server.
pub(crate) const FIRST_LIFE: Duration = Duration::from_secs(12);

/// The last lines that are shown when something went wrong.
const LAST_WORDS: usize = 15;

/// Everything that runs. Stopped and swept up when dropped, callers first.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) ui: Actor,
    pub(crate) uploader: Actor,
    pub(crate) stranger: Actor,
    pub(crate) daemon: Process,
    /// The output of daemons that are no more.
    said: Vec<String>,
    pub(crate) rig: Rig,
    pub(crate) page: Page,
    pub(crate) server: Server,
    pub(crate) bus: TestBus,
    pub(crate) cast: Cast,
    pub(crate) binaries: Binaries,
}

impl Stage {
    /// Starts everything. The daemon is not waited for.
    pub(crate) fn set(cast: Cast, binaries: Binaries) -> Result<Self, Trouble> {
        let server = Server::start(Options {
            // The shortest pause between polls that there is, so that an approval is soon noticed.
            interval: Duration::from_secs(1),
            access_life: FIRST_LIFE,
            project: "Demo project".to_owned(),
            ..Options::default()
        })?;
        let page = Page::open(&server)?;
        let bus = TestBus::start()?;
        let mut rig = Rig::new(&server)?;
        if let Some(user) = cast.user(Role::Daemon) {
            rig.run_as(user)?;
        }
        rig.configure(|config| {
            config
                .set("refresh", "at", "50%")
                .set("access", "ui", [cast.entry(Role::Ui).as_str()]);
            match cast {
                Cast::Users => config.set("access", "uploader", [cast.entry(Role::Uploader).as_str()]),
                // With one user there is no stranger: the role is granted later.
                Cast::OneUser(_) => config.set("access", "uploader", [""; 0]),
            };
        })?;
        let daemon = spawn(&rig, &binaries, &bus)?;
        let enter = |role| Actor::enter(cast, role, &binaries, bus.address());
        Ok(Self {
            ui: enter(Role::Ui)?,
            uploader: enter(Role::Uploader)?,
            stranger: enter(Role::Stranger)?,
            daemon,
            said: Vec::new(),
            rig,
            page,
            server,
            bus,
            cast,
            binaries,
        })
    }

    // `kill -9`.
    pub(crate) fn kill(&mut self) -> Result<(), Trouble> {
        self.daemon.kill()?;
        Ok(())
    }

    /// Starts the daemon again after its end.
    pub(crate) fn restart(&mut self) -> Result<(), Trouble> {
        self.said.extend(self.daemon.output());
        self.daemon = spawn(&self.rig, &self.binaries, &self.bus)?;
        Ok(())
    }

    /// All that was ever logged.
    pub(crate) fn log(&self) -> Vec<String> {
        let mut log = self.said.clone();
        log.extend(self.daemon.output());
        log
    }

    /// The end of the log.
    pub(crate) fn last_words(&self) -> Vec<String> {
        let log = self.log();
        log[log.len().saturating_sub(LAST_WORDS)..].to_vec()
    }

    /// How the daemon ended, if it has: then that is why nothing goes on.
    pub(crate) async fn epitaph(&mut self) -> Option<String> {
        let status = self.daemon.wait_exit(Duration::ZERO).await.ok()?;
        Some(format!("The daemon is no more: {status}."))
    }

    /// Waits until the daemon's one sentence holds `part`.
    pub(crate) async fn sentence(&self, part: &'static str) -> Result<String, Trouble> {
        let heard = self
            .daemon
            .notifications()
            .wait(
                move |told| told.get("STATUS").is_some_and(|status| status.contains(part)),
                MOMENT,
            )
            .await
            .map_err(|error| format!("the daemon did not come to say “{part}”: {error}"))?;
        Ok(heard.get("STATUS").unwrap_or_default().to_owned())
    }

    /// Access tokens issued from now on live this long.
    pub(crate) fn tokens_live(&self, life: Duration) {
        self.server.set_options(|options| options.access_life = life);
    }

    /// The server's own account.
    pub(crate) fn truth<R>(&self, look: impl FnOnce(&Truth) -> R) -> R {
        self.server.truth(look)
    }

    /// True if the server takes this token, and no other.
    pub(crate) fn is_live(&self, token: &str) -> bool {
        self.truth(|truth| truth.live(CLIENT_ID).access == Some(token))
    }

    /// How many refreshes the server carried out.
    pub(crate) fn refreshes(&self) -> u64 {
        self.truth(|truth| truth.counters().refreshes_committed)
    }

    /// The uploader shows this token to the API.
    pub(crate) async fn upload(&mut self, token: &str) -> Result<u16, Trouble> {
        let wish = Wish::Upload {
            base_uri: self.server.base_uri(),
            ca_file: self.ca_file(),
            token: token.to_owned(),
        };
        self.uploader.upload(wish).await
    }

    /// Runs `c2c-authctl` as one of the cast.
    pub(crate) async fn tool(&self, role: Role, args: &[&str]) -> Result<Output, Trouble> {
        let mut command = Command::new(&self.binaries.tool);
        command.args(["--bus", self.bus.address()]).args(args).env_clear();
        self.cast.dress(role, &mut command);
        let output = tokio::process::Command::from(command)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        Ok(tokio::time::timeout(MOMENT, output)
            .await
            .map_err(|_| "c2c-authctl does not end")??)
    }

    // Beside the configuration that names it: readable by all.
    fn ca_file(&self) -> PathBuf {
        self.rig.config_file().with_file_name("ca.pem")
    }
}

fn spawn(rig: &Rig, binaries: &Binaries, bus: &TestBus) -> Result<Process, Trouble> {
    Ok(rig.spawn_with(&binaries.daemon, bus.address(), |command| {
        // Ctrl-C is for the demo, which then ends the daemon.
        std::os::unix::process::CommandExt::process_group(command, 0);
    })?)
}
