//! The mirror of the file format: what may be written, nothing decided yet. `None`: not written.

use serde::Deserialize;

use super::value::{
    AbsolutePath, Between, ClientId, ClientIdFrom, DeadWord, Extra, Heartbeat, Kind, OauthClientId, ParameterValue,
    Percent, Principal, Refresh, ReplayAfter, Resource, Reuse, Scope, UriPath, Version, VersionFrom,
};
use crate::oauth::{BaseUri, ClientAuth, Encoding, Endpoint, Issuer, Pkce, Proxy, Quirks, RedirectUri};

/// A section, its keys as they are written, and how a later file's keys lie over an earlier one's.
macro_rules! section {
    ($name:ident { $($field:ident: $ty:ty),+ $(,)? }) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub(super) struct $name {
            $(pub(super) $field: Option<$ty>,)+
        }

        impl $name {
            fn keys() -> Vec<String> {
                vec![$(stringify!($field).replace('_', "-")),+]
            }

            fn over(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field),)+ }
            }
        }
    };
}

section!(Device {
    client_id: ClientId,
    client_id_from: ClientIdFrom,
    firmware_version: Version,
    firmware_version_from: VersionFrom,
});

section!(Provider {
    kind: Kind,
    base_uri: BaseUri,
    scope: Scope,
    url_pairing: bool,
    device_code_path: UriPath,
    body: Encoding,
    client_id: OauthClientId,
    client_auth: ClientAuth,
    issuer: Issuer,
    token_endpoint: Endpoint,
    device_authorization_endpoint: Endpoint,
    authorization_endpoint: Endpoint,
    revocation_endpoint: Endpoint,
    redirect_uri: RedirectUri,
    preset: Quirks,
    refresh_token_life: Between<3_600, 31_536_000>,
    separate_grants: bool,
    dead_words: Vec<DeadWord>,
    pkce: Pkce,
    audience: ParameterValue,
    resource: Vec<Resource>,
    extra: Vec<Extra>,
});

section!(Tls { ca_file: AbsolutePath });

section!(Secrets {
    client_secret_file: AbsolutePath,
    state_key_file: AbsolutePath,
    create_state_key: bool,
});

section!(State {
    directory: AbsolutePath,
});

section!(RefreshKeys {
    policy: Refresh,
    at: Percent,
    min_validity: Between<0, 3_600>,
    replay_after: ReplayAfter,
    reuse_window: Reuse,
});

section!(Network { proxy: Proxy });

section!(Pairing { give_up_after: Between<60, 86_400>, });

section!(HeartbeatKeys { interval: Heartbeat });

section!(Access {
    ui: Vec<Principal>,
    uploader: Vec<Principal>,
});

macro_rules! sections {
    ($($field:ident: $ty:ident),+ $(,)?) => {
        /// One file, or all of them laid over each other.
        #[derive(Debug, Default, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub(super) struct Raw {
            $(pub(super) $field: $ty,)+
        }

        impl Raw {
            /// Every section and its keys.
            pub(super) fn schema() -> Vec<(&'static str, Vec<String>)> {
                vec![$((stringify!($field), $ty::keys())),+]
            }

            /// Key by key: what is written here hides what is written `below`.
            pub(super) fn over(self, below: Self) -> Self {
                Self { $($field: self.$field.over(below.$field),)+ }
            }
        }
    };
}

sections! {
    device: Device,
    provider: Provider,
    tls: Tls,
    secrets: Secrets,
    state: State,
    refresh: RefreshKeys,
    pairing: Pairing,
    heartbeat: HeartbeatKeys,
    network: Network,
    access: Access,
}

/// Pairs of keys that answer the same question: they cannot stand in one file, and either hides
/// both of earlier files.
pub(super) const EXCLUSIVE: [(&str, &str); 2] = [
    ("device.client-id", "device.client-id-from"),
    ("device.firmware-version", "device.firmware-version-from"),
];

impl Device {
    /// Forgets what an upper file answers in the other way. See [`EXCLUSIVE`].
    pub(super) fn give_way(&mut self, upper: &Self) {
        if upper.client_id.is_some() || upper.client_id_from.is_some() {
            (self.client_id, self.client_id_from) = (None, None);
        }
        if upper.firmware_version.is_some() || upper.firmware_version_from.is_some() {
            (self.firmware_version, self.firmware_version_from) = (None, None);
        }
    }
}
