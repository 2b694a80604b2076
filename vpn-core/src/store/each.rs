//! The same part of many lists at once: the newest jobs of each client on a page, in one statement.

use std::{collections::HashMap, hash::Hash, ops::DerefMut, str::FromStr};

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Handle, KEYS_AT_ONCE, Page, PageRequest, StoreError, audit,
    page::{Bound, Conditions},
    row,
    row::Reading,
};
use crate::{
    audit::AuditEntry,
    domain::{Client, ClientId, Job, JobId, ServerId},
};

/// Lists that belong to somebody each.
struct Lists {
    columns: &'static str,
    table: &'static str,
    owner: &'static str,
    key: &'static str,
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// This page of each client's jobs.
    pub async fn jobs_of_clients(
        &mut self,
        ids: &[ClientId],
        page: &PageRequest<JobId>,
    ) -> Result<HashMap<ClientId, Page<Job>>, StoreError> {
        let lists = Lists { columns: row::JOB, table: "jobs", owner: "client_id", key: "id" };
        self.page_of_each(&lists, ids, page, row::job).await
    }

    /// This page of what the audit log has about each client.
    pub async fn audit_of_clients(
        &mut self,
        ids: &[ClientId],
        page: &PageRequest<i64>,
    ) -> Result<HashMap<ClientId, Page<AuditEntry>>, StoreError> {
        let lists = Lists { columns: audit::ENTRY, table: "audit_log", owner: "client_id", key: "seq" };
        let mut pages = self.page_of_each(&lists, ids, page, audit::entry).await?;
        let found = pages.values_mut().flat_map(|page| std::mem::take(&mut page.items)).collect();
        for entry in self.with_values(found).await? {
            let owner = entry.columns.client_id.as_deref().and_then(|id| id.parse().ok());
            if let Some(page) = owner.and_then(|owner: ClientId| pages.get_mut(&owner)) {
                page.items.push(entry);
            }
        }
        Ok(pages)
    }

    /// This page of each server's clients.
    pub async fn clients_of_servers(
        &mut self,
        ids: &[ServerId],
        page: &PageRequest<ClientId>,
    ) -> Result<HashMap<ServerId, Page<Client>>, StoreError> {
        let lists = Lists { columns: row::CLIENT, table: "clients", owner: "server_id", key: "id" };
        self.page_of_each(&lists, ids, page, row::client).await
    }

    /// Of every owner, so that nobody is missing whose list is empty.
    async fn page_of_each<O, K, T>(
        &mut self,
        lists: &Lists,
        owners: &[O],
        page: &PageRequest<K>,
        read: fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<HashMap<O, Page<T>>, StoreError>
    where
        O: Copy + Eq + Hash + ToString + FromStr<Err: std::fmt::Display>,
        K: Copy + Into<Bound>,
    {
        let mut found: HashMap<O, Vec<T>> = owners.iter().map(|owner| (*owner, Vec::new())).collect();
        let keys: Vec<String> = found.keys().map(ToString::to_string).collect();
        for some in keys.chunks(KEYS_AT_ONCE) {
            let mut conditions = Conditions::default();
            conditions.among(lists.owner, some);
            conditions.between(lists.key, page);
            let sql = self.dialect.sql(lists.select(&conditions, page));
            let rows = conditions.bind(sqlx::query(sql)).bind(page.limit()).fetch_all(self.conn()).await?;
            for row in &rows {
                let owner = Reading::of(row, lists.table).parsed(lists.owner)?;
                found.entry(owner).or_default().push(read(row)?);
            }
        }
        Ok(found.into_iter().map(|(owner, items)| (owner, Page::cut(items, page))).collect())
    }
}

impl Lists {
    /// Each row's place in its owner's list; then the first ones of each.
    fn select<K>(&self, conditions: &Conditions, page: &PageRequest<K>) -> String {
        let Self { columns, table, owner, key } = self;
        let (order, limit) = (page.order(key), conditions.next_place());
        format!(
            "SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER (PARTITION BY {owner} ORDER BY {order}) AS place \
             FROM {table}{}) AS ranked WHERE place <= ${limit} ORDER BY {order}",
            conditions.text()
        )
    }
}
