//! A PNG writer for square pictures of large modules in two colours: 1-bit greyscale.
//!
//! Each row of modules is drawn once, and the lines of pixels that repeat it are written as matches
//! with the line before: DEFLATE with its fixed codes, which needs no tables and makes a QR code of
//! 300 pixels smaller than 2 kB.

/// A picture of `modules` by `modules` (at least 16 pixels), each `scale` pixels on a side. `dark`
/// tells for each module (x, y) if it is dark.
pub(in crate::bus) fn write(modules: u32, scale: u32, dark: impl Fn(u32, u32) -> bool) -> Vec<u8> {
    let side = modules * scale;
    let mut header = Vec::with_capacity(13);
    header.extend(side.to_be_bytes());
    header.extend(side.to_be_bytes());
    header.extend([1, 0, 0, 0, 0]); // bit depth 1, greyscale, DEFLATE, adaptive filters, not interlaced

    // The filter type "none", then the pixels. Those beyond the right edge are white.
    let mut line = vec![0; 1 + side.div_ceil(8) as usize];
    let mut before = Vec::new();
    let mut data = Zlib::new();
    for y in 0..modules {
        line[1..].fill(0xFF);
        for x in (0..modules).filter(|x| dark(*x, y)) {
            for pixel in x * scale..(x + 1) * scale {
                line[1 + pixel as usize / 8] &= !(0x80 >> (pixel % 8));
            }
        }
        let mut lines = scale as usize;
        if line != before {
            data.line(&line);
            lines -= 1;
            before.clone_from(&line);
        }
        data.again(&line, lines);
    }

    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &data.end());
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

/// RFC 1950 around one block of RFC 1951 with the fixed codes of its section 3.2.6.
struct Zlib {
    out: Vec<u8>,
    /// Bits that do not fill a byte yet, the first one lowest, and how many.
    bits: u32,
    count: u32,
    sum: Adler,
}

impl Zlib {
    /// Most that one match can repeat, and least.
    const LONGEST: usize = 258;
    const SHORTEST: usize = 3;

    fn new() -> Self {
        let mut zlib = Self {
            out: vec![0x78, 0x01],
            bits: 0,
            count: 0,
            sum: Adler::NONE,
        };
        zlib.put(0b011, 3); // the last block, fixed codes
        zlib
    }

    /// As it is, with runs of one byte shortened.
    fn line(&mut self, bytes: &[u8]) {
        self.sum.add(bytes);
        for run in bytes.chunk_by(|one, next| one == next) {
            let [byte, rest @ ..] = run else { continue };
            self.literal(u32::from(*byte));
            if rest.len() < Self::SHORTEST {
                for byte in rest {
                    self.literal(u32::from(*byte));
                }
            } else {
                self.matches(rest.len(), 1);
            }
        }
    }

    /// The line that was written last, so many times more.
    fn again(&mut self, line: &[u8], times: usize) {
        (0..times).for_each(|_| self.sum.add(line));
        self.matches(times * line.len(), line.len());
    }

    /// Bytes that stand `distance` before, which are not 1 or 2.
    fn matches(&mut self, mut length: usize, distance: usize) {
        while length > 0 {
            let left = length.saturating_sub(Self::LONGEST);
            let next = match left {
                // No match is that short: leave it a byte or two of this one.
                1 | 2 => Self::LONGEST - Self::SHORTEST + left,
                _ => length.min(Self::LONGEST),
            };
            self.a_match(next, distance);
            length -= next;
        }
    }

    fn a_match(&mut self, length: usize, distance: usize) {
        let (length, distance) = (low(length - Self::SHORTEST), low(distance - 1));
        match length {
            0..8 => self.literal(257 + length),
            255 => self.literal(285),
            _ => {
                let extra = length.ilog2() - 2;
                self.literal(257 + 4 * extra + (length >> extra));
                self.put(length & ((1 << extra) - 1), extra);
            }
        }
        if distance < 4 {
            self.code(distance, 5);
        } else {
            let extra = distance.ilog2() - 1;
            self.code(2 * extra + (distance >> extra), 5);
            self.put(distance & ((1 << extra) - 1), extra);
        }
    }

    /// A symbol of the alphabet of literals and lengths.
    fn literal(&mut self, symbol: u32) {
        match symbol {
            0..144 => self.code(0b0011_0000 + symbol, 8),
            144..256 => self.code(0b1_1001_0000 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0b1100_0000 + symbol - 280, 8),
        }
    }

    /// A Huffman code: its first bit is its highest.
    fn code(&mut self, code: u32, length: u32) {
        self.put(code.reverse_bits() >> (32 - length), length);
    }

    /// Anything else: its first bit is its lowest. At most 24 bits.
    fn put(&mut self, bits: u32, length: u32) {
        self.bits |= bits << self.count;
        self.count += length;
        while self.count >= 8 {
            self.out.push(self.bits.to_le_bytes()[0]);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.literal(256);
        self.put(0, self.count.wrapping_neg() % 8);
        self.out.extend(self.sum.value().to_be_bytes());
        self.out
    }
}

/// Lengths and distances of a picture are far below 2^32.
fn low(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
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

/// RFC 1950, section 8.2.
struct Adler {
    a: u32,
    b: u32,
}

impl Adler {
    const NONE: Self = Self { a: 1, b: 0 };

    fn add(&mut self, data: &[u8]) {
        const BASE: u32 = 65521;
        // As many bytes as the sums bear before they have to be divided.
        for some in data.chunks(5552) {
            for byte in some {
                self.a += u32::from(*byte);
                self.b += self.a;
            }
            self.a %= BASE;
            self.b %= BASE;
        }
    }

    const fn value(&self) -> u32 {
        self.b << 16 | self.a
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// A decoder that shares nothing with the encoder: RFC 1951 with its tables written out, for
    /// one block with fixed codes.
    fn inflate(deflated: &[u8]) -> Vec<u8> {
        const LENGTHS: [(usize, u32); 29] = [
            (3, 0),
            (4, 0),
            (5, 0),
            (6, 0),
            (7, 0),
            (8, 0),
            (9, 0),
            (10, 0),
            (11, 1),
            (13, 1),
            (15, 1),
            (17, 1),
            (19, 2),
            (23, 2),
            (27, 2),
            (31, 2),
            (35, 3),
            (43, 3),
            (51, 3),
            (59, 3),
            (67, 4),
            (83, 4),
            (99, 4),
            (115, 4),
            (131, 5),
            (163, 5),
            (195, 5),
            (227, 5),
            (258, 0),
        ];
        const DISTANCES: [(usize, u32); 18] = [
            (1, 0),
            (2, 0),
            (3, 0),
            (4, 0),
            (5, 1),
            (7, 1),
            (9, 2),
            (13, 2),
            (17, 3),
            (25, 3),
            (33, 4),
            (49, 4),
            (65, 5),
            (97, 5),
            (129, 6),
            (193, 6),
            (257, 7),
            (385, 7),
        ];
        let mut stream = deflated
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| usize::from(byte >> bit & 1)));
        let mut bit = || stream.next().unwrap();
        let mut out = Vec::new();
        assert_eq!([bit(), bit(), bit()], [1, 1, 0], "the last block, fixed codes");
        loop {
            let mut code = (0..7).fold(0, |code, _| code << 1 | bit());
            let symbol = if code < 0b001_1000 {
                code + 256
            } else {
                code = code << 1 | bit();
                match code {
                    0b0011_0000..=0b1011_1111 => code - 0b0011_0000,
                    0b1100_0000..=0b1100_0111 => code - 0b1100_0000 + 280,
                    _ => (code << 1 | bit()) - 0b1_1001_0000 + 144,
                }
            };
            match symbol {
                0..256 => out.push(u8::try_from(symbol).unwrap()),
                256 => break,
                _ => {
                    let mut extra = |bits: u32| (0..bits).fold(0, |value, at| value | bit() << at);
                    let (least, bits) = LENGTHS[symbol - 257];
                    let length = least + extra(bits);
                    let code = (0..5).fold(0, |code, _| code << 1 | extra(1));
                    let (least, bits) = DISTANCES[code];
                    let distance = least + extra(bits);
                    (0..length).for_each(|_| out.push(out[out.len() - distance]));
                }
            }
        }
        let rest: Vec<_> = stream.collect();
        assert!(
            rest.len() < 8 && rest.iter().all(|bit| *bit == 0),
            "nothing but padding follows"
        );
        out
    }

    fn be(bytes: &[u8]) -> u32 {
        u32::from_be_bytes(bytes.try_into().unwrap())
    }

    /// Side and lines of a picture. Everything around them is checked.
    fn read(png: &[u8]) -> (u32, Vec<u8>) {
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        let (mut rest, mut kinds, mut data) = (&png[8..], Vec::new(), Vec::new());
        while !rest.is_empty() {
            let length = be(&rest[..4]) as usize;
            assert_eq!(crc32(&rest[4..8 + length]), be(&rest[8 + length..12 + length]));
            kinds.push(rest[4..8].to_vec());
            data.push(rest[8..8 + length].to_vec());
            rest = &rest[12 + length..];
        }
        assert_eq!(kinds, [b"IHDR", b"IDAT", b"IEND"]);
        let side = be(&data[0][..4]);
        assert_eq!((be(&data[0][4..8]), &data[0][8..]), (side, [1, 0, 0, 0, 0].as_slice()));
        let zlib = &data[1];
        assert_eq!(zlib[0] & 0x0F, 8, "DEFLATE");
        assert_eq!(u16::from_be_bytes([zlib[0], zlib[1]]) % 31, 0, "RFC 1950 §2.2 FCHECK");
        let lines = inflate(&zlib[2..zlib.len() - 4]);
        // By the definition, byte after byte.
        let (a, b) = lines.iter().fold((1u32, 0u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65521;
            (a, (b + a) % 65521)
        });
        assert_eq!(b << 16 | a, be(&zlib[zlib.len() - 4..]));
        (side, lines)
    }

    #[test]
    fn checksums_give_their_published_check_values() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b"IEND"), 0xAE42_6082);
        let mut sum = Adler::NONE;
        sum.add(b"Wiki");
        sum.add(b"pedia");
        assert_eq!(sum.value(), 0x11E6_0398);
    }

    #[test]
    fn pixels_survive_the_way_through_the_file() {
        // Sides that are no multiple of 8, scales down to one pixel, rows that repeat and rows of
        // one colour.
        for (modules, scale) in [(29, 9), (41, 25), (185, 6), (185, 2), (33, 1), (24, 1), (1, 250)] {
            let dark = |x: u32, y: u32| y % 7 != 3 && (x * 7 + (y / 3) * 13 + x * x / 5).is_multiple_of(3);
            let png = write(modules, scale, dark);
            let (side, lines) = read(&png);
            assert_eq!(side, modules * scale);
            let stride = 1 + side.div_ceil(8);
            assert_eq!(lines.len(), (stride * side) as usize);
            for y in 0..side {
                assert_eq!(lines[(y * stride) as usize], 0, "filter of line {y}");
                for x in 0..side {
                    let byte = lines[(y * stride + 1 + x / 8) as usize];
                    let black = byte >> (7 - x % 8) & 1 == 0;
                    assert_eq!(
                        black,
                        dark(x / scale, y / scale),
                        "({x}, {y}) of {modules} times {scale}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_match_of_every_length_and_distance_is_read_back() {
        for length in 3..1100 {
            for distance in [1, 2, 3, 4, 5, 8, 9, 33, 140, 257] {
                let mut zlib = Zlib::new();
                let head: Vec<u8> = (0..257u32).map(|at| at.to_le_bytes()[0] ^ 0x5A).collect();
                zlib.line(&head);
                zlib.matches(length, distance);
                let whole = zlib.end();
                let read = inflate(&whole[2..whole.len() - 4]);
                assert_eq!(read.len(), head.len() + length);
                assert!(
                    (head.len()..read.len()).all(|at| read[at] == read[at - distance]),
                    "{length} {distance}"
                );
            }
        }
    }
}
