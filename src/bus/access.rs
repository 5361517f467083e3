//! The identity of a caller, and its rights.
//!
//! The bus policy decides first, on the bus. The daemon decides again, for every method, so that a
//! bus without our policy does not open the door. The only proof of identity is what the bus
//! reports about a connection (`GetConnectionCredentials`): uid and groups, as of when it
//! connected. A right that needs anything else is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zbus::Connection;
use zbus::fdo::ConnectionCredentials;
use zbus::names::UniqueName;

use super::error_reply::ErrorReply;
use crate::messages::contract::ErrorName;

/// Connections whose owner is remembered. Beyond it the oldest is asked for again: slower, never
/// wrong.
const REMEMBERED: usize = 256;

/// The bus answers from memory. A bus that takes longer than this is as good as none.
const CREDENTIALS_LIMIT: Duration = Duration::from_secs(5);

/// A role of a caller, which allows some calls. Device information is open to everybody whom the
/// bus lets read properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Pair, cancel, unpair, show codes.
    Ui,
    /// Fetch tokens, report refused ones.
    Uploader,
}

/// A user or a group, by number: names are resolved where the configuration is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    Uid(u32),
    /// A group id, primary or supplementary.
    Gid(u32),
}

/// Which users and groups hold which role. root holds all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    pub ui: Vec<Principal>,
    pub uploader: Vec<Principal>,
}

impl Access {
    pub(crate) fn permits(&self, role: Role, caller: &Caller) -> bool {
        let holders = match role {
            Role::Ui => &self.ui,
            Role::Uploader => &self.uploader,
        };
        caller.uid == 0
            || holders.iter().any(|holder| match *holder {
                Principal::Uid(uid) => caller.uid == uid,
                Principal::Gid(gid) => caller.groups.contains(&gid),
            })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub uid: u32,
    /// All groups, or none where the bus does not report them completely.
    pub groups: Vec<u32>,
    /// The process, for the journal only: pids are reused and prove nothing.
    pub pid: Option<u32>,
}

/// Where the identity of callers comes from.
#[derive(Debug)]
pub(crate) enum Callers {
    /// The bus vouches for each connection.
    Bus(KnownCallers),
    /// A connection without a bus: its one peer is known beforehand.
    #[cfg(test)]
    Fixed(Arc<Caller>),
}

/// Callers whose credentials the bus has told, by unique name. Unique names are never reused, so an
/// entry cannot become wrong, only useless.
#[derive(Debug, Default)]
pub(crate) struct KnownCallers(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<Box<str>, (u64, Arc<Caller>)>,
    /// Counts insertions: the smallest number is the oldest entry.
    next: u64,
}

impl Callers {
    pub(crate) fn bus() -> Self {
        Self::Bus(KnownCallers::default())
    }

    /// There is a bus that says which of them is gone.
    pub(super) const fn are_on_a_bus(&self) -> bool {
        match self {
            Self::Bus(_) => true,
            #[cfg(test)]
            Self::Fixed(_) => false,
        }
    }

    /// The sender of this call, and the number of its connection. Asks the bus once for each
    /// connection.
    pub(super) async fn identify(
        &self,
        connection: &Connection,
        sender: Option<&UniqueName<'_>>,
    ) -> Result<(Arc<Caller>, u64), ErrorReply> {
        match (self, sender) {
            #[cfg(test)]
            (Self::Fixed(caller), _) => Ok((Arc::clone(caller), 0)),
            (Self::Bus(_), None) => Err(unknown()),
            (Self::Bus(known), Some(sender)) => {
                if let Some(found) = known.get(sender) {
                    return Ok(found);
                }
                let caller = Arc::new(ask(connection, sender).await.ok_or_else(unknown)?);
                Ok(known.insert(sender, caller))
            }
        }
    }

    /// The number of the newest connection on the bus. 0 where the bus does not tell.
    pub(super) async fn newest(&self, connection: &Connection) -> u64 {
        match self {
            #[cfg(test)]
            Self::Fixed(_) => 0,
            Self::Bus(_) => newest(connection).await.unwrap_or_default(),
        }
    }

    /// A connection is gone. Answers with its uid if none of that user's remembered connections is
    /// left.
    pub(super) fn forget(&self, name: &str) -> Option<u32> {
        match self {
            Self::Bus(known) => known.forget(name),
            #[cfg(test)]
            Self::Fixed(_) => None,
        }
    }
}

impl KnownCallers {
    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        // Nothing in here panics halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &str) -> Option<(Arc<Caller>, u64)> {
        let table = self.table();
        let (age, caller) = table.entries.get(name)?;
        Some((Arc::clone(caller), number(name).unwrap_or(*age)))
    }

    /// Two calls of one connection may both have asked the bus: the first entry stands.
    fn insert(&self, name: &str, caller: Arc<Caller>) -> (Arc<Caller>, u64) {
        if let Some(found) = self.get(name) {
            return found;
        }
        let mut table = self.table();
        if table.entries.len() >= REMEMBERED {
            let oldest = table
                .entries
                .iter()
                .min_by_key(|(_, (age, _))| *age)
                .map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                table.entries.remove(&oldest);
            }
        }
        let age = table.next;
        table.next += 1;
        table.entries.insert(name.into(), (age, Arc::clone(&caller)));
        (caller, number(name).unwrap_or(age))
    }

    fn forget(&self, name: &str) -> Option<u32> {
        let mut table = self.table();
        let (_, gone) = table.entries.remove(name)?;
        let left = table.entries.values().any(|(_, caller)| caller.uid == gone.uid);
        (!left).then_some(gone.uid)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table().entries.len()
    }
}

/// The number of a connection: buses count them, and the last part of a unique name is that count,
/// in a name like `:1.42`. Later connections have greater numbers, and none is used again. `None`
/// for a bus that names them otherwise: there the order of their first calls has to do.
fn number(name: &str) -> Option<u64> {
    name.rsplit('.').next()?.parse().ok()
}

async fn newest(connection: &Connection) -> Option<u64> {
    let bus = Some("org.freedesktop.DBus");
    let call = connection.call_method(bus, "/org/freedesktop/DBus", bus, "ListNames", &());
    let reply = tokio::time::timeout(CREDENTIALS_LIMIT, call).await.ok()?.ok()?;
    let body = reply.body();
    let names: Vec<&str> = body.deserialize().ok()?;
    let unique = names.into_iter().filter(|name| name.starts_with(':'));
    unique.filter_map(number).max()
}

async fn ask(connection: &Connection, sender: &UniqueName<'_>) -> Option<Caller> {
    let call = connection.call_method(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        Some("org.freedesktop.DBus"),
        "GetConnectionCredentials",
        sender,
    );
    let reply = tokio::time::timeout(CREDENTIALS_LIMIT, call).await.ok()?.ok()?;
    known(reply.body().deserialize().ok()?)
}

fn known(credentials: ConnectionCredentials) -> Option<Caller> {
    Some(Caller {
        uid: credentials.unix_user_id()?,
        // The kernel names a process of another pid namespace 0. systemd takes 0 for whoever asks.
        pid: credentials.process_id().filter(|&pid| pid != 0),
        groups: credentials.into_unix_group_ids().unwrap_or_default(),
    })
}

fn unknown() -> ErrorReply {
    ErrorReply::new(
        ErrorName::AccessDenied,
        "the bus does not say who calls, so nothing is allowed: this needs a bus that implements GetConnectionCredentials",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, groups: &[u32]) -> Caller {
        Caller {
            uid,
            groups: groups.to_vec(),
            pid: None,
        }
    }

    #[test]
    fn a_role_is_held_by_its_users_and_groups_and_root_and_nobody_else() {
        let access = Access {
            ui: vec![Principal::Gid(100), Principal::Uid(7)],
            uploader: vec![Principal::Gid(200)],
        };
        let table = [
            (caller(0, &[]), true, true),
            (caller(7, &[]), true, false),
            (caller(8, &[5, 100]), true, false),
            (caller(8, &[200]), false, true),
            (caller(8, &[100, 200]), true, true),
            // The numbers of a user and a group are not the same thing.
            (caller(100, &[7]), false, false),
            (caller(8, &[]), false, false),
        ];
        for (caller, ui, uploader) in table {
            assert_eq!(access.permits(Role::Ui, &caller), ui, "{caller:?}");
            assert_eq!(access.permits(Role::Uploader, &caller), uploader, "{caller:?}");
        }
        assert!(
            !Access::default().permits(Role::Ui, &caller(1, &[0])),
            "the group root is not the user root"
        );
    }

    #[test]
    fn a_process_that_the_kernel_cannot_name_here_is_unknown() {
        let with_pid = |pid| {
            let credentials = ConnectionCredentials::default().set_unix_user_id(5).set_process_id(pid);
            known(credentials).map(|caller| caller.pid)
        };
        assert_eq!(with_pid(0), Some(None));
        assert_eq!(with_pid(7), Some(Some(7)));
        assert_eq!(
            known(ConnectionCredentials::default()),
            None,
            "nobody vouches for a uid"
        );
    }

    #[test]
    fn the_table_of_callers_never_grows_beyond_its_size_and_the_oldest_goes_first() {
        let known = KnownCallers::default();
        for index in 0..=REMEMBERED {
            known.insert(&format!(":1.{index}"), Arc::new(caller(5, &[])));
        }
        assert_eq!(known.len(), REMEMBERED);
        assert!(known.get(":1.0").is_none());
        assert!(known.get(":1.1").is_some());
        assert!(known.get(&format!(":1.{REMEMBERED}")).is_some());
    }

    #[test]
    fn connections_are_numbered_in_the_order_in_which_the_bus_made_them() {
        let names = [":1.0", ":1.9", ":1.10", ":1.4294967296"];
        let numbers = names.map(number);
        assert!(numbers.is_sorted() && numbers[0] < numbers[3], "{numbers:?}");
    }

    #[test]
    fn where_names_hold_no_number_the_first_calls_are_counted() {
        let known = KnownCallers::default();
        let inserted = |name| known.insert(name, Arc::new(caller(5, &[]))).1;
        let (first, second) = (inserted(":a"), inserted(":b"));
        assert!(first < second);
        assert_eq!(inserted(":a"), first, "asked twice at once");
        assert_eq!(known.get(":b").map(|(_, number)| number), Some(second));
    }

    #[test]
    fn a_user_is_gone_with_the_last_connection() {
        let known = KnownCallers::default();
        known.insert(":1.1", Arc::new(caller(5, &[])));
        known.insert(":1.2", Arc::new(caller(5, &[])));
        known.insert(":1.3", Arc::new(caller(6, &[])));
        assert_eq!(known.forget(":1.1"), None);
        assert_eq!(known.forget(":1.1"), None, "a second time");
        assert_eq!(known.forget(":1.2"), Some(5));
        assert_eq!(known.forget(":1.9"), None, "never seen");
        assert_eq!(known.len(), 1);
    }
}
