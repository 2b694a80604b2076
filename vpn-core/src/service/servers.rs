//! VPN hosts: made known, confirmed, disabled, retired.

use serde::{Deserialize, Serialize};

use super::{
    Platform,
    mutation::{Done, Mutation},
};
use crate::{
    audit::{Action, Entry},
    domain::{
        Caller, HostKeyLine, NO_CONFIGURATION, Operation, Server, ServerAddress, ServerId, ServerName, ServerState,
    },
    error::{Error, RejectionCode},
    store::{NewServer, Remembered, StoreError, Tx},
};

/// A VPN host that is to be made known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegisterServer {
    /// What people call it; unique.
    pub name: String,
    /// A DNS name or an IP address.
    pub host: String,
    /// Where its SSH server listens; 22 is usual.
    pub port: i32,
    /// The account of the forced command; `vpn-host` is usual.
    pub user: String,
    /// The host's public key, `ssh-ed25519 AAAA…`, if whoever registers has compared it. Without one the
    /// server is `unconfirmed` until [`Platform::pin_host_key`].
    pub host_key: Option<String>,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A VPN host that is reached at another address. What is not given stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MoveServer {
    /// Which server.
    pub server_id: String,
    /// A DNS name or an IP address.
    pub host: Option<String>,
    /// Where its SSH server listens.
    pub port: Option<i32>,
    /// The account of the forced command.
    pub user: Option<String>,
}

impl Platform {
    /// Makes a VPN host known. Without a host key, workers look which one it shows, and nothing is asked of it
    /// until somebody has confirmed that one.
    pub async fn register_server(&self, caller: &Caller, input: RegisterServer) -> Result<Server, Error> {
        self.run(caller, &input).await
    }

    /// Pins the host key that the host shows, if it has this fingerprint (`SHA256:…`, as
    /// `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the host). Confirms a server that was
    /// registered without a key, and one that was reinstalled. Asked again, it changes nothing.
    pub async fn pin_host_key(&self, caller: &Caller, server: &str, fingerprint: &str) -> Result<Server, Error> {
        let input = PinHostKey { server_id: server.to_owned(), fingerprint: fingerprint.to_owned() };
        self.run(caller, &input).await
    }

    /// Reaches a VPN host at another address from now on. It has to show the same host key there: another machine is
    /// not spoken to before its key is pinned. Asked again, it changes nothing.
    pub async fn move_server(&self, caller: &Caller, input: MoveServer) -> Result<Server, Error> {
        self.run(caller, &input).await
    }

    /// Confirms the configuration that OpenVPN had when the server was last compared, if it has this SHA-256: 64
    /// hexadecimal digits, as `sha256sum` prints them on the host. Asked again, it changes nothing.
    pub async fn confirm_configuration(&self, caller: &Caller, server: &str, sha256: &str) -> Result<Server, Error> {
        let input = ConfirmConfiguration { server_id: server.to_owned(), sha256: sha256.to_owned() };
        self.run(caller, &input).await
    }

    /// Lets nobody in on a server any more. What was accepted before is done, and revocations always. Asked
    /// again, it changes nothing.
    pub async fn disable_server(&self, caller: &Caller, server: &str) -> Result<Server, Error> {
        self.run(caller, &DisableServer { server_id: server.to_owned() }).await
    }

    /// Lets clients in again on a server that was disabled. Asked again, it changes nothing.
    pub async fn enable_server(&self, caller: &Caller, server: &str) -> Result<Server, Error> {
        self.run(caller, &EnableServer { server_id: server.to_owned() }).await
    }

    /// Gives a server up for good, once all its clients are revoked: nothing is asked of it any more, and it
    /// keeps its name. Asked again, it changes nothing.
    pub async fn retire_server(&self, caller: &Caller, server: &str) -> Result<Server, Error> {
        self.run(caller, &RetireServer { server_id: server.to_owned() }).await
    }
}

fn port(given: i32) -> Result<u16, Error> {
    u16::try_from(given).map_err(|_| Error::invalid("port", "a port is from 1 to 65535"))
}

fn address(host: &str, port: u16, user: &str) -> Result<ServerAddress, Error> {
    ServerAddress::new(host, port, user).map_err(|bad| Error::invalid(bad.field, bad.rule.to_string()))
}

fn id(text: &str) -> Result<ServerId, Error> {
    text.parse().map_err(|_| Error::not_found("serverId", "server"))
}

async fn locked(tx: &mut Tx, id: ServerId) -> Result<Server, Error> {
    tx.lock_server(id).await?.ok_or_else(|| Error::not_found("serverId", "server"))
}

async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
    let gone = || Error::not_found("idempotencyKey", "server");
    tx.server(made.server_id.ok_or_else(gone)?).await?.ok_or_else(gone)
}

/// The server that something is about.
fn about(server: &Server) -> Remembered {
    Remembered { server_id: Some(server.id), ..Remembered::default() }
}

/// It is so already.
fn unchanged(server: Server) -> Done<Server> {
    Done::Before { remembered: about(&server), made: server }
}

async fn changed(tx: &mut Tx, server: Server, first: Entry) -> Result<Done<Server>, Error> {
    tx.set_server(server.id, server.state, server.host_key.as_deref()).await?;
    Ok(Done::New { remembered: about(&server), made: server, first, more: Vec::new() })
}

/// A host key that somebody has compared.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PinHostKey {
    server_id: String,
    fingerprint: String,
}

impl Mutation for PinHostKey {
    const OPERATION: Operation = Operation::PinHostKey;
    type Checked = (ServerId, String);
    type Made = Server;

    fn key(&self) -> Option<&str> {
        None
    }

    fn check(&self, _: &Platform, _: &Caller) -> Result<Self::Checked, Error> {
        Ok((id(&self.server_id)?, self.fingerprint.clone()))
    }

    async fn perform(
        _: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        (id, fingerprint): &Self::Checked,
    ) -> Result<Done<Server>, Error> {
        let server = locked(tx, *id).await?;
        let pinned = server.host_key.as_deref().and_then(|key| key.parse::<HostKeyLine>().ok());
        if pinned.is_some_and(|key| key.fingerprint() == *fingerprint) {
            return Ok(unchanged(server));
        }
        server.is_in_use().map_err(Error::wrong_state)?;
        let contact = tx.contacts(&[server.id]).await?.pop();
        let shown = contact.and_then(|(_, contact)| contact.presented_key).ok_or_else(|| {
            Error::wrong_state("no worker has seen a host key there that is not pinned: see `contact` of the server")
        })?;
        let shown: HostKeyLine = shown.parse().map_err(|bad| Error::wrong_state(format!("{bad}")))?;
        if shown.fingerprint() != *fingerprint {
            return Err(Error::invalid(
                "fingerprint",
                format!("the host shows {}: compare it on the host itself, and give exactly that", shown.fingerprint()),
            ));
        }
        let entry = Entry::by(caller, Action::HostKeyPinned)
            .server(server.id)
            .with("fingerprint", fingerprint.as_str())
            .with("before", server.host_key.as_deref().unwrap_or("none"));
        let state = if server.state == ServerState::Unconfirmed { ServerState::Active } else { server.state };
        changed(tx, Server { host_key: Some(shown.0), state, ..server }, entry).await
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
        again(tx, made).await
    }
}

impl Mutation for MoveServer {
    const OPERATION: Operation = Operation::MoveServer;
    type Checked = (ServerId, Self, Option<u16>);
    type Made = Server;

    fn key(&self) -> Option<&str> {
        None
    }

    fn check(&self, _: &Platform, _: &Caller) -> Result<Self::Checked, Error> {
        Ok((id(&self.server_id)?, self.clone(), self.port.map(port).transpose()?))
    }

    async fn perform(
        _: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        (id, given, port): &Self::Checked,
    ) -> Result<Done<Server>, Error> {
        let server = locked(tx, *id).await?;
        let before = &server.address;
        let host = given.host.as_deref().unwrap_or(before.host());
        let user = given.user.as_deref().unwrap_or(before.user());
        let address = address(host, port.unwrap_or(before.port()), user)?;
        if address == *before {
            return Ok(unchanged(server));
        }
        server.is_in_use().map_err(Error::wrong_state)?;
        tx.move_server(*id, &address).await?;
        let entry = Entry::by(caller, Action::ServerMoved).server(*id);
        let first = entry.with("address", address.to_string()).with("before", before.to_string());
        let made = Server { address, ..server };
        Ok(Done::New { remembered: about(&made), made, first, more: Vec::new() })
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
        again(tx, made).await
    }
}

/// A configuration that somebody has looked at.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ConfirmConfiguration {
    server_id: String,
    sha256: String,
}

impl Mutation for ConfirmConfiguration {
    const OPERATION: Operation = Operation::ConfirmConfiguration;
    type Checked = (ServerId, String);
    type Made = Server;

    fn key(&self) -> Option<&str> {
        None
    }

    fn check(&self, _: &Platform, _: &Caller) -> Result<Self::Checked, Error> {
        Ok((id(&self.server_id)?, self.sha256.clone()))
    }

    async fn perform(
        _: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        (id, sha256): &Self::Checked,
    ) -> Result<Done<Server>, Error> {
        let server = locked(tx, *id).await?;
        server.is_in_use().map_err(Error::wrong_state)?;
        let drift = tx.drifts(&[*id]).await?.pop().map(|(_, drift)| drift);
        let Some((report, confirmed)) = drift.and_then(|drift| Some((drift.report?, drift.confirmed))) else {
            return Err(Error::wrong_state("nobody has compared this server yet: see `drift` of the server"));
        };
        if report.configuration == NO_CONFIGURATION || report.configuration != *sha256 {
            return Err(Error::invalid(
                "sha256",
                format!("the configuration there is {}: look at it, and give exactly that", report.configuration),
            ));
        }
        if confirmed.as_ref() == Some(sha256) {
            return Ok(unchanged(server));
        }
        tx.confirm_configuration(*id, sha256).await?;
        let entry = Entry::by(caller, Action::ConfigurationConfirmed).server(*id);
        let first = entry.with("sha256", sha256.as_str()).with("before", confirmed.as_deref().unwrap_or("none"));
        Ok(Done::New { remembered: about(&server), made: server, first, more: Vec::new() })
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
        again(tx, made).await
    }
}

/// A mutation that brings a server into another state.
macro_rules! brings {
    ($input:ident, $state:ident, $action:ident) => {
        #[derive(Debug, Serialize, Deserialize)]
        pub(super) struct $input {
            server_id: String,
        }

        impl Mutation for $input {
            const OPERATION: Operation = Operation::$input;
            type Checked = ServerId;
            type Made = Server;

            fn key(&self) -> Option<&str> {
                None
            }

            fn check(&self, _: &Platform, _: &Caller) -> Result<ServerId, Error> {
                id(&self.server_id)
            }

            async fn perform(_: &Platform, tx: &mut Tx, caller: &Caller, id: &ServerId) -> Result<Done<Server>, Error> {
                bring(tx, caller, *id, ServerState::$state, Action::$action).await
            }

            async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
                again(tx, made).await
            }
        }
    };
}

brings!(DisableServer, Disabled, ServerDisabled);
brings!(EnableServer, Active, ServerEnabled);
brings!(RetireServer, Retired, ServerRetired);

async fn bring(
    tx: &mut Tx,
    caller: &Caller,
    id: ServerId,
    state: ServerState,
    action: Action,
) -> Result<Done<Server>, Error> {
    let server = locked(tx, id).await?;
    if server.state == state {
        return Ok(unchanged(server));
    }
    server.may_become(state).map_err(Error::wrong_state)?;
    if state == ServerState::Retired {
        no_clients(tx, id).await?;
        // Nobody looks again, so nothing would be written over it.
        tx.forget_observations(id).await?;
    }
    let entry = Entry::by(caller, action).server(id).with("before", server.state.as_str());
    changed(tx, Server { state, ..server }, entry).await
}

async fn no_clients(tx: &mut Tx, id: ServerId) -> Result<(), Error> {
    match tx.living_clients(id).await? {
        0 => Ok(()),
        clients => Err(Error::wrong_state(format!("{clients} of its clients are not revoked: revoke them first"))),
    }
}

impl Mutation for RegisterServer {
    const OPERATION: Operation = Operation::RegisterServer;
    type Checked = NewServer;
    type Made = Server;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn check(&self, platform: &Platform, caller: &Caller) -> Result<NewServer, Error> {
        let key = self.host_key.as_deref().map(str::parse::<HostKeyLine>).transpose();
        let key = key.map_err(|bad| Error::invalid("hostKey", format!("{bad}")))?;
        Ok(NewServer {
            id: ServerId::generate(platform.ambient()),
            name: self.name.parse::<ServerName>().map_err(|bad| Error::invalid("name", format!("{bad}")))?,
            address: address(&self.host, port(self.port)?, &self.user)?,
            host_key: key.map(|key| key.0),
            created_by: caller.principal.to_string(),
        })
    }

    async fn perform(_: &Platform, tx: &mut Tx, caller: &Caller, new: &NewServer) -> Result<Done<Server>, Error> {
        let server = tx.insert_server(new.clone()).await?;
        let first = Entry::by(caller, Action::ServerRegistered)
            .server(server.id)
            .with("name", server.name.as_str())
            .with("address", server.address.to_string())
            .with("hostKey", server.host_key.as_deref().unwrap_or("none yet"));
        Ok(Done::New { remembered: about(&server), made: server, first, more: Vec::new() })
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
        again(tx, made).await
    }

    fn taken(new: &NewServer, _: StoreError) -> Error {
        Error::rejected(
            RejectionCode::NameTaken,
            Some("name"),
            format!("another server is called `{}`: choose another name", new.name),
        )
    }
}
