//! Where the programs are that the sandbox runs, and which Debian package brings them.

use std::env;
use std::path::{Path, PathBuf};

use super::error::SandboxError;

/// Ordinary users do not have these in their `PATH`.
const SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The absolute path of a program.
pub fn find(program: &str) -> Result<PathBuf, SandboxError> {
    let path = path();
    let missing = || SandboxError::MissingProgram { program: program.to_owned(), package: package(program) };
    env::split_paths(&path).map(|directory| directory.join(program)).find(|file| executable(file)).ok_or_else(missing)
}

/// The only environment that the sandbox's processes get: no locale, no credentials, no
/// `NOTIFY_SOCKET` of whoever runs the owner.
pub(crate) fn environment() -> [(&'static str, String); 2] {
    [("PATH", path()), ("LC_ALL", "C".to_owned())]
}

fn path() -> String {
    match env::var("PATH") {
        Ok(own) if !own.is_empty() => format!("{own}:{SYSTEM}"),
        _ => SYSTEM.to_owned(),
    }
}

fn executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.is_absolute() && file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn package(program: &str) -> &'static str {
    match program {
        "sshd" => "openssh-server",
        "ssh" | "ssh-keygen" => "openssh-client",
        "redis-server" => "redis-server",
        "openssl" => "openssl",
        "openvpn" => "openvpn",
        "ip" => "iproute2",
        "ping" => "iputils-ping",
        "setpriv" | "flock" => "util-linux",
        "mariadbd" | "mariadb-install-db" => "mariadb-server-core",
        "initdb" | "postgres" => "postgresql",
        "sh" => "dash",
        _ => "coreutils",
    }
}
