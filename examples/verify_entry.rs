//! Checks that an entry is in an audit log, with nothing of the platform's code: only what
//! vpn-core/src/audit/README.md says of the formats, and common crates for SHA-256 and Ed25519.
//!
//! ```sh
//! curl … | verify-entry --public-key KEY --checkpoint FILE [--older FILE]
//! ```
//!
//! Standard input is the API's answer to
//!
//! ```graphql
//! query($id: ID!, $seq: String!, $size: String!, $old: String!) {
//!   node(id: $id) { ... on AuditEntry { seq previousHash canonical values { commitment salt value } } }
//!   auditTree(size: $size) { inclusionProof(seq: $seq) consistencyProof(oldSize: $old) }
//! }
//! ```
//!
//! with the size of the checkpoint as `size` and that of the older one as `old`. Without `--older`, leave
//! `consistencyProof` out. The entry has commitments in the place of what it says of people; each value that is
//! given has to be the one that its commitment was made for.

use std::{io::Read as _, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Parser;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

type Hash = [u8; 32];

#[derive(Parser)]
struct Arguments {
    /// The log's public key, NAME+ID+KEY.
    #[arg(long)]
    public_key: String,
    /// A file whose first note is the checkpoint that the entry is to be in.
    #[arg(long)]
    checkpoint: PathBuf,
    /// One with an older checkpoint, which that has to continue.
    #[arg(long)]
    older: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (size, root) = checkpoint(&std::fs::read_to_string(&arguments.checkpoint)?, &arguments.public_key)?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let answer: Value = serde_json::from_str(&text)?;
    let part = |path: &str| answer.pointer(path).with_context(|| format!("the answer has no {path}"));
    let (node, tree) = (part("/data/node")?, part("/data/auditTree")?);

    let seq: u64 = text_of(node, "seq")?.parse()?;
    let canonical = text_of(node, "canonical")?;
    let leaf = leaf(seq, &hash(text_of(node, "previousHash")?)?, canonical);
    let found = included(
        seq.checked_sub(1).context("entries are counted from 1")?,
        size,
        leaf,
        &hashes(tree, "inclusionProof")?,
    );
    ensure!(found == Some(root), "entry {seq} is not in the log that the checkpoint was signed for");
    println!("entry {seq} is in the log of {size} entries:\n{canonical}");
    for value in node.get("values").and_then(Value::as_array).into_iter().flatten() {
        tell_value(canonical, value)?;
    }

    if let Some(older) = &arguments.older {
        let (old_size, old_root) = checkpoint(&std::fs::read_to_string(older)?, &arguments.public_key)?;
        let proof = hashes(tree, "consistencyProof")?;
        ensure!(
            consistent(old_size, size, old_root, root, &proof) == Some(true),
            "the log of {size} entries does not continue the one of {old_size}"
        );
        println!("it continues the log of {old_size} entries");
    }
    Ok(())
}

/// A commitment is SHA-256 of the salt and the value behind it, and stands in the entry behind `erasable:`.
fn tell_value(canonical: &str, value: &Value) -> Result<()> {
    let commitment = text_of(value, "commitment")?;
    ensure!(canonical.contains(&format!("\"erasable:{commitment}\"")), "the entry does not say {commitment}");
    let known = |name: &str| value.get(name).and_then(Value::as_str);
    let Some((salt, text)) = known("salt").zip(known("value")) else {
        println!("{commitment} was erased");
        return Ok(());
    };
    let found = Sha256::new().chain_update(hex::decode(salt)?).chain_update(text).finalize();
    ensure!(hex::encode(found) == commitment, "{text:?} is not what the entry was written with");
    println!("{commitment} is {text:?}");
    Ok(())
}

/// Size and root, if the log's key signed them: the text up to the empty line, then `— NAME BASE64(ID ‖ signature)`.
fn checkpoint(note: &str, public_key: &str) -> Result<(u64, Hash)> {
    let mut parts = public_key.splitn(3, '+');
    let (name, id, key) = parts
        .next()
        .zip(parts.next())
        .zip(parts.next())
        .map(|((a, b), c)| (a, b, c))
        .context("the key is NAME+ID+KEY")?;
    let key = STANDARD.decode(key)?;
    let (mark, key) = key.split_first().context("an empty key")?;
    ensure!(*mark == 1, "the key is not for Ed25519");
    let key = VerifyingKey::from_bytes(key.try_into()?)?;
    let (text, signatures) = note.split_once("\n\n").context("the checkpoint is not signed")?;
    let text = format!("{text}\n");
    let signed = signatures.lines().map_while(|line| line.strip_prefix("— ")).any(|line| {
        let signature = line.strip_prefix(name).and_then(|line| STANDARD.decode(line.trim()).ok()).unwrap_or_default();
        let Some((its_id, signature)) = signature.split_at_checked(4) else { return false };
        let signature = Signature::from_slice(signature);
        hex::encode(its_id) == id && signature.is_ok_and(|it| key.verify_strict(text.as_bytes(), &it).is_ok())
    });
    ensure!(signed, "the checkpoint is not signed with this key");
    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, root, ..] = lines.as_slice() else { anyhow::bail!("this is no checkpoint") };
    ensure!(*origin == name, "the checkpoint is of the log {origin}");
    Ok((size.parse()?, STANDARD.decode(root)?.as_slice().try_into()?))
}

/// SHA-256 of a zero byte, the number in 8 bytes, the hash of the entry before, and the text.
fn leaf(seq: u64, previous: &Hash, canonical: &str) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(seq.to_be_bytes())
        .chain_update(previous)
        .chain_update(canonical)
        .finalize()
        .into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root that the proof leads to: RFC 9162, section 2.1.3.2.
fn included(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    let (mut at, mut last) = (index, size.checked_sub(1)?);
    let mut root = leaf;
    for hash in proof {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            root = node(hash, &root);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            root = node(&root, hash);
        }
        (at, last) = (at / 2, last / 2);
    }
    (last == 0 && index < size).then_some(root)
}

/// Whether the proof leads to both roots: RFC 9162, section 2.1.4.2.
fn consistent(old: u64, new: u64, old_root: Hash, new_root: Hash, proof: &[Hash]) -> Option<bool> {
    if old == new {
        return Some(proof.is_empty() && old_root == new_root);
    }
    // Of an old tree that is a subtree of the new one, the root begins the proof.
    let mut path = proof.iter();
    let first = if old.is_power_of_two() { old_root } else { *path.next()? };
    let (mut at, mut last) = (old.checked_sub(1)?, new.checked_sub(1)?);
    while at % 2 == 1 {
        (at, last) = (at / 2, last / 2);
    }
    let (mut old_found, mut new_found) = (first, first);
    for hash in path {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            old_found = node(hash, &old_found);
            new_found = node(hash, &new_found);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            new_found = node(&new_found, hash);
        }
        (at, last) = (at / 2, last / 2);
    }
    Some(last == 0 && old_found == old_root && new_found == new_root)
}

fn text_of<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value.get(name).and_then(Value::as_str).with_context(|| format!("the answer has no `{name}`"))
}

fn hash(text: &str) -> Result<Hash> {
    Ok(hex::decode(text)?.as_slice().try_into()?)
}

fn hashes(value: &Value, name: &str) -> Result<Vec<Hash>> {
    let all = value.get(name).and_then(Value::as_array).with_context(|| format!("the answer has no `{name}`"))?;
    all.iter().map(|text| hash(text.as_str().unwrap_or_default())).collect()
}
