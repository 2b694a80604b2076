//! `audit keygen | checkpoint | verify | export`, as an auditor runs them.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use vpn_tests::{Database, World, attack::Attacker, eventually, programs};

use super::filled;

/// An auditor's desk: the program, a key, files.
struct Desk {
    world: World,
    directory: TempDir,
    keys: Vec<String>,
}

impl Desk {
    async fn on(database: Database) -> Result<Self> {
        let mut desk = Self { world: World::on(database).await?, directory: tempfile::tempdir()?, keys: Vec::new() };
        filled(&desk.world).await?;
        desk.new_key("key").await?;
        Ok(desk)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn new_key(&mut self, name: &str) -> Result<()> {
        let made = self.run(&["keygen"]).await?;
        std::fs::write(self.path(name), &made.stdout)?;
        let told = String::from_utf8(made.stderr)?;
        self.keys.push(told.lines().last().context("the public key")?.to_owned());
        Ok(())
    }

    /// The read-only way in, where the database has one.
    fn url(&self) -> String {
        match self.world.db.database {
            Database::Sqlite => format!("{}?mode=ro", self.world.db.url),
            _ => self.world.db.url.clone(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(programs::built("vpn-graphql")?);
        command.arg("audit").args(arguments).env("VPN_DATABASE_URL", self.url());
        if self.path("key").exists() {
            command.env("VPN_CHECKPOINT_KEY_FILE", self.path("key"));
        }
        Ok(command)
    }

    async fn output(&self, arguments: &[&str]) -> Result<Output> {
        programs::output(&mut self.command(arguments)?).await
    }

    async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.output(arguments).await?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    /// What the command said when it failed.
    async fn fails(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments).await?;
        ensure!(!output.status.success(), "{arguments:?} went through");
        Ok(String::from_utf8(output.stderr)?)
    }

    async fn verify(&self, checkpoints: &Path, key: usize) -> Result<String> {
        let file = checkpoints.to_string_lossy();
        let output = self.run(&["verify", "--checkpoint", &file, "--public-key", &self.keys[key]]).await?;
        Ok(String::from_utf8(output.stdout)?)
    }
}

async fn a_log_is_signed_for_and_verified(database: Database) -> Result<()> {
    let desk = Desk::on(database).await?;
    let kept = desk.path("kept");
    let file = kept.to_string_lossy().into_owned();
    desk.run(&["checkpoint", "--file", &file]).await?;
    desk.run(&["checkpoint", "--file", &file]).await?;
    ensure!(desk.verify(&kept, 0).await?.contains("it continues the checkpoint"), "nothing new, nothing signed");
    desk.world.client().await?;
    desk.run(&["checkpoint", "--file", &file]).await?;
    ensure!(desk.verify(&kept, 0).await?.contains("it continues all 2 checkpoints"));

    let export = desk.path("export");
    std::fs::write(&export, desk.run(&["export"]).await?.stdout)?;
    let export = export.to_string_lossy();
    desk.run(&["verify", "--file", &export, "--checkpoint", &file, "--public-key", &desk.keys[0]]).await?;

    // The last two entries are gone, and the head says so.
    let mut attacker = Attacker::on(&desk.world.db).await?;
    if database == Database::Sqlite {
        attacker.run("DROP TRIGGER audit_log_delete; DROP TRIGGER audit_head_update").await?;
    } else {
        attacker.run("ALTER TABLE audit_log DISABLE TRIGGER ALL").await?;
        attacker.run("ALTER TABLE audit_head DISABLE TRIGGER ALL").await?;
    }
    attacker.run("DELETE FROM audit_log WHERE seq > (SELECT seq - 2 FROM audit_head)").await?;
    attacker
        .run("UPDATE audit_head SET seq = seq - 2, leaf_hash = (SELECT l.leaf_hash FROM audit_log l ORDER BY l.seq DESC LIMIT 1)")
        .await?;
    let said = desk.fails(&["verify", "--checkpoint", &file, "--public-key", &desk.keys[0]]).await?;
    ensure!(said.contains("its tail was cut"), "{said}");
    // Who signs does not sign a log that lost entries, however many it gets later.
    let said = desk.fails(&["checkpoint", "--file", &file]).await?;
    ensure!(said.contains("its tail was cut"), "{said}");
    filled(&desk.world).await?;
    let said = desk.fails(&["checkpoint", "--file", &file]).await?;
    ensure!(said.contains("was rewritten"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_log_on_sqlite_is_signed_for_and_verified() -> Result<()> {
    a_log_is_signed_for_and_verified(Database::Sqlite).await
}

#[tokio::test]
async fn a_log_on_postgres_is_signed_for_and_verified() -> Result<()> {
    a_log_is_signed_for_and_verified(Database::Postgres).await
}

#[tokio::test]
async fn one_key_is_exchanged_for_another() -> Result<()> {
    let mut desk = Desk::on(Database::Sqlite).await?;
    let kept = desk.path("kept");
    let file = kept.to_string_lossy().into_owned();
    desk.run(&["checkpoint", "--file", &file]).await?;
    desk.new_key("new").await?;
    // For a time, both sign.
    let both = std::fs::read_to_string(desk.path("key"))? + &std::fs::read_to_string(desk.path("new"))?;
    std::fs::write(desk.path("key"), both)?;
    desk.world.client().await?;
    desk.run(&["checkpoint", "--file", &file]).await?;
    desk.verify(&kept, 0).await?;
    // Then the new one alone, which has to be told who signed before.
    std::fs::copy(desk.path("new"), desk.path("key"))?;
    desk.world.client().await?;
    let said = desk.fails(&["checkpoint", "--file", &file]).await?;
    ensure!(said.contains("none of the keys"), "{said}");
    let old = desk.keys[0].clone();
    desk.run(&["checkpoint", "--file", &file, "--public-key", &old]).await?;
    let both = ["verify", "--checkpoint", &file, "--public-key", &old, "--public-key", &desk.keys[1]];
    let said = String::from_utf8(desk.run(&both).await?.stdout)?;
    ensure!(said.contains("all 3 checkpoints"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_log_that_is_watched_is_signed_for_as_it_grows() -> Result<()> {
    let desk = Desk::on(Database::Postgres).await?;
    let (kept, copies) = (desk.path("kept"), desk.path("copies"));
    let arguments = ["checkpoint", "--file", &kept.to_string_lossy(), "--every", "3600", "--entries", "1"];
    let append = format!("cat >>'{}'", copies.display());
    let mut command = desk.command(&arguments)?;
    let mut watching = command.args(["--exec", "sh", "-c", &append]).stdout(Stdio::null()).spawn()?;
    let count = |file: &Path| std::fs::read_to_string(file).map_or(0, |text| text.matches("— ").count());
    eventually("a first checkpoint", async || Ok(count(&copies) == 1)).await?;
    desk.world.client().await?;
    eventually("a second checkpoint", async || Ok(count(&copies) >= 2)).await?;
    let id = watching.id().context("it runs")?;
    ensure!(Command::new("kill").arg(id.to_string()).status().await?.success());
    ensure!(watching.wait().await?.success(), "it ends in order");
    assert_eq!(std::fs::read_to_string(&kept)?, std::fs::read_to_string(&copies)?);
    desk.verify(&kept, 0).await?;
    Ok(())
}

#[tokio::test]
async fn a_key_signs_for_its_own_log_only() -> Result<()> {
    let desk = Desk::on(Database::Sqlite).await?;
    let other = desk.run(&["keygen", "--origin", "vpn-audit/another"]).await?;
    std::fs::write(desk.path("key"), other.stdout)?;
    let said = desk.fails(&["checkpoint"]).await?;
    ensure!(said.contains("this is a key of the log vpn-audit/another"), "{said}");
    Ok(())
}
