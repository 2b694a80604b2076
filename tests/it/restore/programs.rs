//! The programs, as an operator runs them.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use tokio::process::Command;
use vpn_core::domain::ClientStatus;
use vpn_tests::{
    Database, TestPlatform,
    hosts::{self, Errand},
    platform::PROFILE_KEY,
    programs::{built, output},
};

struct Shell<'t> {
    test: &'t TestPlatform,
    database: String,
    ssh_key: &'t Path,
}

impl Shell<'_> {
    /// What a program prints; its last words when it fails.
    async fn run(&self, program: &str, arguments: &[&str]) -> Result<(bool, String)> {
        let mut command = Command::new(built(program)?);
        command
            .args(arguments)
            .env_clear()
            .env("LOGNAME", "ada")
            .env("VPN_DATABASE_URL", &self.database)
            .env("VPN_REDIS_URL", self.test.sandbox.redis()?.url())
            .env("VPN_PROFILE_KEY", PROFILE_KEY)
            .env("VPN_LOG", "warn")
            .envs((program == "vpn-worker").then_some(("VPN_SSH_KEY_FILE", self.ssh_key)));
        let output = output(&mut command).await?;
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.success(), text))
    }

    async fn does(&self, program: &str, arguments: &[&str], parts: &[&str]) -> Result<()> {
        let (success, text) = self.run(program, arguments).await?;
        ensure!(success && parts.iter().all(|part| text.contains(part)), "{program} {arguments:?}: {text}");
        Ok(())
    }
}

#[tokio::test]
async fn an_operator_backs_up_restores_and_reconciles() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let worker = test.worker()?;
    let client = test.active().await?;
    let directory = tempfile::tempdir()?;
    let key = vpn.private_key_path();
    let shell = Shell { test: &test, database: test.db.url.clone(), ssh_key: &key };
    let file = directory.path().join("platform.backup").display().to_string();
    shell.does("vpn-graphql", &["backup", "--to", &file], &["sha256", "profile key"]).await?;
    let (again, said) = shell.run("vpn-graphql", &["backup", "--to", &file]).await?;
    ensure!(!again && said.contains("exists"), "{said}");
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    worker.drain().await?;

    let database = format!("sqlite://{}", directory.path().join("restored.db").display());
    let shell = Shell { database, ..shell };
    let from = ["restore", "--from", &file];
    shell.does("vpn-graphql", &from, &["1 clients", "chain is whole", "vpn-worker reconcile --from-host vpn1"]).await?;
    let (again, said) = shell.run("vpn-graphql", &from).await?;
    ensure!(!again && said.contains("empty database"), "{said}");
    let reconcile = ["reconcile", "--from-host", "vpn1"];
    shell.does("vpn-worker", &reconcile, &[client.name.as_str(), "revoke", "nothing was changed"]).await?;
    let apply = ["reconcile", "--from-host", "vpn1", "--apply"];
    shell.does("vpn-worker", &apply, &[&format!("{}: done", client.name)]).await?;
    shell.does("vpn-worker", &reconcile, &["apart on 0", "nothing to do"]).await?;
    shell.does("vpn-graphql", &["audit", "verify"], &["the chain is whole"]).await?;

    let options = vpn_core::store::StoreOptions::new(shell.database.clone());
    let store = vpn_core::store::Store::connect_lazy(&options)?;
    let status = store.read().await?.client(client.id).await?.map(|client| client.status());
    assert_eq!(status, Some(ClientStatus::Revoked));
    Ok(())
}

/// The host is an older one, so that it can be compared though it does not tell who is connected; and it cannot.
#[tokio::test]
async fn a_revocation_that_fails_for_good_is_told_with_its_cure_and_by_the_exit_status() -> Result<()> {
    let host = hosts::private().await?;
    let vpn = host.host()?;
    let test = TestPlatform::with_host(Database::Sqlite, vpn, vpn.port, &vpn.host_key).await?;
    let stranger = Errand::new().await?;
    hosts::hosts(vpn)?.issue(stranger.at(&hosts::server(vpn)?), &hosts::input()).await?;
    let inspect = vpn.scripts.join("lib/inspect.sh");
    fs::write(&inspect, fs::read_to_string(&inspect)?.replace(",proofs,published", ",proofs"))?;
    let (helper, away) = (vpn.scripts.join("sessions"), vpn.scripts.join("sessions.away"));
    fs::rename(&helper, &away)?;

    let key = vpn.private_key_path();
    let shell = Shell { test: &test, database: test.db.url.clone(), ssh_key: &key };
    let (id, name) = (stranger.client.id, stranger.client.name.as_str());
    let apply = ["reconcile", "--from-host", "vpn1", "--apply"];
    let (success, said) = shell.run("vpn-worker", &apply).await?;
    ensure!(!success, "{said}");
    for part in [&format!("{name}: failed: the job job_"), "look at the host", "run this again"] {
        ensure!(said.contains(part), "{part} is not in: {said}");
    }
    ensure!(test.reload(id).await?.status() != ClientStatus::Revoked);

    fs::rename(&away, &helper)?;
    let (success, said) = shell.run("vpn-worker", &apply).await?;
    ensure!(success, "{said}");
    assert_eq!(test.reload(id).await?.status(), ClientStatus::Revoked);
    test.check().await
}
