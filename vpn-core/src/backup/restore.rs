//! Restoring a backup.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Seek as _},
    path::Path,
};

use super::{
    BackupError, Header,
    format::{End, FORMAT, Line, MAX_LINE, Tally},
};
use crate::{
    audit::{Action, Entry, Seal, Verifier},
    domain::{ApprovalId, Caller, TokenId},
    store::{Row, Store, StoreError, Table, Tx},
    vault::Vault,
};

/// How to restore.
#[derive(Clone, Debug)]
pub struct Restore<'a> {
    /// Who does it.
    pub caller: &'a Caller,
    /// What will open the profiles.
    pub vault: &'a Vault,
    /// Restore although the profiles need another key than the configured one.
    pub give_up_profiles: bool,
    /// Leave tokens valid, and requests that wait for approval. A token that was revoked after the backup is valid
    /// again, then, and a request that was denied can be approved.
    pub keep_tokens: bool,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup says about itself.
    pub header: Header,
    /// How many clients there are.
    pub clients: u64,
    /// How many tokens were revoked.
    pub tokens_revoked: u64,
    /// How many requests that waited for approval were ended.
    pub requests_ended: u64,
    /// The names of the servers, which may be ahead of the backup.
    pub servers: Vec<String>,
}

/// Restores a backup into an empty database, all or nothing.
pub async fn restore(store: &Store, path: &Path, how: &Restore<'_>) -> Result<Restored, BackupError> {
    let fails = |source| BackupError::File { act: "reading", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(fails)?;
    let end = check(&mut Reader::new(&file))?;
    file.rewind().map_err(fails)?;
    let mut lines = Reader::new(&file);
    let header = header(&mut lines)?;
    check_key(&header, how)?;
    let (tx, schema) = store.begin_restore().await?;
    // What was added to the schema since has its default.
    if header.schema > schema {
        let (is, knows) = (header.schema, schema);
        return Err(BackupError::Version(format!(
            "has the schema {is}, this version of the program knows {knows}: restore with the version that took it"
        )));
    }
    let mut replay = Replay {
        tx,
        client: None,
        verifier: Verifier::default(),
        seals: Vec::new(),
        tokens: Vec::new(),
        approvals: Vec::new(),
        clients: 0,
        servers: Vec::new(),
    };
    while let Some(line) = lines.next()? {
        let Line::Row { table, row } = line else { break };
        let table = Table::named(&table)
            .ok_or_else(|| BackupError::damaged(lines.at(), format!("is of the unknown table `{table}`")))?;
        let row = Row::read(table, row).map_err(|source| BackupError::Row { line: lines.at(), source })?;
        replay.take(table, row, lines.at()).await?;
    }
    replay.finish(header, &end, how).await
}

/// Reads the file to its end, for the checksum, before anything is done with it.
fn check(lines: &mut Reader<'_>) -> Result<End, BackupError> {
    loop {
        let tally = lines.tally.clone();
        match lines.next()? {
            Some(Line::End { end }) if lines.is_at_end()? => {
                return if tally.end() == end {
                    Ok(end)
                } else {
                    Err(BackupError::damaged(lines.at(), "has another checksum or count than the file"))
                };
            }
            Some(Line::End { .. }) => {
                return Err(BackupError::damaged(lines.at(), "is the end, and is followed by more"));
            }
            Some(_) => {}
            None => return Err(BackupError::damaged(lines.at(), "is the last, and not the end of a backup")),
        }
    }
}

fn header(lines: &mut Reader<'_>) -> Result<Header, BackupError> {
    match lines.next()? {
        Some(Line::Header { backup }) if backup.format == FORMAT => Ok(backup),
        Some(Line::Header { backup }) => Err(BackupError::Version(format!(
            "has the format {}, this version of the program knows {FORMAT}: restore with the version that took it",
            backup.format
        ))),
        _ => Err(BackupError::damaged(1, "is not the header of a backup")),
    }
}

fn check_key(header: &Header, how: &Restore<'_>) -> Result<(), BackupError> {
    let configured = how.vault.key_id();
    match header.profile_keys.iter().find(|key| **key != configured) {
        Some(other) if !how.give_up_profiles => Err(BackupError::OtherProfileKey { needed: other.clone(), configured }),
        _ => Ok(()),
    }
}

/// A client whose jobs and profile are still coming.
struct Chapter {
    client: Row,
    jobs: Vec<Row>,
    profile: Option<Row>,
}

struct Replay {
    tx: Tx,
    client: Option<Chapter>,
    verifier: Verifier,
    seals: Vec<Seal>,
    tokens: Vec<TokenId>,
    approvals: Vec<ApprovalId>,
    clients: u64,
    servers: Vec<String>,
}

impl Replay {
    async fn take(&mut self, table: Table, row: Row, line: u64) -> Result<(), BackupError> {
        match (table, self.client.as_mut()) {
            (Table::Jobs, Some(chapter)) if row.belongs_to(&chapter.client) => chapter.jobs.push(row),
            (Table::Profiles, Some(chapter)) if row.belongs_to(&chapter.client) => chapter.profile = Some(row),
            (Table::Jobs | Table::Profiles, _) => {
                return Err(BackupError::damaged(line, "does not belong to the client before it"));
            }
            (Table::Clients, _) => {
                self.end_chapter().await?;
                self.clients += 1;
                self.client = Some(Chapter { client: row, jobs: Vec::new(), profile: None });
            }
            (other, _) => {
                self.end_chapter().await?;
                self.take_plain(other, &row, line).await?;
            }
        }
        Ok(())
    }

    async fn end_chapter(&mut self) -> Result<(), StoreError> {
        match self.client.take() {
            Some(it) => self.tx.replay_client(&it.client, &it.jobs, it.profile.as_ref()).await,
            None => Ok(()),
        }
    }

    async fn take_plain(&mut self, table: Table, row: &Row, line: u64) -> Result<(), BackupError> {
        match table {
            Table::Tokens => {
                let id = row.id().parse().map_err(|_| BackupError::damaged(line, "has a token without an id"))?;
                if !row.is_revoked() {
                    self.tokens.push(id);
                }
                self.tx.replay_token(row).await?;
            }
            Table::Approvals => {
                if row.is_pending() {
                    let id = row.id().parse();
                    self.approvals.push(id.map_err(|_| BackupError::damaged(line, "has an approval without an id"))?);
                }
                self.tx.replay_approval(row).await?;
            }
            Table::AuditValues => {
                if !row.is_what_was_committed_to() {
                    return Err(BackupError::damaged(line, "is not what the audit log has a commitment to"));
                }
                self.tx.replay_plain(table, row).await?;
            }
            Table::AuditSeals => {
                let seal = row.as_seal().ok_or_else(|| BackupError::damaged(line, "is no seal of an audit log"))?;
                self.tx.replay_plain(table, row).await?;
                self.seals.push(seal);
            }
            Table::AuditLog => {
                self.begin_log().await?;
                let entry = row.as_entry().ok_or_else(|| BackupError::damaged(line, "is no entry of an audit log"))?;
                self.verifier.take(&entry)?;
                self.tx.replay_entry(row).await?;
            }
            other => {
                if other == Table::Servers {
                    self.servers.push(row.name().to_owned());
                }
                self.tx.replay_plain(other, row).await?;
            }
        }
        Ok(())
    }

    /// Entries that were sealed are not in the backup: the log begins behind them.
    async fn begin_log(&mut self) -> Result<(), StoreError> {
        if self.verifier.seq() == 0
            && let Some(newest) = self.seals.last()
        {
            self.tx.begin_log_behind(newest).await?;
            self.verifier = Verifier::behind(std::mem::take(&mut self.seals));
        }
        Ok(())
    }

    /// Tokens that may have been revoked since the backup, and requests that may have been denied.
    async fn end_what_was_open(&mut self, caller: &Caller) -> Result<Vec<Entry>, StoreError> {
        const REASON: &str = "the database was restored";
        let mut ended = Vec::new();
        for id in std::mem::take(&mut self.tokens) {
            self.tx.revoke_token(id, caller.principal.as_str()).await?;
            let entry = Entry::by(caller, Action::TokenRevoked).with("tokenId", id.to_string());
            ended.push(entry.with("reason", REASON));
        }
        for id in std::mem::take(&mut self.approvals) {
            self.tx.expire_approval(id).await?;
            let asked = self.tx.approval(id).await?.0;
            ended.extend(asked.map(|asked| Entry::expired(&asked).with("reason", REASON)));
        }
        Ok(ended)
    }

    /// Checks the chain, ends tokens and requests, and commits it all with the entry that tells of it.
    async fn finish(mut self, header: Header, end: &End, how: &Restore<'_>) -> Result<Restored, BackupError> {
        self.end_chapter().await?;
        let mut head = [0; 32];
        hex::decode_to_slice(&header.head.hash, &mut head)
            .map_err(|_| BackupError::damaged(1, "has a head that is no hash"))?;
        self.verifier.finish(header.head.seq, &head)?;
        let (mut ended, mut tokens_revoked, mut requests_ended) = (Vec::new(), 0, 0);
        if !how.keep_tokens {
            tokens_revoked = u64::try_from(self.tokens.len()).unwrap_or(u64::MAX);
            requests_ended = u64::try_from(self.approvals.len()).unwrap_or(u64::MAX);
            ended = self.end_what_was_open(how.caller).await?;
        }
        let entry = Entry::by(how.caller, Action::DatabaseRestored)
            .with("takenAt", header.taken_at.as_str())
            .with("database", header.database.as_str())
            .with("lastEntry", header.head.seq.to_string())
            .with("sha256", end.sha256.as_str())
            .with("tokensRevoked", tokens_revoked)
            .with("requestsEnded", requests_ended);
        self.tx.commit(entry, ended).await?;
        Ok(Restored { header, clients: self.clients, tokens_revoked, requests_ended, servers: self.servers })
    }
}

/// Lines of a file, one at a time.
struct Reader<'f> {
    file: BufReader<&'f File>,
    tally: Tally,
}

impl<'f> Reader<'f> {
    fn new(file: &'f File) -> Self {
        Self { file: BufReader::new(file), tally: Tally::default() }
    }

    /// The number of the line that was read last.
    const fn at(&self) -> u64 {
        self.tally.lines()
    }

    fn next(&mut self) -> Result<Option<Line>, BackupError> {
        let at = self.at() + 1;
        let unreadable = |error: io::Error| BackupError::damaged(at, format!("cannot be read ({error})"));
        let mut text = Vec::new();
        (&mut self.file).take(MAX_LINE).read_until(b'\n', &mut text).map_err(unreadable)?;
        if text.is_empty() {
            return Ok(None);
        }
        if text.last() != Some(&b'\n') {
            return Err(BackupError::damaged(at, "is cut, or too long"));
        }
        let line = serde_json::from_slice(&text).map_err(|_| BackupError::damaged(at, "is not a line of a backup"))?;
        self.tally.take(&text);
        Ok(Some(line))
    }

    fn is_at_end(&mut self) -> Result<bool, BackupError> {
        let at = self.at() + 1;
        let rest =
            self.file.fill_buf().map_err(|error| BackupError::damaged(at, format!("cannot be read ({error})")))?;
        Ok(rest.is_empty())
    }
}
