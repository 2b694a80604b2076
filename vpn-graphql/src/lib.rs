//! The GraphQL server of the VPN management platform: transports and schema, and nothing else.
//!
//! What the platform does is in [`vpn_core`]; each resolver makes one call to it.
//!
//! | room | what is there |
//! | --- | --- |
//! | [`router`](routes) | the routes, and what happens around each request |
//! | `http`, `ws` | GraphQL over HTTP, over Server-Sent Events and over WebSocket, to the letter of their specifications |
//! | `live` | how many connections and subscriptions there may be |
//! | `guard` | what is checked of a document before it is walked |
//! | `operations` | the only operations that are run, where there is a list of them |
//! | `schema` | queries, mutations, subscriptions, types |
//! | `error` | the only place where errors of the core become GraphQL |
//! | `profile_link`, `qr` | the page at `/profile`, where a link to a profile leads; its picture for phones |
//! | `graphiql`, `health` | the page at `/graphiql`; `/healthz` and `/readyz` |
//! | [`metrics`](fn@metrics) | `/metrics`, on an address of its own |

mod address;
mod answer;
mod api;
mod auth;
mod error;
mod graphiql;
mod guard;
mod health;
mod http;
mod live;
mod metrics;
mod operations;
mod options;
mod patience;
mod platform;
mod profile_link;
mod qr;
mod router;
mod schema;
mod serve;
mod server;
mod ws;

pub use api::{Api, Check, Readiness};
pub use guard::DocumentLimits;
pub use metrics::metrics;
pub use operations::{Operations, OperationsError};
pub use options::{HttpOptions, Limits};
pub use router::{router, routes};
pub use schema::sdl;
pub use serve::serve;
pub use server::Lifetime;
