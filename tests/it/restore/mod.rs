//! The database is set back, and the hosts are not.

mod adopt;
mod ahead;
mod host_behind;
mod names;
mod owner;
mod programs;
mod twice;

use anyhow::Result;
use vpn_core::{
    domain::{Client, ClientId},
    host::Fault,
    sandbox::Sandbox,
};
use vpn_tests::{Database, TestPlatform, checker::pki::crl, hosts, platform::MAX_ATTEMPTS};

/// A platform that was set back, with what was done since its backup.
struct SetBack {
    /// As it was before.
    before: TestPlatform,
    /// As it is now.
    now: TestPlatform,
    /// Its host.
    host: Sandbox,
    /// Active then and now.
    ann: Client,
    /// Active then, revoked since.
    bea: Client,
    /// Pending then, let in since.
    cleo: Client,
    /// Created and let in since.
    dora: Client,
    /// Pending then; since, the host has issued, and never got to say so.
    eve: Client,
}

impl SetBack {
    async fn on(database: Database) -> Result<Self> {
        let host = hosts::private().await?;
        let vpn = host.host()?;
        let before = TestPlatform::with_host(database, vpn, vpn.port, &vpn.host_key).await?;
        let worker = before.worker()?;
        let [ann, bea, cleo, eve] = [
            before.called("ann").await?,
            before.called("bea").await?,
            before.called("cleo").await?,
            before.called("eve").await?,
        ];
        for client in [&ann, &bea] {
            let job = before.provision(client.id).await?.job;
            before.succeeded(job.id).await?;
        }
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("backup.jsonl");
        vpn_core::backup::write_file(&before.db.store, &file).await?;

        let job = before.revoke(bea.id).await?.job;
        before.succeeded(job.id).await?;
        let dora = before.called("dora").await?;
        for client in [&cleo, &dora] {
            let job = before.provision(client.id).await?.job;
            before.succeeded(job.id).await?;
        }
        for _ in 0..MAX_ATTEMPTS {
            before.faults.plan("issue", Fault::ReplyLost);
        }
        let job = before.provision(eve.id).await?.job;
        before.finished(job.id).await?;
        worker.drain().await?;
        let now = before.restored(&file, database).await?;
        Ok(Self { before, now, host, ann, bea, cleo, dora, eve })
    }
}

/// The entries `client.reconciled` of a client.
async fn reconciled(test: &TestPlatform, id: ClientId) -> Result<usize> {
    Ok(test.actions(id).await?.iter().filter(|action| *action == "client.reconciled").count())
}

/// Whether the CRL in force has the client's serial.
async fn in_the_crl(host: &Sandbox, client: &Client) -> Result<bool> {
    Ok(crl(&host.host()?.state).await?.contains(client.serial.as_str()))
}
