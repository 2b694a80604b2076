//! The integration tests: one binary, so that services are started once.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod guards;
#[cfg(test)]
mod host;
#[cfg(test)]
mod host_fails;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod oidc;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod restore;
#[cfg(test)]
mod service;
#[cfg(test)]
mod store;
#[cfg(test)]
mod subscribers;
#[cfg(test)]
mod vpnctl;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod words;
