//! Clients: stored, found, taken through their life under a fence.

use anyhow::{Result, ensure};
use vpn_core::{
    domain::{Client, ClientId, ClientState, ClientStatus, FencingToken, Holder, JobKind, Server},
    store::{ClientFilter, PageRequest, StoreError, TimeRange},
};
use vpn_tests::{World, certificate, failure, on_every_database, told};

on_every_database!(
    a_client_is_read_back_as_it_was_stored,
    an_unknown_client_is_none,
    a_name_is_taken_on_its_server_only,
    a_name_is_free_again_once_its_client_is_revoked,
    a_serial_is_never_used_twice,
    a_revocation_is_requested_once,
    a_client_becomes_active_under_its_fence,
    a_stale_fence_activates_nothing_and_revokes_nothing,
    a_fence_is_raised_and_never_lowered,
    nothing_activates_a_client_whose_end_was_asked_for,
    a_client_is_revoked_only_when_somebody_asked,
    a_revoked_client_keeps_its_certificate_and_stays_revoked,
    clients_are_found_by_status_server_and_name,
    clients_are_found_by_when_they_were_recorded,
    clients_are_found_by_many_ids,
    who_holds_a_certificate_is_found_by_its_serial_or_its_id,
    a_revocation_from_before_is_recorded_once_and_only_for_who_is_pending,
    an_uncommitted_client_never_was,
);

async fn a_client_is_read_back_as_it_was_stored(world: World) -> Result<()> {
    let server = world.server().await?;
    let mut tx = world.store().begin().await?;
    let stored = tx.insert_client(world.new_client(server.id)?).await?;
    assert_eq!(stored.created_at, tx.at());
    assert_eq!(tx.lock_client(stored.id).await?.as_ref(), Some(&stored));
    tx.commit(told(), []).await?;
    assert_eq!(world.reload(stored.id).await?, stored);
    assert_eq!((stored.status(), stored.fence), (ClientStatus::Pending, FencingToken::ZERO));
    Ok(())
}

async fn an_unknown_client_is_none(world: World) -> Result<()> {
    let unknown = world.new_client(world.server().await?.id)?.id;
    assert_eq!(world.store().read().await?.client(unknown).await?, None);
    assert_eq!(world.store().begin().await?.lock_client(unknown).await?, None);
    Ok(())
}

async fn a_name_is_taken_on_its_server_only(world: World) -> Result<()> {
    let first = world.client().await?;
    let mut same = world.new_client(first.server_id)?;
    same.name = first.name.clone();
    let refused = world.store().begin().await?.insert_client(same.clone()).await;
    ensure!(matches!(refused, Err(StoreError::Duplicate(_))), "{refused:?}");

    same.server_id = world.server().await?.id;
    let mut tx = world.store().begin().await?;
    tx.insert_client(same).await?;
    tx.commit(told(), []).await?;

    // Letter case counts: OpenVPN's common names do too.
    let mut other_case = world.new_client(first.server_id)?;
    other_case.name = first.name.as_str().to_uppercase().parse()?;
    let mut tx = world.store().begin().await?;
    tx.insert_client(other_case).await?;
    tx.commit(told(), []).await?;
    Ok(())
}

async fn a_name_is_free_again_once_its_client_is_revoked(world: World) -> Result<()> {
    let gone = world.revoked().await?;
    for taken in [false, true] {
        let mut next = world.new_client(gone.server_id)?;
        next.name = gone.name.clone();
        let mut tx = world.store().begin().await?;
        let inserted = tx.insert_client(next).await;
        if taken {
            ensure!(matches!(inserted, Err(StoreError::Duplicate(_))), "{inserted:?}");
        } else {
            inserted?;
            tx.commit(told(), []).await?;
        }
    }
    Ok(())
}

async fn a_serial_is_never_used_twice(world: World) -> Result<()> {
    let gone = world.revoked().await?;
    let mut next = world.new_client(gone.server_id)?;
    next.serial = gone.serial.clone();
    let refused = world.store().begin().await?.insert_client(next).await;
    ensure!(matches!(refused, Err(StoreError::Duplicate(_))), "{refused:?}");
    Ok(())
}

async fn a_revocation_is_requested_once(world: World) -> Result<()> {
    let client = world.client().await?;
    world.request_revocation(client.id).await?;
    let asked = world.reload(client.id).await?;
    assert_eq!(asked.revocation.as_ref().map(|request| request.reason.as_str()), Some("laptop stolen"));
    assert_eq!(asked.status(), ClientStatus::Pending);

    let again = world.store().begin().await?.request_revocation(client.id, &"another reason".parse()?).await;
    ensure!(matches!(again, Err(StoreError::Fenced)), "{again:?}");
    assert_eq!(world.reload(client.id).await?, asked);
    Ok(())
}

async fn a_client_becomes_active_under_its_fence(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    assert_eq!(world.reload(job.client_id).await?.fence, fence.token());
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.activate_client(job.client_id, &certificate(), &fence).await?;
    tx.commit(told(), []).await?;
    let client = world.reload(job.client_id).await?;
    assert_eq!(client.state, ClientState::Active { since: at, certificate: certificate() });

    let again = world.store().begin().await?.activate_client(client.id, &certificate(), &fence).await;
    ensure!(matches!(again, Err(StoreError::Fenced)), "a client is activated once: {again:?}");
    Ok(())
}

async fn a_stale_fence_activates_nothing_and_revokes_nothing(world: World) -> Result<()> {
    let lease = std::time::Duration::from_secs(30);
    let (job, stale) = world.running(JobKind::Provision).await?;
    let mut tx = world.store().begin().await?;
    let now = tx.at();
    tx.delay_job(&job, &failure(), now, &stale).await?;
    tx.commit(told(), []).await?;
    let (_, newer) = world.claim(&world.reload_job(job.id).await?, lease).await?;
    ensure!(newer.token() > stale.token());
    let activated = world.store().begin().await?.activate_client(job.client_id, &certificate(), &stale).await;
    ensure!(matches!(activated, Err(StoreError::Fenced)), "{activated:?}");

    world.request_revocation(job.client_id).await?;
    world.claim(&world.job(job.client_id, JobKind::Revoke).await?, lease).await?;
    let revoked = world.store().begin().await?.mark_client_revoked(job.client_id, &newer).await;
    ensure!(matches!(revoked, Err(StoreError::Fenced)), "{revoked:?}");
    Ok(())
}

/// What a reconciliation does with a client that the host has seen higher tokens of.
async fn a_fence_is_raised_and_never_lowered(world: World) -> Result<()> {
    let client = world.client().await?;
    let low = world.fence(client.id).await?.token();
    let high = world.fence_above(client.id, low).await?.token();
    let mut tx = world.store().begin().await?;
    tx.raise_fence(client.id, high).await?;
    tx.commit(told(), []).await?;
    assert_eq!(world.reload(client.id).await?.fence, high);
    for seen in [high, low] {
        let raised = world.store().begin().await?.raise_fence(client.id, seen).await;
        ensure!(matches!(raised, Err(StoreError::Fenced)), "{raised:?}");
    }
    let revoked = world.revoked().await?;
    let higher = world.fence_above(revoked.id, revoked.fence).await?.token();
    let raised = world.store().begin().await?.raise_fence(revoked.id, higher).await;
    ensure!(matches!(raised, Err(StoreError::Fenced)), "a revoked client is final: {raised:?}");
    Ok(())
}

async fn nothing_activates_a_client_whose_end_was_asked_for(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    world.request_revocation(job.client_id).await?;
    let activated = world.store().begin().await?.activate_client(job.client_id, &certificate(), &fence).await;
    ensure!(matches!(activated, Err(StoreError::Fenced)), "{activated:?}");
    Ok(())
}

async fn a_client_is_revoked_only_when_somebody_asked(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Provision).await?;
    let revoked = world.store().begin().await?.mark_client_revoked(job.client_id, &fence).await;
    ensure!(matches!(revoked, Err(StoreError::Fenced)), "{revoked:?}");
    Ok(())
}

async fn a_revoked_client_keeps_its_certificate_and_stays_revoked(world: World) -> Result<()> {
    let active = world.active().await?;
    world.request_revocation(active.id).await?;
    let job = world.job(active.id, JobKind::Revoke).await?;
    let (_, fence) = world.claim(&job, std::time::Duration::from_secs(30)).await?;
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.mark_client_revoked(active.id, &fence).await?;
    tx.commit(told(), []).await?;
    let gone = world.reload(active.id).await?;
    assert_eq!(
        gone.state,
        ClientState::Revoked { at, activated_at: active.activated_at(), certificate: Some(certificate()) }
    );

    let mut tx = world.store().begin().await?;
    let again = tx.mark_client_revoked(active.id, &fence).await;
    ensure!(matches!(again, Err(StoreError::Fenced)), "{again:?}");
    let asked = tx.request_revocation(active.id, &"again".parse()?).await;
    ensure!(matches!(asked, Err(StoreError::Fenced)), "{asked:?}");
    Ok(())
}

/// SQLite's clock has milliseconds, so that two may have been recorded at once.
async fn clients_are_found_by_when_they_were_recorded(world: World) -> Result<()> {
    let mut all = Vec::new();
    for _ in 0..4 {
        all.insert(0, world.client().await?);
    }
    for middle in all.iter().map(|client| client.created_at) {
        let range = [(Some(middle), None), (None, Some(middle)), (Some(middle), Some(middle))];
        for (from, until) in range {
            let filter = ClientFilter { created_at: TimeRange { since: from, until }, ..ClientFilter::default() };
            let found = world.store().read().await?.clients(&filter, &PageRequest::first(10)).await?.items;
            let within = |at| from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until);
            let expected: Vec<_> = all.iter().filter(|client| within(client.created_at)).cloned().collect();
            assert_eq!(found, expected, "{filter:?}");
        }
    }
    Ok(())
}

async fn clients_are_found_by_status_server_and_name(world: World) -> Result<()> {
    let (pending, active, revoked) = (world.client().await?, world.active().await?, world.revoked().await?);
    let neighbour = world.client_on(active.server_id).await?;
    let none = ClientFilter::default;
    for (filter, expected) in [
        (none(), vec![&neighbour, &revoked, &active, &pending]),
        (ClientFilter { status: Some(ClientStatus::Pending), ..none() }, vec![&neighbour, &pending]),
        (ClientFilter { status: Some(ClientStatus::Active), ..none() }, vec![&active]),
        (ClientFilter { status: Some(ClientStatus::Revoked), ..none() }, vec![&revoked]),
        (ClientFilter { server_id: Some(active.server_id), ..none() }, vec![&neighbour, &active]),
        (ClientFilter { name: Some(revoked.name.to_string()), ..none() }, vec![&revoked]),
        (ClientFilter { name: Some("' OR 1=1 --".to_owned()), ..none() }, vec![]),
        (
            ClientFilter {
                status: Some(ClientStatus::Active),
                server_id: Some(active.server_id),
                name: Some(active.name.to_string()),
                created_at: TimeRange { since: Some(active.created_at), until: None },
            },
            vec![&active],
        ),
    ] {
        let found = world.store().read().await?.clients(&filter, &PageRequest::first(10)).await?;
        assert_eq!(found.items.iter().collect::<Vec<_>>(), expected, "{filter:?}");
        ensure!(!found.has_next);
    }
    Ok(())
}

async fn clients_are_found_by_many_ids(world: World) -> Result<()> {
    let (one, two) = (world.client().await?, world.active().await?);
    // More than one statement takes.
    let unknown = (0..450).map(|_| ClientId::generate(&world.ambient));
    let ids: Vec<_> = std::iter::once(one.id).chain(unknown).chain([two.id]).collect();
    let mut found = world.store().read().await?.clients_by_id(&ids).await?;
    found.sort_by_key(|client| client.id);
    assert_eq!(found, [one, two]);
    assert_eq!(world.store().read().await?.clients_by_id(&[]).await?, []);
    Ok(())
}

async fn who_holds_a_certificate_is_found_by_its_serial_or_its_id(world: World) -> Result<()> {
    let (here, there) = (world.server().await?, world.server().await?);
    let (one, two) = (world.client_on(here.id).await?, world.client_on(there.id).await?);
    let nobody = world.new_client(here.id)?;
    let mut reader = world.store().read().await?;
    let both = [(one.serial.clone(), Some(one.id)), (nobody.serial.clone(), Some(two.id))];
    let holder = |client: &Client, server: &Server| Holder {
        client: client.clone(),
        server: server.name.clone(),
        ca_sha256: None,
    };
    let mut found = reader.holders(&both).await?;
    found.sort_by_key(|holder| holder.client.id);
    assert_eq!(found, [holder(&one, &here), holder(&two, &there)]);
    assert_eq!(reader.holders(&[(two.serial.clone(), None)]).await?, [holder(&two, &there)]);
    let elsewhere = reader.elsewhere(here.id, found).await?;
    ensure!(elsewhere.find(&one.serial, one.id).is_none(), "it is here");
    ensure!(elsewhere.find(&nobody.serial, two.id).is_none(), "it has another serial");
    ensure!(elsewhere.find(&two.serial, two.id).is_some());
    assert_eq!(reader.holders(&[(nobody.serial, Some(nobody.id))]).await?, []);
    assert_eq!(reader.holders(&[]).await?, []);
    Ok(())
}

async fn a_revocation_from_before_is_recorded_once_and_only_for_who_is_pending(world: World) -> Result<()> {
    use vpn_core::{clock::Timestamp, domain::Reason};
    let (pending, active, asked) = (world.client().await?, world.active().await?, world.client().await?);
    world.request_revocation(asked.id).await?;
    let (reason, at): (Reason, _) = ("before".parse()?, Timestamp::from_seconds(1_600_000_000));
    let mut tx = world.store().begin().await?;
    tx.record_revocation(pending.id, &reason, at).await?;
    for other in [pending.id, active.id, asked.id] {
        let refused = tx.record_revocation(other, &reason, at).await;
        ensure!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    }
    tx.commit(told(), []).await?;
    let recorded = world.reload(pending.id).await?;
    assert_eq!((recorded.status(), recorded.revoked_at()), (ClientStatus::Revoked, Some(at)));
    assert_eq!(world.reload(active.id).await?, active);
    Ok(())
}

async fn an_uncommitted_client_never_was(world: World) -> Result<()> {
    let server = world.server().await?;
    let mut tx = world.store().begin().await?;
    let client = tx.insert_client(world.new_client(server.id)?).await?;
    drop(tx);
    assert_eq!(world.store().read().await?.client(client.id).await?, None);
    Ok(())
}
