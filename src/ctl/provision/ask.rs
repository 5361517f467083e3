//! Reads the client secret: from a pipe, or from a terminal without echo. Never from argv or the
//! environment, which others can read.

use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::location::Plain;
use crate::ctl::exit::{Exit, Failure};

const LIMIT: usize = 4096;

pub(super) fn ask() -> Result<Plain, Failure> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return piped(stdin.lock());
    }
    let quiet = Quiet::new(stdin.as_fd()).map_err(|error| Failure::failed(format!("terminal: {error}")))?;
    let _ = write!(io::stderr(), "Client secret (not shown): ").and_then(|()| io::stderr().flush());
    let typed = typed(stdin.lock());
    drop(quiet);
    let _ = writeln!(io::stderr());
    typed
}

fn piped(input: impl Read) -> Result<Plain, Failure> {
    // Reserved at once: a vector that grows leaves unwiped copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    input
        .take(LIMIT as u64 + 1)
        .read_to_end(&mut content)
        .map_err(|error| Failure::failed(format!("standard input: {error}")))?;
    match content.len() {
        0 => Err(Failure::usage(
            "no client secret on standard input; pipe it in, or run this on a terminal",
        )),
        length if length > LIMIT => Err(Failure::usage("standard input is longer than any client secret")),
        _ => Ok(content),
    }
}

/// One line, byte by byte: with the terminal's own editing off, its keys are ours to obey.
fn typed(input: impl Read) -> Result<Plain, Failure> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const CLEAR: u8 = 0x15;
    let mut line = Zeroizing::new(Vec::with_capacity(LIMIT));
    for byte in BufReader::with_capacity(1, input).bytes() {
        match byte.map_err(|error| Failure::failed(format!("terminal: {error}")))? {
            INTERRUPT => return Err(Failure::new(Exit::Interrupted, "interrupted; nothing was changed")),
            END | b'\r' | b'\n' => break,
            0x08 | 0x7f => drop(line.pop()),
            CLEAR => line.clear(),
            _ if line.len() == LIMIT => break,
            byte => line.push(byte),
        }
    }
    if line.is_empty() {
        return Err(Failure::usage("no client secret was typed; nothing was changed"));
    }
    Ok(line)
}

/// A terminal that shows nothing and sends no signals, until this is dropped: an interrupt in
/// between would leave it mute.
struct Quiet<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> Quiet<F> {
    fn new(terminal: F) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for Quiet<F> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;

    #[test]
    fn a_typed_line_obeys_its_editing_keys() {
        let line = |bytes: &[u8]| typed(bytes).map(|line| line.to_vec());
        assert_eq!(line(b"abc\rrest").unwrap(), b"abc");
        assert_eq!(line(b"wrong\x15abx\x7fc\n").unwrap(), b"abc");
        assert_eq!(line(b"\x7fa\x04").unwrap(), b"a");
        assert_eq!(line(b"ab\x03").unwrap_err().exit, Exit::Interrupted);
        assert_eq!(line(b"\n").unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_no_further_than_sense() {
        assert_eq!(piped(&b"a\nb"[..]).unwrap().as_slice(), b"a\nb");
        assert_eq!(piped(&b""[..]).unwrap_err().exit, Exit::Usage);
        assert_eq!(piped(io::repeat(b'x')).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_terminal_is_mute_while_asked_and_as_before_afterwards() {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = std::fs::File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let modes = || tcgetattr(&terminal).unwrap().local_modes;
        let before = modes();
        assert!(before.contains(LocalModes::ECHO));
        let quiet = Quiet::new(&terminal).unwrap();
        assert!(!modes().intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
        drop(quiet);
        assert_eq!(modes(), before);
    }
}
