//! The audit of tokens: one line in the journal for each user and generation.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::info;
use zbus::{Connection, ObjectPath};

use super::access::Caller;
use crate::messages::journal::TOKEN_HANDED_OUT;
use c2c_auth_core::Generation;

/// Users remembered for the current generation. One more is logged each time rather than forgotten.
const USERS: usize = 64;

/// systemd answers from memory.
const UNIT_LIMIT: Duration = Duration::from_secs(2);

/// The current generation, and the uids that already got it.
#[derive(Debug, Default)]
pub(super) struct TokenAudit(Mutex<(Generation, Vec<u32>)>);

impl TokenAudit {
    /// Notes that `caller` is about to get a token of `generation`. Logs it the first time.
    ///
    /// A task of its own asks for the caller's unit, and the caller does not wait for the answer.
    /// But the question leaves before the token does: systemd can name a caller only as long as it
    /// is there.
    pub(super) async fn note(&self, connection: &Connection, caller: &Arc<Caller>, generation: Generation) {
        if self.first(caller.uid, generation) {
            tokio::spawn(log(connection.clone(), Arc::clone(caller), generation));
            // The new task runs up to the first thing that it must wait for, which is systemd's
            // answer.
            tokio::task::yield_now().await;
        }
    }

    fn first(&self, uid: u32, generation: Generation) -> bool {
        // Nothing in here panics halfway through a change.
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != generation {
            *current = (generation, Vec::new());
        }
        let users = &mut current.1;
        if users.contains(&uid) {
            return false;
        }
        if users.len() < USERS {
            users.push(uid);
        }
        true
    }
}

async fn log(connection: Connection, caller: Arc<Caller>, generation: Generation) {
    let unit = match caller.pid {
        Some(pid) => unit_of(&connection, pid).await,
        None => None,
    };
    let unit = unit.as_deref().unwrap_or("unknown");
    let pid = caller.pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string());
    info!(
        MESSAGE_ID = TOKEN_HANDED_OUT.id,
        C2C_EVENT = TOKEN_HANDED_OUT.word,
        C2C_GENERATION = generation.0,
        C2C_CALLER_UID = caller.uid,
        C2C_CALLER_PID = pid,
        C2C_CALLER_UNIT = unit,
        "handed out access token {} to uid {} (unit {unit}, pid {pid})",
        generation.0,
        caller.uid,
    );
}

async fn unit_of(connection: &Connection, pid: u32) -> Option<String> {
    let call = connection.call_method(
        Some("org.freedesktop.systemd1"),
        "/org/freedesktop/systemd1",
        Some("org.freedesktop.systemd1.Manager"),
        "GetUnitByPID",
        &pid,
    );
    let reply = tokio::time::timeout(UNIT_LIMIT, call).await.ok()?.ok()?;
    let body = reply.body();
    let path: ObjectPath<'_> = body.deserialize().ok()?;
    unit_name(&path)
}

/// systemd writes a unit's name into its path with `_xx` for every byte that is no letter or digit.
fn unit_name(path: &str) -> Option<String> {
    let mut rest = path.strip_prefix("/org/freedesktop/systemd1/unit/")?.bytes();
    let mut name = Vec::new();
    while let Some(byte) = rest.next() {
        name.push(if byte == b'_' {
            let hex = [rest.next()?, rest.next()?];
            u8::from_str_radix(str::from_utf8(&hex).ok()?, 16).ok()?
        } else {
            byte
        });
    }
    let name = String::from_utf8(name).ok()?;
    (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_new_once_for_each_generation() {
        let audit = TokenAudit::default();
        assert!(audit.first(5, Generation(1)));
        assert!(!audit.first(5, Generation(1)));
        assert!(audit.first(6, Generation(1)));
        assert!(audit.first(5, Generation(2)));
        assert!(!audit.first(5, Generation(2)));
    }

    #[test]
    fn memory_is_bounded_and_the_journal_misses_nobody() {
        let audit = TokenAudit::default();
        for uid in 0..1000 {
            assert!(audit.first(uid, Generation(1)));
        }
        assert!(audit.0.lock().is_ok_and(|current| current.1.len() == USERS));
        assert!(audit.first(999, Generation(1)));
    }

    #[test]
    fn a_units_path_is_read_back_into_its_name() {
        let unit = |path: &str| unit_name(&format!("/org/freedesktop/systemd1/unit/{path}"));
        assert_eq!(
            unit("c2c_2duploader_2eservice").as_deref(),
            Some("c2c-uploader.service")
        );
        assert_eq!(unit("a_5fb_2escope").as_deref(), Some("a_b.scope"));
        assert_eq!(unit("broken_2"), None);
        assert_eq!(unit("broken_zz"), None);
        assert_eq!(unit("line_0abreak"), None);
        assert_eq!(unit(""), None);
        assert_eq!(unit_name("/elsewhere"), None);
    }
}
