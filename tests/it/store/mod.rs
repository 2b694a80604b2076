//! Every query of the store, on every database.

mod audit;
mod clients;
mod errors;
mod idempotency;
mod job_ends;
mod job_queue;
mod jobs;
mod pages;
mod plans;
mod profiles;
mod races;
mod servers;
mod setup;
mod tokens;
