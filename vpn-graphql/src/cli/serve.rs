//! `serve`.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vpn_core::{
    clock::Ambient,
    config::{ServerConfig, Shared, Sources},
    lock::RedisUnfit,
    oidc::Provider,
    service::Platform,
    store::{Opened, Store},
    telemetry,
    vault::Vault,
};
use vpn_graphql::{HttpOptions, Lifetime, Operations, metrics, router, serve};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen, such as 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) async fn run(self, sources: Sources) -> Result<()> {
        let config = ServerConfig::load(&sources.flag("listen", self.listen))?;
        telemetry::start(&config.shared.log, config.shared.log_format)?;
        let stop = super::stopped_by_signal()?;
        let (store, mut platform) = platform(&config.shared)?;
        platform = platform.with_policy(config.policy).with_two_person_rule(config.two_person);
        if let Some(provider) = config.provider {
            platform = platform.with_provider(Provider::new(provider)?);
        }
        if stop.run_until_cancelled(refuse_unfit(&store, &platform)).await.transpose()?.is_none() {
            return Ok(());
        }
        let mut options = HttpOptions {
            graphiql: config.graphiql,
            allowed_origins: config.allowed_origins,
            trusted_proxies: config.trusted_proxies,
            ..HttpOptions::default()
        };
        options.limits.document.introspect = config.introspection;
        let listed = config.operations.as_deref().map(|file| Operations::read(file, &options.limits.document));
        options.operations = listed.transpose()?;
        if let Some(listed) = &options.operations {
            tracing::info!(operations = listed.count(), "only the operations of the list are run");
        }
        let listener =
            TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
        let metrics = metrics_listener(config.metrics_listen).await?;
        listen(listener, metrics, platform, options, stop, config.drain).await?;
        store.close().await;
        Ok(())
    }
}

/// Where metrics are told, if anywhere.
pub(super) async fn metrics_listener(address: Option<SocketAddr>) -> Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    Ok(Some(listener.with_context(|| format!("cannot listen on {address} for metrics: choose another address"))?))
}

/// Serves until `stop`; and the metrics, where they have a listener.
pub(super) async fn listen(
    listener: TcpListener,
    metrics_on: Option<TcpListener>,
    platform: Platform,
    options: HttpOptions,
    stop: CancellationToken,
    drain: std::time::Duration,
) -> Result<()> {
    let lifetime = Lifetime::until(stop);
    let address = listener.local_addr()?;
    tracing::info!(http.address = %address, "listening");
    let metrics = async {
        let Some(listener) = metrics_on else { return Ok(()) };
        tracing::info!(http.address = %listener.local_addr()?, "listening for whoever collects metrics");
        serve(listener, metrics(platform.clone()), lifetime.clone(), drain).await
    };
    let api = serve(listener, router(platform.clone(), options, lifetime.clone()), lifetime.clone(), drain);
    tokio::try_join!(api, metrics)?;
    Ok(())
}

/// The platform over the configured database and Redis.
pub(super) fn platform(config: &Shared) -> Result<(Store, Platform)> {
    let store = Store::connect_lazy(&config.store_options())?;
    let vault = Vault::new(&config.profile_key)?;
    let ambient = Ambient::system();
    let platform = Platform::connect(store.clone(), &config.redis_url, vault, ambient, config.max_attempts)
        .context("the Redis URL cannot be used")?;
    Ok((store, platform))
}

/// What would be wrong for good keeps the server from starting. A database or a Redis that is away does
/// not: it may come back, and until then every answer says so.
async fn refuse_unfit(store: &Store, platform: &Platform) -> Result<()> {
    match store.opened().await {
        Ok(Opened::Production) => {}
        Ok(Opened::Development) => {
            bail!(
                "this database was made by `vpn-graphql dev` and is not for real work: set up another one with `vpn-graphql migrate`"
            )
        }
        Err(error) if error.is_retryable() => tracing::warn!(%error, "the database is away"),
        Err(error) => return Err(error.into()),
    }
    match platform.check_redis().await {
        Some(Ok(())) => {}
        Some(Err(unfit @ RedisUnfit::Evicts(_))) => return Err(unfit.into()),
        Some(Err(RedisUnfit::Redis(_))) | None => tracing::warn!("Redis is away: jobs are accepted, and wait for it"),
    }
    Ok(())
}
