//! A [`View`] on a terminal, and as text.

use std::fmt::Write as _;

use mtc_core::printable::{printable, printable_lines};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::view::{Section, View};

/// Spaces between columns.
const GAP: usize = 2;
/// Widest cell: an error may be long.
const WIDEST: usize = 60;
/// What begins the first line.
const NAME: &str = "mtc5g top  ";
/// Says that there are columns right of the screen.
const MORE: &str = ">";

/// Which part of a view is on a screen that it is too large for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scroll {
    /// Lines that are above the screen.
    pub line: usize,
    /// Columns of each table that are left of the screen. The first, which says what a row is of, always stays, and so does a
    /// table that the screen is wide enough for.
    pub column: usize,
}

impl Scroll {
    /// No further than `furthest`.
    pub fn within(self, furthest: Self) -> Self {
        Self {
            line: self.line.min(furthest.line),
            column: self.column.min(furthest.column),
        }
    }
}

/// Draws the part of a view, and returns how far it can be scrolled. Colours only mark: everything is said in words, for
/// terminals without them.
pub fn draw(frame: &mut Frame<'_>, view: &View, scroll: Scroll, is_paused: bool) -> Scroll {
    let area = frame.area();
    let width = usize::from(area.width);
    let headline = wrap(&format!("{NAME}{}", view.headline), width);
    let title_height = u16::try_from(headline.len()).unwrap_or(u16::MAX);
    let [title, body, keys] = Layout::vertical([
        Constraint::Length(title_height),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let state = if view.is_troubled {
        Color::Red
    } else {
        Color::Green
    };
    let headline = headline.into_iter().map(|line| {
        let state = |text: &str| Span::styled(text.to_owned(), Style::new().fg(state));
        let name = Span::styled(NAME, Style::new().add_modifier(Modifier::BOLD));
        match line.strip_prefix(NAME) {
            Some(rest) => Line::from(vec![name, state(rest)]),
            None => Line::from(state(&line)),
        }
    });
    frame.render_widget(Paragraph::new(headline.collect::<Vec<_>>()), title);
    let tables: Vec<Table<'_>> = view.sections.iter().map(Table::new).collect();
    let body_height = usize::from(body.height);
    let lines: Vec<Line<'_>> = tables
        .iter()
        .flat_map(|table| table.lines(width, scroll.column))
        .collect();
    let furthest = Scroll {
        line: lines.len().saturating_sub(body_height),
        column: tables
            .iter()
            .map(|table| table.furthest(width))
            .max()
            .unwrap_or(0),
    };
    let Scroll { line, column } = scroll.within(furthest);
    let shown: Vec<Line<'_>> = lines.into_iter().skip(line).take(body_height).collect();
    frame.render_widget(Paragraph::new(shown), body);
    let mut help = String::new();
    if is_paused {
        help.push_str("paused  ");
    }
    if furthest.line > 0 {
        let _ = write!(help, "line {} of {}  ", line + 1, furthest.line + 1);
    }
    if furthest.column > 0 {
        let _ = write!(help, "column {} of {}  ", column + 1, furthest.column + 1);
    }
    help.push_str("q quit  p pause  arrows scroll");
    let help = Paragraph::new(help)
        .alignment(Alignment::Right)
        .style(Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(help, keys);
    furthest
}

/// The words of a text in lines of a screen; only a word that is longer than a line is not whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let room = |line: &String| line.chars().count() + word.trim_end().chars().count() <= width;
        match lines.last_mut() {
            Some(line) if line.is_empty() || room(line) => line.push_str(word),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The view as text, for scripts and files.
pub fn plain(view: &View) -> String {
    let mut text = format!("{}\n", view.headline);
    let tables: Vec<Table<'_>> = view.sections.iter().map(Table::new).collect();
    for line in tables.iter().flat_map(|table| table.lines(usize::MAX, 0)) {
        let line: String = line
            .spans
            .iter()
            .map(|span| span.content.as_ref())
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    printable_lines(&text)
}

/// A section with the widths of its columns.
struct Table<'a> {
    section: &'a Section,
    cells: Vec<Vec<String>>,
    widths: Vec<usize>,
}

impl<'a> Table<'a> {
    fn new(section: &'a Section) -> Self {
        let short = |cell: &String| -> String { cell.chars().take(WIDEST).collect() };
        let cells: Vec<Vec<String>> = section
            .rows
            .iter()
            .map(|row| row.iter().map(short).collect())
            .collect();
        let columns = &section.columns;
        let widths = columns.iter().enumerate().map(|(column, name)| {
            // A row that ends early has something to say: its last cell may go on over the columns that it lacks.
            let full = cells
                .iter()
                .filter(|row| row.len() > column + 1 || row.len() == columns.len());
            let widest = full
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max();
            widest.unwrap_or(0).max(name.trim().chars().count())
        });
        Self {
            widths: widths.collect(),
            section,
            cells,
        }
    }

    /// The columns that are on a screen of `width` when so many after the first are not, and whether there are more.
    fn shown(&self, width: usize, skipped: usize) -> (Vec<usize>, bool) {
        let after = 1 + skipped..self.widths.len();
        let mut room = width;
        let mut shown = Vec::new();
        for column in std::iter::once(0).chain(after) {
            let Some(left) = room.checked_sub(GAP + self.widths[column]) else {
                break;
            };
            // What is cut off is marked, for which there must be room.
            let is_last = column + 1 == self.widths.len();
            if left < GAP + MORE.len() && !is_last {
                break;
            }
            room = left;
            shown.push(column);
        }
        let is_cut = shown.last().is_none_or(|last| last + 1 < self.widths.len());
        (shown, is_cut)
    }

    /// Whether its columns are pairs of a name and its value.
    fn is_list(&self) -> bool {
        let mut names = self.section.columns.iter();
        names.all(|name| name.trim().is_empty())
    }

    /// Columns that must be left out before the last one is on the screen.
    fn furthest(&self, width: usize) -> usize {
        if self.cells.is_empty() || self.is_list() {
            return 0;
        }
        let most = self.widths.len().saturating_sub(2);
        (0..most)
            .find(|skipped| !self.shown(width, *skipped).1)
            .unwrap_or(most)
    }

    /// The section's lines on a screen of `width`, with so many columns left out.
    fn lines(&self, width: usize, skipped: usize) -> Vec<Line<'static>> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let title = wrap(&self.section.title, width);
        let mut lines = vec![Line::default()];
        lines.extend(title.into_iter().map(|line| Line::styled(line, bold)));
        if self.cells.is_empty() {
            lines.push(Line::raw("  none"));
            return lines;
        }
        let skipped = skipped.min(self.furthest(width));
        let (shown, is_cut) = self.shown(width, skipped);
        let names: Vec<String> = self
            .section
            .columns
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        if names.iter().any(|name| !name.is_empty()) {
            let mut header = self.line(&names, &shown);
            if is_cut {
                let _ = write!(header, "{:GAP$}{MORE}", "");
            }
            lines.push(Line::styled(
                header,
                Style::new().add_modifier(Modifier::UNDERLINED),
            ));
        }
        let all: Vec<usize> = (0..self.widths.len()).collect();
        if self.is_list() && is_cut {
            let pairs = all.chunks(2);
            let below = pairs.flat_map(|pair| self.cells.iter().map(|row| self.line(row, pair)));
            lines.extend(below.map(Line::raw));
            return lines;
        }
        lines.extend(self.cells.iter().map(|row| {
            let is_full = row.len() == self.widths.len();
            Line::raw(self.line(row, if is_full { &shown } else { &all }))
        }));
        lines
    }

    /// The cells of a row that are in these columns.
    fn line(&self, row: &[String], columns: &[usize]) -> String {
        let mut line = String::new();
        for column in columns {
            let Some(cell) = row.get(*column) else {
                break;
            };
            let width = self.widths[*column];
            let is_number = self.section.columns[*column].starts_with(' ');
            line.push_str(&" ".repeat(GAP));
            line.push_str(&if is_number {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            });
        }
        // Labels are other processes' words.
        printable(&line)
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::view::HANDSHAKE_COLUMNS;
    use super::*;

    fn view() -> View {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        View {
            headline: "2 processes".to_owned(),
            is_troubled: true,
            sections: vec![
                Section {
                    title: "Network functions".to_owned(),
                    columns: vec!["NF", "state", " CPU"],
                    rows: vec![
                        row(&["nrf", "ready", "10 %"]),
                        row(&["smf", "down: cannot connect to it"]),
                    ],
                },
                Section {
                    title: "Requests".to_owned(),
                    columns: vec!["service"],
                    rows: Vec::new(),
                },
            ],
        }
    }

    fn screen(view: &View, width: u16, height: u16, scroll: Scroll) -> (Vec<String>, Scroll) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        let mut furthest = Scroll::default();
        terminal
            .draw(|frame| furthest = draw(frame, view, scroll, true))
            .expect("drawn");
        let buffer = terminal.backend().buffer();
        let line = |y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
                .trim_end()
                .to_owned()
        };
        ((0..height).map(line).collect(), furthest)
    }

    #[test]
    fn a_view_is_drawn_as_wide_and_high_as_there_is_room() {
        let (lines, furthest) = screen(&view(), 50, 11, Scroll::default());
        let expected = [
            "mtc5g top  2 processes",
            "",
            "Network functions",
            "  NF   state   CPU",
            "  nrf  ready  10 %",
            "  smf  down: cannot connect to it",
            "",
            "Requests",
            "  none",
            "",
            "            paused  q quit  p pause  arrows scroll",
        ];
        assert_eq!(lines, expected);
        assert_eq!(furthest, Scroll::default());
        let below = Scroll {
            line: 99,
            column: 99,
        };
        let (lines, furthest) = screen(&view(), 60, 6, below);
        assert_eq!((furthest.line, furthest.column), (4, 0));
        assert_eq!(lines[4], "  none");
        assert!(
            lines[5].ends_with("paused  line 5 of 5  q quit  p pause  arrows scroll"),
            "{}",
            lines[5]
        );
        // No room is no reason to panic.
        for (width, height) in [(1, 1), (3, 2), (200, 3), (8, 30)] {
            screen(&view(), width, height, below);
        }
    }

    /// As many columns as the widest table has, and figures as long as they get.
    fn wide() -> View {
        let row = |cells: &str| cells.split(' ').map(str::to_owned).collect();
        View {
            headline: "4 processes, last 10 s: all ready, no failures".to_owned(),
            is_troubled: false,
            sections: vec![Section {
                title: "Handshakes, as clients see them".to_owned(),
                columns: HANDSHAKE_COLUMNS.to_vec(),
                rows: vec![
                    row(
                        "mtc-landmark ml-dsa-65 X25519MLKEM768 1032 68.8 145 10000 1005 98.5 14722 0.001",
                    ),
                    row(
                        "x509-ml-dsa-65-intermediate ml-dsa-65 SecP256r1MLKEM768 32.4 68.9 146 459 875 193 32863 0",
                    ),
                ],
            }],
        }
    }

    #[test]
    fn on_a_narrow_screen_every_figure_can_be_scrolled_to_and_none_is_cut() {
        let view = wide();
        let rows = &view.sections[0].rows;
        let (_, furthest) = screen(&view, 80, 24, Scroll::default());
        assert!(furthest.column > 0);
        let mut seen = vec![Vec::new(); rows.len()];
        for column in 0..=furthest.column {
            let (lines, _) = screen(&view, 80, 24, Scroll { line: 0, column });
            assert_eq!(
                lines[3].ends_with('>'),
                column < furthest.column,
                "{}",
                lines[3]
            );
            for ((line, row), seen) in lines[4..].iter().zip(rows).zip(&mut seen) {
                let cells: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
                assert_eq!(cells[0], row[0], "the row's name stays");
                assert!(
                    cells.iter().all(|cell| row.contains(cell)),
                    "a cell is cut: {line}"
                );
                seen.extend(cells);
            }
            let help = lines.last().expect("a line");
            let place = format!("column {} of {}", column + 1, furthest.column + 1);
            assert!(help.contains(&place), "{help}");
        }
        for (row, seen) in rows.iter().zip(&seen) {
            assert!(
                row.iter().all(|cell| seen.contains(cell)),
                "{row:?} {seen:?}"
            );
        }
        let (lines, furthest) = screen(&view, 160, 50, Scroll::default());
        assert_eq!(furthest, Scroll::default());
        assert!(
            rows[0].iter().all(|cell| lines[4].contains(cell)),
            "{}",
            lines[4]
        );
    }

    #[test]
    fn a_long_headline_and_long_titles_go_on_in_the_next_line() {
        let mut view = wide();
        view.headline = "4 processes, last 10 s: down: smf; 3.20 handshakes/s failed (peer-certificate); 17.5 requests/s answered 5xx"
            .to_owned();
        view.sections[0].title = format!("Load: {}, measured, 12 in flight", "long ".repeat(14));
        let (lines, _) = screen(&view, 80, 24, Scroll::default());
        assert_eq!(
            lines[0],
            "mtc5g top  4 processes, last 10 s: down: smf; 3.20 handshakes/s failed"
        );
        assert_eq!(lines[1], "(peer-certificate); 17.5 requests/s answered 5xx");
        assert!(lines[4].ends_with("measured, 12 in flight"), "{lines:#?}");
        assert!(lines[23].ends_with("arrows scroll"), "{lines:#?}");
    }

    #[test]
    fn pairs_that_do_not_fit_beside_each_other_are_below_each_other() {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        let view = View {
            sections: vec![Section {
                title: "Log".to_owned(),
                columns: vec!["", " ", "", " "],
                rows: vec![
                    row(["entries published", "1200", "newest landmark", "7"]),
                    row(["checkpoint age", "1 s", "landmark age", "12 s"]),
                ],
            }],
            ..View::default()
        };
        let (wide, _) = screen(&view, 60, 8, Scroll::default());
        assert_eq!(wide[3], "  entries published  1200  newest landmark     7");
        let (narrow, furthest) = screen(&view, 40, 8, Scroll::default());
        assert_eq!(furthest, Scroll::default());
        let expected = [
            "  entries published  1200",
            "  checkpoint age      1 s",
            "  newest landmark     7",
            "  landmark age     12 s",
        ];
        assert_eq!(narrow[3..7], expected);
    }

    #[test]
    fn as_text_it_is_the_same() {
        assert_eq!(
            plain(&view()),
            "2 processes\n\nNetwork functions\n  NF   state   CPU\n  nrf  ready  10 %\n  smf  down: cannot connect to it\n\nRequests\n  none\n"
        );
    }
}
