//! VPN hosts: made known, confirmed, disabled, retired.

use serde::{Deserialize, Serialize};

use super::{
    Platform,
    mutation::{Done, Mutation},
};
use crate::{
    audit::{Action, Entry},
    domain::{Caller, HostKeyLine, Operation, Permission, Server, ServerAddress, ServerId, ServerName, ServerState},
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
        self.authorise(caller, Permission::ManageServers).await?;
        self.transact(|| self.try_pin(caller, server, fingerprint)).await
    }

    async fn try_pin(&self, caller: &Caller, server: &str, fingerprint: &str) -> Result<Server, Error> {
        let (mut tx, server) = self.locked_server(server).await?;
        let pinned = server.host_key.as_deref().and_then(|key| key.parse::<HostKeyLine>().ok());
        if pinned.is_some_and(|key| key.fingerprint() == fingerprint) {
            return Ok(server);
        }
        let contact = tx.contacts(&[server.id]).await?.pop();
        let shown = contact.and_then(|(_, contact)| contact.presented_key).ok_or_else(|| {
            Error::wrong_state("no worker has seen a host key there that is not pinned: see `contact` of the server")
        })?;
        let shown: HostKeyLine = shown.parse().map_err(|bad| Error::wrong_state(format!("{bad}")))?;
        if shown.fingerprint() != fingerprint {
            return Err(Error::invalid(
                "fingerprint",
                format!("the host shows {}: compare it on the host itself, and give exactly that", shown.fingerprint()),
            ));
        }
        let state = if server.state == ServerState::Unconfirmed { ServerState::Active } else { server.state };
        let entry = Entry::by(caller, Action::HostKeyPinned)
            .server(server.id)
            .with("fingerprint", fingerprint)
            .with("before", server.host_key.as_deref().unwrap_or("none"));
        self.change_server(tx, server, state, Some(shown.0), entry).await
    }

    /// Lets nobody in on a server any more. What was accepted before is done, and revocations always. Asked
    /// again, it changes nothing.
    pub async fn disable_server(&self, caller: &Caller, server: &str) -> Result<Server, Error> {
        self.authorise(caller, Permission::ManageServers).await?;
        self.transact(|| self.try_set(caller, server, ServerState::Disabled, Action::ServerDisabled)).await
    }

    /// Lets clients in again on a server that was disabled. Asked again, it changes nothing.
    pub async fn enable_server(&self, caller: &Caller, server: &str) -> Result<Server, Error> {
        self.authorise(caller, Permission::ManageServers).await?;
        self.transact(|| self.try_set(caller, server, ServerState::Active, Action::ServerEnabled)).await
    }

    /// Gives a server up for good, once all its clients are revoked: nothing is asked of it any more, and it
    /// keeps its name. Asked again, it changes nothing.
    pub async fn retire_server(&self, caller: &Caller, server: &str) -> Result<Server, Error> {
        self.authorise(caller, Permission::ManageServers).await?;
        self.transact(|| self.try_set(caller, server, ServerState::Retired, Action::ServerRetired)).await
    }

    async fn try_set(&self, caller: &Caller, id: &str, state: ServerState, action: Action) -> Result<Server, Error> {
        let (mut tx, server) = self.locked_server(id).await?;
        if server.state == state {
            return Ok(server);
        }
        match (server.state, state) {
            (ServerState::Retired, _) => return Err(Error::wrong_state("the server is retired, for good")),
            (ServerState::Unconfirmed, ServerState::Active | ServerState::Disabled) => {
                return Err(Error::wrong_state(
                    "nobody has confirmed its host key yet: call pinHostKey, or retireServer",
                ));
            }
            _ => {}
        }
        let clients = tx.living_clients(server.id).await?;
        if state == ServerState::Retired && clients > 0 {
            return Err(Error::wrong_state(format!("{clients} of its clients are not revoked: revoke them first")));
        }
        let entry = Entry::by(caller, action).server(server.id).with("before", server.state.as_str());
        let key = server.host_key.clone();
        self.change_server(tx, server, state, key, entry).await
    }

    async fn locked_server(&self, id: &str) -> Result<(Tx, Server), Error> {
        let id: ServerId = id.parse().map_err(|_| Error::not_found("serverId", "server"))?;
        let mut tx = self.store().begin().await?;
        let server = tx.lock_server(id).await?.ok_or_else(|| Error::not_found("serverId", "server"))?;
        Ok((tx, server))
    }

    async fn change_server(
        &self,
        mut tx: Tx,
        server: Server,
        state: ServerState,
        host_key: Option<String>,
        entry: Entry,
    ) -> Result<Server, Error> {
        tx.set_server(server.id, state, host_key.as_deref()).await?;
        self.commit(tx, entry, Vec::new()).await?;
        Ok(Server { host_key, state, ..server })
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
        let port = u16::try_from(self.port).map_err(|_| Error::invalid("port", "a port is from 1 to 65535"))?;
        let key = self.host_key.as_deref().map(str::parse::<HostKeyLine>).transpose();
        let key = key.map_err(|bad| Error::invalid("hostKey", format!("{bad}")))?;
        Ok(NewServer {
            id: ServerId::generate(platform.ambient()),
            name: self.name.parse::<ServerName>().map_err(|bad| Error::invalid("name", format!("{bad}")))?,
            address: ServerAddress::new(&self.host, port, &self.user)
                .map_err(|bad| Error::invalid(bad.field, bad.rule.to_string()))?,
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
        let remembered = Remembered { server_id: Some(server.id), ..Remembered::default() };
        Ok(Done::New { made: server, first, more: Vec::new(), remembered })
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Server, Error> {
        let gone = || Error::not_found("idempotencyKey", "server");
        tx.server(made.server_id.ok_or_else(gone)?).await?.ok_or_else(gone)
    }

    fn taken(new: &NewServer, _: StoreError) -> Error {
        Error::rejected(
            RejectionCode::NameTaken,
            Some("name"),
            format!("another server is called `{}`: choose another name", new.name),
        )
    }
}
