//! The files that ship beside the tool agree with its table: the shell completions, which are
//! written from it, and the man page.
//!
//! `C2C_WRITE=1 cargo test --lib completions` writes the completions anew.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has failed")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::*;

/// Every option that takes a value, once.
fn with_values() -> Vec<&'static Opt> {
    let all = GLOBAL.iter().chain(VERBS.iter().flat_map(|verb| verb.options));
    let mut found: Vec<&Opt> = Vec::new();
    for option in all.filter(|option| option.value.is_some() && !option.is_argument()) {
        if !found.iter().any(|known| known.name == option.name) {
            found.push(option);
        }
    }
    found
}

fn names(options: &[Opt]) -> String {
    options
        .iter()
        .filter(|option| !option.is_argument())
        .map(|option| format!("--{}", option.name))
        .collect::<Vec<_>>()
        .join(" ")
}

fn takes_a_file(options: &[Opt]) -> bool {
    let is_file = |value: &Value| value.kind == Choice::FileArgument;
    options.iter().any(|option| option.value.as_ref().is_some_and(is_file))
}

fn bash() -> String {
    let mut out = String::from(
        "# Completes c2c-authctl in bash. Written from the tool's own table by src/ctl/spec/tests.rs.\n\n\
         _c2c_authctl() {\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' i\n    \
         COMPREPLY=()\n    case $prev in\n",
    );
    for option in with_values() {
        let offer = match option.value.as_ref().unwrap().kind {
            Choice::Files => "mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")".to_owned(),
            Choice::Directories => "mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")".to_owned(),
            Choice::Words(words) => format!("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$cur\")", words.join(" ")),
            Choice::Nothing | Choice::Argument | Choice::FileArgument => ":".to_owned(),
        };
        let _ = write!(
            out,
            "    --{})\n        {offer}\n        return\n        ;;\n",
            option.name
        );
    }
    out.push_str(
        "    esac\n    for ((i = 1; i < COMP_CWORD; i++)); do\n        case ${COMP_WORDS[i]} in\n        --bus) i=$((i + 1)) ;;\n        \
         -*) ;;\n        *)\n            verb=${COMP_WORDS[i]}\n            break\n            ;;\n        esac\n    done\n    \
         case $verb in\n",
    );
    let verbs: Vec<_> = VERBS.iter().map(|verb| verb.name).collect();
    let mut offer = |verb: &str, options: &[Opt], words: &str| {
        let files = if takes_a_file(options) {
            "compgen -f -- \"$cur\"; "
        } else {
            ""
        };
        let _ = write!(
            out,
            "    {verb})\n        mapfile -t COMPREPLY < <({files}compgen -W '{words}' -- \"$cur\")\n        ;;\n"
        );
    };
    offer("''", &[], &format!("{} {}", verbs.join(" "), names(GLOBAL)));
    for verb in VERBS {
        offer(
            verb.name,
            verb.options,
            format!("{} {}", names(verb.options), names(GLOBAL)).trim(),
        );
    }
    out.push_str("    esac\n}\ncomplete -F _c2c_authctl c2c-authctl\n");
    out
}

fn zsh() -> String {
    let spec = |option: &Opt| {
        let help = option
            .help
            .replace('\'', "'\\''")
            .replace('[', "\\[")
            .replace(']', "\\]")
            .replace(':', "\\:");
        let value = option.value.as_ref().map_or_else(String::new, |value| {
            let action = match value.kind {
                Choice::Files | Choice::FileArgument => "_files".to_owned(),
                Choice::Directories => "_files -/".to_owned(),
                Choice::Words(words) => format!("({})", words.join(" ")),
                Choice::Nothing | Choice::Argument => " ".to_owned(),
            };
            format!(":{}:{action}", value.name)
        });
        if option.is_argument() {
            format!("'1{value}'")
        } else {
            format!("'--{}[{help}]{value}'", option.name)
        }
    };
    let mut out = String::from(
        "#compdef c2c-authctl\n# Completes c2c-authctl in zsh. Written from the tool's own table by src/ctl/spec/tests.rs.\n\n\
         _c2c-authctl() {\n  local context state state_descr line\n  typeset -A opt_args\n  local -a global commands\n  global=(\n",
    );
    for option in GLOBAL {
        let _ = writeln!(out, "    {}", spec(option));
    }
    out.push_str("  )\n  commands=(\n");
    for verb in VERBS {
        let _ = writeln!(
            out,
            "    '{}:{}'",
            verb.name,
            verb.summary.replace('\'', "'\\''").replace(':', "\\:")
        );
    }
    out.push_str(
        "  )\n  _arguments -C $global '1:command:->command' '*::option:->option' && return\n  case $state in\n    command)\n      \
         _describe command commands\n      ;;\n    option)\n      case $line[1] in\n",
    );
    for verb in VERBS {
        let _ = writeln!(out, "        {})", verb.name);
        let options: Vec<_> = verb.options.iter().map(spec).collect();
        let _ = writeln!(out, "          _arguments $global {}\n          ;;", options.join(" "));
    }
    out.push_str("      esac\n      ;;\n  esac\n}\n\n_c2c-authctl \"$@\"\n");
    out
}

fn fish() -> String {
    let rest = |option: &Opt| {
        let value = option
            .value
            .as_ref()
            .map_or_else(String::new, |value| match value.kind {
                Choice::Files => " --require-parameter --force-files".to_owned(),
                Choice::Directories => " --exclusive --arguments '(__fish_complete_directories)'".to_owned(),
                Choice::Words(words) => format!(" --exclusive --arguments '{}'", words.join(" ")),
                Choice::Nothing | Choice::Argument | Choice::FileArgument => " --exclusive".to_owned(),
            });
        format!(
            "--long-option {}{value} --description \"{}\"",
            option.name,
            option.help.replace('"', "\\\"")
        )
    };
    let verbs: Vec<_> = VERBS.iter().map(|verb| verb.name).collect();
    let mut out = format!(
        "# Completes c2c-authctl in fish. Written from the tool's own table by src/ctl/spec/tests.rs.\n\n\
         set --local verbs {}\ncomplete --command c2c-authctl --no-files\n",
        verbs.join(" ")
    );
    for option in GLOBAL {
        let _ = writeln!(out, "complete --command c2c-authctl {}", rest(option));
    }
    for verb in VERBS {
        let _ = write!(
            out,
            "\ncomplete --command c2c-authctl --condition \"not __fish_seen_subcommand_from $verbs\" --arguments {} --description \
             \"{}\"\n",
            verb.name, verb.summary
        );
        if takes_a_file(verb.options) {
            let _ = writeln!(
                out,
                "complete --command c2c-authctl --condition \"__fish_seen_subcommand_from {}\" --force-files",
                verb.name
            );
        }
        for option in verb.options.iter().filter(|option| !option.is_argument()) {
            let _ = writeln!(
                out,
                "complete --command c2c-authctl --condition \"__fish_seen_subcommand_from {}\" {}",
                verb.name,
                rest(option)
            );
        }
    }
    out
}

#[test]
fn the_completions_that_ship_are_those_of_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for (name, written) in [
        ("c2c-authctl.bash", bash()),
        ("_c2c-authctl", zsh()),
        ("c2c-authctl.fish", fish()),
    ] {
        let path = root.join(name);
        if std::env::var_os("C2C_WRITE").is_some() {
            std::fs::write(&path, &written).unwrap();
        }
        let shipped = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            shipped == written,
            "completions/{name} is not what the table says; see the head of src/ctl/spec/tests.rs"
        );
    }
}

/// In the shell itself.
#[test]
fn bash_offers_what_can_follow() {
    let complete = |words: &[&str]| {
        let script = format!(
            "{}\nCOMP_WORDS=(c2c-authctl {}) COMP_CWORD={}\n_c2c_authctl\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            bash(),
            words
                .iter()
                .map(|word| format!("'{word}'"))
                .collect::<Vec<_>>()
                .join(" "),
            words.len()
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("LC_ALL", "C")
            .output()
            .unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        said.lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(complete(&["un"]), ["unpair"]);
    assert_eq!(complete(&["unpair", "--y"]), ["--yes"]);
    assert_eq!(complete(&["--bus", "session", "pair", "--re"]), ["--replace"]);
    assert_eq!(complete(&["provision", "--with-key", "host"]), ["host", "host+tpm2"]);
    assert_eq!(complete(&["--bus", "s"]), ["system", "session"]);
    assert_eq!(complete(&["cancel", "--y"]), [""; 0]);
    let all = complete(&[""]);
    assert!(
        VERBS.iter().all(|verb| all.iter().any(|offered| offered == verb.name)),
        "{all:?}"
    );
}

/// The page of this name, with mdoc's escapes taken out.
fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(name);
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .replace("\\-", "-")
}

#[test]
fn the_man_page_has_every_command_option_and_exit_code() {
    let page = page("c2c-authctl.1");
    let mut items = page.split("\n.It Cm ").skip(1);
    for verb in VERBS {
        let item = items.find(|item| item.split_whitespace().next() == Some(verb.name));
        let item = item.unwrap_or_else(|| panic!("{} has no item, or not in the order of the help", verb.name));
        for option in verb.options {
            let named = match &option.value {
                Some(value) if option.is_argument() => format!("Ar {}", value.name),
                Some(value) => format!("Fl -{} Ar {}", option.name, value.name),
                None => format!("Fl -{}", option.name),
            };
            assert!(item.contains(&named), "{} {named}", verb.name);
        }
    }
    for option in GLOBAL {
        assert!(page.contains(&format!(".It Fl -{}", option.name)), "{}", option.name);
    }
    let (_, codes) = page.split_once(".Sh EXIT STATUS").unwrap();
    for (code, _) in EXIT_CODES {
        assert!(codes.contains(&format!("\n.It {code}\n")), "{code}");
    }
}

#[test]
fn the_man_page_names_no_option_that_is_not_there() {
    let page = page("c2c-authctl.1");
    let all = || GLOBAL.iter().chain(VERBS.iter().flat_map(|verb| verb.options));
    for named in page.split("Fl -").skip(1) {
        let name: String = named
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
            .collect();
        assert!(all().any(|option| option.name == name), "{name}");
    }
}
