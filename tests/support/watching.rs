//! Looking at the hosts, as a worker does, and what was seen.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio_util::sync::{CancellationToken, DropGuard};
use vpn_core::{
    clock::Ambient,
    domain::{Contact, ServerId},
    events::Events,
    host::Hosts,
    lock::{LockPolicy, Locks},
    sandbox::VpnHost,
    watch::{RenewalPolicy, Renewer, WatchPolicy, Watcher},
};

use crate::{TestPlatform, eventually, redis};

impl TestPlatform {
    /// Looks at the hosts until the guard is dropped, and renews CRLs if there is a policy for that.
    pub fn watching(&self, every: Duration, renewal: Option<RenewalPolicy>) -> Result<DropGuard> {
        let redis = redis::connect(&self.sandbox.redis()?.url())?;
        let renewer = renewal.map(|policy| Renewer {
            locks: Locks::new(redis, LockPolicy::default(), Ambient::system()),
            events: Events::follow(self.db.store.clone(), None),
            policy,
            needed: Duration::from_millis(500),
        });
        let (store, hosts) = (self.db.store.clone(), Hosts::over(Arc::clone(&self.faults) as _));
        let watcher = Watcher { store, hosts, policy: WatchPolicy { every }, renewer };
        let stop = CancellationToken::new();
        tokio::spawn(watcher.run(stop.clone()));
        Ok(stop.drop_guard())
    }

    /// What is known of a host.
    pub async fn contact(&self, id: ServerId) -> Result<Option<Contact>> {
        Ok(self.platform.contacts(&self.admin, &[id]).await?.remove(&id))
    }

    /// What is noted of a host, once it is like this.
    pub async fn noted(&self, id: ServerId, what: &str, is: impl Fn(&Contact) -> bool) -> Result<Contact> {
        let seen = async || Ok(self.contact(id).await?.is_some_and(|it| is(&it)));
        eventually(what, seen).await?;
        self.contact(id).await?.context("a contact")
    }
}

/// Brings a host's CRL to where it ends in a day, and was made 29 days ago, as if nobody had renewed it since.
/// It is a real one, made by the host's own scripts.
pub fn let_the_crl_age(host: &VpnHost) -> Result<()> {
    let conf = host.state.join("etc/host.conf");
    let before = std::fs::read_to_string(&conf)?;
    ensure!(before.contains("crl_days=30\n"), "a list is made for 30 days: {before}");
    std::fs::write(&conf, before.replace("crl_days=30\n", "crl_days=1\n"))?;
    let mut script = Command::new(host.scripts.join("vpn-host"))
        .arg(&host.state)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    script.stdin.take().context("its input")?.write_all(b"vpn-host 1\nverb=crl\nend=20\n")?;
    let output = script.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    std::fs::write(&conf, before)?;
    let list = std::fs::File::options().write(true).open(host.state.join("pub/crl.pem"))?;
    let made_at = list.metadata()?.modified()? - Duration::from_hours(24 * 29);
    Ok(list.set_modified(made_at)?)
}
