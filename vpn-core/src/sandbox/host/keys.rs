//! Keys for SSH, made by `ssh-keygen`.

use std::fs;
use std::path::Path;

use crate::sandbox::error::SandboxError;
use crate::sandbox::files::read;
use crate::sandbox::janitor::Janitor;
use crate::sandbox::process::Launch;

/// Makes an Ed25519 key, unless an earlier run has left one, and gives its public line without comment.
pub(crate) async fn keep(janitor: &Janitor, path: &Path) -> Result<String, SandboxError> {
    if !path.exists() {
        make(janitor, path).await?;
    }
    public_line(path)
}

/// Replaces the key by a new one, and gives its public line.
pub(crate) async fn replace(janitor: &Janitor, path: &Path) -> Result<String, SandboxError> {
    for old in [path.to_owned(), path.with_extension("pub")] {
        fs::remove_file(&old).map_err(|source| SandboxError::io("removing", &old, source))?;
    }
    make(janitor, path).await?;
    public_line(path)
}

async fn make(janitor: &Janitor, path: &Path) -> Result<(), SandboxError> {
    let arguments = ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"];
    Launch::new("ssh-keygen")?.args(arguments).arg(path).run(janitor).await.map(drop)
}

/// `ssh-ed25519 AAAA…`: `known_hosts`, `authorized_keys` and the platform all take this form.
fn public_line(path: &Path) -> Result<String, SandboxError> {
    let text = read(&path.with_extension("pub"))?;
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}
