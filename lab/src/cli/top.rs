//! `mtc5g top`

use std::io::{self, IsTerminal as _};
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::exit::{DONE, fail, interrupted};
use super::output::{print, usage};
use super::watched::Watched;
use crate::top::{History, Places, Scrape, Scroll, View, draw, plain, scrape};
use experiment::scenario::parse_duration;

/// How long a thread waits for a key before it looks whether it is still wanted.
const KEY_WAIT: Duration = Duration::from_millis(100);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Clone, Debug, clap::Args)]
pub(super) struct TopArguments {
    #[command(flatten)]
    watched: Watched,
    /// Time between two updates
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = looks)]
    interval: Duration,
    /// Print one update as text, and exit
    #[arg(long)]
    once: bool,
}

fn looks(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| error.to_string())?;
    if interval < SHORTEST_INTERVAL {
        return Err(format!("{text} is less than {SHORTEST_INTERVAL:?}"));
    }
    Ok(interval)
}

#[derive(Debug, thiserror::Error)]
enum TopError {
    #[error("standard output is not a terminal; use mtc5g top --once")]
    NoTerminal,
}

impl TopArguments {
    pub(super) async fn run(self) -> ExitCode {
        let places = match self.watched.places("top").await {
            Ok(places) => places,
            Err(error) => return usage(&*error, "top"),
        };
        if self.once {
            return self.print_once(&places).await;
        }
        if !io::stdout().is_terminal() {
            return usage(&TopError::NoTerminal, "top");
        }
        match self.watch(&places).await {
            Ok(()) => ExitCode::from(DONE),
            Err(error) => fail(&error),
        }
    }

    async fn print_once(&self, places: &Places) -> ExitCode {
        let mut history = History::default();
        let mut view = View::default();
        let mut ticks = interval(self.interval);
        for _ in 0..2 {
            ticks.tick().await;
            view = history.add(scrape(places).await);
        }
        print(&plain(&view));
        ExitCode::from(DONE)
    }

    /// Draws until a key or a signal ends it. Whatever ends it, a panic too, gives the terminal back as it was.
    async fn watch(&self, places: &Places) -> io::Result<()> {
        let mut terminal = Restored(ManuallyDrop::new(ratatui::try_init()?));
        let (told, mut keys) = mpsc::unbounded_channel();
        std::thread::spawn(move || listen(&told));
        let mut stop = std::pin::pin!(interrupted());
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut history, mut view) = (History::default(), View::default());
        let (mut scroll, mut is_paused) = (Scroll::default(), false);
        // A process that hangs holds up the next look, but neither keys nor signals.
        let mut looking = None;
        loop {
            let mut furthest = Scroll::default();
            terminal
                .0
                .draw(|frame| furthest = draw(frame, &view, scroll, is_paused))?;
            scroll = scroll.within(furthest);
            tokio::select! {
                // In this order, so that signals are heard from the first time on.
                biased;
                () = &mut stop => return Ok(()),
                key = keys.recv() => match key {
                    Some(Key::Quit) | None => return Ok(()),
                    Some(Key::Pause) => {
                        is_paused = !is_paused;
                        looking = None;
                    }
                    Some(Key::Up(lines)) => scroll.line = scroll.line.saturating_sub(lines),
                    Some(Key::Down(lines)) => scroll.line = scroll.line.saturating_add(lines),
                    Some(Key::Left) => scroll.column = scroll.column.saturating_sub(1),
                    Some(Key::Right) => scroll.column = scroll.column.saturating_add(1),
                    Some(Key::Redraw) => {}
                },
                scrape = seen(&mut looking) => {
                    looking = None;
                    view = history.add(scrape);
                }
                _ = ticks.tick(), if !is_paused && looking.is_none() => looking = Some(Box::pin(scrape(places))),
            }
        }
    }
}

/// What the look that is under way has seen; without one, nothing ever. Dropping the future loses nothing.
async fn seen<F: Future<Output = Scrape> + Unpin>(looking: &mut Option<F>) -> Scrape {
    match looking {
        Some(looking) => looking.await,
        None => std::future::pending().await,
    }
}

/// Gives the terminal back when it is dropped. Its own end and `ratatui::restore` tell of a terminal that is gone with a macro
/// that panics then.
struct Restored(ManuallyDrop<DefaultTerminal>);

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = self.0.show_cursor();
        let _ = ratatui::try_restore();
    }
}

enum Key {
    Quit,
    Pause,
    Up(usize),
    Down(usize),
    Left,
    Right,
    Redraw,
}

/// Hears keys until nobody is told any more. Blocks.
fn listen(told: &mpsc::UnboundedSender<Key>) {
    while !told.is_closed() {
        let key = match event::poll(KEY_WAIT) {
            Ok(false) => continue,
            Ok(true) => event::read().ok().and_then(key),
            Err(_) => return,
        };
        if let Some(key) = key
            && told.send(key).is_err()
        {
            return;
        }
    }
}

fn key(event: Event) -> Option<Key> {
    const PAGE: usize = 10;
    let key = match event {
        Event::Resize(..) => return Some(Key::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        _ => return None,
    };
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Quit),
        KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('p' | ' ') => Some(Key::Pause),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up(1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down(1)),
        KeyCode::Left | KeyCode::Char('h') => Some(Key::Left),
        KeyCode::Right | KeyCode::Char('l') => Some(Key::Right),
        KeyCode::PageUp => Some(Key::Up(PAGE)),
        KeyCode::PageDown => Some(Key::Down(PAGE)),
        KeyCode::Home => Some(Key::Up(usize::MAX)),
        KeyCode::End => Some(Key::Down(usize::MAX)),
        _ => None,
    }
}
