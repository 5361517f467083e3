//! `complete`: hands in the address that a browser on another device ended on. The address holds a
//! code: it is read from a pipe or terminal, never from argv, which others can read.

use std::io::{self, BufRead, IsTerminal};

use zbus::Connection;
use zeroize::Zeroizing;

use super::exit::{Exit, Failure};
use super::output::{note, print};
use crate::oauth::REDIRECT_MAX;
use c2c_auth_client::proxy;

/// Reads the address and waits until the device is paired.
pub(super) async fn complete(connection: &Connection) -> Result<Exit, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        note("Paste the whole address that the browser ended on, then press Enter:");
    }
    let address = read(stdin.lock())?;
    proxy::pairing(connection).await?.complete_pairing(&address).await?;
    print("Paired.\n")?;
    Ok(Exit::Ok)
}

fn read(input: impl BufRead) -> Result<Zeroizing<String>, Failure> {
    // Reserved at once: a vector that grows leaves unwiped copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(REDIRECT_MAX + 2));
    input
        .take(REDIRECT_MAX as u64 + 2)
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    let address = line.trim_ascii();
    if address.is_empty() {
        return Err(Failure::usage(
            "no address on standard input; pipe in the one that the browser ended on",
        ));
    }
    if address.len() > REDIRECT_MAX {
        return Err(Failure::usage("standard input is longer than any such address"));
    }
    let text = std::str::from_utf8(address).map_err(|_| Failure::usage("standard input holds no address"))?;
    // The bus drops the connection for one.
    if text.contains('\0') {
        return Err(Failure::usage("standard input holds no address"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

    use super::*;

    #[test]
    fn one_line_is_the_address() {
        for input in [
            "https://a.example/cb?code=x&state=y\nrest",
            "  https://a.example/cb?code=x&state=y \r\n",
        ] {
            assert_eq!(
                read(input.as_bytes()).unwrap().as_str(),
                "https://a.example/cb?code=x&state=y"
            );
        }
        let long = "a".repeat(REDIRECT_MAX);
        assert_eq!(read(format!("{long}\r\n").as_bytes()).unwrap().len(), REDIRECT_MAX);
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        let long = format!("canary{}", "a".repeat(REDIRECT_MAX));
        for bad in [
            &b""[..],
            b"\n",
            b" \t\n",
            b"canary\xff\n",
            b"canary\0\n",
            long.as_bytes(),
        ] {
            let refused = read(bad).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
            assert!(!refused.sentence.contains("canary"), "{refused}");
        }
    }
}
