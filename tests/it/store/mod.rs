//! Every query of the store, on every database.

mod clients;
