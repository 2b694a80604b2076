//! Host keys: valid, mismatch or unknown. There is no way to accept a key unseen.

use russh::keys::{HashAlg, PublicKey, ssh_key};

/// What a presented host key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyVerdict {
    /// The pinned one.
    Valid,
    /// Another than the pinned one.
    Mismatch {
        /// SHA-256 fingerprint of the pinned key.
        pinned: String,
        /// SHA-256 fingerprint of the presented key.
        presented: String,
        /// That key, as `known_hosts` has it.
        key: Option<String>,
    },
    /// None is pinned, or what is pinned is no key.
    Unknown {
        /// SHA-256 fingerprint of the presented key.
        presented: String,
        /// That key, as `known_hosts` has it.
        key: Option<String>,
    },
}

/// Compares a presented key with the pinned line (`ssh-ed25519 AAAA…`).
#[must_use]
pub fn judge(pinned: &str, presented: &PublicKey) -> HostKeyVerdict {
    let shown = presented.fingerprint(HashAlg::Sha256).to_string();
    let key = presented.to_openssh().ok().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    match PublicKey::from_openssh(pinned) {
        Ok(known) if known.key_data() == presented.key_data() => HostKeyVerdict::Valid,
        Ok(known) => {
            HostKeyVerdict::Mismatch { pinned: known.fingerprint(HashAlg::Sha256).to_string(), presented: shown, key }
        }
        Err(_) => HostKeyVerdict::Unknown { presented: shown, key },
    }
}

/// The SHA-256 fingerprint of a key line, as `ssh-keygen -l` prints it.
pub fn fingerprint(line: &str) -> Result<String, ssh_key::Error> {
    Ok(PublicKey::from_openssh(line)?.fingerprint(HashAlg::Sha256).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn key(line: &str) -> PublicKey {
        PublicKey::from_openssh(line).expect("a key")
    }

    #[test]
    fn a_host_key_has_three_outcomes() {
        assert_eq!(judge(ONE, &key(ONE)), HostKeyVerdict::Valid);
        assert!(matches!(judge(ONE, &key(TWO)), HostKeyVerdict::Mismatch { .. }));
        assert!(matches!(judge("", &key(ONE)), HostKeyVerdict::Unknown { .. }));
    }
}
