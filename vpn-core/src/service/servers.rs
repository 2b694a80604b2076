//! Making VPN hosts known.

use serde::Serialize;

use super::{Platform, once::Call};
use crate::{
    audit::{Action, Entry},
    domain::{Caller, HostKeyLine, Permission, Server, ServerAddress, ServerId, ServerName},
    error::{Error, RejectionCode},
    store::{NewServer, Remembered, StoreError},
};

/// A VPN host that is to be made known.
#[derive(Clone, Debug, Serialize)]
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
        self.authorise(caller, Permission::RegisterServer).await?;
        let new = self.check_server(caller, &input)?;
        let call = Call::new(caller, input.idempotency_key.as_deref(), "registerServer", &input)?;
        self.transact(|| self.try_register_server(caller, &new, &call)).await.map_err(|error| match error {
            Error::Store(StoreError::Duplicate(_)) => Error::rejected(
                RejectionCode::NameTaken,
                Some("name"),
                format!("another server is called `{}`: choose another name", new.name),
            ),
            other => other,
        })
    }

    fn check_server(&self, caller: &Caller, input: &RegisterServer) -> Result<NewServer, Error> {
        let port = u16::try_from(input.port).map_err(|_| Error::invalid("port", "a port is from 1 to 65535"))?;
        let key: HostKeyLine = input.host_key.parse().map_err(|bad| Error::invalid("hostKey", format!("{bad}")))?;
        Ok(NewServer {
            id: ServerId::generate(self.ambient()),
            name: input.name.parse::<ServerName>().map_err(|bad| Error::invalid("name", format!("{bad}")))?,
            address: ServerAddress::new(&input.host, port, &input.user)
                .map_err(|bad| Error::invalid(bad.field, bad.rule.to_string()))?,
            host_key: key.0,
            created_by: caller.principal.to_string(),
        })
    }

    async fn try_register_server(&self, caller: &Caller, new: &NewServer, call: &Call<'_>) -> Result<Server, Error> {
        let mut tx = self.store().begin().await?;
        if let Some(made) = call.repeated(&mut tx).await? {
            let id = made.server_id.ok_or_else(|| Error::not_found("idempotencyKey", "server"))?;
            return tx.server(id).await?.ok_or_else(|| Error::not_found("idempotencyKey", "server"));
        }
        let server = tx.insert_server(new.clone()).await?;
        call.remember(&mut tx, Remembered { server_id: Some(server.id), ..Remembered::default() }).await?;
        let entry = Entry::by(caller, Action::ServerRegistered)
            .server(server.id)
            .with("name", server.name.as_str())
            .with("address", server.address.to_string())
            .with("hostKey", server.host_key.as_str());
        self.commit(tx, entry, Vec::new()).await?;
        Ok(server)
    }
}
