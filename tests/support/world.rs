//! A database with somebody in it: servers, clients, jobs, and fences from real locks.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use vpn_core::{
    audit::{Action, Entry, Verified, Verifier},
    clock::{Ambient, Timestamp},
    domain::{
        Certificate, Client, ClientId, CommonName, DriftReport, Fence, FencingToken, Job, JobFailure, JobId, JobInput,
        JobKind, ProvisionInput, RevokeInput, Serial, Server, ServerAddress, ServerId, Step,
    },
    lock::{LockPolicy, Locks},
    sandbox::random_hex,
    store::{NewClient, NewJob, NewServer, Store},
};

use crate::{Database, Db, redis, stepping};

/// What the tests know of a host key: its form.
const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// An entry for commits whose entry does not matter.
#[must_use]
pub fn told() -> Entry {
    Entry::by_system("test", Action::ClientCreated)
}

/// A fresh database, and locks in the shared Redis.
#[derive(Debug)]
pub struct World {
    /// The database.
    pub db: Db,
    /// A clock that never shows the same time twice.
    pub ambient: Ambient,
    /// Where fences come from.
    pub locks: Locks,
}

impl World {
    /// On a fresh, migrated database.
    pub async fn on(database: Database) -> Result<Self> {
        let locks = redis::locks(&redis::shared_url().await?, LockPolicy::default())?;
        Ok(Self { db: Db::migrated(database).await?, ambient: stepping(), locks })
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.db.store
    }

    /// A fence on the client with a token above `floor`, from a lock that was held and given back.
    pub async fn fence_above(&self, client: ClientId, floor: FencingToken) -> Result<Fence> {
        let granted = self.locks.with(&Client::resource(client), floor, async |lease| lease.fence().clone()).await;
        granted.context("a fence")
    }

    /// A fence that is newer than all that the client has seen.
    pub async fn fence(&self, client: ClientId) -> Result<Fence> {
        let floor = self.reload(client).await?.fence;
        self.fence_above(client, floor).await
    }

    /// A new server.
    pub async fn server(&self) -> Result<Server> {
        let mut tx = self.store().begin().await?;
        let server = tx.insert_server(self.new_server()?).await?;
        tx.commit(told(), []).await?;
        Ok(server)
    }

    /// A server that is not stored yet.
    pub fn new_server(&self) -> Result<NewServer> {
        Ok(NewServer {
            id: ServerId::generate(&self.ambient),
            name: format!("vpn-{}", random_hex(6)?).parse()?,
            address: ServerAddress::new("vpn.example.org", 22, "vpn-host")?,
            host_key: Some(HOST_KEY.to_owned()),
            created_by: "alice".to_owned(),
        })
    }

    /// A new client, `pending`, on a new server.
    pub async fn client(&self) -> Result<Client> {
        let server = self.server().await?;
        self.client_on(server.id).await
    }

    /// A new client, `pending`.
    pub async fn client_on(&self, server: ServerId) -> Result<Client> {
        let mut tx = self.store().begin().await?;
        let client = tx.insert_client(self.new_client(server)?).await?;
        tx.commit(told(), []).await?;
        Ok(client)
    }

    /// A client that is not stored yet.
    pub fn new_client(&self, server_id: ServerId) -> Result<NewClient> {
        Ok(NewClient {
            id: ClientId::generate(&self.ambient),
            server_id,
            name: self.name()?,
            serial: Serial::generate(&self.ambient),
            created_by: "alice".to_owned(),
        })
    }

    /// A name that nobody has.
    pub fn name(&self) -> Result<CommonName> {
        Ok(format!("laptop-{}", random_hex(6)?).parse()?)
    }

    /// A job that is not stored yet.
    #[must_use]
    pub fn new_job(&self, client_id: ClientId, kind: JobKind) -> NewJob {
        let input = match kind {
            JobKind::Provision => JobInput::Provision(ProvisionInput::for_days(30)),
            JobKind::Revoke => JobInput::Revoke(RevokeInput { reason: "laptop stolen".to_owned() }),
        };
        NewJob {
            id: JobId::generate(&self.ambient),
            client_id,
            input,
            max_attempts: 3,
            requested_by: "alice".to_owned(),
            request_id: None,
            retry_of: None,
        }
    }

    /// A new job, `queued`.
    pub async fn job(&self, client: ClientId, kind: JobKind) -> Result<Job> {
        let mut tx = self.store().begin().await?;
        let job = tx.insert_job(self.new_job(client, kind)).await?;
        tx.commit(told(), []).await?;
        Ok(job)
    }

    /// A queued job of a new client.
    pub async fn queued(&self, kind: JobKind) -> Result<Job> {
        let client = self.client().await?;
        self.job(client.id, kind).await
    }

    /// Claims the job under a new fence.
    pub async fn claim(&self, job: &Job, lease: Duration) -> Result<(Job, Fence)> {
        let fence = self.fence(job.client_id).await?;
        let step = match job.kind() {
            JobKind::Provision => Step::Issue,
            JobKind::Revoke => Step::PublishCrl,
        };
        let mut tx = self.store().begin().await?;
        let job = tx.claim_job(job, step, &fence, lease).await?;
        tx.commit(told(), []).await?;
        Ok((job, fence))
    }

    /// A running job of a new client, and the fence it runs under.
    pub async fn running(&self, kind: JobKind) -> Result<(Job, Fence)> {
        let job = self.queued(kind).await?;
        self.claim(&job, Duration::from_secs(30)).await
    }

    /// A new client that was provisioned.
    pub async fn active(&self) -> Result<Client> {
        let (job, fence) = self.running(JobKind::Provision).await?;
        let mut tx = self.store().begin().await?;
        tx.activate_client(job.client_id, &certificate(), &fence).await?;
        tx.succeed_job(&job, &fence).await?;
        tx.commit(told(), []).await?;
        self.reload(job.client_id).await
    }

    /// Asks for the client's end.
    pub async fn request_revocation(&self, client: ClientId) -> Result<()> {
        let mut tx = self.store().begin().await?;
        tx.request_revocation(client, &"laptop stolen".parse()?).await?;
        tx.commit(told(), []).await?;
        Ok(())
    }

    /// A new client that was revoked before it was provisioned.
    pub async fn revoked(&self) -> Result<Client> {
        let client = self.client().await?;
        self.request_revocation(client.id).await?;
        let (job, fence) = self.claim(&self.job(client.id, JobKind::Revoke).await?, Duration::from_secs(30)).await?;
        let mut tx = self.store().begin().await?;
        tx.mark_client_revoked(client.id, &fence).await?;
        tx.succeed_job(&job, &fence).await?;
        tx.commit(told(), []).await?;
        self.reload(client.id).await
    }

    /// The client as it is stored.
    pub async fn reload(&self, id: ClientId) -> Result<Client> {
        self.store().read().await?.client(id).await?.ok_or_else(|| anyhow!("{id} is not stored"))
    }

    /// The job as it is stored.
    pub async fn reload_job(&self, id: JobId) -> Result<Job> {
        self.store().read().await?.job(id).await?.ok_or_else(|| anyhow!("{id} is not stored"))
    }

    /// Checks the whole audit log.
    pub async fn verify_log(&self) -> Result<Verified> {
        let mut reader = self.store().read().await?;
        let head = reader.audit_head().await?;
        let (mut verifier, mut last) = (Verifier::default(), 0);
        loop {
            let entries = reader.audit_after(last, None, 200).await?;
            let Some(end) = entries.last() else { break };
            last = end.seq;
            for entry in &entries {
                verifier.take(entry)?;
            }
        }
        Ok(verifier.finish(head.seq, &head.hash)?)
    }
}

/// A certificate as the platform keeps it.
#[must_use]
pub fn certificate() -> Certificate {
    Certificate {
        sha256_fingerprint: "ab".repeat(32),
        not_before: Timestamp::from_seconds(1_700_000_000),
        not_after: Timestamp::from_seconds(1_800_000_000),
    }
}

/// Why an attempt failed.
#[must_use]
pub fn failure() -> JobFailure {
    JobFailure { code: "HOST_UNREACHABLE".to_owned(), message: "cannot be reached".to_owned() }
}

/// The SHA-256 of the configuration that was found on a server that [`differs`].
pub const FOUND: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// The server was compared twice, and the second time OpenVPN's configuration was another one.
pub async fn differs(store: &Store, id: ServerId) -> Result<()> {
    for configuration in ["aa".repeat(32), FOUND.to_owned()] {
        let mut tx = store.begin().await?;
        let begun = tx.at();
        tx.claim_comparison(id, Duration::ZERO).await?;
        tx.note_comparison(id, begun, &Ok(DriftReport::of(configuration, Vec::new()))).await?;
        tx.commit(told(), []).await?;
    }
    Ok(())
}
