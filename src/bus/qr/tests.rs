#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

const ADDRESS: &str = "https://next.frame.io/devices/confirm?code=123456";

/// Reads a drawing in half blocks back into rows of modules.
fn read_text(text: &str) -> Vec<Vec<bool>> {
    let mut rows = Vec::new();
    for line in text.lines() {
        let pair: Vec<_> = line
            .chars()
            .map(|glyph| match glyph {
                ' ' => (false, false),
                '▀' => (true, false),
                '▄' => (false, true),
                '█' => (true, true),
                other => panic!("{other} is no half block"),
            })
            .collect();
        rows.push(pair.iter().map(|(upper, _)| *upper).collect());
        rows.push(pair.iter().map(|(_, lower)| *lower).collect());
    }
    rows
}

fn text() -> Vec<Vec<bool>> {
    read_text(&String::from_utf8(draw(ADDRESS, Format::Text, 1).unwrap()).unwrap())
}

#[test]
fn a_code_keeps_four_white_modules_on_every_side_and_its_three_finder_patterns() {
    let rows = text();
    // Version 4 is the smallest that holds 50 bytes at level M: 33 modules and two quiet zones.
    let side = 33 + 8;
    assert!(rows.iter().all(|row| row.len() == side));
    for (y, row) in rows.iter().enumerate() {
        for (x, dark) in row.iter().enumerate() {
            let inside = (4..side - 4).contains(&x) && (4..side - 4).contains(&y);
            assert!(inside || !dark, "({x}, {y}) lies in the quiet zone");
        }
    }
    for (left, top) in [(4, 4), (side - 11, 4), (4, side - 11)] {
        for (dy, line) in [
            "#######", "#.....#", "#.###.#", "#.###.#", "#.###.#", "#.....#", "#######",
        ]
        .iter()
        .enumerate()
        {
            for (dx, expected) in line.chars().enumerate() {
                assert_eq!(rows[top + dy][left + dx], expected == '#', "finder at ({left}, {top})");
            }
        }
    }
}

#[test]
fn the_format_information_says_level_m() {
    let rows = text();
    // ISO/IEC 18004 §7.9: around the upper left finder, most significant bit first, masked with
    // 101010000010010.
    let at = [
        (0, 8),
        (1, 8),
        (2, 8),
        (3, 8),
        (4, 8),
        (5, 8),
        (7, 8),
        (8, 8),
        (8, 7),
        (8, 5),
        (8, 4),
        (8, 3),
        (8, 2),
        (8, 1),
        (8, 0),
    ];
    let bits = at
        .iter()
        .fold(0u16, |bits, (x, y)| bits << 1 | u16::from(rows[y + 4][x + 4]))
        ^ 0b101_0100_0001_0010;
    assert_eq!(bits >> 13, 0b00, "00 is M");
    // BCH(15,5) with generator 10100110111: no remainder.
    let remainder = (0..5).rev().fold(bits, |rest, shift| {
        if rest >> (shift + 10) & 1 == 1 {
            rest ^ 0b101_0011_0111 << shift
        } else {
            rest
        }
    });
    assert_eq!(remainder, 0);
}

#[test]
fn a_picture_is_at_least_as_large_as_asked_and_by_less_than_one_pixel_a_module() {
    for size in [DEFAULT_SIZE, 287, 288, 300, 999, 1000] {
        let png = draw(ADDRESS, Format::Png, size).unwrap();
        let side = u32::from_be_bytes(png[16..20].try_into().unwrap());
        assert_eq!(side % 41, 0, "every module is a whole number of pixels");
        assert!((size..size + 41).contains(&side), "asked {size}, got {side}");
    }
}

#[test]
fn pictures_are_small() {
    assert!(draw(ADDRESS, Format::Png, 300).unwrap().len() <= 2000);
    assert!(draw(ADDRESS, Format::Png, 1000).unwrap().len() <= 5000);
    // The longest address there can be.
    let longest = "x".repeat(2331);
    for (format, size, most) in [
        (Format::Png, 250, 20_000),
        (Format::Png, 1000, 50_000),
        (Format::Svg, 1000, 200_000),
        (Format::Text, 250, 60_000),
    ] {
        let length = draw(&longest, format, size).unwrap().len();
        assert!(length <= most, "{format:?} at {size}: {length}");
    }
}

#[test]
fn the_drawing_and_the_text_show_the_same_modules() {
    let rows = text();
    let svg = String::from_utf8(draw(ADDRESS, Format::Svg, 300).unwrap()).unwrap();
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"300\" height=\"300\" viewBox=\"0 0 41 41\"")
    );
    let mut drawn = vec![vec![false; 41]; 42];
    let runs = svg.rsplit_once("<path d=\"").unwrap().1.split_once('"').unwrap().0;
    for run in runs.split_terminator('z') {
        let (x, rest) = run.strip_prefix('M').unwrap().split_once(' ').unwrap();
        let (y, rest) = rest.split_once('h').unwrap();
        let (width, _) = rest.split_once("v1h-").unwrap();
        let (x, y, width): (usize, usize, usize) = (x.parse().unwrap(), y.parse().unwrap(), width.parse().unwrap());
        drawn[y][x..x + width].fill(true);
    }
    assert_eq!(drawn, rows);
}

#[test]
fn what_no_code_can_hold_is_no_picture() {
    assert_eq!(draw(&"x".repeat(2332), Format::Text, 1), None);
}
