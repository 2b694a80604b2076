//! Whatever is done leaves its entry: every mutation of the schema, and everything that can become of a job.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use vpn_core::{
    audit::{Action, AuditEntry, JobAct},
    domain::{Client, Job, JobKind, JobState, Operation, RequestId, Role, Scopes, Server, Step},
    error::Error,
    events::Events,
    host::Fault,
    jobs::{SweepPolicy, Sweeper},
    lock::LockPolicy,
    queue::Bell,
    sandbox::random_hex,
    service::{
        CreateClient, CreateProfileLink, CreateToken, MoveServer, ProvisionClient, RegisterServer, RetryJob,
        RevokeClient, TwoPersonRule,
    },
    store::{AuditFilter, Looked, PageRequest},
};
use vpn_tests::{
    Database, TestPlatform,
    attack::Attacker,
    platform::{MAX_ATTEMPTS, caller},
    redis,
};

use super::entries;

#[tokio::test]
async fn everything_that_can_happen_leaves_an_entry() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let retry = without_a_worker(&test).await?;
    let worker = test.worker()?;
    refusals(&test).await?;
    every_mutation(&test, &retry).await?;
    for kind in [JobKind::Provision, JobKind::Revoke] {
        every_outcome(&test, kind).await?;
    }
    worker.drain().await?;
    let written = entries(&test.db.store).await?;
    for entry in &written {
        names_nobody(entry)?;
    }
    let written: BTreeSet<String> = written.into_iter().map(|entry| entry.columns.action).collect();
    let known: BTreeSet<String> = Action::all().map(|action| action.as_str().to_owned()).collect();
    // What an operator does by hand, on the log and after a restore, has tests of its own, which read these entries.
    // So have what nobody decides in time, and the renewal of CRLs.
    let by_hand = [
        "approval.expired",
        "audit.erased",
        "audit.sealed",
        "client.reconciled",
        "crl.renewal_failed",
        "crl.renewal_started",
        "crl.renewed",
        "database.restored",
        "server.reconciled",
    ]
    .map(str::to_owned);
    assert_eq!(known.difference(&written).cloned().collect::<Vec<_>>(), by_hand);
    ensure!(written.is_subset(&known), "{written:?}");
    test.check().await
}

/// Whoever did something here, and whatever it was about, stands beside the log and not in it.
fn names_nobody(entry: &AuditEntry) -> Result<()> {
    let canonical = std::str::from_utf8(&entry.canonical)?;
    for word in ["\"ada\"", "\"bob\"", "\"olga\"", "\"vera\"", "laptop-", "\"lost\"", "not today"] {
        ensure!(!canonical.contains(word), "{word}: {canonical}");
    }
    Ok(())
}

/// Jobs that lose their workers, one that is overtaken, and one that fails, which it gives.
async fn without_a_worker(test: &TestPlatform) -> Result<Job> {
    let lost = test.client().await?;
    lose_worker(test, &test.provision(lost.id).await?.job, Step::Issue).await?;
    let overtaken = test.client().await?;
    test.provision(overtaken.id).await?;
    let revoke = test.revoke(overtaken.id).await?.job;
    lose_worker(test, &revoke, Step::PublishCrl).await?;
    let failing = test.client().await?;
    let failing = test.provision(failing.id).await?.job;
    for _ in 0..MAX_ATTEMPTS {
        lose_worker(test, &failing, Step::Issue).await?;
    }
    ensure!(test.finished(failing.id).await?.state == JobState::Failed);
    Ok(failing)
}

/// A claim that nobody keeps, and the sweeper that finds it.
async fn lose_worker(test: &TestPlatform, job: &Job, step: Step) -> Result<()> {
    let url = test.sandbox.redis()?.url();
    let floor = test.reload(job.client_id).await?.fence;
    let locks = redis::locks(&url, LockPolicy::default())?;
    let fence = locks.with(&Client::resource(job.client_id), floor, async |lease| lease.fence().clone()).await?;
    let mut tx = test.db.store.begin().await?;
    tx.claim_job(job, step, &fence, Duration::ZERO).await?;
    tx.commit(vpn_tests::told(), []).await?;
    let sweeper = Sweeper {
        store: test.db.store.clone(),
        bell: Arc::new(Bell::new(redis::connect(&url)?)),
        events: Events::follow(test.db.store.clone(), None),
        policy: SweepPolicy::default(),
    };
    vpn_tests::eventually("the claim has lapsed", async || {
        sweeper.sweep().await?;
        let job = test.platform.job(&test.admin, job.id).await?.context("the job")?;
        Ok(job.state != JobState::Running)
    })
    .await
}

async fn refusals(test: &TestPlatform) -> Result<()> {
    let request = RequestId::generate(test.platform.ambient());
    ensure!(test.platform.authenticate(None, None, request).await.is_err());
    let viewer = caller("vera", Role::Viewer)?;
    ensure!(test.platform.audit_entry(&viewer, 1).await.is_err());
    test.platform.take_profile("guessed", None, request).await?;
    Ok(())
}

/// Each mutation that the schema has, and what it must leave in the log under the caller's name.
async fn every_mutation(test: &TestPlatform, failed: &Job) -> Result<()> {
    let sdl = vpn_graphql::sdl();
    let (_, mutations) = sdl.split_once("type Mutation {").context("mutations")?;
    let (mutations, _) = mutations.split_once("\n}").context("their end")?;
    let names = mutations.lines().filter_map(|line| line.trim().split_once('(')).map(|(name, _)| name);
    let names: Vec<&str> = names.filter(|name| name.chars().all(char::is_alphanumeric)).collect();
    ensure!(names.len() >= 8, "{names:?}");
    for name in names {
        let before = test.db.store.read().await?.audit_head().await?.seq;
        let action = act(test, name, failed).await.with_context(|| name.to_owned())?;
        let left = test.db.store.read().await?.audit_after(before, None, 100).await?;
        let is_it = |entry: &AuditEntry| entry.columns.action == action.as_str() && entry.actor() == "ada";
        ensure!(left.iter().any(is_it), "{name} left no entry {}", action.as_str());
    }
    Ok(())
}

const HOST_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// A server without clients.
async fn spare(test: &TestPlatform, name: &str, host_key: Option<&str>) -> Result<Server> {
    let server = RegisterServer {
        name: name.to_owned(),
        host: "vpn2.example.org".into(),
        port: 22,
        user: "vpn-host".into(),
        host_key: host_key.map(str::to_owned),
        idempotency_key: None,
    };
    Ok(test.platform.register_server(&test.admin, server).await?)
}

async fn act_on_server(test: &TestPlatform, mutation: &str) -> Result<Action> {
    let (platform, admin) = (&test.platform, &test.admin);
    Ok(match mutation {
        "registerServer" => {
            spare(test, "registered", Some(HOST_KEY)).await?;
            Action::ServerRegistered
        }
        "pinHostKey" => {
            let (server, shown) = (spare(test, "pinned", None).await?, HOST_KEY);
            let mut tx = test.db.store.begin().await?;
            let begun = tx.at();
            tx.claim_look(server.id, Duration::ZERO).await?;
            let looked = Looked { presented_key: Some(shown.to_owned()), ..Looked::default() };
            tx.note_look(server.id, begun, &looked).await?;
            tx.commit(vpn_tests::told(), []).await?;
            let fingerprint = vpn_core::host::fingerprint(shown)?;
            platform.pin_host_key(admin, &server.id.to_string(), &fingerprint).await?;
            Action::HostKeyPinned
        }
        "moveServer" => {
            let server_id = spare(test, "moved", Some(HOST_KEY)).await?.id.to_string();
            let moved = MoveServer { server_id, host: Some("vpn3.example.org".into()), ..MoveServer::default() };
            platform.move_server(admin, moved).await?;
            Action::ServerMoved
        }
        "confirmConfiguration" => {
            let server = spare(test, "confirmed", Some(HOST_KEY)).await?;
            vpn_tests::differs(&test.db.store, server.id).await?;
            platform.confirm_configuration(admin, &server.id.to_string(), vpn_tests::FOUND).await?;
            Action::ConfigurationConfirmed
        }
        "disableServer" => {
            let server = spare(test, "disabled", Some(HOST_KEY)).await?;
            platform.disable_server(admin, &server.id.to_string()).await?;
            Action::ServerDisabled
        }
        "enableServer" => {
            let server = spare(test, "enabled", Some(HOST_KEY)).await?.id.to_string();
            platform.disable_server(admin, &server).await?;
            platform.enable_server(admin, &server).await?;
            Action::ServerEnabled
        }
        "retireServer" => {
            let server = spare(test, "retired", None).await?;
            platform.retire_server(admin, &server.id.to_string()).await?;
            Action::ServerRetired
        }
        other => bail!("{other} is new: say here how it is called and what it leaves in the audit log"),
    })
}

async fn act(test: &TestPlatform, mutation: &str, failed: &Job) -> Result<Action> {
    let (platform, admin) = (&test.platform, &test.admin);
    let token = CreateToken { principal: "bob".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
    Ok(match mutation {
        it if it.ends_with("Server") || ["pinHostKey", "confirmConfiguration"].contains(&it) => {
            act_on_server(test, it).await?
        }
        "createClient" => {
            let name = format!("laptop-{}", random_hex(6)?);
            let client = CreateClient { name, server_id: test.server.id.to_string(), idempotency_key: None };
            platform.create_client(admin, client).await?;
            Action::ClientCreated
        }
        "provisionClient" => {
            let client_id = test.client().await?.id.to_string();
            let asked = ProvisionClient {
                client_id,
                csr: None,
                validity_days: 30,
                address: None,
                routes: Vec::new(),
                idempotency_key: None,
            };
            let job = platform.provision_client(admin, asked).await?.job;
            test.succeeded(job.id).await?;
            Action::Job(JobKind::Provision, JobAct::Requested)
        }
        "revokeClient" => {
            let client_id = test.client().await?.id.to_string();
            let asked = RevokeClient { client_id, reason: "lost".into(), idempotency_key: None };
            let job = platform.revoke_client(admin, asked).await?.job;
            test.succeeded(job.id).await?;
            Action::Job(JobKind::Revoke, JobAct::Requested)
        }
        "retryJob" => {
            let retry = RetryJob { job_id: failed.id.to_string(), idempotency_key: None };
            let job = platform.retry_job(admin, retry).await?.job;
            test.succeeded(job.id).await?;
            Action::Job(JobKind::Provision, JobAct::Requested)
        }
        "deliverProfile" => {
            let client = test.active().await?;
            platform.deliver_profile(admin, &client.id.to_string()).await?;
            Action::ProfileDelivered
        }
        "createProfileLink" => {
            let client_id = test.active().await?.id.to_string();
            platform.create_profile_link(admin, CreateProfileLink { client_id, valid_for_minutes: 5 }).await?;
            Action::LinkCreated
        }
        "createToken" => {
            platform.create_token(admin, token).await?;
            Action::TokenCreated
        }
        "revokeToken" => {
            let made = platform.create_token(admin, token).await?.token;
            platform.revoke_token(admin, &made.id.to_string()).await?;
            Action::TokenRevoked
        }
        "approveRequest" | "denyRequest" => {
            let rule = TwoPersonRule { operations: Operation::ALL.into(), ..TwoPersonRule::default() };
            let ruled = platform.clone().with_two_person_rule(rule);
            let name = format!("laptop-{}", random_hex(6)?);
            let client = CreateClient { name, server_id: test.server.id.to_string(), idempotency_key: None };
            let Err(Error::AwaitsApproval(it)) = ruled.create_client(&caller("olga", Role::Operator)?, client).await
            else {
                bail!("it waits for nobody")
            };
            let id = it.seen.approval.id.to_string();
            if mutation == "denyRequest" {
                platform.deny_request(admin, &id, "not today").await?;
                return Ok(Action::ApprovalDenied);
            }
            platform.approve_request(admin, &id).await?;
            Action::ApprovalApproved
        }
        other => bail!("{other} is new: say here how it is called and what it leaves in the audit log"),
    })
}

/// With a worker: an attempt that fails and is tried again, a job that is given up, and one that is taken
/// from its worker.
async fn every_outcome(test: &TestPlatform, kind: JobKind) -> Result<()> {
    let verb = match kind {
        JobKind::Provision => "issue",
        JobKind::Revoke => "revoke",
    };
    let ask = async || -> Result<Job> {
        let client = test.client().await?.id;
        Ok(match kind {
            JobKind::Provision => test.provision(client).await?.job,
            JobKind::Revoke => test.revoke(client).await?.job,
        })
    };
    test.faults.plan(verb, Fault::Unreachable);
    test.succeeded(ask().await?.id).await?;
    for _ in 0..MAX_ATTEMPTS {
        test.faults.plan(verb, Fault::Unreachable);
    }
    ensure!(test.finished(ask().await?.id).await?.state == JobState::Failed);

    test.faults.plan(verb, Fault::ReplyHeld);
    let calls = test.faults.calls().len();
    let job = ask().await?;
    vpn_tests::eventually("the host was asked", async || Ok(test.faults.calls().len() > calls)).await?;
    let mut another = Attacker::on(&test.db).await?;
    another.run(format!("UPDATE jobs SET fence = fence + 1000 WHERE id = '{}'", job.id)).await?;
    test.faults.release();
    let fenced = format!("{}.fenced", kind.as_str());
    vpn_tests::eventually(&fenced, async || {
        let filter = AuditFilter { job_id: Some(job.id), ..AuditFilter::default() };
        let page = test.platform.audit_log(&test.admin, &filter, &PageRequest::first(100)).await?;
        Ok(page.items.iter().any(|entry| entry.columns.action == fenced))
    })
    .await
}
