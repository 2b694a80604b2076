//! Exports verify by themselves, whole and in parts.

use anyhow::Result;
use vpn_core::{
    audit::{ChainFault, ExportError, Naming, Verified, verify_export},
    service::{export_audit_log, verify_audit_log},
};
use vpn_tests::{World, on_every_database};

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
