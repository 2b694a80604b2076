//! The database is set back, and the hosts are not.

mod adopt;
mod ahead;
mod host_behind;
mod owner;
mod programs;

use anyhow::Result;
use tokio::process::Command;
use vpn_core::{
    domain::{Client, ClientId},
    host::Fault,
    reconcile::{Act, Plan},
    sandbox::Sandbox,
};
use vpn_tests::{Database, TestPlatform, hosts, platform::MAX_ATTEMPTS, programs::output};

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

/// What the plan has in mind, by name.
fn acts(plan: &Plan) -> Vec<(String, Act)> {
    let mut acts: Vec<_> = plan.findings.iter().map(|finding| (finding.name.to_string(), finding.act)).collect();
    acts.sort();
    acts
}

/// Shows the plan of this platform's server.
async fn plan(test: &TestPlatform, adopt: bool) -> Result<Plan> {
    let reconciler = test.reconciler(&test.admin).await?;
    let server = reconciler.server(test.server.name.as_str()).await?;
    Ok(reconciler.plan(server, adopt).await?)
}

/// Carries the plan out; gives the names of those that could not be put right.
async fn apply(test: &TestPlatform, plan: Plan) -> Result<Vec<String>> {
    let done = test.reconciler(&test.admin).await?.apply(plan).await?;
    let failed = done.into_iter().filter_map(|done| match done.result {
        Ok(None) => None,
        other => Some(format!("{}: {other:?}", done.finding.name)),
    });
    Ok(failed.collect())
}

/// The entries `client.reconciled` of a client.
async fn reconciled(test: &TestPlatform, id: ClientId) -> Result<usize> {
    Ok(test.actions(id).await?.iter().filter(|action| *action == "client.reconciled").count())
}

/// Whether the CRL in force has the client's serial.
async fn in_the_crl(host: &Sandbox, client: &Client) -> Result<bool> {
    let mut openssl = Command::new("openssl");
    openssl.args(["crl", "-noout", "-text", "-in"]).arg(host.host()?.state.join("pub/crl.pem"));
    let crl = output(&mut openssl).await?;
    Ok(String::from_utf8_lossy(&crl.stdout).contains(&format!("Serial Number: {}", client.serial)))
}
