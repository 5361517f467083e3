//! The known addresses of a server, the needs of each request, and the additions of the server's
//! own description.
//!
//! A request asks for what it needs and for nothing more: whatever is wrong with the description
//! elsewhere, a pairing that lives is refreshed as long as the token endpoint is known.

use super::message::{HttpRequest, HttpResponse};
use super::metadata::{self, AUTHORIZATION, DEVICE_AUTHORIZATION, MetadataError, REVOCATION, TOKEN};
use super::oauth_code::OauthCode;
use super::oauth_device::OauthDevice;
use super::standard::{self, Pkce, Server};
use super::uri::{Endpoint, Issuer, Origin};
use super::{Kind, Provider};

impl Provider {
    /// Where the token endpoint lives: the connection that a refresh is prepared on. `None` until
    /// it was discovered.
    #[must_use]
    pub(crate) fn token_origin(&self) -> Option<&Origin> {
        match self {
            Self::FrameioC2c(provider) => Some(provider.base().origin()),
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => {
                server.settings.endpoints.token.as_ref().map(Endpoint::origin)
            }
        }
    }

    /// The server that is spoken to first.
    #[must_use]
    pub(crate) fn first_origin(&self) -> Option<&Origin> {
        self.token_origin().or_else(|| {
            let issuer = self.standard()?.settings.issuer.as_ref()?;
            Some(issuer.address().origin())
        })
    }

    /// The endpoint that this request needs and that is not known.
    #[must_use]
    pub(crate) fn missing_endpoint(&self, kind: Kind) -> Option<MetadataError> {
        self.standard()?.missing_endpoint(kind)
    }

    /// True if the server's own description should be read before this request, although the
    /// request lacks nothing.
    ///
    /// A new pairing does not depend on it, but is safer with it. Only there a server says that its
    /// answers at the redirect always name it (RFC 9207 §3), that S256 is none of its PKCE methods,
    /// and, for a device code, that it is.
    #[must_use]
    pub(crate) fn benefits_from_metadata(&self, kind: Kind) -> bool {
        let is_named = |server: &Server| server.settings.issuer.is_some();
        let is_new = kind == Kind::Authorize || kind == Kind::DeviceCode && self.pkce() == Pkce::Auto;
        is_new && !self.has_metadata() && self.standard().is_some_and(is_named)
    }

    /// True if device codes are asked for with a challenge.
    #[must_use]
    pub(crate) fn proves_device_codes(&self) -> bool {
        match self.pkce() {
            Pkce::S256 => true,
            Pkce::Off => false,
            Pkce::Auto => self
                .standard()
                .and_then(|server| server.metadata.as_ref())
                .is_some_and(|said| said.device_s256),
        }
    }

    const fn pkce(&self) -> Pkce {
        match self {
            Self::OauthDevice(OauthDevice(server)) => server.settings.pkce,
            Self::FrameioC2c(_) | Self::OauthCode(_) => Pkce::Off,
        }
    }

    /// True if this holds the server's own description.
    #[must_use]
    pub(crate) fn has_metadata(&self) -> bool {
        self.standard().is_some_and(|server| server.metadata.is_some())
    }

    /// True if the address of this request is not configured but left to the server to tell.
    #[must_use]
    pub(crate) fn leaves_to_server(&self, kind: Kind) -> bool {
        self.standard().is_some_and(|server| server.leaves_to_server(kind))
    }

    /// All places of the server's own description.
    #[must_use]
    pub(crate) fn documents(&self) -> Vec<HttpRequest> {
        let issuer = self.standard().and_then(|server| server.settings.issuer.as_ref());
        let places = issuer.into_iter().flat_map(Issuer::documents);
        places.map(|place| standard::get(&place)).collect()
    }

    /// The same provider, with what the server tells of itself. What is known stays as it is.
    ///
    /// # Errors
    /// [`MetadataError`], where the document is not to be believed. It may still lack an endpoint:
    /// [`Provider::missing_endpoint`] tells.
    pub(crate) fn merge(&self, response: &HttpResponse) -> Result<Self, MetadataError> {
        let object = response
            .object()
            .filter(|_| response.status.is_success())
            .ok_or(MetadataError::Unreadable)?;
        let mut merged = self.clone();
        let Some(server) = merged.standard_mut() else {
            return Ok(merged);
        };
        let issuer = server.settings.issuer.as_ref().ok_or(MetadataError::AnotherIssuer)?;
        let (endpoints, metadata) = metadata::read(&object, issuer)?;
        server.settings.endpoints.fill(&endpoints);
        server.metadata.get_or_insert_default().join(metadata);
        Ok(merged)
    }

    /// The same provider, of whose server no place tells any more than this.
    #[must_use]
    pub(crate) fn exhausted(&self) -> Self {
        let mut merged = self.clone();
        if let Some(server) = merged.standard_mut() {
            server.exhausted = true;
        }
        merged
    }

    const fn standard(&self) -> Option<&Server> {
        match self {
            Self::FrameioC2c(_) => None,
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => Some(server),
        }
    }

    const fn standard_mut(&mut self) -> Option<&mut Server> {
        match self {
            Self::FrameioC2c(_) => None,
            Self::OauthDevice(OauthDevice(server)) | Self::OauthCode(OauthCode { server, .. }) => Some(server),
        }
    }
}

impl Server {
    fn missing_endpoint(&self, kind: Kind) -> Option<MetadataError> {
        let endpoints = &self.settings.endpoints;
        let token = || self.without(endpoints.token.as_ref(), TOKEN);
        match kind {
            Kind::Prepare | Kind::Poll | Kind::Refresh | Kind::Exchange => token(),
            // With the token endpoint: a code that cannot be redeemed must not be shown.
            Kind::DeviceCode => self
                .without(endpoints.device_authorization.as_ref(), DEVICE_AUTHORIZATION)
                .or_else(token),
            Kind::Authorize => self
                .without(endpoints.authorization.as_ref(), AUTHORIZATION)
                .or_else(token)
                .or_else(|| (self.metadata.as_ref()?.s256 == Some(false)).then_some(MetadataError::NoS256)),
            // RFC 7009 is optional, and its endpoint no member of OpenID Connect's document: who
            // names none in any place has none.
            Kind::Revoke if self.settings.issuer.is_some() && !self.exhausted => {
                self.without(endpoints.revocation.as_ref(), REVOCATION)
            }
            Kind::Revoke | Kind::Probe | Kind::Heartbeat => None,
        }
    }

    const fn leaves_to_server(&self, kind: Kind) -> bool {
        let endpoints = &self.settings.endpoints;
        let written = match kind {
            Kind::Prepare | Kind::Poll | Kind::Refresh | Kind::Exchange => &endpoints.token,
            Kind::DeviceCode => &endpoints.device_authorization,
            Kind::Revoke => &endpoints.revocation,
            Kind::Authorize => &endpoints.authorization,
            // No standard server's.
            Kind::Probe | Kind::Heartbeat => return false,
        };
        self.settings.issuer.is_some() && written.is_none()
    }

    fn without(&self, endpoint: Option<&Endpoint>, name: &'static str) -> Option<MetadataError> {
        if endpoint.is_some() {
            return None;
        }
        let is_bad = self.metadata.as_ref().is_some_and(|said| said.bad.contains(&name));
        Some(if is_bad {
            MetadataError::BadEndpoint(name)
        } else {
            MetadataError::NoEndpoint(name)
        })
    }
}
