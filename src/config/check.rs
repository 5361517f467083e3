//! The output of `--check-config`.

use std::fmt::Write as _;

use c2c_auth_core::{RefreshMode, ReuseWindow};

use super::value::{Word as _, duration_text};
use super::{Config, Principals, Provider};
use crate::oauth::{Endpoint, Endpoints, Issuer, Parameter, ProviderSettings, ServerSettings};

impl Config {
    /// The configuration as it holds, for people: the files, every value, then the warnings. Ends
    /// with a line feed.
    #[must_use]
    pub fn check(&self) -> String {
        let mut out = String::new();
        for line in self.lines() {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{line}");
        }
        out
    }

    fn lines(&self) -> Vec<String> {
        let path = |path: &Option<std::path::PathBuf>, absent: &str| {
            path.as_ref()
                .map_or_else(|| absent.to_owned(), |path| path.display().to_string())
        };
        let policy = self.policy();
        let files = match self.files.as_slice() {
            [] => "none, every value is the default".to_owned(),
            files => files
                .iter()
                .map(|file| file.display().to_string())
                .collect::<Vec<_>>()
                .join(" < "),
        };
        let refresh = match policy.refresh {
            RefreshMode::Eager => format!("eager, from {} % of the token's life", policy.refresh_at_percent),
            RefreshMode::OnDemand => "on demand".to_owned(),
        };
        let mut lines = vec![
            "The configuration is good.".to_owned(),
            row("files", &files),
            row(
                "client id",
                self.device.client_id.as_deref().unwrap_or("none: not provisioned"),
            ),
            row(
                "firmware version",
                &match self.device.firmware_version.as_str() {
                    "" => "not known".to_owned(),
                    version => format!("{version} ({})", self.device.firmware_source),
                },
            ),
        ];
        lines.extend(self.server());
        lines.extend([
            row("roots of trust", &path(&self.tls.ca_file, "the system's")),
            row("proxy", &self.proxy.to_string()),
            row(
                "client secret",
                &path(&self.secrets.client_secret, "credential \"client-secret\""),
            ),
            row(
                "state key",
                &format!(
                    "{}{}",
                    path(&self.secrets.state_key, "credential \"state-key\""),
                    if self.secrets.create_state_key {
                        ", created on first start"
                    } else {
                        ""
                    }
                ),
            ),
            row("state directory", &path(&self.state.directory, "$STATE_DIRECTORY")),
            row("refresh", &refresh),
            row("min-validity", &duration_text(policy.min_validity)),
            row("replay-after", &duration_text(policy.replay_after)),
            row(
                "reuse-window",
                &match policy.reuse_window {
                    ReuseWindow::For(window) => duration_text(window),
                    ReuseWindow::Any => "any".to_owned(),
                },
            ),
            row("give-up-after", &duration_text(policy.give_up_after)),
            row(
                "heartbeat",
                &policy.heartbeat.map_or_else(|| "off".to_owned(), duration_text),
            ),
            row("role ui", &holders(&self.access.ui)),
            row("role uploader", &holders(&self.access.uploader)),
        ]);
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines
    }
}

impl Config {
    /// Whom the device talks to, and how.
    fn server(&self) -> Vec<String> {
        let kind = self.provider.kind();
        match &self.provider.settings {
            ProviderSettings::FrameioC2c(frameio) => vec![
                row("provider", &format!("{kind} at {}", frameio.base)),
                row("scope", &frameio.scope),
                row(
                    "device code",
                    &format!(
                        "{}{}",
                        frameio.device_code_path,
                        if frameio.url_pairing {
                            ", with a link for the QR code"
                        } else {
                            ""
                        }
                    ),
                ),
                row("bodies", frameio.encoding.word()),
            ],
            ProviderSettings::OauthDevice(server) => {
                let mut lines = standard(kind, server, &self.provider);
                lines.push(row("pkce", server.pkce.word()));
                lines
            }
            ProviderSettings::OauthCode(server, redirect) => {
                let mut lines = standard(kind, server, &self.provider);
                lines.push(row("preset", server.quirks.word()));
                lines.push(row("redirect URI", &redirect.to_string()));
                lines
            }
        }
    }
}

fn standard(kind: &str, server: &ServerSettings, provider: &Provider) -> Vec<String> {
    let Endpoints {
        token,
        device_authorization,
        authorization,
        revocation,
    } = &server.endpoints;
    let issuer = server.issuer.as_ref().map(Issuer::as_str);
    let place = issuer
        .or_else(|| token.as_ref().map(Endpoint::as_str))
        .unwrap_or("nowhere");
    let mut lines = vec![
        row("provider", &format!("{kind} at {place}")),
        row("client auth", server.auth.word()),
        row("scope", server.scope.as_deref().unwrap_or("left to the server")),
    ];
    for (name, address) in [
        ("device endpoint", device_authorization),
        ("browser endpoint", authorization),
        ("token endpoint", token),
        ("revoke endpoint", revocation),
    ] {
        lines.extend(address.as_ref().map(|address| row(name, address.as_str())));
    }
    for Parameter { name, value, at } in &server.extra {
        let at: Vec<_> = at.iter().map(|at| at.word()).collect();
        lines.push(row("parameter", &format!("{name} = {value:?} ({})", at.join(", "))));
    }
    if !server.dead_words.is_empty() {
        lines.push(row("dead words", &server.dead_words.join(", ")));
    }
    lines.push(row("refresh token", &duration_text(provider.refresh_token_life)));
    if provider.separate_grants {
        lines.push(row("grants", "one for each approval"));
    }
    lines
}

fn row(name: &str, value: &str) -> String {
    format!("{name:<20}{value}")
}

fn holders(role: &Principals) -> String {
    let uids = role.uids.iter().map(|uid| format!("uid {uid}"));
    let gids = role.gids.iter().map(|gid| format!("gid {gid}"));
    std::iter::once("root".to_owned())
        .chain(uids)
        .chain(gids)
        .collect::<Vec<_>>()
        .join(", ")
}
