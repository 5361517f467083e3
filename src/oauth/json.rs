//! JSON as a server may send it: any type anywhere, repeated keys, numbers beyond all bounds,
//! secrets in the strings.
//!
//! Nothing is parsed that nobody asks for: a member's value is passed over to its end, and what
//! stands in it cannot make the token beside it unreadable. A reader that parses the whole text
//! (`serde_json`) refuses an answer for one lone surrogate, one `NaN` or one byte of Latin-1
//! anywhere, and leaves tokens unwiped in freed memory.
//!
//! Never recursive, so that no depth exhausts the stack. The body's limit bounds the size.

use std::str::Chars;

use zeroize::Zeroizing;

pub(super) enum Json<'a> {
    /// `null`, and what is absent.
    Null,
    // `true` or `false`.
    Bool(bool),
    /// Any number that a double can hold.
    Number(f64),
    /// Wiped when dropped. What is no scalar value in it has become U+FFFD.
    Text(Zeroizing<String>),
    /// The strings of a list. Nobody here reads its other members.
    List(Vec<Zeroizing<String>>),
    Object(Object<'a>),
    /// Something that is no JSON, or a number beyond all bounds. It stands there, so it is not
    /// absent.
    Odd,
}

/// The text of an object, known to be whole. The last of repeated keys counts (RFC 8259 §4 leaves
/// it open).
pub(super) struct Object<'a>(&'a [u8]);

impl<'a> Object<'a> {
    /// `None` where the bytes are not exactly one JSON object, as far as its members' ends.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let object = Self(bytes);
        object.each(|_, _| ())?;
        Some(object)
    }

    /// The value. [`Json::Null`] where the key is absent.
    pub(super) fn get(&self, key: &str) -> Json<'a> {
        self.raw(key).map_or(Json::Null, Json::read)
    }

    /// True if the key is given more than once.
    pub(super) fn repeats(&self, key: &str) -> bool {
        self.given(key) > 1
    }

    /// True if the key is given, also with `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.given(key) > 0
    }

    fn given(&self, key: &str) -> usize {
        let mut given = 0;
        self.each(|name, _| given += usize::from(is(name, key)));
        given
    }

    /// The value, if it is a string.
    pub(super) fn text(&self, key: &str) -> Option<Zeroizing<String>> {
        match self.get(key) {
            Json::Text(text) => Some(text),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) | Json::Odd => None,
        }
    }

    /// The value as it stands there, if it is a run of digits without quotes.
    pub(super) fn digits(&self, key: &str) -> Option<&'a str> {
        let raw = self.raw(key)?;
        let plain = raw.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(raw).ok().filter(|_| plain)
    }

    /// The value, if it is an object.
    pub(super) fn object(&self, key: &str) -> Option<Self> {
        match self.get(key) {
            Json::Object(object) => Some(object),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) | Json::List(_) | Json::Odd => None,
        }
    }

    fn raw(&self, key: &str) -> Option<&'a [u8]> {
        let mut last = None;
        // It is whole, or there would be no such object.
        self.each(|name, value| {
            if is(name, key) {
                last = Some(value);
            }
        });
        last
    }

    /// Shows the raw key and the raw value of each member. `None` where the text is not one object.
    fn each(&self, mut show: impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
        let mut scan = Scan(self.0);
        scan.expect(b'{')?;
        if scan.expect(b'}').is_none() {
            loop {
                let key = scan.string()?;
                scan.expect(b':')?;
                show(key, scan.value()?);
                if scan.expect(b',').is_none() {
                    break;
                }
            }
            scan.expect(b'}')?;
        }
        scan.end()
    }
}

impl<'a> Json<'a> {
    /// Reads one value whose end is known.
    fn read(value: &'a [u8]) -> Self {
        match value {
            b"null" => Self::Null,
            b"true" => Self::Bool(true),
            b"false" => Self::Bool(false),
            [b'"', ..] => Scan(value).string().map_or(Self::Odd, |raw| Self::Text(text(raw))),
            [b'{', ..] => Object::read(value).map_or(Self::Odd, Self::Object),
            [b'[', ..] => strings(value).map_or(Self::Odd, Self::List),
            _ => serde_json::from_slice(value).map_or(Self::Odd, Self::Number),
        }
    }
}

/// The bytes that are left to read.
struct Scan<'a>(&'a [u8]);

impl<'a> Scan<'a> {
    /// Passes over white space and this byte.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.space();
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    // RFC 8259 §2.
    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.0 {
            self.0 = rest;
        }
    }

    fn end(&mut self) -> Option<()> {
        self.space();
        self.0.is_empty().then_some(())
    }

    /// Passes over a string: what stands between its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let whole = self.0;
        loop {
            match self.0 {
                [b'"', rest @ ..] => {
                    let raw = &whole[..whole.len() - self.0.len()];
                    self.0 = rest;
                    return Some(raw);
                }
                [b'\\', _, rest @ ..] | [_, rest @ ..] => self.0 = rest,
                [] => return None,
            }
        }
    }

    /// Passes over a value of any kind and depth: its text.
    fn value(&mut self) -> Option<&'a [u8]> {
        self.space();
        let whole = self.0;
        let mut open = Vec::new();
        loop {
            match self.0 {
                [b'"', ..] => {
                    self.string()?;
                }
                [bracket @ (b'{' | b'['), rest @ ..] => {
                    open.push(if *bracket == b'{' { b'}' } else { b']' });
                    self.0 = rest;
                }
                [bracket @ (b'}' | b']'), rest @ ..] => {
                    open.pop().filter(|awaited| awaited == bracket)?;
                    self.0 = rest;
                }
                [_, rest @ ..] if !open.is_empty() => self.0 = rest,
                _ => self.word()?,
            }
            if open.is_empty() {
                return Some(&whole[..whole.len() - self.0.len()]);
            }
        }
    }

    /// Passes over a number, a literal, or what stands in their place (`NaN`).
    fn word(&mut self) -> Option<()> {
        let ends = |byte: &u8| b" \t\n\r,:[]{}\"".contains(byte);
        let length = self.0.iter().position(ends).unwrap_or(self.0.len());
        self.0 = &self.0[length..];
        (length > 0).then_some(())
    }
}

/// True if the raw text of a key stands for `key`.
fn is(raw: &[u8], key: &str) -> bool {
    raw == key.as_bytes() || (raw.contains(&b'\\') && *text(raw) == key)
}

fn strings(list: &[u8]) -> Option<Vec<Zeroizing<String>>> {
    let mut scan = Scan(list);
    let mut strings = Vec::new();
    scan.expect(b'[')?;
    if scan.expect(b']').is_none() {
        loop {
            let value = scan.value()?;
            if value.starts_with(b"\"") {
                strings.extend(Scan(value).string().map(text));
            }
            if scan.expect(b',').is_none() {
                break;
            }
        }
        scan.expect(b']')?;
    }
    scan.end()?;
    Some(strings)
}

/// The text between the quotes. Every buffer has the room for all of it from the start: one that
/// grows would leave unwiped copies behind.
fn text(raw: &[u8]) -> Zeroizing<String> {
    // Room for an U+FFFD of three bytes in the place of each byte.
    let mut whole = Zeroizing::new(String::with_capacity(match std::str::from_utf8(raw) {
        Ok(text) => text.len(),
        Err(_) => raw.len() * 3,
    }));
    for chunk in raw.utf8_chunks() {
        whole.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            whole.push(char::REPLACEMENT_CHARACTER);
        }
    }
    if whole.contains('\\') { unescaped(&whole) } else { whole }
}

// RFC 8259 §7.
fn unescaped(text: &str) -> Zeroizing<String> {
    // An escape that is none has two bytes, and U+FFFD three.
    let mut plain = Zeroizing::new(String::with_capacity(text.len() * 2));
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        plain.push(if next == '\\' { escape(&mut rest) } else { next });
    }
    plain
}

/// The character that an escape stands for. U+FFFD where it stands for none.
fn escape(rest: &mut Chars<'_>) -> char {
    match rest.next() {
        Some(itself @ ('"' | '\\' | '/')) => itself,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => unit(rest).map_or(char::REPLACEMENT_CHARACTER, |unit| scalar(unit, rest)),
        _ => char::REPLACEMENT_CHARACTER,
    }
}

fn unit(rest: &mut Chars<'_>) -> Option<u16> {
    let (digits, after) = rest.as_str().split_at_checked(4)?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    *rest = after.chars();
    u16::from_str_radix(digits, 16).ok()
}

/// A UTF-16 code unit with the one that follows, where it needs one.
fn scalar(first: u16, rest: &mut Chars<'_>) -> char {
    let mut ahead = rest.clone();
    let second = match (ahead.next(), ahead.next()) {
        (Some('\\'), Some('u')) => unit(&mut ahead),
        _ => None,
    };
    let mut decoded = char::decode_utf16([Some(first), second].into_iter().flatten());
    match decoded.next() {
        Some(Ok(pair)) if pair.len_utf16() == 2 => {
            *rest = ahead;
            pair
        }
        Some(Ok(alone)) => alone,
        Some(Err(_)) | None => char::REPLACEMENT_CHARACTER,
    }
}
