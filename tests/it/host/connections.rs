//! One kept connection per host, and what becomes of requests when it breaks.

use std::time::Duration;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use vpn_core::{
    domain::Server,
    host::{HostErrorKind, Hosts, SshOptions},
    secrecy::ExposeSecret as _,
};
use vpn_tests::{
    eventually,
    hosts::{self, Errand},
    proxy::Proxy,
    soon,
};

use super::{error, names_host_and_cure};

#[tokio::test]
async fn many_requests_take_one_login() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    for _ in 0..5 {
        hosts.issue(Errand::new().await?.at(&server), &hosts::input()).await?;
    }
    assert_eq!(hosts::logins(host)?, 1);
    Ok(())
}

#[tokio::test]
async fn eight_requests_at_once_share_a_connection_and_get_their_own_answers() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    let mut errands = Vec::new();
    for _ in 0..16 {
        errands.push(Errand::new().await?);
    }
    let issued = try_join_all(errands.iter().map(async |errand| {
        let issued = hosts.issue(errand.at(&server), &hosts::input()).await?;
        vpn_core::host::certificate_of_profile(&issued.profile, &errand.client, None)?;
        anyhow::Ok(issued.profile.expose_secret().to_owned())
    }));
    let mut profiles = soon("sixteen certificates", issued).await??;
    profiles.sort();
    profiles.dedup();
    assert_eq!((profiles.len(), hosts::logins(host)?), (16, 1));
    Ok(())
}

#[tokio::test]
async fn a_dead_connection_is_replaced_before_anything_is_sent() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let (hosts, server) = (hosts::hosts(host)?, hosts::server(host)?);
    hosts.issue(Errand::new().await?.at(&server), &hosts::input()).await?;
    host.stop_sshd().await;
    host.start_sshd().await?;
    hosts.issue(Errand::new().await?.at(&server), &hosts::input()).await?;
    assert_eq!(hosts::logins(host)?, 2);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_is_cut_under_a_request_costs_nothing_but_a_repetition() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let proxy = Proxy::before(host.port).await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server_at(host, proxy.port())?, Errand::new().await?);
    hosts.issue(Errand::new().await?.at(&server), &hosts::input()).await?;
    // Its script ends a moment after its reply, and would be taken for the next one's.
    eventually("the first request has ended", || async { Ok(hosts::running_scripts(host)? == 0) }).await?;

    let file = host.state.join("issued").join(errand.client.serial.as_str());
    let lock = std::fs::File::open(host.state.join("lock"))?;
    lock.lock()?;
    let interfere = async {
        // The request has arrived and waits for the host's lock: from here on no answer gets back.
        eventually("the host runs the request", || async { Ok(hosts::running_scripts(host)? > 0) }).await?;
        proxy.hold_replies(true);
        lock.unlock()?;
        eventually("the certificate is issued", || async { Ok(file.exists()) }).await?;
        proxy.cut();
        proxy.hold_replies(false);
        anyhow::Ok(())
    };
    let outcome = async { hosts.issue(errand.at(&server), &hosts::input()).await };
    let (outcome, interfered) = tokio::join!(outcome, interfere);
    interfered?;
    let broken = error(outcome)?;
    ensure!(matches!(broken.kind(), HostErrorKind::Interrupted(_)) && broken.kind().is_retryable(), "{broken}");
    names_host_and_cure(&broken, &server, "safe to repeat");

    let again = hosts.issue(errand.at(&server), &hosts::input()).await?;
    ensure!(again.replayed);
    assert_eq!(again.profile.expose_secret().trim_end(), std::fs::read_to_string(&file)?.trim_end());
    Ok(())
}

#[tokio::test]
async fn a_host_that_does_not_answer_in_time_is_given_up_and_asked_again() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let options = SshOptions { command_timeout: Duration::from_secs(1), ..hosts::options(host) };
    let (hosts, server, errand) = (Hosts::over(hosts::transport(options)?), hosts::server(host)?, Errand::new().await?);

    // Somebody on the host holds the lock that all requests wait for.
    let lock = std::fs::File::open(host.state.join("lock"))?;
    lock.lock()?;
    let late = error(hosts.issue(errand.at(&server), &hosts::input()).await)?;
    ensure!(matches!(late.kind(), HostErrorKind::Timeout(1)) && late.kind().is_retryable(), "{late}");
    names_host_and_cure(&late, &server, "safe to repeat");
    lock.unlock()?;

    // The request that was given up is done all the same.
    let file = host.state.join("issued").join(errand.client.serial.as_str());
    eventually("the host has done it", || async { Ok(file.exists()) }).await?;
    let repeated = || async { Ok(hosts.issue(errand.at(&server), &hosts::input()).await.is_ok_and(|it| it.replayed)) };
    eventually("the same request gives the same answer", repeated).await
}

#[tokio::test]
async fn a_silent_port_is_given_up() -> Result<()> {
    let host = hosts::shared().await?;
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let options = SshOptions { connect_timeout: Duration::from_secs(1), ..hosts::options(host) };
    let server = hosts::server_at(host, silent.local_addr()?.port())?;
    let hosts = Hosts::over(hosts::transport(options)?);
    let refused = soon("a second passes", hosts.revoke(Errand::new().await?.at(&server))).await?;
    let refused = error(refused)?;
    ensure!(matches!(refused.kind(), HostErrorKind::Unreachable(_)), "{refused}");
    names_host_and_cure(&refused, &server, "within 1 s");
    Ok(())
}

#[tokio::test]
async fn a_server_that_moves_gets_a_connection_of_its_own() -> Result<()> {
    let sandbox = hosts::private().await?;
    let host = sandbox.host()?;
    let proxy = Proxy::before(host.port).await?;
    let hosts = hosts::hosts(host)?;
    let server = hosts::server(host)?;
    let moved = Server { address: hosts::server_at(host, proxy.port())?.address, ..server.clone() };
    for at in [&server, &moved, &moved] {
        hosts.issue(Errand::new().await?.at(at), &hosts::input()).await?;
    }
    assert_eq!(hosts::logins(host)?, 2);
    Ok(())
}
