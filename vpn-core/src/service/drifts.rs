//! Where VPN hosts and the database differ. Workers compare them; here it is shown, and confirmed.

use std::collections::HashMap;

use super::Platform;
use crate::{
    audit::{Action, Entry},
    domain::{Caller, Drift, NO_CONFIGURATION, Permission, ServerId},
    error::Error,
};

impl Platform {
    /// What is known of the differences of these servers; those that were never compared are left out.
    pub async fn drifts(&self, caller: &Caller, ids: &[ServerId]) -> Result<HashMap<ServerId, Drift>, Error> {
        self.authorise(caller, Permission::ReadDrift).await?;
        Ok(self.store().read().await?.drifts(ids).await?.into_iter().collect())
    }

    /// Confirms the configuration that OpenVPN had when the server was last compared, if it has this SHA-256: 64
    /// hexadecimal digits, as `sha256sum` prints them on the host. Asked again, it changes nothing.
    pub async fn confirm_configuration(&self, caller: &Caller, server: ServerId, sha256: &str) -> Result<(), Error> {
        self.authorise(caller, Permission::ManageServers).await?;
        let mut tx = self.store().begin().await?;
        let drift = tx.drifts(&[server]).await?.pop().map(|(_, drift)| drift);
        let Some((report, confirmed)) = drift.and_then(|drift| Some((drift.report?, drift.confirmed?))) else {
            return Err(Error::wrong_state("nobody has compared this server yet: see `drift` of the server"));
        };
        if report.configuration == NO_CONFIGURATION || report.configuration != sha256 {
            return Err(Error::invalid(
                "sha256",
                format!("the configuration there is {}: look at it, and give exactly that", report.configuration),
            ));
        }
        if confirmed == sha256 {
            return Ok(());
        }
        tx.confirm_configuration(server, sha256).await?;
        let entry = Entry::by(caller, Action::ConfigurationConfirmed).server(server);
        tx.commit(entry.with("sha256", sha256).with("before", confirmed.as_str()), []).await?;
        Ok(())
    }
}
