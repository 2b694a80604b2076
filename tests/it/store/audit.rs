//! The audit log: appended with the change it tells of, and found again.

use anyhow::{Context, Result, ensure};
use vpn_core::{
    audit::{Action, Entry, GENESIS, JobAct},
    domain::{Caller, ClientStatus, JobKind, RequestId, Role},
    store::{AuditFilter, PageRequest},
};
use vpn_tests::{World, on_every_database, told};

on_every_database!(
    a_new_log_begins_with_its_opening,
    an_entry_tells_who_did_what_to_whom,
    entries_of_one_commit_follow_each_other,
    a_rolled_back_change_leaves_no_entry_and_no_gap,
    entries_are_found_by_client_job_actor_and_action,
    entries_are_found_by_when_it_happened,
    entries_are_read_in_the_order_of_their_numbers,
);

async fn a_new_log_begins_with_its_opening(world: World) -> Result<()> {
    let mut reader = world.store().read().await?;
    let head = reader.audit_head().await?;
    let first = reader.audit_entry(1).await?.context("the first entry")?;
    assert_eq!((head.seq, head.hash), (1, first.hash));
    assert_eq!((first.previous_hash, first.columns.action.as_str()), (GENESIS, "log.opened"));
    assert_eq!(first.columns.actor, "system:migrate");
    assert_eq!(first.detail().get("mode").and_then(|mode| mode.as_str()), Some("production"));
    assert_eq!(world.verify_log().await?.entries, 1);
    Ok(())
}

async fn an_entry_tells_who_did_what_to_whom(world: World) -> Result<()> {
    let (job, fence) = world.running(JobKind::Revoke).await?;
    let caller = Caller::embedded("bob".parse()?, Role::Operator, RequestId::generate(&world.ambient));
    let mut tx = world.store().begin().await?;
    let at = tx.at();
    tx.succeed_job(&job, &fence).await?;
    let entry = Entry::by(&caller, Action::Job(JobKind::Revoke, JobAct::Succeeded))
        .client(job.client_id, ClientStatus::Pending)
        .job(&job, vpn_core::domain::JobState::Succeeded)
        .with("note", "ünïcode \u{1F512} 'quoted' \\ \n");
    let seq = tx.commit(entry, []).await?;

    let found = world.store().read().await?.audit_entry(seq).await?.context("the entry")?;
    let columns = &found.columns;
    assert_eq!((columns.at, found.actor().as_str(), columns.outcome.as_str()), (at, "bob", "ok"));
    assert_eq!(columns.action, "revoke.succeeded");
    assert_eq!(columns.client_id, Some(job.client_id.to_string()));
    assert_eq!(columns.job_id, Some(job.id.to_string()));
    assert_eq!(found.client_status(), Some(ClientStatus::Pending));
    let mark = found.job().context("the job")?;
    assert_eq!((mark.state.as_str(), mark.fence), ("succeeded", fence.token().to_string()));
    assert_eq!(found.detail().get("note").and_then(|note| note.as_str()), Some("ünïcode \u{1F512} 'quoted' \\ \n"));
    world.verify_log().await?;
    Ok(())
}

async fn entries_of_one_commit_follow_each_other(world: World) -> Result<()> {
    let tx = world.store().begin().await?;
    let last = tx.commit(told(), [told(), told()]).await?;
    assert_eq!(world.store().read().await?.audit_head().await?.seq, last);
    assert_eq!((last, world.verify_log().await?.entries), (4, 4));
    Ok(())
}

async fn a_rolled_back_change_leaves_no_entry_and_no_gap(world: World) -> Result<()> {
    let client = world.client().await?;
    let before = world.store().read().await?.audit_head().await?;
    let mut tx = world.store().begin().await?;
    let same_serial = vpn_core::store::NewClient { serial: client.serial, ..world.new_client(client.server_id)? };
    ensure!(tx.insert_client(same_serial).await.is_err());
    drop(tx);
    assert_eq!(world.store().read().await?.audit_head().await?, before);
    let seq = world.store().begin().await?.commit(told(), []).await?;
    assert_eq!(seq, before.seq + 1);
    world.verify_log().await?;
    Ok(())
}

async fn entries_are_found_by_client_job_actor_and_action(world: World) -> Result<()> {
    let job = world.queued(JobKind::Provision).await?;
    let requested = Action::Job(JobKind::Provision, JobAct::Requested);
    let entry = |part| Entry::by_system(part, requested).client(job.client_id, ClientStatus::Pending);
    let first = world.store().begin().await?.commit(entry("one").job(&job, job.state), []).await?;
    let second = world.store().begin().await?.commit(entry("two"), []).await?;
    let none = AuditFilter::default;
    for (filter, expected) in [
        (AuditFilter { client_id: Some(job.client_id), ..none() }, vec![second, first]),
        (AuditFilter { job_id: Some(job.id), ..none() }, vec![first]),
        (AuditFilter { actor: Some("system:two".to_owned()), ..none() }, vec![second]),
        (AuditFilter { action: Some("provision.requested".to_owned()), ..none() }, vec![second, first]),
        (AuditFilter { actor: Some("system:one".to_owned()), job_id: Some(job.id), ..none() }, vec![first]),
        (AuditFilter { actor: Some("nobody".to_owned()), ..none() }, vec![]),
    ] {
        let found = world.store().read().await?.audit_page(&filter, &PageRequest::first(10)).await?;
        assert_eq!(found.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expected, "{filter:?}");
    }
    Ok(())
}

/// SQLite's clock has milliseconds, so that two may have happened at once.
async fn entries_are_found_by_when_it_happened(world: World) -> Result<()> {
    for _ in 0..4 {
        world.server().await?;
    }
    let mut reader = world.store().read().await?;
    let all = reader.audit_page(&AuditFilter::default(), &PageRequest::first(10)).await?.items;
    for middle in all.iter().map(|entry| entry.columns.at) {
        for (from, until) in [(Some(middle), None), (None, Some(middle))] {
            let filter = AuditFilter { since: from, until, ..AuditFilter::default() };
            let found = reader.audit_page(&filter, &PageRequest::first(10)).await?.items;
            let within = |at| from.is_none_or(|from| at >= from) && until.is_none_or(|until| at < until);
            let expected = all.iter().filter(|entry| within(entry.columns.at)).map(|entry| entry.seq);
            assert_eq!(found.iter().map(|entry| entry.seq).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
    Ok(())
}

async fn entries_are_read_in_the_order_of_their_numbers(world: World) -> Result<()> {
    for _ in 0..4 {
        world.server().await?;
    }
    let mut reader = world.store().read().await?;
    let client = vpn_core::domain::ClientId::generate(&world.ambient);
    let numbers = |entries: Vec<vpn_core::audit::AuditEntry>| entries.iter().map(|entry| entry.seq).collect::<Vec<_>>();
    assert_eq!(numbers(reader.audit_after(0, None, 3).await?), [1, 2, 3]);
    assert_eq!(numbers(reader.audit_after(3, None, 10).await?), [4, 5]);
    assert_eq!(numbers(reader.audit_after(5, None, 10).await?), [0; 0]);
    let entry = told().client(client, ClientStatus::Pending);
    let seq = world.store().begin().await?.commit(entry, [told()]).await? - 1;
    assert_eq!(numbers(reader.audit_after(0, Some(client), 10).await?), [seq], "of one client");
    assert_eq!(numbers(reader.audit_after(seq, Some(client), 10).await?), [0; 0]);
    ensure!(reader.audit_entry(8).await?.is_none() && reader.audit_entry(0).await?.is_none());
    Ok(())
}
