//! An sshd of our own on loopback.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::sandbox::error::SandboxError;
use crate::sandbox::files::{make_directory, read_number, write};
use crate::sandbox::janitor::Janitor;
use crate::sandbox::ports::lasting_port;
use crate::sandbox::process::{Launch, PATIENCE, Process};

/// Where sshd, started by root, shuts in the part of it that talks to strangers. Debian's service
/// makes it at boot; here there may be no service.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// The sshd of one VPN host. Its directory holds keys, configuration, log and the port.
#[derive(Debug)]
pub(crate) struct Sshd {
    pub(crate) port: u16,
    directory: PathBuf,
    janitor: Janitor,
    process: Mutex<Option<Process>>,
}

impl Sshd {
    /// Starts sshd: on the port of the last run if it is free, because registered servers name it.
    pub(crate) async fn start(janitor: &Janitor, directory: &Path, user: &str) -> Result<Self, SandboxError> {
        if rustix::process::geteuid().is_root() {
            make_directory(Path::new(PRIVILEGE_SEPARATION), 0o755)?;
        }
        let stored = directory.join("port");
        let mut preferred: Option<u16> = read_number(&stored);
        for _ in 0..5 {
            let port = match preferred.take() {
                Some(port) => port,
                None => lasting_port()?,
            };
            let sshd =
                Self { port, directory: directory.to_owned(), janitor: janitor.clone(), process: Mutex::new(None) };
            sshd.configure(user).await?;
            match sshd.run().await {
                Ok(()) => {
                    write(&stored, format!("{port}\n").as_bytes(), 0o600)?;
                    return Ok(sshd);
                }
                Err(SandboxError::Ended { log, .. }) if log.contains("Address already in use") => {}
                Err(other) => return Err(other),
            }
        }
        Err(SandboxError::NoPort { service: "sshd".to_owned() })
    }

    /// Starts it, unless it runs, on its port, and returns once it greets.
    pub(crate) async fn run(&self) -> Result<(), SandboxError> {
        let mut slot = self.process.lock().await;
        if slot.as_ref().is_some_and(|process| process.exit_status().is_none()) {
            return Ok(());
        }
        let launch = Launch::new("sshd")?.args(["-D", "-e", "-f"]).arg(self.configuration());
        let (process, log) = launch.spawn(&self.janitor, &self.directory.join("sshd.log"))?;
        // The log proves that it is ours, the greeting that it serves.
        let listening = format!("Server listening on 127.0.0.1 port {}", self.port);
        log.wait_for(&listening, &process, PATIENCE).await?;
        self.greeting().await?;
        *slot = Some(process);
        Ok(())
    }

    /// Ends it together with its connections. Scripts that are under way go on to their end, as they
    /// would on a host whose network is cut.
    pub(crate) async fn stop(&self) {
        if let Some(process) = self.process.lock().await.take() {
            let connections = connections(process.id());
            process.stop().await;
            end(&connections);
        }
    }

    /// Ends its connections only.
    pub(crate) async fn cut(&self) {
        if let Some(process) = self.process.lock().await.as_ref() {
            end(&connections(process.id()));
        }
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("sshd_config")
    }

    async fn configure(&self, user: &str) -> Result<(), SandboxError> {
        let directory = self.directory.display();
        // Without PAM sshd refuses an account that is locked with `!`, and that is what root is on a
        // machine that is used through sudo. With PAM it is let in by its key.
        let pam = if locked(user) { "yes" } else { "no" };
        // A shell that is told it has a home of its own reads nothing that whoever runs this has in theirs: bash does
        // when sshd starts it, and may do much there.
        let text = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {directory}/host_key\nPidFile {directory}/sshd.pid\n\
             AuthorizedKeysFile {directory}/authorized_keys\nStrictModes no\nUsePAM {pam}\nUseDNS no\n\
             AllowUsers {user}\nPermitRootLogin forced-commands-only\nAuthenticationMethods publickey\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitTTY no\nPermitUserRC no\n\
             DisableForwarding yes\nPrintMotd no\nPrintLastLog no\nMaxSessions 64\nMaxStartups 100\n\
             LoginGraceTime 30\nLogLevel VERBOSE\nSetEnv HOME={directory}\n",
            port = self.port,
        );
        let file = self.configuration();
        // From 9.8 on sshd locks out an address for a while after failed logins; ours all come from one.
        let forgiving = format!("{text}PerSourcePenalties no\n");
        write(&file, forgiving.as_bytes(), 0o600)?;
        let check = || -> Result<Launch, SandboxError> { Ok(Launch::new("sshd")?.args(["-t", "-f"]).arg(&file)) };
        if check()?.run(&self.janitor).await.is_err() {
            write(&file, text.as_bytes(), 0o600)?;
            check()?.run(&self.janitor).await?;
        }
        Ok(())
    }

    async fn greeting(&self) -> Result<(), SandboxError> {
        let read = async {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
            let mut greeting = String::new();
            stream.take(8).read_to_string(&mut greeting).await?;
            std::io::Result::Ok(greeting)
        };
        match tokio::time::timeout(PATIENCE, read).await {
            Ok(Ok(text)) if text == "SSH-2.0-" => Ok(()),
            other => Err(SandboxError::NotReady {
                service: "sshd".to_owned(),
                waited: PATIENCE,
                log: format!("instead of a greeting: {other:?}"),
            }),
        }
    }
}

/// Whether the password field of `/etc/shadow` begins with `!`. Only root can know.
fn locked(user: &str) -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let mut fields = shadow.lines().filter_map(|line| line.split_once(':'));
    fields.any(|(name, rest)| name == user && rest.starts_with('!'))
}

/// The processes that serve the connections of this listener: its children, and their children where
/// sshd has given up root's rights in between. `sshd`, or `sshd-session` from 9.8 on.
fn connections(listener: u32) -> Vec<Pid> {
    let mut found = vec![listener];
    let mut next = 0;
    while let Some(id) = found.get(next).copied() {
        next += 1;
        let path = format!("/proc/{id}/task/{id}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        let ours = children.split_whitespace().filter_map(|child| child.parse().ok()).filter(|child: &u32| {
            fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.starts_with("sshd"))
        });
        found.extend(ours);
    }
    found.into_iter().skip(1).filter_map(|id| Pid::from_raw(i32::try_from(id).ok()?)).collect()
}

fn end(connections: &[Pid]) {
    for id in connections {
        let _ = kill_process(*id, Signal::KILL);
    }
}
