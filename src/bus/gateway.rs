//! The path of every method: authenticate, authorize, throttle. Then the loop decides, and the
//! answer goes out.
//!
//! Holds no state of the product. The loop decides. This waits for it, never longer than
//! [`ANSWER_LIMIT`].

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use zbus::Connection;
use zbus::message::Header;

use super::access::{Access, Caller, Callers, Role};
use super::error_reply::ErrorReply;
use super::qr::pictures::Pictures;
use super::signal_queue::SignalQueue;
use super::throttle::{Permit, RateLimit, Weight};
use super::token_audit::TokenAudit;
use super::{Call, DeviceFacts, ReadRedirect};
use crate::messages::contract::ErrorName;
use c2c_auth_core::{CallError, Client, Command, Reply};

/// The core answers within 20 s. This is for the case that it does not: a stuck loop must not hang
/// its callers too.
const ANSWER_LIMIT: Duration = Duration::from_secs(21);

pub(super) struct Gateway {
    pub(super) facts: DeviceFacts,
    pub(super) access: watch::Receiver<Arc<Access>>,
    pub(super) callers: Callers,
    pub(super) throttle: RateLimit,
    pub(super) audit: TokenAudit,
    pub(super) signals: SignalQueue,
    pub(super) pictures: Pictures,
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) redirects: ReadRedirect,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

/// A caller that was let in, for the length of its call.
pub(super) struct Admission<'a> {
    pub(super) caller: Arc<Caller>,
    connection: u64,
    _permit: Permit<'a>,
}

impl Admission<'_> {
    pub(super) fn client(&self) -> Client {
        Client {
            uid: self.caller.uid,
            connection: self.connection,
        }
    }
}

impl Gateway {
    /// Lets a caller in, or says why not.
    pub(super) async fn authorize(
        &self,
        connection: &Connection,
        header: &Header<'_>,
        role: Role,
        weight: Weight,
    ) -> Result<Admission<'_>, ErrorReply> {
        let (caller, number) = self.callers.identify(connection, header.sender()).await?;
        if !self.access.borrow().permits(role, &caller) {
            return Err(refused(role));
        }
        let permit = self.throttle.admit(caller.uid, weight).await?;
        Ok(Admission {
            caller,
            connection: number,
            _permit: permit,
        })
    }

    /// Holds a call back that every role may make, at the pace of its uid.
    pub(super) async fn pace(&self, connection: &Connection, header: &Header<'_>) -> Result<Permit<'_>, ErrorReply> {
        let (caller, _) = self.callers.identify(connection, header.sender()).await?;
        self.throttle.admit(caller.uid, Weight::Reading).await
    }

    /// Asks the loop. The answer comes after every signal that follows from it (D4).
    pub(super) async fn call(&self, command: Command) -> Result<Reply, ErrorReply> {
        let (reply, mut answer) = oneshot::channel();
        // Not `send`: a full queue means that the loop is behind, and waiting callers would only
        // hide that.
        self.calls
            .try_send(Call { command, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => ErrorReply::new(
                    ErrorName::LimitsExceeded,
                    "too many calls are waiting: call again in a moment",
                ),
                mpsc::error::TrySendError::Closed(_) => ErrorReply::ending(),
            })?;
        // Most answers come from the loop's memory. Let it have its turn first: an answer that is
        // there at the first look needs no timer, and a timer here is a write and a wake-up of its
        // own for each call.
        yield_once().await;
        let early = match answer.try_recv() {
            Ok(answer) if self.signals.is_flushed() => return answer.map_err(ErrorReply::from),
            Ok(answer) => Some(answer),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => return Err(ErrorReply::ending()),
        };
        let answered = async {
            let answer = match early {
                Some(answer) => Ok(answer),
                None => answer.await,
            };
            self.signals.flushed().await;
            answer
        };
        match tokio::time::timeout(ANSWER_LIMIT, answered).await {
            Ok(Ok(answer)) => answer.map_err(ErrorReply::from),
            Ok(Err(_)) => Err(ErrorReply::ending()),
            Err(_) => Err(CallError::Timeout.into()),
        }
    }

    /// For methods that answer with nothing.
    pub(super) async fn tell(&self, command: Command) -> Result<(), ErrorReply> {
        match self.call(command).await? {
            Reply::Done => Ok(()),
            Reply::Started { .. } | Reply::Code(_) | Reply::Token { .. } => Err(ErrorReply::ending()),
        }
    }
}

/// Goes to the end of the queue of tasks that are ready to run. Unlike `yield_now` it does not look
/// for events in between.
async fn yield_once() {
    let mut taken = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut taken, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn refused(role: Role) -> ErrorReply {
    let text = match role {
        Role::Ui => {
            "only the role \"ui\" may do this: add this program's user to the group c2c-ui (or to [access] ui) and connect again"
        }
        Role::Uploader => {
            "only the role \"uploader\" may do this: add this program's user to the group c2c-uploader (or to [access] \
             uploader) and connect again"
        }
    };
    ErrorReply::new(ErrorName::AccessDenied, text)
}
