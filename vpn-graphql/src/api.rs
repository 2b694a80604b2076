//! What the transports need of the platform. They know no more of it, so they can be tested alone.

use std::{net::IpAddr, time::Duration};

use async_graphql::{Request, Response, ServerError};
use futures_util::{future::BoxFuture, stream::BoxStream};
use vpn_core::{
    domain::{Caller, RequestId},
    service::Taken,
};

/// Who asks, and the answers.
pub trait Api: Send + Sync + 'static {
    /// An id for a request that has just come in.
    fn request_id(&self) -> RequestId;

    /// Whose token this is that comes from this address. The error has the code `UNAUTHENTICATED`,
    /// `TOO_MANY_ATTEMPTS` (with `retryAfterSeconds` beside it), `SERVICE_UNAVAILABLE` or
    /// `INTERNAL_SERVER_ERROR`.
    fn authenticate<'a>(
        &'a self,
        bearer: Option<&'a str>,
        address: Option<IpAddr>,
        request: RequestId,
    ) -> BoxFuture<'a, Result<Caller, ServerError>>;

    /// Runs a query or a mutation.
    fn execute(&self, request: Request, caller: Caller) -> BoxFuture<'_, Response>;

    /// Runs an operation of any kind; a subscription gives many answers.
    fn subscribe(&self, request: Request, caller: Caller) -> BoxStream<'static, Response>;

    /// Takes the profile that a link leads to; its secret is all that is asked for. The error has the code
    /// `SERVICE_UNAVAILABLE` or `INTERNAL_SERVER_ERROR`.
    fn take_profile<'a>(
        &'a self,
        secret: &'a str,
        address: Option<IpAddr>,
        request: RequestId,
    ) -> BoxFuture<'a, Result<Taken, ServerError>>;

    /// Whether the service can do its work.
    fn readiness(&self) -> BoxFuture<'_, Readiness>;
}

/// Whether the service can do its work, for whoever sends it requests.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Whether it can.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name, such as `database`.
    pub name: &'static str,
    /// `ok`, `degraded` or `down`.
    pub status: &'static str,
    /// How long the look took.
    pub took: Duration,
}
