//! `backup` and `restore`. Whoever can read the configuration may do this.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use vpn_core::{
    backup::{self, Restored},
    clock::Ambient,
    config::{ServerConfig, Sources},
    service::{local_caller, verify_audit_log},
    store::Store,
    telemetry,
    vault::Vault,
};

/// Where a backup goes.
#[derive(Debug, Args)]
pub(super) struct Backup {
    /// A file that is not there yet. The profile key is not in it: keep that with your secrets
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let store = super::open(sources)?;
        let written = backup::write_file(&store, &self.to).await?;
        println!(
            "{}: {} lines, up to entry {} of the audit log; sha256 {}",
            self.to.display(),
            written.lines,
            written.header.head.seq,
            written.sha256
        );
        for key in &written.header.profile_keys {
            println!("it holds sealed profiles; to open them, keep the profile key {key} with your secrets");
        }
        store.close().await;
        Ok(())
    }
}

/// Where a backup comes from, and what becomes of what it cannot know.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup. The database that is configured has to be empty
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Restore although the profiles were sealed with another key than the one that is configured: they
    /// cannot be delivered any more
    #[arg(long)]
    give_up_profiles: bool,
    /// Leave all tokens valid, and requests that wait for approval, for moving a platform that was stopped
    /// before its backup was taken. A token that was revoked after the backup would be valid again, and a
    /// request that was denied could be approved
    #[arg(long)]
    keep_tokens: bool,
}

impl Restore {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let config = ServerConfig::load(sources)?;
        telemetry::start(&config.shared.log, config.shared.log_format)?;
        let store = Store::connect_lazy(&config.shared.store_options())?;
        let vault = Vault::new(&config.shared.profile_key)?;
        let caller = local_caller(&Ambient::system())?;
        let how = backup::Restore {
            caller: &caller,
            vault: &vault,
            give_up_profiles: self.give_up_profiles,
            keep_tokens: self.keep_tokens,
        };
        let restored = backup::restore(&store, &self.from, &how).await?;
        let log = verify_audit_log(&store).await.context("what was restored does not verify")?;
        store.close().await;
        tell(&restored, log.entries);
        Ok(())
    }
}

fn tell(restored: &Restored, entries: i64) {
    let header = &restored.header;
    println!("restored: {} clients, as they were at {}; ", restored.clients, header.taken_at);
    println!("the audit log has {entries} entries, and its chain is whole");
    if restored.tokens_revoked > 0 {
        println!("{} tokens were revoked: make new ones with `vpn-graphql token create`", restored.tokens_revoked);
    }
    if restored.requests_ended > 0 {
        println!(
            "{} requests that waited for approval have ended: who still wants it asks again",
            restored.requests_ended
        );
    }
    println!("the VPN hosts know what was done after the backup. Before you start workers, look at each of them:");
    for server in &restored.servers {
        println!("  vpn-worker reconcile --from-host {server}");
    }
}
