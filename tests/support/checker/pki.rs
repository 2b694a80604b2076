//! What is true on a VPN host, read from its files and by OpenSSL, past the platform and the host's own
//! scripts.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Stdio,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{io::AsyncWriteExt as _, process::Command};
use vpn_core::domain::ClientId;

/// The certificates and revocations of a host.
#[derive(Debug, Default)]
pub(super) struct Pki {
    /// Serials with a certificate that is not revoked, by the client they are bound to.
    pub live: BTreeMap<ClientId, BTreeSet<String>>,
    /// All serials that were ever bound to a client.
    pub bound: BTreeMap<ClientId, BTreeSet<String>>,
    /// Serials with a tombstone.
    pub tombstones: BTreeSet<String>,
    /// Serials in the CRL in force, which the CA has signed.
    pub crl: BTreeSet<String>,
    /// The highest fencing token that was seen for each serial.
    pub fences: BTreeMap<String, i64>,
    /// SHA-256 of each certificate, by serial.
    pub fingerprints: BTreeMap<String, String>,
}

impl Pki {
    /// Reads the state directory of a host. Certificates of clients that are not `ours` are counted
    /// and not opened: on a shared host they come and go.
    pub(super) async fn read(state: &Path, ours: impl Fn(&ClientId) -> bool) -> Result<Self> {
        let mut pki = Self { crl: crl(state).await?, tombstones: names(&state.join("revoked"))?, ..Self::default() };
        for serial in names(&state.join("fence"))? {
            let text = fs::read_to_string(state.join("fence").join(&serial))?;
            let token = text.split_whitespace().next().and_then(|word| word.parse().ok());
            pki.fences.insert(serial, token.context("a fence is a number")?);
        }
        for serial in names(&state.join("intent"))? {
            let owner = owner(&state.join("intent").join(&serial))?;
            pki.bound.entry(owner).or_default().insert(serial.clone());
            // What is revoked between the two looks is neither live nor wrong.
            let issued = state.join("issued").join(&serial);
            if pki.tombstones.contains(&serial) || !issued.exists() {
                continue;
            }
            pki.live.entry(owner).or_default().insert(serial);
        }
        pki.read_fingerprints(state, ours).await?;
        Ok(pki)
    }

    /// Also proves that each certificate carries the serial that its file is named after.
    async fn read_fingerprints(&mut self, state: &Path, ours: impl Fn(&ClientId) -> bool) -> Result<()> {
        for serial in self.live.iter().filter(|(client, _)| ours(client)).flat_map(|(_, serials)| serials) {
            let profile = fs::read_to_string(state.join("issued").join(serial))?;
            let certificate = profile.split_once("<cert>\n").and_then(|(_, rest)| rest.split_once("</cert>"));
            let (certificate, _) = certificate.with_context(|| format!("issued/{serial} holds no certificate"))?;
            let (shown, _) = openssl(&["x509", "-noout", "-serial", "-fingerprint", "-sha256"], certificate).await?;
            let shown_serial = shown.lines().find_map(|line| line.strip_prefix("serial=")).map(whole);
            ensure!(shown_serial.as_ref() == Some(serial), "issued/{serial} holds another serial: {shown}");
            let print = shown.lines().find_map(|line| line.split_once("ingerprint=")).context("a fingerprint")?.1;
            self.fingerprints.insert(serial.clone(), print.replace(':', "").to_lowercase());
        }
        Ok(())
    }
}

/// As hosts name their files: OpenSSL leaves out zeros at the front, which serials from before the platform have.
#[must_use]
pub fn whole(serial: &str) -> String {
    format!("{serial:0>32}")
}

/// `NAME CLIENT …`
fn owner(file: &Path) -> Result<ClientId> {
    let text = fs::read_to_string(file)?;
    let client = text.split_whitespace().nth(1).with_context(|| format!("{} names no client", file.display()))?;
    Ok(client.parse()?)
}

fn names(directory: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    Ok(names)
}

/// The serials of the CRL, once OpenSSL has found the CA's signature good.
pub async fn crl(state: &Path) -> Result<BTreeSet<String>> {
    let ca = state.join("ca/ca.crt");
    let crl = fs::read_to_string(state.join("pub/crl.pem"))?;
    let (text, verdict) =
        openssl(&["crl", "-noout", "-text", "-verify", "-CAfile", &ca.to_string_lossy()], &crl).await?;
    // It ends with 0 when the signature is wrong, too.
    ensure!(verdict.contains("verify OK"), "the CRL in force does not verify: {verdict}");
    Ok(text.lines().filter_map(|line| line.trim().strip_prefix("Serial Number: ")).map(whole).collect())
}

/// What it says, on standard output and standard error.
async fn openssl(arguments: &[&str], input: &str) -> Result<(String, String)> {
    let mut command = Command::new("openssl");
    // Debian's bundle of public CAs takes longer to read than all the rest.
    command.args(arguments).env("SSL_CERT_FILE", "/dev/null").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("openssl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = child.wait_with_output().await.context("openssl")?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "openssl {}: {errors}", arguments.join(" "));
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), errors))
}
