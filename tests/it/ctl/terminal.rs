//! `pair` on a terminal: what stands there at any time.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::onlooker::another;
use super::*;

const UTF8: (&str, &str) = ("LANG", "C.UTF-8");

/// A terminal as far as the tool uses one.
struct Screen {
    columns: usize,
    grid: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Whatever came.
    all: String,
    /// The most pictures that stood there at once.
    pictures: usize,
}

impl Screen {
    fn text(&self) -> String {
        let lines = self.grid.iter().map(|line| line.iter().collect::<String>());
        lines.map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    fn feed(&mut self, text: &str) {
        self.all.push_str(text);
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.line_feed(),
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['), "{text:?}");
                    let mut number = String::new();
                    let end = rest.by_ref().find(|c| {
                        number.push(*c);
                        c.is_ascii_alphabetic()
                    });
                    number.pop();
                    self.command(number.parse().unwrap_or(1), end.unwrap());
                }
                c => {
                    if self.column == self.columns {
                        self.column = 0;
                        self.line_feed();
                    }
                    self.grid[self.row][self.column] = c;
                    self.column += 1;
                }
            }
        }
    }

    fn line_feed(&mut self) {
        if self.row + 1 == self.grid.len() {
            self.grid.remove(0);
            self.grid.push(vec![' '; self.columns]);
        } else {
            self.row += 1;
        }
        self.count();
    }

    fn command(&mut self, number: usize, end: char) {
        match end {
            'A' => self.row = self.row.checked_sub(number).expect("it goes beyond the top"),
            'K' => self.grid[self.row][self.column..].fill(' '),
            'J' => {
                self.command(1, 'K');
                self.grid[self.row + 1..].iter_mut().for_each(|line| line.fill(' '));
                self.count();
            }
            'm' => {}
            other => panic!("an unknown command {other}"),
        }
    }

    /// A picture begins with the finder pattern at its upper left, below its quiet zone.
    fn count(&mut self) {
        let begins = |line: &[char]| line[..11].iter().collect::<String>() == "    █▀▀▀▀▀█";
        let quiet = |line: &[char]| !line[..20].contains(&'█') && !line[..20].contains(&'▀');
        let standing = self.grid.windows(2).filter(|two| quiet(&two[0]) && begins(&two[1]));
        self.pictures = self.pictures.max(standing.count());
    }
}

struct OnTerminal {
    tool: Child,
    screen: Arc<Mutex<Screen>>,
    reader: std::thread::JoinHandle<()>,
}

impl OnTerminal {
    fn start(world: &Harness, line: &str, size: (u16, u16), variables: &[(&str, &str)]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let (columns, rows) = size;
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || {
            let slave = fs::OpenOptions::new().read(true).write(true).open(&name).unwrap();
            Stdio::from(slave)
        };
        let mut command = command(world, line);
        command.stdin(slave()).stdout(slave()).stderr(slave());
        let tool = command.envs(variables.iter().copied()).spawn().unwrap();
        // The command holds the terminal open: at its end nobody does, and the stream ends.
        drop(command);
        let screen = Arc::new(Mutex::new(Screen {
            columns: columns.into(),
            grid: vec![vec![' '; columns.into()]; rows.into()],
            row: 0,
            column: 0,
            all: String::new(),
            pictures: 0,
        }));
        let reader = std::thread::spawn({
            let (screen, mut master) = (Arc::clone(&screen), fs::File::from(master));
            move || {
                let (mut kept, mut some) = (Vec::new(), [0; 4096]);
                while let Ok(size @ 1..) = master.read(&mut some) {
                    kept.extend(&some[..size]);
                    // A character or a command may be cut.
                    let cut = std::str::from_utf8(&kept).map_or_else(|error| error.valid_up_to(), str::len);
                    let whole = std::str::from_utf8(&kept[..cut]).unwrap();
                    let open = whole
                        .rfind('\x1b')
                        .filter(|at| !whole[*at..].contains(|c: char| c.is_ascii_alphabetic()));
                    let whole = whole[..open.unwrap_or(cut)].to_owned();
                    screen.lock().unwrap().feed(&whole);
                    kept.drain(..whole.len());
                }
            }
        });
        Self { tool, screen, reader }
    }

    /// The screen, once it is like this.
    fn sees(&self, like: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            let text = self.screen.lock().unwrap().text();
            if like(&text) {
                return text;
            }
            assert!(Instant::now() < end, "it is not seen on:\n{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn interrupt(&self) {
        let pid = Pid::from_raw(self.tool.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
    }

    /// The text on the screen in the end, all that came, and how many pictures stood there at once.
    fn end(mut self, code: i32) -> (String, String, usize) {
        assert_eq!(self.tool.wait().unwrap().code(), Some(code));
        self.reader.join().unwrap();
        let screen = self.screen.lock().unwrap();
        (screen.text(), screen.all.clone(), screen.pictures)
    }
}

#[test]
fn one_code_stands_on_80_by_24_with_all_that_belongs_to_it_and_none_when_it_is_over() {
    let world = Harness::c2c(DAEMON, quick());
    world
        .server
        .set_options(|options| options.code_life = Duration::from_secs(4));
    let daemon = world.start_blocking();
    let pair = OnTerminal::start(&world, "pair", (80, 24), &[UTF8]);
    let first = another(&world, "");
    let whole = |text: &str, code: &str| {
        let parts = [
            code,
            "/pair",
            "and enter",
            "is called",
            "The code is valid for",
            "█▀▀▀▀▀█",
        ];
        parts.iter().all(|part| text.contains(part))
    };
    pair.sees(|text| whole(text, &first));
    world
        .server
        .set_options(|options| options.code_life = Duration::from_secs(120));
    let second = another(&world, &first);
    let text = pair.sees(|text| whole(text, &second));
    assert!(!text.contains(&first), "{text}");
    // The daemon goes: its code is taken away, and stands again when the daemon is back with it.
    drop(daemon);
    let text = pair.sees(|text| text.contains("waiting for it to come back"));
    assert!(!text.contains(&second) && !text.contains('█'), "{text}");
    let _daemon = world.start_blocking();
    pair.sees(|text| whole(text, &second));
    world.server.approve(&second).unwrap();
    let (text, all, pictures) = pair.end(0);
    assert_eq!(pictures, 1, "{all}");
    assert!(text.contains("Paired with Testbed.") && !text.contains('█'), "{text}");
}

#[test]
fn who_joins_sees_the_code_and_who_is_denied_is_told() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let first = OnTerminal::start(&world, "pair", (100, 40), &[UTF8]);
    let code = another(&world, "");
    first.sees(|text| text.contains(&code));
    let joined = OnTerminal::start(&world, "pair", (80, 24), &[UTF8]);
    joined.sees(|text| text.contains(&code));
    world.server.deny(&code).unwrap();
    for pair in [first, joined] {
        let (text, _, pictures) = pair.end(1);
        assert_eq!(pictures, 1);
        assert!(
            text.contains("declined at the server") && !text.contains(&code),
            "{text}"
        );
    }
}

#[test]
fn a_server_out_of_reach_is_told_before_the_call_ends_and_an_interrupt_ends_the_flow() {
    let world = Harness::c2c(DAEMON, quick());
    world.server.refuse_connections();
    let _daemon = world.start_blocking();
    let begun = Instant::now();
    let pair = OnTerminal::start(&world, "pair", (80, 24), &[UTF8]);
    pair.sees(|text| text.contains("Asking the server for a code."));
    pair.sees(|text| text.contains("The server cannot be reached."));
    // The daemon answers the call after 20 s.
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    pair.interrupt();
    let (text, ..) = pair.end(130);
    assert!(text.contains("Cancelled."), "{text}");
    assert!(run(&world, "status").out.contains("cancelled on this device"));
}

#[test]
fn a_terminal_without_utf_8_or_colours_gets_neither() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let no_colour = ("NO_COLOR", "1");
    let kinds: [(&[_], (u16, u16), bool, bool); 4] = [
        (&[("LANG", "de_DE.ISO-8859-1")], (80, 24), false, true),
        (&[UTF8, ("LC_ALL", "C")], (120, 60), false, true),
        (&[UTF8, no_colour], (80, 24), true, false),
        (&[no_colour], (120, 60), false, false),
    ];
    let mut pairs = Vec::new();
    for (variables, size, utf8, colour) in kinds {
        let pair = OnTerminal::start(&world, "pair", size, variables);
        let code = another(&world, "");
        let text = pair.sees(|text| text.contains(&code) && text.contains("valid for"));
        assert_eq!(text.contains('█'), utf8, "{text}");
        // Two columns a module and one row: 74 by 37, and the text.
        assert_eq!(text.contains("##############"), !utf8 && !colour, "{text}");
        assert_eq!(text.contains("does not fit"), !utf8 && size.0 == 80, "{text}");
        pairs.push((pair, utf8, colour, size));
    }
    world.server.approve(&another(&world, "")).unwrap();
    for (pair, utf8, colour, size) in pairs {
        let (_, all, _) = pair.end(0);
        assert_eq!(all.is_ascii(), !utf8, "{size:?}");
        let colours = all.contains("\x1b[30;107m") || all.contains("\x1b[107m") || all.contains("\x1b[0m");
        assert_eq!(colours, colour && size.0 == 120, "{size:?}");
    }
}

#[test]
fn a_pair_soon_after_a_cancelled_one_waits_and_says_so() {
    let world = Harness::c2c(DAEMON, quick());
    let _daemon = world.start_blocking();
    let first = OnTerminal::start(&world, "pair", (80, 24), &[UTF8]);
    let code = another(&world, "");
    first.sees(|text| text.contains(&code));
    first.interrupt();
    first.end(130);
    let second = OnTerminal::start(&world, "pair", (80, 24), &[UTF8]);
    second.sees(|text| text.contains("waiting ") && text.contains(" s until the next"));
    let next = another(&world, &code);
    second.sees(|text| text.contains(&next));
    world.server.approve(&next).unwrap();
    second.end(0);
}
