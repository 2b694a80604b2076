//! The scripts of the VPN host, carried in the binary, so that the sandbox works wherever it is run.

use std::path::{Path, PathBuf};

use crate::sandbox::error::SandboxError;
use crate::sandbox::files::{make_directory, write};
use crate::sandbox::janitor::Janitor;

macro_rules! script {
    ($path:literal) => {
        ($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../vpn-scripts/libexec/", $path)))
    };
}

/// Every file below `vpn-scripts/libexec`; a test compares.
const SCRIPTS: &[(&str, &str)] = &[
    script!("adopt"),
    script!("crl"),
    script!("gate"),
    script!("lib/adopt.sh"),
    script!("lib/ccd.sh"),
    script!("lib/crl.sh"),
    script!("lib/fence.sh"),
    script!("lib/inspect.sh"),
    script!("lib/inventory.sh"),
    script!("lib/ipv4.sh"),
    script!("lib/issue.sh"),
    script!("lib/owner.sh"),
    script!("lib/reply.sh"),
    script!("lib/request.sh"),
    script!("lib/revoke.sh"),
    script!("lib/sessions.sh"),
    script!("lib/state.sh"),
    script!("lib/time.pl"),
    script!("lib/tls_crypt.sh"),
    script!("lib/word.pl"),
    script!("sessions"),
    script!("setup"),
    script!("tls-crypt-v2-verify"),
    script!("vpn-host"),
];

/// Writes the scripts below `directory` and gives where they are. Running ones keep the file they have.
pub(crate) fn install(janitor: &Janitor, directory: &Path) -> Result<PathBuf, SandboxError> {
    let home = directory.join("libexec");
    make_directory(&home.join("lib"), 0o755)?;
    for (name, text) in SCRIPTS {
        let mode = if name.starts_with("lib/") { 0o644 } else { 0o755 };
        write(&home.join(name), text.as_bytes(), mode)?;
    }
    // sshd may be gone while a script that it started still works.
    janitor.scripts(&home)?;
    Ok(home)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::SCRIPTS;

    #[test]
    fn every_script_is_carried() {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vpn-scripts/libexec");
        let mut found = BTreeSet::new();
        for prefix in ["", "lib/"] {
            for entry in fs::read_dir(home.join(prefix)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    found.insert(format!("{prefix}{}", entry.file_name().to_string_lossy()));
                }
            }
        }
        let carried: BTreeSet<String> = SCRIPTS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(carried, found);
    }
}
