//! A [`View`] on a terminal, and as text.

use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::view::{Section, View};

/// Spaces between columns.
const GAP: usize = 2;
/// Widest cell: an error may be long.
const WIDEST: usize = 60;

/// Draws a view from its line `scroll` on, and returns how far it can be scrolled. Colours only mark: everything is said in
/// words, for terminals without them.
pub fn draw(frame: &mut Frame<'_>, view: &View, scroll: usize, is_paused: bool) -> usize {
    let area = frame.area();
    let Some(body_height) = area.height.checked_sub(2) else {
        return 0;
    };
    let [title, body, keys] = [
        Rect { height: 1, ..area },
        Rect {
            y: area.y + 1,
            height: body_height,
            ..area
        },
        Rect {
            y: area.y + 1 + body_height,
            height: 1,
            ..area
        },
    ];
    let state = if view.is_troubled {
        Color::Red
    } else {
        Color::Green
    };
    let headline = Line::from(vec![
        Span::styled("mtc5g top  ", Style::new().add_modifier(Modifier::BOLD)),
        Span::styled(view.headline.clone(), Style::new().fg(state)),
    ]);
    frame.render_widget(Paragraph::new(headline), title);
    let lines = lines(view);
    let furthest = lines.len().saturating_sub(body_height.into());
    let from = scroll.min(furthest);
    let shown: Vec<Line<'_>> = lines
        .into_iter()
        .skip(from)
        .take(body_height.into())
        .collect();
    frame.render_widget(Paragraph::new(shown), body);
    let paused = if is_paused { "paused  " } else { "" };
    let more = if furthest > 0 {
        format!("line {} of {}  ", from + 1, furthest + 1)
    } else {
        String::new()
    };
    let help = format!("{paused}{more}q quit  p pause  up/down scroll");
    let help = Paragraph::new(help)
        .alignment(Alignment::Right)
        .style(Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(help, keys);
    furthest
}

/// The view as text, for scripts and files.
pub fn plain(view: &View) -> String {
    let mut text = format!("{}\n", view.headline);
    for line in lines(view) {
        let line: String = line
            .spans
            .iter()
            .map(|span| span.content.as_ref())
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn lines(view: &View) -> Vec<Line<'static>> {
    view.sections.iter().flat_map(section).collect()
}

fn section(section: &Section) -> Vec<Line<'static>> {
    let Section {
        title,
        columns,
        rows,
    } = section;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut lines = vec![Line::default(), Line::styled(title.clone(), bold)];
    if rows.is_empty() {
        lines.push(Line::raw("  none"));
        return lines;
    }
    let short = |cell: &str| -> String { cell.chars().take(WIDEST).collect() };
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| short(cell)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(column, name)| {
            // A row that ends early has something to say: its last cell may go on over the columns that it lacks.
            let full = cells
                .iter()
                .filter(|row| row.len() > column + 1 || row.len() == columns.len());
            let widest = full
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max();
            widest.unwrap_or(0).max(name.trim().chars().count())
        })
        .collect();
    let line = |row: &[String]| {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths.get(column).copied().unwrap_or(0);
            let is_number = columns
                .get(column)
                .is_some_and(|name| name.starts_with(' '));
            line.push_str(&" ".repeat(GAP));
            line.push_str(&if is_number {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            });
        }
        line
    };
    let header: Vec<String> = columns.iter().map(|name| name.trim().to_owned()).collect();
    if header.iter().any(|name| !name.is_empty()) {
        lines.push(Line::styled(
            line(&header),
            Style::new().add_modifier(Modifier::UNDERLINED),
        ));
    }
    lines.extend(cells.iter().map(|row| Line::raw(line(row))));
    lines
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

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

    fn screen(width: u16, height: u16, scroll: usize) -> (Vec<String>, usize) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        let mut furthest = 0;
        terminal
            .draw(|frame| furthest = draw(frame, &view(), scroll, true))
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
        let (lines, furthest) = screen(50, 11, 0);
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
            "                paused  q quit  p pause  up/down scroll",
        ];
        assert_eq!(lines[..10], expected[..10]);
        assert_eq!(furthest, 0);
        let (lines, furthest) = screen(60, 6, 99);
        assert_eq!(furthest, 4);
        assert_eq!(lines[4], "  none");
        assert!(
            lines[5].ends_with("paused  line 5 of 5  q quit  p pause  up/down scroll"),
            "{}",
            lines[5]
        );
        // No room is no reason to panic.
        for (width, height) in [(1, 1), (3, 2), (200, 3)] {
            screen(width, height, 1);
        }
    }

    #[test]
    fn as_text_it_is_the_same() {
        assert_eq!(
            plain(&view()),
            "2 processes\n\nNetwork functions\n  NF   state   CPU\n  nrf  ready  10 %\n  smf  down: cannot connect to it\n\nRequests\n  none\n"
        );
    }
}
