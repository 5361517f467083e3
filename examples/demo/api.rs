//! The API as an uploader meets it: a request with a bearer token, and a status.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Trouble;

/// Asks the API who we are, which needs a living token as an upload does, and tells its HTTP
/// status.
pub(crate) async fn show(base_uri: &str, ca_file: &Path, token: &str) -> Result<u16, Trouble> {
    let base: Uri = base_uri.parse()?;
    let (host, port) = (
        base.host().ok_or("the API has no host")?.to_owned(),
        base.port_u16().unwrap_or(443),
    );
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca_file)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect((host.as_str(), port)).await?;
    let tls = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from(host.clone())?, tcp)
        .await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/v2/devices/me")
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header("x-client-version", env!("CARGO_PKG_VERSION"))
        .body(Empty::<Bytes>::new())?;
    let status = sender.send_request(request).await?.status();
    driver.abort();
    Ok(status.as_u16())
}
