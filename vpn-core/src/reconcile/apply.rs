//! Doing what the plan says.

use std::time::Duration;

use super::{Act, Finding, Plan, ReconcileError, Reconciler};
use crate::{
    audit::{Action, Entry, JobAct},
    domain::{Client, ClientState, ClientStatus, FencingToken, Holder, Invalid, Job, JobId, JobKind, JobState, Server},
    error::Error,
    host::{HostError, HostErrorKind, Order, certificate_of_profile},
    lock::Lease,
    queue::Handler as _,
    service::{Queued, RevokeClient},
    store::{NewClient, StoreError, Tx},
};

/// Why clients are revoked here, as their records have it.
const REVOKED_THERE: &str = "reconciled: the VPN host has it revoked";
const LOST: &str = "reconciled: the database lost its profile, and somebody may have it";
const GIVEN_UP: &str = "reconciled: its revocation was given up";
const BEFORE: &str = "reconciled: the VPN host had it revoked, and the database did not know it";
const UNKNOWN: &str = "reconciled: the VPN host had it, and the database did not know it";

/// How long a revocation is waited for: half a minute, then workers go on with it alone.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const LOOKS: u32 = 150;

/// What became of a finding.
#[derive(Debug)]
pub struct Done {
    /// The finding.
    pub finding: Finding,
    /// How far the two are level on it now.
    pub result: Result<Outcome, ReconcileError>,
}

/// What was reached.
#[derive(Debug)]
pub enum Outcome {
    /// They are level, or nothing was to be done.
    Level,
    /// It is revoked, and the CRL in force has it. Its sessions are not proven gone: OpenVPN does not tell, or the name
    /// is that of another certificate by now, and OpenVPN knows sessions by name.
    SessionsUnproven,
    /// This job is not at its end: workers go on with it.
    GoesOn(Box<Job>),
}

impl Reconciler {
    /// Does it, client by client. One that fails does not keep the others from being put right; all of
    /// it can be repeated.
    pub async fn apply(&self, plan: Plan) -> Result<Vec<Done>, ReconcileError> {
        let mut entry = Entry::by(&self.caller, Action::ServerReconciled).server(plan.server.id);
        for act in plan.findings.iter().map(|finding| finding.act) {
            let alike = plan.findings.iter().filter(|finding| finding.act == act).count();
            entry = entry.with(act.as_str(), u64::try_from(alike).unwrap_or(u64::MAX));
        }
        self.runner.store.begin().await?.commit(entry.with("level", plan.level.to_string()), []).await?;
        let mut done = Vec::with_capacity(plan.findings.len());
        for finding in plan.findings {
            let result = self.put_right(&plan.server, &finding).await;
            done.push(Done { finding, result });
        }
        self.runner.events.announce();
        Ok(done)
    }

    async fn put_right(&self, server: &Server, finding: &Finding) -> Result<Outcome, ReconcileError> {
        match finding.act {
            Act::Missing | Act::LeaveAdopted => Ok(Outcome::Level),
            Act::RecordAsRevoked => match self.record_revoked(server, finding).await {
                // There is nothing to record it under, and no need to: the CRL has it.
                Err(ReconcileError::InTheWay(why)) if finding.revoked_at.is_some() => Err(ReconcileError::Left(why)),
                recorded => recorded.map(level),
            },
            Act::RaiseFence => self.raise(server, finding).await.map(level),
            Act::Revoke => self.raise_and_revoke(server, finding, REVOKED_THERE).await,
            Act::RevokeLost => self.raise_and_revoke(server, finding, LOST).await,
            Act::RevokeGivenUp => self.raise_and_revoke(server, finding, GIVEN_UP).await,
            Act::RevokeAgain => self.revoke_again(server, finding).await,
            Act::Activate => self.activate(server, finding).await.map(level),
            Act::RecordAndRevoke => match self.record(server, finding).await {
                Err(ReconcileError::InTheWay(_)) => self.revoke_unrecorded(server, finding).await,
                recorded => {
                    recorded?;
                    self.revoke(server, finding, UNKNOWN).await
                }
            },
            Act::RecordAsPending => self.record(server, finding).await.map(level),
            Act::RecordAndActivate => {
                self.record(server, finding).await?;
                self.activate(server, finding).await.map(level)
            }
        }
    }

    fn entry(&self, server: &Server, finding: &Finding, status: ClientStatus) -> Entry {
        Entry::by(&self.caller, Action::ClientReconciled)
            .server(server.id)
            .client(finding.client_id, status)
            .with("name", finding.name.as_str())
            .with("serial", finding.serial.as_str())
            .with("act", finding.act.as_str())
            .with("fenceInDatabase", finding.fences.0.to_string())
            .with("fenceOnHost", finding.fences.1.to_string())
    }

    /// Raises the fence, if it is too low, and tells of the finding in any case.
    async fn raise(&self, server: &Server, finding: &Finding) -> Result<(), ReconcileError> {
        let mut tx = self.runner.store.begin().await?;
        let client = tx.lock_client(finding.client_id).await?;
        let status = client.as_ref().map_or(ClientStatus::Pending, Client::status);
        if client.is_some_and(|client| client.fence < finding.fences.1 && client.status() != ClientStatus::Revoked) {
            tx.raise_fence(finding.client_id, finding.fences.1).await?;
        }
        tx.commit(self.entry(server, finding, status), []).await?;
        Ok(())
    }

    /// Records a client that the database does not know, as it was created.
    async fn record(&self, server: &Server, finding: &Finding) -> Result<(), ReconcileError> {
        let tx = self.inserted(server, finding).await?;
        tx.commit(self.entry(server, finding, ClientStatus::Pending), []).await?;
        Ok(())
    }

    /// Records a client that the host has revoked before the database knew it. The host has its tombstone, so
    /// there is nothing to be done there.
    async fn record_revoked(&self, server: &Server, finding: &Finding) -> Result<(), ReconcileError> {
        let mut tx = self.inserted(server, finding).await?;
        let at = finding.revoked_at.unwrap_or_else(|| tx.at());
        let reason = BEFORE.parse().map_err(|bad: Invalid| ReconcileError::InTheWay(bad.to_string()))?;
        tx.record_revocation(finding.client_id, &reason, at).await?;
        tx.commit(self.entry(server, finding, ClientStatus::Revoked).with("revokedAt", at.to_string()), []).await?;
        Ok(())
    }

    async fn inserted(&self, server: &Server, finding: &Finding) -> Result<Tx, ReconcileError> {
        let mut tx = self.runner.store.begin().await?;
        let new = NewClient {
            id: finding.client_id,
            server_id: server.id,
            name: finding.name.clone(),
            serial: finding.serial.clone(),
            created_by: self.caller.principal.to_string(),
        };
        match tx.insert_client(new).await {
            Ok(_) => {}
            Err(StoreError::Duplicate(_)) => {
                drop(tx);
                return Err(self.in_the_way(server, finding).await?);
            }
            Err(other) => return Err(other.into()),
        }
        if finding.fences.1 > FencingToken::ZERO {
            tx.raise_fence(finding.client_id, finding.fences.1).await?;
        }
        Ok(tx)
    }

    /// Why it cannot be recorded. A certificate that the database knows is not to be revoked for that.
    async fn in_the_way(&self, server: &Server, finding: &Finding) -> Result<ReconcileError, StoreError> {
        let sought = [(finding.serial.clone(), Some(finding.client_id))];
        let mut reader = self.runner.store.read().await?;
        let holders = reader.holders(&sought).await?;
        let is_here = |it: &&Holder| it.client.server_id == server.id && it.client.serial == finding.serial;
        let here = holders.iter().find(is_here).cloned();
        let elsewhere = reader.elsewhere(server.id, holders).await?;
        let knows = here.as_ref().or_else(|| elsewhere.find(&finding.serial, finding.client_id));
        if let Some(Holder { client, server, .. }) = knows.filter(|it| it.client.status() != ClientStatus::Revoked) {
            return Ok(ReconcileError::Known { name: client.name.clone(), id: client.id, server: server.clone() });
        }
        Ok(ReconcileError::InTheWay(format!(
            "another client of this server is called `{}` in the database, or has the same id, and there can be one: \
             without --adopt, the one that the database does not know is revoked",
            finding.name
        )))
    }

    async fn raise_and_revoke(
        &self,
        server: &Server,
        finding: &Finding,
        reason: &str,
    ) -> Result<Outcome, ReconcileError> {
        self.raise(server, finding).await?;
        self.revoke(server, finding, reason).await
    }

    /// As when a person asks for it, and at once: from the request on, nothing can activate the client.
    /// What is not done here, a worker goes on with.
    async fn revoke(&self, server: &Server, finding: &Finding, reason: &str) -> Result<Outcome, ReconcileError> {
        let id = finding.client_id.to_string();
        let input = RevokeClient { client_id: id, reason: reason.to_owned(), idempotency_key: None };
        let Queued { client, mut job } = self.platform.revoke_client(&self.caller, input).await?;
        // A worker may have been at its last step when the plan was made.
        if client.status() == ClientStatus::Revoked {
            return Ok(Outcome::Level);
        }
        let mut looks = tokio::time::interval(LOOK_EVERY);
        for _ in 0..LOOKS {
            looks.tick().await;
            // A worker may have it, or take it between two looks.
            self.runner.look_at(job.id).await;
            job = self.runner.store.read().await?.job(job.id).await?.ok_or_else(|| Error::not_found("jobId", "job"))?;
            if job.state.is_final() {
                break;
            }
        }
        match (job.state, job.failure) {
            (JobState::Succeeded, _) => Ok(Outcome::Level),
            (JobState::Queued | JobState::Running, failure) => Ok(Outcome::GoesOn(Box::new(Job { failure, ..job }))),
            (_, Some(failure)) if failure.code == HostErrorKind::CONFLICT => self.finish(server, finding).await,
            (state, failure) => {
                let why = failure.map_or_else(|| state.as_str().to_owned(), |failure| failure.message);
                Err(ReconcileError::Failed { job: job.id, why })
            }
        }
    }

    /// A job that revokes ends only when it is proven that no session is left, and the host refuses to look: the name
    /// is that of another certificate, which is not revoked. It came to be so because the database forgot that the client
    /// was revoked, and its sessions ended, before. What can be read back is that the CRL in force has the serial.
    async fn finish(&self, server: &Server, finding: &Finding) -> Result<Outcome, ReconcileError> {
        let Some(client) = self.runner.store.read().await?.client(finding.client_id).await? else {
            return Err(Error::not_found("clientId", "client").into());
        };
        self.locked(finding, |lease| self.finish_under(server, finding, &client, lease)).await
    }

    async fn finish_under(
        &self,
        server: &Server,
        finding: &Finding,
        client: &Client,
        lease: Lease,
    ) -> Result<Outcome, ReconcileError> {
        let mut tx = self.runner.store.begin().await?;
        tx.adopt_client(client.id, lease.fence(), false).await?;
        tx.commit(self.entry(server, finding, client.status()), []).await?;
        let (sessions, entry) = self.shut_out(server, finding, client, &lease).await?;
        if sessions == Sessions::Unproven {
            return Err(HostError::new(server, HostErrorKind::SessionsUnproven, None).into());
        }
        let mut tx = self.runner.store.begin().await?;
        tx.lock_client(client.id).await?;
        tx.mark_client_revoked(client.id, lease.fence()).await?;
        tx.destroy_profile(client.id).await?;
        tx.commit(entry, []).await?;
        Ok(sessions.into())
    }

    /// Another client has its name in the database by now, so it cannot be recorded there: only the host
    /// is told, and the audit log.
    async fn revoke_unrecorded(&self, server: &Server, finding: &Finding) -> Result<Outcome, ReconcileError> {
        let client = Client {
            id: finding.client_id,
            server_id: server.id,
            name: finding.name.clone(),
            serial: finding.serial.clone(),
            state: ClientState::Pending,
            revocation: None,
            fence: finding.fences.1,
            created_by: self.caller.principal.to_string(),
            created_at: self.runner.ambient.now(),
        };
        self.locked(finding, |lease| self.revoke_again_under(server, finding, &client, lease)).await
    }

    /// The client is revoked in the database, where nothing can change any more: only the host is told.
    async fn revoke_again(&self, server: &Server, finding: &Finding) -> Result<Outcome, ReconcileError> {
        let Some(client) = self.runner.store.read().await?.client(finding.client_id).await? else {
            return Ok(Outcome::Level);
        };
        // The host may have it by another name than the database, and asks for its own.
        let client = Client { name: finding.name.clone(), ..client };
        self.locked(finding, |lease| self.revoke_again_under(server, finding, &client, lease)).await
    }

    async fn revoke_again_under(
        &self,
        server: &Server,
        finding: &Finding,
        client: &Client,
        lease: Lease,
    ) -> Result<Outcome, ReconcileError> {
        let (sessions, entry) = self.shut_out(server, finding, client, &lease).await?;
        self.runner.store.begin().await?.commit(entry, []).await?;
        Ok(sessions.into())
    }

    /// On the host: tombstone, CRL, sessions. With the entry that tells of it.
    async fn shut_out(
        &self,
        server: &Server,
        finding: &Finding,
        client: &Client,
        lease: &Lease,
    ) -> Result<(Sessions, Entry), ReconcileError> {
        let order = Order { server, client, job: JobId::generate(&self.runner.ambient), fence: lease.fence() };
        let revoked = self.runner.hosts.revoke(order).await?;
        let entry = self.entry(server, finding, ClientStatus::Revoked).with("run", revoked.evidence.to_json());
        let sessions = match self.runner.hosts.kill(order).await {
            Ok(killed) if killed.proves_no_session() => Sessions::Gone,
            Ok(_) => Sessions::Unproven,
            Err(error) if matches!(error.kind(), HostErrorKind::Conflict(_)) => Sessions::OfAnother,
            Err(other) => return Err(other.into()),
        };
        Ok((sessions, entry.with("sessionsProvenGone", sessions == Sessions::Gone)))
    }

    /// Makes a client active whose profile was handed out before the database was set back. Its
    /// certificate is asked of the host, by an order that the host has carried out before.
    async fn activate(&self, server: &Server, finding: &Finding) -> Result<(), ReconcileError> {
        let Some(client) = self.runner.store.read().await?.client(finding.client_id).await? else { return Ok(()) };
        self.locked(finding, |lease| self.activate_under(server, finding, &client, lease)).await
    }

    async fn activate_under(
        &self,
        server: &Server,
        finding: &Finding,
        client: &Client,
        lease: Lease,
    ) -> Result<(), ReconcileError> {
        let fence = lease.fence();
        let mut tx = self.runner.store.begin().await?;
        tx.adopt_client(client.id, fence, true).await?;
        let entry = self.entry(server, finding, ClientStatus::Pending).with("fence", fence.token().to_string());
        tx.commit(entry, []).await?;
        let order = Order { server, client, job: JobId::generate(&self.runner.ambient), fence };
        let issued = self.runner.hosts.issue_again(order).await?;
        let certificate = certificate_of_profile(&issued.profile, client, None).map_err(|fault| {
            ReconcileError::InTheWay(format!("the host's certificate is not the client's: {fault}"))
        })?;
        let mut tx = self.runner.store.begin().await?;
        tx.lock_client(client.id).await?;
        tx.activate_client(client.id, &certificate, fence).await?;
        let mut canceled = Vec::new();
        for job in tx.open_jobs(&[client.id]).await?.iter().filter(|job| job.kind() == JobKind::Provision) {
            tx.cancel_job(job.id).await?;
            let entry = Entry::by(&self.caller, Action::Job(JobKind::Provision, JobAct::Canceled)).server(server.id);
            canceled.push(entry.client(client.id, ClientStatus::Active).job(job, JobState::Canceled));
        }
        let entry = self.entry(server, finding, ClientStatus::Active).with("run", issued.evidence.to_json());
        tx.commit(entry, canceled).await?;
        Ok(())
    }

    async fn locked<T, F>(&self, finding: &Finding, work: impl FnOnce(Lease) -> F) -> Result<T, ReconcileError>
    where
        F: Future<Output = Result<T, ReconcileError>>,
    {
        let floor = finding.fences.0.max(finding.fences.1);
        self.runner.locks.with(&Client::resource(finding.client_id), floor, work).await?
    }
}

/// What the host tells of the sessions of a client that it has revoked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sessions {
    /// There is none.
    Gone,
    /// It does not say, or some are left.
    Unproven,
    /// The name is that of another certificate by now, and OpenVPN knows sessions by name: it does not look.
    OfAnother,
}

impl From<Sessions> for Outcome {
    fn from(sessions: Sessions) -> Self {
        match sessions {
            Sessions::Gone => Self::Level,
            Sessions::Unproven | Sessions::OfAnother => Self::SessionsUnproven,
        }
    }
}

const fn level((): ()) -> Outcome {
    Outcome::Level
}
