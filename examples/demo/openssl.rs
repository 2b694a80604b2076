//! The checks that OpenVPN would make, made with OpenSSL.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use vpn_core::sandbox::{Launch, Sandbox, VpnHost};

/// Key and certificate belong together, and the certificate is valid under the host's CA and CRL.
pub(crate) async fn check(sandbox: &Sandbox, host: &VpnHost, profile: &str) -> Result<()> {
    let file = |name: &str, text: &str| -> Result<PathBuf> {
        let path = host.private_key_path().with_file_name(name);
        std::fs::write(&path, text)?;
        Ok(path)
    };
    let (ca, cert) = (file("demo-ca.pem", block(profile, "ca")?)?, file("demo-cert.pem", block(profile, "cert")?)?);
    let key = file("demo-key.pem", block(profile, "key")?)?;
    let crl = host.state.join("pub/crl.pem");
    let of_key = Launch::new("openssl")?.args(["pkey", "-pubout", "-in"]).arg(&key).run(sandbox.janitor()).await?;
    let of_cert =
        Launch::new("openssl")?.args(["x509", "-noout", "-pubkey", "-in"]).arg(&cert).run(sandbox.janitor()).await?;
    std::fs::remove_file(&key)?;
    ensure!(of_key == of_cert, "the key in the profile is not the certificate's");
    let verify = Launch::new("openssl")?.args(["verify", "-purpose", "sslclient", "-crl_check", "-CAfile"]).arg(&ca);
    verify.arg("-CRLfile").arg(&crl).arg(&cert).run(sandbox.janitor()).await?;
    Ok(())
}

fn block<'p>(profile: &'p str, tag: &str) -> Result<&'p str> {
    let (_, rest) = profile.split_once(&format!("<{tag}>\n")).with_context(|| format!("the profile has no <{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside).with_context(|| format!("<{tag}> does not end"))
}
