//! Reads what a host says it made, and what a caller wants signed. A host that answers "done" with
//! another certificate than the one that was asked for is not believed.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use x509_parser::pem::Pem;

use super::csr::is_for;
use crate::{
    clock::Timestamp,
    domain::{Certificate, Client},
};

/// What is wrong with a certificate or a CSR.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CertificateFault(String);

pub(super) fn fault(text: impl Into<String>) -> CertificateFault {
    CertificateFault(text.into())
}

/// The client's certificate from a profile, checked: its serial and its common name are the client's,
/// and after a CSR its key is the CSR's.
pub fn certificate_of_profile(
    profile: &SecretString,
    client: &Client,
    csr: Option<&str>,
) -> Result<Certificate, CertificateFault> {
    let text = profile.expose_secret();
    let block = between(text, "<cert>", "</cert>").ok_or_else(|| fault("the profile has no certificate"))?;
    let pem = first_pem(block, "CERTIFICATE")?;
    let certificate = pem.parse_x509().map_err(|error| fault(format!("the certificate cannot be read: {error}")))?;
    let serial = format!("{:032X}", certificate.tbs_certificate.serial);
    if serial != client.serial.as_str() {
        return Err(fault(format!("the certificate has the serial {serial}, asked for was {}", client.serial)));
    }
    let names: Vec<_> =
        certificate.subject().iter_common_name().map(|name| name.as_str().unwrap_or_default()).collect();
    if names != [client.name.as_str()] {
        return Err(fault(format!("the certificate has the common name {names:?}, asked for was {}", client.name)));
    }
    if let Some(csr) = csr
        && !is_for(csr, certificate.public_key())?
    {
        return Err(fault("the certificate has another key than the CSR"));
    }
    Ok(Certificate {
        sha256_fingerprint: hex::encode(Sha256::digest(&pem.contents)),
        not_before: Timestamp::from_seconds(certificate.validity().not_before.timestamp()),
        not_after: Timestamp::from_seconds(certificate.validity().not_after.timestamp()),
    })
}

/// Whether the certificate is valid `now`, and for as long as was asked. A host that was asked before gives the
/// first certificate again; one of an older version does so whatever was asked then.
pub fn check_validity(certificate: &Certificate, days: u16, now: Timestamp) -> Result<(), CertificateFault> {
    const DAY: Duration = Duration::from_hours(24);
    /// Two clocks that are set by the network are nearer to each other.
    const APART: Duration = Duration::from_mins(10);
    let (from, until) = (certificate.not_before, certificate.not_after);
    if from.minus(APART) > now || until <= now {
        return Err(fault(format!(
            "the certificate is valid from {} to {}, and it is {} here: set the host's clock right, revoke this client and \
             create a new one",
            from.to_utc(),
            until.to_utc(),
            now.to_utc()
        )));
    }
    let valid = certificate.not_after.since(certificate.not_before);
    // The two ends are not taken from one look at the clock, and the first may be set back a little.
    if valid.abs_diff(DAY * u32::from(days)) < DAY / 2 {
        return Ok(());
    }
    let has = (valid + DAY / 2).as_secs() / DAY.as_secs();
    Err(fault(format!(
        "the certificate is valid for {has} days, asked for were {days}: ask for {has}, or create a new client"
    )))
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(open)?;
    rest.split_once(close).map(|(inside, _)| inside)
}

pub(super) fn first_pem(text: &str, label: &str) -> Result<Pem, CertificateFault> {
    let mut blocks = Pem::iter_from_buffer(text.as_bytes());
    let pem = blocks.next().and_then(Result::ok).ok_or_else(|| fault(format!("there is no PEM block `{label}`")))?;
    if pem.label != label {
        return Err(fault(format!("the PEM block is `{}`, not `{label}`", pem.label)));
    }
    if blocks.next().is_some() {
        return Err(fault("there is more than one PEM block"));
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const DAY: i64 = 1_440 * MINUTE;

    fn said(from: i64, until: i64, days: u16, now: i64) -> String {
        let (not_before, not_after) = (Timestamp::from_seconds(from), Timestamp::from_seconds(until));
        let certificate = Certificate { sha256_fingerprint: String::new(), not_before, not_after };
        check_validity(&certificate, days, Timestamp::from_seconds(now))
            .map_or_else(|it| it.to_string(), |()| "good".into())
    }

    #[test]
    fn a_certificate_is_valid_now_and_for_as_long_as_was_asked() {
        assert_eq!(said(0, 30 * DAY, 30, 0), "good");
        assert_eq!(said(0, 30 * DAY - MINUTE, 30, 20 * DAY), "good", "asked for again, or made by clocks that differ");
        assert!(said(0, 30 * DAY, 60, 0).contains("valid for 30 days, asked for were 60"));
    }

    #[test]
    fn a_host_with_a_wrong_clock_makes_no_client_active() {
        assert_eq!(said(5 * MINUTE, 30 * DAY, 30, 0), "good", "no two clocks are the same");
        for (from, until) in [(11 * MINUTE, 30 * DAY), (-30 * DAY, 0)] {
            let said = said(from, until, 30, 0);
            assert!(said.contains("it is 1970-01-01 00:00:00 UTC here: set the host's clock right"), "{said}");
        }
    }
}
