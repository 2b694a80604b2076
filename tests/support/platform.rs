//! A whole platform for one test: a fresh database, a Redis of its own, a real VPN host over real SSH,
//! and workers in this process, in a hurry.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vpn_core::{
    audit::AuditEntry,
    clock::Ambient,
    domain::{
        Caller, Client, ClientId, ClientStatus, Job, JobFailure, JobId, JobKind, JobState, RequestId, Role, Server,
        ServerId,
    },
    host::{FaultyTransport, Hosts},
    jobs::{JobPolicy, RetryPolicy, SweepPolicy},
    lock::LockPolicy,
    sandbox::{Options, Sandbox, VpnHost, random_hex},
    service::{CreateClient, Platform, Policy, ProvisionClient, Queued, RegisterServer, RevokeClient},
    store::{AuditFilter, ClientFilter, PageRequest},
    vault::Vault,
    worker::{self, WorkerError},
};

use crate::{Database, Db, hosts, wait::PATIENCE};

/// The key that profiles are sealed with in tests, as configuration has it.
pub const PROFILE_KEY: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// Opens what was sealed with it.
pub fn vault() -> Result<Vault> {
    Ok(Vault::new(&SecretString::from(PROFILE_KEY))?)
}

/// How often a job is tried in tests.
pub const MAX_ATTEMPTS: i32 = 3;

/// The platform, and what it stands on.
pub struct TestPlatform {
    /// The database.
    pub db: Db,
    /// Its Redis.
    pub sandbox: Sandbox,
    /// The use cases.
    pub platform: Platform,
    /// Between the workers and the hosts: fails when a test plans it.
    pub faults: Arc<FaultyTransport>,
    /// May do everything.
    pub admin: Caller,
    /// The server that clients are created on.
    pub server: Server,
    pub(crate) vault: Vault,
}

/// A worker in this process.
pub struct TestWorker {
    /// Cancelled, it drains.
    pub stop: CancellationToken,
    running: JoinHandle<Result<(), WorkerError>>,
}

impl TestWorker {
    /// Lets it finish what it has begun.
    pub async fn drain(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.running.await??)
    }

    /// Drops it where it stands, as a crash would: nothing is released, nothing is written.
    pub fn crash(self) {
        self.running.abort();
    }
}

impl TestPlatform {
    /// On a fresh database, with the host that tests share.
    pub async fn on(database: Database) -> Result<Self> {
        Self::over(Db::migrated(database).await?).await
    }

    /// On this database, with the host that tests share.
    pub async fn over(db: Db) -> Result<Self> {
        let host = hosts::shared().await?;
        Self::with_parts(db, host, host.port, &host.host_key).await
    }

    /// With this host, seen at this port and with this key.
    pub async fn with_host(database: Database, host: &VpnHost, port: u16, host_key: &str) -> Result<Self> {
        Self::with_parts(Db::migrated(database).await?, host, port, host_key).await
    }

    async fn with_parts(db: Db, host: &VpnHost, port: u16, host_key: &str) -> Result<Self> {
        // Of its own: the queue is shared by all who share a Redis.
        let sandbox = Sandbox::start(Options::redis()).await?;
        let ambient = Ambient::system();
        let vault = vault()?;
        let url = SecretString::from(sandbox.redis()?.url());
        let platform = Platform::connect(db.store.clone(), &url, vault.clone(), ambient.clone(), MAX_ATTEMPTS)?
            .with_policy(Policy { public_url: Some("https://vpn.example.org".to_owned()), ..Policy::default() });
        let faults = Arc::new(FaultyTransport::before(hosts::transport(hosts::options(host))?));
        let admin = caller("ada", Role::Admin)?;
        let input = RegisterServer {
            name: "vpn1".into(),
            host: host.address.clone(),
            port: port.into(),
            user: host.user.clone(),
            host_key: Some(host_key.to_owned()),
            idempotency_key: None,
        };
        let server = platform.register_server(&admin, input).await?;
        Ok(Self { db, sandbox, platform, faults, admin, server, vault })
    }

    /// A worker that is in a hurry, but for its leases: on a machine that does much else it loses no job.
    pub fn worker(&self) -> Result<TestWorker> {
        self.worker_with(hurried())
    }

    /// A worker whose leases are short too: for tests in which they have to lapse.
    pub fn hasty_worker(&self) -> Result<TestWorker> {
        let hurried = hurried();
        let (lease, grace) = (Duration::from_secs(4), Duration::from_secs(1));
        let lock = LockPolicy { lease, grace, ..hurried.lock };
        self.worker_with(worker::Options { lock, jobs: JobPolicy { lease, ..hurried.jobs }, ..hurried })
    }

    /// A worker that hears rings and looks for nothing by itself.
    pub fn listening_worker(&self) -> Result<TestWorker> {
        let never = Duration::from_hours(1);
        let sweep = SweepPolicy { every: never, unanswered: never, unanswered_when_busy: never };
        self.worker_with(worker::Options { sweep, ..hurried() })
    }

    /// A worker with these options.
    pub fn worker_with(&self, options: worker::Options) -> Result<TestWorker> {
        let stop = CancellationToken::new();
        let running = tokio::spawn(worker::run(self.deps()?, options, stop.clone()));
        Ok(TestWorker { stop, running })
    }

    /// What a worker works with.
    pub(crate) fn deps(&self) -> Result<worker::Deps> {
        Ok(worker::Deps {
            store: self.db.another_store()?,
            redis_url: SecretString::from(self.sandbox.redis()?.url()),
            hosts: Hosts::over(Arc::clone(&self.faults) as _),
            vault: self.vault.clone(),
            ambient: Ambient::system(),
        })
    }

    /// Another server, at the address of the first but for these.
    pub async fn another_server(&self, name: &str, port: u16, host_key: &str) -> Result<Server> {
        let input = RegisterServer {
            name: name.to_owned(),
            host: self.server.address.host().to_owned(),
            port: port.into(),
            user: self.server.address.user().to_owned(),
            host_key: Some(host_key.to_owned()),
            idempotency_key: None,
        };
        Ok(self.platform.register_server(&self.admin, input).await?)
    }

    /// The server's host once more, under another name, and another name of its address.
    pub async fn registered_again(&self, name: &str) -> Result<Server> {
        let address = &self.server.address;
        let input = RegisterServer {
            name: name.to_owned(),
            host: "localhost".to_owned(),
            port: address.port().into(),
            user: address.user().to_owned(),
            host_key: self.server.host_key.clone(),
            idempotency_key: None,
        };
        Ok(self.platform.register_server(&self.admin, input).await?)
    }

    /// A new client, `pending`, with a name that the shared host does not have yet.
    pub async fn client(&self) -> Result<Client> {
        self.client_on(self.server.id).await
    }

    /// The same, on this server.
    pub async fn client_on(&self, server: ServerId) -> Result<Client> {
        let name = format!("laptop-{}", random_hex(6)?);
        let input = CreateClient { name, server_id: server.to_string(), idempotency_key: None };
        Ok(self.platform.create_client(&self.admin, input).await?)
    }

    /// A client that has been let in.
    pub async fn active(&self) -> Result<Client> {
        let client = self.client().await?;
        let job = self.provision(client.id).await?.job;
        self.succeeded(job.id).await?;
        self.reload(client.id).await
    }

    /// Asks for a provision.
    pub async fn provision(&self, id: ClientId) -> Result<Queued, vpn_core::Error> {
        let input = ProvisionClient {
            client_id: id.to_string(),
            csr: None,
            validity_days: 30,
            address: None,
            routes: Vec::new(),
            idempotency_key: None,
        };
        self.platform.provision_client(&self.admin, input).await
    }

    /// Asks for a revocation.
    pub async fn revoke(&self, id: ClientId) -> Result<Queued, vpn_core::Error> {
        let input = RevokeClient { client_id: id.to_string(), reason: "lost".into(), idempotency_key: None };
        self.platform.revoke_client(&self.admin, input).await
    }

    /// The client as it is.
    pub async fn reload(&self, id: ClientId) -> Result<Client> {
        self.platform.client(&self.admin, id).await?.context("the client is stored")
    }

    /// Follows the job until it is finished, live, and gives it.
    pub async fn finished(&self, id: JobId) -> Result<Job> {
        // From the beginning of the log, so that it does not matter when this is called.
        let mut events = std::pin::pin!(self.platform.job_events(&self.admin, None, Some(0)).await?);
        let wait = async {
            while let Some(event) = events.next().await {
                let job = event?.job;
                if job.id == id && job.state.is_final() {
                    return self.platform.job(&self.admin, id).await?.context("the job is stored");
                }
            }
            anyhow::bail!("the events ended")
        };
        tokio::time::timeout(PATIENCE, wait).await.with_context(|| format!("{id} did not finish"))?
    }

    /// The same, for a job that must succeed.
    pub async fn succeeded(&self, id: JobId) -> Result<Job> {
        let job = self.finished(id).await?;
        ensure!(job.state == JobState::Succeeded, "{id} is {}: {:?}", job.state.as_str(), job.failure);
        Ok(job)
    }

    /// Waits until the client has this status.
    pub async fn becomes(&self, id: ClientId, status: ClientStatus) -> Result<()> {
        crate::eventually(status.as_str(), async || Ok(self.reload(id).await?.status() == status)).await
    }

    /// What the audit log tells of a client, oldest first.
    pub async fn actions(&self, id: ClientId) -> Result<Vec<String>> {
        let filter = AuditFilter { client_id: Some(id), ..AuditFilter::default() };
        let page = self.platform.audit_log(&self.admin, &filter, &PageRequest::first(100)).await?;
        Ok(page.items.into_iter().rev().map(|entry| entry.columns.action).collect())
    }

    /// Why attempts at a client's jobs failed, oldest first.
    pub async fn failures(&self, id: ClientId) -> Result<Vec<JobFailure>> {
        let filter = AuditFilter { client_id: Some(id), ..AuditFilter::default() };
        let page = self.platform.audit_log(&self.admin, &filter, &PageRequest::first(100)).await?;
        Ok(page.items.iter().rev().filter_map(AuditEntry::failure).collect())
    }

    /// The invariants that hold whatever happened: the chain is whole, and of each client at most one
    /// provision and one revocation took effect.
    pub async fn check(&self) -> Result<()> {
        vpn_core::service::verify_audit_log(&self.db.store).await?;
        let clients = self.platform.clients(&self.admin, &ClientFilter::default(), &PageRequest::first(100)).await?;
        for client in clients.items {
            let actions = self.actions(client.id).await?;
            for kind in [JobKind::Provision, JobKind::Revoke] {
                let done = format!("{}.succeeded", kind.as_str());
                let times = actions.iter().filter(|action| **action == done).count();
                ensure!(times <= 1, "{} has {times} entries {done}", client.name);
            }
        }
        Ok(())
    }
}

/// Somebody with this role.
pub fn caller(name: &str, role: Role) -> Result<Caller> {
    Ok(Caller::embedded(name.parse()?, role, RequestId::generate(&Ambient::system())))
}

/// Everything but the leases shorter than in production.
#[must_use]
pub fn hurried() -> worker::Options {
    worker::Options {
        concurrency: 4,
        drain: Duration::from_secs(10),
        lock: LockPolicy::default(),
        jobs: JobPolicy {
            lease: JobPolicy::default().lease,
            needed: Duration::from_millis(500),
            retry: RetryPolicy { base: Duration::from_millis(40), cap: Duration::from_millis(200) },
            settle: Duration::from_millis(50),
        },
        sweep: SweepPolicy {
            every: Duration::from_millis(100),
            unanswered: Duration::from_secs(1),
            unanswered_when_busy: Duration::from_secs(5),
        },
        // Tests count the requests of jobs.
        watch: None,
        drift: None,
        ..worker::Options::default()
    }
}
