//! `reconcile`. Whoever can read the configuration may do this.

use std::process::ExitCode;

use clap::Args;
use vpn_core::{
    config::WorkerConfig,
    reconcile::{Outcome, ReconcileError, Reconciler},
    service::{Platform, local_caller},
    worker,
};

/// OpenVPN looks at the CRL whenever keys are negotiated anew: once an hour, and the old keys may live for another.
const SESSIONS: &str = "That no session of it is open is not proven: OpenVPN does not tell, or the name is that of \
                        another certificate there. One that is open ends within two hours, because the CRL has it";

#[derive(Args)]
pub(crate) struct Reconcile {
    /// The name of the VPN host
    #[arg(long, value_name = "SERVER")]
    from_host: String,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// Keep certificates that the database does not know, instead of revoking them: after a restore, and when the
    /// host took over the PKI of an existing OpenVPN server
    #[arg(long)]
    adopt: bool,
}

impl Reconcile {
    pub(crate) async fn run(
        self,
        config: &WorkerConfig,
        deps: worker::Deps,
        options: &worker::Options,
    ) -> Result<ExitCode, Box<dyn std::error::Error>> {
        let shared = &config.shared;
        let (store, vault, ambient) = (deps.store.clone(), deps.vault.clone(), deps.ambient.clone());
        let caller = local_caller(&ambient)?;
        let platform = Platform::connect(store, &shared.redis_url, vault, ambient, shared.max_attempts)?;
        let reconciler = Reconciler::new(worker::by_hand(deps, *options).await?, platform, caller);
        let server = reconciler.server(&self.from_host).await?;
        let plan = reconciler.plan(server, self.adopt).await?;
        print!("{plan}");
        if !self.apply {
            let what = match (plan.findings.is_empty(), plan.left.is_empty()) {
                (true, true) => "nothing to do",
                (true, false) => "nothing that --apply would do",
                (false, _) => "nothing was changed: --apply does it",
            };
            println!("{what}");
            return Ok(ExitCode::SUCCESS);
        }
        let mut failed = 0;
        for done in reconciler.apply(plan).await? {
            let name = &done.finding.name;
            match done.result {
                Ok(Outcome::Level) if done.finding.act.does_nothing() => println!("{name}: left as it is"),
                Ok(Outcome::Level) => println!("{name}: done"),
                Ok(Outcome::SessionsUnproven) => println!("{name}: revoked. {SESSIONS}"),
                Ok(Outcome::GoesOn(job)) => {
                    println!("{name}: the job {} is {}; workers go on with it", job.id, job.state.as_str());
                }
                Err(ReconcileError::Left(why)) => println!("{name}: left as it is: {why}"),
                Err(error) => {
                    failed += 1;
                    println!("{name}: failed: {error}");
                }
            }
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
