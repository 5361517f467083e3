//! Pictures of the code on show: one is drawn at a time, whoever asks, beside the loop, and the
//! last one is kept.
//!
//! Must never: keep a picture longer than its code is on show, or hold up a caller of another
//! method. What is not needed any more is wiped.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Format;
use crate::bus::error_reply::ErrorReply;
use crate::bus::qr;
use crate::messages::contract::ErrorName;
use c2c_auth_core::CallError;

/// A picture holds the code as surely as the text does: it is wiped too.
#[derive(Clone)]
pub(in crate::bus) struct Picture(pub(in crate::bus) Arc<Zeroizing<Vec<u8>>>);

/// The content and the form of a picture. The code's id stands for the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bus) struct Key {
    pub(in crate::bus) code_id: u64,
    pub(in crate::bus) complete: bool,
    pub(in crate::bus) format: Format,
    pub(in crate::bus) size: u32,
}

#[derive(Default)]
pub(in crate::bus) struct Pictures {
    /// There is one: whoever has it may draw.
    pen: tokio::sync::Mutex<()>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// How often there was no code any more.
    ends: u64,
    last: Option<(Key, Picture)>,
}

/// The right to draw.
pub(in crate::bus) struct Pen<'a> {
    pictures: &'a Pictures,
    _turn: tokio::sync::MutexGuard<'a, ()>,
    /// As of the time before the code was asked for.
    ends: u64,
}

impl Pictures {
    /// Waits for those who asked before. Ask for the code only then: it may have changed in the
    /// meantime.
    pub(in crate::bus) async fn pen(&self) -> Pen<'_> {
        let turn = self.pen.lock().await;
        Pen {
            pictures: self,
            _turn: turn,
            ends: self.kept().ends,
        }
    }

    /// No code is on show any more.
    pub(in crate::bus) fn forget(&self) {
        let mut kept = self.kept();
        kept.ends += 1;
        kept.last = None;
    }

    #[cfg(test)]
    pub(in crate::bus) fn keeps_one(&self) -> bool {
        self.kept().last.is_some()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing in here panics halfway through a change.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pen<'_> {
    /// The picture that was drawn last, or a new one of this text.
    pub(in crate::bus) async fn draw(self, key: Key, text: Zeroizing<String>) -> Result<Picture, ErrorReply> {
        if let Some((kept, picture)) = &self.pictures.kept().last
            && *kept == key
        {
            return Ok(picture.clone());
        }
        // A thread, because the largest takes a small board tens of milliseconds, in which the loop
        // would answer nobody.
        let (done, drawn) = oneshot::channel();
        let work = move || {
            // Nobody waits any more where the connection is gone.
            let _ = done.send(qr::draw(&text, key.format, key.size));
        };
        thread::Builder::new()
            .name("c2c-picture".to_owned())
            .spawn(work)
            .map_err(|_| {
                ErrorReply::new(
                    ErrorName::LimitsExceeded,
                    "the system gives no thread to draw with: call again in a moment",
                )
            })?;
        let drawn = drawn.await.map_err(|_| ErrorReply::ending())?;
        let picture = Picture(Arc::new(Zeroizing::new(drawn.ok_or(CallError::ServerError)?)));
        let mut kept = self.pictures.kept();
        if kept.ends == self.ends {
            kept.last = Some((key, picture.clone()));
        }
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key {
        code_id: 7,
        complete: true,
        format: Format::Png,
        size: 250,
    };

    fn text() -> Zeroizing<String> {
        Zeroizing::new("https://example.com/code".to_owned())
    }

    async fn draw(pictures: &Pictures, key: Key) -> Picture {
        let pen = pictures.pen().await;
        pen.draw(key, text()).await.unwrap_or_else(|_| panic!("it is drawn"))
    }

    #[tokio::test]
    async fn the_last_picture_is_kept_until_there_is_no_code_any_more() {
        let pictures = Pictures::default();
        let first = draw(&pictures, KEY).await;
        assert!(Arc::ptr_eq(&first.0, &draw(&pictures, KEY).await.0));
        let others = [
            Key { code_id: 8, ..KEY },
            Key { complete: false, ..KEY },
            Key { size: 251, ..KEY },
            Key {
                format: Format::Svg,
                ..KEY
            },
        ];
        for other in others {
            let before = draw(&pictures, KEY).await;
            assert!(!Arc::ptr_eq(&before.0, &draw(&pictures, other).await.0), "{other:?}");
        }
        let last = draw(&pictures, KEY).await;
        assert_eq!(Arc::strong_count(&last.0), 2, "one of them is kept");
        pictures.forget();
        assert_eq!(Arc::strong_count(&last.0), 1, "and wiped with the last that has it");
    }

    #[tokio::test]
    async fn a_picture_whose_code_ended_while_it_was_drawn_is_not_kept() {
        let pictures = Pictures::default();
        let pen = pictures.pen().await;
        pictures.forget();
        let late = pen.draw(KEY, text()).await.unwrap_or_else(|_| panic!("it is drawn"));
        assert_eq!(Arc::strong_count(&late.0), 1);
    }

    #[tokio::test]
    async fn one_picture_is_drawn_at_a_time() {
        let pictures = Pictures::default();
        let pen = pictures.pen().await;
        let mut other = std::pin::pin!(pictures.pen());
        let waits = std::future::poll_fn(|context| std::task::Poll::Ready(other.as_mut().poll(context).is_pending()));
        assert!(waits.await);
        pen.draw(KEY, text()).await.unwrap_or_else(|_| panic!("it is drawn"));
        other.await;
    }
}
