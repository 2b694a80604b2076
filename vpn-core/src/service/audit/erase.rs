//! Erasing what the log says of somebody: the values beside it go, the entries with their commitments stay, and an
//! entry tells what was done.

use crate::{
    audit::{self, Action, Entry},
    domain::{Caller, ClientId, Reason},
    store::{Store, StoreError, StoredValue},
};

/// Values that are held in memory at once while they are looked through.
const SLICE: i64 = 1000;

/// What is to be erased: values that any of these fits.
#[derive(Clone, Debug, Default)]
pub struct Erasure {
    /// The names of these principals, in whichever letter case.
    pub people: Vec<String>,
    /// What entries about these clients say: their names, what was written about them, the output of programs.
    pub clients: Vec<ClientId>,
    /// Names and texts that contain one of these, in whichever letter case.
    pub containing: Vec<String>,
    /// Values with one of these commitments, as an earlier erasure gave them.
    pub commitments: Vec<String>,
    /// Commitments whose values stay all the same.
    pub keep: Vec<String>,
}

impl Erasure {
    fn fits(&self, stored: &StoredValue) -> bool {
        let StoredValue { commitment, kind, value, client_id } = stored;
        let is_person = kind == audit::Kind::Person.as_str();
        let lower = || value.to_lowercase();
        !self.keep.contains(commitment)
            && (self.commitments.contains(commitment)
                || is_person && self.people.iter().any(|name| name.eq_ignore_ascii_case(value))
                || self.clients.iter().any(|client| client_id.as_deref() == Some(&client.to_string()))
                || self.containing.iter().any(|text| !text.is_empty() && lower().contains(&text.to_lowercase())))
    }
}

/// Why nothing more was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// Nothing is there that fits.
    #[error("there is nothing to erase: no name or text beside the log fits, or it is erased already")]
    Nothing,
    /// Somebody else was faster.
    #[error("somebody else erased some of it meanwhile: begin again; {erased} values are erased")]
    Overtaken {
        /// How many were erased before that.
        erased: usize,
    },
    /// The database.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
}

/// What an erasure would erase. Changes nothing.
pub async fn plan_erasure(store: &Store, erasure: &Erasure) -> Result<Vec<StoredValue>, EraseError> {
    let mut reader = store.read().await?;
    let (mut found, mut last) = (Vec::new(), String::new());
    loop {
        let values = reader.audit_values_after(&last, SLICE).await?;
        let Some(end) = values.last() else { break };
        last.clone_from(&end.commitment);
        found.extend(values.into_iter().filter(|value| erasure.fits(value)));
    }
    if found.is_empty() { Err(EraseError::Nothing) } else { Ok(found) }
}

/// Does it. Gives the numbers of the entries that tell of it, each of [`Store::ERASED_AT_ONCE`] values at most; stopped
/// between two of them, a new plan has the rest.
pub async fn erase_values(
    store: &Store,
    caller: &Caller,
    reason: &Reason,
    values: &[StoredValue],
) -> Result<Vec<i64>, EraseError> {
    let mut told_by = Vec::new();
    for (at, some) in values.chunks(Store::ERASED_AT_ONCE).enumerate() {
        let entry = Entry::by(caller, Action::AuditErased).with("reason", reason.as_str());
        let commitments: Vec<String> = some.iter().map(|value| value.commitment.clone()).collect();
        let told = store.begin().await?.commit_erasure(entry, &commitments).await?;
        told_by.push(told.ok_or(EraseError::Overtaken { erased: at * Store::ERASED_AT_ONCE })?);
    }
    Ok(told_by)
}
