//! The two-person rule: what one asks for, another one approves, and it is done once.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, future::join_all};
use sqlx::Executor as _;
use vpn_core::{
    domain::{ApprovalState, Caller, ClientId, JobState, Operation, RequestId, Role, Scope, Scopes, ServerState},
    error::{Error, RejectionCode},
    host::Fault,
    secrecy::ExposeSecret as _,
    service::{
        Awaited, CreateClient, CreateToken, MoveServer, Platform, ProvisionClient, RegisterServer, RetryJob,
        RevokeClient, SeenApproval, TwoPersonRule,
    },
    store::{ApprovalFilter, AuditFilter, Looked, PageRequest},
};
use vpn_tests::{
    Database, TestPlatform,
    attack::Attacker,
    platform::{MAX_ATTEMPTS, caller},
    soon, whole_on_every_database,
};

use super::rejection;

whole_on_every_database!(
    what_is_approved_is_done_once_however_many_approve_it,
    nobody_approves_their_own_request,
    a_request_that_is_over_is_over_whoever_notices,
    the_database_keeps_the_rule_too,
);

fn under_the_rule(test: &TestPlatform) -> Platform {
    let operations = vec![Operation::RevokeClient, Operation::CreateToken, Operation::CreateClient];
    test.platform.clone().with_two_person_rule(TwoPersonRule { operations, lasts: Duration::from_hours(1) })
}

fn awaited<T: std::fmt::Debug>(answer: Result<T, Error>) -> Awaited {
    match answer {
        Err(Error::AwaitsApproval(awaited)) => *awaited,
        other => panic!("it does not wait: {other:?}"),
    }
}

async fn ask(platform: &Platform, who: &Caller, id: ClientId, key: Option<&str>) -> SeenApproval {
    let input =
        RevokeClient { client_id: id.to_string(), reason: "lost".into(), idempotency_key: key.map(str::to_owned) };
    awaited(platform.revoke_client(who, input).await).seen
}

async fn actions(test: &TestPlatform, action: &str) -> Result<usize> {
    let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
    Ok(test.platform.audit_log(&test.admin, &filter, &PageRequest::first(100)).await?.items.len())
}

async fn what_is_approved_is_done_once_however_many_approve_it(test: TestPlatform) -> Result<()> {
    let platform = under_the_rule(&test);
    let (olga, others) =
        (caller("olga", Role::Operator)?, [caller("omar", Role::Operator)?, caller("ada", Role::Admin)?]);
    let mut events = std::pin::pin!(platform.approval_events(&olga, None).await?);
    let client = test.client().await?.id;
    let asked = ask(&platform, &olga, client, Some("k")).await;
    assert_eq!((asked.state, asked.approval.client_id), (ApprovalState::Pending, Some(client)));
    ensure!(test.reload(client).await?.revocation.is_none(), "nothing is done yet");
    // Asked again, with the key or without, it is the same request.
    assert_eq!(ask(&platform, &olga, client, Some("k")).await.approval.id, asked.approval.id);
    assert_eq!(ask(&platform, &olga, client, None).await.approval.id, asked.approval.id);
    let id = asked.approval.id.to_string();
    let approving = (0..6).map(|at| platform.approve_request(&others[at % 2], &id));
    let answers = join_all(approving).await;
    let done: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    ensure!(!done.is_empty() && done.iter().all(|it| it.approval.job_id == done[0].approval.job_id), "{answers:?}");
    for answer in answers.into_iter().filter(Result::is_err) {
        assert_eq!(rejection(answer).code, RejectionCode::WrongState, "the other one was faster");
    }
    for (action, times) in [("approval.requested", 1), ("approval.approved", 1), ("revoke.requested", 1)] {
        assert_eq!(actions(&test, action).await?, times, "{action}");
    }
    let now = platform.approval(&olga, asked.approval.id).await?.context("an approval")?;
    let job = platform.job(&olga, now.approval.job_id.context("a job")?).await?.context("a job")?;
    assert_eq!((now.state, job.state, job.requested_by.as_str()), (ApprovalState::Approved, JobState::Queued, "olga"));
    assert_eq!(ask(&platform, &olga, client, Some("k")).await.state, ApprovalState::Approved, "the key's answer");
    for state in [ApprovalState::Pending, ApprovalState::Approved] {
        let event = soon("an event", events.next()).await?.context("an event")??;
        assert_eq!((event.state, event.approval_id, event.requested_by.as_str()), (state, asked.approval.id, "olga"));
    }
    test.check().await
}

async fn nobody_approves_their_own_request(test: TestPlatform) -> Result<()> {
    let platform = under_the_rule(&test);
    let make = async |principal: &str, by: &Caller| -> Result<Caller> {
        let input =
            CreateToken { principal: principal.into(), role: Role::Admin, scopes: Scopes::ALL, valid_for_days: 1 };
        let made = test.platform.create_token(by, input).await?;
        let request = RequestId::generate(platform.ambient());
        Ok(platform.authenticate(Some(made.secret.expose_secret()), None, request).await?)
    };
    let olga = make("olga", &test.admin).await?;
    let asked = ask(&platform, &olga, test.client().await?.id, None).await;
    let id = asked.approval.id.to_string();
    // With another token, by another spelling, with a token that she made for somebody else, and by who made hers.
    for same in [
        olga.clone(),
        make("olga", &test.admin).await?,
        make("Olga", &test.admin).await?,
        make("omar", &olga).await?,
        test.admin.clone(),
    ] {
        assert_eq!(rejection(platform.approve_request(&same, &id).await).code, RejectionCode::SamePerson);
        assert_eq!(rejection(platform.deny_request(&same, &id, "no").await).code, RejectionCode::SamePerson);
    }
    assert_eq!(actions(&test, "permission.refused").await?, 10);
    // Who may not do it may not approve it; nor with a token that is not for approving.
    let auditor = caller("arthur", Role::Auditor)?;
    let narrowed = Caller { scopes: Scopes::from_iter([Scope::Clients]), ..caller("omar", Role::Operator)? };
    for other in [auditor, narrowed] {
        ensure!(matches!(platform.approve_request(&other, &id).await, Err(Error::Forbidden(_))));
    }
    // And who asked must be allowed it still.
    let token = olga.credential.token().context("a token")?;
    platform.revoke_token(&test.admin, &token.to_string()).await?;
    let omar = caller("omar", Role::Operator)?;
    assert_eq!(rejection(platform.approve_request(&omar, &id).await).code, RejectionCode::WrongState);
    let denied = platform.deny_request(&omar, &id, "who is she?").await?;
    assert_eq!((denied.state, denied.approval.reason.as_deref()), (ApprovalState::Denied, Some("who is she?")));
    assert_eq!(platform.deny_request(&omar, &id, "who is she?").await?.state, ApprovalState::Denied, "again");
    assert_eq!(rejection(platform.approve_request(&omar, &id).await).code, RejectionCode::WrongState);
    test.check().await
}

async fn a_request_that_is_over_is_over_whoever_notices(test: TestPlatform) -> Result<()> {
    let rule = TwoPersonRule { operations: vec![Operation::RevokeClient], lasts: Duration::from_micros(1) };
    let platform = test.platform.clone().with_two_person_rule(rule);
    let (olga, omar) = (caller("olga", Role::Operator)?, caller("omar", Role::Operator)?);
    let client = test.client().await?.id;
    let asked = ask(&platform, &olga, client, None).await;
    let id = asked.approval.id;
    let until = test.db.store.begin().await?.at();
    let over = async || Ok(test.db.store.begin().await?.at() > until);
    vpn_tests::eventually("its time has passed", over).await?;
    let seen = platform.approval(&omar, id).await?.context("an approval")?;
    assert_eq!((seen.state, seen.approval.stored), (ApprovalState::Expired, ApprovalState::Pending));
    for (state, found) in [(ApprovalState::Pending, 0), (ApprovalState::Expired, 1)] {
        let filter = ApprovalFilter { state: Some(state), ..ApprovalFilter::default() };
        assert_eq!(platform.approvals(&omar, &filter, &PageRequest::first(10)).await?.items.len(), found, "{state:?}");
    }
    assert_eq!(rejection(platform.approve_request(&omar, &id.to_string()).await).code, RejectionCode::WrongState);
    assert_eq!(actions(&test, "approval.expired").await?, 1);
    ensure!(test.reload(client).await?.revocation.is_none());
    // The next one is noted by a worker.
    let asked = ask(&platform, &olga, client, None).await;
    ensure!(asked.approval.id != id, "what is over is asked for anew");
    let worker = test.worker()?;
    vpn_tests::eventually("noted", async || Ok(actions(&test, "approval.expired").await? == 2)).await?;
    worker.drain().await
}

async fn the_database_keeps_the_rule_too(test: TestPlatform) -> Result<()> {
    let platform = under_the_rule(&test);
    let olga = caller("olga", Role::Operator)?;
    ask(&platform, &olga, test.client().await?.id, None).await;
    let mut raw = test.db.raw().await?;
    let approve = "UPDATE approvals SET state = 'approved', decided_at = requested_at, decided_by =";
    ensure!(raw.execute(sqlx::AssertSqlSafe(format!("{approve} 'OLGA'"))).await.is_err(), "by herself");
    ensure!(
        raw.execute("UPDATE approvals SET state = 'approved', decided_at = requested_at").await.is_err(),
        "by nobody"
    );
    let mut attacker = Attacker::on(&test.db).await?;
    for change in
        ["requested_by = 'omar'", "input = '{}'", "expires_at = expires_at + 1", "scopes = 'read'", "credential = 'x'"]
    {
        attacker.refused("approvals: immutable column", format!("UPDATE approvals SET {change}")).await?;
    }
    attacker.refused("approvals: DELETE refused", "DELETE FROM approvals".to_owned()).await?;
    attacker.run(format!("{approve} 'omar'")).await?;
    attacker.refused("approvals: decided is final", "UPDATE approvals SET state = 'denied'".to_owned()).await?;
    Ok(())
}

#[tokio::test]
async fn a_token_admits_nobody_before_it_is_approved() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let platform = under_the_rule(&test);
    let input = CreateToken { principal: "robot".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
    let Awaited { seen, secret } = awaited(platform.create_token(&test.admin, input).await);
    let secret = secret.context("a secret")?;
    let sign_in = async || {
        let request = RequestId::generate(platform.ambient());
        platform.authenticate(Some(secret.expose_secret()), None, request).await
    };
    ensure!(matches!(sign_in().await, Err(Error::Unauthenticated)));
    ensure!(!seen.approval.shown().to_string().contains("secretHash"), "{}", seen.approval.shown());
    let other = caller("another-admin", Role::Admin)?;
    platform.approve_request(&other, &seen.approval.id.to_string()).await?;
    assert_eq!(sign_in().await?.principal.as_str(), "robot");
    Ok(())
}

/// Whatever was asked for can be done from what was stored.
#[tokio::test]
async fn everything_that_can_wait_is_done_when_it_is_approved() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let worker = test.worker()?;
    let rule = TwoPersonRule { operations: Operation::ALL.into(), ..TwoPersonRule::default() };
    let (ruled, root) = (test.platform.clone().with_two_person_rule(rule), caller("root", Role::Admin)?);
    for operation in Operation::ALL {
        let waits = asked(&test, &ruled, operation).await.with_context(|| operation.as_str())?;
        assert_eq!(waits.seen.approval.operation, operation);
        let done = ruled.approve_request(&root, &waits.seen.approval.id.to_string()).await;
        let done = done.with_context(|| format!("{} was asked for", operation.as_str()))?;
        assert_eq!(done.state, ApprovalState::Approved);
        if let Some(job) = done.approval.job_id {
            test.succeeded(job).await?;
        }
    }
    worker.drain().await
}

async fn asked(test: &TestPlatform, ruled: &Platform, operation: Operation) -> Result<Awaited> {
    let (platform, ada) = (&test.platform, &test.admin);
    let key = test.server.host_key.clone();
    let register = |name: &str, host_key| RegisterServer {
        name: name.to_owned(),
        host: "vpn2.example.org".into(),
        port: 22,
        user: "vpn-host".into(),
        host_key,
        idempotency_key: None,
    };
    let spare =
        async |host_key| anyhow::Ok(platform.register_server(ada, register(operation.as_str(), host_key)).await?);
    Ok(match operation {
        Operation::RegisterServer => awaited(ruled.register_server(ada, register("vpn2", key)).await),
        Operation::PinHostKey => {
            let (server, shown) = (spare(None).await?, key.context("a key")?);
            let mut tx = test.db.store.begin().await?;
            let begun = tx.at();
            tx.claim_look(server.id, Duration::ZERO).await?;
            tx.note_look(server.id, begun, &Looked { presented_key: Some(shown.clone()), ..Looked::default() }).await?;
            tx.commit(vpn_tests::told(), []).await?;
            let fingerprint = vpn_core::host::fingerprint(&shown)?;
            awaited(ruled.pin_host_key(ada, &server.id.to_string(), &fingerprint).await)
        }
        Operation::MoveServer => {
            let (server_id, host) = (spare(key).await?.id.to_string(), Some("vpn3.example.org".to_owned()));
            awaited(ruled.move_server(ada, MoveServer { server_id, host, ..MoveServer::default() }).await)
        }
        Operation::ConfirmConfiguration => {
            let id = spare(key).await?.id;
            vpn_tests::differs(&test.db.store, id).await?;
            awaited(ruled.confirm_configuration(ada, &id.to_string(), vpn_tests::FOUND).await)
        }
        Operation::DisableServer => awaited(ruled.disable_server(ada, &spare(key).await?.id.to_string()).await),
        Operation::EnableServer => {
            let id = spare(key).await?.id.to_string();
            platform.disable_server(ada, &id).await?;
            awaited(ruled.enable_server(ada, &id).await)
        }
        Operation::RetireServer => awaited(ruled.retire_server(ada, &spare(key).await?.id.to_string()).await),
        Operation::CreateClient => {
            let input =
                CreateClient { name: "later".into(), server_id: test.server.id.to_string(), idempotency_key: None };
            awaited(ruled.create_client(ada, input).await)
        }
        Operation::ProvisionClient => {
            let input = ProvisionClient {
                client_id: test.client().await?.id.to_string(),
                csr: None,
                validity_days: 30,
                address: None,
                routes: Vec::new(),
                idempotency_key: None,
            };
            awaited(ruled.provision_client(ada, input).await)
        }
        Operation::RevokeClient => {
            let input = RevokeClient {
                client_id: test.client().await?.id.to_string(),
                reason: "lost".into(),
                idempotency_key: None,
            };
            awaited(ruled.revoke_client(ada, input).await)
        }
        Operation::RetryJob => {
            let client = test.client().await?.id;
            for _ in 0..MAX_ATTEMPTS {
                test.faults.plan("revoke", Fault::Unreachable);
            }
            let failed = test.finished(test.revoke(client).await?.job.id).await?;
            ensure!(failed.state == JobState::Failed, "{failed:?}");
            awaited(ruled.retry_job(ada, RetryJob { job_id: failed.id.to_string(), idempotency_key: None }).await)
        }
        Operation::CreateToken => {
            let input =
                CreateToken { principal: "bob".into(), role: Role::Viewer, scopes: Scopes::ALL, valid_for_days: 1 };
            awaited(ruled.create_token(ada, input).await)
        }
    })
}

#[tokio::test]
async fn a_server_is_retired_by_two() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let operations = vec![Operation::DisableServer, Operation::RetireServer];
    let rule = TwoPersonRule { operations, ..TwoPersonRule::default() };
    let (platform, root) = (test.platform.clone().with_two_person_rule(rule), caller("root", Role::Admin)?);
    let (id, state) = (test.server.id.to_string(), async || {
        anyhow::Ok(test.platform.server(&test.admin, test.server.id).await?.context("a server")?.state)
    });
    let asked = awaited(platform.retire_server(&test.admin, &id).await).seen.approval;
    assert_eq!(state().await?, ServerState::Active);
    let own = platform.approve_request(&test.admin, &asked.id.to_string()).await;
    assert_eq!(rejection(own).code, RejectionCode::SamePerson);
    platform.approve_request(&root, &asked.id.to_string()).await?;
    assert_eq!(state().await?, ServerState::Retired);
    assert_eq!(
        platform.retire_server(&test.admin, &id).await?.state,
        ServerState::Retired,
        "nothing is left to ask for"
    );
    let refused = rejection(platform.disable_server(&test.admin, &id).await);
    ensure!(refused.message.contains("retired"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_done_now_is_not_asked_for() -> Result<()> {
    let test = TestPlatform::on(Database::Sqlite).await?;
    let platform = under_the_rule(&test);
    let olga = caller("olga", Role::Operator)?;
    let none = RevokeClient { client_id: "cli_x".into(), reason: "lost".into(), idempotency_key: None };
    assert_eq!(rejection(platform.revoke_client(&olga, none).await).code, RejectionCode::NotFound);
    // What is under way already needs nobody.
    let client = test.client().await?.id;
    test.revoke(client).await?;
    let again = RevokeClient { client_id: client.to_string(), reason: "lost".into(), idempotency_key: None };
    platform.revoke_client(&olga, again).await?;
    assert_eq!(actions(&test, "approval.requested").await?, 0);
    // And what is not under the rule is done at once.
    let client = test.client().await?.id;
    test.provision(client).await?;
    Ok(())
}
