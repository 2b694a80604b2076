//! Inclusion and consistency proofs, through the use cases and through the program that an auditor would
//! check them with.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};
use vpn_core::{
    domain::Role,
    service::{Erasure, SealUpTo, erase_values, plan_erasure, plan_seal, seal_audit_log},
    store::{AuditFilter, PageRequest},
};
use vpn_tests::{Database, TestPlatform, World, platform::caller, programs, soon};

use super::{checkpoint, filled, key_for};

/// The answer to the query that the example documents.
async fn proof(platform: &TestPlatform, seq: u64, size: u64, old: u64) -> Result<Value> {
    let auditor = caller("auditor", Role::Auditor)?;
    let entry = platform.platform.audit_entry(&auditor, i64::try_from(seq)?).await?.context("an entry")?;
    let tree = platform.platform.audit_tree(&auditor, Some(size)).await?;
    let texts = |hashes: Vec<[u8; 32]>| hashes.iter().map(hex::encode).collect::<Vec<_>>();
    let inclusion = texts(platform.platform.prove_inclusion(&auditor, &tree, seq).await?);
    let consistency = texts(platform.platform.prove_consistency(&auditor, &tree, old).await?);
    let value = |commitment: &[u8; 32]| {
        let known = entry.values.get(commitment);
        json!({ "commitment": hex::encode(commitment), "salt": known.map(|known| hex::encode(known.salt)),
                "value": known.map(|known| known.value.as_str()) })
    };
    let values: Vec<Value> = entry.commitments().iter().map(value).collect();
    Ok(json!({"data": {
        "node": {"seq": seq.to_string(), "previousHash": hex::encode(entry.previous_hash),
                 "canonical": String::from_utf8(entry.canonical)?, "values": values},
        "auditTree": {"inclusionProof": inclusion, "consistencyProof": consistency},
    }}))
}

/// What the example says to a proof, from the checkpoints `new` and `old` in a directory.
async fn verify_entry(directory: &Path, public: &str, proof: &Value) -> Result<Output> {
    let mut child = Command::new(programs::built("examples/verify-entry")?)
        .args(["--public-key", public, "--checkpoint"])
        .arg(directory.join("new"))
        .arg("--older")
        .arg(directory.join("old"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut input = child.stdin.take().context("its input")?;
    input.write_all(proof.to_string().as_bytes()).await?;
    drop(input);
    Ok(soon("the example ends", child.wait_with_output()).await??)
}

/// From the file that the entry was sealed in, as `audit prove` prints it.
#[tokio::test]
async fn a_sealed_entry_is_proven_by_the_command_and_checked_without_our_code() -> Result<()> {
    let (world, directory) = (World::on(Database::Sqlite).await?, tempfile::tempdir()?);
    let key = key_for(world.store()).await?;
    let mut sizes = Vec::new();
    for name in ["old", "new"] {
        filled(&world).await?;
        let tree = checkpoint(world.store()).await?;
        std::fs::write(directory.path().join(name), tree.signed(std::slice::from_ref(&key)))?;
        sizes.push(tree.size);
    }
    let segment = directory.path().join("segment");
    let signed = vec![checkpoint(world.store()).await?];
    let plan = plan_seal(world.store(), SealUpTo::Size(3), &segment, signed).await?;
    seal_audit_log(world.store(), &caller("ada", Role::Admin)?, &plan).await?;
    let prove = async |seq: &str| -> Result<Value> {
        let mut command = Command::new(programs::built("vpn-graphql")?);
        command.args(["audit", "prove", seq, "--size", &sizes[1].to_string(), "--old-size", &sizes[0].to_string()]);
        command.arg("--segment").arg(&segment).env("VPN_DATABASE_URL", &world.db.url);
        let output = programs::output(&mut command).await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    for seq in ["2", "5"] {
        let mut proof = prove(seq).await?;
        let told = verify_entry(directory.path(), &key.public().to_string(), &proof).await?;
        ensure!(told.status.success(), "entry {seq}: {}", String::from_utf8_lossy(&told.stderr));
        proof["data"]["node"]["seq"] = "3".into();
        let told = verify_entry(directory.path(), &key.public().to_string(), &proof).await?;
        ensure!(!told.status.success(), "it was proven for another place");
    }
    Ok(())
}

#[tokio::test]
async fn an_auditor_checks_an_entry_without_our_code() -> Result<()> {
    let platform = TestPlatform::on(Database::Sqlite).await?;
    let key = key_for(&platform.db.store).await?;
    let public = key.public().to_string();
    let mut sizes = Vec::new();
    let directory = tempfile::tempdir()?;
    for name in ["old", "new"] {
        for _ in 0..5 {
            platform.client().await?;
        }
        let tree = platform.platform.audit_tree(&platform.admin, None).await?.0;
        std::fs::write(directory.path().join(name), tree.signed(std::slice::from_ref(&key)))?;
        sizes.push(tree.size);
    }
    let check = async |proof: Value| verify_entry(directory.path(), &public, &proof).await;
    for seq in 1..=sizes[1] {
        let told = check(proof(&platform, seq, sizes[1], sizes[0]).await?).await?;
        ensure!(told.status.success(), "entry {seq}: {}", String::from_utf8_lossy(&told.stderr));
    }
    let mut changed = proof(&platform, 3, sizes[1], sizes[0]).await?;
    let canonical = changed["data"]["node"]["canonical"].as_str().context("text")?.replace("\"ok\"", "\"refused\"");
    changed["data"]["node"]["canonical"] = canonical.into();
    let told = check(changed).await?;
    ensure!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("is not in the log"));
    let mut renamed = proof(&platform, 3, sizes[1], sizes[0]).await?;
    renamed["data"]["node"]["values"][0]["value"] = "bob".into();
    let told = check(renamed).await?;
    ensure!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("was written with"));
    // What was erased proves the same, and is called erased.
    let erasure = Erasure { people: vec!["ada".into()], ..Erasure::default() };
    let values = plan_erasure(&platform.db.store, &erasure).await?;
    erase_values(&platform.db.store, &platform.admin, &"asked for".parse()?, &values).await?;
    let told = check(proof(&platform, 3, sizes[1], sizes[0]).await?).await?;
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    ensure!(told.status.success() && said.contains(&format!("{} was erased", values[0].commitment)), "{said}");
    let mut forked = proof(&platform, 3, sizes[1], sizes[0]).await?;
    forked["data"]["auditTree"]["consistencyProof"][0] = "ab".repeat(32).into();
    let told = check(forked).await?;
    ensure!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("does not continue"));
    Ok(())
}

/// Beyond a tile of 256 entries, proofs are made from roots that are kept.
#[tokio::test]
async fn proofs_of_a_long_log_are_those_of_its_tree() -> Result<()> {
    use vpn_core::audit::{Tree, merkle};
    let platform = TestPlatform::on(Database::Sqlite).await?;
    let tx = platform.db.store.begin().await?;
    tx.commit(vpn_tests::told(), (0..700).map(|_| vpn_tests::told())).await?;
    let leaves = platform.db.store.read().await?.audit_leaves(0, 1000).await?;
    let root = |range: std::ops::Range<u64>| {
        let mut tree = Tree::default();
        range.for_each(|leaf| tree.push(leaves[usize::try_from(leaf).expect("small")]));
        tree.root()
    };
    let admin = &platform.admin;
    for size in [1, 255, 256, 257, 512, 600, leaves.len() as u64] {
        let tree = platform.platform.audit_tree(admin, Some(size)).await?;
        assert_eq!(tree.0.root, root(0..size), "{size} entries");
        for seq in [1, size / 3 + 1, size / 2 + 1, size] {
            let wanted = merkle::inclusion(seq - 1, size).context("a proof")?;
            let wanted: Vec<_> = wanted.into_iter().map(root).collect();
            assert_eq!(platform.platform.prove_inclusion(admin, &tree, seq).await?, wanted, "{seq} of {size}");
            let wanted = merkle::consistency(seq, size).context("a proof")?;
            let wanted: Vec<_> = wanted.into_iter().map(root).collect();
            assert_eq!(platform.platform.prove_consistency(admin, &tree, seq).await?, wanted, "{seq} to {size}");
        }
    }
    let tree = platform.platform.audit_tree(admin, None).await?;
    for refused in [
        platform.platform.audit_tree(admin, Some(0)).await.err(),
        platform.platform.audit_tree(admin, Some(tree.0.size + 1)).await.err(),
        platform.platform.prove_inclusion(admin, &tree, 0).await.err(),
        platform.platform.prove_inclusion(admin, &tree, tree.0.size + 1).await.err(),
        platform.platform.prove_consistency(admin, &tree, 0).await.err(),
    ] {
        assert_eq!(refused.context("refused")?.code(), "INVALID");
    }
    let viewer = caller("viewer", Role::Viewer)?;
    ensure!(platform.platform.audit_tree(&viewer, None).await.is_err(), "it needs the permission to read the log");
    Ok(())
}

#[tokio::test]
async fn a_time_range_gives_its_entries_and_no_others() -> Result<()> {
    let platform = TestPlatform::on(Database::MariaDb).await?;
    for _ in 0..6 {
        platform.client().await?;
    }
    let all = platform.platform.audit_log(&platform.admin, &AuditFilter::default(), &PageRequest::first(100)).await?;
    let (since, until) = (all.items[4].columns.at, all.items[1].columns.at);
    let wanted: Vec<i64> =
        all.items.iter().filter(|entry| (since..until).contains(&entry.columns.at)).map(|entry| entry.seq).collect();
    let filter = AuditFilter { since: Some(since), until: Some(until), ..AuditFilter::default() };
    let mut found = Vec::new();
    let mut page = PageRequest::first(1);
    loop {
        let part = platform.platform.audit_log(&platform.admin, &filter, &page).await?;
        found.extend(part.items.iter().map(|entry| entry.seq));
        page.after = part.items.last().map(|entry| entry.seq);
        if !part.has_next {
            break;
        }
    }
    assert_eq!(found, wanted);
    ensure!(found.len() >= 3, "{found:?}");
    Ok(())
}
