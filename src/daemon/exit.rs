//! How the process ends: one number that a service manager can act on, one sentence that a person can.

use std::fmt;
use std::process::ExitCode;

/// Exit codes of `sysexits.h`, as far as this daemon has a use for them. The unit does not restart after 64, 77 and 78.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// 64: the command line is wrong.
    Usage = 64,
    /// 70: a fault of the daemon itself.
    Internal = 70,
    /// 74: the state or runtime directory cannot be read or written.
    Io = 74,
    /// 75: the cause lies outside and may pass (no bus, bus lost, name taken); worth a restart.
    TempFail = 75,
    /// 77: owner or mode of a file or directory is not what it must be.
    NoPermission = 77,
    /// 78: the configuration is wrong; a restart cannot help.
    Config = 78,
}

/// Why the daemon ends before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For the service manager.
    pub code: Code,
    /// For people: one sentence that names the thing and the cure. Holds no secret (I8).
    pub sentence: String,
}

impl Failure {
    /// A failure with its sentence; line breaks, which a STATUS cannot carry, become spaces.
    #[must_use]
    pub(crate) fn new(code: Code, sentence: impl fmt::Display) -> Self {
        let sentence = sentence.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { code, sentence }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Failure {}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        let failure = Failure::new(Code::Config, "expected a value\n  |\n3 | x =\n");
        assert_eq!(failure.sentence, "expected a value | 3 | x =");
    }

    #[test]
    fn codes_are_those_of_sysexits() {
        let codes = [
            Code::Usage,
            Code::Internal,
            Code::Io,
            Code::TempFail,
            Code::NoPermission,
            Code::Config,
        ];
        assert_eq!(codes.map(|code| code as u8), [64, 70, 74, 75, 77, 78]);
    }
}
