//! Tests of the server from outside: transports over a tiny schema, then everything over a database.

mod execution;
mod graphiql;
mod http;
mod probes;
mod schema;
mod support;
mod ws;
