//! `org.cameratocloud.Auth1.Tokens`: bearer tokens for the role "uploader".

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, Signature, Type, interface};

use crate::bus::access::Role;
use crate::bus::error_reply::ErrorReply;
use crate::bus::gateway::Gateway;
use crate::bus::throttle::Weight;
use crate::bus::whole_seconds;
use c2c_auth_core::{AccessToken, CallError, Command, Generation, Reply};

pub(in crate::bus) struct Tokens(pub(in crate::bus) Arc<Gateway>);

/// The one answer that may carry an access token. Goes into the message straight from the wiping
/// type, without another copy of ours. The message's own buffer is zbus's, and the bus copies it
/// too.
pub(in crate::bus) struct Bearer(AccessToken);

impl Bearer {
    /// A token that D-Bus cannot carry is no token: better none than a shorter one.
    fn new(token: AccessToken) -> Result<Self, ErrorReply> {
        if token.expose().contains('\0') {
            return Err(CallError::ServerError.into());
        }
        Ok(Self(token))
    }
}

impl Serialize for Bearer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl Type for Bearer {
    const SIGNATURE: &'static Signature = &Signature::Str;
}

#[interface(name = "org.cameratocloud.Auth1.Tokens")]
impl Tokens {
    /// A token that lives at least `min_validity` seconds (0: as configured).
    #[zbus(out_args("access_token", "expires_in", "generation"))]
    async fn get_access_token(
        &self,
        min_validity: u32,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(Bearer, u32, u64), ErrorReply> {
        let admission = self
            .0
            .authorize(connection, &header, Role::Uploader, Weight::Free)
            .await?;
        let command = Command::GetAccessToken {
            client: admission.client(),
            min_validity: (min_validity != 0).then(|| Duration::from_secs(min_validity.into())),
        };
        match self.0.call(command).await? {
            Reply::Token {
                access,
                expires_in,
                generation,
            } => {
                let bearer = Bearer::new(access)?;
                self.0.audit.note(connection, &admission.caller, generation).await;
                Ok((bearer, whole_seconds(expires_in), generation.0))
            }
            Reply::Done | Reply::Started { .. } | Reply::Code(_) => Err(ErrorReply::ending()),
        }
    }

    /// Tells that the API answered 401 to the token of this generation.
    async fn reject_access_token(
        &self,
        generation: u64,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), ErrorReply> {
        let admission = self
            .0
            .authorize(connection, &header, Role::Uploader, Weight::Telling)
            .await?;
        let command = Command::RejectAccessToken {
            client: admission.client(),
            newest: self.0.callers.newest(connection).await,
            generation: Generation(generation),
        };
        self.0.tell(command).await
    }

    /// The result that `GetAccessToken` would give.
    #[zbus(property)]
    fn token_state(&self) -> &'static str {
        self.0.signals.visible().token.word()
    }

    /// The generation of the token that `GetAccessToken` would answer with, 0 while there is none.
    #[zbus(property)]
    fn generation(&self) -> u64 {
        self.0.signals.visible().generation.0
    }

    /// There is a new token, and earlier ones are worthless.
    // Declared for introspection, the signal queue emits it.
    #[zbus(signal)]
    async fn access_token_changed(emitter: &SignalEmitter<'_>, generation: u64) -> zbus::Result<()>;
}
