//! Strings on their way to the bus.
//!
//! D-Bus strings hold no NUL: the broker answers one by dropping the connection, and zbus does not
//! look. Server texts are stripped where they are parsed. This is a second check, right before they
//! are sent.

/// Removes every NUL. Nearly always there is none, and nothing is copied.
pub(super) fn without_nul(text: &mut String) {
    if text.contains('\0') {
        text.retain(|character| character != '\0');
    }
}

/// A caller's own word, short and harmless enough to be quoted back.
pub(super) fn quote(word: &str) -> String {
    const SHOWN: usize = 40;
    let mut quoted: String = word
        .chars()
        .filter(|character| !character.is_control())
        .take(SHOWN)
        .collect();
    if quoted.len() < word.len() {
        quoted.push_str("...");
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_nul_is_left_and_nothing_else_is_lost() {
        let mut text = "a\0b\0\u{e9}\0".to_owned();
        without_nul(&mut text);
        assert_eq!(text, "ab\u{e9}");
    }

    #[test]
    fn a_quoted_word_is_short_and_free_of_control_characters() {
        assert_eq!(quote("renew"), "renew");
        assert_eq!(quote("re\nnew"), "renew...");
        assert_eq!(quote(&"x".repeat(41)), format!("{}...", "x".repeat(40)));
    }
}
