//! `token` and `reject`: a token for a program that is no client of the bus, and the API's 401
//! back.
//!
//! Must never: write a token anywhere but to standard output.

use std::io::{self, IsTerminal as _};

use zbus::Connection;
use zeroize::Zeroizing;

use c2c_auth_client::proxy;

use super::exit::{Exit, Failure};
use super::output::{note, print_raw};

/// `docs/token.schema.json` has the fields.
#[derive(serde::Serialize)]
#[serde(rename_all = "kebab-case")]
struct Served<'a> {
    access_token: &'a str,
    expires_in: u32,
    generation: u64,
}

pub(super) async fn token(connection: &Connection, min_validity: u32, json: bool) -> Result<Exit, Failure> {
    let tokens = proxy::tokens(connection).await?;
    let (token, expires_in, generation) = tokens.get_access_token(min_validity).await?;
    let token = Zeroizing::new(token);
    if io::stdout().is_terminal() {
        note("warning: this token is a secret: whoever reads it can upload as this device. It is meant for a pipe.");
    }
    let served = Served {
        access_token: &token,
        expires_in,
        generation,
    };
    let told = if json {
        let told = serde_json::to_string(&served).map_err(|error| Failure::failed(format!("no JSON: {error}")))?;
        Zeroizing::new(told)
    } else {
        token
    };
    print_raw(&told)?;
    print_raw("\n")?;
    Ok(Exit::Ok)
}

pub(super) async fn reject(connection: &Connection, generation: u64) -> Result<Exit, Failure> {
    proxy::tokens(connection).await?.reject_access_token(generation).await?;
    Ok(Exit::Ok)
}
