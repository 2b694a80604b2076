//! Handing out connection profiles, once.

use secrecy::SecretString;

use super::Platform;
use crate::{
    audit::{Action, Entry},
    domain::{Caller, Client, ClientId, ClientStatus, Permission},
    error::{Error, RejectionCode},
    store::{StoreError, Tx},
};

/// A profile that was handed out. The platform no longer has it.
#[derive(Debug)]
pub struct Delivered {
    /// Whose.
    pub client: Client,
    /// The OpenVPN profile, everything inline.
    pub profile: SecretString,
    /// Whether the private key is in it; after a CSR it is not, its owner has it.
    pub has_key: bool,
}

impl Platform {
    /// Hands the profile out, once. The entry in the audit log is committed before the caller gets it:
    /// a reply that is lost on its way is a profile that is lost, never one that was handed out twice.
    pub async fn deliver_profile(&self, caller: &Caller, client_id: &str) -> Result<Delivered, Error> {
        self.authorise(caller, Permission::DeliverProfile).await?;
        let id: ClientId = client_id.parse().map_err(|_| Error::not_found("clientId", "client"))?;
        self.transact(|| self.try_deliver(caller, id)).await
    }

    async fn try_deliver(&self, caller: &Caller, id: ClientId) -> Result<Delivered, Error> {
        let mut tx = self.store().begin().await?;
        let client = tx.lock_client(id).await?.ok_or_else(|| Error::not_found("clientId", "client"))?;
        let entry = Entry::by(caller, Action::ProfileDelivered);
        self.deliver(tx, client, caller.principal.as_str(), entry).await
    }

    /// The end of every delivery: the client is locked, and `to` is on record as whoever gets it.
    pub(super) async fn deliver(&self, mut tx: Tx, client: Client, to: &str, entry: Entry) -> Result<Delivered, Error> {
        let (sealed, has_key) = Self::waiting_profile(&mut tx, &client).await?;
        let profile = self.deps.vault.open(&sealed, &client)?;
        match tx.deliver_profile(client.id, to).await {
            Err(StoreError::Fenced) => return Err(gone()),
            other => other?,
        }
        let entry = entry.server(client.server_id).client_as_is(&client).with("privateKey", has_key);
        self.commit(tx, entry, Vec::new()).await?;
        Ok(Delivered { client, profile, has_key })
    }

    /// The sealed profile that waits for its delivery, and whether the private key is in it.
    pub(super) async fn waiting_profile(tx: &mut Tx, client: &Client) -> Result<(Vec<u8>, bool), Error> {
        let stored = tx.profile(client.id).await?;
        let has_key = stored.as_ref().is_some_and(|stored| stored.has_key);
        match (client.status(), stored.and_then(|stored| stored.sealed)) {
            (ClientStatus::Pending, _) => {
                Err(Error::wrong_state("there is no profile yet: provision the client and wait until it is active"))
            }
            (_, None) => Err(gone()),
            (_, Some(sealed)) => Ok((sealed, has_key)),
        }
    }
}

pub(super) fn gone() -> Error {
    Error::rejected(
        RejectionCode::ProfileGone,
        Some("clientId"),
        "the profile was handed out or destroyed and is no longer here: who needs another one needs a new client",
    )
}
