//! Taking a backup.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    BackupError, HeadMark, Header,
    format::{FORMAT, Line, Tally},
};
use crate::store::{Row, Snapshot, Store, Table};

/// A backup that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// What it says about itself.
    pub header: Header,
    /// Its lines.
    pub lines: u64,
    /// The checksum in its last line.
    pub sha256: String,
}

/// Takes a backup into a file of mode 0600. The file appears whole and safe on the disk, or not at all;
/// one that is there already is not overwritten.
pub async fn write_file(store: &Store, path: &Path) -> Result<Written, BackupError> {
    let fails = |act| move |source| BackupError::File { act, path: path.to_owned(), source };
    if path.exists() {
        return Err(fails("writing")(io::ErrorKind::AlreadyExists.into()));
    }
    let temporary = Temporary::create(path).map_err(fails("creating a file beside"))?;
    let mut out = BufWriter::new(&temporary.file);
    let written = write(store, &mut out).await?;
    out.flush().map_err(BackupError::Output)?;
    drop(out);
    temporary.publish(path).map_err(fails("writing"))?;
    Ok(written)
}

/// Takes a backup into this output.
pub async fn write(store: &Store, out: &mut (impl Write + Send)) -> Result<Written, BackupError> {
    let mut snapshot = store.snapshot().await?;
    let head = snapshot.head().await?;
    let header = Header {
        format: FORMAT,
        schema: snapshot.schema().await?,
        taken_at: snapshot.now().await?.to_string(),
        database: store.dialect().as_str().to_owned(),
        log: snapshot.origin().await?,
        head: HeadMark { seq: head.seq, hash: hex::encode(head.hash) },
        profile_keys: snapshot.profile_keys().await?,
    };
    let mut lines = Lines { out, tally: Tally::default() };
    lines.put(&Line::Header { backup: header.clone() })?;
    lines.table(&mut snapshot, Table::Settings).await?;
    lines.table(&mut snapshot, Table::Servers).await?;
    lines.clients(&mut snapshot, true).await?;
    lines.clients(&mut snapshot, false).await?;
    for table in [
        Table::Tokens,
        Table::Approvals,
        Table::IdempotencyKeys,
        Table::AuditValues,
        Table::AuditSeals,
        Table::AuditLog,
    ] {
        lines.table(&mut snapshot, table).await?;
    }
    let end = lines.tally.clone().end();
    lines.put(&Line::End { end: end.clone() })?;
    Ok(Written { header, lines: end.lines, sha256: end.sha256 })
}

struct Lines<'w, W> {
    out: &'w mut W,
    tally: Tally,
}

impl<W: Write + Send> Lines<'_, W> {
    fn put(&mut self, line: &Line) -> Result<(), BackupError> {
        let mut text = serde_json::to_vec(line).map_err(|error| BackupError::Output(error.into()))?;
        text.push(b'\n');
        self.tally.take(&text);
        self.out.write_all(&text).map_err(BackupError::Output)
    }

    fn row(&mut self, table: Table, row: &Row) -> Result<(), BackupError> {
        self.put(&Line::Row { table: table.name().to_owned(), row: row.as_map().clone() })
    }

    async fn table(&mut self, snapshot: &mut Snapshot, table: Table) -> Result<(), BackupError> {
        let mut last: Option<Row> = None;
        loop {
            let rows = snapshot.page(table, last.as_ref()).await?;
            for row in &rows {
                self.row(table, row)?;
            }
            last = rows.into_iter().next_back();
            if last.is_none() {
                return Ok(());
            }
        }
    }

    /// Each client is followed by its jobs and its profile.
    async fn clients(&mut self, snapshot: &mut Snapshot, revoked: bool) -> Result<(), BackupError> {
        let mut last: Option<Row> = None;
        loop {
            let clients = snapshot.clients(revoked, last.as_ref()).await?;
            let (jobs, profiles) = (snapshot.jobs(&clients).await?, snapshot.profiles(&clients).await?);
            for client in &clients {
                self.row(Table::Clients, client)?;
                for job in jobs.iter().filter(|job| job.belongs_to(client)) {
                    self.row(Table::Jobs, job)?;
                }
                for profile in profiles.iter().filter(|profile| profile.belongs_to(client)) {
                    self.row(Table::Profiles, profile)?;
                }
            }
            last = clients.into_iter().next_back();
            if last.is_none() {
                return Ok(());
            }
        }
    }
}

/// A file beside the one that is to be; removed unless it was published.
pub(crate) struct Temporary {
    pub(crate) file: File,
    path: PathBuf,
}

impl Temporary {
    pub(crate) fn create(beside: &Path) -> io::Result<Self> {
        let mut name = beside.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let path = PathBuf::from(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        // Unlike a rename, a link does not replace what somebody put there meanwhile.
        fs::hard_link(&self.path, path)?;
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        File::open(directory)?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _gone_or_left_to_the_owner = fs::remove_file(&self.path);
    }
}
