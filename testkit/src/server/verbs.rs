//! The verbs of a test: people's decisions, the network's faults.

use std::time::{Duration, SystemTime};

use super::{
    Cut, Endpoint, Fault, RateLimit, Server, Times, Tls,
    grants::CodeError,
    state::{Answer, Device, State},
    truth::End,
};

/// A code that a device shows and nobody has answered yet. `Debug` shows the code: it is on a
/// screen anyway, and made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Six digits.
    pub user_code: String,
    /// The name that is shown to whoever confirms.
    pub device_name: String,
    /// The unit.
    pub client_id: String,
    /// How much longer it lives.
    pub expires_in: Duration,
}

/// There is no such device in any project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such device is paired")]
pub struct NotPaired;

impl Server {
    /// The codes that can be approved now, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<Waiting> {
        self.state.read(waiting)
    }

    /// Approves a code into the project of the options.
    ///
    /// # Errors
    ///
    /// [`CodeError`] when nobody can approve it (any more).
    pub fn approve(&self, user_code: &str) -> Result<(), CodeError> {
        self.state.update(|s| {
            let project = s.options.project.clone();
            s.answer_code(user_code, Answer::Approved { project })
        })
    }

    /// Approves a code into a project of this name.
    ///
    /// # Errors
    ///
    /// [`CodeError`] when nobody can approve it (any more).
    pub fn approve_into(&self, user_code: &str, project: &str) -> Result<(), CodeError> {
        self.state.update(|s| {
            s.answer_code(
                user_code,
                Answer::Approved {
                    project: project.to_owned(),
                },
            )
        })
    }

    /// Denies a code: the next poll gets `access_denied`.
    ///
    /// # Errors
    ///
    /// [`CodeError`] when nobody can deny it (any more).
    pub fn deny(&self, user_code: &str) -> Result<(), CodeError> {
        self.state.update(|s| s.answer_code(user_code, Answer::Denied))
    }

    /// Forgets a device in its project, or lets its pairing run out: both tokens are dead,
    /// refreshes get the detailed 401.
    ///
    /// # Errors
    ///
    /// [`NotPaired`] when there is nothing to forget.
    pub fn forget(&self, client_id: &str) -> Result<(), NotPaired> {
        self.state
            .update(|s| s.end_grant(client_id, End::Forgotten).then_some(()))
            .ok_or(NotPaired)
    }

    /// Renames the project of a device.
    ///
    /// # Errors
    ///
    /// [`NotPaired`] when it never joined one.
    pub fn rename_project(&self, client_id: &str, name: &str) -> Result<(), NotPaired> {
        self.change(client_id, |d| name.clone_into(&mut d.project))
    }

    /// Pauses or resumes a device. Its tokens stay good.
    ///
    /// # Errors
    ///
    /// [`NotPaired`] when it never joined a project.
    pub fn pause(&self, client_id: &str, paused: bool) -> Result<(), NotPaired> {
        self.change(client_id, |d| d.paused = paused)
    }

    /// Moves the end of a device's pairing that the user chose, or removes it. When it has come,
    /// the device is forgotten.
    ///
    /// # Errors
    ///
    /// [`NotPaired`] when it never joined a project.
    pub fn set_authorization_end(&self, client_id: &str, end: Option<SystemTime>) -> Result<(), NotPaired> {
        self.change(client_id, |d| d.ends = end)
    }

    /// Ends the access token only, as if its time were up: the API answers 401 to it, a refresh
    /// still works.
    ///
    /// # Errors
    ///
    /// [`NotPaired`] when the device never joined a project.
    pub fn end_access_token(&self, client_id: &str) -> Result<(), NotPaired> {
        let now = self.now();
        self.change(client_id, |d| d.grant.iter_mut().for_each(|g| g.access_ends = now))
    }

    fn change(&self, client_id: &str, change: impl FnOnce(&mut Device)) -> Result<(), NotPaired> {
        self.state
            .update(|s| s.devices.get_mut(client_id).map(change))
            .ok_or(NotPaired)
    }
}

/// The network's faults.
impl Server {
    /// The next request to this endpoint meets this fault. Faults of one endpoint queue up.
    pub fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.faults(endpoint, Times::Next(1), fault);
    }

    /// So many requests to this endpoint meet this fault.
    pub fn faults(&self, endpoint: Endpoint, times: Times, fault: Fault) {
        self.state.update(|s| s.faults.push(endpoint, times, fault));
    }

    /// Every request to an endpoint without faults of its own meets this fault until they are
    /// cleared.
    pub fn fault_everywhere(&self, fault: Fault) {
        self.state.update(|s| s.faults.everywhere(fault));
    }

    /// The fault that costs a pairing: the next refresh is committed and its answer lost.
    pub fn lose_next_refresh_answer(&self) {
        self.fault(Endpoint::Refresh, Fault::Cut(Cut::AfterCommit));
    }

    /// Forgets all faults that wait. Requests that stall already stall on.
    pub fn clear_faults(&self) {
        self.state.update(|s| s.faults.clear());
    }

    /// Lets all requests go on that stall until released.
    pub fn release(&self) {
        self.order(|o| o.releases += 1, |_| true);
    }

    /// Closes the listener: connects are refused. Open connections stay. See
    /// [`Self::cut_connections`].
    ///
    /// # Panics
    ///
    /// When the server's thread is gone.
    pub fn refuse_connections(&self) {
        self.order(|o| o.open = false, |s| !s.listening);
    }

    /// Listens again, on the same port.
    ///
    /// # Panics
    ///
    /// When the server's thread is gone.
    pub fn accept_connections(&self) {
        self.order(|o| o.open = true, |s| s.listening);
    }

    /// Cuts every connection that is open now, idle or not. Requests that were read are still acted
    /// on.
    ///
    /// # Panics
    ///
    /// When the server's thread is gone.
    pub fn cut_connections(&self) {
        let newest = self.truth(|t| t.counters.connections);
        self.order(
            |o| o.cut_up_to = newest,
            move |s| s.truth.open_connections.iter().all(|n| *n > newest),
        );
    }

    /// The result for the next connections when they speak TLS.
    pub fn set_tls(&self, tls: Tls) {
        self.state.update(|s| s.tls = tls);
    }

    /// Keeps connections open between requests, or not. They are kept open at first.
    pub fn set_keep_alive(&self, keep_alive: bool) {
        self.state.update(|s| s.keep_alive = keep_alive);
    }

    /// Every `Date` is off by so many seconds. The clock itself is not.
    pub fn set_date_skew(&self, seconds: i64) {
        self.state.update(|s| s.date_skew = seconds);
    }

    /// Limits the rate of requests, or lifts the limit.
    pub fn set_rate_limit(&self, limit: Option<RateLimit>) {
        self.state.update(|s| s.set_limit(limit));
    }
}

fn waiting(state: &State) -> Vec<Waiting> {
    let now = state.now();
    let open = state
        .codes
        .iter()
        .filter(|c| c.answer == Answer::None && c.over.is_none());
    open.filter_map(|c| {
        let expires_in = c.ends.duration_since(now).ok().filter(|left| !left.is_zero())?;
        Some(Waiting {
            user_code: c.user_code.clone(),
            device_name: state.device_name(&c.client_id),
            client_id: c.client_id.clone(),
            expires_in,
        })
    })
    .collect()
}
