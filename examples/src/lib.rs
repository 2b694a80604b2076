//! What the examples share: a small client of the platform's public GraphQL API.

mod graphql;

pub use graphql::{Api, Events, Refusal};
