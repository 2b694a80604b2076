//! What would have to be done.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::{ReconcileError, Reconciler};
use crate::{
    clock::Timestamp,
    domain::{
        Client, ClientId, ClientStatus, CommonName, Difference, Elsewhere, FencingToken, Holder, HostRecord, Job,
        JobKind, Kinship, RecordState, Serial, Server, ServerId,
    },
    store::{ClientFilter, PageRequest},
};

/// What the two have to say, and what has to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The host.
    pub server: Server,
    /// Where they differ, in the order in which it is put right: names become free before they are
    /// taken.
    pub findings: Vec<Finding>,
    /// Certificates that nothing is done about.
    pub left: Vec<Left>,
    /// On how many clients they agree.
    pub level: usize,
}

/// A certificate that is no matter of this server, or cannot be.
#[derive(Clone, Debug)]
pub struct Left {
    /// What the host has.
    pub record: HostRecord,
    /// The client of another server that it is of. Without one, the host took it over, and it can be no client.
    pub elsewhere: Option<Holder>,
}

/// A client on which they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The client.
    pub client_id: ClientId,
    /// Its name.
    pub name: CommonName,
    /// Its serial.
    pub serial: Serial,
    /// When the host revoked it, if its CRL tells.
    pub revoked_at: Option<Timestamp>,
    /// The fence in the database, and on the host.
    pub fences: (FencingToken, FencingToken),
    /// What has to be done, besides raising a fence that is lower in the database.
    pub act: Act,
}

/// What has to be done about a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// The host has it revoked, the database has not: it is revoked.
    Revoke,
    /// The host has issued, and handed out the key; the database has neither profile nor certificate: it
    /// is revoked.
    RevokeLost,
    /// Its revocation was asked for and given up: it is asked for again.
    RevokeGivenUp,
    /// The database has it revoked; the host has not, or its CRL has not, or its session is still open.
    RevokeAgain,
    /// The same as [`Act::RevokeLost`], and a person has decided to keep it.
    Activate,
    /// Nothing else: its fence is raised.
    RaiseFence,
    /// The host has no certificate of it any more, and, if it was set back, does not let it in. Nothing is done.
    Missing,
    /// The host has it revoked, and the database does not know it: it is recorded as revoked.
    RecordAsRevoked,
    /// The database does not know it: it is recorded, and revoked.
    RecordAndRevoke,
    /// The database does not know it, and a person has decided to keep it.
    RecordAndActivate,
    /// The host took it over from another PKI. Nothing is done until a person has decided to keep it.
    LeaveAdopted,
    /// The same, and the host can still hand out its profile: a person provisions it.
    RecordAsPending,
}

impl Act {
    /// For the audit log; stable.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::RevokeLost => "revoke-lost",
            Self::RevokeGivenUp => "revoke-given-up",
            Self::RevokeAgain => "revoke-again",
            Self::Activate => "activate",
            Self::RaiseFence => "raise-fence",
            Self::Missing => "missing",
            Self::RecordAsRevoked => "record-as-revoked",
            Self::LeaveAdopted => "leave-adopted",
            Self::RecordAndRevoke => "record-and-revoke",
            Self::RecordAndActivate => "record-and-activate",
            Self::RecordAsPending => "record-as-pending",
        }
    }

    /// Whether it is only shown.
    #[must_use]
    pub const fn does_nothing(self) -> bool {
        matches!(self, Self::Missing | Self::LeaveAdopted)
    }

    /// For people.
    const fn why(self) -> &'static str {
        match self {
            Self::Revoke => "revoke: the host has it revoked, the database has not",
            Self::RevokeLost => {
                "revoke: the host has issued its certificate, and the database has no profile of it; whoever has \
                 that profile can connect (--adopt: make it active instead)"
            }
            Self::RevokeGivenUp => "revoke: its revocation was asked for, and given up",
            Self::RevokeAgain => {
                "revoke on the host: the database has it revoked; the host has not, or its CRL has not, or it is still \
                 connected"
            }
            Self::Activate => "make active: the host has issued its certificate, and the profile was handed out",
            Self::RaiseFence => "raise its fence: the host is ahead",
            Self::Missing => {
                "nothing: it is active, and the host knows no certificate of it; a host that was set back does not let \
                 it in: revoke it, and make a new client"
            }
            Self::RecordAsRevoked => "record as revoked: the host has it revoked, the database does not know it",
            Self::LeaveAdopted => {
                "nothing: the host took it over from another PKI, and lets it in (--adopt: record it as active)"
            }
            Self::RecordAndRevoke => {
                "record and revoke: the host has it, the database does not know it (--adopt: keep it instead)"
            }
            Self::RecordAndActivate => "record as active: the host has it, and its key was handed out",
            Self::RecordAsPending => {
                "record as pending: the host has it, and can still hand out its profile: provision it, with its CSR if \
                 it was made from one"
            }
        }
    }
}

impl Finding {
    /// Whether the database's fence is too low, and can be raised.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.fences.0 < self.fences.1 && self.act != Act::RevokeAgain
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, serial {}): {}", self.name, self.client_id, self.serial, self.act.why())?;
        if self.is_behind() {
            write!(f, "; fence {} → {}", self.fences.0, self.fences.1)?;
        }
        Ok(())
    }
}

impl Plan {
    /// A certificate that no client of this server has.
    fn add_unknown(&mut self, record: HostRecord, elsewhere: &Elsewhere, shown: &Shown, begun: Timestamp, adopt: bool) {
        match elsewhere.kinship(&record) {
            Some(Kinship::Revoked(client)) => {
                let known = Known { client: *client, open: Vec::new(), has_profile: false };
                self.findings.extend(compare(&known, Some(&record), shown, begun, adopt));
            }
            Some(Kinship::Of(holder)) => self.left.push(Left { record, elsewhere: Some(holder.clone()) }),
            Some(Kinship::Harmless) => {}
            None if record.state == RecordState::Foreign => self.left.push(Left { record, elsewhere: None }),
            None => self.findings.extend(shown.unknown(record, adopt)),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: level on {} clients, apart on {}", self.server.name, self.level, self.findings.len())?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "  {finding}"))?;
        self.left.iter().try_for_each(|left| writeln!(f, "  {left}"))?;
        let servers = self.left.iter().filter_map(|left| Some(&left.elsewhere.as_ref()?.server));
        Difference::shared_hosts(servers)
            .try_for_each(|shared| writeln!(f, "  {}. {}", shared.message(), shared.cure(&self.server.name)))
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostRecord { serial, owner, foreign_name, .. } = &self.record;
        let name = owner.as_ref().map(|(name, _)| name.as_str()).or(foreign_name.as_deref());
        let name = name.unwrap_or("a certificate without a name");
        match &self.elsewhere {
            Some(Holder { client, server, .. }) => write!(
                f,
                "{name} (serial {serial}): left: it is {} ({}, {}) of the server {server}",
                client.name,
                client.id,
                client.status().as_str()
            ),
            None => write!(
                f,
                "{name} (serial {serial}): left: the host took it over, and it can be no client; see vpn-worker drift"
            ),
        }
    }
}

/// A client of the database, with what decides.
struct Known {
    client: Client,
    open: Vec<Job>,
    has_profile: bool,
}

/// What the host shows of what it knows, where its scripts are new enough to tell.
#[derive(Default)]
struct Shown {
    published: Option<HashMap<Serial, i64>>,
    /// Names that are connected, and that no client which is not revoked has.
    shut_out: HashSet<CommonName>,
}

impl Shown {
    /// Whether the client, which the host has revoked, is let in all the same.
    fn lets_in(&self, client: &Client) -> bool {
        let is_missing = self.published.as_ref().is_some_and(|published| !published.contains_key(&client.serial));
        is_missing || self.shut_out.contains(&client.name)
    }

    /// A serial that the database does not know.
    fn unknown(&self, record: HostRecord, adopt: bool) -> Option<Finding> {
        let act = match (record.state, adopt) {
            (RecordState::Revoked, true) => Act::RecordAsRevoked,
            (RecordState::Revoked | RecordState::Seen | RecordState::Foreign, _) => return None,
            (RecordState::Forgotten | RecordState::Adopted, true) => Act::RecordAndActivate,
            (RecordState::Adopted, false) => Act::LeaveAdopted,
            (RecordState::Live, true) => Act::RecordAsPending,
            (RecordState::Live | RecordState::Forgotten | RecordState::Bound, _) => Act::RecordAndRevoke,
        };
        let (name, client_id) = record.owner?;
        let revoked_at = self.published.as_ref().and_then(|it| it.get(&record.serial).copied());
        Some(Finding {
            client_id,
            name,
            serial: record.serial,
            revoked_at: revoked_at.map(Timestamp::from_seconds),
            fences: (FencingToken::ZERO, record.fence),
            act,
        })
    }
}

impl Reconciler {
    /// Compares. The host is asked first: what happens meanwhile is then newer in the database, and
    /// nothing for this to put right.
    pub async fn plan(&self, server: Server, adopt: bool) -> Result<Plan, ReconcileError> {
        let begun = self.runner.store.begin().await?.at();
        let (records, mut shown) = self.shown(&server).await?;
        let mut on_host: HashMap<Serial, HostRecord> =
            records.into_iter().map(|record| (record.serial.clone(), record)).collect();
        let mut plan = Plan { server, findings: Vec::new(), left: Vec::new(), level: 0 };
        let mut page = PageRequest::first(PageRequest::<ClientId>::MAX);
        loop {
            let (known, has_next) = self.known(plan.server.id, &page).await?;
            page.after = known.last().map(|known| known.client.id);
            for known in known {
                let record = on_host.remove(&known.client.serial);
                match compare(&known, record.as_ref(), &shown, begun, adopt) {
                    Some(finding) => plan.findings.push(finding),
                    None => plan.level += 1,
                }
            }
            if !has_next {
                break;
            }
        }
        let sought: Vec<_> = on_host.values().map(|record| (record.serial.clone(), record.client_id())).collect();
        let mut reader = self.runner.store.read().await?;
        let holders = reader.holders(&sought).await?;
        let elsewhere = reader.elsewhere(plan.server.id, holders).await?;
        for client in elsewhere.living() {
            shown.shut_out.remove(&client.name);
        }
        for record in on_host.into_values() {
            plan.add_unknown(record, &elsewhere, &shown, begun, adopt);
        }
        plan.left.sort_by(|a, b| a.record.serial.as_str().cmp(b.record.serial.as_str()));
        plan.findings.sort_by_key(|finding| (finding.act, finding.client_id));
        Ok(plan)
    }

    async fn shown(&self, server: &Server) -> Result<(Vec<HostRecord>, Shown), ReconcileError> {
        let hosts = &self.runner.hosts;
        if !hosts.hello(server).await?.tells_what_is_published() {
            return Ok((hosts.inventory(server).await?, Shown::default()));
        }
        let view = hosts.view(server).await?;
        let connected: Vec<CommonName> = view.sessions.list.iter().filter_map(|it| it.name.parse().ok()).collect();
        let holders = self.runner.store.read().await?.clients_by_name(server.id, &connected).await?;
        let mut shut_out: HashSet<CommonName> = connected.into_iter().collect();
        for holder in holders {
            shut_out.remove(&holder.name);
        }
        Ok((view.records, Shown { published: Some(view.published), shut_out }))
    }

    async fn known(
        &self,
        server: ServerId,
        page: &PageRequest<ClientId>,
    ) -> Result<(Vec<Known>, bool), ReconcileError> {
        let mut reader = self.runner.store.read().await?;
        let filter = ClientFilter { server_id: Some(server), ..ClientFilter::default() };
        let clients = reader.clients(&filter, page).await?;
        let ids: Vec<ClientId> = clients.items.iter().map(|client| client.id).collect();
        let open = reader.open_jobs(&ids).await?;
        let mut known = Vec::with_capacity(clients.items.len());
        for client in clients.items {
            let of_client = open.iter().filter(|job| job.client_id == client.id).cloned().collect();
            let has_profile = reader.profile(client.id).await?.is_some_and(|profile| profile.sealed.is_some());
            known.push(Known { client, open: of_client, has_profile });
        }
        Ok((known, clients.has_next))
    }
}

fn compare(
    known: &Known,
    record: Option<&HostRecord>,
    shown: &Shown,
    begun: Timestamp,
    adopt: bool,
) -> Option<Finding> {
    let client = &known.client;
    let state = record.map(|record| record.state);
    let fences = (client.fence, record.map_or(FencingToken::ZERO, |record| record.fence));
    let is_behind = fences.0 < fences.1;
    let being_revoked = known.open.iter().any(|job| job.kind() == JobKind::Revoke);
    let act = match (client.status(), state) {
        (ClientStatus::Revoked, Some(RecordState::Revoked)) if !shown.lets_in(client) => None,
        // What was revoked after the host was asked is none of its lag.
        (ClientStatus::Revoked, _) => client.revoked_at().is_some_and(|at| at < begun).then_some(Act::RevokeAgain),
        (_, Some(RecordState::Revoked)) if being_revoked && !is_behind => None,
        (_, Some(RecordState::Revoked)) => Some(Act::Revoke),
        _ if client.revocation.is_some() => (!being_revoked).then_some(Act::RevokeGivenUp),
        // It is here because a person has decided to keep it.
        (ClientStatus::Pending, Some(RecordState::Adopted)) => Some(Act::Activate),
        (ClientStatus::Pending, Some(RecordState::Forgotten)) if !known.has_profile => {
            Some(if adopt { Act::Activate } else { Act::RevokeLost })
        }
        (ClientStatus::Active, None | Some(RecordState::Bound | RecordState::Seen)) => {
            client.activated_at().is_some_and(|at| at < begun).then_some(Act::Missing)
        }
        _ => None,
    };
    let act = act.or(is_behind.then_some(Act::RaiseFence).filter(|_| client.status() != ClientStatus::Revoked))?;
    let (name, serial) = (client.name.clone(), client.serial.clone());
    Some(Finding { client_id: client.id, name, serial, revoked_at: None, fences, act })
}
