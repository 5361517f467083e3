//! A token for each request to the API, by the rules of docs/uploader.md.
//!
//! Owns: the caller's rule (`rule`), and the calls and pauses that follow from it.
//!
//! Must never: keep a token, decide what the daemon decides, print.
//!
//! Invariants: it listens before it asks. A caller that asks again at once, whatever came, keeps
//! the rule. A call that is dropped half-way loses nothing.

mod rule;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use zbus::export::futures_core::Stream;
use zbus::{Connection, DBusError as _};
use zeroize::Zeroizing;

use crate::proxy::{self, TokensProxy};
pub use rule::Why;
use rule::{Rule, Wait};

/// The daemon answers within 20 s.
const CALL_LIMIT: Duration = Duration::from_secs(25);

/// A bearer token. Use it for one request.
pub struct Token {
    secret: Zeroizing<String>,
    /// Seconds left, at least 1.
    pub expires_in: u32,
    /// Hand it to [`TokenSource::rejected`] when the API answers 401.
    pub generation: u64,
}

impl Token {
    /// The secret, for `Authorization: Bearer`. Never log or store it.
    #[must_use]
    pub fn access_token(&self) -> &str {
        &self.secret
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires_in", &self.expires_in)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// There is no token now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenError {
    why: Why,
    text: Arc<str>,
}

impl TokenError {
    /// Its row of the table.
    #[must_use]
    pub fn why(&self) -> Why {
        self.why
    }

    /// True if every further call gives this error, at once.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.why, Why::Refused | Why::NoBus)
    }

    /// True if a person has to act. It comes once an hour, so each can be told.
    #[must_use]
    pub fn is_for_a_person(&self) -> bool {
        matches!(self.why, Why::NotAccepted | Why::Refused)
    }
}

impl From<zbus::Error> for TokenError {
    fn from(error: zbus::Error) -> Self {
        let why = match &error {
            zbus::Error::MethodError(name, ..) => Why::of(name.as_str()),
            zbus::Error::FDO(known) => Why::of(known.name().as_str()),
            zbus::Error::InputOutput(error) if error.kind() == std::io::ErrorKind::TimedOut => Why::NoDaemon,
            zbus::Error::InputOutput(_) => Why::NoBus,
            _ => Why::NoToken,
        };
        let text = match &error {
            zbus::Error::MethodError(_, Some(text), _) => text.as_str().into(),
            _ => error.to_string().into(),
        };
        Self { why, text }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TokenError {}

/// Tokens on one connection, which the daemon knows its caller by. Share it between tasks.
pub struct TokenSource {
    tokens: TokensProxy<'static>,
    rule: Mutex<Rule>,
    last: Mutex<Option<TokenError>>,
    /// Whose turn it is to call. Counts the news: signals of another token, other owners. Seen is
    /// what came before a call that was answered, so that a call that is dropped spends none.
    turn: tokio::sync::Mutex<watch::Receiver<u64>>,
    listener: AbortHandle,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

impl TokenSource {
    /// Listens to the daemon. It calls nothing yet, and the daemon may be down.
    ///
    /// # Errors
    /// The bus does not answer, or refuses.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub async fn new(connection: &Connection) -> zbus::Result<Self> {
        let tokens = proxy::tokens(connection).await?;
        let mut changes = tokens.receive_access_token_changed().await?;
        let mut owners = tokens.inner().receive_owner_changed().await?;
        let (told, news) = watch::channel(0_u64);
        // The bus's queue is emptied whether somebody asks or not: a full one stops the connection.
        let listener = tokio::spawn(async move {
            loop {
                let is_news = tokio::select! {
                    change = next(&mut changes) => change.map(|_| true),
                    owner = next(&mut owners) => owner.map(|owner| owner.is_some()),
                };
                match is_news {
                    Some(true) => told.send_modify(|count| *count += 1),
                    Some(false) => {}
                    None => return,
                }
            }
        });
        Ok(Self {
            tokens,
            rule: Mutex::default(),
            last: Mutex::default(),
            turn: tokio::sync::Mutex::new(news),
            listener: listener.abort_handle(),
        })
    }

    /// A token that is valid for at least `min_validity` seconds; 0 is the daemon's default.
    ///
    /// After an error the next call first waits as long as the table has it, then asks once. So ask
    /// in a loop, without a pause of your own, until [`TokenError::is_final`].
    ///
    /// # Errors
    /// There is none now, and why.
    pub async fn token(&self, min_validity: u32) -> Result<Token, TokenError> {
        let mut turn = self.turn.lock().await;
        self.wait(turn.clone()).await?;
        loop {
            let mut news = turn.clone();
            news.borrow_and_update();
            let answer = timeout(CALL_LIMIT, self.tokens.get_access_token(min_validity)).await;
            *turn = news.clone();
            let (access, expires_in, generation) = match answer {
                Ok(Ok(served)) => served,
                Ok(Err(error)) => return Err(self.failed(error.into())),
                Err(_) => {
                    let (why, text) = (Why::NoDaemon, "the daemon does not answer".into());
                    return Err(self.failed(TokenError { why, text }));
                }
            };
            let secret = Zeroizing::new(access);
            let now = Instant::now();
            let until = locked(&self.rule).handle_served(now, generation);
            let waited = until.map_or(Duration::ZERO, |until| until - now);
            let left = u64::from(expires_in).saturating_sub(waited.as_secs());
            if let Some(until) = until {
                tokio::select! {
                    biased;
                    Ok(()) = news.changed() => continue,
                    () = sleep_until(until) => {}
                }
            }
            if let Some(expires_in) = u32::try_from(left).ok().filter(|left| *left > 0) {
                return Ok(Token {
                    secret,
                    expires_in,
                    generation,
                });
            }
        }
    }

    /// Tells the daemon that the API answered 401 to the token of this generation. Whatever it
    /// answers, [`Self::token`] is the next call; that one waits where the same token comes back.
    pub async fn rejected(&self, generation: u64) {
        locked(&self.rule).handle_rejected(Instant::now(), generation);
        let _ = timeout(CALL_LIMIT, self.tokens.reject_access_token(generation)).await;
    }

    async fn wait(&self, mut news: watch::Receiver<u64>) -> Result<(), TokenError> {
        let wait = locked(&self.rule).wait();
        match wait {
            Wait::Nothing => {}
            Wait::Time(until) => sleep_until(until).await,
            Wait::News => {
                // Without a listener there is no bus, which the call finds.
                let _ = news.changed().await;
            }
            Wait::NewsOr(until) => tokio::select! {
                Ok(()) = news.changed() => {}
                () = sleep_until(until) => {}
            },
            Wait::Never => return locked(&self.last).clone().map_or(Ok(()), Err),
        }
        Ok(())
    }

    fn failed(&self, error: TokenError) -> TokenError {
        locked(&self.rule).handle_failed(Instant::now(), error.why);
        *locked(&self.last) = Some(error.clone());
        error
    }
}

impl Drop for TokenSource {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// No holder of these locks can panic between two changes.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn next<T: Stream + Unpin>(stream: &mut T) -> Option<T::Item> {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

#[cfg(test)]
mod tests;
