//! Exports verify by themselves, whole and in parts.

use anyhow::{Result, ensure};
use tokio::process::Command;
use vpn_core::{
    audit::{Action, ChainFault, Entry, ExportError, Naming, Verified, verify_export},
    domain::Role,
    service::{export_audit_log, verify_audit_log},
};
use vpn_tests::{Database, World, on_every_database, platform::caller, programs};

use super::{checkpoint, filled};

on_every_database!(an_export_and_each_part_lead_to_the_root_of_the_log, an_export_that_was_changed_is_refused);

async fn export(world: &World, after: i64, until: Option<i64>) -> Result<String> {
    let mut out = Vec::new();
    export_audit_log(world.store(), Some(after), until, Naming::Named, &mut out).await?;
    Ok(String::from_utf8(out)?)
}

fn check(text: &str) -> Result<Verified, ExportError> {
    verify_export(text.as_bytes(), [])
}

async fn an_export_and_each_part_lead_to_the_root_of_the_log(world: World) -> Result<()> {
    world.client().await?;
    let early = checkpoint(world.store()).await?;
    filled(&world).await?;
    let whole = verify_audit_log(world.store()).await?;
    assert_eq!(check(&export(&world, 0, None).await?)?, whole);
    for after in 0..=whole.entries {
        let part = export(&world, after, None).await?;
        assert_eq!(check(&part)?, whole, "behind entry {after}");
        assert_eq!(part.lines().count(), usize::try_from(whole.entries - after)? + 2);
    }
    let size = i64::try_from(early.size)?;
    let beginning = export(&world, 0, Some(size)).await?;
    assert_eq!(verify_export(beginning.as_bytes(), [early.clone()])?.checkpoints, 1);
    // Two parts fit together where a checkpoint says so.
    let rest = export(&world, size, None).await?;
    assert_eq!(verify_export(rest.as_bytes(), [early.clone(), whole.checkpoint()])?.checkpoints, 2);
    let mut wrong = early;
    wrong.root = [1; 32];
    let refused = verify_export(rest.as_bytes(), [wrong]);
    assert!(matches!(refused, Err(ExportError::Fault(ChainFault::Rewritten { .. }))), "{refused:?}");
    Ok(())
}

async fn an_export_that_was_changed_is_refused(world: World) -> Result<()> {
    filled(&world).await?;
    let true_one = export(&world, 0, None).await?;
    let lines: Vec<&str> = true_one.split_inclusive('\n').collect();
    let last = lines.len() - 1;
    let refused = |text: &str, what: &str| match check(text) {
        Err(error) => assert!(error.to_string().contains(what), "{error} instead of {what}"),
        Ok(verified) => panic!("{verified:?} instead of {what}"),
    };
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat().concat();
    refused(&without(4), "entry 4 is missing");
    refused(&without(last), "the file was cut");
    refused(&without(last - 1), "the tail was cut");
    refused(&without(0), "line 1");
    refused(&true_one.replacen("system:test", "system:best", 1), "was changed");
    let swapped = [&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat().concat();
    refused(&swapped, "entry 3 is missing");
    refused(&format!("{true_one}{}", lines[1]), "more behind the end");
    refused("", "empty");
    Ok(())
}

#[tokio::test]
async fn the_command_leaves_names_out_when_told_to() -> Result<()> {
    let (world, directory) = (World::on(Database::Sqlite).await?, tempfile::tempdir()?);
    let bob = Entry::by(&caller("bob@example.org", Role::Viewer)?, Action::TokenRevoked);
    world.store().begin().await?.commit(bob, []).await?;
    let run = async |arguments: &[&str]| -> Result<Vec<u8>> {
        let mut command = Command::new(programs::built("vpn-graphql")?);
        command.arg("audit").args(arguments).env("VPN_DATABASE_URL", &world.db.url);
        let output = programs::output(&mut command).await?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    };
    let file = directory.path().join("export");
    for (arguments, is_named) in [(&["export"][..], true), (&["export", "--nameless"], false)] {
        let export = run(arguments).await?;
        assert_eq!(String::from_utf8_lossy(&export).contains("bob@example.org"), is_named);
        std::fs::write(&file, &export)?;
        run(&["verify", "--file", &file.to_string_lossy()]).await?;
    }
    Ok(())
}
