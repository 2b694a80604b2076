//! Which entries of the audit log were sealed, and the one way out of the database that they have.

use std::ops::DerefMut;

use sqlx::AnyConnection;

use super::{Handle, Store, StoreError, Tx, dump::Row, row::Reading};
use crate::{
    audit::{Entry, Hash, Seal, Sealed, Tree},
    clock::Timestamp,
};

/// Entries that are removed in one transaction, so that nobody waits long behind it.
const REMOVED_AT_ONCE: i64 = 2_000;

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The seals of the audit log, the oldest first.
    pub async fn audit_seals(&mut self) -> Result<Vec<Seal>, StoreError> {
        let sql = self
            .dialect
            .sql("SELECT until_seq, told_by, leaf_hash, roots, file, file_sha256 FROM audit_seals ORDER BY until_seq");
        let rows = sqlx::query(sql).fetch_all(self.conn()).await?;
        let seal = |row| {
            let read = Reading::of(row, "audit_seals");
            let until = read.int("until_seq")?;
            Ok(Seal {
                told_by: read.int("told_by")?,
                sealed: Sealed {
                    until,
                    hash: read.hash("leaf_hash")?,
                    tree: tree(until, &read.bytes("roots")?).ok_or_else(not_its_tree)?,
                    file: read.text("file")?,
                    sha256: read.hash("file_sha256")?,
                },
            })
        };
        rows.iter().map(seal).collect()
    }

    /// The number of the first entry that is not older than this; `None` when all are.
    pub async fn first_audit_entry_since(&mut self, at: Timestamp) -> Result<Option<i64>, StoreError> {
        let sql = self.dialect.sql("SELECT MIN(seq) FROM audit_log WHERE at >= $1");
        Ok(sqlx::query_scalar(sql).bind(at.micros()).fetch_one(self.conn()).await?)
    }
}

/// A tree from how a row has its roots.
fn tree(size: i64, roots: &[u8]) -> Option<Tree> {
    let roots: Vec<Hash> = roots.chunks(32).map(Hash::try_from).collect::<Result<_, _>>().ok()?;
    Tree::restore(size.unsigned_abs(), roots)
}

fn not_its_tree() -> StoreError {
    StoreError::Damaged { table: "audit_seals", what: "the roots are not those of so many entries".to_owned() }
}

impl Tx {
    /// Seals the entries behind `after`: the log tells of it, and from the commit on they may be removed.
    /// `None`, and nothing done, when other entries than those up to `after` are sealed by now.
    pub async fn commit_seal(mut self, entry: Entry, after: i64, sealed: &Sealed) -> Result<Option<Seal>, StoreError> {
        // From here on the head is locked, and with it the seals.
        let told_by = self.append(vec![sealed.told_in(entry)]).await?;
        if self.audit_seals().await?.last().map_or(0, |seal| seal.sealed.until) != after {
            return Ok(None);
        }
        let sql = self.dialect.sql(
            "INSERT INTO audit_seals (until_seq, told_by, leaf_hash, roots, file, file_sha256) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        );
        sqlx::query(sql)
            .bind(sealed.until)
            .bind(told_by)
            .bind(sealed.hash.to_vec())
            .bind(sealed.tree.roots().concat())
            .bind(sealed.file.clone())
            .bind(sealed.sha256.to_vec())
            .execute(self.conn())
            .await?;
        self.handle.conn.commit().await.map_err(StoreError::of_commit)?;
        Ok(Some(Seal { sealed: sealed.clone(), told_by }))
    }

    /// For a log that is being restored: its head, behind the newest seal.
    pub(crate) async fn begin_log_behind(&mut self, newest: &Seal) -> Result<(), StoreError> {
        let update = self.dialect.sql("UPDATE audit_head SET seq = $1, leaf_hash = $2 WHERE one = 1");
        sqlx::query(update).bind(newest.sealed.until).bind(newest.sealed.hash.to_vec()).execute(self.conn()).await?;
        Ok(())
    }
}

impl Store {
    /// Removes sealed entries; gives how many there were. What it had not come to when it was stopped is
    /// removed the next time.
    pub async fn remove_sealed_entries(&self, until: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let mut tx = self.begin().await?;
            let first = tx.dialect.sql("SELECT MIN(seq) FROM audit_log");
            let first: Option<i64> = sqlx::query_scalar(first).fetch_one(tx.conn()).await?;
            let Some(first) = first.filter(|first| *first <= until) else { return Ok(removed) };
            let delete = tx.dialect.sql("DELETE FROM audit_log WHERE seq <= $1");
            let last = until.min(first + REMOVED_AT_ONCE - 1);
            removed += sqlx::query(delete).bind(last).execute(tx.conn()).await?.rows_affected();
            tx.commit_bookkeeping().await?;
        }
    }
}

impl Row {
    /// The row of a backup as a seal; `None` if it is none.
    #[must_use]
    pub fn as_seal(&self) -> Option<Seal> {
        let until = self.int("until_seq");
        Some(Seal {
            told_by: self.int("told_by"),
            sealed: Sealed {
                until,
                hash: self.bytes("leaf_hash").try_into().ok()?,
                tree: tree(until, &self.bytes("roots"))?,
                file: self.text("file").to_owned(),
                sha256: self.bytes("file_sha256").try_into().ok()?,
            },
        })
    }
}
