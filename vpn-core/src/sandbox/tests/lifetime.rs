//! A sandbox leaves nothing behind, and finds its data again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Issue, Outcome, ask, eventually, processes_with, profile};
use crate::sandbox::{Options, Sandbox, SandboxError, TunnelUnavailable, temporary_directory};

/// With this in its environment, the test is the other process: the owner that gets killed.
const OWNER: &str = "VPN_SANDBOX_TEST_OWNER";

/// Starts a sandbox, says so, and waits for the end.
async fn own_a_sandbox() -> Outcome {
    let sandbox = Sandbox::start(Options::everything()).await?;
    let spaces = sandbox.host()?.tunnel().map_or(String::new(), |it| it.server_namespace.clone());
    println!("\nREADY {} {spaces}", sandbox.directory().display());
    tokio::time::sleep(Duration::from_mins(1)).await;
    Ok(())
}

/// Waits until neither the directory is there nor a process that names it. The janitor removes directories
/// last, with an `rm` that is still seen for a moment after what it removed is not.
async fn all_gone(directory: &Path) {
    eventually("the directory is gone", || !directory.exists()).await;
    let name = directory.to_string_lossy();
    eventually("no process names the directory", || processes_with(&name).is_empty()).await;
}

#[tokio::test]
async fn nothing_survives_the_killed_owner() -> Outcome {
    if std::env::var_os(OWNER).is_some() {
        return own_a_sandbox().await;
    }
    let mut owner = Command::new(std::env::current_exe()?)
        .args(["--exact", "sandbox::tests::lifetime::nothing_survives_the_killed_owner", "--nocapture"])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).find(|line| line.starts_with("READY")).expect("the owner is ready");
    let mut words = ready.split(' ').skip(1);
    let directory = words.next().unwrap();
    let namespace = Path::new("/run/netns").join(words.next().filter(|it| !it.is_empty()).unwrap_or("none"));
    assert!(Path::new(directory).exists() && !processes_with(directory).is_empty());

    owner.kill()?;
    owner.wait()?;
    all_gone(Path::new(directory)).await;
    assert!(!namespace.exists());
    Ok(())
}

#[tokio::test]
async fn nothing_survives_a_dropped_sandbox() -> Outcome {
    let sandbox = Sandbox::start(Options::everything()).await?;
    let directory = sandbox.directory().to_owned();
    drop(sandbox);
    all_gone(&directory).await;
    Ok(())
}

#[tokio::test]
async fn a_directory_brings_back_keys_ports_and_certificates() -> Outcome {
    let janitor = crate::sandbox::Janitor::start()?;
    let directory = temporary_directory(&janitor, "vpn-sandbox-kept")?.join("data");
    let options = || Options::everything().in_directory(&directory);

    let first = Sandbox::start(options()).await?;
    let other = Sandbox::start(options()).await;
    assert!(matches!(other, Err(SandboxError::InUse { .. })), "{other:?}");
    let host = first.host()?;
    let (key, port, private) = (host.host_key.clone(), host.port, host.private_key.clone());
    let remote = host.tunnel().map(|tunnel| tunnel.remote).ok();
    let issue = Issue::new()?;
    let reply = ask(host, &key, &issue.request())?;
    first.stop().await?;

    let second = Sandbox::start(options()).await?;
    let host = second.host()?;
    assert_eq!((&host.host_key, host.port, &host.private_key), (&key, port, &private));
    assert_eq!(host.tunnel().map(|tunnel| tunnel.remote).ok(), remote);
    let again = ask(host, &key, &issue.request())?;
    assert!(again.contains("\nreplayed=1\n"));
    assert_eq!(profile(&again), profile(&reply));
    second.stop().await?;
    assert!(directory.exists());
    janitor.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_path_that_would_need_quotes_is_refused() -> Outcome {
    let janitor = crate::sandbox::Janitor::start()?;
    let directory = temporary_directory(&janitor, "vpn-sandbox-kept")?.join("two words");
    let started = Sandbox::start(Options::redis().in_directory(&directory)).await;
    assert!(matches!(started, Err(SandboxError::UnsuitablePath { .. })));
    assert!(!directory.exists());
    janitor.stop().await?;
    Ok(())
}

#[tokio::test]
async fn parts_that_were_not_asked_for_say_so() -> Outcome {
    let sandbox = Sandbox::start(Options { host: true, ..Options::default() }).await?;
    assert_eq!(sandbox.redis().unwrap_err().to_string(), "the sandbox was started without Redis");
    assert!(matches!(sandbox.host()?.tunnel(), Err(TunnelUnavailable::NotRequested)));
    sandbox.stop().await?;
    Ok(())
}
