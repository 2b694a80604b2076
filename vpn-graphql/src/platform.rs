//! The platform behind the transports.

use std::net::IpAddr;

use async_graphql::{Request, Response, ServerError};
use futures_util::{FutureExt as _, future::BoxFuture, stream::BoxStream};
use vpn_core::{
    domain::{Caller, RequestId},
    service::{HealthStatus, Platform, Taken},
};

use crate::{
    api::{Api, Check, Readiness},
    error,
    schema::{self, PlatformSchema, Scope},
};

/// The platform, as the transports see it.
pub(crate) struct PlatformApi {
    platform: Platform,
    schema: PlatformSchema,
}

impl PlatformApi {
    pub(crate) fn new(platform: Platform, introspect: bool) -> Self {
        Self { platform, schema: schema::schema(introspect) }
    }

    fn with_scope(&self, request: Request, caller: Caller) -> Request {
        request.data(Scope::new(self.platform.clone(), caller))
    }
}

impl Api for PlatformApi {
    fn request_id(&self) -> RequestId {
        RequestId::generate(self.platform.ambient())
    }

    fn authenticate<'a>(
        &'a self,
        bearer: Option<&'a str>,
        address: Option<IpAddr>,
        request: RequestId,
    ) -> BoxFuture<'a, Result<Caller, ServerError>> {
        let asked = self.platform.authenticate(bearer, address, request);
        async move { asked.await.map_err(|error| error::told_to_transport(&error)) }.boxed()
    }

    fn execute(&self, request: Request, caller: Caller) -> BoxFuture<'_, Response> {
        self.schema.execute(self.with_scope(request, caller)).boxed()
    }

    fn subscribe(&self, request: Request, caller: Caller) -> BoxStream<'static, Response> {
        self.schema.execute_stream(self.with_scope(request, caller))
    }

    fn take_profile<'a>(
        &'a self,
        secret: &'a str,
        address: Option<IpAddr>,
        request: RequestId,
    ) -> BoxFuture<'a, Result<Taken, ServerError>> {
        async move {
            self.platform.take_profile(secret, address, request).await.map_err(|error| error::told_to_transport(&error))
        }
        .boxed()
    }

    fn readiness(&self) -> BoxFuture<'_, Readiness> {
        async move {
            let health = self.platform.readiness().await;
            let checks = health.checks.into_iter();
            let checks =
                checks.map(|it| Check { name: it.name, status: it.status.as_str(), took: it.latency }).collect();
            // Without Redis, requests are accepted and done later: that is ready.
            Readiness { ready: health.status != HealthStatus::Down, checks }
        }
        .boxed()
    }
}
