//! `mtc5g top` on a real terminal: it draws, and whatever ends it leaves the terminal as it was.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Termios, tcgetattr};

use test_support::terminal::Terminal;

const ENTER_SCREEN: &str = "\u{1b}[?1049h";
const LEAVE_SCREEN: &str = "\u{1b}[?1049l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";

/// `mtc5g top` that looks at one port, and the terminal that it is on.
struct Watched {
    terminal: File,
    top: Child,
    /// How the terminal was before.
    modes: Termios,
    shown: Vec<u8>,
}

impl Watched {
    /// Nothing listens on the port.
    fn start() -> io::Result<Self> {
        let mut watched = Self::of("127.0.0.1:1")?;
        watched.until("down: nf")?;
        Ok(watched)
    }

    fn of(address: &str) -> io::Result<Self> {
        let terminal = Terminal::open(80)?;
        let slave = terminal.side()?;
        let modes = tcgetattr(&slave)?;
        let top = Command::new(env!("CARGO_BIN_EXE_mtc5g"))
            .args(["top", address, "--interval", "200ms"])
            .stdin(terminal.side()?)
            .stdout(terminal.side()?)
            .stderr(terminal.side()?)
            .spawn()?;
        let mut watched = Self {
            terminal: terminal.screen,
            top,
            modes,
            shown: Vec::new(),
        };
        // Held until it has opened its own.
        watched.until("mtc5g top")?;
        drop(slave);
        Ok(watched)
    }

    /// Reads what is drawn until it has this in it.
    fn until(&mut self, text: &str) -> io::Result<()> {
        let mut part = [0; 4096];
        while !String::from_utf8_lossy(&self.shown).contains(text) {
            let read = self.terminal.read(&mut part)?;
            self.shown.extend_from_slice(&part[..read]);
        }
        Ok(())
    }

    /// Waits for the end, and returns everything that was drawn.
    fn end(mut self) -> (Option<i32>, String) {
        self.until(LEAVE_SCREEN).expect("the screen is left");
        let status = self.top.wait().expect("it was started");
        let mut part = [0; 4096];
        // Nobody has the other side any more: what is left, and then an error.
        while let Ok(read @ 1..) = self.terminal.read(&mut part) {
            self.shown.extend_from_slice(&part[..read]);
        }
        (
            status.code(),
            String::from_utf8_lossy(&self.shown).into_owned(),
        )
    }
}

fn is_left_clean(drawn: &str) {
    let (_, screen) = drawn.split_once(ENTER_SCREEN).expect("a screen of its own");
    let (screen, after) = screen.rsplit_once(LEAVE_SCREEN).expect("left");
    assert!(screen.contains("mtc5g top"), "{screen:?}");
    let shown = drawn.rfind(SHOW_CURSOR).expect("a cursor");
    assert!(
        drawn
            .rfind("\u{1b}[?25l")
            .is_none_or(|hidden| hidden < shown),
        "the cursor stays hidden: {drawn:?}"
    );
    assert!(
        after.chars().all(|char| !char.is_alphanumeric()) || after.contains("[?25h"),
        "{after:?}"
    );
}

#[test]
fn a_key_ends_it_and_the_terminal_is_as_it_was() {
    let mut watched = Watched::start().expect("a terminal");
    watched.terminal.write_all(b"q").expect("a key");
    let modes = watched.modes.clone();
    // The modes of the terminal can be asked for on this side too.
    let terminal = watched.terminal.try_clone().expect("a terminal");
    let (status, drawn) = watched.end();
    assert_eq!(status, Some(0), "{drawn}");
    is_left_clean(&drawn);
    let after = tcgetattr(&terminal).expect("modes");
    assert_eq!(after.local_modes, modes.local_modes);
    assert_eq!(after.input_modes, modes.input_modes);
}

#[test]
fn keys_are_heard_while_a_process_does_not_answer() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("a bound socket");
    let mut watched = Watched::of(&address.to_string()).expect("a terminal");
    // It is asked from now on, and says nothing.
    let (_connection, _) = silent.accept().expect("it is asked");
    watched.terminal.write_all(b"p").expect("a key");
    watched.until("paused").expect("drawn");
    assert!(
        !String::from_utf8_lossy(&watched.shown).contains("down:"),
        "it was still waiting for the answer"
    );
    watched.terminal.write_all(b"q").expect("a key");
    let (status, drawn) = watched.end();
    assert_eq!(status, Some(0), "{drawn}");
    is_left_clean(&drawn);
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_as_it_was() {
    let watched = Watched::start().expect("a terminal");
    let pid = i32::try_from(watched.top.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("an ID");
    kill_process(pid, Signal::TERM).expect("it lives");
    let (status, drawn) = watched.end();
    assert_eq!(status, Some(0), "{drawn}");
    is_left_clean(&drawn);
}

#[test]
fn without_a_terminal_it_says_what_to_do_and_as_text_it_works() {
    let mtc5g = || Command::new(env!("CARGO_BIN_EXE_mtc5g"));
    let refused = mtc5g().args(["top", "127.0.0.1:1"]).output().expect("runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("mtc5g top --once"));
    let once = mtc5g()
        .args(["top", "127.0.0.1:1", "--once", "--interval", "200ms"])
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&once.stdout);
    assert_eq!(once.status.code(), Some(0));
    assert!(text.contains("127.0.0.1:1  down: cannot connect"), "{text}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let nowhere = mtc5g()
        .arg("top")
        .current_dir(folder.path())
        .output()
        .expect("runs");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("mtc5g top --lab DIR"));
}
