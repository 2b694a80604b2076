//! What the README tells people to run, run.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;
use vpn_core::sandbox::{Janitor, Launch, temporary_directory};
use vpn_tests::{
    PATIENCE, eventually,
    programs::{built, output},
    turn::turn,
};

/// Runs a program to its end and gives what it printed.
async fn run(command: &mut Command) -> Result<String> {
    let output = output(command).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    Ok(text)
}

#[tokio::test]
async fn the_embedding_example_runs() -> Result<()> {
    let _turn = turn().await?;
    let told = run(&mut Command::new(built("examples/embed")?)).await?;
    for part in ["created", "active       succeeded", "once", "revoked      succeeded"] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    Ok(())
}

/// The demo, with its worker killed in the middle of provisioning.
#[tokio::test]
async fn the_demo_ends_with_one_certificate_though_its_worker_is_killed() -> Result<()> {
    let _turn = turn().await?;
    let told = run(Command::new(built("examples/demo")?).arg("--kill-worker")).await?;
    let parts = [
        "SIGKILL",
        "takes its place",
        "exactly one on the host",
        "PROFILE_GONE",
        "refused",
        "WRONG_STATE",
        "provision.requeued",
        "the chain is whole",
        "gone",
        "done",
    ];
    for part in parts {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    Ok(())
}

/// `make load`, in small, with more subscribers than one person may have.
#[tokio::test]
async fn a_small_load_ends_clean() -> Result<()> {
    let _turn = turn().await?;
    let sizes = [("CLIENTS", "300"), ("SUBSCRIBERS", "260"), ("RATE", "10"), ("SECONDS", "3"), ("RESTART_EVERY", "2")];
    let mut load = Command::new(built("load")?);
    let told = run(load.envs(sizes.map(|(size, value)| (format!("LOAD_{size}"), value)))).await?;
    for part in ["offered: 30 mutations", "workers ended and started: ", "faults: 0"] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    Ok(())
}

#[tokio::test]
async fn the_walk_throughs_with_curl_and_in_typed_rust_run_against_dev() -> Result<()> {
    let _turn = turn().await?;
    let janitor = Janitor::start()?;
    let directory = temporary_directory(&janitor, "vpn-examples")?;
    let (token, ready) = (directory.join("token"), directory.join("ready"));
    let dev = Launch::new(&built("vpn-graphql")?.to_string_lossy())?
        .args(["dev", "--listen", "127.0.0.1:0", "--token-file"])
        .arg(&token)
        .arg("--ready-file")
        .arg(&ready);
    let (dev, log) = dev.spawn(&janitor, &directory.join("dev.log"))?;
    log.wait_for("Ctrl-C ends it all", &dev, PATIENCE).await?;
    eventually("the ready file", async || Ok(ready.exists())).await?;
    let facts: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&ready)?)?;
    assert_eq!(facts["pid"], dev.id());
    for (name, begins) in [("url", "http://127.0.0.1:"), ("graphiql", "http://"), ("ws", "ws://")] {
        assert!(facts[name].as_str().is_some_and(|url| url.starts_with(begins)), "{facts}");
    }
    only_for_its_owner(&token)?;

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/curl.sh");
    let mut command = Command::new(script);
    command.current_dir(&directory).env("URL", facts["url"].as_str().context("a URL")?).env("NAME", "curly");
    let told = run(command.env("TOKEN", std::fs::read_to_string(&token)?.trim())).await?;
    for part in ["created", "provisioned", "delivered", "revoked", "provision.succeeded  OK", "revoke.succeeded"] {
        assert!(told.to_uppercase().contains(&part.to_uppercase()), "{part} is not in:\n{told}");
    }
    only_for_its_owner(&directory.join("curly.ovpn"))?;

    let mut command = Command::new(built("examples/typed")?);
    command.current_dir(&directory).env("URL", facts["url"].as_str().context("a URL")?).env("NAME", "typist");
    let told = run(command.env("TOKEN_FILE", &token)).await?;
    for part in
        ["created      typist", "ACTIVE       PROVISION SUCCEEDED", "delivered", "REVOKED      REVOKE SUCCEEDED"]
    {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
    only_for_its_owner(&directory.join("typist.ovpn"))?;
    dev.stop().await;
    janitor.stop().await?;
    Ok(())
}

fn only_for_its_owner(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(file)?.permissions().mode() & 0o777, 0o600, "{}", file.display());
    Ok(())
}
