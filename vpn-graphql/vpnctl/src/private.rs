//! Files that hold secrets: for their owner alone, and never over one that exists.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use crate::{failure::Failure, output};

/// A new file with this in it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    create(path)?.write_all(bytes).map_err(Failure::file("writing", path))
}

fn create(path: &Path) -> Result<fs::File, Failure> {
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(Failure::file("making", path))
}

/// A file for something that is given once: it is made before that is asked for, so that it is not asked
/// for in vain.
pub(crate) struct Handed<'a> {
    file: fs::File,
    path: &'a Path,
}

impl<'a> Handed<'a> {
    pub(crate) fn open(path: &'a Path) -> Result<Self, Failure> {
        Ok(Self { file: create(path)?, path })
    }

    /// What was given; the file goes when nothing was, and why that was so is what is told.
    pub(crate) fn or_gone<T>(&self, given: Result<T, Failure>) -> Result<T, Failure> {
        if given.is_err()
            && let Err(error) = fs::remove_file(self.path)
        {
            output::note(&format!("{} stays, empty: {error}", self.path.display()));
        }
        given
    }

    /// Keeps it; `lost` says what to do when that fails.
    pub(crate) fn write(mut self, given: &str, lost: &str) -> Result<(), Failure> {
        let written = self.file.write_all(given.as_bytes()).and_then(|()| self.file.sync_all());
        written.map_err(Failure::file(lost, self.path))
    }
}
