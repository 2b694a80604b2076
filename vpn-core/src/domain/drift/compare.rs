//! The comparison itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Difference, DriftReport, HostView, NO_CONFIGURATION, Subject};
use crate::{
    clock::Timestamp,
    domain::{
        Client, ClientId, ClientStatus, Elsewhere, FencingToken, HostRecord, Kinship, RecordState, Serial, Session,
    },
};

/// A comparison that is under way: [`of`](Self::of) the host, with each [`client`](Self::client) of SQL, and those
/// [`elsewhere`](Self::elsewhere), to the [`end`](Self::end).
#[derive(Debug)]
pub struct Comparison {
    begun: Timestamp,
    configuration: String,
    records: HashMap<Serial, HostRecord>,
    published: HashMap<Serial, i64>,
    /// One session of each name.
    sessions: BTreeMap<String, Session>,
    sessions_are_known: bool,
    /// Names whose sessions are in order.
    admitted: HashSet<String>,
    /// Revoked clients whose name is connected. A name may have been theirs one after the other: the last counts.
    shut_out: HashMap<String, (Timestamp, Subject)>,
    found: Vec<Difference>,
}

impl Comparison {
    /// Of what a host has shown since `begun`, by SQL's clock.
    #[must_use]
    pub fn of(view: HostView, begun: Timestamp) -> Self {
        Self {
            begun,
            configuration: view.configuration,
            records: view.records.into_iter().map(|record| (record.serial.clone(), record)).collect(),
            published: view.published,
            sessions_are_known: view.sessions.are_known(),
            sessions: view.sessions.list.into_iter().map(|session| (session.name.clone(), session)).collect(),
            admitted: HashSet::new(),
            shut_out: HashMap::new(),
            found: Vec::new(),
        }
    }

    /// With a client of SQL, each once. `busy` when a job is at work on it.
    pub fn client(&mut self, client: &Client, busy: bool) {
        let record = self.records.remove(&client.serial);
        let of =
            || Subject { serial: client.serial.clone(), name: Some(client.name.clone()), client_id: Some(client.id) };
        self.sessions_of(client, of);
        let state = record.as_ref().map(|record| record.state);
        let is_published = self.published.contains_key(&client.serial);
        let difference = match client.status() {
            // What was revoked after the host was asked is none of its lag.
            ClientStatus::Revoked if client.revoked_at().is_none_or(|at| at >= self.begun) => None,
            ClientStatus::Revoked => revoked(state, is_published, of),
            _ if state == Some(RecordState::Revoked) || is_published => {
                (!busy).then(|| Difference::RevokedOnHost { of: of(), asked: client.revocation.is_some() })
            }
            ClientStatus::Active => {
                let was_active = client.activated_at().is_some_and(|at| at < self.begun);
                (!is_issued(state) && was_active).then(|| Difference::CertificateMissing { of: of() })
            }
            ClientStatus::Pending => {
                let adopted = state == Some(RecordState::Adopted);
                // What is to be revoked is no more to be activated; that it was given up, the warnings tell.
                (is_issued(state) && !busy && client.revocation.is_none())
                    .then(|| Difference::NotActivated { of: of(), adopted })
            }
        };
        self.found.extend(difference);
        let seen = record.map_or(FencingToken::ZERO, |record| record.fence);
        if client.fence < seen && client.status() != ClientStatus::Revoked {
            self.found.push(Difference::HostAhead { of: of() });
        }
    }

    fn sessions_of(&mut self, client: &Client, of: impl Fn() -> Subject) {
        let name = client.name.as_str();
        if !self.sessions.contains_key(name) {
            return;
        }
        match (client.status(), client.revoked_at()) {
            (ClientStatus::Active, _) => {
                self.admitted.insert(name.to_owned());
            }
            (_, Some(at)) if at >= self.begun => {
                self.admitted.insert(name.to_owned());
            }
            (_, Some(at)) if self.shut_out.get(name).is_none_or(|(before, _)| *before < at) => {
                self.shut_out.insert(name.to_owned(), (at, of()));
            }
            _ => {}
        }
    }

    /// The certificates that no client of SQL was there for.
    #[must_use]
    pub fn unclaimed(&self) -> Vec<(Serial, Option<ClientId>)> {
        self.records.values().map(|record| (record.serial.clone(), record.client_id())).collect()
    }

    /// With what SQL knows of these under other servers.
    pub fn elsewhere(&mut self, elsewhere: &Elsewhere) {
        let mut shared = Vec::new();
        for record in std::mem::take(&mut self.records).into_values() {
            match elsewhere.kinship(&record) {
                Some(Kinship::Revoked(client)) => {
                    self.records.insert(record.serial.clone(), record);
                    self.client(&client, false);
                }
                Some(Kinship::Of(holder)) if !self.published.contains_key(&record.serial) => {
                    shared.push(&holder.server);
                    // Its session is no other matter.
                    self.admitted.insert(holder.client.name.to_string());
                }
                _ => {
                    self.records.insert(record.serial.clone(), record);
                }
            }
        }
        self.found.extend(Difference::shared_hosts(shared));
    }

    /// Of the two, when all clients were there. `confirmed` is the configuration that OpenVPN should have; any will
    /// do while none was confirmed, but there has to be one.
    #[must_use]
    pub fn end(mut self, confirmed: Option<&str>) -> DriftReport {
        for (serial, record) in std::mem::take(&mut self.records) {
            let is_published = self.published.contains_key(&serial);
            // It is told of as a certificate; its session is no other matter.
            if !is_published {
                self.admitted.extend(record.foreign_name.clone());
            }
            self.found.extend(unknown(record, is_published));
        }
        for (name, session) in std::mem::take(&mut self.sessions) {
            if self.admitted.contains(&name) {
                continue;
            }
            let address = session.address;
            self.found.push(match self.shut_out.remove(&name) {
                Some((_, of)) => Difference::RevokedSession { of, address },
                None => Difference::UnknownSession { name, address },
            });
        }
        if !self.sessions_are_known {
            self.found.push(Difference::SessionsUnknown);
        }
        let found = self.configuration.clone();
        if confirmed.map_or(found == NO_CONFIGURATION, |confirmed| confirmed != found) {
            self.found.push(Difference::ConfigurationChanged { confirmed: confirmed.map(str::to_owned), found });
        }
        DriftReport::of(self.configuration, self.found)
    }
}

/// Whether the host has its certificate.
const fn is_issued(state: Option<RecordState>) -> bool {
    matches!(state, Some(RecordState::Live | RecordState::Forgotten | RecordState::Adopted))
}

fn revoked(state: Option<RecordState>, is_published: bool, of: impl Fn() -> Subject) -> Option<Difference> {
    match (state == Some(RecordState::Revoked), is_published) {
        (true, true) => None,
        (false, true) => Some(Difference::NotRevokedOnHost { of: of() }),
        (buried, false) => Some(Difference::NotInCrl { of: of(), buried }),
    }
}

/// A serial that SQL does not know.
fn unknown(record: HostRecord, is_published: bool) -> Option<Difference> {
    let (name, client_id) = record.owner.unzip();
    let common_name = record.foreign_name;
    let of = Subject { serial: record.serial, name, client_id };
    match record.state {
        RecordState::Seen => None,
        RecordState::Revoked => (!is_published).then_some(Difference::NotInCrl { of, buried: true }),
        // In the CRL all the same, it lets nobody in.
        RecordState::Foreign => (!is_published).then_some(Difference::ForeignCertificate { of, common_name }),
        RecordState::Live | RecordState::Forgotten | RecordState::Adopted | RecordState::Bound => {
            let adopted = record.state == RecordState::Adopted;
            (!is_published).then_some(Difference::UnknownCertificate { of, adopted })
        }
    }
}
