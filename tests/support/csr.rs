//! Certificate signing requests, made by OpenSSL.

use anyhow::{Context, Result};
use vpn_core::sandbox::{Janitor, Launch, temporary_directory};

/// A key and a request for it.
#[derive(Debug)]
pub struct Csr {
    /// The request, in PEM.
    pub request: String,
    /// The public key, in PEM.
    pub public_key: String,
}

/// A new key and a request for it, whose subject asks for too much.
pub async fn make() -> Result<Csr> {
    let janitor = Janitor::start()?;
    let directory = temporary_directory(&janitor, "vpn-csr")?;
    let (key, request) = (directory.join("key"), directory.join("csr"));
    Launch::new("openssl")?
        .args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj"])
        .args(["/CN=somebody else", "-addext", "basicConstraints=CA:TRUE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&request)
        .run(&janitor)
        .await?;
    let public_key = Launch::new("openssl")?.args(["pkey", "-pubout", "-in"]).arg(&key).run(&janitor).await?;
    let request = std::fs::read_to_string(&request).context("the request that OpenSSL made")?;
    janitor.stop().await?;
    Ok(Csr { request, public_key })
}

/// The public key of a certificate, in PEM.
pub async fn public_key_of(certificate: &str) -> Result<String> {
    let janitor = Janitor::start()?;
    let file = temporary_directory(&janitor, "vpn-csr")?.join("certificate");
    std::fs::write(&file, certificate)?;
    let key = Launch::new("openssl")?.args(["x509", "-noout", "-pubkey", "-in"]).arg(&file).run(&janitor).await?;
    janitor.stop().await?;
    Ok(key)
}

/// A request for a key of this kind, as `openssl req -newkey` takes it.
pub async fn with_key(kind: &[&str]) -> Result<String> {
    let janitor = Janitor::start()?;
    let directory = temporary_directory(&janitor, "vpn-csr")?;
    let request = directory.join("csr");
    Launch::new("openssl")?
        .args(["req", "-new", "-noenc", "-subj", "/CN=somebody", "-keyout"])
        .arg(directory.join("key"))
        .arg("-out")
        .arg(&request)
        .arg("-newkey")
        .args(kind)
        .run(&janitor)
        .await?;
    let request = std::fs::read_to_string(&request).context("the request that OpenSSL made")?;
    janitor.stop().await?;
    Ok(request)
}
