//! The few places where the three databases differ.

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

/// Which database this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in a file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
}

impl Dialect {
    /// By the scheme of a database URL.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        match url.split(':').next() {
            Some("sqlite") => Some(Self::Sqlite),
            Some("postgres" | "postgresql") => Some(Self::Postgres),
            Some("mysql" | "mariadb") => Some(Self::MySql),
            _ => None,
        }
    }

    /// As health and logs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }

    /// Locks the rows that a `SELECT` reads; SQLite's transactions hold the one write lock already.
    pub(super) const fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres | Self::MySql => " FOR UPDATE",
        }
    }

    /// What asks for the plan of a query, and in which column of the answer it is, as text.
    pub(super) const fn explain(self) -> (&'static str, usize) {
        match self {
            Self::Sqlite => ("EXPLAIN QUERY PLAN", 3),
            Self::Postgres => ("EXPLAIN", 0),
            Self::MySql => ("EXPLAIN FORMAT=JSON", 0),
        }
    }

    /// Microseconds since the epoch, now, by the database's clock.
    pub(super) const fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
            Self::Postgres => "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
            Self::MySql => "SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)",
        }
    }

    /// The type of 64 bits that sums are cast to: two of the databases give a decimal number.
    pub(super) const fn integer(self) -> &'static str {
        match self {
            Self::Sqlite => "INTEGER",
            Self::Postgres => "BIGINT",
            Self::MySql => "SIGNED",
        }
    }

    /// A query that is written with `$1 … $n`, each once and in this order. SQLite and PostgreSQL
    /// take it as it is; MySQL wants `?`. No caller's text ever gets into `text`: values are bound.
    pub(super) fn sql(self, text: impl Into<String>) -> SqlStr {
        let text = text.into();
        debug_assert!(in_order(&text), "parameters are $1 … $n, in order: {text}");
        let text = if self == Self::MySql { question_marks(&text) } else { text };
        AssertSqlSafe(text).into_sql_str()
    }
}

fn question_marks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        out.push('?');
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

fn in_order(text: &str) -> bool {
    text.split('$').skip(1).enumerate().all(|(at, part)| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse() == Ok(at + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_question_marks_for_mysql() {
        assert_eq!(question_marks("a = $1 AND b IN ($2, $13) ORDER BY c"), "a = ? AND b IN (?, ?) ORDER BY c");
    }

    #[test]
    fn parameters_out_of_order_are_noticed() {
        assert!(in_order("$1 $2 $3"));
        assert!(!in_order("$2 $1"));
        assert!(!in_order("$1 $1"));
    }

    #[test]
    fn urls_name_their_database() {
        assert_eq!(Dialect::of_url("sqlite:///x.db"), Some(Dialect::Sqlite));
        assert_eq!(Dialect::of_url("mariadb://h/d"), Some(Dialect::MySql));
        assert_eq!(Dialect::of_url("redis://h"), None);
    }
}
