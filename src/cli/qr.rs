//! `qr`: the current code as a QR code, on the terminal or in a file.

use std::io::{self, IsTerminal, Write};

use zbus::Connection;

use super::args::Qr;
use super::durable::Staged;
use super::exit::{Exit, Failure, word_of};
use super::pair::on_white;
use super::print;
use super::proxy::{Options, PairingProxy};

/// The command.
pub(super) async fn qr(connection: &Connection, wanted: &Qr) -> Result<Exit, Failure> {
    let format = wanted.file.as_ref().map_or("text", |(format, _)| *format);
    let mut options: Options<'_> = [("format", format.into())].into_iter().collect();
    if wanted.fixed {
        options.insert("what", "uri".into());
    }
    if let Some(size) = wanted.size {
        options.insert("size", size.into());
    }
    let answer = PairingProxy::new(connection).await?.get_qr_code(options).await;
    let picture = match answer {
        Ok((_, picture)) => zeroize::Zeroizing::new(picture),
        Err(error) if word_of(&error) == Some("NoPairing") => {
            return Err(Failure::new(
                Exit::Failed,
                "there is no code to show; run: c2c-authctl pair",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let Some((_, path)) = &wanted.file else {
        let text = String::from_utf8_lossy(&picture);
        let terminal = io::stdout().is_terminal();
        print(&if terminal { on_white(&text) } else { text.into_owned() })?;
        return Ok(Exit::Ok);
    };
    let failed = |what: String| {
        move |error: io::Error| Failure::new(Exit::Failed, format!("{what}: cannot be written ({error})"))
    };
    if path.as_os_str() == "-" {
        let mut out = io::stdout().lock();
        out.write_all(&picture)
            .and_then(|()| out.flush())
            .map_err(failed("standard output".to_owned()))?;
    } else {
        // Whoever reads it can bind the device to a project of their own.
        Staged::write(path, &picture, 0o600, None)
            .and_then(Staged::commit)
            .map_err(failed(path.display().to_string()))?;
    }
    Ok(Exit::Ok)
}
