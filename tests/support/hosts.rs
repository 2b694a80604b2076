//! VPN hosts of the sandbox, as the platform sees them.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use secrecy::SecretString;
use tokio::sync::OnceCell;
use vpn_core::{
    clock::{Ambient, Timestamp},
    domain::{
        Client, ClientId, ClientState, Fence, FencingToken, JobId, ProvisionInput, Serial, Server, ServerAddress,
        ServerId, ServerState,
    },
    host::{Hosts, Order, SshOptions, SshTransport},
    lock::LockPolicy,
    sandbox::{Options, Sandbox, VpnHost, random_hex},
};

use crate::redis;

/// The host that tests share which leave it as it is.
pub async fn shared() -> Result<&'static VpnHost> {
    static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();
    Ok(SANDBOX.get_or_try_init(private).await?.host()?)
}

/// A host with an OpenVPN server, for tests that share it and leave it as it is.
pub async fn with_server() -> Result<&'static VpnHost> {
    static SANDBOX: OnceCell<Sandbox> = OnceCell::const_new();
    let start = || async {
        let sandbox = Sandbox::start(Options { host: true, tunnel: true, ..Options::default() }).await?;
        sandbox.host()?.tunnel().map_err(|missing| anyhow::anyhow!("no OpenVPN server: {missing}"))?;
        lets_everybody_in(sandbox.host()?)?;
        anyhow::Ok(sandbox)
    };
    Ok(SANDBOX.get_or_try_init(start).await?.host()?)
}

/// A sandbox with nothing but a host, for tests that break it. It lets every platform in.
pub async fn private() -> Result<Sandbox> {
    let sandbox = Sandbox::start(Options { host: true, ..Options::default() }).await?;
    lets_everybody_in(sandbox.host()?)?;
    Ok(sandbox)
}

/// Each test is a platform of its own, and they share hosts.
fn lets_everybody_in(host: &VpnHost) -> Result<()> {
    Ok(fs::write(host.state.join("etc/owner"), "any\n")?)
}

/// The host as a registered server.
pub fn server(host: &VpnHost) -> Result<Server> {
    server_at(host, host.port)
}

/// The host as a server behind another port.
pub fn server_at(host: &VpnHost, port: u16) -> Result<Server> {
    Ok(Server {
        id: ServerId::generate(&Ambient::system()),
        name: "vpn-1".parse()?,
        address: ServerAddress::new(&host.address, port, &host.user)?,
        host_key: Some(host.host_key.clone()),
        state: ServerState::Active,
        created_by: "alice".to_owned(),
        created_at: Timestamp::from_seconds(0),
    })
}

/// How the platform logs in to the host.
#[must_use]
pub fn options(host: &VpnHost) -> SshOptions {
    SshOptions {
        connect_timeout: Duration::from_secs(10),
        ..SshOptions::new(SecretString::from(host.private_key.clone()))
    }
}

/// Over real SSH.
pub fn transport(options: SshOptions) -> Result<Arc<SshTransport>> {
    Ok(Arc::new(SshTransport::new(options)?))
}

/// The hosts over real SSH, with the key of this one.
pub fn hosts(host: &VpnHost) -> Result<Hosts> {
    Ok(Hosts::over(transport(options(host))?))
}

/// What a provision asks for.
#[must_use]
pub const fn input() -> ProvisionInput {
    ProvisionInput::for_days(30)
}

/// Somebody to work for: a client, a job, and a fence from a real lock.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The client, which is in no database.
    pub client: Client,
    /// The job.
    pub job: JobId,
    /// The fence.
    pub fence: Fence,
}

impl Errand {
    /// For a new client.
    pub async fn new() -> Result<Self> {
        let ambient = Ambient::system();
        let id = ClientId::generate(&ambient);
        let client = Client {
            id,
            server_id: ServerId::generate(&ambient),
            name: format!("laptop-{}", random_hex(6)?).parse()?,
            serial: Serial::generate(&ambient),
            state: ClientState::Pending,
            revocation: None,
            fence: FencingToken::ZERO,
            created_by: "alice".to_owned(),
            created_at: Timestamp::from_seconds(0),
        };
        Ok(Self { client, job: JobId::generate(&ambient), fence: fence(id, FencingToken::ZERO).await? })
    }

    /// The same errand under a newer fence, as after a lost lock.
    pub async fn again(&self) -> Result<Self> {
        Ok(Self { fence: fence(self.client.id, self.fence.token()).await?, ..self.clone() })
    }

    /// The order to this server.
    #[must_use]
    pub const fn at<'a>(&'a self, server: &'a Server) -> Order<'a> {
        Order { server, client: &self.client, job: self.job, fence: &self.fence }
    }
}

async fn fence(client: ClientId, floor: FencingToken) -> Result<Fence> {
    let locks = redis::locks(&redis::shared_url().await?, LockPolicy::default())?;
    let granted = locks.with(&Client::resource(client), floor, async |lease| lease.fence().clone()).await;
    granted.context("a fence")
}

/// Every file of a host's state directory, with its content: what a request changed, if anything. What goes while
/// this looks, as other requests come to their ends, is not there.
pub fn state(host: &VpnHost) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    collect(&host.state, &mut files)?;
    Ok(files)
}

fn collect(directory: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.is_file() {
            let content = match fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                content => content?,
            };
            files.insert(path.display().to_string(), content);
        }
    }
    Ok(())
}

/// How often somebody logged in to the host.
pub fn logins(host: &VpnHost) -> Result<usize> {
    Ok(fs::read_to_string(host.sshd_log_path())?.matches("Accepted publickey").count())
}

/// How many of the host's scripts run just now.
pub fn running_scripts(host: &VpnHost) -> Result<usize> {
    let state = host.state.to_string_lossy();
    let commands = fs::read_dir("/proc")?.flatten().filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let ours = commands.filter(|command| {
        let command = String::from_utf8_lossy(command);
        command.contains("/gate\0") && command.split('\0').any(|argument| argument == state)
    });
    Ok(ours.count())
}
