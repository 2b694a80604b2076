//! Clients. Writes that follow from work on a VPN host take a [`Fence`] and touch nothing when the
//! fence is no longer the newest.

use std::{
    collections::{HashMap, HashSet},
    ops::DerefMut,
};

use sqlx::AnyConnection;

use super::{
    Handle, KEYS_AT_ONCE, Page, PageRequest, StoreError, TimeRange, Tx,
    page::{Conditions, may_be_stored},
    row,
};
use crate::{
    clock::Timestamp,
    domain::{
        Certificate, Client, ClientId, ClientState, ClientStatus, CommonName, Elsewhere, Fence, FencingToken, Holder,
        Reason, Serial, ServerId,
    },
};

/// A client that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// Where it belongs.
    pub server_id: ServerId,
    /// Unique on its server among clients that are not revoked.
    pub name: CommonName,
    /// Its serial, for life.
    pub serial: Serial,
    /// By whom.
    pub created_by: String,
}

/// Which clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// With this status.
    pub status: Option<ClientStatus>,
    /// Of this server.
    pub server_id: Option<ServerId>,
    /// With exactly this name.
    pub name: Option<String>,
    /// Recorded when.
    pub created_at: TimeRange,
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The client with this id.
    pub async fn client(&mut self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.client_where_id(id, "").await
    }

    /// A page of clients, newest first.
    pub async fn clients(
        &mut self,
        filter: &ClientFilter,
        page: &PageRequest<ClientId>,
    ) -> Result<Page<Client>, StoreError> {
        if filter.name.as_deref().is_some_and(|name| !may_be_stored(name)) {
            return Ok(Page::empty());
        }
        let mut conditions = Conditions::default();
        conditions.add("status =", filter.status.map(|status| status.as_str().to_owned()));
        conditions.add("server_id =", filter.server_id.map(|id| id.to_string()));
        conditions.add("name =", filter.name.clone());
        conditions.within("created_at", filter.created_at);
        conditions.between("id", page);
        let sql = self.dialect.sql(conditions.select(row::CLIENT, "clients", &page.order("id")));
        let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
        Ok(Page::cut(rows.iter().map(row::client).collect::<Result<_, _>>()?, page))
    }

    /// The clients with these ids, in no order; unknown ids are left out.
    pub async fn clients_by_id(&mut self, ids: &[ClientId]) -> Result<Vec<Client>, StoreError> {
        let keys = ids.iter().map(ToString::to_string).collect();
        let rows = self.rows_by_key(row::CLIENT, "clients", "id", "", keys).await?;
        rows.iter().map(row::client).collect()
    }

    /// The clients of a server that have these names and are not revoked, in no order.
    pub async fn clients_by_name(&mut self, server: ServerId, names: &[CommonName]) -> Result<Vec<Client>, StoreError> {
        let mut rows = Vec::with_capacity(names.len());
        for some in names.chunks(KEYS_AT_ONCE) {
            let places: Vec<String> = (2..2 + some.len()).map(|at| format!("${at}")).collect();
            let sql = self.dialect.sql(format!(
                "SELECT {} FROM clients WHERE server_id = $1 AND name IN ({}) AND status <> 'revoked'",
                row::CLIENT,
                places.join(", ")
            ));
            let mut query = sqlx::query(sql).bind(server.to_string());
            for name in some {
                query = query.bind(name.to_string());
            }
            rows.extend(query.fetch_all(self.conn()).await?);
        }
        rows.iter().map(row::client).collect()
    }

    /// The clients that have one of these serials or ids.
    pub async fn holders(&mut self, certificates: &[(Serial, Option<ClientId>)]) -> Result<Vec<Holder>, StoreError> {
        let serials = certificates.iter().map(|(serial, _)| serial.to_string()).collect();
        let ids: Vec<ClientId> = certificates.iter().filter_map(|(_, id)| *id).collect();
        let rows = self.rows_by_key(row::CLIENT, "clients", "serial", "", serials).await?;
        let mut clients: HashMap<ClientId, Client> = HashMap::with_capacity(rows.len());
        for row in &rows {
            let client = row::client(row)?;
            clients.insert(client.id, client);
        }
        clients.extend(self.clients_by_id(&ids).await?.into_iter().map(|client| (client.id, client)));
        let servers: HashSet<ServerId> = clients.values().map(|client| client.server_id).collect();
        let servers = Vec::from_iter(servers);
        let names: HashMap<_, _> = self.servers_by_id(&servers).await?.into_iter().map(|it| (it.id, it.name)).collect();
        let cas: HashMap<_, _> =
            self.contacts(&servers).await?.into_iter().filter_map(|(id, it)| Some((id, it.facts?.ca_sha256))).collect();
        let holder = |client: Client| {
            let (server, ca_sha256) = (names.get(&client.server_id)?.clone(), cas.get(&client.server_id).cloned());
            Some(Holder { client, server, ca_sha256 })
        };
        Ok(clients.into_values().filter_map(holder).collect())
    }

    /// Those of them that may have their certificates on this server's host, though they are another server's.
    pub async fn elsewhere(&mut self, server: ServerId, holders: Vec<Holder>) -> Result<Elsewhere, StoreError> {
        let here = self.contact(server).await?.and_then(|contact| contact.facts);
        Ok(Elsewhere::than(server, here.as_ref().map(|facts| facts.ca_sha256.as_str()), holders))
    }

    async fn client_where_id(&mut self, id: ClientId, lock: &str) -> Result<Option<Client>, StoreError> {
        let sql = self.dialect.sql(format!("SELECT {} FROM clients WHERE id = $1{lock}", row::CLIENT));
        let found = sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?;
        found.as_ref().map(row::client).transpose()
    }
}

impl Tx {
    /// The client with this id; nobody else changes it until this transaction ends. Locks are taken
    /// in the order client, job, head of the audit log.
    pub async fn lock_client(&mut self, id: ClientId) -> Result<Option<Client>, StoreError> {
        let lock = self.dialect.for_update();
        self.client_where_id(id, lock).await
    }

    /// Stores a client, `pending`. [`StoreError::Duplicate`] when the name is taken.
    pub async fn insert_client(&mut self, new: NewClient) -> Result<Client, StoreError> {
        let sql = self.dialect.sql(
            "INSERT INTO clients (id, server_id, name, serial, status, fence, created_by, created_at) \
             VALUES ($1, $2, $3, $4, 'pending', 0, $5, $6)",
        );
        let at = self.at;
        sqlx::query(sql)
            .bind(new.id.to_string())
            .bind(new.server_id.to_string())
            .bind(new.name.as_str())
            .bind(new.serial.as_str())
            .bind(&new.created_by)
            .bind(at.micros())
            .execute(self.conn())
            .await?;
        Ok(Client {
            id: new.id,
            server_id: new.server_id,
            name: new.name,
            serial: new.serial,
            state: ClientState::Pending,
            revocation: None,
            fence: FencingToken::ZERO,
            created_by: new.created_by,
            created_at: at,
        })
    }

    /// From this instant nothing can activate the client.
    pub async fn request_revocation(&mut self, id: ClientId, reason: &Reason) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE clients SET revoke_requested_at = $1, revoke_reason = $2 \
             WHERE id = $3 AND revoke_requested_at IS NULL",
        );
        let query = sqlx::query(sql).bind(self.at.micros()).bind(reason.as_str()).bind(id.to_string());
        self.touches_one(query).await
    }

    /// Raises the client's fence to what its VPN host has seen. It cannot fall, so nobody has to hold the
    /// client's lock for this: whoever works under an older token is stopped by it.
    pub async fn raise_fence(&mut self, id: ClientId, seen: FencingToken) -> Result<(), StoreError> {
        let sql =
            self.dialect.sql("UPDATE clients SET fence = $1 WHERE id = $2 AND fence < $3 AND status <> 'revoked'");
        let token = seen.get();
        self.touches_one(sqlx::query(sql).bind(token).bind(id.to_string()).bind(token)).await
    }

    /// Raises the client's fence to a strictly newer token; a provision only while nobody asked for
    /// the client's end.
    pub(crate) async fn adopt_client(
        &mut self,
        id: ClientId,
        fence: &Fence,
        provision: bool,
    ) -> Result<(), StoreError> {
        let guard = if provision { " AND status = 'pending' AND revoke_requested_at IS NULL" } else { "" };
        let sql = self
            .dialect
            .sql(format!("UPDATE clients SET fence = $1 WHERE id = $2 AND fence < $3 AND status <> 'revoked'{guard}"));
        let token = fence.token().get();
        self.touches_one(sqlx::query(sql).bind(token).bind(id.to_string()).bind(token)).await
    }

    /// `pending → active`.
    pub async fn activate_client(
        &mut self,
        id: ClientId,
        certificate: &Certificate,
        fence: &Fence,
    ) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE clients SET status = 'active', activated_at = $1, cert_sha256 = $2, cert_not_before_at = $3, \
             cert_not_after_at = $4 WHERE id = $5 AND fence = $6 AND status = 'pending' AND revoke_requested_at IS NULL",
        );
        let query = sqlx::query(sql)
            .bind(self.at.micros())
            .bind(certificate.sha256_fingerprint.clone())
            .bind(certificate.not_before.micros())
            .bind(certificate.not_after.micros())
            .bind(id.to_string())
            .bind(fence.token().get());
        self.touches_one(query).await
    }

    /// `pending → revoked` or `active → revoked`.
    pub async fn mark_client_revoked(&mut self, id: ClientId, fence: &Fence) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE clients SET status = 'revoked', revoked_at = $1 \
             WHERE id = $2 AND fence = $3 AND status <> 'revoked' AND revoke_requested_at IS NOT NULL",
        );
        let query = sqlx::query(sql).bind(self.at.micros()).bind(id.to_string()).bind(fence.token().get());
        self.touches_one(query).await
    }

    /// `pending → revoked`, for a client that its VPN host had revoked at that time, before the database knew it. The host
    /// has it for good, so nobody has to hold the client's lock for this.
    pub async fn record_revocation(&mut self, id: ClientId, reason: &Reason, at: Timestamp) -> Result<(), StoreError> {
        let sql = self.dialect.sql(
            "UPDATE clients SET status = 'revoked', revoke_requested_at = $1, revoke_reason = $2, revoked_at = $3 \
             WHERE id = $4 AND status = 'pending' AND revoke_requested_at IS NULL",
        );
        let query =
            sqlx::query(sql).bind(at.micros()).bind(reason.as_str().to_owned()).bind(at.micros()).bind(id.to_string());
        self.touches_one(query).await
    }

    /// Runs a guarded write: exactly one row, or somebody else took over.
    pub(super) async fn touches_one(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments>,
    ) -> Result<(), StoreError> {
        match query.execute(self.conn()).await?.rows_affected() {
            1 => Ok(()),
            _ => Err(StoreError::Fenced),
        }
    }
}
