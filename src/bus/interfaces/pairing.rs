//! `org.cameratocloud.Auth1.Pairing`: pair, cancel, unpair, for the role "ui".

use std::sync::Arc;
use std::time::Duration;

use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, SerializeDict, Type, interface};
use zeroize::Zeroizing;

use super::options::{Options, invalid};
use crate::bus::access::Role;
use crate::bus::error_reply::ErrorReply;
use crate::bus::gateway::Gateway;
use crate::bus::qr::pictures::{Key, Picture};
use crate::bus::qr::{self, Format};
use crate::bus::text::without_nul;
use crate::bus::throttle::Weight;
use crate::bus::whole_seconds;
use crate::messages::contract::{ErrorName, QR_SIZES};
use c2c_auth_core::{CallError, CodeView, Command, PairingOptions, Prompt, Reply};

pub(in crate::bus) struct Pairing(pub(in crate::bus) Arc<Gateway>);

/// A code as the `ui` role sees it, with the flow's options where a flow was started.
#[derive(SerializeDict, Type)]
#[zbus(signature = "a{sv}", rename_all = "kebab-case")]
pub(in crate::bus) struct CodeReply {
    code_id: u64,
    user_code: Option<String>,
    verification_uri: Option<String>,
    verification_uri_complete: Option<String>,
    authorization_uri: Option<String>,
    device_name: String,
    expires_in: u32,
    renew: Option<bool>,
    replace: Option<bool>,
    give_up_after: Option<u32>,
}

impl CodeReply {
    fn new(mut code: CodeView) -> Self {
        without_nul(&mut code.device_name);
        let mut reply = Self {
            code_id: code.id,
            user_code: None,
            verification_uri: None,
            verification_uri_complete: None,
            authorization_uri: None,
            device_name: code.device_name,
            expires_in: whole_seconds(code.expires_in),
            renew: None,
            replace: None,
            give_up_after: None,
        };
        match code.prompt {
            Prompt::Code {
                user_code,
                verification_uri,
                verification_uri_complete,
            } => {
                reply.user_code = Some(sendable(user_code.expose()));
                reply.verification_uri = Some(sendable(&verification_uri));
                reply.verification_uri_complete = verification_uri_complete.map(|uri| sendable(uri.expose()));
            }
            Prompt::Browser { authorization_uri } => {
                reply.authorization_uri = Some(sendable(authorization_uri.expose()));
            }
        }
        reply
    }
}

impl Drop for CodeReply {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.user_code.zeroize();
        self.verification_uri_complete.zeroize();
        self.authorization_uri.zeroize();
    }
}

fn sendable(text: &str) -> String {
    let mut text = text.to_owned();
    without_nul(&mut text);
    text
}

/// The content of a QR code.
#[derive(Clone, Copy)]
enum What {
    Complete,
    Uri,
}

struct QrOptions {
    format: Format,
    what: What,
    size: u32,
    code_id: Option<u64>,
}

fn start_options(mut options: Options<'_>) -> Result<PairingOptions, ErrorReply> {
    let seconds = |value: Option<u32>| value.map(|seconds| Duration::from_secs(seconds.into()));
    let parsed = PairingOptions {
        renew: options.bool("renew")?.unwrap_or(true),
        replace: options.bool("replace")?.unwrap_or(false),
        give_up_after: seconds(options.u32("give-up-after")?),
        timeout: seconds(options.u32("timeout")?),
    };
    options.end("\"renew\", \"replace\", \"give-up-after\", \"timeout\"")?;
    Ok(parsed)
}

fn qr_options(mut options: Options<'_>) -> Result<QrOptions, ErrorReply> {
    let what = |word: &str| match word {
        "complete" => Some(What::Complete),
        "uri" => Some(What::Uri),
        _ => None,
    };
    let parsed = QrOptions {
        format: options
            .word("format", "\"png\", \"svg\", \"text\"", Format::from_word)?
            .unwrap_or_default(),
        what: options
            .word("what", "\"complete\", \"uri\"", what)?
            .unwrap_or(What::Complete),
        size: options.u32("size")?.unwrap_or(qr::DEFAULT_SIZE),
        code_id: options.u64("code-id")?,
    };
    options.end("\"format\", \"what\", \"size\", \"code-id\"")?;
    if !QR_SIZES.contains(&parsed.size) {
        return Err(invalid(format!(
            "the option \"size\" is a number of pixels from {} to {}",
            QR_SIZES.start(),
            QR_SIZES.end()
        )));
    }
    Ok(parsed)
}

/// The text of a code's picture.
fn qr_text(code: &CodeView, options: &QrOptions) -> Result<Zeroizing<String>, ErrorReply> {
    if options.code_id.is_some_and(|id| id != code.id) {
        return Err(ErrorReply::new(
            ErrorName::NoPairing,
            "this is no longer the code on show: call GetPairingCode for the present one",
        ));
    }
    let (complete, uri) = match &code.prompt {
        Prompt::Code {
            verification_uri,
            verification_uri_complete,
            ..
        } => (verification_uri_complete.as_ref(), Some(verification_uri)),
        Prompt::Browser { authorization_uri } => (Some(authorization_uri), None),
    };
    let text = match (options.what, complete, uri) {
        (What::Complete, Some(uri), _) => uri.expose(),
        (What::Uri, _, Some(uri)) => uri.as_str(),
        (What::Uri, _, None) => {
            return Err(ErrorReply::new(
                ErrorName::NotSupported,
                "this kind of provider has no address without the request inside: ask for \"what\" = \"complete\"",
            ));
        }
        (What::Complete, None, _) => {
            return Err(ErrorReply::new(
                ErrorName::NotSupported,
                "the server gave no address with the code inside: set [provider] url-pairing = true, or ask for \
                 \"what\" = \"uri\" and show the code beside it",
            ));
        }
    };
    Ok(Zeroizing::new(text.to_owned()))
}

#[interface(name = "org.cameratocloud.Auth1.Pairing")]
impl Pairing {
    /// Starts a pairing flow and answers when there is a code to show.
    #[zbus(out_args("code"))]
    async fn start_pairing(
        &self,
        options: Options<'_>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<CodeReply, ErrorReply> {
        let admission = self.0.authorize(connection, &header, Role::Ui, Weight::Costly).await?;
        let command = Command::StartPairing {
            caller: admission.caller.uid,
            options: start_options(options)?,
        };
        match self.0.call(command).await? {
            Reply::Started {
                code,
                renew,
                replace,
                give_up_in,
            } => {
                let mut reply = CodeReply::new(code);
                reply.renew = Some(renew);
                reply.replace = Some(replace);
                reply.give_up_after = Some(whole_seconds(give_up_in));
                Ok(reply)
            }
            Reply::Done | Reply::Code(_) | Reply::Token { .. } => Err(ErrorReply::ending()),
        }
    }

    /// The code on show.
    #[zbus(out_args("code"))]
    async fn get_pairing_code(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<CodeReply, ErrorReply> {
        let _admission = self.0.authorize(connection, &header, Role::Ui, Weight::Free).await?;
        self.code().await.map(CodeReply::new)
    }

    /// The code on show as a QR code.
    #[zbus(out_args("media_type", "data"))]
    async fn get_qr_code(
        &self,
        options: Options<'_>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(&'static str, Picture), ErrorReply> {
        let _admission = self.0.authorize(connection, &header, Role::Ui, Weight::Costly).await?;
        let options = qr_options(options)?;
        let pen = self.0.pictures.pen().await;
        let code = self.code().await?;
        let text = qr_text(&code, &options)?;
        let key = Key {
            code_id: code.id,
            complete: matches!(options.what, What::Complete),
            format: options.format,
            // Text has none.
            size: if options.format == Format::Text {
                0
            } else {
                options.size
            },
        };
        Ok((options.format.media_type(), pen.draw(key, text).await?))
    }

    /// Ends the running flow, at every step of it. Does nothing without one.
    async fn cancel_pairing(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), ErrorReply> {
        let _admission = self.0.authorize(connection, &header, Role::Ui, Weight::Telling).await?;
        self.0.tell(Command::CancelPairing).await
    }

    /// Ends a running flow and forgets the pairing. Does nothing without one.
    async fn unpair(
        &self,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), ErrorReply> {
        let _admission = self.0.authorize(connection, &header, Role::Ui, Weight::Free).await?;
        self.0.tell(Command::Unpair).await
    }

    /// Hands in the address at the end of the OAuth code flow.
    async fn complete_pairing(
        &self,
        redirect_uri: &str,
        #[zbus(connection)] connection: &Connection,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(), ErrorReply> {
        // Costly: nobody guesses a `state`, but nobody needs many tries either.
        let _admission = self.0.authorize(connection, &header, Role::Ui, Weight::Costly).await?;
        match (self.0.redirects)(redirect_uri) {
            Some(Ok(redirect)) => self.0.tell(Command::CompletePairing(redirect)).await,
            Some(Err(why)) => Err(ErrorReply::new(ErrorName::InvalidArgs, why)),
            None => Err(CallError::NotByRedirect.into()),
        }
    }

    /// Where the pairing flow stands.
    #[zbus(property)]
    fn pairing_state(&self) -> &'static str {
        self.0.signals.visible().pairing.word()
    }

    /// A credential exists, whatever a flow does beside it.
    #[zbus(property)]
    fn paired(&self) -> bool {
        self.0.signals.visible().paired
    }

    /// Why `PairingState` is what it is.
    #[zbus(property)]
    fn pairing_reason(&self) -> &'static str {
        self.0.signals.visible().reason.word()
    }

    /// A person has to do something, now or soon.
    #[zbus(property)]
    fn attention_needed(&self) -> bool {
        self.0.signals.visible().attention
    }

    /// `PairingState` or `PairingReason` changed.
    // Declared for introspection, the signal queue emits it. Its own name in Rust: zbus makes a
    // `pairing_state_changed` of the property.
    #[zbus(signal, name = "PairingStateChanged")]
    async fn state_changed(emitter: &SignalEmitter<'_>, state: &str, reason: &str) -> zbus::Result<()>;
}

impl Pairing {
    async fn code(&self) -> Result<CodeView, ErrorReply> {
        match self.0.call(Command::GetPairingCode).await? {
            Reply::Code(code) => Ok(code),
            Reply::Done | Reply::Started { .. } | Reply::Token { .. } => Err(ErrorReply::ending()),
        }
    }
}

impl serde::Serialize for Picture {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl Type for Picture {
    const SIGNATURE: &'static zbus::Signature = <[u8]>::SIGNATURE;
}
