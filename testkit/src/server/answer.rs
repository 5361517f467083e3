//! From a decision, or a page in its place, to an HTTP response.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use hyper::{
    Response,
    body::{Body, Frame, SizeHint},
    header::{CONNECTION, CONTENT_TYPE, DATE, HeaderValue, LOCATION, RETRY_AFTER},
    http::response::Builder,
};

use super::{
    call::Reply,
    fault::{DateHeader, Edit, Page},
    hostile,
    state::State,
};

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PORTAL: &str = "<!doctype html><html><head><title>Hotel Wi-Fi</title></head><body><h1>Welcome!</h1>\
    <form action=\"/login\"><input name=\"room\"><button>Accept and connect</button></form></body></html>";
const GATEWAY: &str = "<html><head><title>Error</title></head><body><center><h1>Error</h1></center>\
    <hr><center>gateway</center></body></html>";

/// A body: what there is of it at once, then filler.
pub(super) struct Payload {
    first: Option<Bytes>,
    filler: usize,
}

impl Payload {
    fn whole(text: impl Into<Bytes>) -> Self {
        Self {
            first: Some(text.into()).filter(|b: &Bytes| !b.is_empty()),
            filler: 0,
        }
    }

    fn len(&self) -> usize {
        self.first.as_ref().map_or(0, Bytes::len) + self.filler
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        static CHUNK: [u8; 16 * 1024] = [b'A'; 16 * 1024];
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let size = self.filler.min(CHUNK.len());
        self.filler -= size;
        Poll::Ready((size > 0).then(|| Ok(Frame::data(Bytes::from_static(&CHUNK[..size])))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// The answer of the API, with an edit and a strange date if wished.
pub(super) fn from_reply(
    reply: &Reply,
    state: &State,
    edit: Option<&Edit>,
    date: Option<DateHeader>,
) -> Response<Payload> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in state.limit_headers() {
        response = response.header(name, value.to_string());
    }
    if let Some(after) = reply.retry_after {
        response = response.header(RETRY_AFTER, after);
    }
    if let Some(date) = date_header(state, date.unwrap_or(DateHeader::Skewed(0))) {
        response = response.header(DATE, date);
    }
    let body = match (&reply.body, edit) {
        (None, _) => String::new(),
        (Some(body), None) => body.to_string(),
        (Some(body), Some(edit)) => hostile::edited(body.clone(), edit),
    };
    let label = match edit {
        Some(Edit::Wrapped(wrapping)) => wrapping.label,
        _ => JSON,
    };
    if reply.body.is_some() && !label.is_empty() {
        response = response.header(CONTENT_TYPE, label);
    }
    finish(response, Payload::whole(body), state)
}

/// The answer of something in between.
pub(super) fn from_page(page: &Page, state: &State) -> Response<Payload> {
    let plain = |status: u16| Response::builder().status(status).header(CONTENT_TYPE, HTML);
    let (response, body) = match page {
        Page::CaptivePortal => (plain(200), Payload::whole(PORTAL)),
        Page::Redirect => (
            plain(302).header(LOCATION, "https://portal.invalid/login"),
            Payload::whole(""),
        ),
        Page::NotFound => (plain(404), Payload::whole(GATEWAY)),
        Page::TooManyRequests(after) => {
            let mut response = plain(429)
                .header("x-ratelimit-limit", 100)
                .header("x-ratelimit-remaining", 0);
            response = response.header("x-ratelimit-window", 60_000);
            (retry_after(response, *after), Payload::whole(""))
        }
        Page::Status(status) => (plain(*status), Payload::whole(GATEWAY)),
        Page::Unavailable(after) => (retry_after(plain(503), Some(*after)), Payload::whole(GATEWAY)),
        Page::Oversized(size) => {
            let opening = Bytes::from_static(b"{\"access_token\":\"");
            let filler = size.saturating_sub(opening.len());
            (
                Response::builder().header(CONTENT_TYPE, JSON),
                Payload {
                    first: Some(opening),
                    filler,
                },
            )
        }
        Page::TruncatedJson => (
            Response::builder().header(CONTENT_TYPE, JSON),
            Payload::whole("{\"access_token\":\"truncated\",\"expires_in\":28800,\"refresh_to"),
        ),
        Page::Labelled(status, label, value) => (
            Response::builder().status(*status).header(CONTENT_TYPE, *label),
            Payload::whole(value.to_string()),
        ),
        Page::Json(status, value) => (
            Response::builder().status(*status).header(CONTENT_TYPE, JSON),
            Payload::whole(value.to_string()),
        ),
    };
    let response = match date_header(state, DateHeader::Skewed(0)) {
        Some(date) => response.header(DATE, date),
        None => response,
    };
    finish(response, body, state)
}

/// Marks an answer as the last on its connection.
pub(super) fn close(response: &mut Response<Payload>) {
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
}

/// How many bytes the body has.
pub(super) fn body_len(response: &Response<Payload>) -> usize {
    response.body().len()
}

fn retry_after(response: Builder, seconds: Option<u64>) -> Builder {
    match seconds {
        Some(seconds) => response.header(RETRY_AFTER, seconds),
        None => response,
    }
}

fn finish(response: Builder, body: Payload, state: &State) -> Response<Payload> {
    let mut response = response
        .body(body)
        .expect("status codes and headers asked for are valid");
    if !state.keep_alive {
        close(&mut response);
    }
    response
}

fn date_header(state: &State, date: DateHeader) -> Option<String> {
    match date {
        DateHeader::Missing => None,
        DateHeader::Garbage => Some("Someday, 99 Foo 20x6 25:61:61 GMT".to_owned()),
        DateHeader::Skewed(seconds) => Some(httpdate::fmt_http_date(shifted(state.now(), seconds + state.date_skew))),
    }
}

fn shifted(at: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    // HTTP's date format starts in 1970.
    let shifted = if seconds < 0 {
        at.checked_sub(by)
    } else {
        at.checked_add(by)
    };
    shifted.unwrap_or(at).max(SystemTime::UNIX_EPOCH)
}
