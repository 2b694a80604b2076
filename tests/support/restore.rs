//! A platform whose database was set back.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use secrecy::SecretString;
use vpn_core::{
    backup::{self, Restore},
    clock::Ambient,
    domain::{Client, Role},
    host::FaultyTransport,
    sandbox::{Options, Sandbox},
    service::{CreateClient, Platform},
};

use crate::{
    Database, Db, TestPlatform,
    platform::{MAX_ATTEMPTS, caller, vault},
};

/// Makes an empty database that of a backup.
pub async fn restore(db: &Db, from: &Path) -> Result<()> {
    let (caller, vault) = (caller("root", Role::Admin)?, vault()?);
    let how = Restore { caller: &caller, vault: &vault, give_up_profiles: false, keep_tokens: true };
    backup::restore(&db.store, from, &how).await?;
    Ok(())
}

impl TestPlatform {
    /// The same platform after a disaster: its database made of this backup, and a Redis that knows
    /// nothing. The host is the same, and remembers.
    pub async fn restored(&self, from: &Path, database: Database) -> Result<Self> {
        let db = Db::empty(database).await?;
        let how = Restore { caller: &self.admin, vault: &self.vault, give_up_profiles: false, keep_tokens: false };
        backup::restore(&db.store, from, &how).await?;
        let sandbox = Sandbox::start(Options::redis()).await?;
        let url = SecretString::from(sandbox.redis()?.url());
        let platform = Platform::connect(db.store.clone(), &url, self.vault.clone(), Ambient::system(), MAX_ATTEMPTS)?;
        Ok(Self {
            db,
            sandbox,
            platform,
            faults: Arc::new(FaultyTransport::before(Arc::clone(&self.faults) as _)),
            admin: self.admin.clone(),
            server: self.server.clone(),
            vault: self.vault.clone(),
        })
    }

    /// A new client with this name.
    pub async fn called(&self, name: &str) -> Result<Client> {
        let input = CreateClient { name: name.into(), server_id: self.server.id.to_string(), idempotency_key: None };
        Ok(self.platform.create_client(&self.admin, input).await?)
    }
}
