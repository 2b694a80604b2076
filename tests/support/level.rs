//! Comparing a platform with its host, and bringing it level.

use std::sync::Arc;

use anyhow::Result;
use vpn_core::{
    domain::{Caller, Drift, Server},
    drift::{InspectError, Inspector},
    host::Hosts,
    reconcile::{Act, Outcome, Plan, Reconciler},
    worker,
};

use crate::{TestPlatform, platform::hurried};

impl TestPlatform {
    /// What compares this platform with its host.
    #[must_use]
    pub fn inspector(&self) -> Inspector {
        Inspector { store: self.db.store.clone(), hosts: Hosts::over(Arc::clone(&self.faults) as _) }
    }

    /// Where they differ now.
    pub async fn inspect(&self) -> Result<Drift, InspectError> {
        self.inspect_of(&self.server).await
    }

    /// The same, of another server.
    pub async fn inspect_of(&self, server: &Server) -> Result<Drift, InspectError> {
        let name = server.name.as_str();
        self.inspector().inspect_named(&self.platform, &self.admin, name).await.map(|(_, drift)| drift)
    }

    /// What brings this platform level with its host, on behalf of somebody.
    pub async fn reconciler(&self, caller: &Caller) -> Result<Reconciler> {
        let runner = worker::by_hand(self.deps()?, hurried()).await?;
        Ok(Reconciler::new(runner, self.platform.clone(), caller.clone()))
    }

    /// What would be done; with `adopt`, certificates that the database does not know are kept.
    pub async fn plan(&self, adopt: bool) -> Result<Plan> {
        self.plan_of(&self.server, adopt).await
    }

    /// The same, of another server.
    pub async fn plan_of(&self, server: &Server, adopt: bool) -> Result<Plan> {
        let reconciler = self.reconciler(&self.admin).await?;
        let server = reconciler.server(server.name.as_str()).await?;
        Ok(reconciler.plan(server, adopt).await?)
    }

    /// Carries the plan out; gives what could not be put right.
    pub async fn apply(&self, plan: Plan) -> Result<Vec<String>> {
        let done = self.reconciler(&self.admin).await?.apply(plan).await?;
        let failed = done.into_iter().filter_map(|done| match done.result {
            Ok(Outcome::Level) => None,
            other => Some(format!("{}: {other:?}", done.finding.name)),
        });
        Ok(failed.collect())
    }
}

/// Who is in a plan, and what for.
#[must_use]
pub fn acts(plan: &Plan) -> Vec<(String, Act)> {
    let mut acts: Vec<_> = plan.findings.iter().map(|finding| (finding.name.to_string(), finding.act)).collect();
    acts.sort();
    acts
}
