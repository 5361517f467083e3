//! The configuration as somebody else may see it: file by file, each value by its kind.
//!
//! Must never: print a line as it is written, a comment, or a value whose kind is not known.
//! Somebody may have written a secret there, although no key takes one.

use std::fmt::Write as _;
use std::fs;

use toml::{Table, Value};

use super::identity::System;
use super::load::paths;

/// Keys whose text is a word, a span of time or a name of this system.
const PLAIN: &str = "access.ui access.uploader device.client-id-from device.firmware-version \
    device.firmware-version-from heartbeat.interval pairing.give-up-after provider.body \
    provider.client-auth provider.dead-words provider.device-code-path provider.kind \
    provider.pkce provider.preset provider.refresh-token-life provider.scope refresh.at \
    refresh.min-validity refresh.policy refresh.replay-after refresh.reuse-window";

/// Keys whose text is a path. Anything else may be the secret that belongs into the file.
const PATHS: &str = "secrets.client-secret-file secrets.state-key-file state.directory tls.ca-file";

/// Keys whose text is an address. Only scheme, host, port and path are shown.
const ADDRESSES: &str = "network.proxy provider.authorization-endpoint provider.base-uri \
    provider.device-authorization-endpoint provider.issuer provider.redirect-uri \
    provider.resource provider.revocation-endpoint provider.token-endpoint";

/// Keys that name this device.
const IDS: &str = "device.client-id provider.client-id";

const LEFT_OUT: &str = "(left out)";

/// `hide` gives what stands in the place of an id of this device.
pub(crate) fn shown(system: &System, hide: &mut dyn FnMut(&str) -> String) -> String {
    let files = match paths(system) {
        Ok(files) => files,
        Err(error) => return format!("{error}\n"),
    };
    let mut out = String::new();
    for path in files {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "-- {}", path.display());
        match fs::read_to_string(&path) {
            Ok(text) => out.push_str(&file(&text, hide)),
            Err(error) => {
                let _ = writeln!(out, "{error}");
            }
        }
    }
    out
}

fn file(text: &str, hide: &mut dyn FnMut(&str) -> String) -> String {
    let Ok(document) = text.parse::<Table>() else {
        return "this is not TOML: check names the line\n".to_owned();
    };
    let mut out = String::new();
    for (section, content) in &document {
        let Value::Table(keys) = content else {
            let _ = writeln!(out, "{section:?} = {LEFT_OUT}");
            continue;
        };
        for (key, value) in keys {
            let name = format!("{section}.{key}");
            let _ = writeln!(out, "{} = {}", name.escape_debug(), by_kind(&name, value, hide));
        }
    }
    out
}

fn by_kind(key: &str, value: &Value, hide: &mut dyn FnMut(&str) -> String) -> String {
    let is_in = |keys: &str| keys.split(' ').any(|known| known == key);
    match value {
        Value::Boolean(value) => value.to_string(),
        Value::String(text) if is_in(PLAIN) => format!("{text:?}"),
        Value::String(text) if is_in(PATHS) && text.starts_with('/') => format!("{text:?}"),
        Value::String(text) if is_in(ADDRESSES) => address(text),
        Value::String(text) if is_in(IDS) => hide(text),
        Value::Integer(value) if is_in(PLAIN) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| by_kind(key, item, hide)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Datetime(_) | Value::Table(_) => {
            LEFT_OUT.to_owned()
        }
    }
}

/// Without what may let somebody in: user information, query and fragment. A password may hold any
/// sign, so nobody knows where one ends.
fn address(text: &str) -> String {
    if text.contains('@') {
        return "(left out: it holds an @)".to_owned();
    }
    format!("{:?}", &text[..text.find(['?', '#']).unwrap_or(text.len())])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

    use super::*;
    use crate::config::Config;
    use crate::config::raw::Raw;

    #[test]
    fn a_value_is_shown_by_its_kind_and_a_secret_that_somebody_wrote_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let system = System::at(folder.path());
        for (path, text) in [
            (
                "/etc/c2c-authd/config.toml",
                "# hush-comment\n[device]\nclient-id = \"SN-hush-1\"\nfirmware-version = \"2.1.0\"\n\
                 [provider]\nbase-uri = \"https://user:hush@api.example:444/v2?key=hush#hush\"\n\
                 issuer = \"https://user:hu?shush@api.example\"\n\
                 token-endpoint = \"https://api.example/token?hush#hush\"\n\
                 audience = \"hush\"\nextra = [{ name = \"n\", value = \"hush\" }]\nclient-secret = \"hush\"\n\
                 [secrets]\nclient-secret-file = \"hush\"\nstate-key-file = \"/data/key\"\n\
                 [refresh]\nat = \"75%\"\n[access]\nui = [\"c2c-ui\"]\n[other]\nx = \"hush\"\n\
                 [network]\nproxy = \"http://user:hu#hush@10.0.0.1:3128\"\n",
            ),
            ("/etc/c2c-authd/config.d/10-broken.toml", "secret = hush\n"),
        ] {
            let path = system.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut hidden = Vec::new();
        let told = shown(&system, &mut |id| {
            hidden.push(id.to_owned());
            "<id>".to_owned()
        });
        assert_eq!(hidden, ["SN-hush-1"]);
        for line in [
            "provider.base-uri = (left out: it holds an @)",
            "provider.issuer = (left out: it holds an @)",
            "provider.token-endpoint = \"https://api.example/token\"",
            "network.proxy = (left out: it holds an @)",
            "provider.client-secret = (left out)",
            "provider.audience = (left out)",
            "provider.extra = [(left out)]",
            "device.firmware-version = \"2.1.0\"",
            "device.client-id = <id>",
            "secrets.client-secret-file = (left out)",
            "secrets.state-key-file = \"/data/key\"",
            "refresh.at = \"75%\"",
            "access.ui = [\"c2c-ui\"]",
            "10-broken.toml\nthis is not TOML",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(!told.contains("hush") && !told.contains("user"), "{told}");
        // Nor is it in what `check` says of such a file.
        for text in [
            "[provider]\nbase-uri = \"https://user:hush@api.example/v2\"\n",
            "[provider]\nclient-secret = \"hush\"\n",
            "[secrets]\nclient-secret-file = \"hush\"\n",
            "secret = hush\n",
        ] {
            fs::write(system.path("/etc/c2c-authd/config.d/10-broken.toml"), text).unwrap();
            fs::write(system.path("/etc/c2c-authd/config.toml"), "").unwrap();
            let refused = Config::load(&system).unwrap_err().to_string();
            assert!(!refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn each_key_that_the_configuration_knows_has_a_kind() {
        let mut hide = |_: &str| "<id>".to_owned();
        // Free text of a server's: it may be anything.
        let left_out = ["provider.audience", "provider.extra"];
        for (section, keys) in Raw::schema() {
            for key in keys {
                let name = format!("{section}.{key}");
                let told = by_kind(&name, &"/a".into(), &mut hide);
                let is_flag = by_kind(&name, &true.into(), &mut hide) == "true";
                assert!(is_flag);
                let is_bool = ["create-state-key", "url-pairing", "separate-grants"].contains(&key.as_str());
                assert_eq!(
                    told == "(left out)",
                    is_bool || left_out.contains(&&*name),
                    "{name}: {told}"
                );
            }
        }
    }
}
