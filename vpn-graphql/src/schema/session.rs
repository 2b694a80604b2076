//! What resolvers have of the request.

use async_graphql::{Context, Error, dataloader::DataLoader};
use vpn_core::{domain::Caller, service::Platform};

use super::loaders::Batches;
use crate::error;

/// One request: who asks, whom to ask, and the look-ups that are done in batches.
pub(crate) struct Session {
    pub(super) platform: Platform,
    pub(super) caller: Caller,
    pub(super) batches: DataLoader<Batches>,
}

impl Session {
    /// A request of `caller`. Its batches are its own: nobody's permission serves another.
    pub(crate) fn new(platform: Platform, caller: Caller) -> Self {
        let batches = DataLoader::new(Batches::new(platform.clone(), caller.clone()), tokio::spawn);
        Self { platform, caller, batches }
    }

    /// The request that this resolver belongs to.
    pub(super) fn of<'a>(ctx: &Context<'a>) -> Result<&'a Self, Error> {
        ctx.data::<Self>().map_err(|_| error::bug("a resolver without a session"))
    }
}
