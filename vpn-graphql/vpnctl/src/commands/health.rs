//! `health` and `whoami`.

use crate::{
    api::Api,
    failure::Failure,
    operations::{Health, Whoami, health, whoami},
    output::{Column, Output},
};

const CHECKS: &[Column] =
    &[("PART", "/name"), ("STATUS", "/status"), ("TOOK MS", "/latencyMs"), ("MESSAGE", "/message")];
const WARNINGS: &[Column] =
    &[("SERVER", "/serverName"), ("WARNING", "/code"), ("ENDS", "/endsAt"), ("MESSAGE", "/message")];
const VIEWER: &[Column] = &[
    ("principal", "/principal"),
    ("role", "/role"),
    ("scopes", "/scopes"),
    ("may", "/permissions"),
    ("token ends", "/tokenExpiresAt"),
];

pub(crate) async fn health(api: &Api, output: &Output) -> Result<(), Failure> {
    let health = api.ask::<Health>(health::Variables).await?.health;
    if output.is_json() {
        output.one(&health, &[])?;
    } else {
        output.list(&health.checks, CHECKS)?;
        if let Some(queue) = &health.queue {
            let (ready, delayed, running) = (queue.ready, queue.delayed, queue.running);
            let (dead, workers) = (queue.dead, queue.workers);
            let told = format!(
                "\nversion {}, {workers} workers; {ready} jobs ready, {delayed} delayed, {running} running, {dead} given up\n",
                health.version
            );
            crate::output::print(&told)?;
        }
        if !health.warnings.is_empty() {
            crate::output::print("\n")?;
            output.list(&health.warnings, WARNINGS)?;
        }
    }
    match health.status {
        health::HealthStatus::OK => Ok(()),
        status => Err(Failure::Failed(format!("the platform is {status:?}"))),
    }
}

pub(crate) async fn whoami(api: &Api, output: &Output) -> Result<(), Failure> {
    output.one(&api.ask::<Whoami>(whoami::Variables).await?.viewer, VIEWER)
}
