//! The story, from the first request to the last line of the audit log.

use std::fs::File;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use vpn_core::sandbox::Sandbox;
use vpn_examples::{Api, Refusal};

use crate::{network::Network, platform::Platform, report::Report};

const NAME: &str = "alice-laptop";
const STATUS: &str = "subscription($id: ID!) { clientStatus(id: $id) { status job { kind state step attempts lastError { code message } } } }";
const AUDIT: &str = "query($after: String) { auditLog(first: 100, after: $after) { edges { node { seq at actor action outcome } } pageInfo { hasNextPage endCursor } } }";

pub(crate) struct Story<'a> {
    sandbox: &'a Sandbox,
    report: &'a Report,
    platform: &'a Platform,
    operator: Api,
    network: Network<'a>,
}

impl<'a> Story<'a> {
    pub(crate) async fn tell(sandbox: &'a Sandbox, report: &'a Report, kill_worker: bool) -> Result<()> {
        let host = sandbox.host()?;
        report.step(
            "sandbox",
            format!("Redis at 127.0.0.1:{}, a VPN host's sshd at 127.0.0.1:{}", sandbox.redis()?.port(), host.port),
        );
        let network = Network::of(sandbox, report)?;
        let platform = Platform::start(sandbox, report).await?;
        let told = async {
            let admin = platform.token(sandbox, "ada", "admin").await?;
            let server = register_server(&admin, sandbox, report).await?;
            let operator = platform.token(sandbox, "oscar", "operator").await?;
            let mut story = Story { sandbox, report, platform: &platform, operator, network };
            story.client_comes_and_goes(&server, kill_worker).await?;
            story.audit_trail(&admin).await
        };
        tokio::select! {
            told = told => told,
            broken = platform.supervise(sandbox, report) => broken,
        }
    }

    async fn client_comes_and_goes(&mut self, server: &str, kill_worker: bool) -> Result<()> {
        let input = json!({ "name": NAME, "serverId": server });
        let made = self.operator.mutate("createClient", "CreateClientInput", "client { id status }", input).await?;
        let id = text(&made, "/client/id")?.to_owned();
        self.report.step("created", format!("client {NAME}, {}", text(&made, "/client/status")?));

        self.provision(&id, kill_worker).await?;
        let profile = self.take_profile(&id).await?;
        self.network.admits(&profile, self.report).await?;

        self.revoke(&id).await?;
        self.network.has_ended_the_session(self.report).await?;
        self.network.refuses(&profile, self.report).await?;
        self.stays_out(&id).await
    }

    async fn provision(&self, id: &str, kill_worker: bool) -> Result<()> {
        let mut events = self.operator.subscribe(STATUS, json!({ "id": id })).await?;
        // Whoever holds the host's lock lets no request go on: the worker is not done before it is killed.
        let mut held = None;
        if kill_worker {
            let lock = File::open(self.sandbox.host()?.state.join("lock"))?;
            lock.lock().context("the host's lock")?;
            held = Some(lock);
        }
        let input = json!({ "clientId": id, "validityDays": 30 });
        let asked = self.operator.mutate("provisionClient", "ProvisionClientInput", "job { id state }", input).await?;
        self.report.step("asked", format!("provision, job {}", text(&asked, "/job/state")?));
        self.follow(&mut events, "ACTIVE", async |state: &str| {
            if state == "RUNNING"
                && let Some(lock) = held.take()
            {
                self.report.step(
                    "SIGKILL",
                    format!("to the worker (process {}) in the middle of its work", self.platform.worker_id().await),
                );
                self.platform.kill_worker(self.sandbox).await?;
                drop(lock);
            }
            Ok(())
        })
        .await?;
        let issued = std::fs::read_dir(self.sandbox.host()?.state.join("issued"))?.count();
        ensure!(issued == 1, "the host has {issued} certificates for one client");
        self.report.step("certificate", "exactly one on the host");
        Ok(())
    }

    async fn take_profile(&self, id: &str) -> Result<String> {
        let input = json!({ "clientId": id });
        let taken = self.operator.mutate("deliverProfile", "DeliverProfileInput", "profile", input.clone()).await?;
        let profile = text(&taken, "/profile")?.to_owned();
        self.report.step("profile", format!("delivered, {} bytes", profile.len()));
        let again = self.operator.mutate("deliverProfile", "DeliverProfileInput", "profile", input).await;
        let refusal = refused(again)?;
        ensure!(refusal.code == "PROFILE_GONE", "a second delivery was refused as {refusal}");
        self.report.step("profile", format!("a second delivery is refused: {}", refusal.code));
        Ok(profile)
    }

    async fn revoke(&self, id: &str) -> Result<()> {
        let mut events = self.operator.subscribe(STATUS, json!({ "id": id })).await?;
        let input = json!({ "clientId": id, "reason": "the laptop was left on a train" });
        self.operator.mutate("revokeClient", "RevokeClientInput", "job { id }", input).await?;
        self.report.step("asked", "revoke, because the laptop was left on a train");
        self.follow(&mut events, "REVOKED", async |_: &str| Ok(())).await
    }

    /// Follows the client until it has this status. A job that is given up ends the demo.
    async fn follow(
        &self,
        events: &mut vpn_examples::Events,
        wanted: &str,
        mut at: impl AsyncFnMut(&str) -> Result<()>,
    ) -> Result<()> {
        let wait = async {
            while let Some(event) = events.next().await? {
                let status = text(&event, "/clientStatus/status")?;
                let job = event.pointer("/clientStatus/job").filter(|job| !job.is_null());
                let Some(job) = job else { continue };
                let (state, step) = (text(job, "/state")?, text(job, "/step").unwrap_or(""));
                let error = text(job, "/lastError/code").map_or(String::new(), |code| format!(" ({code})"));
                let kind = text(job, "/kind")?.to_lowercase();
                self.report
                    .step("status", format!("{status:<8} {kind} {state} {step}{error}", state = state.to_lowercase()));
                if status == wanted {
                    return Ok(());
                }
                if state == "FAILED" {
                    bail!("the job failed: {job}");
                }
                at(state).await?;
            }
            bail!("the subscription ended")
        };
        tokio::time::timeout(std::time::Duration::from_mins(3), wait).await.context("nothing more happened")?
    }

    async fn stays_out(&self, id: &str) -> Result<()> {
        let input = json!({ "clientId": id });
        let again = self.operator.mutate("provisionClient", "ProvisionClientInput", "job { id }", input).await;
        let refusal = refused(again)?;
        ensure!(refusal.code == "WRONG_STATE", "provisioning a revoked client was refused as {refusal}");
        self.report.step("final", format!("provisioning it again is refused: {}", refusal.code));
        Ok(())
    }

    async fn audit_trail(&self, admin: &Api) -> Result<()> {
        let page = admin.query(AUDIT, json!({})).await?;
        let entries = page.pointer("/auditLog/edges").and_then(Value::as_array).context("the log has entries")?;
        self.report.step("audit", format!("{} entries, oldest first:", entries.len()));
        for entry in entries.iter().rev() {
            let field = |name: &str| text(entry, &format!("/node{name}")).unwrap_or("?").to_owned();
            self.report.detail(format!(
                "{:>3}  {}  {:<14} {:<22} {}",
                field("/seq"),
                field("/at"),
                field("/actor"),
                field("/action"),
                field("/outcome")
            ));
        }
        let verified = self.platform.command(self.sandbox, &["audit", "verify"]).await?;
        self.report.step("verified", verified.trim());
        Ok(())
    }
}

async fn register_server(admin: &Api, sandbox: &Sandbox, report: &Report) -> Result<String> {
    let host = sandbox.host()?;
    let input =
        json!({ "name": "vpn1", "host": host.address, "port": host.port, "user": host.user, "hostKey": host.host_key });
    let made = admin.mutate("registerServer", "RegisterServerInput", "server { id name }", input).await?;
    report.step("server", format!("{} is known, with its host key pinned", text(&made, "/server/name")?));
    Ok(text(&made, "/server/id")?.to_owned())
}

fn refused(answer: Result<Value>) -> Result<Refusal> {
    match answer {
        Ok(value) => bail!("this should have been refused: {value}"),
        Err(error) => error.downcast::<Refusal>(),
    }
}

fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str> {
    value.pointer(pointer).and_then(Value::as_str).with_context(|| format!("no text at {pointer} in {value}"))
}
