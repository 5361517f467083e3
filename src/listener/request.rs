//! One request head, read strictly: what a browser sends when it follows a redirect, and nothing else.

use super::page::Page;

/// What is asked for by the one who is waited for.
pub(super) struct Wanted {
    /// The value of `Host`.
    pub(super) host: String,
    /// The path, without query.
    pub(super) path: String,
}

impl Wanted {
    /// The target of a `GET` for the wanted path at the wanted host; or the page for everybody else.
    pub(super) fn target<'a>(&self, head: &'a [u8]) -> Result<&'a str, Page> {
        let end = head
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .ok_or(Page::BAD_REQUEST)?;
        let head = std::str::from_utf8(&head[..end]).map_err(|_| Page::BAD_REQUEST)?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Page::BAD_REQUEST);
        };
        let is_target = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_target || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
            return Err(Page::BAD_REQUEST);
        }
        if self.hosts(lines)? != 1 {
            return Err(Page::BAD_REQUEST);
        }
        // After the host, so that a page of another name (DNS rebinding) does not learn which path is ours.
        if target.split('?').next() != Some(self.path.as_str()) {
            return Err(Page::NOT_FOUND);
        }
        if method != "GET" {
            return Err(Page::METHOD_NOT_ALLOWED);
        }
        Ok(target)
    }

    /// How many `Host` headers there are, each of them ours. A body is no part of a redirect.
    fn hosts<'a>(&self, headers: impl Iterator<Item = &'a str>) -> Result<usize, Page> {
        let mut hosts = 0;
        for header in headers {
            let (name, value) = header.split_once(':').ok_or(Page::BAD_REQUEST)?;
            let value = value.trim_matches([' ', '\t']);
            if name.eq_ignore_ascii_case("host") {
                if !value.eq_ignore_ascii_case(&self.host) {
                    return Err(Page::BAD_REQUEST);
                }
                hosts += 1;
            }
            let body = name.eq_ignore_ascii_case("transfer-encoding")
                || (name.eq_ignore_ascii_case("content-length") && value != "0");
            if body {
                return Err(Page::BAD_REQUEST);
            }
        }
        Ok(hosts)
    }
}
