//! Rejections: clients that say that a resource refused the token in hand.
//!
//! Owns who said so, whether a request that left later was answered, and what these clients are
//! served until then. Only what left after a rejection can answer it: an older answer is about a
//! time at which the token may still have lived.
//!
//! Must never: hold back a connection that did not reject, except the first call of a new one of a
//! uid that did; or take a client's word for the server's.
//!
//! Invariant: all of it is about the generation in hand. With another generation it is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::calls::{CALL_LIMIT, CallKind, Judgement, PendingCall, Wants};
use crate::{BootTime, CallError, CallId, Client, Context, Core, Generation, LogEvent, Probe, Reply};

/// Probes of one token are at least this far apart, whoever asks for them.
pub(super) const PROBES_APART: Duration = Duration::from_secs(1);

/// A uid whose rejection was wrong is asked about the same token only this much later: who is wrong
/// all the time costs the server six requests a minute.
const WRONG_SPACING: Duration = Duration::from_secs(10);

/// A connection that rejected a token which nobody can examine gets it once in this time. No
/// shorter than a call may wait, so that one call of such a connection is answered with the token,
/// and the next one waits.
const SAME_AGAIN: Duration = CALL_LIMIT;

/// For this long after a rejection new connections of its uid may be the same program that has
/// connected again.
const RECONNECTS: Duration = CALL_LIMIT;

/// New connections of a uid that rejected the token get it at this pace, all together.
const NEW_APART: Duration = Duration::from_secs(1);

/// Rejecting connections of one uid that are remembered: as many as it may have calls open. Beyond
/// it the oldest is served as if it had not rejected.
const MAX_CONNECTIONS: usize = 128;

/// Rejecting uids that are remembered. Only holders of the role get here: a handful on a real
/// device.
const MAX_UIDS: usize = 64;

/// Everything that clients say against the token in hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reports {
    open: BTreeMap<u64, Report>,
    uids: BTreeMap<u32, Reporter>,
    newest: u64,
}

/// The report of a connection, until a request that left later says more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Report {
    uid: u32,
    /// As the client named it.
    generation: Generation,
    stage: Stage,
    /// When the connection got the token all the same.
    handed: Option<BootTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Nothing left since.
    Fresh,
    /// A request that left later is out.
    Asked,
    /// The same, and then the connection rejected the token again.
    AskedBefore,
    /// A request that left later brought no verdict.
    Unanswered,
}

/// A uid that rejected the token in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Reporter {
    at: BootTime,
    /// Connections beyond this one came after it.
    newest: u64,
    /// When one of these got the token.
    handed: Option<BootTime>,
    /// When the server took the token all the same.
    wrong: Option<BootTime>,
    /// It is in the journal.
    logged: bool,
}

impl Reports {
    fn connected(&mut self, connection: u64) {
        self.newest = self.newest.max(connection);
    }

    fn reporter(&self, uid: u32, now: BootTime) -> Option<&Reporter> {
        self.uids
            .get(&uid)
            .filter(|reporter| now < reporter.at.after(RECONNECTS))
    }

    fn reported(&mut self, client: Client, generation: Generation, now: BootTime) {
        self.connected(client.connection);
        if !self.uids.contains_key(&client.uid) && self.uids.len() >= MAX_UIDS {
            let oldest = self.uids.iter().min_by_key(|(_, reporter)| reporter.at);
            if let Some(uid) = oldest.map(|(uid, _)| *uid) {
                self.uids.remove(&uid);
            }
        }
        let reporter = self.uids.entry(client.uid).or_insert(Reporter {
            at: now,
            newest: 0,
            handed: None,
            wrong: None,
            logged: false,
        });
        reporter.at = now;
        reporter.newest = self.newest;
        if let Some(report) = self.open.get_mut(&client.connection) {
            report.stage = match report.stage {
                Stage::Fresh | Stage::Unanswered => Stage::Fresh,
                Stage::Asked | Stage::AskedBefore => Stage::AskedBefore,
            };
            return;
        }
        let mut others = self.open.iter().filter(|(_, report)| report.uid == client.uid);
        if let Some((oldest, _)) = others.next()
            && others.count() + 1 >= MAX_CONNECTIONS
        {
            let oldest = *oldest;
            self.open.remove(&oldest);
        }
        let report = Report {
            uid: client.uid,
            generation,
            stage: Stage::Fresh,
            handed: None,
        };
        self.open.insert(client.connection, report);
    }

    /// A request that examines the token leaves.
    pub(super) fn asked(&mut self) {
        for report in self.open.values_mut() {
            report.stage = match report.stage {
                Stage::Fresh | Stage::Unanswered => Stage::Asked,
                stage @ (Stage::Asked | Stage::AskedBefore) => stage,
            };
        }
    }

    /// The request ended without telling anything.
    pub(super) fn unanswered(&mut self) {
        self.back_to(Stage::Unanswered);
    }

    /// The request was dropped, or is too old to tell anything: another one follows.
    pub(super) fn without_probe(&mut self) {
        self.back_to(Stage::Fresh);
    }

    fn back_to(&mut self, stage: Stage) {
        for report in self.open.values_mut() {
            report.stage = match report.stage {
                Stage::Asked => stage,
                Stage::AskedBefore => Stage::Fresh,
                stage @ (Stage::Fresh | Stage::Unanswered) => stage,
            };
        }
    }

    /// The server took the token after these uids had rejected it.
    fn contradicted(&mut self, now: BootTime) -> Vec<(u32, Generation)> {
        let mut wrong = Vec::new();
        self.open.retain(|_, report| match report.stage {
            Stage::Fresh | Stage::Unanswered => true,
            Stage::Asked => {
                wrong.push((report.uid, report.generation));
                false
            }
            Stage::AskedBefore => {
                wrong.push((report.uid, report.generation));
                report.stage = Stage::Fresh;
                true
            }
        });
        for (uid, _) in &wrong {
            if let Some(reporter) = self.uids.get_mut(uid) {
                reporter.wrong = Some(now);
            }
        }
        wrong
    }

    /// When the server may be asked again for this uid's sake.
    fn spacing_ends(&self, uid: u32) -> BootTime {
        let wrong = self.uids.get(&uid).and_then(|reporter| reporter.wrong);
        wrong.map_or(BootTime::default(), |at| at.after(WRONG_SPACING))
    }

    /// When the next rejection is to be examined.
    pub(super) fn next_probe(&self) -> Option<BootTime> {
        let fresh = self.open.values().filter(|report| report.stage == Stage::Fresh);
        fresh.map(|report| self.spacing_ends(report.uid)).min()
    }

    /// Another token, or none, is in hand. Which connections are new is no matter of tokens.
    pub(super) fn forget(&mut self) {
        *self = Self {
            newest: self.newest,
            ..Self::default()
        };
    }

    pub(super) fn any(&self) -> bool {
        !self.open.is_empty()
    }

    /// True if this is the first complaint of this uid that is worth a line in the journal.
    fn log_once(&mut self, uid: u32) -> bool {
        let reporter = self.uids.get_mut(&uid);
        reporter.is_some_and(|reporter| !std::mem::replace(&mut reporter.logged, true))
    }
}

impl Probe {
    /// There is a connection of this number.
    pub(crate) fn connected(&mut self, connection: u64) {
        self.reports.connected(connection);
    }

    /// A call of `GetAccessToken` came. Whether it is the first of a connection that may be a
    /// rejecting program come back.
    pub(crate) fn arrived(&mut self, client: Client, now: BootTime) -> bool {
        let reporter = self.reports.reporter(client.uid, now);
        let reconnected = reporter.is_some_and(|reporter| client.connection > reporter.newest);
        self.connected(client.connection);
        reconnected
    }

    /// A client gets the token in hand.
    pub(crate) fn handed(&mut self, client: Client, reconnected: bool, now: BootTime) {
        if let Some(report) = self.reports.open.get_mut(&client.connection) {
            report.handed = Some(now);
        } else if reconnected && let Some(reporter) = self.reports.uids.get_mut(&client.uid) {
            reporter.handed = Some(now);
            // It has the token and did not reject it: from now on it is as any other.
            reporter.newest = reporter.newest.max(client.connection);
        }
    }
}

impl Core {
    pub(crate) fn reject_access_token(
        &mut self,
        cx: &mut Context<'_>,
        call: CallId,
        client: Client,
        generation: Generation,
    ) {
        let now = cx.at();
        let Some(credential) = self.credential.in_hand() else {
            let error = self.setup.without_pairing();
            cx.reply(call, Err(error));
            return;
        };
        if generation == Generation::NONE || generation > credential.generation() {
            cx.reply(call, Err(CallError::UnknownGeneration));
            return;
        }
        if generation < credential.generation() || credential.is_unusable(now) {
            // Replaced already, or as good as replaced: that a dead token is refused is no news. If
            // only the wall clock calls it dead, an answer may yet call it young.
            if generation == credential.generation() && credential.by_wall_clock() && credential.may_reject(client.uid)
            {
                self.probe.reports.reported(client, generation, now);
            }
            cx.reply(call, Ok(Reply::Done));
            return;
        }
        if !credential.may_reject(client.uid) {
            cx.reply(call, Err(CallError::NotYours));
            return;
        }
        self.probe.reports.reported(client, generation, now);
        if !self.setup.policy().can_probe {
            self.report_without_probe(cx, client.uid, generation);
            cx.reply(call, Ok(Reply::Done));
            return;
        }
        let wants = Wants::ProbeResult {
            caller: client.uid,
            examined: false,
        };
        self.calls.push(call, now.after(CALL_LIMIT), wants);
    }

    /// Where nobody can be asked, a client's word is worth one refresh within the limit, and no
    /// more: it takes the token from no other client, ends no pairing that cannot be refreshed, and
    /// does not decide which of two pairs lives.
    fn report_without_probe(&mut self, cx: &mut Context<'_>, caller: u32, generation: Generation) {
        let Some(credential) = self.credential.paired_mut() else {
            return;
        };
        if self.probe.reports.log_once(caller) {
            cx.log(LogEvent::ReportUnverified { caller, generation });
        }
        let first = !credential.needs_replacing();
        credential.report();
        if first {
            self.refresh.token_rejected();
            // After a lost answer it may well be true: the next resend need not wait for longer
            // than it must.
            self.refresh.bring_resend_forward();
        }
    }

    /// The server took the token: who rejected it before that request left was wrong. Told once for
    /// each uid and token, however often it insists.
    pub(crate) fn contradict_reports(&mut self, cx: &mut Context<'_>) {
        let reports = &mut self.probe.reports;
        for (caller, generation) in reports.contradicted(cx.at()) {
            if reports.log_once(caller) {
                cx.log(LogEvent::ReportContradicted { caller, generation });
            }
        }
        self.calls.answer_examined(cx);
    }

    pub(crate) fn fail_reports(&mut self, cx: &mut Context<'_>, error: CallError) {
        self.probe.reports.unanswered();
        self.calls.answer(cx, CallKind::ProbeResult, Err(error));
    }

    /// The judgement on a call of `RejectAccessToken` whose probe was not answered yet.
    pub(crate) fn judge_report(&self, call: &PendingCall, caller: u32, now: BootTime) -> Judgement {
        if self.credential.in_hand().is_none_or(|token| token.is_unusable(now)) {
            return Judgement::Answer(Ok(Reply::Done));
        }
        let soon = |start: BootTime| start <= now.after(PROBES_APART);
        if now >= call.deadline || self.probe.busy() || self.examined_at(caller).is_some_and(soon) {
            return call.until_deadline(now);
        }
        // The probe is put off.
        let failing = self.probe.failing().filter(|_| self.may_probe());
        Judgement::Answer(failing.map_or(Ok(Reply::Done), Err))
    }

    /// True if a refresh that examines rejections has begun or ended.
    pub(crate) fn examination_changed(&self) -> bool {
        let refreshing = !self.refresh.is_idle();
        let changed = |report: &Report| match report.stage {
            Stage::Fresh | Stage::Unanswered => refreshing,
            Stage::Asked | Stage::AskedBefore => !refreshing,
        };
        !self.setup.policy().can_probe && self.probe.reports.open.values().any(changed)
    }

    /// Where no resource can be asked, the refresh is what examines a rejection: it ends the doubt,
    /// or fails.
    pub(crate) fn examine_by_refresh(&mut self) {
        if self.setup.policy().can_probe {
            return;
        }
        if self.refresh.is_idle() {
            self.probe.reports.unanswered();
            self.calls.unexamined();
        } else {
            self.probe.reports.asked();
            self.calls.examining();
        }
    }

    /// When the rejection of this uid is examined, if nothing is out already.
    fn examined_at(&self, uid: u32) -> Option<BootTime> {
        if !self.setup.policy().can_probe {
            return self.refresh_starts(false);
        }
        let spacing = self.probe.reports.spacing_ends(uid);
        self.may_probe().then(|| self.probe.earliest_if_waiting().max(spacing))
    }

    /// Until when a caller of `GetAccessToken` waits because of a rejection, although the token in
    /// hand would do.
    pub(crate) fn held_until(
        &self,
        client: Client,
        reconnected: bool,
        deadline: BootTime,
        now: BootTime,
    ) -> Option<BootTime> {
        let replacing = !self.refresh.is_idle() || !self.storage.pending().may_conclude();
        let reports = &self.probe.reports;
        if let Some(report) = reports.open.get(&client.connection) {
            let starts = (report.stage != Stage::Unanswered)
                .then(|| self.examined_at(report.uid))
                .flatten();
            let examined = replacing || self.probe.busy() || starts.is_some_and(|start| start <= deadline);
            return if examined {
                Some(deadline)
            } else {
                report.handed.map(|at| at.after(SAME_AGAIN).min(deadline))
            };
        }
        let reporter = reports.reporter(client.uid, now).filter(|_| reconnected)?;
        if replacing || self.probe.probing() {
            Some(deadline)
        } else {
            reporter.handed.map(|at| at.after(NEW_APART).min(deadline))
        }
    }
}
