//! When certificates of clients end. The hosts' own ends are in `contacts`.

use std::ops::DerefMut;

use sqlx::{AnyConnection, any::AnyRow};

use super::{Handle, StoreError, row::Reading};
use crate::{
    clock::Timestamp,
    domain::{ClientEnds, EndingSoon, Perishable, ServerId},
};

/// Certificates that still count: nobody has asked for the client's end, and they have not ended at `$n`.
fn living(n: usize) -> String {
    format!("status = 'active' AND revoke_requested_at IS NULL AND cert_not_after_at > ${n}")
}

/// Whether a certificate ends soon at the time that is bound by [`bind`]: what [`Expiry::stage`] says.
///
/// [`Expiry::stage`]: crate::domain::Expiry::stage
fn soon(n: usize) -> String {
    let last = n + 1;
    format!("cert_not_after_at < ${n} AND 3 * (cert_not_after_at - ${last}) < cert_not_after_at - cert_not_before_at")
}

type Query = sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments>;

fn bind(query: Query, at: Timestamp) -> Query {
    query.bind(at.plus(Perishable::ClientCertificate.notice()).micros()).bind(at.micros())
}

fn ending_soon(row: &AnyRow) -> Result<Option<EndingSoon>, StoreError> {
    let read = Reading::of(row, "clients");
    let count = u32::try_from(read.int("soon")?).unwrap_or(u32::MAX);
    Ok(read.time_opt("first_soon")?.map(|first| EndingSoon { count, first }))
}

impl<C: DerefMut<Target = AnyConnection> + Send> Handle<C> {
    /// When certificates of clients end, by server. Servers without any are left out.
    pub async fn client_ends(&mut self, now: Timestamp) -> Result<Vec<(ServerId, ClientEnds)>, StoreError> {
        let sql = self.dialect.sql(format!(
            "SELECT server_id, MIN(ends_at) AS first, COUNT(soon_at) AS soon, MIN(soon_at) AS first_soon FROM \
             (SELECT server_id, cert_not_after_at AS ends_at, CASE WHEN {} THEN cert_not_after_at END AS soon_at \
             FROM clients WHERE {}) ends GROUP BY server_id",
            soon(1),
            living(3)
        ));
        let rows = bind(sqlx::query(sql), now).bind(now.micros()).fetch_all(self.conn()).await?;
        let ends = |row: &AnyRow| {
            let read = Reading::of(row, "clients");
            let ends = ClientEnds { first: read.time("first")?, soon: ending_soon(row)? };
            Ok((read.parsed("server_id")?, ends))
        };
        rows.iter().map(ends).collect()
    }

    /// The certificates of a server's clients that end soon at `now`, and did not yet at `before`.
    pub async fn clients_ending_since(
        &mut self,
        id: ServerId,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<Option<EndingSoon>, StoreError> {
        let sql = self.dialect.sql(format!(
            "SELECT COUNT(*) AS soon, MIN(cert_not_after_at) AS first_soon FROM clients \
             WHERE server_id = $1 AND {} AND {} AND NOT ({})",
            living(2),
            soon(3),
            soon(5)
        ));
        let query = sqlx::query(sql).bind(id.to_string()).bind(now.micros());
        ending_soon(&bind(bind(query, now), before).fetch_one(self.conn()).await?)
    }
}
