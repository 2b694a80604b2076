//! Recording clients.

use serde::{Deserialize, Serialize};

use super::{
    Platform,
    mutation::{Done, Mutation, about},
};
use crate::{
    audit::{Action, Entry},
    domain::{Caller, Client, ClientId, CommonName, Operation, Serial, ServerId},
    error::{Error, RejectionCode},
    store::{NewClient, Remembered, StoreError, Tx},
};

/// A client that is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
        self.run(caller, &input).await
    }
}

impl Mutation for CreateClient {
    const OPERATION: Operation = Operation::CreateClient;
    type Checked = (CommonName, ServerId);
    type Made = Client;

    fn key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    fn check(&self, _: &Platform, _: &Caller) -> Result<Self::Checked, Error> {
        let name = self.name.parse().map_err(|bad| Error::invalid("name", format!("{bad}")))?;
        let server_id = self.server_id.parse().map_err(|_| Error::not_found("serverId", "server"))?;
        Ok((name, server_id))
    }

    async fn perform(
        platform: &Platform,
        tx: &mut Tx,
        caller: &Caller,
        (name, server_id): &Self::Checked,
    ) -> Result<Done<Client>, Error> {
        let server = tx.lock_server(*server_id).await?.ok_or_else(|| Error::not_found("serverId", "server"))?;
        server.admits().map_err(Error::wrong_state)?;
        let new = NewClient {
            id: ClientId::generate(platform.ambient()),
            server_id: *server_id,
            name: name.clone(),
            serial: Serial::generate(platform.ambient()),
            created_by: caller.principal.to_string(),
        };
        let client = tx.insert_client(new).await?;
        let first = Entry::by(caller, Action::ClientCreated)
            .server(*server_id)
            .client_as_is(&client)
            .with("name", client.name.as_str())
            .with("serial", client.serial.as_str());
        let remembered = about(client.id);
        Ok(Done::New { made: client, first, more: Vec::new(), remembered })
    }

    async fn again(tx: &mut Tx, made: &Remembered) -> Result<Client, Error> {
        let gone = || Error::not_found("idempotencyKey", "client");
        tx.client(made.client_id.ok_or_else(gone)?).await?.ok_or_else(gone)
    }

    fn taken((name, _): &Self::Checked, _: StoreError) -> Error {
        Error::rejected(
            RejectionCode::NameTaken,
            Some("name"),
            format!(
                "another client of this server is called `{name}` and is not revoked: choose another name, or revoke that client"
            ),
        )
    }
}
