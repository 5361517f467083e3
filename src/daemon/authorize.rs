//! One authorization request of the code grant: the server's addresses, a `state`, a verifier, a
//! listener, the address for the browser, in that order.
//!
//! The listener stands before the address exists, so that nobody can be sent to a port that another
//! process has taken.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::bus::Call;
use crate::discovery::{Client, Unresolved};
use crate::loopback::{Bound, Callbacks, Delivered, Listener};
use crate::oauth::{Kind, OauthCode, Provider, RedirectError};
use crate::transport::{Outcome, random};
use c2c_auth_core::{
    Answer, Authorization, AuthorizeAnswer, CallError, CodeVerifier, Command, Fault, FaultKind, LocalFault, Redirect,
    StateParameter, UserCode,
};

/// How long a browser's answer waits for the loop: as long as a call may take.
const TURN: Duration = Duration::from_secs(20);

/// Nothing was asked of anybody.
const REFUSED: Fault = Fault {
    kind: FaultKind::Refused,
    retry_after: None,
};

/// Makes one. The listener is there for a redirect URI of this machine. Any other is answered
/// through `CompletePairing`.
pub(super) async fn authorize(client: Client, calls: mpsc::Sender<Call>) -> (Outcome, Option<Listener>) {
    match compose(client, calls).await {
        Ok((authorization, listener)) => {
            let answer = Answer::Authorize(AuthorizeAnswer::Ready(authorization));
            (answer.into(), listener)
        }
        Err(why) => (why.outcome(Kind::Authorize), None),
    }
}

async fn compose(client: Client, calls: mpsc::Sender<Call>) -> Result<(Authorization, Option<Listener>), Unresolved> {
    let provider = client.resolve(Kind::Authorize).await?;
    let Provider::OauthCode(code) = &*provider else {
        // Asked for by the code grant's policy alone.
        return Err(REFUSED.into());
    };
    let (state, verifier) = (random()?, random()?);
    let bound = if code.redirect_uri().is_loopback() {
        let bound = Bound::to(code.redirect_uri()).map_err(|error| {
            tracing::warn!("a browser cannot be awaited: {error}");
            local(if error.is_taken() {
                LocalFault::PortTaken
            } else {
                LocalFault::NoListener
            })
        })?;
        Some(bound)
    } else {
        None
    };
    let redirect = bound.as_ref().map_or_else(|| code.redirect_uri(), Bound::redirect_uri);
    let uri = code.authorization(redirect, &state, &verifier).ok_or(REFUSED)?;
    let authorization = Authorization {
        state: StateParameter::new(state.to_string()),
        verifier: CodeVerifier::new(verifier.to_string()),
        authorization_uri: UserCode::new(uri.to_string()),
        redirect_uri: redirect.to_string(),
    };
    let state = authorization.state.clone();
    let listener = bound.map(|bound| bound.serve(callbacks(state, code.clone(), calls)));
    Ok((authorization, listener))
}

fn callbacks(state: StateParameter, code: OauthCode, calls: mpsc::Sender<Call>) -> Callbacks {
    Callbacks {
        state,
        read: Box::new(move |address| code.redirected(address)),
        deliver: Box::new(move |redirect| deliver(&calls, redirect)),
    }
}

/// As `CompletePairing`, for a browser on this machine. Where the loop is behind, it waits for its
/// turn: the browser will not come again by itself.
fn deliver(calls: &mpsc::Sender<Call>, redirect: Redirect) -> Delivered {
    let (reply, answer) = oneshot::channel();
    let command = Command::CompletePairing(redirect);
    let calls = calls.clone();
    Box::pin(async move {
        match timeout(TURN, calls.send(Call { command, reply })).await {
            Ok(Ok(())) => {}
            // Nothing was done with it: the same answer may be brought again.
            Err(_) => return Err(CallError::TooOften { wait: Duration::ZERO }),
            // The daemon ends.
            Ok(Err(_)) => return Err(CallError::NoPairing),
        }
        // A reply that is dropped: the daemon ends.
        let answer = answer.await.unwrap_or(Err(CallError::NoPairing.into()));
        answer.map(drop).map_err(|refusal| refusal.error)
    })
}

/// The function by which the bus reads an address that somebody hands in.
pub(super) fn reader(client: Client) -> crate::bus::ReadRedirect {
    Box::new(move |address| {
        let read = client.provider().redirected(address)?;
        Some(read.map_err(|why: RedirectError| why.to_string()))
    })
}

const fn local(fault: LocalFault) -> Fault {
    Fault {
        kind: FaultKind::Local(fault),
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

    use super::*;
    use c2c_auth_core::{RedirectOutcome, Reply};

    fn call() -> Call {
        Call {
            command: Command::Unpair,
            reply: oneshot::channel().0,
        }
    }

    fn redirect() -> Redirect {
        Redirect {
            state: StateParameter::new("s".to_owned()),
            outcome: RedirectOutcome::Denied,
        }
    }

    /// Time is the runtime's here: it jumps to the next deadline as soon as nothing else is to be
    /// done.
    #[tokio::test(start_paused = true)]
    async fn a_full_queue_loses_no_browsers_answer() {
        let (calls, mut queue) = mpsc::channel(1);
        calls.try_send(call()).unwrap();
        let waiting = tokio::spawn(deliver(&calls, redirect()));
        tokio::task::yield_now().await;
        queue.recv().await.unwrap();
        let Call { command, reply } = queue.recv().await.unwrap();
        assert_eq!(command, Command::CompletePairing(redirect()));
        reply.send(Ok(Reply::Done)).unwrap();
        assert_eq!(waiting.await.unwrap(), Ok(()));

        // A loop that never comes to it is told as that, not as one at work.
        calls.try_send(call()).unwrap();
        assert_eq!(
            deliver(&calls, redirect()).await,
            Err(CallError::TooOften { wait: Duration::ZERO })
        );
    }
}
