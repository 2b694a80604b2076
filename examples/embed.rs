//! Another Rust service embeds the platform: it records a client, lets it in, watches that happen, and
//! shuts it out again. The service checks its own users; the platform asks only who they are and what
//! they may do.
//!
//! `cargo run -p vpn-examples --example embed` runs it against a sandbox: a private Redis and a real
//! VPN host on loopback, gone afterwards.

use std::{pin::pin, sync::Arc};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use vpn_core::{
    Error,
    clock::Ambient,
    domain::{Caller, ClientStatus, JobState, RequestId, Role},
    events::ClientEvent,
    host::{Hosts, SshOptions, SshTransport},
    sandbox::{Options, Sandbox},
    secrecy::{ExposeSecret as _, SecretString},
    service::{CreateClient, Platform, ProvisionClient, RegisterServer, RevokeClient},
    store::{Opened, Store, StoreOptions},
    vault::Vault,
    worker,
};

#[tokio::main]
async fn main() -> Result<()> {
    let sandbox = Sandbox::start(Options::without_tunnel()).await?;
    let ended = tour(&sandbox).await;
    sandbox.stop().await?;
    ended
}

async fn tour(sandbox: &Sandbox) -> Result<()> {
    // The parts. In production each comes from the configuration.
    let ambient = Ambient::system();
    let redis_url = SecretString::from(sandbox.redis()?.url());
    let vault = Vault::new(&SecretString::from("5e".repeat(32)))?;
    let database = format!("sqlite://{}/platform.db", sandbox.directory().display());
    let store = Store::connect_lazy(&StoreOptions::new(database))?;
    store.migrate(Opened::Production).await?;
    let platform = Platform::connect(store.clone(), &redis_url, vault.clone(), ambient.clone(), 8)?;

    // A worker, here in the same process; `vpn-worker` is the same as a program.
    let host = sandbox.host()?;
    let ssh = SshTransport::new(SshOptions::new(SecretString::from(host.private_key.clone())))?;
    let hosts = Hosts::over(Arc::new(ssh));
    let stop = CancellationToken::new();
    let deps = worker::Deps { store, redis_url, hosts, vault, ambient: ambient.clone() };
    let worker = tokio::spawn(worker::run(deps, worker::Options::default(), stop.clone()));

    // A person of ours, whom we have checked ourselves.
    let admin = Caller::embedded("ada@example.org".parse()?, Role::Admin, RequestId::generate(&ambient));
    let server = RegisterServer {
        name: "vpn1".into(),
        host: host.address.clone(),
        port: host.port.into(),
        user: host.user.clone(),
        host_key: Some(host.host_key.clone()),
        idempotency_key: None,
    };
    let server = platform.register_server(&admin, server).await?;

    let new = CreateClient { name: "alice".into(), server_id: server.id.to_string(), idempotency_key: None };
    let alice = platform.create_client(&admin, new).await?;
    println!("created      {} ({})", alice.name, alice.id);

    // From here on: of what is asked after it, no change is missed.
    let mut events = pin!(platform.client_events(&admin, alice.id, None).await?);

    let ask = ProvisionClient {
        client_id: alice.id.to_string(),
        csr: None,
        validity_days: 30,
        address: None,
        routes: Vec::new(),
        idempotency_key: None,
    };
    platform.provision_client(&admin, ask).await?;
    until(&mut events, ClientStatus::Active).await?;
    let delivered = platform.deliver_profile(&admin, &alice.id.to_string()).await?;
    ensure!(delivered.profile.expose_secret().contains("<key>"), "the profile has its key");
    println!("delivered    a profile of {} bytes, once", delivered.profile.expose_secret().len());

    let why = RevokeClient { client_id: alice.id.to_string(), reason: "laptop lost".into(), idempotency_key: None };
    platform.revoke_client(&admin, why).await?;
    until(&mut events, ClientStatus::Revoked).await?;

    stop.cancel();
    worker.await??;
    Ok(())
}

/// Waits for the client to have this status.
async fn until(
    events: &mut (impl Stream<Item = Result<ClientEvent, Error>> + Unpin),
    wanted: ClientStatus,
) -> Result<()> {
    while let Some(event) = events.next().await {
        let event = event?;
        let job = event.job.as_ref();
        let step = job.and_then(|job| job.step).map_or("", |step| step.as_str());
        println!("{:<12} {} {step}", event.status.as_str(), job.map_or("", |job| job.state.as_str()));
        if event.status == wanted {
            return Ok(());
        }
        if let Some(job) = job.filter(|job| job.state == JobState::Failed) {
            let failure = job.last_error.as_ref().context("a failed job says why")?;
            bail!("{}: {}", failure.code, failure.message);
        }
    }
    bail!("the events ended")
}
