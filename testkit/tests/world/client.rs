//! A bare client: one connection, no retries, no manners of its own.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use c2c_testkit::server::{Options, Server};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) const ID: &str = "unit-1";
pub(crate) const SOON: Duration = Duration::from_secs(10);
pub(crate) const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

pub(crate) fn server() -> Server {
    // Polls need not wait unless a test is about waiting.
    Server::start(Options {
        interval: Duration::ZERO,
        ..Options::default()
    })
    .unwrap()
}

pub(crate) struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
    secret: String,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.json()[key].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

impl Client {
    pub(crate) async fn connect(server: &Server) -> io::Result<Self> {
        Self::to(server.address(), &server.ca_file(), server.client_secret()).await
    }

    pub(crate) async fn to(address: SocketAddr, ca_file: &Path, secret: String) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self { sender, secret })
    }

    pub(crate) async fn raw(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, hyper::Error> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }

    pub(crate) async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer, hyper::Error> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = Request::post(path)
            .header("host", "localhost")
            .header("x-client-version", "1.2.3")
            .header("x-client-platypus-enabled", "true")
            .header("content-type", "application/x-www-form-urlencoded");
        self.raw(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer, hyper::Error> {
        self.bearer("GET", path, "").await
    }

    pub(crate) async fn bearer(&mut self, method: &str, path: &str, token: &str) -> Result<Answer, hyper::Error> {
        let request = Request::builder().method(method).uri(path).header("host", "localhost");
        let request = request
            .header("x-client-version", "1.2.3")
            .header("authorization", format!("Bearer {token}"));
        self.raw(request.body(Full::default()).unwrap()).await
    }

    pub(crate) async fn code(&mut self) -> Result<Answer, hyper::Error> {
        let secret = self.secret.clone();
        let fields = [
            ("client_id", ID),
            ("client_secret", secret.as_str()),
            ("scope", "asset_create offline"),
        ];
        self.form("/v2/auth/device/code", &fields).await
    }

    pub(crate) async fn poll(&mut self, device_code: &str) -> Result<Answer, hyper::Error> {
        self.token(DEVICE_GRANT, "device_code", device_code).await
    }

    pub(crate) async fn refresh(&mut self, token: &str) -> Result<Answer, hyper::Error> {
        self.token("refresh_token", "refresh_token", token).await
    }

    pub(crate) async fn revoke(&mut self, token: &str) -> Result<Answer, hyper::Error> {
        let secret = self.secret.clone();
        let fields = [("client_id", ID), ("client_secret", secret.as_str()), ("token", token)];
        self.form("/v2/auth/revoke", &fields).await
    }

    pub(crate) async fn me(&mut self, token: &str) -> Result<Answer, hyper::Error> {
        self.bearer("GET", "/v2/devices/me", token).await
    }

    /// Access and refresh token of a fresh pairing.
    pub(crate) async fn pair(&mut self, server: &Server) -> (String, String) {
        let code = self.code().await.unwrap();
        server.approve(&code.text("user_code")).unwrap();
        let pair = self.poll(&code.text("device_code")).await.unwrap();
        (pair.text("access_token"), pair.text("refresh_token"))
    }

    async fn token(&mut self, grant: &str, field: &str, value: &str) -> Result<Answer, hyper::Error> {
        let secret = self.secret.clone();
        let fields = [
            ("grant_type", grant),
            ("client_id", ID),
            ("client_secret", &secret),
            (field, value),
        ];
        self.form("/v2/auth/token", &fields).await
    }
}
