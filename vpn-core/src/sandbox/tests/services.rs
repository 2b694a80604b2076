//! The services of a sandbox are real, and fail when told to.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use super::{Issue, Outcome, ask, profile};
use crate::sandbox::process::PATIENCE;
use crate::sandbox::{Options, Sandbox, SandboxError, Tunnel, VpnHost, lasting_port};

/// The tunnel of a host. Where there cannot be one, whoever runs the tests has to say so, by setting
/// `VPN_TESTS_WITHOUT_TUNNEL`: it is never left out in silence.
fn tunnel(host: &VpnHost) -> Option<&Tunnel> {
    match host.tunnel() {
        Ok(tunnel) => Some(tunnel),
        Err(reason) if std::env::var_os("VPN_TESTS_WITHOUT_TUNNEL").is_some() => {
            eprintln!("not tested, no tunnel: {reason}");
            None
        }
        Err(reason) => panic!("no tunnel: {reason}. Set VPN_TESTS_WITHOUT_TUNNEL=1 to test without."),
    }
}

/// One command to Redis, through a connection that lasts as long as it.
async fn redis(url: &str, command: &[&str]) -> redis::RedisResult<String> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let (name, arguments) = command.split_first().unwrap();
    redis::cmd(name).arg(arguments).query_async(&mut connection).await
}

#[test]
fn a_lasting_port_is_given_once_and_to_nobody_who_asks_for_any() -> Outcome {
    let given = (0..250).map(|_| lasting_port()).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(given.iter().collect::<BTreeSet<_>>().len(), given.len(), "{given:?}");
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")?;
    let ephemeral: u16 = range.split_whitespace().next().ok_or("a first port")?.parse()?;
    assert!(given.iter().all(|port| *port < ephemeral), "{given:?}");
    for port in &given {
        TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
    }
    Ok(())
}

#[tokio::test]
async fn redis_keeps_port_and_data_through_a_kill() -> Outcome {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let server = sandbox.redis()?;
    let url = server.url();
    redis(&url, &["SET", "key", "value"]).await?;
    let before = server.pid().await;
    server.kill().await;
    assert_eq!(server.pid().await, None);
    assert!(redis(&url, &["PING"]).await.is_err());

    server.restart().await?;
    assert_eq!(server.url(), url);
    assert_ne!(server.pid().await, before);
    assert_eq!(redis(&url, &["GET", "key"]).await?, "value");
    server.stop().await;
    server.restart().await?;
    assert_eq!(redis(&url, &["GET", "key"]).await?, "value");
    sandbox.stop().await?;
    Ok(())
}

#[tokio::test]
async fn redis_needs_the_password_and_never_evicts() -> Outcome {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let server = sandbox.redis()?;
    let info = redis(&server.url(), &["INFO"]).await?;
    assert!(info.contains("maxmemory_policy:noeviction") && info.contains("aof_enabled:1"));
    let stranger = redis(&format!("redis://127.0.0.1:{}/", server.port()), &["PING"]).await;
    assert!(stranger.is_err());
    sandbox.stop().await?;
    Ok(())
}

#[tokio::test]
async fn an_issued_profile_connects_and_carries_a_ping() -> Outcome {
    let sandbox = Sandbox::start(Options::everything()).await?;
    let host = sandbox.host()?;
    let Some(tunnel) = tunnel(host) else { return Ok(()) };
    let reply = ask(host, &host.host_key, &Issue::new()?.request())?;
    assert!(tunnel.is_silent().await?);

    let client = tunnel.connect(profile(&reply))?;
    client.connected(PATIENCE).await?;
    assert_eq!(tunnel.ping(3).await?.received, 3);
    assert!(tunnel.server_log().contains("alice/198.18."));

    tunnel.stop_openvpn().await;
    assert!(tunnel.is_silent().await?);
    tunnel.start_openvpn().await?;
    client.stop().await;
    let client = tunnel.connect(profile(&reply))?;
    client.connected(PATIENCE).await?;
    assert_eq!(tunnel.ping(1).await?.received, 1);
    sandbox.stop().await?;
    assert!(client.ended(PATIENCE).await.is_some());
    Ok(())
}

#[tokio::test]
async fn two_hosts_and_two_sandboxes_do_not_meet() -> Outcome {
    let (one, two) = tokio::join!(Sandbox::start(Options::everything()), Sandbox::start(Options::everything()));
    let (mut one, two) = (one?, two?);
    one.add_host().await?;
    let mut remotes = Vec::new();
    for host in one.hosts().iter().chain(two.hosts()) {
        let reply = ask(host, &host.host_key, &Issue::new()?.request())?;
        if let Some(tunnel) = tunnel(host) {
            let client = tunnel.connect(profile(&reply))?;
            client.connected(PATIENCE).await?;
            remotes.push(tunnel.remote);
            client.stop().await;
        }
    }
    remotes.sort();
    remotes.dedup();
    assert!(remotes.is_empty() || remotes.len() == 3, "{remotes:?}");
    let (one, two) = tokio::join!(one.stop(), two.stop());
    one?;
    two?;
    Ok(())
}

#[tokio::test]
async fn a_stopped_sshd_refuses_and_a_new_host_key_is_a_mismatch() -> Outcome {
    let sandbox = Sandbox::start(Options::without_tunnel()).await?;
    let host = sandbox.host()?;
    let request = Issue::new()?.request();
    ask(host, &host.host_key, &request)?;

    host.stop_sshd().await;
    assert!(ask(host, &host.host_key, &request).unwrap_err().contains("Connection refused"));
    host.start_sshd().await?;
    assert!(ask(host, &host.host_key, &request)?.contains("\nreplayed=1\n"));

    let key = host.rekey().await?;
    assert!(ask(host, &host.host_key, &request).unwrap_err().contains("HOST IDENTIFICATION HAS CHANGED"));
    assert!(ask(host, &key, &request)?.contains("\nreplayed=1\n"));
    sandbox.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_service_that_ends_early_is_an_error_with_its_log() -> Outcome {
    let sandbox = Sandbox::start(Options::redis()).await?;
    let log = sandbox.directory().join("log");
    let launch = crate::sandbox::Launch::new("sh")?.args(["-c", "echo no port for me; exit 1"]);
    let (process, log) = launch.spawn(sandbox.janitor(), &log)?;
    let waited = log.wait_for("ready", &process, Duration::from_secs(5)).await;
    assert!(matches!(waited, Err(SandboxError::Ended { log, .. }) if log == "no port for me"));
    Ok(())
}
