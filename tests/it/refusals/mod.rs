//! What the database itself refuses, whoever asks: raw connections with the platform's own password.

mod audit;
mod clients;
mod jobs;
mod removal;
mod replica;
mod rest;
mod roles;
