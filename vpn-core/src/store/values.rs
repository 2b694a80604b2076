//! What entries of the audit log say of people, beside the log.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    ops::DerefMut,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sqlx::AnyConnection;

use super::{Handle, KEYS_AT_ONCE, Store, StoreError, Tx, dump::Row, row::Reading};
use crate::{
    audit::{self, AuditEntry, Entry, Erasable, Hash, Kind},
    clock::Ambient,
};

/// Rows that one statement inserts.
const ROWS_AT_ONCE: usize = 100;
/// Names that a process keeps the commitments of.
const NAMES_KEPT: usize = 10_000;

/// A value that an entry of the audit log has a commitment to, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredValue {
    /// The commitment, in hexadecimal digits.
    pub commitment: String,
    /// `person` or `text`.
    pub kind: String,
    /// The value.
    pub value: String,
    /// The client whose entry it is in, if it is a text.
    pub client_id: Option<String>,
}

/// A value that is about to be stored.
struct NewValue {
    value: Erasable,
    kind: Kind,
    client_id: Option<String>,
}

/// The commitments to names that were looked up, so that not every transaction asks for its caller's while it holds
/// the end of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// The last erasure that they were looked up behind. After another one, each may be gone.
    erased: i64,
    names: HashMap<String, Hash>,
}

/// Not the value: it may be somebody's name.
impl fmt::Debug for StoredValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredValue").field("commitment", &self.commitment).finish_non_exhaustive()
    }
}

/// Nobody's name.
impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("erased", &self.erased).finish_non_exhaustive()
    }
}

impl Names {
    fn known(&self, erased: i64) -> MutexGuard<'_, Known> {
        // What is half done is a name that is not there.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.erased != erased || known.names.len() > NAMES_KEPT {
            *known = Known { erased, names: HashMap::new() };
        }
        known
    }
}

fn commitment(read: &Reading<'_>) -> Result<Hash, StoreError> {
    let digits = read.text("commitment")?;
    let damaged = || StoreError::Damaged { table: "audit_values", what: "a commitment is no hash".to_owned() };
    audit::commitment(&digits).ok_or_else(damaged)
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The values of these commitments, as far as they are not erased.
    pub async fn audit_values(&mut self, commitments: &[Hash]) -> Result<HashMap<Hash, Erasable>, StoreError> {
        let keys = commitments.iter().map(hex::encode).collect();
        let columns = "commitment, salt, value";
        let rows = self.rows_by_key(columns, "audit_values", "commitment", "", keys).await?;
        let value = |row| {
            let read = Reading::of(row, "audit_values");
            Ok((commitment(&read)?, Erasable { salt: read.hash("salt")?, value: read.text("value")? }))
        };
        rows.iter().map(value).collect()
    }

    /// Gives these entries what they say of people.
    pub(super) async fn with_values(&mut self, mut entries: Vec<AuditEntry>) -> Result<Vec<AuditEntry>, StoreError> {
        let said: Vec<Vec<Hash>> = entries.iter().map(AuditEntry::commitments).collect();
        let all: BTreeSet<Hash> = said.iter().flatten().copied().collect();
        if all.is_empty() {
            return Ok(entries);
        }
        let values = self.audit_values(&all.into_iter().collect::<Vec<_>>()).await?;
        for (entry, said) in entries.iter_mut().zip(said) {
            let known = |commitment| values.get(&commitment).map(|value| (commitment, value.clone()));
            entry.values = said.into_iter().filter_map(known).collect();
        }
        Ok(entries)
    }

    /// At most `limit` values behind the commitment `after`, in the order of the commitments.
    pub async fn audit_values_after(&mut self, after: &str, limit: i64) -> Result<Vec<StoredValue>, StoreError> {
        let sql = self.dialect.sql(
            "SELECT commitment, kind, value, client_id FROM audit_values WHERE commitment > $1 ORDER BY commitment LIMIT $2",
        );
        let rows = sqlx::query(sql).bind(after.to_owned()).bind(limit).fetch_all(self.conn()).await?;
        let value = |row| {
            let read = Reading::of(row, "audit_values");
            Ok(StoredValue {
                commitment: read.text("commitment")?,
                kind: read.text("kind")?,
                value: read.text("value")?,
                client_id: read.text_opt("client_id")?,
            })
        };
        rows.iter().map(value).collect()
    }

    /// The commitments to these names; not to those that no entry has, or whose row is erased.
    pub(super) async fn audit_names(&mut self, names: Vec<String>) -> Result<HashMap<String, Hash>, StoreError> {
        let rows = self.rows_by_key("commitment, person", "audit_values", "person", "", names).await?;
        let name = |row| {
            let read = Reading::of(row, "audit_values");
            Ok((read.text("person")?, commitment(&read)?))
        };
        rows.iter().map(name).collect()
    }
}

impl Tx {
    /// Puts the texts of these entries beside the log.
    pub(super) async fn write_texts(&mut self, entries: &mut [Entry]) -> Result<(), StoreError> {
        let ambient = Ambient::system();
        let texts = entries.iter_mut().flat_map(|entry| {
            let client_id = entry.about_client();
            let new = move |value| NewValue { value, kind: Kind::Text, client_id: client_id.clone() };
            entry.take_texts(&ambient).into_iter().map(new)
        });
        let texts = texts.collect::<Vec<_>>();
        self.write_values(&texts).await
    }

    /// The commitments to the names in these entries; names that have none get one. The end of the log has to be
    /// held, and `erased` to be what it said: so nobody else does the same, and none of them is erased meanwhile.
    pub(super) async fn names_in(
        &mut self,
        entries: &mut [Entry],
        erased: i64,
    ) -> Result<HashMap<String, Hash>, StoreError> {
        let wanted: BTreeSet<String> = entries.iter_mut().flat_map(Entry::people).collect();
        let mut found: HashMap<String, Hash> = {
            let known = self.names.known(erased);
            wanted.iter().filter_map(|name| known.names.get(name).map(|hash| (name.clone(), *hash))).collect()
        };
        let unknown: Vec<String> = wanted.iter().filter(|name| !found.contains_key(*name)).cloned().collect();
        if unknown.is_empty() {
            return Ok(found);
        }
        let stored = self.audit_names(unknown.clone()).await?;
        // Only what was stored before: what is stored now is undone if this transaction is.
        self.names.known(erased).names.extend(stored.clone());
        found.extend(stored);
        let ambient = Ambient::system();
        let is_new = |name: &String| !found.contains_key(name);
        let new = |name| NewValue { value: Erasable::new(name, &ambient), kind: Kind::Person, client_id: None };
        let new: Vec<NewValue> = unknown.into_iter().filter(is_new).map(new).collect();
        self.write_values(&new).await?;
        found.extend(new.into_iter().map(|new| (new.value.value.clone(), new.value.commitment())));
        Ok(found)
    }

    async fn write_values(&mut self, values: &[NewValue]) -> Result<(), StoreError> {
        for some in values.chunks(ROWS_AT_ONCE) {
            let row = |at: usize| {
                let places: Vec<String> = (at * 5 + 1..=at * 5 + 5).map(|place| format!("${place}")).collect();
                format!("({})", places.join(", "))
            };
            let rows: Vec<String> = (0..some.len()).map(row).collect();
            let insert = "INSERT INTO audit_values (commitment, salt, kind, value, client_id) VALUES";
            let sql = self.dialect.sql(format!("{insert} {}", rows.join(", ")));
            let mut query = sqlx::query(sql);
            for NewValue { value, kind, client_id } in some {
                query = query
                    .bind(hex::encode(value.commitment()))
                    .bind(value.salt.to_vec())
                    .bind(kind.as_str())
                    .bind(value.value.clone())
                    .bind(client_id.clone());
            }
            query.execute(self.conn()).await?;
        }
        Ok(())
    }

    /// Erases values, at most [`Store::ERASED_AT_ONCE`]: the log tells which, by their commitments, and keeps those.
    /// Gives the number of the entry that tells of it; `None`, and nothing done, when one of them is gone by now.
    pub async fn commit_erasure(mut self, entry: Entry, commitments: &[String]) -> Result<Option<i64>, StoreError> {
        let told_by = self.append(vec![entry.with("commitments", commitments.to_vec())]).await?;
        let mut erased = 0;
        for some in commitments.chunks(KEYS_AT_ONCE) {
            let places: Vec<String> = (1..=some.len()).map(|at| format!("${at}")).collect();
            let delete = format!("DELETE FROM audit_values WHERE commitment IN ({})", places.join(", "));
            let mut query = sqlx::query(self.dialect.sql(delete));
            for one in some {
                query = query.bind(one.clone());
            }
            erased += query.execute(self.conn()).await?.rows_affected();
        }
        if erased != commitments.len() as u64 {
            return Ok(None);
        }
        self.handle.conn.commit().await.map_err(StoreError::of_commit)?;
        Ok(Some(told_by))
    }
}

impl Store {
    /// Values that one entry tells the erasure of, so that nobody waits long behind it.
    pub const ERASED_AT_ONCE: usize = 500;
}

impl Row {
    /// Whether the row of a backup holds the value that its commitment is to.
    #[must_use]
    pub fn is_what_was_committed_to(&self) -> bool {
        let salt = self.bytes("salt").try_into();
        let value = salt.map(|salt| Erasable { salt, value: self.text("value").to_owned() });
        value.is_ok_and(|value| hex::encode(value.commitment()) == self.text("commitment"))
    }
}
