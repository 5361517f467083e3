//! One request head, read strictly and piece by piece: what a browser sends when it follows a
//! redirect, and nothing else.
//!
//! Kept is one line at a time, at most [`LINE_MAX`] of it. Cookies know no ports, so a browser may
//! also send those of other servers on this machine. They may be long and in no known encoding.
//! They are read past.

use zeroize::Zeroizing;

use super::page::Page;
use crate::oauth::REDIRECT_MAX;

/// Longest request line, and what is kept of any other: the redirect's own limit.
pub(super) const LINE_MAX: usize = REDIRECT_MAX;

/// Longest head. Chrome's cookie jar for one host stays below (180 cookies of 4 KiB).
pub(super) const HEAD_MAX: usize = 1024 * 1024;

/// The parts of the request that is waited for.
pub(super) struct Wanted {
    /// The value of `Host`.
    pub(super) host: String,
    /// The path, without query.
    pub(super) path: String,
}

/// The target of a request that is waited for, or the page for everybody else. Wiped: it holds a
/// code.
pub(super) type Judged = Result<Zeroizing<String>, Page>;

/// A head on its way in.
pub(super) struct Head<'a> {
    wanted: &'a Wanted,
    /// The present line, without what is too long of it.
    line: Zeroizing<Vec<u8>>,
    cut: bool,
    taken: usize,
    /// From the first line: the target, and whether the method is `GET`.
    first: Option<(Zeroizing<String>, bool)>,
    hosts: usize,
}

impl<'a> Head<'a> {
    pub(super) fn new(wanted: &'a Wanted) -> Self {
        Self {
            wanted,
            // Once: a vector that grows leaves copies behind.
            line: Zeroizing::new(Vec::with_capacity(LINE_MAX)),
            cut: false,
            taken: 0,
            first: None,
            hosts: 0,
        }
    }

    /// Takes the next bytes. `Some` once it is clear what this request is.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<Judged> {
        self.taken += bytes.len();
        if self.taken > HEAD_MAX {
            return Some(Err(Page::BAD_REQUEST));
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.split_last().map_or((piece, false), |(last, text)| match last {
                b'\n' => (text, true),
                _ => (piece, false),
            });
            let room = LINE_MAX - self.line.len();
            self.cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if self.cut && self.first.is_none() {
                return Some(Err(Page::BAD_REQUEST));
            }
            if ends {
                match self.line() {
                    Ok(false) => {}
                    Ok(true) => return Some(self.judge()),
                    Err(page) => return Some(Err(page)),
                }
                self.line.clear();
                self.cut = false;
            }
        }
        None
    }

    /// Judges the line that just ended. True if it was the last.
    fn line(&mut self) -> Result<bool, Page> {
        let line = match self.line.strip_suffix(b"\r") {
            Some(line) => line,
            // The end of a long one was not kept.
            None if self.cut => &self.line,
            None => return Err(Page::BAD_REQUEST),
        };
        if self.first.is_none() {
            self.first = Some(first(line)?);
            return Ok(false);
        }
        if line.is_empty() && !self.cut {
            return Ok(true);
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Page::BAD_REQUEST)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"host") {
            if self.cut || !value.eq_ignore_ascii_case(self.wanted.host.as_bytes()) {
                return Err(Page::BAD_REQUEST);
            }
            self.hosts += 1;
        }
        // A body is no part of a redirect.
        let body = name.eq_ignore_ascii_case(b"transfer-encoding")
            || (name.eq_ignore_ascii_case(b"content-length") && (self.cut || value != b"0"));
        if body { Err(Page::BAD_REQUEST) } else { Ok(false) }
    }

    fn judge(&mut self) -> Judged {
        let Some((target, is_get)) = self.first.take().filter(|_| self.hosts == 1) else {
            return Err(Page::BAD_REQUEST);
        };
        // After the host, so that a page of another name (DNS rebinding) does not learn which path
        // is ours.
        if target.split('?').next() != Some(self.wanted.path.as_str()) {
            return Err(Page::NOT_FOUND);
        }
        if is_get {
            Ok(target)
        } else {
            Err(Page::METHOD_NOT_ALLOWED)
        }
    }
}

/// The request line: its target, and whether the method is `GET`.
fn first(line: &[u8]) -> Result<(Zeroizing<String>, bool), Page> {
    let line = std::str::from_utf8(line).map_err(|_| Page::BAD_REQUEST)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Page::BAD_REQUEST);
    };
    let is_target = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_target || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(Page::BAD_REQUEST);
    }
    Ok((Zeroizing::new(target.to_owned()), method == "GET"))
}
