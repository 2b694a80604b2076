//! Lists in pages: what is inserted meanwhile shifts nothing.

use std::fmt::Debug;

use anyhow::{Result, ensure};
use vpn_core::{
    domain::JobKind,
    store::{AuditFilter, ClientFilter, JobFilter, Page, PageRequest},
};
use vpn_tests::{World, on_every_database};

on_every_database!(
    clients_inserted_meanwhile_shift_no_page,
    jobs_inserted_meanwhile_shift_no_page,
    entries_appended_meanwhile_shift_no_page,
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

async fn a_page_is_never_empty_nor_endless(world: World) -> Result<()> {
    let server = world.server().await?.id;
    world.client_on(server).await?;
    world.client_on(server).await?;
    let page = world.store().read().await?.clients(&ClientFilter::default(), &PageRequest::first(0)).await?;
    ensure!(page.items.len() == 1 && page.has_next, "at least one is given");
    assert_eq!(PageRequest::<i64>::first(u32::MAX).first, PageRequest::<i64>::MAX);
    Ok(())
}
