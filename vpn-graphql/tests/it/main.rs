//! Tests of the server from outside: transports over a tiny schema, then everything over a database.

mod execution;
mod graphiql;
mod http;
mod platform;
mod probes;
mod schema;
mod server;
mod support;
mod ws;
