//! VPN hosts.

use std::ops::DerefMut;

use sqlx::AnyConnection;

use super::{Handle, StoreError, Tx, row};
use crate::domain::{Server, ServerAddress, ServerId, ServerName, ServerState};

/// A VPN host that is about to be stored.
#[derive(Clone, Debug)]
pub struct NewServer {
    /// Its id.
    pub id: ServerId,
    /// Unique.
    pub name: ServerName,
    /// Where it answers.
    pub address: ServerAddress,
    /// The pinned host key; without one, the server is `unconfirmed`.
    pub host_key: Option<String>,
    /// By whom.
    pub created_by: String,
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The server with this id.
    pub async fn server(&mut self, id: ServerId) -> Result<Option<Server>, StoreError> {
        let sql = self.dialect.sql(format!("SELECT {} FROM servers WHERE id = $1", row::SERVER));
        let found = sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?;
        found.as_ref().map(row::server).transpose()
    }

    /// The servers with these ids, in no order; unknown ids are left out.
    pub async fn servers_by_id(&mut self, ids: &[ServerId]) -> Result<Vec<Server>, StoreError> {
        let keys = ids.iter().map(ToString::to_string).collect();
        let rows = self.rows_by_key(row::SERVER, "servers", "id", "", keys).await?;
        rows.iter().map(row::server).collect()
    }

    /// Whether no other server is in use.
    pub async fn is_only_server(&mut self, id: ServerId) -> Result<bool, StoreError> {
        let sql = self.dialect.sql("SELECT id FROM servers WHERE id <> $1 AND state <> 'retired' LIMIT 1");
        Ok(sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?.is_none())
    }

    /// All servers, by name.
    pub async fn servers(&mut self) -> Result<Vec<Server>, StoreError> {
        let sql = self.dialect.sql(format!("SELECT {} FROM servers ORDER BY name", row::SERVER));
        let rows = sqlx::query(sql).fetch_all(self.conn()).await?;
        rows.iter().map(row::server).collect()
    }
}

impl Tx {
    /// Stores a server. [`StoreError::Duplicate`] when the name is taken.
    pub async fn insert_server(&mut self, new: NewServer) -> Result<Server, StoreError> {
        let server = Server {
            id: new.id,
            name: new.name,
            address: new.address,
            state: if new.host_key.is_some() { ServerState::Active } else { ServerState::Unconfirmed },
            host_key: new.host_key,
            created_by: new.created_by,
            created_at: self.at,
        };
        let sql = self
            .dialect
            .sql(format!("INSERT INTO servers ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", row::SERVER));
        sqlx::query(sql)
            .bind(server.id.to_string())
            .bind(server.name.to_string())
            .bind(server.address.host())
            .bind(i32::from(server.address.port()))
            .bind(server.address.user())
            .bind(server.host_key.clone().unwrap_or_default())
            .bind(server.state.as_str())
            .bind(&server.created_by)
            .bind(server.created_at.micros())
            .execute(self.conn())
            .await?;
        Ok(server)
    }

    /// The server with this id; nobody else changes it, or adds a client to it, until this transaction
    /// ends. Taken before any client's lock.
    pub async fn lock_server(&mut self, id: ServerId) -> Result<Option<Server>, StoreError> {
        let lock = self.dialect.for_update();
        let sql = self.dialect.sql(format!("SELECT {} FROM servers WHERE id = $1{lock}", row::SERVER));
        let found = sqlx::query(sql).bind(id.to_string()).fetch_optional(self.conn()).await?;
        found.as_ref().map(row::server).transpose()
    }

    /// Whether the server is not retired. It stays so until this transaction ends.
    pub async fn is_in_use(&mut self, id: ServerId) -> Result<bool, StoreError> {
        Ok(self.lock_server(id).await?.is_some_and(|server| server.is_in_use().is_ok()))
    }

    /// Changes what may be done on a server, and its pinned host key. The database refuses what is no
    /// transition, and to retire a server that has clients.
    pub async fn set_server(&mut self, id: ServerId, state: ServerState, key: Option<&str>) -> Result<(), StoreError> {
        let sql = self.dialect.sql("UPDATE servers SET state = $1, host_key = $2 WHERE id = $3");
        sqlx::query(sql)
            .bind(state.as_str())
            .bind(key.unwrap_or_default().to_owned())
            .bind(id.to_string())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Changes where a server answers.
    pub async fn move_server(&mut self, id: ServerId, address: &ServerAddress) -> Result<(), StoreError> {
        let sql = self.dialect.sql("UPDATE servers SET host = $1, port = $2, ssh_user = $3 WHERE id = $4");
        sqlx::query(sql)
            .bind(address.host().to_owned())
            .bind(i32::from(address.port()))
            .bind(address.user().to_owned())
            .bind(id.to_string())
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// How many clients of a server are not revoked.
    pub async fn living_clients(&mut self, id: ServerId) -> Result<i64, StoreError> {
        let sql = self.dialect.sql("SELECT COUNT(*) FROM clients WHERE server_id = $1 AND status <> 'revoked'");
        Ok(sqlx::query_scalar(sql).bind(id.to_string()).fetch_one(self.conn()).await?)
    }
}
