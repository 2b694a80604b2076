//! Jobs that fail, servers that go away, answers that are lost.

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    net::TcpListener,
};
use vpn_core::domain::Role;
use vpn_tests::{
    deserted::Deserted,
    fleet::{Pace, lasting_port},
    soon,
};

use super::{Person, fleet};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_fails_is_the_commands_failure() -> Result<()> {
    let fleet = fleet(Pace { max_attempts: 1, ..Pace::default() }).await?;
    let (worker, server) = (fleet.worker().await?, fleet.server().await?);
    let ada = Person::with(&fleet, "ada", Role::Admin, &server.url).await?;
    std::fs::write(ada.file("host.pub"), fleet.server.host_key.as_deref().context("a host key")?)?;
    let deserted = Deserted::new()?;
    let port = deserted.port()?.to_string();
    let nowhere =
        ["server", "register", "nowhere", "--host", "127.0.0.1", "--port", &port, "--host-key-file", "host.pub"];
    ada.does(&nowhere).await?;
    ada.does(&["client", "create", "bob", "--server", "nowhere"]).await?;
    let failed = ada.runs(&["client", "provision", "bob", "--wait"]).await?;
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.err.contains("failed: HOST_UNREACHABLE") && failed.out.contains("FAILED"), "{failed:?}");

    let jobs = ada.asks(&["job", "list", "--state", "failed", "--client", "bob"]).await?;
    let job = jobs[0]["id"].as_str().context("a job")?;
    assert_eq!(ada.runs(&["job", "show", job, "--wait"]).await?.code, 1);
    let retried = ada.runs(&["job", "retry", job, "--wait", "--output", "json"]).await?;
    assert_eq!(retried.code, 1, "{retried:?}");
    let retry: serde_json::Value = serde_json::from_str(&retried.out)?;
    assert_eq!(retry["retryOf"]["id"], job);
    worker.stop().await;
    server.process.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_second_person_has_to_approve_is_told_and_no_token_is_lost() -> Result<()> {
    let fleet = fleet(Pace::default()).await?;
    let server = fleet.server_in(lasting_port()?, &[("VPN_TWO_PERSON", "createToken, createClient")]).await?;
    // Somebody else made both of their tokens: who made one is the same person as who has it.
    let olga = Person::with(&fleet, "olga", Role::Admin, &server.url).await?;
    let waits = olga.runs(&["client", "create", "bob", "--server", "vpn1"]).await?;
    assert_eq!((waits.code, waits.err.contains("apr_")), (7, true), "{waits:?}");
    let token = ["token", "create", "--principal", "bob", "--role", "viewer"];
    let waits = olga.runs(&token).await?;
    assert_eq!((waits.code, waits.err.contains("apr_")), (7, true), "{waits:?}");
    assert!(waits.out.starts_with("vpn_pat_"), "it is given this once: {waits:?}");
    let waits = olga.runs(&[&token[..], &["--to", "bob.token"]].concat()).await?;
    assert_eq!(waits.code, 7, "{waits:?}");
    let given = std::fs::read_to_string(olga.file("bob.token"))?;
    let bob = Person::bearing(&fleet, "bob", given.trim(), &server.url).await?;
    assert_eq!(bob.runs(&["whoami"]).await?.code, 5, "it admits nobody yet");

    let eve = Person::with(&fleet, "eve", Role::Admin, &server.url).await?;
    let asked = eve.asks(&["approval", "list", "--state", "pending"]).await?;
    let asked = asked.as_array().context("a list")?;
    let ids: Vec<&str> = asked.iter().filter_map(|one| one["id"].as_str()).collect();
    let [newest, other, oldest] = ids[..] else { anyhow::bail!("three wait: {asked:?}") };
    let own = olga.runs(&["approval", "approve", oldest]).await?;
    assert_eq!(own.code, 3, "{own:?}");
    eve.does(&["approval", "approve", newest]).await?;
    bob.does(&["whoami"]).await?;
    let denied = eve.does(&["approval", "deny", other, "--reason", "nobody knows bob twice"]).await?;
    assert!(denied.contains("DENIED") && denied.contains("eve"), "{denied}");
    let again = eve.runs(&["approval", "approve", other]).await?;
    assert_eq!(again.code, 3, "{again:?}");
    assert_eq!(eve.asks(&["approval", "list", "--state", "pending"]).await?[0]["id"], oldest);
    server.process.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_not_disturbed_by_a_server_that_dies() -> Result<()> {
    let fleet = fleet(Pace::default()).await?;
    let port = lasting_port()?;
    let server = fleet.server_at(port, "").await?;
    let olga = Person::with(&fleet, "olga", Role::Operator, &server.url).await?;
    olga.does(&["client", "create", "carol", "--server", "vpn1"]).await?;
    // Nobody works yet, so the job waits.
    let mut wait = olga.command(&["client", "provision", "carol", "--wait"])?.spawn()?;
    let mut told = BufReader::new(wait.stderr.take().context("its notes")?).lines();
    until(&mut told, "QUEUED").await?;
    server.process.kill().await;
    until(&mut told, "coming back").await?;
    let worker = fleet.worker().await?;
    let server = fleet.server_at(port, "").await?;
    until(&mut told, "ACTIVE   provision SUCCEEDED").await?;
    let status = soon("the end of vpnctl", wait.wait()).await??;
    assert!(status.success(), "{status}");
    worker.stop().await;
    server.process.stop().await;
    Ok(())
}

async fn until(told: &mut tokio::io::Lines<impl tokio::io::AsyncBufRead + Unpin>, text: &str) -> Result<()> {
    let found = async {
        while let Some(line) = told.next_line().await? {
            if line.contains(text) {
                return Ok(());
            }
        }
        anyhow::bail!("it ended without saying `{text}`")
    };
    soon(text, found).await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_can_be_limited_and_the_job_goes_on() -> Result<()> {
    let fleet = fleet(Pace::default()).await?;
    let server = fleet.server().await?;
    let olga = Person::with(&fleet, "olga", Role::Operator, &server.url).await?;
    olga.does(&["client", "create", "dave", "--server", "vpn1"]).await?;
    let late = olga.runs(&["client", "provision", "dave", "--wait", "--timeout", "1"]).await?;
    assert_eq!(late.code, 4, "{late:?}");
    assert!(late.err.contains("it goes on: vpnctl job show job_"), "{late:?}");
    assert_eq!(olga.asks(&["job", "list", "--state", "queued"]).await?.as_array().map(Vec::len), Some(1));
    // It is overtaken before anybody works at it.
    let job = olga.asks(&["job", "list"]).await?[0]["id"].as_str().context("a job")?.to_owned();
    olga.does(&["client", "revoke", "dave", "--reason", "never mind"]).await?;
    let overtaken = olga.runs(&["job", "show", &job, "--wait"]).await?;
    assert_eq!(overtaken.code, 1, "{overtaken:?}");
    assert!(overtaken.err.contains("was canceled"), "{overtaken:?}");
    server.process.stop().await;
    Ok(())
}

/// The request arrives, its answer does not. The key that is shown makes a repeat safe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_shows_the_key_with_which_to_repeat() -> Result<()> {
    let fleet = fleet(Pace::default()).await?;
    let server = fleet.server().await?;
    let olga = Person::with(&fleet, "olga", Role::Operator, &server.url).await?;
    let deaf = TcpListener::bind(("127.0.0.1", lasting_port()?)).await?;
    let url = format!("http://{}/graphql", deaf.local_addr()?);
    let swallow = tokio::spawn(async move {
        let (mut connection, _) = deaf.accept().await?;
        let mut request = [0; 1024];
        anyhow::Ok(connection.read(&mut request).await? > 0)
    });
    let id = fleet.server.id.to_string();
    let create = ["client", "create", "erin", "--server", &id];
    let token = olga.file("vpnctl/tokens/here");
    let elsewhere = ["--url", &url, "--token-file", token.to_str().context("a path")?];
    let lost = olga.runs(&[&create[..], &elsewhere].concat()).await?;
    assert!(swallow.await??);
    assert_eq!(lost.code, 4, "{lost:?}");
    let key = lost.err.split("--idempotency-key ").nth(1).context("a key")?.trim();
    let first = olga.asks(&[&create[..], &["--idempotency-key", key]].concat()).await?;
    let again = olga.asks(&[&create[..], &["--idempotency-key", key]].concat()).await?;
    assert_eq!(first["id"], again["id"], "done once");

    // Nothing listens there any more, so nothing was sent, and there is nothing to repeat with care.
    let nobody = olga.runs(&[&create[..], &elsewhere].concat()).await?;
    assert_eq!(nobody.code, 4);
    assert!(!nobody.err.contains("--idempotency-key"), "{nobody:?}");
    server.process.stop().await;
    Ok(())
}
