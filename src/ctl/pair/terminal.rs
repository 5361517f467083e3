//! The terminal that a code is shown on: its size, what it can draw, and how a code is laid out on
//! it.
//!
//! Pure but for [`Terminal::of_stdout`], which asks once. Invariant: no layout is higher than the
//! terminal, so that all of it can be taken back.

use std::env;
use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

/// The size of a terminal without one of its own, such as a serial line.
const USUAL: Size = Size { columns: 80, rows: 24 };
/// Blank columns between a picture and the text beside it.
const GAP: usize = 2;
/// Narrower columns of text break every address.
const NARROWEST: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) struct Size {
    pub(in crate::ctl) columns: usize,
    pub(in crate::ctl) rows: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ctl) struct Terminal {
    /// It has half blocks.
    pub(in crate::ctl) utf8: bool,
    pub(in crate::ctl) colour: bool,
}

impl Terminal {
    /// `None`: standard output is no terminal, or one whose cursor cannot be moved.
    pub(in crate::ctl) fn of_stdout() -> Option<Self> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        // locale(7): the first that is set counts.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        (io::stdout().is_terminal() && !dumb).then(|| Self {
            utf8: locale.contains("utf-8") || locale.contains("utf8"),
            // no-color.org: whatever its value.
            colour: set("NO_COLOR").is_none(),
        })
    }

    pub(in crate::ctl) fn size() -> Size {
        let size = tcgetwinsize(io::stdout()).ok();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(USUAL, |size| Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        })
    }

    /// A picture of half blocks as this terminal shows it. All other characters are dropped: they
    /// came over the bus and could command the terminal.
    pub(in crate::ctl) fn picture(self, half_blocks: &str) -> Picture {
        let half_blocks = half_blocks.replace(|letter| !matches!(letter, '█' | '▀' | '▄' | ' ' | '\n'), "");
        let rows = match (self.utf8, self.colour) {
            (true, true) => half_blocks.lines().map(on_white).collect(),
            (true, false) => half_blocks.lines().map(str::to_owned).collect(),
            (false, colour) => modules(&half_blocks).iter().map(|row| ascii(row, colour)).collect(),
        };
        let width = half_blocks.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        Picture {
            width: if self.utf8 { width } else { 2 * width },
            rows,
        }
    }
}

/// Rows of one width, in columns. An escape sequence takes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::ctl) struct Picture {
    pub(in crate::ctl) width: usize,
    pub(in crate::ctl) rows: Vec<String>,
}

/// Light modules as background: cameras want black on white, and most terminals are the other way
/// round.
fn on_white(row: &str) -> String {
    format!("\x1b[30;107m{row}\x1b[0m")
}

/// Tells for each module if it is dark, row by row.
fn modules(half_blocks: &str) -> Vec<Vec<bool>> {
    let half = |line: &str, ink: [char; 2]| line.chars().map(|c| ink.contains(&c)).collect();
    half_blocks
        .lines()
        .flat_map(|line| [half(line, ['█', '▀']), half(line, ['█', '▄'])])
        .collect()
}

/// Two columns a module, which is about square.
fn ascii(row: &[bool], colour: bool) -> String {
    if !colour {
        return row.iter().map(|dark| if *dark { "##" } else { "  " }).collect();
    }
    let runs = row.chunk_by(|one, next| one == next);
    let run = |run: &[bool]| {
        let background = if run[0] { "40" } else { "107" };
        format!("\x1b[{background}m{}", "  ".repeat(run.len()))
    };
    runs.map(run).collect::<String>() + "\x1b[0m"
}

/// A line as it is written, and how many columns it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) columns: usize,
}

impl Line {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        let columns = text.chars().count();
        Self { text, columns }
    }

    /// How many rows it takes where it has to be broken.
    pub(super) fn rows(&self, columns: usize) -> usize {
        self.columns.div_ceil(columns).max(1)
    }
}

/// A picture and its text as lines for a terminal of that size, with one row left for the
/// countdown. Where both do not fit, one above or beside the other, the text stands alone: the code
/// can be typed.
pub(super) fn layout(picture: &Picture, text: &str, size: Size) -> Vec<Line> {
    let text: Vec<_> = text.trim_end_matches('\n').lines().map(Line::plain).collect();
    let room = size.rows.saturating_sub(1);
    let high: usize = text.iter().map(|line| line.rows(size.columns)).sum();
    if picture.rows.is_empty() {
        return text;
    }
    let row = |row: &String| Line {
        text: row.clone(),
        columns: picture.width,
    };
    if picture.width <= size.columns && picture.rows.len() + high <= room {
        return picture.rows.iter().map(row).chain(text).collect();
    }
    let beside = size.columns.saturating_sub(picture.width + GAP);
    let broken: Vec<_> = text
        .iter()
        .flat_map(|line| wrapped(&line.text, beside.max(NARROWEST)))
        .collect();
    if beside < NARROWEST || picture.rows.len().max(broken.len()) > room {
        let why = "The QR code does not fit: take a larger terminal, or one with UTF-8 (LANG).";
        return text.into_iter().chain([Line::plain(why)]).collect();
    }
    let blank = " ".repeat(picture.width);
    (0..picture.rows.len().max(broken.len()))
        .map(|at| {
            let left = picture.rows.get(at).unwrap_or(&blank);
            let right = broken.get(at).map_or("", String::as_str);
            Line {
                text: format!("{left}{:GAP$}{right}", ""),
                columns: picture.width + GAP + right.chars().count(),
            }
        })
        .collect()
}

/// Broken between words, and within one that is longer than a line.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indent: String = line.chars().take_while(|c| *c == ' ').collect();
    let mut lines = vec![indent.clone()];
    for word in line.split_whitespace() {
        let last = lines.last_mut().map_or(0, |last| last.chars().count());
        let first = last <= indent.len();
        if !first && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        } else if !first {
            push(&mut lines, ' ');
        }
        for c in word.chars() {
            if lines.last().is_some_and(|last| last.chars().count() == width) {
                lines.push(String::new());
            }
            push(&mut lines, c);
        }
    }
    lines
}

fn push(lines: &mut [String], c: char) {
    if let Some(last) = lines.last_mut() {
        last.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Scan the QR code, or go to https://a.example/device and enter\n\n    123456\n\nCheck that the device is \
                        called Cam-1 there.\n";

    fn picture(side: usize) -> Picture {
        Picture {
            width: side,
            rows: vec!["x".repeat(side); side.div_ceil(2)],
        }
    }

    fn high(lines: &[Line], columns: usize) -> usize {
        lines.iter().map(|line| line.rows(columns)).sum()
    }

    #[test]
    fn every_code_of_the_device_grant_fits_on_80_by_24_with_its_text() {
        let size = USUAL;
        for side in [29 + 8, 33 + 8, 37 + 8] {
            let lines = layout(&picture(side), TEXT, size);
            assert!(high(&lines, size.columns) < size.rows, "{side}: {lines:?}");
            assert!(
                lines.iter().all(|line| line.columns <= size.columns),
                "{side}: {lines:?}"
            );
            let all: String = lines.iter().map(|line| line.text.as_str()).collect();
            assert_eq!(
                all.matches('x').count() - 1,
                side * side.div_ceil(2),
                "all of it: {lines:?}"
            );
            for word in ["https://a.example/device", "123456", "Cam-1"] {
                assert!(all.contains(word), "{side}: {all}");
            }
        }
    }

    #[test]
    fn a_large_terminal_has_picture_and_text_one_above_the_other() {
        let size = Size { columns: 80, rows: 60 };
        let lines = layout(&picture(41), TEXT, size);
        assert_eq!(lines.len(), 21 + 5);
        assert!(lines[21].text.ends_with(" and enter") && lines[23].text == "    123456");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_the_code_is_typed() {
        for size in [
            Size { columns: 40, rows: 24 },
            Size { columns: 80, rows: 20 },
            Size { columns: 60, rows: 24 },
        ] {
            let lines = layout(&picture(41), TEXT, size);
            assert!(high(&lines, size.columns) < size.rows, "{lines:?}");
            assert!(lines.iter().any(|line| line.text == "    123456"));
            assert!(lines.last().is_some_and(|line| line.text.contains("does not fit")));
        }
    }

    #[test]
    fn text_is_broken_between_words_and_within_what_is_longer_than_a_line() {
        assert_eq!(wrapped("ab cd ef", 5), ["ab cd", "ef"]);
        assert_eq!(wrapped("a bcdefghij k", 4), ["a", "bcde", "fghi", "j k"]);
        assert_eq!(wrapped("    123456", 30), ["    123456"]);
        assert_eq!(wrapped("", 30), [""]);
    }

    #[test]
    fn a_picture_is_drawn_with_what_the_terminal_has() {
        let drawn = |utf8, colour| Terminal { utf8, colour }.picture("▀ \n█▄\n");
        assert_eq!(
            drawn(true, true).rows,
            ["\x1b[30;107m▀ \x1b[0m", "\x1b[30;107m█▄\x1b[0m"]
        );
        assert_eq!(
            (drawn(true, false).rows, drawn(true, false).width),
            (vec!["▀ ".to_owned(), "█▄".to_owned()], 2)
        );
        assert_eq!(drawn(false, false).rows, ["##  ", "    ", "##  ", "####"]);
        assert_eq!(drawn(false, true).rows[0], "\x1b[40m  \x1b[107m  \x1b[0m");
        assert_eq!(drawn(false, true).width, 4);
    }
}
