//! What resolvers have of the request.

use std::hash::Hash;

use async_graphql::{
    Context, Error,
    dataloader::{DataLoader, Loader},
};
use futures_util::future::BoxFuture;
use tracing::Instrument as _;
use vpn_core::{domain::Caller, service::Platform, store::Page};

use super::{Nullable, loaders::Batches};
use crate::error;

/// One request: who asks, whom to ask, and the look-ups that are done in batches.
pub(crate) struct Scope {
    pub(super) platform: Platform,
    pub(super) caller: Caller,
    pub(super) batches: DataLoader<Batches>,
}

impl Scope {
    /// A request of `caller`. Its batches are its own: nobody's permission serves another.
    pub(crate) fn new(platform: Platform, caller: Caller) -> Self {
        // What is logged on the way belongs to the request.
        let spawn = |task: BoxFuture<'static, ()>| tokio::spawn(task.in_current_span());
        let batches = DataLoader::new(Batches::new(platform.clone(), caller.clone()), spawn);
        Self { platform, caller, batches }
    }

    /// The request that this resolver belongs to.
    pub(super) fn of<'a>(ctx: &Context<'a>) -> Result<&'a Self, Error> {
        ctx.data::<Self>().map_err(|_| error::bug("a resolver without a scope"))
    }

    /// Looks one thing up, together with what others of this request look up; null when it is not there.
    pub(super) async fn find<K, T>(ctx: &Context<'_>, key: K) -> Nullable<T>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Batches: Loader<K, Error = Error>,
        T: From<<Batches as Loader<K>>::Value>,
    {
        let scope = match Self::of(ctx) {
            Ok(scope) => scope,
            Err(error) => return Some(Err(error)),
        };
        scope.batches.load_one(key).await.map(|found| found.map(T::from)).transpose()
    }

    /// A page of a list that belongs to something, together with those of others in this request.
    pub(super) async fn page<K, T>(ctx: &Context<'_>, key: K) -> Result<Page<T>, Error>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        T: Send + Sync + Clone + 'static,
        Batches: Loader<K, Value = Page<T>, Error = Error>,
    {
        let page = Self::of(ctx)?.batches.load_one(key).await?;
        page.ok_or_else(|| error::bug("a list without its owner"))
    }
}
