//! The integration tests: one binary, so that services are started once.

#[cfg(test)]
mod store;
