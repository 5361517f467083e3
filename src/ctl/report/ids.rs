//! The names of a device, a project and a machine, which a report shows as hashes.
//!
//! The same id has the same hash in all reports of one machine. The hash is keyed with the
//! machine's own id: a serial number is short, and could be found by trying all of them.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::ctl::output::one_line;
use crate::ctl::site::Site;

/// Keeps the key apart from what other programs derive from the machine id.
const APPLICATION: [u8; 16] = *b"c2c-authd report";

/// A shorter id is replaced as a word of its own alone: it may be part of any other. So is the name
/// of a host, which may be any word ("camera").
const LONG: usize = 6;

struct Known {
    /// A form in which an id may be written.
    form: String,
    /// The word in its place.
    shown: String,
    /// It stands for itself as a word of its own alone.
    is_word: bool,
}

pub(super) struct Ids {
    key: [u8; 16],
    /// The longest first.
    known: Vec<Known>,
}

impl Ids {
    pub(super) fn of(site: &Site) -> Self {
        let mut ids = Self::keyed(site.machine.app_specific(&APPLICATION).unwrap_or_else(|| {
            let mut key = [0; 16];
            // Without randomness the hashes are those of any machine without an id.
            let _ = getrandom::fill(&mut key);
            key
        }));
        for (kind, path) in [
            ("machine-id", "/etc/machine-id"),
            ("host-name", "/proc/sys/kernel/hostname"),
            ("boot-id", "/proc/sys/kernel/random/boot_id"),
        ] {
            ids.learn(
                kind,
                std::fs::read_to_string(site.path(path)).unwrap_or_default().trim(),
            );
        }
        if let Ok(config) = site.config() {
            ids.learn("client-id", config.device.client_id.as_deref().unwrap_or_default());
        }
        ids
    }

    pub(super) fn keyed(key: [u8; 16]) -> Self {
        Self { key, known: Vec::new() }
    }

    pub(super) fn learn(&mut self, kind: &str, value: &str) {
        let shown = self.hash(kind, value);
        let words = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let json = serde_json::Value::from(value).to_string();
        let forms = [
            value.to_owned(),
            one_line(value),
            one_line(&words),
            one_line(json.trim_matches('"')),
        ];
        for form in forms {
            if !form.is_empty() && self.known.iter().all(|known| known.form != form) {
                let is_word = form.len() < LONG || kind == "host-name";
                let shown = shown.clone();
                self.known.push(Known { form, shown, is_word });
            }
        }
        self.known.sort_by_key(|known| usize::MAX - known.form.len());
    }

    /// The word in the place of an id of this kind.
    pub(super) fn hash(&self, kind: &str, value: &str) -> String {
        // RFC 2104, section 2: a key shorter than the block is filled up with zeros.
        let mut key = [0; 64];
        key[..16].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        mac.update(value.as_bytes());
        let hash: Vec<_> = mac
            .finalize()
            .into_bytes()
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("<{kind}:{}>", hash.concat())
    }

    /// The text with all known ids replaced.
    pub(super) fn hide(&self, text: &str) -> String {
        self.known
            .iter()
            .fold(text.to_owned(), |text, known| replaced(&text, known))
    }
}

fn replaced(text: &str, known: &Known) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in text.match_indices(&known.form) {
        let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let end = at + known.form.len();
        if !known.is_word || (is_end(text[..at].chars().next_back()) && is_end(text[end..].chars().next())) {
            out.push_str(&text[from..at]);
            out.push_str(&known.shown);
            from = end;
        }
    }
    out + &text[from..]
}
