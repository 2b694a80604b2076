//! Facts about this database itself.

use std::ops::DerefMut;

use sqlx::AnyConnection;

use super::{Handle, Store, StoreError, Tx, row::Reading};

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// The setting with this name.
    pub(crate) async fn setting(&mut self, name: &'static str) -> Result<Option<String>, StoreError> {
        let sql = self.dialect.sql("SELECT value FROM settings WHERE name = $1");
        let found = sqlx::query(sql).bind(name).fetch_optional(self.conn()).await?;
        found.map(|row| Reading::of(&row, "settings").text("value")).transpose()
    }
}

impl Store {
    /// The name of this platform to its VPN hosts: 32 hexadecimal digits, the same after a restore.
    pub async fn platform_id(&self) -> Result<String, StoreError> {
        let origin = self.read().await?.audit_origin().await?;
        Ok(origin.rsplit('/').next().unwrap_or(&origin).to_owned())
    }
}

impl Tx {
    /// Writes a setting that was not there.
    pub(crate) async fn insert_setting(&mut self, name: &'static str, value: &str) -> Result<(), StoreError> {
        let sql = self.dialect.sql("INSERT INTO settings (name, value) VALUES ($1, $2)");
        sqlx::query(sql).bind(name).bind(value.to_owned()).execute(self.conn()).await?;
        Ok(())
    }
}
