//! Recording clients.

use serde::Serialize;

use super::{Platform, once::Call};
use crate::{
    audit::{Action, Entry},
    domain::{Caller, Client, ClientId, CommonName, Permission, Serial, ServerId},
    error::{Error, RejectionCode},
    store::{NewClient, Remembered, StoreError},
};

/// A client that is asked for.
#[derive(Clone, Debug, Serialize)]
pub struct CreateClient {
    /// The certificate's common name; see [`CommonName`].
    pub name: String,
    /// On which server.
    pub server_id: String,
    /// A repeat with the same key gives the first answer again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl Platform {
    /// Records a client, `pending`. Nothing happens on the VPN host yet.
    pub async fn create_client(&self, caller: &Caller, input: CreateClient) -> Result<Client, Error> {
        self.authorise(caller, Permission::CreateClient).await?;
        let name: CommonName = input.name.parse().map_err(|bad| Error::invalid("name", format!("{bad}")))?;
        let server_id: ServerId = input.server_id.parse().map_err(|_| Error::not_found("serverId", "server"))?;
        let call = Call::new(caller, input.idempotency_key.as_deref(), "createClient", &input)?;
        self.transact(|| self.try_create_client(caller, &name, server_id, &call)).await.map_err(|error| match error {
            Error::Store(StoreError::Duplicate(_)) => Error::rejected(
                RejectionCode::NameTaken,
                Some("name"),
                format!("another client of this server is called `{name}` and is not revoked: choose another name, or revoke that client"),
            ),
            other => other,
        })
    }

    async fn try_create_client(
        &self,
        caller: &Caller,
        name: &CommonName,
        server_id: ServerId,
        call: &Call<'_>,
    ) -> Result<Client, Error> {
        let mut tx = self.store().begin().await?;
        if let Some(made) = call.repeated(&mut tx).await? {
            let id = made.client_id.ok_or_else(|| Error::not_found("idempotencyKey", "client"))?;
            return tx.client(id).await?.ok_or_else(|| Error::not_found("idempotencyKey", "client"));
        }
        let server = tx.lock_server(server_id).await?.ok_or_else(|| Error::not_found("serverId", "server"))?;
        server.admits().map_err(Error::wrong_state)?;
        let new = NewClient {
            id: ClientId::generate(self.ambient()),
            server_id,
            name: name.clone(),
            serial: Serial::generate(self.ambient()),
            created_by: caller.principal.to_string(),
        };
        let client = tx.insert_client(new).await?;
        call.remember(&mut tx, Remembered { client_id: Some(client.id), ..Remembered::default() }).await?;
        let entry = Entry::by(caller, Action::ClientCreated)
            .server(server_id)
            .client_as_is(&client)
            .with("name", client.name.as_str())
            .with("serial", client.serial.as_str());
        self.commit(tx, entry, Vec::new()).await?;
        Ok(client)
    }
}
