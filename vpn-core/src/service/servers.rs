//! Making VPN hosts known.

use serde::{Deserialize, Serialize};

use super::{
    Platform,
    mutation::{Done, Mutation},
};
use crate::{
    audit::{Action, Entry},
    domain::{Caller, HostKeyLine, Operation, Server, ServerAddress, ServerId, ServerName},
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
    /// The host's public key, `ssh-ed25519 AAAA…`. Whoever registers has compared it.
    pub host_key: String,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl Platform {
    /// Makes a VPN host known, with its pinned host key. Nothing is connected.
    pub async fn register_server(&self, caller: &Caller, input: RegisterServer) -> Result<Server, Error> {
        self.run(caller, &input).await
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
        let key: HostKeyLine = self.host_key.parse().map_err(|bad| Error::invalid("hostKey", format!("{bad}")))?;
        Ok(NewServer {
            id: ServerId::generate(platform.ambient()),
            name: self.name.parse::<ServerName>().map_err(|bad| Error::invalid("name", format!("{bad}")))?,
            address: ServerAddress::new(&self.host, port, &self.user)
                .map_err(|bad| Error::invalid(bad.field, bad.rule.to_string()))?,
            host_key: key.0,
            created_by: caller.principal.to_string(),
        })
    }

    async fn perform(_: &Platform, tx: &mut Tx, caller: &Caller, new: &NewServer) -> Result<Done<Server>, Error> {
        let server = tx.insert_server(new.clone()).await?;
        let first = Entry::by(caller, Action::ServerRegistered)
            .server(server.id)
            .with("name", server.name.as_str())
            .with("address", server.address.to_string())
            .with("hostKey", server.host_key.as_str());
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
