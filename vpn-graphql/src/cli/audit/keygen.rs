//! `audit keygen`.

use anyhow::Result;
use clap::Args;
use vpn_core::{
    audit::note::SigningKey,
    clock::Ambient,
    config::Sources,
    secrecy::{ExposeSecret as _, SecretString},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Keygen {
    /// The log that it will sign for, as `audit verify` prints it; without it, the configured database is
    /// asked.
    #[arg(long, value_name = "LOG")]
    origin: Option<String>,
}

impl Keygen {
    pub(super) async fn run(self, sources: &Sources) -> Result<()> {
        let origin = match self.origin {
            Some(origin) => origin,
            None => crate::cli::open(sources)?.read().await?.audit_origin().await?,
        };
        let secret: SecretString = SigningKey::generate(&origin, &Ambient::system())?;
        for key in SigningKey::read(&secret)? {
            eprintln!("the public key, for those who verify:\n{}", key.public());
        }
        println!("{}", secret.expose_secret());
        Ok(())
    }
}
