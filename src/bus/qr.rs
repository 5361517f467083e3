//! QR codes as pictures: error correction M, a quiet zone of four modules, black on white (ISO/IEC
//! 18004).
//!
//! Pure: text in, bytes out. What the text is, and who may see it, is decided elsewhere.

pub(super) mod pictures;
mod png;

use std::fmt::Write;

use qrcodegen::{Mask, QrCode, QrCodeEcc, QrSegment, Version};

use crate::messages::contract::QR_SIZES;

/// ISO/IEC 18004 asks for four modules of white around the code.
const QUIET_ZONE: u32 = 4;

/// Side in pixels unless asked for otherwise: Frame.io's own recommendation for a code on a
/// camera's screen.
pub(crate) const DEFAULT_SIZE: u32 = 250;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Png,
    Svg,
    /// Half blocks. Ink is a dark module.
    Text,
}

impl Format {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "png" => Some(Self::Png),
            "svg" => Some(Self::Svg),
            "text" => Some(Self::Text),
            _ => None,
        }
    }

    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Svg => "image/svg+xml",
            Self::Text => "text/plain;charset=utf-8",
        }
    }
}

/// Draws `text`, at least `size` pixels (within [`QR_SIZES`]) on a side. `None`: longer than any QR
/// code holds (2331 bytes).
pub(crate) fn draw(text: &str, format: Format, size: u32) -> Option<Vec<u8>> {
    let code = encode(text)?;
    let size = size.clamp(*QR_SIZES.start(), *QR_SIZES.end());
    Some(match format {
        Format::Png => png::write(code.side, size.div_ceil(code.side), |x, y| code.dark(x, y)),
        Format::Svg => svg(&code, size).into_bytes(),
        Format::Text => half_blocks(&code).into_bytes(),
    })
}

struct Modules {
    code: QrCode,
    side: u32,
}

impl Modules {
    fn dark(&self, x: u32, y: u32) -> bool {
        let inside = |at: u32| i32::try_from(at).unwrap_or(i32::MAX) - QUIET_ZONE.cast_signed();
        // Outside the code the library answers "light".
        self.code.get_module(inside(x), inside(y))
    }
}

fn encode(text: &str) -> Option<Modules> {
    let segments = QrSegment::make_segments(text);
    let any_mask: Option<Mask> = None;
    // No boost to a higher level where it would fit: the contract says M.
    let code = QrCode::encode_segments_advanced(
        &segments,
        QrCodeEcc::Medium,
        Version::MIN,
        Version::MAX,
        any_mask,
        false,
    )
    .ok()?;
    let side = code.size().cast_unsigned() + 2 * QUIET_ZONE;
    Some(Modules { code, side })
}

fn svg(code: &Modules, pixels: u32) -> String {
    let side = code.side;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" viewBox=\"0 0 {side} {side}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\""
    );
    for y in 0..side {
        let mut x = 0;
        while x < side {
            let run = u32::try_from((x..side).take_while(|x| code.dark(*x, y)).count()).unwrap_or(0);
            if run > 0 {
                // Writing to a String cannot fail.
                let _ = write!(out, "M{x} {y}h{run}v1h-{run}z");
            }
            x += run + 1;
        }
    }
    out.push_str("\"/></svg>\n");
    out
}

fn half_blocks(code: &Modules) -> String {
    let mut out = String::with_capacity((3 * code.side as usize + 1) * code.side.div_ceil(2) as usize);
    for y in (0..code.side).step_by(2) {
        for x in 0..code.side {
            out.push(match (code.dark(x, y), code.dark(x, y + 1)) {
                (false, false) => ' ',
                (true, false) => '▀',
                (false, true) => '▄',
                (true, true) => '█',
            });
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests;
