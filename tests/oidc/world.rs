//! A server, a browser, a bus and a device.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use c2c_testkit::harness::Harness;
use c2c_testkit::rig::{Process, Rig};
use c2c_testkit::user::User;
use serde_json::Value;

use crate::server::{HERE, LIMIT, LOOK, Server, Tokens};

const DAEMON: &str = env!("CARGO_BIN_EXE_c2c-authd");

pub(crate) struct World {
    harness: Harness<Server>,
    user: User,
}

/// Where a walk of the browser ended.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) text: String,
    /// How often it had to say who it is.
    pub(crate) logins: u64,
}

impl World {
    /// A server, and a device that is one of its clients.
    pub(crate) async fn new(kind: &str, client: &str, auth: &str) -> Self {
        Self::at("oidc-provider", kind, client, auth).await
    }

    /// The same at a server by its name.
    pub(crate) async fn at(server: &str, kind: &str, client: &str, auth: &str) -> Self {
        let server = Server::start(server).await;
        let rig = Rig::elsewhere(&server.ca, server.secret.as_bytes()).unwrap();
        if auth == "none" {
            rig.remove_credential("client-secret").unwrap();
        }
        let (issuer, redirect) = (server.issuer.clone(), server.redirect.clone());
        let mut harness = Harness::around(DAEMON, server, rig);
        harness.set(&[
            ("provider", "kind", kind),
            ("provider", "client-id", client),
            ("provider", "client-auth", auth),
            ("provider", "issuer", &issuer),
            ("provider", "scope", "openid offline_access"),
        ]);
        if kind == "oauth-code" {
            harness.set(&[("provider", "redirect-uri", &redirect)]);
        }
        let user = harness.user().await;
        Self { harness, user }
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.harness.server
    }

    pub(crate) fn rig(&self) -> &Rig {
        &self.harness.rig
    }

    pub(crate) fn set(&mut self, section: &str, key: &str, value: &str) {
        self.harness.set(&[(section, key, value)]);
    }

    pub(crate) async fn start(&self) -> Process {
        let daemon = self.harness.spawn();
        daemon.wait_ready(LIMIT).await.unwrap();
        daemon
    }

    /// A person opens an address and does what the pages ask for.
    pub(crate) async fn browse(&self, address: &str, wish: &str, end: &str) -> Page {
        self.walk(&[address, wish, end]).await
    }

    /// Approves on the board, in a browser that remembers who was there before.
    pub(crate) async fn approve_as_before(&self, address: &str, profile: &Path) -> Page {
        self.walk(&[address, "approve", "http://127.0.0.1", profile.to_str().unwrap()])
            .await
    }

    async fn walk(&self, arguments: &[&str]) -> Page {
        let walk = tokio::process::Command::new("node")
            .arg(format!("{HERE}/browser.mjs"))
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let walked = tokio::time::timeout(LIMIT * 2, walk).await.unwrap().unwrap();
        let said = String::from_utf8(walked.stdout).unwrap();
        let failed = String::from_utf8_lossy(&walked.stderr);
        let page: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("no last page: {said} {failed}"));
        let text = |key: &str| page[key].as_str().unwrap().to_owned();
        Page {
            url: text("url"),
            title: text("title"),
            text: text("text"),
            logins: page["logins"].as_u64().unwrap(),
        }
    }

    /// Served, good at the server, refreshed with rotation, kept over a crash, revoked at the end.
    pub(crate) async fn lives_the_same_life_as_any_token(&self, client: &str, daemon: Process) {
        let _daemon = self.is_served_and_rotated(client, daemon).await;
        self.call("Pairing", "Unpair", &()).await.unwrap();
        assert_eq!(self.word("Pairing", "PairingState").await, "unpaired");
        self.until_tokens(client, |tokens| tokens.live == 0).await;
        self.server().nothing_was_rejected(&[]);
    }

    /// The part of that life that does not end.
    pub(crate) async fn is_served_and_rotated(&self, client: &str, mut daemon: Process) -> Process {
        // A busy machine looks late: the first may be refreshed by then.
        let (token, first) = self.good_token().await;
        self.until_generation(first + 1).await;
        let (refreshed, second) = self.good_token().await;
        assert_ne!(refreshed, token);
        daemon.kill().unwrap();
        let daemon = self.start().await;
        self.until("Pairing", "PairingState", "paired").await;
        self.until_generation(second + 1).await;
        // One is good, and each that was used is not.
        self.until_tokens(client, |tokens| tokens.live == 1 && tokens.spent >= 2)
            .await;
        daemon
    }

    /// Waits for what the server says of a client's refresh tokens.
    pub(crate) async fn until_tokens(&self, client: &str, wanted: impl Fn(&Tokens) -> bool) {
        let limit = Instant::now() + LIMIT;
        loop {
            let tokens = self.server().tokens(client);
            if wanted(&tokens) {
                return;
            }
            assert!(Instant::now() < limit, "{tokens:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the server has refused something, and says what.
    pub(crate) async fn until_refused(&self) -> Vec<String> {
        let limit = Instant::now() + LIMIT;
        loop {
            let refused = self.server().refused();
            if !refused.is_empty() {
                return refused;
            }
            assert!(Instant::now() < limit, "nothing was refused");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn call<B>(&self, interface: &str, method: &str, body: &B) -> zbus::Result<zbus::Message>
    where
        B: serde::Serialize + zbus::DynamicType + Sync,
    {
        self.user.ours(interface).await.call_method(method, body).await
    }

    pub(crate) async fn try_start_pairing(&self) -> zbus::Result<HashMap<String, String>> {
        self.user.code(&[]).await
    }

    /// Pairs anew although paired. Codes are asked for some seconds apart at least.
    pub(crate) async fn start_replacing(&self) -> HashMap<String, String> {
        let replace: [_; 1] = [("replace", true.into())];
        let limit = Instant::now() + LIMIT;
        loop {
            match self.user.code(&replace).await {
                Ok(code) => return code,
                Err(error) => assert!(Instant::now() < limit, "{error}"),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn start_pairing(&self) -> HashMap<String, String> {
        self.try_start_pairing().await.unwrap()
    }

    pub(crate) async fn complete_pairing(&self, address: &str) -> zbus::Result<()> {
        self.user.complete(address).await
    }

    pub(crate) async fn token(&self) -> (String, u64) {
        let token = self.user.token().await.unwrap();
        (token.access, token.generation)
    }

    /// A token that the server takes. One that it does not has to be no longer the one that is
    /// served.
    pub(crate) async fn good_token(&self) -> (String, u64) {
        loop {
            let (token, generation) = self.token().await;
            if self.server().takes(&token) {
                return (token, generation);
            }
            let (_, current) = self.token().await;
            assert!(current > generation, "generation {generation} is served and not good");
        }
    }

    pub(crate) async fn word(&self, interface: &str, property: &str) -> String {
        self.user.word(interface, property).await
    }

    pub(crate) async fn until(&self, interface: &str, property: &str, wanted: &str) {
        let limit = Instant::now() + LIMIT;
        while self.word(interface, property).await != wanted {
            let reason = self.word("Pairing", "PairingReason").await;
            assert!(Instant::now() < limit, "{property} never became {wanted}: {reason}");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn until_generation(&self, wanted: u64) {
        let limit = Instant::now() + LIMIT;
        while self.user.generation().await < wanted {
            let reason = self.word("Pairing", "PairingReason").await;
            assert!(Instant::now() < limit, "generation {wanted} never came: {reason}");
            tokio::time::sleep(LOOK).await;
        }
    }
}
