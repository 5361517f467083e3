//! A PNG writer for pictures of two colours: 1-bit greyscale, no compression.
//!
//! QR codes are small (10 KB at the default size), so the pixels go into stored DEFLATE blocks and no compressor is needed.

/// Side of a picture in pixels, at most: keeps every length below in range.
pub(super) const MAX_SIDE: u32 = 4096;

/// A square picture; `black` tells for each pixel (x, y) whether it is. `side` is at most [`MAX_SIDE`].
pub(super) fn write(side: u32, black: impl Fn(u32, u32) -> bool) -> Vec<u8> {
    debug_assert!(side <= MAX_SIDE, "the caller limits the size");
    let mut lines = Vec::with_capacity((1 + side as usize / 8 + 1) * side as usize);
    for y in 0..side {
        lines.push(0); // filter type «none»
        for left in (0..side).step_by(8) {
            // 0 is black; the bits beyond the right edge may be anything.
            let bits = (0..8).map(|bit| u8::from(!(left + bit < side && black(left + bit, y))) << (7 - bit));
            lines.push(bits.fold(0, |byte, bit| byte | bit));
        }
    }

    let mut header = Vec::with_capacity(13);
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    header.extend([1, 0, 0, 0, 0]); // bit depth 1, greyscale, DEFLATE, adaptive filters, not interlaced

    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &zlib(&lines));
    chunk(&mut png, *b"IEND", &[]);
    png
}

/// Length, type, data, CRC over type and data.
fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    png.extend(length.to_be_bytes());
    let start = png.len();
    png.extend(kind);
    png.extend(data);
    let crc = crc32(&png[start..]);
    png.extend(crc.to_be_bytes());
}

/// RFC 1950 around the stored blocks of RFC 1951 §3.2.4.
fn zlib(data: &[u8]) -> Vec<u8> {
    const MOST: usize = 0xFFFF;
    let mut out = Vec::with_capacity(data.len() + 5 * (data.len() / MOST + 1) + 6);
    out.extend([0x78, 0x01]);
    let mut blocks = data.chunks(MOST).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(data).to_be_bytes());
    out
}

/// PNG, annex D: polynomial 0xEDB88320, reflected.
fn crc32(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index: u32 = 0;
        while index < 256 {
            let mut entry = index;
            let mut bit = 0;
            while bit < 8 {
                entry = if entry & 1 == 1 {
                    0xEDB8_8320 ^ (entry >> 1)
                } else {
                    entry >> 1
                };
                bit += 1;
            }
            table[index as usize] = entry;
            index += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc, byte| {
        TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize] ^ (crc >> 8)
    })
}

/// RFC 1950 §8.2.
fn adler32(data: &[u8]) -> u32 {
    const BASE: u32 = 65521;
    let (mut a, mut b) = (1, 0);
    for byte in data {
        a = (a + u32::from(*byte)) % BASE;
        b = (b + a) % BASE;
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn checksums_give_their_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
    }

    #[test]
    fn pixels_survive_the_way_through_the_file() {
        // A side that is no multiple of 8, and enough data for two blocks.
        let side = 1001;
        let black = |x: u32, y: u32| (x * 7 + y * 13).is_multiple_of(3);
        let png = write(side, black);

        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let (mut rest, mut kinds, mut data) = (&png[8..], Vec::new(), Vec::new());
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let crc = u32::from_be_bytes(rest[8 + length..12 + length].try_into().unwrap());
            assert_eq!(crc32(&rest[4..8 + length]), crc);
            kinds.push(rest[4..8].to_vec());
            data.push(rest[8..8 + length].to_vec());
            rest = &rest[12 + length..];
        }
        assert_eq!(kinds, [b"IHDR", b"IDAT", b"IEND"]);
        assert_eq!(data[0], [0, 0, 3, 233, 0, 0, 3, 233, 1, 0, 0, 0, 0]);

        let zlib = &data[1];
        assert_eq!(u16::from_be_bytes([zlib[0], zlib[1]]) % 31, 0, "RFC 1950 §2.2 FCHECK");
        let (mut rest, mut lines) = (&zlib[2..zlib.len() - 4], Vec::new());
        loop {
            let length = u16::from_le_bytes([rest[1], rest[2]]);
            assert_eq!(!length, u16::from_le_bytes([rest[3], rest[4]]));
            let end = 5 + usize::from(length);
            lines.extend(&rest[5..end]);
            let last = rest[0] == 1;
            rest = &rest[end..];
            if last {
                break;
            }
        }
        assert!(rest.is_empty());
        assert_eq!(adler32(&lines).to_be_bytes(), zlib[zlib.len() - 4..]);

        let stride = 1 + side.div_ceil(8);
        for y in 0..side {
            assert_eq!(lines[(y * stride) as usize], 0);
            for x in 0..side {
                let byte = lines[(y * stride + 1 + x / 8) as usize];
                assert_eq!(byte >> (7 - x % 8) & 1 == 0, black(x, y), "({x}, {y})");
            }
        }
    }
}
