//! VPN hosts: confirmed by a person, disabled, enabled, retired.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio_util::sync::CancellationToken;
use vpn_core::{
    domain::{ClientStatus, Contact, JobKind, Server, ServerState},
    error::{Error, RejectionCode},
    host::Hosts,
    service::{CreateClient, MoveServer, RegisterServer, RetryJob},
    watch::{WatchPolicy, Watcher},
};
use vpn_tests::{Database, TestPlatform, World, eventually, hosts, on_every_database};

use super::rejection;

async fn unconfirmed(test: &TestPlatform) -> Result<Server> {
    let address = &test.server.address;
    let input = RegisterServer {
        name: "vpn2".into(),
        host: address.host().into(),
        port: address.port().into(),
        user: address.user().into(),
        host_key: None,
        idempotency_key: None,
    };
    Ok(test.platform.register_server(&test.admin, input).await?)
}

async fn create(test: &TestPlatform, server: &Server) -> Result<(), Error> {
    let input = CreateClient { name: "newcomer".into(), server_id: server.id.to_string(), idempotency_key: None };
    test.platform.create_client(&test.admin, input).await.map(drop)
}

#[tokio::test]
async fn a_key_is_pinned_only_after_somebody_has_compared_it() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let (platform, admin) = (&test.platform, &test.admin);
    let server = unconfirmed(&test).await?;
    let id = server.id.to_string();
    assert_eq!((server.state, &server.host_key), (ServerState::Unconfirmed, &None));
    assert_eq!(rejection(create(&test, &server).await).code, RejectionCode::WrongState);
    let unseen = rejection(platform.pin_host_key(admin, &id, "SHA256:x").await);
    ensure!(unseen.message.contains("no worker has seen"), "{unseen:?}");

    let stop = CancellationToken::new();
    let hosts = Hosts::over(std::sync::Arc::clone(&test.faults) as _);
    let policy = WatchPolicy { every: Duration::from_millis(200) };
    let watching =
        tokio::spawn(Watcher { store: test.db.store.clone(), hosts, policy, renewer: None }.run(stop.clone()));
    let seen =
        async || -> Result<Option<Contact>> { Ok(platform.contacts(admin, &[server.id]).await?.remove(&server.id)) };
    eventually("a worker has seen the key", async || Ok(seen().await?.is_some_and(|it| it.presented_key.is_some())))
        .await?;
    let shown = seen().await?.context("a contact")?;
    let fingerprint = shown.presented_fingerprint().context("a fingerprint")?;
    assert_eq!(fingerprint, vpn_core::host::fingerprint(&hosts::shared().await?.host_key)?);
    for wrong in ["", "SHA256:AAAA", &fingerprint.replace("SHA256:", "")] {
        let refused = rejection(platform.pin_host_key(admin, &id, wrong).await);
        assert_eq!((refused.code, refused.field), (RejectionCode::Invalid, Some("fingerprint")));
        ensure!(refused.message.contains(&fingerprint));
    }
    let pinned = platform.pin_host_key(admin, &id, &fingerprint).await?;
    assert_eq!((pinned.state, &pinned.host_key), (ServerState::Active, &shown.presented_key));
    let head = test.db.store.read().await?.audit_head().await?.seq;
    assert_eq!(platform.pin_host_key(admin, &id, &fingerprint).await?, pinned, "a repeat changes nothing");
    assert_eq!(test.db.store.read().await?.audit_head().await?.seq, head);
    create(&test, &server).await?;
    eventually("the host answers", async || {
        Ok(seen().await?.is_some_and(|it| it.facts.is_some() && it.presented_key.is_none()))
    })
    .await?;
    stop.cancel();
    watching.await?;
    Ok(())
}

/// Where it answers now, another machine is not spoken to.
#[tokio::test]
async fn a_server_that_moved_is_reached_there_and_has_to_show_its_key() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let (platform, admin, was) = (&test.platform, &test.admin, &test.server.address);
    let worker = test.worker()?;
    let to = |host: Option<&str>, port: Option<u16>| MoveServer {
        server_id: test.server.id.to_string(),
        host: host.map(str::to_owned),
        port: port.map(i32::from),
        user: None,
    };
    for (bad, field) in [(to(Some("-x"), None), "host"), (to(None, Some(0)), "port")] {
        let refused = rejection(platform.move_server(admin, bad).await);
        assert_eq!((refused.code, refused.field), (RejectionCode::Invalid, Some(field)));
    }
    let job = test.provision(test.client().await?.id).await?.job;
    test.succeeded(job.id).await?;

    let other = hosts::private().await?;
    let moved = platform.move_server(admin, to(None, Some(other.host()?.port))).await?;
    assert_eq!((moved.address.host(), moved.address.port()), (was.host(), other.host()?.port));
    assert_eq!((moved.state, &moved.host_key), (ServerState::Active, &test.server.host_key));
    let job = test.provision(test.client().await?.id).await?.job;
    let failure = test.finished(job.id).await?.failure.context("why")?;
    assert_eq!(failure.code, "HOST_KEY_MISMATCH", "a connection to where it was is not used any more");

    let back = platform.move_server(admin, to(Some(was.host()), Some(was.port()))).await?;
    assert_eq!(&back.address, was);
    let head = test.db.store.read().await?.audit_head().await?.seq;
    assert_eq!(platform.move_server(admin, to(None, None)).await?, back, "a repeat changes nothing");
    assert_eq!(test.db.store.read().await?.audit_head().await?.seq, head);
    let again = RetryJob { job_id: job.id.to_string(), idempotency_key: None };
    test.succeeded(platform.retry_job(admin, again).await?.job.id).await?;
    worker.drain().await?;
    test.check().await
}

#[tokio::test]
async fn a_disabled_server_lets_nobody_in_and_still_shuts_out() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let (platform, admin, id) = (&test.platform, &test.admin, test.server.id.to_string());
    let worker = test.worker()?;
    let (active, waiting) = (test.active().await?, test.client().await?);
    assert_eq!(platform.disable_server(admin, &id).await?.state, ServerState::Disabled);
    assert_eq!(platform.disable_server(admin, &id).await?.state, ServerState::Disabled);
    for refused in [rejection(create(&test, &test.server).await), rejection(test.provision(waiting.id).await)] {
        assert_eq!(refused.code, RejectionCode::WrongState);
        ensure!(refused.message.contains("enableServer"), "{refused:?}");
    }
    let job = test.revoke(active.id).await?.job;
    test.succeeded(job.id).await?;
    assert_eq!(test.reload(active.id).await?.status(), ClientStatus::Revoked);
    assert_eq!(platform.enable_server(admin, &id).await?.state, ServerState::Active);
    let job = test.provision(waiting.id).await?.job;
    test.succeeded(job.id).await?;
    let again = RetryJob { job_id: job.id.to_string(), idempotency_key: None };
    ensure!(platform.retry_job(admin, again).await.is_err());
    worker.drain().await
}

#[tokio::test]
async fn a_server_is_retired_once_all_its_clients_are_revoked_and_for_good() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let (platform, admin, id) = (&test.platform, &test.admin, test.server.id.to_string());
    let worker = test.worker()?;
    let client = test.active().await?;
    let refused = rejection(platform.retire_server(admin, &id).await);
    ensure!(refused.message.contains("1 of its clients"), "{refused:?}");
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    assert_eq!(platform.retire_server(admin, &id).await?.state, ServerState::Retired);
    assert_eq!(platform.retire_server(admin, &id).await?.state, ServerState::Retired);
    for refused in [
        platform.enable_server(admin, &id).await,
        platform.disable_server(admin, &id).await,
        platform.pin_host_key(admin, &id, "SHA256:x").await,
        platform.move_server(admin, MoveServer { server_id: id.clone(), port: Some(1), ..MoveServer::default() }).await,
        platform.enable_server(admin, "srv_00000000000000000000000000000000").await,
    ] {
        rejection(refused);
    }
    rejection(create(&test, &test.server).await);
    ensure!(test.db.store.read().await?.servers_to_look_at(Duration::ZERO).await?.is_empty(), "nobody looks at it");
    worker.drain().await
}

on_every_database!(the_database_refuses_what_is_no_transition_of_a_server);

async fn the_database_refuses_what_is_no_transition_of_a_server(world: World) -> Result<()> {
    let (server, key) = (world.server().await?, "ssh-ed25519 AAAA");
    let client = world.client_on(server.id).await?;
    let set = async |state, key| {
        let mut tx = world.store().begin().await?;
        tx.set_server(server.id, state, key).await?;
        tx.commit(vpn_tests::told(), []).await?;
        anyhow::Ok(())
    };
    let refused = async |state, key, why: &str| {
        let refused = format!("{:?}", set(state, key).await.err().context(why.to_owned())?);
        ensure!(refused.contains(why), "{refused}");
        anyhow::Ok(())
    };
    refused(ServerState::Unconfirmed, None, "servers: illegal transition").await?;
    refused(ServerState::Active, None, "servers: no host key").await?;
    refused(ServerState::Retired, Some(key), "servers: has clients").await?;
    set(ServerState::Disabled, Some(key)).await?;
    set(ServerState::Active, Some(key)).await?;
    world.request_revocation(client.id).await?;
    let job = world.job(client.id, JobKind::Revoke).await?;
    let (_, fence) = world.claim(&job, Duration::from_mins(1)).await?;
    let mut tx = world.store().begin().await?;
    tx.mark_client_revoked(client.id, &fence).await?;
    tx.commit(vpn_tests::told(), []).await?;
    set(ServerState::Retired, Some(key)).await?;
    refused(ServerState::Active, Some(key), "servers: retired is final").await?;
    Ok(())
}
