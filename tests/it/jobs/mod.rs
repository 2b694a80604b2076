//! Jobs from the asking to the end: real Redis, real SSH, a real PKI.

mod crash;
mod failure;
mod fairness;
mod overtaking;
mod parts;
mod provision;
mod revoke;
