//! What the audit log costs, and how fast a long one is. Prints a table.
//!
//! `cargo run --release -p vpn-tests --example bench-audit [-- ENTRIES]`

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use vpn_core::{
    audit::{Action, Entry},
    clock::Timestamp,
    domain::{Caller, ClientId, ClientStatus, Role},
    service::verify_audit_log,
    store::{AuditFilter, PageRequest, Store},
};
use vpn_tests::{Database, World, platform::caller};

/// Transactions of each kind that are compared.
const TRANSACTIONS: u32 = 1_500;
/// Entries that one transaction appends when a log is filled.
const AT_ONCE: usize = 5_000;
/// Clients and people among whom the entries are divided, and how many entries there are to each that has words of
/// somebody in it.
const CLIENTS: usize = 2_000;
const PEOPLE: usize = 20;
const WORDS: usize = 10;

#[tokio::main]
async fn main() -> Result<()> {
    let entries: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    println!("| database | what | figure |\n| --- | --- | --- |");
    for database in [Database::Sqlite, Database::Postgres] {
        cost(database).await?;
        long(database, entries).await?;
    }
    Ok(())
}

fn tell(database: Database, what: &str, figure: impl std::fmt::Display) {
    println!("| {database:?} | {what} | {figure} |");
}

/// The same change with and without its entry, one transaction after the other.
async fn cost(database: Database) -> Result<()> {
    let world = World::on(database).await?;
    let mut raw = world.db.raw().await?;
    if database == Database::Sqlite {
        raw.execute("PRAGMA synchronous = FULL").await?;
    }
    let ada = caller("ada", Role::Operator)?;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    // By turns, and the middle one of each: so a machine that others use too changes both alike.
    for _ in 0..TRANSACTIONS {
        let start = Instant::now();
        audited(&world, &ada).await?;
        with.push(start.elapsed());
        let start = Instant::now();
        unaudited(&world, &mut raw).await?;
        without.push(start.elapsed());
    }
    let (with, without) = (median(with)?, median(without)?);
    tell(database, "a transaction, audited", format!("{with:.1?}"));
    tell(database, "the same, not audited", format!("{without:.1?}"));
    tell(database, "time with audit / without", format!("{:.2}", with.as_secs_f64() / without.as_secs_f64()));
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Result<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied().context("a time")
}

/// A change that a person makes, told with a name.
async fn audited(world: &World, ada: &Caller) -> Result<()> {
    let mut tx = world.store().begin().await?;
    let server = tx.insert_server(world.new_server()?).await?;
    let client = ClientId::generate(&world.ambient);
    let entry = Entry::by(ada, Action::ClientCreated).server(server.id).client(client, ClientStatus::Pending);
    tx.commit(entry.with("name", server.name.as_str()), []).await?;
    Ok(())
}

/// The same without the entry.
async fn unaudited(world: &World, raw: &mut AnyConnection) -> Result<()> {
    let server = world.new_server()?;
    let mut tx = raw.begin().await?;
    let now = match world.db.database {
        Database::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        _ => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    };
    let now: i64 = sqlx::query_scalar(now).fetch_one(&mut *tx).await?;
    let insert = "INSERT INTO servers (id, name, host, port, ssh_user, host_key, created_by, created_at) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(insert)
        .bind(server.id.to_string())
        .bind(server.name.as_str().to_owned())
        .bind(server.address.host().to_owned())
        .bind(i64::from(server.address.port()))
        .bind(server.address.user().to_owned())
        .bind(server.host_key)
        .bind(server.created_by)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

async fn long(database: Database, entries: usize) -> Result<()> {
    let world = World::on(database).await?;
    let store = world.store();
    let clients: Vec<ClientId> = (0..CLIENTS).map(|_| ClientId::generate(&world.ambient)).collect();
    let people: Vec<Caller> =
        (0..PEOPLE).map(|at| caller(&format!("person-{at}"), Role::Operator)).collect::<Result<_>>()?;
    let start = Instant::now();
    let mut all = clients.iter().cycle().zip(people.iter().cycle()).enumerate().take(entries);
    loop {
        let mut some = all.by_ref().take(AT_ONCE).map(|(at, (client, person))| {
            let action = if at.is_multiple_of(10_000) { Action::TokenRevoked } else { Action::ClientCreated };
            let entry = Entry::by(person, action).client(*client, ClientStatus::Active);
            if at.is_multiple_of(WORDS) { entry.with("reason", "a laptop was lost") } else { entry }
        });
        let Some(first) = some.next() else { break };
        store.begin().await?.commit(first, some.collect::<Vec<_>>()).await?;
    }
    tell(database, &format!("{entries} entries, appended {AT_ONCE} at a time"), format!("{:.1?}", start.elapsed()));
    if database == Database::Postgres {
        world.db.raw().await?.execute("ANALYZE audit_log").await?;
    }
    let before = peak_mb()?;
    let start = Instant::now();
    let verified = verify_audit_log(store).await?;
    tell(database, &format!("{} entries verified", verified.entries), format!("{:.1?}", start.elapsed()));
    tell(database, "memory for it", format!("{} MB", peak_mb()? - before));
    let middle = store.read().await?.audit_entry(verified.entries / 2).await?.context("an entry")?.columns.at;
    pages(database, store, &clients, middle).await
}

async fn pages(database: Database, store: &Store, clients: &[ClientId], middle: Timestamp) -> Result<()> {
    let none = AuditFilter::default();
    let later = middle.plus(Duration::from_millis(100));
    for (what, filter) in [
        ("newest", none.clone()),
        ("of a client", AuditFilter { client_id: clients.get(7).copied(), ..none.clone() }),
        ("of an actor", AuditFilter { actor: Some("person-7".into()), ..none.clone() }),
        ("of a rare action", AuditFilter { action: Some("token.revoked".into()), ..none.clone() }),
        ("of nobody", AuditFilter { actor: Some("nobody".into()), ..none.clone() }),
        ("of a time long ago", AuditFilter { since: Some(middle), until: Some(later), ..none.clone() }),
        ("before a time long ago", AuditFilter { until: Some(middle), ..none }),
    ] {
        let mut times = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            store.read().await?.audit_page(&filter, &PageRequest::first(50)).await?;
            times.push(start.elapsed());
        }
        tell(database, &format!("a page of 50, {what}"), format!("{:.1?}", median(times)?));
    }
    Ok(())
}

/// The most memory that this process has had so far.
fn peak_mb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.split_whitespace().next().context("a number")?.parse::<u64>()? / 1024)
}
