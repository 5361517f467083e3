//! `systemd-creds`: sealing and unsealing, and what a sealed file tells without being opened.
//!
//! Secrets pass through pipes only. Never bound to PCRs that mean anything: a firmware update would
//! lock the device out.

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::host_key;
use crate::config::MachineId;
use crate::ctl::program::program;
use crate::ctl::site::Site;
use crate::system::mounts::Ground;

const PROGRAM: &str = "systemd-creds";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) enum Key {
    // `/var/lib/systemd/credential.secret`.
    Host,
    Tpm2,
    HostTpm2,
    /// A key of zeros: it hides nothing.
    Null,
    /// A way that this version does not know.
    Other,
}

impl Key {
    /// As `systemd-creds` and our command line call it.
    pub(in crate::ctl) const fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Tpm2 => "tpm2",
            Self::HostTpm2 => "host+tpm2",
            Self::Null => "null",
            Self::Other => "other",
        }
    }

    pub(in crate::ctl) fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Host, Self::Tpm2, Self::HostTpm2, Self::Null, Self::Other];
        all.into_iter().find(|key| key.word() == word)
    }

    /// True if opening needs the host's key file.
    pub(in crate::ctl) const fn needs_host(self) -> bool {
        matches!(self, Self::Host | Self::HostTpm2)
    }

    /// True if opening needs the TPM.
    pub(in crate::ctl) const fn needs_tpm(self) -> bool {
        matches!(self, Self::Tpm2 | Self::HostTpm2)
    }

    /// Where the key lives and what that is good for.
    pub(in crate::ctl) const fn protection(self) -> &'static str {
        match self {
            Self::Host => {
                "The key is /var/lib/systemd/credential.secret on this device. That protects sealed files that are copied alone \
                 (a backup of /etc, a log, a faulty program); it does not protect against somebody who holds the whole \
                 disk or an image of it."
            }
            Self::Tpm2 => {
                "The key is in this device's TPM, not bound to the firmware, so that updates do not lock it out. That protects \
                 against somebody who holds the disk or an image of it; it does not protect against somebody who runs programs \
                 as root on this device, or boots their own system on it. Clearing the TPM loses the secrets."
            }
            Self::HostTpm2 => {
                "The key is in this device's TPM and in /var/lib/systemd/credential.secret; both are needed, and it is not \
                 bound to the firmware, so that updates do not lock it out. That protects against somebody who holds the disk \
                 or an image of it, or the device without its disk; it does not protect against somebody who runs programs as \
                 root on this device, or boots their own system on it. Clearing the TPM loses the secrets."
            }
            Self::Null => "The key is all zeros: this protects against nothing.",
            Self::Other => "It is sealed in a way that this version does not know.",
        }
    }
}

/// The header of a sealed credential, which is in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) struct Header {
    pub(in crate::ctl) key: Key,
    /// True if opening needs the firmware or system measurements of the time of sealing.
    pub(in crate::ctl) bound_to_pcrs: bool,
}

/// Reads the header. `None` if this is no sealed credential.
pub(in crate::ctl) fn header(sealed: &[u8]) -> Option<Header> {
    // The ids are those of systemd's creds-util.h. Each value is part of the format.
    const IDS: [(u128, Key); 10] = [
        (0x5a1c_6a86_df9d_4096_b1d5_a65e_0862_f19a, Key::Host),
        (0x55b9_ed1d_3859_4d43_a831_9d2e_bb33_2ac6, Key::Host),
        (0x0c7c_c07b_1176_4591_9c4b_0bea_08bc_20fe, Key::Tpm2),
        (0xfaf7_eb93_41e3_412c_a1a4_36f9_5a29_362f, Key::Tpm2),
        (0x93a8_9409_4874_4490_90ca_f2fc_93ca_b553, Key::HostTpm2),
        (0xef4a_c136_79a9_480e_a7db_6889_7f9f_165d, Key::HostTpm2),
        (0xaf49_50a8_4913_4eb1_a738_4630_4ff3_0c05, Key::HostTpm2),
        (0xadbc_4ca3_efb6_4201_ba88_1b6f_2e40_95ea, Key::HostTpm2),
        (0x0584_69da_f6f5_4324_8005_49da_0f8e_a2fb, Key::Null),
        (0, Key::Other),
    ];
    const PUBLIC_KEY: [u128; 3] = [IDS[3].0, IDS[6].0, IDS[7].0];
    let text: Vec<u8> = sealed
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let bytes = STANDARD.decode(text).ok()?;
    let id = u128::from_be_bytes(bytes.get(..16)?.try_into().ok()?);
    // Four sizes and the nonce come first, padded to eight bytes. With a TPM the mask of PCRs
    // follows.
    let nonce = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?);
    let found = IDS.iter().find(|(known, _)| *known == id);
    let key = found.map_or(Key::Other, |(_, key)| *key);
    let bound_to_pcrs = key.needs_tpm() && {
        let at = usize::try_from(nonce)
            .ok()?
            .checked_add(32)?
            .checked_next_multiple_of(8)?;
        let mask = u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?);
        mask & !FREE_PCRS != 0 || PUBLIC_KEY.contains(&id)
    };
    Some(Header { key, bound_to_pcrs })
}

/// PCRs 16 and 23 are there for debugging and for applications, measure nothing of firmware or
/// system, and can be reset by any program (TCG PC Client Platform TPM Profile, "PCR attributes"):
/// to be bound to them is not to be bound.
const FREE_PCRS: u64 = 1 << 16 | 1 << 23;

/// Reads the list of `systemd-creds has-tpm2`: each part with `+` or `-`. Version 257 lists the
/// libraries too.
fn knows_tpm(listed: &str) -> bool {
    let says = |word: &str| listed.lines().any(|line| line.trim() == word);
    says("+driver") && says("+system") && !says("-libraries")
}

/// `systemd-creds` did not do it.
#[derive(Debug, thiserror::Error)]
pub(in crate::ctl) enum CredsError {
    #[error(
        "systemd-creds cannot be run ({0}); if the system has no credentials, store the secrets as files: --files DIR"
    )]
    Absent(io::Error),
    #[error("systemd-creds: {0}")]
    Refused(String),
    /// Neither a TPM nor a host key that would survive a reboot.
    #[error(
        "there is no TPM, and /var/lib/systemd is on a file system that does not survive a reboot, so there is no key to seal \
         with; make it persistent, or store the secrets as files: --files DIR"
    )]
    NoKey,
    /// The host key would go with the machine id.
    #[error(
        "the machine id is transient: the next boot has another, and systemd then deletes the host key, and with it what is sealed. \
         Make /etc/machine-id persistent, or use --with-key tpm2, or store the secrets as files: --files DIR"
    )]
    Transient,
    /// Nothing can be sealed for a machine that is none yet.
    #[error(
        "there is no machine id, so this is an image, not a device: provision at first boot, or use --with-key tpm2"
    )]
    Image,
    /// systemd would delete the host key, and with it what was sealed before.
    #[error(
        "{0} belongs to another machine id, and systemd deletes it if it reads it under this one. Bring that id back; or, if it is \
         lost, move the file away and use --replace; or use --with-key tpm2, or --files DIR"
    )]
    Foreign(String),
    #[error("{0}")]
    SealedElsewhere(String),
}

#[derive(Clone, Copy)]
pub(in crate::ctl) struct Creds<'a>(pub(in crate::ctl) &'a Site);

impl Creds<'_> {
    pub(in crate::ctl) fn seal(self, name: &str, key: Key, plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, CredsError> {
        // Without the empty list it would bind to PCR 7: a change of Secure Boot's keys would lock
        // the device out.
        let sealed = self.seal_to(name, key, "--tpm2-pcrs=", plain)?;
        // systemd 252 takes an empty list, and writes a header that it then refuses ("PCR bank
        // invalid").
        if key.needs_tpm() && self.open(name, &sealed).is_err() {
            return self.seal_to(name, key, "--tpm2-pcrs=16", plain);
        }
        Ok(sealed)
    }

    fn seal_to(self, name: &str, key: Key, pcrs: &str, plain: &[u8]) -> Result<Zeroizing<Vec<u8>>, CredsError> {
        if key.needs_host() {
            self.spared_host_key()?;
        }
        let key = format!("--with-key={}", key.word());
        let name = format!("--name={name}");
        self.run(&["encrypt", &name, &key, pcrs, "-", "-"], plain)
    }

    pub(in crate::ctl) fn open(self, name: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CredsError> {
        let reads_host_key = header(sealed).is_some_and(|header| host_key::is_read_for(header.key));
        if reads_host_key && host_key::is_foreign(self.0) {
            return Err(CredsError::SealedElsewhere(host_key::sealed_elsewhere(self.0)));
        }
        let name = format!("--name={name}");
        self.run(&["decrypt", &name, "--newline=no", "-", "-"], sealed)
    }

    /// The best key that will be there after the next reboot. Not `--with-key=auto`, which may bind
    /// to signed PCRs.
    pub(in crate::ctl) fn best_key(self) -> Result<Key, CredsError> {
        let host = self.usable_host_key();
        match (self.has_tpm()?, host) {
            (true, Ok(())) if self.host_key_lasts() => Ok(Key::HostTpm2),
            (true, Ok(()) | Err(CredsError::Transient)) => Ok(Key::Tpm2),
            (false, Ok(())) if self.host_key_lasts() => Ok(Key::Host),
            (false, Ok(())) => Err(CredsError::NoKey),
            (_, Err(error)) => Err(error),
        }
    }

    /// Checks that the host's key may seal something: the machine id survives the next boot, and
    /// the key belongs to it.
    pub(in crate::ctl) fn usable_host_key(self) -> Result<(), CredsError> {
        match self.0.machine {
            MachineId::Lasting(_) => self.spared_host_key(),
            MachineId::Transient(_) => Err(CredsError::Transient),
            MachineId::Absent => Err(CredsError::Image),
        }
    }

    fn spared_host_key(self) -> Result<(), CredsError> {
        if host_key::is_foreign(self.0) {
            Err(CredsError::Foreign(self.0.host_key().display().to_string()))
        } else {
            Ok(())
        }
    }

    /// True if kernel and systemd know a TPM. The exit code of the program does not decide. It is
    /// "partial" where the firmware knows none: no firmware of a camera's board does, and sealing
    /// does not need it.
    pub(in crate::ctl) fn has_tpm(self) -> Result<bool, CredsError> {
        let output = self
            .command(&["has-tpm2"])
            .stderr(Stdio::null())
            .stdin(Stdio::null())
            .output()
            .map_err(CredsError::Absent)?;
        Ok(knows_tpm(&String::from_utf8_lossy(&output.stdout)))
    }

    /// True if the host's key survives the next reboot.
    pub(in crate::ctl) fn host_key_lasts(self) -> bool {
        // The file and the directories above it may be made only with the first credential.
        self.0.mounts.ground(&self.0.host_key()) == Ground::Lasting
    }

    fn command(self, arguments: &[&str]) -> Command {
        let mut command = program(PROGRAM);
        command.args(arguments);
        command.envs(self.0.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(self, arguments: &[&str], input: &[u8]) -> Result<Zeroizing<Vec<u8>>, CredsError> {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(CredsError::Absent)?;
        let refused = |error: io::Error| CredsError::Refused(error.to_string());
        let (Some(mut stdin), Some(stdout), Some(mut stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(CredsError::Refused("it has no pipes".to_owned()));
        };
        let complaints = thread::spawn(move || {
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            said
        });
        // A pipe holds more than any secret. A program that closes it early says why on standard
        // error.
        let _ = stdin.write_all(input);
        drop(stdin);
        // Reserved at once: a vector that grows leaves unwiped copies behind.
        let mut output = Zeroizing::new(Vec::with_capacity(LIMIT));
        stdout.take(LIMIT as u64).read_to_end(&mut output).map_err(refused)?;
        let status = child.wait().map_err(refused)?;
        let said = complaints.join().unwrap_or_default();
        if status.success() {
            return Ok(output);
        }
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        Err(CredsError::Refused(last.map_or_else(
            || format!("it ended with {status}"),
            |line| line.trim().to_owned(),
        )))
    }
}

/// More than any sealed secret of ours takes.
const LIMIT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::knows_tpm;

    #[test]
    fn a_tpm_without_firmware_is_one_and_a_driver_without_libraries_is_none() {
        assert!(knows_tpm("yes\n+firmware\n+driver\n+system\n+subsystem\n"));
        assert!(knows_tpm(
            "partial\n-firmware\n+driver\n+system\n+subsystem\n+libraries\n"
        ));
        assert!(!knows_tpm(
            "partial\n-firmware\n+driver\n+system\n+subsystem\n-libraries\n"
        ));
        assert!(!knows_tpm("partial\n-firmware\n-driver\n+system\n+subsystem\n"));
        assert!(!knows_tpm("no\n-firmware\n-driver\n-system\n-subsystem\n"));
        assert!(!knows_tpm(""));
    }
}
