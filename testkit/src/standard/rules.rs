//! Demands and words of servers that people use, where the RFCs leave them open or have others: one
//! row of data for each.

use std::time::Duration;

use super::{
    Client, Fields, Quirks,
    dialect::{Call, Refusal, refusal},
};

/// A status and the word of an error.
pub type Said = (u16, &'static str);

/// RFC 7636 in the device grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// Checked where it is there.
    Known,
    /// No code without it.
    Demanded,
    /// The fields are refused.
    Refused,
}

/// How the client that it knows proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It has no secret.
    Nothing,
    /// A secret in the `Authorization` header.
    Header,
    /// A secret in the form.
    Form,
}

/// One server's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// As its example file is called.
    pub name: &'static str,
    /// How its client proves itself.
    pub proof: Proof,
    /// The device endpoint reads the client's id from the form alone.
    pub named_by_form: bool,
    /// Parameters that a request must have: `device`, `authorize`, `token` or `refresh`, name and
    /// value. In a scope the word has to be one of several.
    pub demands: &'static [(&'static str, &'static str, &'static str)],
    /// How it takes the fields of PKCE.
    pub challenge: Challenge,
    /// The spelling of the page's member.
    pub page: &'static str,
    /// There is an address with the code inside.
    pub complete: bool,
    /// Nobody has decided about a code.
    pub pending: Said,
    /// A person declined.
    pub denied: Said,
    /// The time of a code is over.
    pub expired: Said,
    /// A code that it does not know.
    pub unknown: Said,
    /// A refresh token that it does not take.
    pub dead: Said,
    /// A refresh gives a new refresh token and ends the old one.
    pub rotates: bool,
    /// For so many seconds it takes a refresh token that was used.
    pub reuse: u64,
}

impl Rules {
    /// The RFCs'.
    pub const RFC: Self = Self {
        name: "rfc",
        proof: Proof::Nothing,
        named_by_form: false,
        demands: &[],
        challenge: Challenge::Known,
        page: "verification_uri",
        complete: false,
        pending: (400, "authorization_pending"),
        denied: (400, "access_denied"),
        expired: (400, "expired_token"),
        unknown: (400, "invalid_grant"),
        dead: (400, "invalid_grant"),
        rotates: true,
        reuse: 0,
    };

    /// All its errors come with status 200, and it does not say `invalid_grant`.
    pub const GITHUB: Self = Self {
        name: "github",
        pending: (200, "authorization_pending"),
        denied: (200, "access_denied"),
        expired: (200, "expired_token"),
        unknown: (200, "incorrect_device_code"),
        dead: (200, "bad_refresh_token"),
        ..Self::RFC
    };

    /// The servers with an example file.
    pub const EXAMPLES: [Self; 7] = [
        Self {
            name: "google",
            proof: Proof::Form,
            challenge: Challenge::Refused,
            page: "verification_url",
            pending: (428, "authorization_pending"),
            denied: (403, "access_denied"),
            rotates: false,
            ..Self::RFC
        },
        Self {
            name: "entra",
            demands: &[("device", "scope", "offline_access")],
            denied: (400, "authorization_declined"),
            reuse: u64::MAX,
            ..Self::RFC
        },
        Self {
            name: "keycloak",
            proof: Proof::Header,
            challenge: Challenge::Demanded,
            complete: true,
            rotates: false,
            ..Self::RFC
        },
        Self {
            name: "auth0",
            demands: &[
                ("device", "audience", "https://api.example.com"),
                ("device", "scope", "offline_access"),
            ],
            complete: true,
            pending: (403, "authorization_pending"),
            denied: (403, "access_denied"),
            expired: (403, "expired_token"),
            unknown: (403, "invalid_grant"),
            dead: (403, "invalid_grant"),
            rotates: false,
            ..Self::RFC
        },
        Self {
            name: "okta",
            demands: &[("device", "scope", "offline_access")],
            complete: true,
            reuse: 30,
            ..Self::RFC
        },
        Self {
            name: "authentik",
            proof: Proof::Header,
            named_by_form: true,
            demands: &[("device", "scope", "offline_access")],
            complete: true,
            rotates: false,
            ..Self::RFC
        },
        Self {
            name: "dex",
            proof: Proof::Form,
            named_by_form: true,
            demands: &[("device", "scope", "offline_access")],
            complete: true,
            pending: (401, "authorization_pending"),
            unknown: (400, "invalid_request"),
            dead: (400, "invalid_request"),
            reuse: 3,
            ..Self::RFC
        },
    ];

    /// Checks a request of the device grant: all that is demanded, and nothing else.
    pub(super) fn allows(&self, at: &str, call: &Call) -> Result<(), Refusal> {
        if at == "device" && self.named_by_form && !call.form.has("client_id") {
            return Err(refusal(400, "invalid_client", "no client_id in the form"));
        }
        self.takes(at, &call.form)
    }

    /// The same of the parameters alone, also of the browser's request.
    pub(super) fn takes(&self, at: &str, form: &Fields) -> Result<(), Refusal> {
        let fault = |why| Err(refusal(400, "invalid_request", why));
        let demands = || self.demands.iter().filter(|(place, ..)| *place == at);
        for (_, name, value) in demands() {
            let is_there = form
                .all(name)
                .any(|said| said == *value || *name == "scope" && said.split(' ').any(|word| word == *value));
            if !is_there {
                return fault("a demanded parameter is not there");
            }
        }
        // RFC 8707 §2: alone of all it may be there more than once.
        let resources = demands().filter(|(_, name, _)| *name == "resource").count();
        if form.all("resource").count() != resources {
            return fault("another number of resources");
        }
        if form
            .names()
            .any(|name| name != "resource" && form.all(name).count() > 1)
        {
            return fault("a parameter that is there twice");
        }
        let asks_proof = form.has("code_challenge") || form.has("code_challenge_method");
        let proven = form.get("code_challenge").is_some_and(|text| text.len() == 43)
            && form.get("code_challenge_method") == Some("S256");
        match self.challenge {
            Challenge::Refused if asks_proof => return fault("fields of PKCE"),
            Challenge::Demanded if at == "device" && !proven => return fault("no challenge by S256"),
            Challenge::Known if asks_proof && !proven => return fault("a challenge that is none by S256"),
            Challenge::Refused | Challenge::Demanded | Challenge::Known => {}
        }
        let own: &[&str] = match at {
            "device" => &["scope", "code_challenge", "code_challenge_method"],
            "authorize" => &[
                "scope",
                "code_challenge",
                "code_challenge_method",
                "response_type",
                "redirect_uri",
                "state",
            ],
            "refresh" => &["grant_type", "refresh_token"],
            _ => &["grant_type", "device_code", "code_verifier", "code", "redirect_uri"],
        };
        let demanded = |name: &str| demands().any(|(_, wanted, _)| *wanted == name);
        let known = |name: &str| name.starts_with("client_") || own.contains(&name) || demanded(name);
        if form.names().all(known) {
            Ok(())
        } else {
            fault("a parameter that has no place here")
        }
    }
}

impl Quirks {
    /// The server of this row.
    #[must_use]
    pub fn of(rules: Rules) -> Self {
        let secret = || "made-up-client.secret_1~".to_owned();
        Self {
            rules,
            client: match rules.proof {
                Proof::Nothing => Client::Public,
                Proof::Header => Client::Confidential(secret()),
                Proof::Form => Client::Posted(secret()),
            },
            rotates: rules.rotates,
            reuse_window: (rules.reuse > 0).then(|| Duration::from_secs(rules.reuse)),
            ..Self::default()
        }
    }
}
