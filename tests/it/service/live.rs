//! Live events: in order, none missed, across processes and outages of Redis.

use anyhow::{Context as _, Result};
use futures_util::{Stream, StreamExt as _};
use vpn_core::{
    domain::{ClientStatus, JobState, RequestId, Role, Scopes},
    error::{Error, RejectionCode},
    events::ClientEvent,
    secrecy::{ExposeSecret as _, SecretString},
    service::{CreateToken, Platform},
};
use vpn_tests::{Database, TestPlatform, platform::vault, soon, whole_on_every_database};

whole_on_every_database!(a_client_is_followed_from_its_present_state_to_its_end);

async fn until_revoked(events: impl Stream<Item = Result<ClientEvent, Error>>) -> Result<Vec<ClientEvent>> {
    let mut events = std::pin::pin!(events);
    let mut seen = Vec::new();
    while let Some(event) = soon("the next event", events.next()).await? {
        let event = event?;
        let last = event.status == ClientStatus::Revoked;
        seen.push(event);
        if last {
            return Ok(seen);
        }
    }
    anyhow::bail!("the events ended")
}

async fn a_client_is_followed_from_its_present_state_to_its_end(test: TestPlatform) -> Result<()> {
    let worker = test.worker()?;
    let client = test.client().await?;
    let live = test.platform.client_events(&test.admin, client.id, None).await?;
    let following = tokio::spawn(until_revoked(live));
    let job = test.provision(client.id).await?.job;
    test.succeeded(job.id).await?;
    let job = test.revoke(client.id).await?.job;
    test.succeeded(job.id).await?;
    let seen = following.await??;

    let first = seen.first().context("events")?;
    assert_eq!((first.status, &first.job), (ClientStatus::Pending, &None));
    assert!(seen.is_sorted_by(|one, next| one.cursor < next.cursor), "in order, each once");
    let states: Vec<JobState> = seen.iter().filter_map(|event| event.job.as_ref()).map(|job| job.state).collect();
    assert_eq!(states.iter().filter(|state| **state == JobState::Succeeded).count(), 2);

    // Whoever comes back with a cursor gets exactly what came behind it.
    for at in 0..seen.len() - 1 {
        let rest = test.platform.client_events(&test.admin, client.id, Some(seen[at].cursor)).await?;
        assert_eq!(until_revoked(rest).await?, seen[at + 1..], "behind event {at}");
    }
    worker.drain().await
}

#[tokio::test]
async fn another_process_sees_everything_even_while_redis_is_away() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    // Another server on the same database and Redis.
    let url = SecretString::from(test.sandbox.redis()?.url());
    let vault = vault()?;
    let ambient = vpn_core::clock::Ambient::system();
    let other = Platform::connect(test.db.another_store()?, &url, vault, ambient, 3)?;
    let mut jobs = std::pin::pin!(other.job_events(&test.admin, None, None).await?);

    let client = test.client().await?;
    let asked = test.provision(client.id).await?.job;
    let seen = soon("the event", jobs.next()).await?.context("an event")??;
    assert_eq!((seen.job.id, seen.job.state), (asked.id, JobState::Queued));

    test.sandbox.redis()?.stop().await;
    let client = test.client().await?;
    let asked = test.provision(client.id).await?.job;
    let seen = soon("the event", jobs.next()).await?.context("an event")??;
    assert_eq!(seen.job.id, asked.id);
    Ok(())
}

/// While nobody listens, nobody reads the log; whoever comes then reads it for himself.
#[tokio::test]
async fn who_comes_and_goes_while_jobs_are_queued_misses_none() -> Result<()> {
    const JOBS: usize = 40;
    let test = TestPlatform::on(Database::Sqlite).await?;
    let queueing = async {
        let mut queued = Vec::new();
        for _ in 0..JOBS {
            let client = test.client().await?;
            queued.push(test.provision(client.id).await?.job.id);
        }
        anyhow::Ok(queued)
    };
    let coming_and_going = async {
        let (mut cursor, mut seen) = (0, Vec::new());
        while seen.len() < JOBS {
            let mut events = std::pin::pin!(test.platform.job_events(&test.admin, None, Some(cursor)).await?);
            for _ in 0..(seen.len() % 3 + 1).min(JOBS - seen.len()) {
                let event = soon("the next event", events.next()).await?.context("an event")??;
                cursor = event.cursor;
                seen.push(event.job.id);
            }
        }
        anyhow::Ok(seen)
    };
    let (queued, seen) = tokio::try_join!(queueing, coming_and_going)?;
    assert_eq!(seen, queued);
    Ok(())
}

#[tokio::test]
async fn a_token_that_ends_ends_its_streams() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let input = CreateToken { principal: "vera".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
    let made = test.platform.create_token(&test.admin, input).await?;
    let request = RequestId::generate(test.platform.ambient());
    let vera = test.platform.authenticate(Some(made.secret.expose_secret()), None, request).await?;
    let mut events = std::pin::pin!(test.platform.job_events(&vera, None, None).await?);
    test.platform.revoke_token(&test.admin, &made.token.id.to_string()).await?;
    let end = soon("the end of the stream", events.next()).await?;
    assert!(matches!(end, Some(Err(Error::Unauthenticated))));
    assert!(events.next().await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_cursor_of_another_database_is_rejected() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    for cursor in [-1, 1_000_000] {
        let Err(Error::Rejected(no)) = test.platform.job_events(&test.admin, None, Some(cursor)).await.map(drop) else {
            panic!("accepted {cursor}")
        };
        assert_eq!((no.code, no.field), (RejectionCode::Invalid, Some("after")));
    }
    Ok(())
}
