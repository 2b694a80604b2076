//! Where VPN hosts and the database differ. Workers compare them; here it is shown, and confirmed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    Platform,
    mutation::{Done, Mutation},
    servers,
};
use crate::{
    audit::{Action, Entry},
    domain::{Caller, Drift, NO_CONFIGURATION, Operation, Permission, Server, ServerId},
    error::Error,
    store::{Remembered, Tx},
};

impl Platform {
    /// What is known of the differences of these servers; those that were never compared are left out.
    pub async fn drifts(&self, caller: &Caller, ids: &[ServerId]) -> Result<HashMap<ServerId, Drift>, Error> {
        self.authorise(caller, Permission::ReadDrift).await?;
        Ok(self.store().read().await?.drifts(ids).await?.into_iter().collect())
    }

    /// Confirms the configuration that OpenVPN had when the server was last compared, if it has this SHA-256: 64
    /// hexadecimal digits, as `sha256sum` prints them on the host. Asked again, it changes nothing.
    pub async fn confirm_configuration(&self, caller: &Caller, server: &str, sha256: &str) -> Result<Server, Error> {
        let input = ConfirmConfiguration { server_id: server.to_owned(), sha256: sha256.to_owned() };
        self.run(caller, &input).await
    }
}

/// A configuration that somebody has looked at.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ConfirmConfiguration {
    server_id: String,
    sha256: String,
}

impl Mutation for ConfirmConfiguration {
    const OPERATION: Operation = Operation::ConfirmConfiguration;
    type Checked = (ServerId, String);
    type Made = Server;

    fn key(&self) -> Option<&str> {
        None
    }

    fn check(&self, _: &Platform, _: &Caller) -> Result<Self::Checked, Error> {
        Ok((servers::id(&self.server_id)?, self.sha256.clone()))
    }

    async fn perform(
        _: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        (id, sha256): &Self::Checked,
    ) -> Result<Done<Server>, Error> {
        let server = servers::locked(tx, *id).await?;
        server.may_become(server.state).map_err(Error::wrong_state)?;
        let drift = tx.drifts(&[*id]).await?.pop().map(|(_, drift)| drift);
        let Some((report, confirmed)) = drift.and_then(|drift| Some((drift.report?, drift.confirmed))) else {
            return Err(Error::wrong_state("nobody has compared this server yet: see `drift` of the server"));
        };
        if report.configuration == NO_CONFIGURATION || report.configuration != *sha256 {
            return Err(Error::invalid(
                "sha256",
                format!("the configuration there is {}: look at it, and give exactly that", report.configuration),
            ));
        }
        if confirmed.as_ref() == Some(sha256) {
            return Ok(servers::unchanged(server));
        }
        tx.confirm_configuration(*id, sha256).await?;
        let entry = Entry::by(caller, Action::ConfigurationConfirmed).server(*id);
        let first = entry.with("sha256", sha256.as_str()).with("before", confirmed.as_deref().unwrap_or("none"));
        Ok(Done::New { remembered: servers::about(&server), made: server, first, more: Vec::new() })
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
        servers::again(tx, made).await
    }
}
