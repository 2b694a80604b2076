//! Directories and small files of a sandbox.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::SandboxError;
use super::janitor::Janitor;

/// A directory of its own below the system's temporary one, removed by the janitor.
///
/// Others may pass through it (0711), because PostgreSQL, MariaDB and OpenVPN give up root's rights;
/// what they may read is decided further down.
pub fn temporary_directory(janitor: &Janitor, purpose: &str) -> Result<PathBuf, SandboxError> {
    let parent = std::env::temp_dir();
    let parent = fs::canonicalize(&parent).map_err(|source| SandboxError::io("opening", &parent, source))?;
    let path = parent.join(format!("{purpose}-{}", random_hex(6)?));
    janitor.directory(&path)?;
    fs::create_dir(&path).map_err(|source| SandboxError::io("creating", &path, source))?;
    set_mode(&path, 0o711)?;
    Ok(path)
}

/// Makes the directory and its parents if need be. Its mode is set only when it is new.
pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<(), SandboxError> {
    if path.is_dir() {
        return Ok(());
    }
    let created = DirBuilder::new().recursive(true).mode(0o711).create(path);
    created.map_err(|source| SandboxError::io("creating", path, source))?;
    set_mode(path, mode)
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), SandboxError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|source| SandboxError::io("changing the mode of", path, source))
}

/// Writes a file as a whole: whoever reads it sees the old one or the new one.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), SandboxError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let written = (|| -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        // The mode given to `open` is reduced by the umask and ignored for a file that was there.
        file.set_permissions(Permissions::from_mode(mode))?;
        drop(file);
        fs::rename(&temporary, path)
    })();
    written.map_err(|source| SandboxError::io("writing", path, source))
}

pub(crate) fn read(path: &Path) -> Result<String, SandboxError> {
    fs::read_to_string(path).map_err(|source| SandboxError::io("reading", path, source))
}

/// A number that an earlier run has left in a file.
pub(crate) fn read_number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Locks a data directory. A sandbox that has just died may still be ending its processes, and its
/// janitor holds the lock until they are gone; so a few seconds are granted.
pub(crate) async fn lock_directory(directory: &Path) -> Result<File, SandboxError> {
    let path = directory.join("lock");
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| SandboxError::io("opening", &path, source))?;
    for _ in 0..100 {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(TryLockError::Error(source)) => return Err(SandboxError::io("locking", &path, source)),
        }
    }
    Err(SandboxError::InUse { directory: directory.to_owned() })
}

/// Whether a user without any rights on it can pass through the directory and all its parents.
pub(crate) fn passable(directory: &Path) -> bool {
    directory.ancestors().all(|it| it.metadata().is_ok_and(|it| it.permissions().mode() & 0o001 != 0))
}

/// Random bytes in hex, for names and passwords.
#[expect(clippy::disallowed_methods, reason = "a sandbox is not part of what tests repeat: two at once must differ")]
pub fn random_hex(bytes: usize) -> Result<String, SandboxError> {
    let mut buffer = vec![0_u8; bytes];
    getrandom::fill(&mut buffer).map_err(|error| SandboxError::Io {
        act: "reading random bytes".to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    Ok(hex::encode(buffer))
}
