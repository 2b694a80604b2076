//! Certificate signing requests: what is signed, and what is not.

use base64::Engine as _;
use x509_parser::{
    prelude::{FromDer as _, X509CertificationRequest},
    public_key::PublicKey,
    x509::SubjectPublicKeyInfo,
};

use super::certificate::{CertificateFault, fault, first_pem};

/// The longest text that is looked at, in bytes.
const MAX_TEXT: usize = 16 * 1024;
/// A request to a host has at most 64 lines, of which the CSR may fill 48 with 48 bytes each.
const MAX_DER: usize = 48 * 48;
/// RSA keys below this do not have 128 bits of strength (NIST SP 800-57).
const MIN_RSA_BITS: usize = 3072;

const RSA: &str = "1.2.840.113549.1.1.1";
const ELLIPTIC: &str = "1.2.840.10045.2.1";
const ED25519: &str = "1.3.101.112";
const P_256: &str = "1.2.840.10045.3.1.7";
const P_384: &str = "1.3.132.0.34";
/// ECDSA and RSA with SHA-256, -384 or -512, and Ed25519.
const SIGNATURES: [&str; 7] = [
    "1.2.840.10045.4.3.2",
    "1.2.840.10045.4.3.3",
    "1.2.840.10045.4.3.4",
    "1.2.840.113549.1.1.11",
    "1.2.840.113549.1.1.12",
    "1.2.840.113549.1.1.13",
    ED25519,
];

/// Checks a request: one PEM block, of a size that a host takes, with a key of a kind that is worth
/// signing, and signed by that key (proof of possession). Gives it in the one form that hosts are sent:
/// lines of 64 characters, nothing around them. Its subject and extensions are never used.
pub fn check_csr(text: &str) -> Result<String, CertificateFault> {
    if text.len() > MAX_TEXT {
        return Err(fault(format!("the CSR is longer than {MAX_TEXT} bytes")));
    }
    let pem = first_pem(text, "CERTIFICATE REQUEST")?;
    let (rest, csr) = X509CertificationRequest::from_der(&pem.contents)
        .map_err(|_| fault("the CSR cannot be read: send what `openssl req -new` makes, unchanged"))?;
    if !rest.is_empty() {
        return Err(fault("the CSR has bytes behind its end"));
    }
    if pem.contents.len() > MAX_DER {
        return Err(fault(format!("the CSR has more than {MAX_DER} bytes: leave out its extensions")));
    }
    check_key(&csr.certification_request_info.subject_pki)?;
    if !SIGNATURES.contains(&csr.signature_algorithm.algorithm.to_id_string().as_str()) {
        return Err(fault("the CSR's signature must be made with SHA-256, SHA-384 or SHA-512, or be Ed25519"));
    }
    csr.verify_signature().map_err(|_| fault("the CSR is not signed by the key it is for"))?;
    Ok(in_lines(&pem.contents))
}

/// Whether this key is the one that the request is for.
pub(super) fn is_for(text: &str, key: &SubjectPublicKeyInfo<'_>) -> Result<bool, CertificateFault> {
    let pem = first_pem(text, "CERTIFICATE REQUEST")?;
    let (_, csr) = X509CertificationRequest::from_der(&pem.contents).map_err(|_| fault("the stored CSR is damaged"))?;
    Ok(csr.certification_request_info.subject_pki.raw == key.raw)
}

fn check_key(key: &SubjectPublicKeyInfo<'_>) -> Result<(), CertificateFault> {
    let curve = || Some(key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string());
    let good = match key.algorithm.algorithm.to_id_string().as_str() {
        ED25519 => true,
        ELLIPTIC => curve().is_some_and(|curve| curve == P_256 || curve == P_384),
        RSA => matches!(key.parsed(), Ok(PublicKey::RSA(rsa)) if rsa.key_size() >= MIN_RSA_BITS),
        _ => false,
    };
    if good {
        return Ok(());
    }
    Err(fault(format!(
        "the CSR's key must be ECDSA on P-256 or P-384, Ed25519, or RSA of at least {MIN_RSA_BITS} bits"
    )))
}

fn in_lines(der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = "-----BEGIN CERTIFICATE REQUEST-----".to_owned();
    for (at, digit) in body.chars().enumerate() {
        if at % 64 == 0 {
            text.push('\n');
        }
        text.push(digit);
    }
    text.push_str("\n-----END CERTIFICATE REQUEST-----\n");
    text
}
