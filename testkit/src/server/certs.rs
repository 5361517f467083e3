//! Certificates made at start: a CA of our own, good leaves and bad ones.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The result for a client that tries to speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tls {
    /// A leaf for `localhost` and 127.0.0.1 by the server's CA, valid from a month ago for a year
    /// and a bit: a board that wakes in 1970 finds it not yet valid, as it would the real one.
    #[default]
    Good,
    /// The same leaf by a CA that nobody trusts: the interceptor.
    WrongCa,
    /// The right CA, a leaf that ended yesterday.
    Expired,
    /// The right CA, a leaf that begins tomorrow: what a client finds whose clock is a day behind.
    NotYetValid,
    /// The right CA, a leaf for another host.
    WrongName,
    /// The connection is accepted and nothing is ever said on it.
    Silent,
}

/// The CA and an acceptor for each kind of leaf.
pub(crate) struct Certificates {
    /// The CA that clients are to trust.
    pub(crate) ca_pem: String,
    good: TlsAcceptor,
    wrong_ca: TlsAcceptor,
    expired: TlsAcceptor,
    not_yet_valid: TlsAcceptor,
    wrong_name: TlsAcceptor,
}

impl Certificates {
    pub(crate) fn make(names: &[String]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let now = SystemTime::now();
        let (from, until) = (now - 30 * DAY, now + 398 * DAY);
        let here: Vec<_> = ["localhost", "127.0.0.1"]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .collect();
        let here = here.as_slice();
        let ours = authority("c2c-sim test CA")?;
        let theirs = authority("c2c-sim untrusted CA")?;
        Ok(Self {
            ca_pem: ours.pem(),
            good: acceptor(&ours, here, from, until)?,
            wrong_ca: acceptor(&theirs, here, from, until)?,
            expired: acceptor(&ours, here, from, now - DAY)?,
            not_yet_valid: acceptor(&ours, here, now + DAY, until)?,
            wrong_name: acceptor(&ours, &["elsewhere.invalid"], from, until)?,
        })
    }

    /// The acceptor to shake hands with. `None` where there is to be no handshake.
    pub(crate) fn acceptor(&self, tls: Tls) -> Option<&TlsAcceptor> {
        match tls {
            Tls::Good => Some(&self.good),
            Tls::WrongCa => Some(&self.wrong_ca),
            Tls::Expired => Some(&self.expired),
            Tls::NotYetValid => Some(&self.not_yet_valid),
            Tls::WrongName => Some(&self.wrong_name),
            Tls::Silent => None,
        }
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn acceptor(
    authority: &CertifiedIssuer<'_, KeyPair>,
    names: &[&str],
    from: SystemTime,
    until: SystemTime,
) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "c2c-sim");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = from.into();
    params.not_after = until.into();
    let leaf = params.signed_by(&key, authority)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
