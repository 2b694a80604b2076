//! `drift`. Whoever can read the configuration may do this.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use vpn_core::{
    config::WorkerConfig,
    domain::{Difference, Drift, Server, Subject},
    drift::Inspector,
    service::{Platform, local_caller},
    worker,
};

/// The exit status when there is a difference.
const DIFFERENT: u8 = 3;

#[derive(Args)]
pub(crate) struct Compare {
    /// The name of the VPN host
    #[arg(long, value_name = "SERVER")]
    server: String,
    /// For programs
    #[arg(long)]
    json: bool,
    /// OpenVPN's configuration there is right, if it has this SHA-256
    #[arg(long, value_name = "SHA256")]
    confirm_configuration: Option<String>,
}

impl Compare {
    pub(crate) async fn run(
        self,
        config: &WorkerConfig,
        deps: worker::Deps,
    ) -> Result<ExitCode, Box<dyn std::error::Error>> {
        let shared = &config.shared;
        deps.store.opened().await?;
        let caller = local_caller(&deps.ambient)?;
        let inspector = Inspector { store: deps.store.clone(), hosts: deps.hosts };
        let platform = Platform::connect(deps.store, &shared.redis_url, deps.vault, deps.ambient, shared.max_attempts)?;
        let (server, mut drift) = inspector.inspect_named(&platform, &caller, &self.server).await?;
        if let Some(sha256) = &self.confirm_configuration {
            platform.confirm_configuration(&caller, &server.id.to_string(), sha256).await?;
            (_, drift) = inspector.inspect_named(&platform, &caller, &self.server).await?;
        }
        if self.json {
            println!("{}", in_json(&server, &drift));
        } else {
            print!("{}", in_words(&server, &drift));
        }
        let total = drift.report.map_or(0, |report| report.total);
        Ok(if total == 0 { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
    }
}

fn in_json(server: &Server, drift: &Drift) -> serde_json::Value {
    let one = |it: &Difference| {
        let certificate = it.certificate();
        json!({
            "kind": it.kind().as_str(),
            "subject": it.subject(),
            "serial": certificate.map(|of| of.serial.as_str()),
            "clientId": certificate.and_then(|of: &Subject| of.client_id).map(|id| id.to_string()),
            "message": it.message(),
            "cure": it.cure(&server.name),
        })
    };
    let report = drift.report.as_ref();
    json!({
        "server": server.name.as_str(),
        "checkedAt": drift.checked_at.map(|at| at.to_string()),
        "configuration": report.map(|it| it.configuration.as_str()),
        "confirmedConfiguration": drift.confirmed,
        "total": report.map(|it| it.total),
        "differences": report.map(|it| it.differences.iter().map(one).collect::<Vec<_>>()),
    })
}

fn in_words(server: &Server, drift: &Drift) -> String {
    let Some(report) = &drift.report else { return String::new() };
    let head = match report.total {
        0 => format!("{}: no difference\n", server.name),
        1 => format!("{}: one difference\n", server.name),
        total => format!("{}: {total} differences\n", server.name),
    };
    let one = |it: &Difference| {
        let (kind, subject) = (it.kind().as_str(), it.subject());
        format!("  {kind}  {subject}\n    {}\n    cure: {}\n", it.message(), it.cure(&server.name))
    };
    let more = report.total - report.differences.len();
    let tail = (more > 0).then(|| format!("  and {more} more\n"));
    std::iter::once(head).chain(report.differences.iter().map(one)).chain(tail).collect()
}
