//! The roots that servers are checked against, and plain words for what is wrong with one, or with
//! a certificate that a server shows.
//!
//! Must never: repeat a text of a certificate. Whoever sent it could have written anything there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, pem};
use rustls::{CertificateError, Error, RootCertStore};

use super::tls::TlsError;

/// The roots of a `ca-file`. [`ca_file_warnings`] names what is passed over in it.
pub(super) fn file_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let unreadable = |source| TlsError::CaFileUnreadable {
        path: path.to_owned(),
        source,
    };
    let malformed = |fault: String| TlsError::CaFileMalformed {
        path: path.to_owned(),
        fault,
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&fs::read(path).map_err(unreadable)?).map_err(malformed)? {
        let added = roots.add(certificate);
        added.map_err(|_| malformed("a certificate in it is damaged; copy the file again".to_owned()))?;
    }
    Ok(roots)
}

/// Faults of a `ca-file` that can be read: each a sentence with its cure.
pub(crate) fn ca_file_warnings(path: &Path) -> Vec<String> {
    let text = fs::read(path).unwrap_or_default();
    let found = certificates(&text).unwrap_or_default();
    let others = foreign_sections(&text).into_iter().map(|label| {
        let cure = cure_of_section(&label).unwrap_or("only CERTIFICATE sections are read");
        format!("tls.ca-file {}: {label:?} is passed over; {cure}", path.display())
    });
    let faults = found.iter().zip(1..).filter_map(|(certificate, number)| {
        let fault = root_fault(certificate)?;
        Some(format!(
            "certificate {number} of tls.ca-file {}: {fault}",
            path.display()
        ))
    });
    faults.chain(others).collect()
}

/// The image owns trust (`SSL_CERT_FILE` and `SSL_CERT_DIR` included). A root that cannot be used
/// is passed over, as the system's other programs do.
pub(super) fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    #[cfg(feature = "webpki-roots")]
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a CA certificate cannot be read");
    }
    // One by one, so that each certificate is freed as soon as its name and key are taken over.
    let (_, unusable) = roots.add_parsable_certificates(found.certs);
    if unusable > 0 {
        tracing::debug!(unusable, "CA certificates passed over");
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    Ok(roots)
}

/// Why a server's certificate is not trusted: a clause, and its cure.
pub(super) fn explain(error: &Error) -> String {
    let Error::InvalidCertificate(fault) = error else {
        return match error {
            Error::NoCertificatesPresented => "the server shows no certificate; mend the server".to_owned(),
            other => format!("it cannot be verified ({other})"),
        };
    };
    let clause = match fault {
        CertificateError::UnknownIssuer => {
            "no authority that is trusted here issued it: a login page or traffic inspection of this network, or \
             tls.ca-file has to hold its issuer"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name: a login page of this network, or another address in [provider]"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired: renew it at the server, or set the clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: set the clock"
        }
        CertificateError::Revoked => "it was revoked: renew it at the server",
        CertificateError::BadEncoding => "it is malformed: renew it at the server",
        CertificateError::BadSignature => {
            "its signature does not fit the key of its issuer, or that is an RSA key below 2048 bits, which is too \
             short: put the right issuer into tls.ca-file, with a longer key"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "it is not meant for servers (extended key usage): renew it at the server"
        }
        fault if has_name(fault, "CaUsedAsEndEntity") => {
            "the server shows the certificate of an authority as its own (often a self-signed one): let this authority \
             issue one for the server"
        }
        fault if has_name(fault, "EndEntityUsedAsCa") => {
            "it was issued by a certificate that is no authority: put the issuer of that one into tls.ca-file"
        }
        fault if has_name(fault, "UnsupportedSignatureAlgorithm") => {
            "its key type or signature is not supported (P-521, ECDSA with SHA-512 on P-256, SHA-1): use RSA with 2048 \
             bits or more, P-256 with SHA-256, P-384 with SHA-384, or Ed25519"
        }
        other => return format!("it cannot be verified ({other})"),
    };
    clause.to_owned()
}

/// rustls has these in types of its own verifier, or as several variants of which one is
/// deprecated.
fn has_name(fault: &CertificateError, name: &str) -> bool {
    format!("{fault:?}").contains(name)
}

/// The certificates of a PEM file: at least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let certificates = certificates.map_err(|error| match error {
        pem::Error::MissingSectionEnd { .. } => "a certificate in it is cut off; copy the file again".to_owned(),
        error => format!("it is damaged ({error}); copy the file again"),
    })?;
    if !certificates.is_empty() {
        return Ok(certificates);
    }
    Err(if text.is_empty() {
        "it is empty; put the PEM certificates of the authorities into it".to_owned()
    } else if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") || text.starts_with(b"-\0") {
        "it is UTF-16 text; convert it: iconv -f UTF-16 -t ASCII".to_owned()
    } else if text.starts_with(b"\x30\x82") || text.starts_with(b"\x30\x81") {
        "it is DER, not PEM; convert it: openssl x509 -inform DER".to_owned()
    } else if let Some(cure) = foreign_sections(text).iter().find_map(|label| cure_of_section(label)) {
        format!("it holds no CERTIFICATE; {cure}")
    } else {
        "it holds no certificate (\"-----BEGIN CERTIFICATE-----\")".to_owned()
    })
}

/// The labels of all other sections of a PEM file (RFC 7468 §2).
fn foreign_sections(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(text);
    let labels = text.lines().filter_map(|line| {
        let label = line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        (label != "CERTIFICATE").then(|| label.to_owned())
    });
    labels.collect()
}

fn cure_of_section(label: &str) -> Option<&'static str> {
    match label {
        "TRUSTED CERTIFICATE" => Some("it is a form of OpenSSL's own; convert it: openssl x509"),
        "PKCS7" => Some("it is PKCS #7; convert it: openssl pkcs7 -print_certs"),
        _ => None,
    }
}

/// Why no server can be verified by this root, if so.
fn root_fault(certificate: &[u8]) -> Option<&'static str> {
    let parsed = Parsed::read(certificate)?;
    match parsed.key {
        Key::Unsupported => Some(
            "its key type is not supported (P-521 and DSA are not): use an authority with RSA of 2048 bits or more, \
             P-256, P-384 or Ed25519",
        ),
        Key::Short => {
            Some("its RSA key has less than 2048 bits, which is too short: use an authority with a longer key")
        }
        Key::Good if !parsed.is_authority && !parsed.is_self_signed => {
            Some("it is no authority but somebody's own certificate: put the certificate of its issuer here")
        }
        Key::Good => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Good,
    Short,
    Unsupported,
}

/// RFC 5280 §4.2.1.9: critical or not, then OCTET STRING { SEQUENCE { BOOLEAN TRUE, … } }.
const CONSTRAINTS: &[u8] = &[0x06, 0x03, 0x55, 0x1d, 0x13];

struct Parsed {
    key: Key,
    is_authority: bool,
    is_self_signed: bool,
}

impl Parsed {
    /// RFC 5280 §4.1. `None` where it is no certificate of this form: then nothing is said.
    fn read(certificate: &[u8]) -> Option<Self> {
        let mut whole = Der(certificate);
        let mut outer = Der(whole.value(0x30)?);
        let mut inner = Der(outer.value(0x30)?);
        // Version 1 has no such member, and no extensions either: its roots are old authorities.
        let version = inner.value(0xa0);
        inner.value(0x02)?;
        inner.value(0x30)?;
        let issuer = inner.value(0x30)?;
        inner.value(0x30)?;
        let subject = inner.value(0x30)?;
        let key = Key::read(inner.value(0x30)?)?;
        let at = inner.0.windows(CONSTRAINTS.len()).position(|part| part == CONSTRAINTS);
        let constraints = at.map(|at| Der(&inner.0[at + CONSTRAINTS.len()..]));
        let is_authority = constraints.map_or(version.is_none(), |mut constraints| {
            constraints.value(0x01);
            let sequence = constraints.value(0x04).and_then(|octets| Der(octets).value(0x30));
            sequence.and_then(|members| Der(members).value(0x01)) == Some(&[0xff])
        });
        Some(Self {
            key,
            is_authority,
            is_self_signed: issuer == subject,
        })
    }
}

impl Key {
    /// RFC 5280 §4.1.2.7, with the object identifiers of RFC 3279, RFC 5480 and RFC 8410.
    fn read(key: &[u8]) -> Option<Self> {
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
        const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
        const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
        const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
        let mut key = Der(key);
        let mut algorithm = Der(key.value(0x30)?);
        let kind = algorithm.value(0x06)?;
        Some(match kind {
            RSA => {
                // The first byte counts unused bits.
                let bits = key.value(0x03)?.get(1..)?;
                let modulus = Der(Der(bits).value(0x30)?).value(0x02)?;
                let leading = modulus.iter().take_while(|byte| **byte == 0).count();
                if modulus.len() - leading < 256 {
                    Self::Short
                } else {
                    Self::Good
                }
            }
            ELLIPTIC
                if algorithm
                    .value(0x06)
                    .is_some_and(|curve| curve == P256 || curve == P384) =>
            {
                Self::Good
            }
            ED25519 => Self::Good,
            _ => Self::Unsupported,
        })
    }
}

/// The rest of values in DER (X.690 §8.1).
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The contents of the next value, if it has this tag. Nothing moves if it has another.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (length, rest) = match self.0.strip_prefix(&[tag])? {
            [length @ 0..=0x7f, rest @ ..] | [0x81, length, rest @ ..] => (usize::from(*length), rest),
            [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }
}

/// As a `ca-file` is read before a pairing.
pub(super) fn warn_of(path: &Path) {
    for warning in ca_file_warnings(path) {
        tracing::warn!("{warning}");
    }
}
