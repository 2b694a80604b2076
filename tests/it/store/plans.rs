//! The databases' own plans: no page of the audit log, however it is filtered, reads the whole of it.

use anyhow::{Result, ensure};
use sqlx::Executor as _;
use vpn_core::{
    audit::{Action, Entry},
    domain::{ClientId, ClientStatus, JobKind, Role},
    store::{AuditFilter, PageRequest},
};
use vpn_tests::{Database, World, on_every_database, platform::caller};

on_every_database!(no_page_of_the_audit_log_reads_all_of_it);

/// Enough that no database prefers to read everything.
const ENTRIES: usize = 4_000;

/// Entries by 15 people about 16 clients, some of one job and of another action: of each more than a page, or sorting
/// them all would be as good.
async fn filled(world: &World) -> Result<AuditFilter> {
    let job = world.queued(JobKind::Revoke).await?;
    let clients: Vec<ClientId> = (0..16).map(|_| ClientId::generate(&world.ambient)).collect();
    let people = (0..15).map(|at| caller(&format!("person-{at}"), Role::Operator)).collect::<Result<Vec<_>>>()?;
    let mut all = clients.iter().cycle().zip(people.iter().cycle()).enumerate().take(ENTRIES);
    loop {
        let mut some = all.by_ref().take(1_000).map(|(at, (client, person))| {
            let rare = at.is_multiple_of(7);
            let action = if rare { Action::TokenRevoked } else { Action::ClientCreated };
            let entry = Entry::by(person, action).client(*client, ClientStatus::Pending);
            if rare { entry.job(&job, job.state) } else { entry }
        });
        let Some(first) = some.next() else { break };
        world.store().begin().await?.commit(first, some.collect::<Vec<_>>()).await?;
    }
    // What a database does by itself, sooner or later.
    let analyze = match world.db.database {
        Database::Sqlite => None,
        Database::Postgres => Some("ANALYZE audit_log"),
        Database::MariaDb => Some("ANALYZE TABLE audit_log"),
    };
    if let Some(analyze) = analyze {
        world.db.raw().await?.execute(analyze).await?;
    }
    let mut reader = world.store().read().await?;
    let since = reader.audit_entry(1_500).await?.map(|entry| entry.columns.at);
    let until = reader.audit_entry(2_500).await?.map(|entry| entry.columns.at);
    Ok(AuditFilter {
        client_id: clients.first().copied(),
        job_id: Some(job.id),
        actor: Some("person-3".into()),
        action: Some("token.revoked".into()),
        since,
        until,
    })
}

/// Every choice of these conditions.
fn choices(all: &AuditFilter) -> impl Iterator<Item = AuditFilter> {
    (0_u8..1 << 6).map(|choice| {
        let wanted = |bit: u8| choice & (1 << bit) != 0;
        AuditFilter {
            client_id: all.client_id.filter(|_| wanted(0)),
            job_id: all.job_id.filter(|_| wanted(1)),
            actor: all.actor.clone().filter(|_| wanted(2)),
            action: all.action.clone().filter(|_| wanted(3)),
            since: all.since.filter(|_| wanted(4)),
            until: all.until.filter(|_| wanted(5)),
        }
    })
}

/// Whether a page is read in the order of an index, and no row is sorted: what has at most one condition.
fn is_in_order(filter: &AuditFilter) -> bool {
    let AuditFilter { client_id, job_id, actor, action, since, until } = filter;
    let of_one = [client_id.is_some(), job_id.is_some(), actor.is_some(), action.is_some()];
    let conditions = of_one.into_iter().filter(|is| *is).count() + usize::from(since.is_some() || until.is_some());
    conditions <= 1
}

fn check(database: Database, filter: &AuditFilter, plan: &[String]) -> Result<()> {
    let text = plan.join("\n");
    let (everything, sorting) = match database {
        Database::Sqlite => ("SCAN audit_log", "TEMP B-TREE"),
        Database::Postgres => ("Seq Scan", "Sort"),
        Database::MariaDb => ("\"access_type\": \"ALL\"", "filesort"),
    };
    // The newest of all, in the order of the rows themselves.
    let from_the_end = database == Database::Sqlite && *filter == AuditFilter::default();
    ensure!(!text.is_empty() && (from_the_end || !text.contains(everything)), "{filter:?} reads everything:\n{text}");
    ensure!(!is_in_order(filter) || !text.contains(sorting), "{filter:?} sorts:\n{text}");
    Ok(())
}

async fn no_page_of_the_audit_log_reads_all_of_it(world: World) -> Result<()> {
    let all = filled(&world).await?;
    let mut reader = world.store().read().await?;
    let middle = i64::try_from(ENTRIES / 2)?;
    let pages = [
        PageRequest::first(50),
        PageRequest::last(50),
        PageRequest { after: Some(middle), ..PageRequest::first(50) },
        PageRequest { before: Some(middle), ..PageRequest::last(50) },
    ];
    for filter in choices(&all) {
        for page in &pages {
            check(world.db.database, &filter, &reader.explain_audit_page(&filter, page).await?)?;
        }
    }
    // The check finds what it looks for.
    let bad = match world.db.database {
        Database::Sqlite => "SCAN audit_log",
        Database::Postgres => "Seq Scan on audit_log",
        Database::MariaDb => "\"access_type\": \"ALL\"",
    };
    ensure!(check(world.db.database, &all, &[bad.to_owned()]).is_err());
    Ok(())
}
