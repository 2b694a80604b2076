//! Tests of the server from outside: transports over a tiny schema, then everything over a database.

#[cfg(test)]
mod abuse;
#[cfg(test)]
mod execution;
#[cfg(test)]
mod fleet;
#[cfg(test)]
mod graphiql;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod http;
#[cfg(test)]
mod permissions;
#[cfg(test)]
mod platform;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod profile_link;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sse;
#[cfg(test)]
mod support;
#[cfg(test)]
mod ws;
