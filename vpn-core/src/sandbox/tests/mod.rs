//! The sandbox against itself: what it promises, on the real programs.

mod janitor;
mod lifetime;
mod services;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{SandboxError, VpnHost, random_hex};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Waits until it is true; fails after a minute.
async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if check() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("this did not come true: {what}");
}

/// Whether a process is there and not merely dead and uncollected.
fn alive(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Processes with this text in one of their arguments.
fn processes_with(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(text)).collect()
}

/// The request that issues a certificate for a new client.
struct Issue {
    client: String,
    serial: String,
}

impl Issue {
    fn new() -> Result<Self, SandboxError> {
        let serial = format!("4{}", &random_hex(16)?.to_uppercase()[1..]);
        Ok(Self { client: random_hex(16)?, serial })
    }

    fn request(&self) -> String {
        let Self { client, serial } = self;
        let body = format!(
            "vpn-host 1\nverb=issue\nclient=cli_{client}\njob=job_{client}\nfence=1\nattempt={client}\nname=alice\n\
             serial={serial}\ndays=30\n"
        );
        format!("{body}end={}\n", body.len())
    }
}

/// Sends a request through OpenSSH's own client and gives the reply.
fn ask(host: &VpnHost, host_key: &str, request: &str) -> Result<String, String> {
    let known_hosts = host.private_key_path().with_file_name("known_hosts");
    fs::write(&known_hosts, format!("[127.0.0.1]:{} {host_key}\n", host.port)).unwrap();
    let option = |name: &str, value: &Path| format!("-o{name}={}", value.display());
    let mut ssh = Command::new("ssh")
        .args(["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-p", &host.port.to_string()])
        .arg(option("IdentityFile", &host.private_key_path()))
        .arg(option("UserKnownHostsFile", &known_hosts))
        .arg(format!("{}@{}", host.user, host.address))
        .arg("vpn-host-v1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may refuse before it reads.
    let _ = ssh.stdin.take().unwrap().write_all(request.as_bytes());
    let output = ssh.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The profile in a reply.
fn profile(reply: &str) -> &str {
    let (_, payload) = reply.split_once("\npayload=").unwrap();
    let (length, rest) = payload.split_once('\n').unwrap();
    &rest[..length.parse::<usize>().unwrap()]
}
