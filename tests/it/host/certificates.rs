//! A host that says "done" with another certificate than the one that was asked for is not believed,
//! and a caller's CSR is looked at before it goes anywhere.

use anyhow::{Context, Result, ensure};
use vpn_core::{
    domain::Client,
    host::{certificate_of_profile, check_csr},
    secrecy::{ExposeSecret as _, SecretString},
};
use vpn_tests::{
    csr,
    hosts::{self, Errand},
};

use super::block;

fn fault(profile: &str, client: &Client) -> Result<String> {
    match certificate_of_profile(&SecretString::from(profile.to_owned()), client, None) {
        Ok(certificate) => anyhow::bail!("believed: {certificate:?}"),
        Err(fault) => Ok(fault.to_string()),
    }
}

#[tokio::test]
async fn a_certificate_of_another_client_is_not_believed() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let profile = hosts.issue(errand.at(&server), &hosts::input()).await?.profile;
    let (text, other) = (profile.expose_secret(), Errand::new().await?.client);

    let client = Client { serial: other.serial.clone(), ..errand.client.clone() };
    ensure!(fault(text, &client)?.contains("serial"));
    let client = Client { name: other.name.clone(), ..errand.client.clone() };
    ensure!(fault(text, &client)?.contains("common name"));
    Ok(())
}

#[tokio::test]
async fn a_profile_without_a_readable_certificate_is_not_believed() -> Result<()> {
    let host = hosts::shared().await?;
    let (hosts, server, errand) = (hosts::hosts(host)?, hosts::server(host)?, Errand::new().await?);
    let profile = hosts.issue(errand.at(&server), &hosts::input()).await?.profile;
    let certificate = block(&profile, "cert").context("a certificate")?;
    let cut = certificate.lines().take(3).collect::<Vec<_>>().join("\n");
    for (profile, words) in [
        (String::new(), "no certificate"),
        ("<cert>\n".to_owned(), "no certificate"),
        ("<cert>\n</cert>".to_owned(), "no PEM block"),
        (format!("<cert>\n{cut}\n</cert>"), "no PEM block"),
        (format!("<cert>\n{certificate}{certificate}</cert>"), "more than one"),
        (format!("<cert>\n{}</cert>", certificate.replace("CERTIFICATE", "PUBLIC KEY")), "not `CERTIFICATE`"),
    ] {
        let said = fault(&profile, &errand.client)?;
        ensure!(said.contains(words), "{said} instead of {words}");
    }
    Ok(())
}

/// However it is written down, hosts are sent it in one form.
#[tokio::test]
async fn a_csr_comes_out_in_lines_of_64() -> Result<()> {
    let csr = csr::make().await?.request;
    let good = check_csr(&csr)?;
    let body: String = csr.lines().filter(|line| !line.starts_with("-----")).collect();
    let framed =
        |body: &str| format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n");
    let wide = body.as_bytes().chunks(76).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    for text in [framed(&body), framed(&wide), format!("Certificate Request:\n    Data: …\n{csr}")] {
        assert_eq!(check_csr(&text)?, good, "{text}");
    }
    assert!(good.lines().all(|line| line.len() <= 64));
    assert!(check_csr(&framed(&"A".repeat(20_000))).is_err());
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_not_worth_signing_is_refused() -> Result<()> {
    for key in [&["rsa:3072"][..], &["ed25519"], &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]] {
        check_csr(&csr::with_key(key).await?)?;
    }
    for key in [&["rsa:2048"][..], &["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], &["rsa:3072", "-sha1"]] {
        let refused = check_csr(&csr::with_key(key).await?);
        ensure!(refused.is_err(), "{key:?} was taken");
    }
    Ok(())
}

#[tokio::test]
async fn a_csr_that_nobody_signed_is_refused() -> Result<()> {
    let csr = csr::make().await?.request;
    check_csr(&csr)?;
    check_csr(&csr.replace('\n', "\r\n"))?;
    let mut lines: Vec<String> = csr.lines().map(str::to_owned).collect();
    // Somewhere in the middle: the key, or what is asked for it.
    let middle = lines.len() / 2;
    let changed = if lines[middle].starts_with('A') { "B" } else { "A" };
    lines[middle].replace_range(0..1, changed);
    let tampered = lines.join("\n");
    for (text, words) in [
        (String::new(), "no PEM block"),
        ("hello".to_owned(), "no PEM block"),
        (tampered, ""),
        (format!("{csr}{csr}"), "more than one"),
        (csr.replace("CERTIFICATE REQUEST", "CERTIFICATE"), "not `CERTIFICATE REQUEST`"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n".to_owned(), "cannot be read"),
    ] {
        let Err(fault) = check_csr(&text) else { anyhow::bail!("it was taken: {text}") };
        ensure!(fault.to_string().contains(words), "{fault} instead of {words}");
    }
    Ok(())
}
