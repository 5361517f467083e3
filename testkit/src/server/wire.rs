//! The byte stream under HTTP, and the damage done to it: cuts, garbage, a drip.
//!
//! hyper writes whole, correct answers into a [`Wire`]. The [`Harm`] chosen for a request decides
//! what of them gets through.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

/// The damage to the bytes of an answer.
#[derive(Clone, Debug, Default)]
pub(super) enum Harm {
    #[default]
    None,
    /// So many bytes go through, then the connection ends.
    CutAfter(usize),
    /// The head and so many bytes of the body go through, then the connection ends.
    CutInBody(usize),
    /// These bytes go out in place of the answer, then the connection ends.
    Replace(&'static [u8]),
    /// One byte at a time.
    Drip(Duration),
}

/// The harm to be done on one connection. Set by the request handler before it answers, read by the
/// wire below it: hyper stands between the two and passes nothing through, hence the lock.
#[derive(Clone, Debug, Default)]
pub(super) struct HarmSlot(Arc<Mutex<Harm>>);

impl HarmSlot {
    pub(super) fn set(&self, harm: Harm) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = harm;
    }

    fn get(&self) -> Harm {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A stream with harm done to what is written.
pub(super) struct Wire<S> {
    stream: S,
    harm: HarmSlot,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    pub(super) fn new(stream: S, harm: HarmSlot) -> Self {
        Self {
            stream,
            harm,
            pause: None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        match this.harm.get() {
            Harm::None => Pin::new(&mut this.stream).poll_write(cx, buf),
            // The bytes that got through must reach the client before the end does.
            Harm::CutAfter(0) => {
                ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            Harm::CutAfter(left) => {
                let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &buf[..left.min(buf.len())]))?;
                this.harm.set(Harm::CutAfter(left - written));
                Poll::Ready(Ok(written))
            }
            Harm::CutInBody(of_body) => {
                let end = buf.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4);
                let cut = end.map_or(Harm::CutInBody(of_body), |end| Harm::CutAfter(end + of_body));
                this.harm.set(cut);
                if end.is_some() {
                    self.poll_write(cx, buf)
                } else {
                    Pin::new(&mut self.stream).poll_write(cx, buf)
                }
            }
            Harm::Replace([]) => {
                this.harm.set(Harm::CutAfter(0));
                self.poll_write(cx, buf)
            }
            Harm::Replace(bytes) => {
                let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
                this.harm.set(Harm::Replace(&bytes[written..]));
                self.poll_write(cx, buf)
            }
            Harm::Drip(every) => {
                let pause = this.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(every)));
                ready!(pause.as_mut().poll(cx));
                ready!(Pin::new(&mut this.stream).poll_flush(cx))?;
                let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &buf[..buf.len().min(1)]))?;
                this.pause = None;
                Poll::Ready(Ok(written))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n{\"a\":1}";

    async fn seen_under(harm: Harm) -> Vec<u8> {
        let (mut client, server) = tokio::io::duplex(1024);
        let slot = HarmSlot::default();
        slot.set(harm);
        let mut wire = Wire::new(server, slot);
        // The harm ends the write: that is what is under test.
        let _ = wire.write_all(ANSWER).await;
        drop(wire);
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).await.expect("a duplex reads");
        seen
    }

    #[tokio::test(start_paused = true)]
    async fn each_harm_lets_through_what_it_says() {
        assert_eq!(seen_under(Harm::None).await, ANSWER);
        assert_eq!(seen_under(Harm::CutAfter(12)).await, &ANSWER[..12]);
        assert_eq!(seen_under(Harm::CutInBody(3)).await, &ANSWER[..22]);
        assert_eq!(seen_under(Harm::Replace(b"\x00\xff")).await, b"\x00\xff");
        assert_eq!(seen_under(Harm::Drip(Duration::from_secs(1))).await, ANSWER);
    }
}
