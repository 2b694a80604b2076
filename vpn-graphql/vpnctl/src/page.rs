//! Lists, part after part.

use crate::{cli::Limit, failure::Failure, output};

/// How many the server gives at once, at most.
const MOST: usize = 100;

/// A part of a list.
pub(crate) struct Page<T> {
    pub(crate) rows: Vec<T>,
    /// Behind which the next part begins; `None` when there is none.
    pub(crate) next: Option<String>,
}

/// The [`Page`] that a connection is: the types of each operation are its own.
macro_rules! page {
    ($connection:expr) => {{
        let connection = $connection;
        let info = connection.page_info;
        crate::page::Page {
            rows: connection.edges.into_iter().map(|edge| edge.node).collect(),
            next: info.end_cursor.filter(|_| info.has_next_page),
        }
    }};
}
pub(crate) use page;

/// As many rows as are wanted, and whether there are more.
pub(crate) async fn rows<T>(
    limit: &Limit,
    mut ask: impl AsyncFnMut(i64, Option<String>) -> Result<Page<T>, Failure>,
) -> Result<(Vec<T>, bool), Failure> {
    let (most, mut rows, mut after) = (limit.most(), Vec::new(), None);
    loop {
        let wanted = MOST.min(most - rows.len());
        let page = ask(i64::try_from(wanted).unwrap_or(i64::MAX), after).await?;
        rows.extend(page.rows);
        after = page.next;
        if after.is_none() || rows.len() >= most {
            return Ok((rows, after.is_some()));
        }
    }
}

/// The same; says when there are more.
pub(crate) async fn all<T>(
    limit: &Limit,
    ask: impl AsyncFnMut(i64, Option<String>) -> Result<Page<T>, Failure>,
) -> Result<Vec<T>, Failure> {
    let (rows, more) = rows(limit, ask).await?;
    if more {
        output::note(&format!("There are more than {}: ask for more with --limit, or narrow the list", limit.most()));
    }
    Ok(rows)
}
