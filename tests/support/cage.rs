//! A VPN host in namespaces of its own: what happens there to its disk, its clock and its programs
//! happens to nobody else, and all of its processes can be ended at once, as a power cut does.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;
use vpn_core::sandbox::{Launch, Process, Sandbox, VpnHost, find_program};

/// Runs as the first process of the host. $1 is the state directory, $2 its size if it is to be a small
/// disk of its own, $3 sshd, $4 its configuration.
const BOOT: &str = r#"set -eu
if [ -n "$2" ]; then
    mkdir -p "$1.kept"
    cp -a "$1/." "$1.kept/"
    mount -t tmpfs -o "size=$2,mode=711" tmpfs "$1"
    cp -a "$1.kept/." "$1/"
fi
"$3" -D -e -f "$4" &
wait
"#;

/// The host.
#[derive(Debug)]
pub struct Cage<'s> {
    sandbox: &'s Sandbox,
    disk: Option<&'static str>,
    running: Option<Process>,
}

impl<'s> Cage<'s> {
    /// Puts the sandbox's host into it; with a disk of this size (`600k`) for its state, if one is given.
    pub async fn around(sandbox: &'s Sandbox, disk: Option<&'static str>) -> Result<Self> {
        sandbox.host()?.stop_sshd().await;
        let running = Some(boot(sandbox, disk).await?);
        Ok(Self { sandbox, disk, running })
    }

    fn host(&self) -> Result<&'s VpnHost> {
        Ok(self.sandbox.host()?)
    }

    /// Ends every process of the host at once, and starts it again.
    pub async fn reboot(&mut self) -> Result<()> {
        if let Some(running) = self.running.take() {
            running.kill().await;
        }
        let address = (self.host()?.address.as_str(), self.host()?.port);
        crate::eventually("the host is off", async || Ok(TcpStream::connect(address).await.is_err())).await?;
        self.running = Some(boot(self.sandbox, self.disk).await?);
        Ok(())
    }

    /// Runs a shell script there, in the state directory; gives what it prints.
    pub async fn run(&self, script: &str) -> Result<String> {
        let id = self.running.as_ref().context("the host is off")?.id();
        let first = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let script = format!("cd '{}' && {script}", self.host()?.state.display());
        let enter = Launch::new("nsenter")?.args(["--mount", "--pid", "--target", first.trim(), "sh", "-euc", &script]);
        enter.run(self.sandbox.janitor()).await.with_context(|| script)
    }

    /// Puts a shell script in the place of a program. It finds the program itself at `$real`.
    pub async fn replace(&self, program: &str, script: &str) -> Result<()> {
        let (path, directory) = (find_program(program)?, self.sandbox.directory().join("shims"));
        fs::create_dir_all(&directory)?;
        let (real, shim) = (directory.join(format!("real-{program}")), directory.join(program));
        fs::copy(&path, &real)?;
        fs::write(&shim, format!("#!/bin/sh\nreal={}\n{script}\n", real.display()))?;
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755))?;
        self.run(&format!("mount --bind '{}' '{}'", shim.display(), path.display())).await?;
        Ok(())
    }

    /// Puts the program back.
    pub async fn put_back(&self, program: &str) -> Result<()> {
        self.run(&format!("umount '{}'", find_program(program)?.display())).await?;
        Ok(())
    }

    /// A file that replaced programs may write, outside of the state directory.
    #[must_use]
    pub fn note(&self, name: &str) -> PathBuf {
        self.sandbox.directory().join(name)
    }

    /// Whether the CRL in force there verifies and has this serial.
    pub async fn has_revoked(&self, serial: &str) -> Result<bool> {
        let text = self.run("openssl crl -in pub/crl.pem -CAfile ca/ca.crt -noout -text 2>&1").await?;
        Ok(text.contains("verify OK") && text.contains(&format!("Serial Number: {serial}")))
    }

    /// What the host finds wrong with itself, if anything.
    pub async fn complaint(&self) -> Result<Option<String>> {
        let scripts = self.host()?.scripts.join("vpn-host");
        let ask = format!("printf 'vpn-host 1\\nverb=check\\nend=22\\n' | '{}' \"$PWD\" || :", scripts.display());
        let answer = self.run(&ask).await?;
        Ok(answer.lines().find_map(|line| line.strip_prefix("error=")).map(str::to_owned))
    }
}

async fn boot(sandbox: &Sandbox, disk: Option<&'static str>) -> Result<Process> {
    let host = sandbox.host()?;
    let keys = host.sshd_log_path().parent().map(Path::to_owned).context("sshd's directory")?;
    let (process, log) = Launch::new("unshare")?
        .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"])
        .args(["sh", "-c", BOOT, "boot"])
        .arg(&host.state)
        .arg(disk.unwrap_or_default())
        .arg(find_program("sshd")?)
        .arg(keys.join("sshd_config"))
        .named("the host")
        .spawn(sandbox.janitor(), &keys.join("sshd.log"))?;
    let listening = format!("Server listening on 127.0.0.1 port {}", host.port);
    log.wait_for(&listening, &process, crate::PATIENCE).await?;
    Ok(process)
}
