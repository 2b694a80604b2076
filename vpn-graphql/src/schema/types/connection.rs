//! Parts of lists, as Relay wants them.

use std::fmt;

use async_graphql::SimpleObject;
use vpn_core::store::Page;

use super::{AccessToken, Approval, AuditEntry, Job, VpnClient};
use crate::schema::cursor;

/// Where a part of a list ends, and whether there is more.
#[derive(SimpleObject)]
pub(crate) struct PageInfo {
    /// Whether there are items behind this part: ask for them with `after: endCursor`.
    has_next_page: bool,
    /// Whether there are items before this part: ask for them with `before: startCursor`.
    has_previous_page: bool,
    /// The cursor of the first item; null when there is none.
    start_cursor: Option<String>,
    /// The cursor of the last item; null when there is none.
    end_cursor: Option<String>,
}

macro_rules! connection {
    ($(#[$doc:meta])* $connection:ident, $(#[$edge_doc:meta])* $edge:ident, $node:ident) => {
        $(#[$edge_doc])*
        #[derive(SimpleObject)]
        pub(crate) struct $edge {
            /// Its place in the list: as `after`, it gives what comes behind it; as `before`, what comes before.
            cursor: String,
            /// The item.
            node: $node,
        }

        $(#[$doc])*
        #[derive(SimpleObject)]
        pub(crate) struct $connection {
            /// The items, newest first.
            edges: Vec<$edge>,
            /// Where this part of the list ends, and whether there is more.
            page_info: PageInfo,
        }

        impl $connection {
            /// A page; `key` names an item's place.
            pub(crate) fn new<T, K: fmt::Display>(page: Page<T>, key: impl Fn(&T) -> K) -> Self
            where
                $node: From<T>,
            {
                let edge = |item: T| $edge { cursor: cursor::encode(key(&item)), node: item.into() };
                let edges: Vec<$edge> = page.items.into_iter().map(edge).collect();
                let page_info = PageInfo {
                    has_next_page: page.has_next,
                    has_previous_page: page.has_previous,
                    start_cursor: edges.first().map(|edge| edge.cursor.clone()),
                    end_cursor: edges.last().map(|edge| edge.cursor.clone()),
                };
                Self { edges, page_info }
            }
        }
    };
}

connection!(
    /// Part of a list of clients.
    VpnClientConnection,
    /// A client in a list.
    VpnClientEdge,
    VpnClient
);
connection!(
    /// Part of a list of jobs.
    JobConnection,
    /// A job in a list.
    JobEdge,
    Job
);
connection!(
    /// Part of the audit log.
    AuditEntryConnection,
    /// An entry in a part of the audit log.
    AuditEntryEdge,
    AuditEntry
);
connection!(
    /// Part of a list of access tokens.
    AccessTokenConnection,
    /// An access token in a list.
    AccessTokenEdge,
    AccessToken
);
connection!(
    /// Part of a list of what waits for a second person, or waited.
    ApprovalConnection,
    /// An approval in a list.
    ApprovalEdge,
    Approval
);
