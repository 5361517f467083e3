//! The demo's end of a caller's process: wishes go in, answers come out.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::Trouble;
use crate::binaries::Binaries;
use crate::caller::{Answer, Code, Token, Wish};
use crate::cast::{Cast, Role};

/// Above the 20 s within which the daemon answers everything.
const LIMIT: Duration = Duration::from_secs(25);

/// A caller. Its process is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Actor {
    child: Child,
    wishes: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// An error of the bus or the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// The last part of its name.
    pub(crate) word: String,
    /// Its text for people.
    pub(crate) text: String,
}

impl Actor {
    /// Starts the process of one of the cast.
    pub(crate) fn enter(cast: Cast, role: Role, binaries: &Binaries, bus: &str) -> Result<Self, Trouble> {
        let mut command = Command::new(&binaries.demo);
        command.args(["--as-caller", bus]);
        cast.dress(role, &mut command);
        let mut child = tokio::process::Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(wishes), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a caller has no pipes".into());
        };
        Ok(Self {
            child,
            wishes,
            answers: BufReader::new(answers).lines(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    async fn ask(&mut self, wish: Wish) -> Result<Result<Answer, Refusal>, Trouble> {
        let mut line = serde_json::to_string(&wish)?;
        line.push('\n');
        self.wishes.write_all(line.as_bytes()).await?;
        let answer = tokio::time::timeout(LIMIT, self.answers.next_line())
            .await
            .map_err(|_| format!("no answer from the daemon within {LIMIT:?}"))??
            .ok_or("a caller's process ended")?;
        match serde_json::from_str(&answer)? {
            Answer::Refused(name, text) => Ok(Err(Refusal {
                word: name.rsplit('.').next().unwrap_or_default().to_owned(),
                text,
            })),
            Answer::Broken(text) => Err(text.into()),
            answer => Ok(Ok(answer)),
        }
    }

    async fn done(&mut self, wish: Wish) -> Result<Answer, Trouble> {
        let told = format!("{wish:?}");
        let name = told.split(['(', ' ']).next().unwrap_or_default();
        self.ask(wish)
            .await?
            .map_err(|refusal| format!("{name} was refused: {}: {}", refusal.word, refusal.text).into())
    }

    /// Fails unless the wish is refused.
    pub(crate) async fn refused(&mut self, wish: Wish) -> Result<Refusal, Trouble> {
        match self.ask(wish).await? {
            Err(refusal) => Ok(refusal),
            Ok(_) => Err("the call went through".into()),
        }
    }

    // `StartPairing`.
    pub(crate) async fn start_pairing(&mut self) -> Result<Code, Trouble> {
        match self.done(Wish::StartPairing).await? {
            Answer::Code(code) => Ok(code),
            other => Err(unexpected(&other)),
        }
    }

    /// `GetPairingCode`. `None` while there is none.
    pub(crate) async fn pairing_code(&mut self) -> Result<Option<Code>, Trouble> {
        match self.ask(Wish::GetPairingCode).await? {
            Ok(Answer::Code(code)) => Ok(Some(code)),
            Ok(other) => Err(unexpected(&other)),
            Err(refusal) if refusal.word == "NoPairing" => Ok(None),
            Err(refusal) => Err(refusal.text.into()),
        }
    }

    pub(crate) async fn words(&mut self, wish: Wish) -> Result<(String, String), Trouble> {
        match self.done(wish).await? {
            Answer::Text(first, second) => Ok((first, second)),
            other => Err(unexpected(&other)),
        }
    }

    /// Grants a wish whose answer is only that it is done.
    pub(crate) async fn plain(&mut self, wish: Wish) -> Result<(), Trouble> {
        match self.done(wish).await? {
            Answer::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    // `GetAccessToken`.
    pub(crate) async fn token(&mut self) -> Result<Token, Trouble> {
        match self.done(Wish::GetAccessToken).await? {
            Answer::Token(token) => Ok(token),
            other => Err(unexpected(&other)),
        }
    }

    // Waits for `AccessTokenChanged`.
    pub(crate) async fn change(&mut self, after: u64, seconds: u64) -> Result<Option<u64>, Trouble> {
        match self.done(Wish::AwaitChange { after, seconds }).await? {
            Answer::Changed(generation) => Ok(generation),
            other => Err(unexpected(&other)),
        }
    }

    /// The API's verdict on a token.
    pub(crate) async fn upload(&mut self, wish: Wish) -> Result<u16, Trouble> {
        match self.done(wish).await? {
            Answer::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &Answer) -> Trouble {
    format!("a caller answered {answer:?}").into()
}
