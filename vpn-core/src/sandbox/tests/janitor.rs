//! What the janitor ends, and what it leaves alone.

use std::fs;

use super::{Outcome, alive, eventually};
use crate::sandbox::process::PATIENCE;
use crate::sandbox::{Janitor, Launch, SandboxError, StopSignal, temporary_directory};

/// Starts a shell that works in a directory of its own and waits until it says `ready`.
async fn shell(janitor: &Janitor, script: &str) -> Result<(crate::sandbox::Process, u32), SandboxError> {
    let directory = temporary_directory(janitor, "vpn-janitor-test")?;
    let log = directory.join("log");
    let launch = Launch::new("sh")?.args(["-c", script]);
    let (process, log) = launch.spawn(janitor, &log)?;
    log.wait_for("ready", &process, PATIENCE).await?;
    let child = log.text().split_whitespace().find_map(|word| word.parse().ok()).unwrap_or_default();
    Ok((process, child))
}

#[tokio::test]
async fn a_process_that_ignores_every_polite_signal_is_killed() -> Outcome {
    let janitor = Janitor::start()?;
    let (process, _) = shell(&janitor, "trap '' TERM INT HUP; echo ready; while :; do sleep 1; done").await?;
    janitor.stop().await?;
    assert!(!alive(process.id()));
    Ok(())
}

#[tokio::test]
async fn a_grandchild_in_a_session_of_its_own_is_ended() -> Outcome {
    let janitor = Janitor::start()?;
    let (process, child) = shell(&janitor, "setsid sleep 600 & echo $! ready; wait").await?;
    assert!(alive(child));
    janitor.stop().await?;
    assert!(!alive(process.id()) && !alive(child));
    Ok(())
}

#[tokio::test]
async fn a_member_of_the_group_is_ended_after_its_leader_died() -> Outcome {
    let janitor = Janitor::start()?;
    let (process, child) = shell(&janitor, "sleep 600 & echo $! ready; exit 0").await?;
    process.ended(PATIENCE).await;
    assert!(alive(child));
    janitor.stop().await?;
    assert!(!alive(child));
    Ok(())
}

#[tokio::test]
async fn a_member_of_the_group_is_ended_though_its_leader_died_before_it_was_registered() -> Outcome {
    use std::{io::Read as _, os::unix::process::CommandExt as _, process::Stdio};
    for collected in [false, true] {
        let janitor = Janitor::start()?;
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "sleep 600 >/dev/null 2>&1 & echo $!"]).process_group(0);
        let mut leader = command.stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        leader.stdout.take().ok_or("its output")?.read_to_string(&mut said)?;
        let child = said.trim().parse()?;
        if collected {
            leader.wait()?;
        }
        eventually("the leader has ended", || !alive(leader.id())).await;
        janitor.process(leader.id(), StopSignal::Term)?;
        janitor.stop().await?;
        assert!(!alive(child), "collected: {collected}");
        leader.wait()?;
    }
    Ok(())
}

#[tokio::test]
async fn scripts_are_ended_without_being_registered() -> Outcome {
    let janitor = Janitor::start()?;
    let directory = temporary_directory(&janitor, "vpn-janitor-test")?;
    let script = directory.join("linger");
    fs::write(&script, "sleep 600\n")?;
    janitor.scripts(&directory)?;
    let mut stray = std::process::Command::new("sh").arg(&script).spawn()?;
    let mut unrelated = std::process::Command::new("sleep").arg("600").spawn()?;
    janitor.stop().await?;
    assert!(!alive(stray.id()));
    assert!(alive(unrelated.id()));
    stray.wait()?;
    unrelated.kill()?;
    unrelated.wait()?;
    Ok(())
}

#[tokio::test]
async fn a_dropped_process_ends() -> Outcome {
    let janitor = Janitor::start()?;
    let (process, _) = shell(&janitor, "echo ready; exec sleep 600").await?;
    let id = process.id();
    drop(process);
    eventually("the process is gone", || !alive(id)).await;
    janitor.stop().await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_started_once_the_janitor_was_stopped() -> Outcome {
    let janitor = Janitor::start()?;
    janitor.stop().await?;
    janitor.stop().await?;
    let started = Launch::new("sleep")?.arg("600").run(&janitor).await;
    assert!(matches!(started, Err(SandboxError::JanitorGone)));
    Ok(())
}

#[tokio::test]
async fn a_failing_program_tells_what_it_wrote() -> Outcome {
    let janitor = Janitor::start()?;
    let run = Launch::new("sh")?.args(["-c", "echo out; echo no luck >&2; exit 3"]).run(&janitor).await;
    assert_eq!(run.unwrap_err().to_string(), "sh failed (exit status: 3): out | no luck");
    Ok(())
}

#[tokio::test]
async fn a_missing_program_names_its_package() {
    let missing = Launch::new("no-such-program").unwrap_err();
    assert_eq!(missing.to_string(), "no-such-program is not installed: install the Debian package coreutils");
}
