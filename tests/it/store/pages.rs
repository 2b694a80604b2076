//! Lists in pages: what is inserted meanwhile shifts nothing.

use std::fmt::Debug;

use anyhow::{Result, ensure};
use vpn_core::{
    audit::AuditEntry,
    domain::JobKind,
    store::{AuditFilter, ClientFilter, JobFilter, Page, PageRequest},
};
use vpn_tests::{World, on_every_database};

on_every_database!(
    clients_inserted_meanwhile_shift_no_page,
    jobs_inserted_meanwhile_shift_no_page,
    entries_appended_meanwhile_shift_no_page,
    a_list_is_read_backwards_in_the_same_order_whatever_is_inserted,
    what_lies_between_two_keys_can_be_asked_for_from_both_ends,
    the_same_page_of_many_lists_is_what_each_list_gives_alone,
    a_page_is_never_empty_nor_endless,
);

/// Adds a page to what was read, and gives where the next one begins.
fn read<T, K: Debug>(read: &mut Vec<K>, page: &Page<T>, key: impl Fn(&T) -> K, size: usize) -> Result<bool> {
    ensure!(page.items.len() == size || !page.has_next, "only the last page is shorter");
    read.extend(page.items.iter().map(key));
    Ok(page.has_next)
}

async fn clients_inserted_meanwhile_shift_no_page(world: World) -> Result<()> {
    let server = world.server().await?.id;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, world.client_on(server).await?.id);
    }
    let (mut found, mut page) = (Vec::new(), PageRequest::first(3));
    loop {
        let next = world.store().read().await?.clients(&ClientFilter::default(), &page).await?;
        let more = read(&mut found, &next, |client| client.id, 3)?;
        world.client_on(server).await?;
        if !more {
            break;
        }
        page.after = found.last().copied();
    }
    assert_eq!(found, expected);
    Ok(())
}

async fn jobs_inserted_meanwhile_shift_no_page(world: World) -> Result<()> {
    let mut expected = Vec::new();
    for _ in 0..4 {
        expected.insert(0, world.queued(JobKind::Provision).await?.id);
    }
    let (mut found, mut page) = (Vec::new(), PageRequest::first(2));
    loop {
        let next = world.store().read().await?.jobs(&JobFilter::default(), &page).await?;
        let more = read(&mut found, &next, |job| job.id, 2)?;
        world.queued(JobKind::Revoke).await?;
        if !more {
            break;
        }
        page.after = found.last().copied();
    }
    assert_eq!(found, expected);
    Ok(())
}

async fn entries_appended_meanwhile_shift_no_page(world: World) -> Result<()> {
    for _ in 0..6 {
        world.server().await?;
    }
    let last = world.store().read().await?.audit_head().await?.seq;
    let (mut found, mut page) = (Vec::new(), PageRequest::first(3));
    loop {
        let next = world.store().read().await?.audit_page(&AuditFilter::default(), &page).await?;
        let more = read(&mut found, &next, |entry| entry.seq, 3)?;
        world.server().await?;
        if !more {
            break;
        }
        page.after = found.last().copied();
    }
    assert_eq!(found, (1..=last).rev().collect::<Vec<_>>());
    Ok(())
}

async fn a_list_is_read_backwards_in_the_same_order_whatever_is_inserted(world: World) -> Result<()> {
    let server = world.server().await?.id;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, world.client_on(server).await?.id);
    }
    let (mut found, mut page) = (Vec::new(), PageRequest::last(3));
    loop {
        let next = world.store().read().await?.clients(&ClientFilter::default(), &page).await?;
        ensure!(next.has_next == page.before.is_some());
        let ids: Vec<_> = next.items.iter().map(|client| client.id).collect();
        page.before = ids.first().copied();
        found.splice(0..0, ids);
        if !next.has_previous {
            break;
        }
        // What is new stands at the front, where the reading has not come yet.
        expected.insert(0, world.client_on(server).await?.id);
    }
    assert_eq!(found, expected);
    Ok(())
}

async fn what_lies_between_two_keys_can_be_asked_for_from_both_ends(world: World) -> Result<()> {
    for _ in 0..7 {
        world.server().await?;
    }
    let (after, before) = (Some(7), Some(2));
    for (page, seqs, next, previous) in [
        (PageRequest { after, before, ..PageRequest::first(2) }, vec![6, 5], true, true),
        (PageRequest { after, before, ..PageRequest::last(2) }, vec![4, 3], true, true),
        (PageRequest { after, before, ..PageRequest::first(4) }, vec![6, 5, 4, 3], false, true),
        (PageRequest { after, ..PageRequest::last(2) }, vec![2, 1], false, true),
        (PageRequest { before, ..PageRequest::first(2) }, vec![8, 7], true, false),
        (PageRequest { after: Some(3), before: Some(2), ..PageRequest::last(2) }, vec![], true, false),
    ] {
        let found = world.store().read().await?.audit_page(&AuditFilter::default(), &page).await?;
        assert_eq!(found.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), seqs, "{page:?}");
        assert_eq!((found.has_next, found.has_previous), (next, previous), "{page:?}");
    }
    Ok(())
}

async fn the_same_page_of_many_lists_is_what_each_list_gives_alone(world: World) -> Result<()> {
    let (one, two, empty) = (world.server().await?.id, world.server().await?.id, world.server().await?.id);
    let mut clients = Vec::new();
    for server in [one, two, one, one, two] {
        clients.push(world.client_on(server).await?.id);
    }
    for client in clients.iter().take(3) {
        world.job(*client, JobKind::Provision).await?;
        world.job(*client, JobKind::Revoke).await?;
    }
    let mut reader = world.store().read().await?;
    let bounds = [(None, None), (clients.get(3).copied(), None), (None, clients.first().copied())];
    for page in [PageRequest::first(2), PageRequest::last(2), PageRequest::first(1)] {
        for (after, before) in bounds {
            let page = PageRequest { after, before, ..page };
            let found = reader.clients_of_servers(&[one, two, empty, one], &page).await?;
            assert_eq!(found.len(), 3);
            for (server, items) in found {
                let filter = ClientFilter { server_id: Some(server), ..ClientFilter::default() };
                assert_eq!(items, reader.clients(&filter, &page).await?, "{server} {page:?}");
            }
        }
    }
    for page in [PageRequest::first(1), PageRequest::last(1), PageRequest::first(5)] {
        for (client, items) in reader.jobs_of_clients(&clients, &page).await? {
            let filter = JobFilter { client_id: Some(client), ..JobFilter::default() };
            assert_eq!(items, reader.jobs(&filter, &page).await?, "{client} {page:?}");
        }
    }
    for page in [PageRequest::first(1), PageRequest::last(2)] {
        for (client, items) in reader.audit_of_clients(&clients, &page).await? {
            let filter = AuditFilter { client_id: Some(client), ..AuditFilter::default() };
            let alone = reader.audit_page(&filter, &page).await?;
            let seqs = |page: &Page<AuditEntry>| page.items.iter().map(|entry| entry.seq).collect::<Vec<_>>();
            assert_eq!((seqs(&items), items.has_next), (seqs(&alone), alone.has_next), "{client} {page:?}");
        }
    }
    assert_eq!(reader.jobs_of_clients(&[], &PageRequest::first(1)).await?.len(), 0);
    Ok(())
}

async fn a_page_is_never_empty_nor_endless(world: World) -> Result<()> {
    let server = world.server().await?.id;
    world.client_on(server).await?;
    world.client_on(server).await?;
    let page = world.store().read().await?.clients(&ClientFilter::default(), &PageRequest::first(0)).await?;
    ensure!(page.items.len() == 1 && page.has_next, "at least one is given");
    assert_eq!(PageRequest::<i64>::first(u32::MAX).size, PageRequest::<i64>::MAX);
    Ok(())
}
