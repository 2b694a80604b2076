//! The checker: holds four independent sources against each other, SQL, the audit log, the PKI and CRL
//! of the host, and what callers were told; and finds what must never be, whatever happened before.

mod history;
pub mod pki;
mod report;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result};
use vpn_core::{
    domain::{Client, ClientId, ClientStatus, Job, JobId, JobKind, JobState},
    store::{ClientFilter, JobFilter, PageRequest, Store},
};

use history::History;
use pki::Pki;
pub use report::Report;
pub use told::Told;

/// The places to look at.
pub struct Places<'a> {
    /// The database.
    pub store: &'a Store,
    /// The state directory of the one host.
    pub host: &'a Path,
    /// Whether other platforms use the host too: their certificates are not ours to judge.
    pub shared_host: bool,
    /// Redis, where no lock may be left.
    pub redis: &'a str,
}

/// All that there is to know.
struct Sources {
    clients: BTreeMap<ClientId, Client>,
    jobs: BTreeMap<JobId, Job>,
    history: History,
    pki: Pki,
    locks: Vec<String>,
}

/// Reads all sources and compares them. To be called when nothing is under way any more.
pub async fn check(places: &Places<'_>, told: &Told) -> Result<Report> {
    let clients = clients(places.store).await?;
    let pki = Pki::read(places.host, |client| clients.contains_key(client)).await.context("the host's PKI")?;
    let sources = Sources {
        clients,
        pki,
        jobs: jobs(places.store).await?,
        history: History::read(places.store).await.context("the audit log")?,
        locks: locks(places.redis).await.context("the locks in Redis")?,
    };
    let mut report = sources.report(told);
    sources.answers_kept(told, &mut report);
    sources.one_certificate_each(places.shared_host, &mut report);
    sources.log_complete(&mut report);
    Ok(report)
}

impl Sources {
    /// Every answer that a caller got holds.
    fn answers_kept(&self, told: &Told, report: &mut Report) {
        report.wrong(told.contradictions.iter().cloned());
        for id in &told.clients {
            if !self.clients.contains_key(id) {
                report.wrong([format!("{id} was told to be recorded, and SQL does not have it")]);
            }
        }
        for (id, (client, kind)) in &told.jobs {
            match self.jobs.get(id) {
                None => report.wrong([format!("{id} was accepted, and SQL does not have it")]),
                Some(job) if job.client_id != *client || job.kind() != *kind => {
                    report.wrong([format!("{id} was accepted as another job than SQL has")]);
                }
                Some(job) if !job.state.is_final() => report.unended += 1,
                Some(_) => {}
            }
        }
        for (client, times) in told.delivered.iter().filter(|(_, times)| **times > 1) {
            report.wrong([format!("the profile of {client} was handed out {times} times")]);
        }
    }

    /// Nobody has two certificates, nobody who is shut out has one, and whoever was let in has the
    /// one that SQL knows.
    fn one_certificate_each(&self, shared_host: bool, report: &mut Report) {
        for (id, serials) in &self.pki.live {
            let Some(client) = self.clients.get(id) else {
                if !shared_host {
                    report.wrong([format!("the host has a certificate for {id}, and SQL does not know that client")]);
                }
                continue;
            };
            report.most_live = report.most_live.max(serials.len());
            if client.status() == ClientStatus::Revoked {
                report.revived += 1;
            }
            let others =
                self.pki.bound.get(id).into_iter().flatten().filter(|serial| *serial != client.serial.as_str());
            report
                .wrong(others.map(|serial| format!("{id} has the serial {serial} on the host, which is not its own")));
        }
        for client in self.clients.values() {
            if let Some(what) = self.client_amiss(client) {
                report.wrong([format!("{} ({}): {what}", client.id, client.status().as_str())]);
            }
        }
    }

    fn client_amiss(&self, client: &Client) -> Option<String> {
        let serial = client.serial.as_str();
        let buried = self.pki.tombstones.contains(serial);
        let fence = self.pki.fences.get(serial).copied().unwrap_or_default();
        if fence > client.fence.get() {
            return Some(format!("the host has seen the token {fence}, SQL only {}", client.fence.get()));
        }
        if buried != self.pki.crl.contains(serial) {
            return Some("tombstone and CRL disagree".to_owned());
        }
        if buried && client.revocation.is_none() {
            return Some("it is revoked on the host, and nobody asked for that".to_owned());
        }
        match client.status() {
            ClientStatus::Revoked => (!buried).then(|| "it is not in the CRL".to_owned()),
            ClientStatus::Active => {
                let known = client.certificate().map(|certificate| certificate.sha256_fingerprint.as_str());
                let real = self.pki.fingerprints.get(serial).map(String::as_str);
                (!buried && known != real).then(|| format!("its certificate is {real:?}, SQL has {known:?}"))
            }
            ClientStatus::Pending => None,
        }
    }

    /// The log tells of everything that SQL has, once, and of nothing else.
    fn log_complete(&self, report: &mut Report) {
        let (clients, jobs) = (&self.history.clients, &self.history.jobs);
        for client in self.clients.values() {
            let story = clients.get(&client.id).cloned().unwrap_or_default();
            let [created, activated, revoked, delivered] = story.times;
            let as_in_sql = [
                created == 1,
                activated == usize::from(client.activated_at().is_some()),
                revoked == usize::from(client.revoked_at().is_some()),
                delivered <= 1,
                story.status == client.status().as_str(),
                story.fence == client.fence.get(),
                story.revocation_asked == client.revocation.is_some(),
            ];
            if as_in_sql.contains(&false) {
                report.missing(format!("{}: the log has {story:?}, SQL {client:?}", client.id));
            }
        }
        for job in self.jobs.values() {
            let story = jobs.get(&job.id).cloned().unwrap_or_default();
            let wanted = [1, i64::from(job.attempts), i64::from(job.state.is_final())];
            if story.times != wanted || story.state != job.state.as_str() {
                report.missing(format!("{}: the log has {story:?}, SQL {job:?}", job.id));
            }
        }
        let known: BTreeSet<_> = self.jobs.keys().collect();
        for id in jobs.keys().filter(|id| !known.contains(id)) {
            report.missing(format!("the log tells of {id}, which SQL does not have"));
        }
    }

    fn report(&self, told: &Told) -> Report {
        let ended = |state| self.jobs.values().filter(|job| job.state == state).count();
        let with = |status| self.clients.values().filter(|client| client.status() == status).count();
        Report {
            asked: told.asked,
            accepted: told.accepted_count(),
            refused: told.refused.clone(),
            unanswered: told.unanswered,
            jobs: [JobState::Succeeded, JobState::Failed, JobState::Canceled].map(ended),
            attempts: self.jobs.values().map(|job| i64::from(job.attempts)).sum(),
            open: self.jobs.values().filter(|job| !job.state.is_final()).count(),
            clients: [ClientStatus::Pending, ClientStatus::Active, ClientStatus::Revoked].map(with),
            entries: self.history.entries,
            fenced: self.history.fenced,
            requeued: self.history.requeued,
            certificates: self.pki.live.values().map(BTreeSet::len).sum(),
            illegal: self.history.illegal.clone(),
            locks: self.locks.clone(),
            ..Report::default()
        }
    }
}

async fn clients(store: &Store) -> Result<BTreeMap<ClientId, Client>> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = PageRequest { after, ..PageRequest::first(100) };
        let items = store.read().await?.clients(&ClientFilter::default(), &page).await?.items;
        let Some(last) = items.last() else { return Ok(all) };
        after = Some(last.id);
        all.extend(items.into_iter().map(|client| (client.id, client)));
    }
}

async fn jobs(store: &Store) -> Result<BTreeMap<JobId, Job>> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = PageRequest { after, ..PageRequest::first(100) };
        let items = store.read().await?.jobs(&JobFilter::default(), &page).await?.items;
        let Some(last) = items.last() else { return Ok(all) };
        after = Some(last.id);
        all.extend(items.into_iter().map(|job| (job.id, job)));
    }
}

/// The locks that somebody holds, or nobody gave back.
pub async fn locks(url: &str) -> Result<Vec<String>> {
    let mut connection = crate::redis::look(url).await?;
    Ok(redis::cmd("KEYS").arg("vpn:*:lock").query_async(&mut connection).await?)
}

/// Failed revocations: their clients may still be let in, so somebody has to ask again.
pub async fn failed_revocations(store: &Store) -> Result<Vec<Client>> {
    let jobs = jobs(store).await?;
    let failed: BTreeSet<ClientId> = jobs
        .values()
        .filter(|job| job.kind() == JobKind::Revoke && job.state == JobState::Failed)
        .map(|job| job.client_id)
        .collect();
    let clients = clients(store).await?.into_values();
    Ok(clients.filter(|client| failed.contains(&client.id) && client.status() != ClientStatus::Revoked).collect())
}
