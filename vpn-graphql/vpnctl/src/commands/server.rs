//! `server list | register | pin | move | drift | confirm | disable | enable | retire`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::{
    api::{self, Api},
    cli::Key,
    failure::Failure,
    input,
    operations::{
        ConfirmConfiguration, DisableServer, Drift, EnableServer, MoveServer, PinHostKey, RegisterServer, RetireServer,
        Servers, confirm_configuration, disable_server, drift, enable_server, move_server, pin_host_key,
        register_server, retire_server, servers,
    },
    output::{self, Column, Output},
};

const SERVER: &[Column] = &[
    ("ID", "/id"),
    ("NAME", "/name"),
    ("HOST", "/host"),
    ("PORT", "/port"),
    ("USER", "/user"),
    ("STATE", "/state"),
    ("REGISTERED BY", "/createdBy"),
    ("REGISTERED", "/createdAt"),
];

const DIFFERENCE: &[Column] =
    &[("KIND", "/kind"), ("SUBJECT", "/subject"), ("WHAT DIFFERS", "/message"), ("WHAT PUTS IT RIGHT", "/cure")];

#[derive(Debug, Subcommand)]
pub(crate) enum Server {
    /// List all VPN hosts, by name.
    List,
    /// Make a VPN host known. Without its host key, nothing is asked of it before the key is pinned.
    Register(Register),
    /// Confirm the host key that a VPN host shows. Compare it on the host first: the platform will talk to
    /// whoever has it.
    Pin {
        /// Its name or id.
        server: String,
        /// What `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the host itself: `SHA256:…`.
        #[arg(long)]
        fingerprint: String,
    },
    /// Reach a VPN host at another address. It has to show the same host key there.
    Move(Move),
    /// Show where a VPN host and the platform differ, the worst first, and what puts it right.
    Drift {
        /// Its name or id.
        server: String,
    },
    /// Confirm OpenVPN's configuration on a server. Look at it on the host first.
    Confirm {
        /// Its name or id.
        server: String,
        /// What `sha256sum server/openvpn.conf` prints there, in the host's state directory.
        #[arg(long)]
        sha256: String,
    },
    /// Let nobody in there for a while. Clients can still be revoked, and who is connected stays connected.
    Disable {
        /// Its name or id.
        server: String,
    },
    /// Let clients in again on a server that was disabled.
    Enable {
        /// Its name or id.
        server: String,
    },
    /// Give a server up for good, once all its clients are revoked.
    Retire {
        /// Its name or id.
        server: String,
    },
}

/// Runs a mutation that takes a server, and what else it has, and shows the server that it gives back.
macro_rules! change {
    ($api:expr, $output:expr, $server:expr, $operation:ident, $module:ident, $input:ident $(, $more:ident)*) => {{
        let input = $module::$input { server_id: input::server_id($api, &$server).await? $(, $more)* };
        let payload = $api.ask::<$operation>($module::Variables { input }).await?.$module;
        $output.list(&[api::taken(payload.server, &payload.approval, &payload.user_errors)?], SERVER)
    }};
}

/// What is not given stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Move {
    /// Its name or id.
    server: String,
    /// The DNS name or IP address of its SSH server.
    #[arg(long, required_unless_present_any = ["port", "user"])]
    host: Option<String>,
    /// The TCP port of its SSH server.
    #[arg(long)]
    port: Option<u16>,
    /// The account of the forced command.
    #[arg(long)]
    user: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Register {
    /// What people call it: 1 to 64 letters, digits, `-` or `_`.
    name: String,
    /// The DNS name or IP address of its SSH server.
    #[arg(long)]
    host: String,
    /// The TCP port of its SSH server, where it is not the usual one.
    #[arg(long)]
    port: Option<u16>,
    /// The account of the forced command, where `install.sh` was told another one than its own.
    #[arg(long)]
    user: Option<String>,
    /// The file with the host's public key, as `/etc/ssh/ssh_host_ed25519_key.pub` is on it.
    #[arg(long, value_name = "FILE")]
    host_key_file: Option<PathBuf>,
    #[command(flatten)]
    key: Key,
}

impl Server {
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List => output.list(&api.ask::<Servers>(servers::Variables).await?.servers, SERVER),
            Self::Register(register) => register.run(api, output).await,
            Self::Pin { server, fingerprint } => {
                change!(api, output, server, PinHostKey, pin_host_key, PinHostKeyInput, fingerprint)
            }
            Self::Move(Move { server, host, port, user }) => {
                let port = port.map(i64::from);
                change!(api, output, server, MoveServer, move_server, MoveServerInput, host, port, user)
            }
            Self::Drift { server } => differences(api, output, &server).await,
            Self::Confirm { server, sha256 } => change!(
                api,
                output,
                server,
                ConfirmConfiguration,
                confirm_configuration,
                ConfirmConfigurationInput,
                sha256
            ),
            Self::Disable { server } => {
                change!(api, output, server, DisableServer, disable_server, DisableServerInput)
            }
            Self::Enable { server } => change!(api, output, server, EnableServer, enable_server, EnableServerInput),
            Self::Retire { server } => change!(api, output, server, RetireServer, retire_server, RetireServerInput),
        }
    }
}

async fn differences(api: &Api, output: &Output, named: &str) -> Result<(), Failure> {
    let id = input::server_id(api, named).await?;
    let drift = match api.ask::<Drift>(drift::Variables { id }).await?.node {
        Some(drift::DriftNode::VpnServer(server)) => server.drift,
        _ => return Err(Failure::Refused(format!("there is no server `{named}`: see `vpnctl server list`"))),
    };
    let unseen = || Failure::Refused(format!("no worker has compared `{named}` yet: they begin within about a minute"));
    let drift = drift.ok_or_else(unseen)?;
    if output.is_json() {
        return output.one(&drift, &[]);
    }
    if let Some(error) = &drift.error {
        output::note(&format!("it could not be compared when that was last tried: {}: {}", error.code, error.message));
    }
    output.list(&drift.differences, DIFFERENCE)?;
    let (Some(total), Some(checked)) = (drift.total, &drift.checked_at) else {
        return Err(Failure::Refused(format!("where `{named}` and the platform differ is not known")));
    };
    output::note(&format!("differences: {total}, shown: {}; compared: {checked}", drift.differences.len()));
    Ok(())
}

impl Register {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let read = |file: PathBuf| std::fs::read_to_string(&file).map_err(Failure::file("reading", &file));
        let host_key = self.host_key_file.map(read).transpose()?.map(|key| key.trim().to_owned());
        let key = self.key.or_new()?;
        let input = register_server::RegisterServerInput {
            name: self.name,
            host: self.host,
            port: self.port.map(i64::from),
            user: self.user,
            host_key,
            idempotency_key: Some(key.clone()),
        };
        let variables = register_server::Variables { input };
        let payload = api.change::<RegisterServer>(&key, variables).await?.register_server;
        output.list(&[api::taken(payload.server, &payload.approval, &payload.user_errors)?], SERVER)
    }
}
