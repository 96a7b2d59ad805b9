//! What it took processes to learn of landmarks and of what is revoked: a table of the report, and of a sweep.

use super::charts::Data;
use super::numbers::{count, time, whole};
use super::wording::settings;
use crate::results::{LearningResult, Results};

/// Over the table.
pub(super) const TITLE: &str = "Learning of landmarks";

type Cell = fn(&LearningResult) -> String;

/// What the table has of each kind of process.
const FIGURES: [(&str, Cell); 17] = [
    ("looks, new", |of| count(of.new.count)),
    ("looks, unchanged", |of| count(of.unchanged.count)),
    ("looks, failed", |of| count(of.failed.count)),
    BYTES,
    CPU,
    ("bytes a look, new", |of| whole(of.new.bytes)),
    ("bytes a look, unchanged", |of| whole(of.unchanged.bytes)),
    ("CPU µs a look, new", |of| whole(of.new.cpu_us)),
    ("CPU µs a look, unchanged", |of| whole(of.unchanged.cpu_us)),
    AFTER,
    ("after s, max", after_max),
    BEHIND,
    ("behind s, p99", |of| time(of.behind_s.map(|of| of.p99))),
    AGE,
    ("age s, max", age_max),
    ("a day: bytes", day_bytes),
    ("a day: CPU s", day_cpu),
];
/// What it has where lines are short.
const NARROW: [(&str, Cell); 10] = [
    ("looks", |of| {
        let [new, unchanged] = [of.new.count, of.unchanged.count].map(count);
        format!("{new} new, {unchanged} unchanged")
    }),
    BYTES,
    CPU,
    AFTER,
    ("max", after_max),
    BEHIND,
    AGE,
    ("max", age_max),
    ("day: bytes", day_bytes),
    ("CPU s", day_cpu),
];
const BYTES: (&str, Cell) = ("bytes", |of| count(of.bytes));
const CPU: (&str, Cell) = ("CPU ms", |of| time(Some(of.cpu_s * 1e3)));
const AFTER: (&str, Cell) = ("after s, p50", |of| {
    time(of.learned_after_s.map(|of| of.p50))
});
const BEHIND: (&str, Cell) = ("behind %", |of| time(of.behind_share.map(|of| of * 100.0)));
const AGE: (&str, Cell) = ("age s, p50", |of| time(of.age_s.map(|of| of.p50)));

fn after_max(of: &LearningResult) -> String {
    time(of.learned_after_s.map(|of| of.max))
}

fn age_max(of: &LearningResult) -> String {
    time(of.age_s.map(|of| of.max))
}

fn day_bytes(of: &LearningResult) -> String {
    whole(of.day.as_ref().map(|day| day.bytes))
}

fn day_cpu(of: &LearningResult) -> String {
    time(of.day.as_ref().map(|day| day.cpu_s))
}

/// The table; none for a run in which nobody learned of anything.
pub(super) fn learning(results: &Results) -> Option<Data> {
    of_figures(results, &FIGURES)
}

/// The same for lines of at most 120 characters, and for pages.
pub(super) fn narrow_learning(results: &Results) -> Option<Data> {
    of_figures(results, &NARROW)
}

/// The runs of a sweep in one table.
pub(super) fn sweep_learning(runs: &[Results]) -> Option<Data> {
    together(runs, learning)
}

/// The same in few columns.
pub(super) fn narrow_sweep_learning(runs: &[Results]) -> Option<Data> {
    together(runs, narrow_learning)
}

fn together(runs: &[Results], of: fn(&Results) -> Option<Data>) -> Option<Data> {
    let mut all: Option<Data> = None;
    for run in runs {
        let Some(Data { head, rows }) = of(run) else {
            continue;
        };
        let named = |first: String, rest: Vec<String>| [vec![first], rest].concat();
        let all = all.get_or_insert_with(|| Data {
            head: named("run".to_owned(), head),
            rows: Vec::new(),
        });
        let rows = rows.into_iter().map(|row| named(settings(run), row));
        all.rows.extend(rows);
    }
    all
}

/// What stands below the table of these runs.
pub(super) fn note<'a>(runs: impl IntoIterator<Item = &'a Results>) -> String {
    let mut bases: Vec<&str> = Vec::new();
    for of in runs.into_iter().flat_map(|run| &run.learning) {
        let basis = of.day.as_ref().map(|day| day.basis.as_str());
        bases.extend(basis.filter(|basis| !bases.contains(basis)));
    }
    let day = match bases.as_slice() {
        [] => String::new(),
        bases => format!(
            " A day of one process is computed, not measured: {}.",
            bases.join("; or ")
        ),
    };
    format!(
        "In the measured part alone; by process, or the sum of those of a kind. A look asks the log, or reads what a distributor has written, for landmarks and for \
         what is revoked; bytes are without those of HTTP, CPU time without that of connections. After: from a landmark's publication to when it was \
         trusted. Behind: share of the time in which there was a later landmark than the newest trusted one, and for how long there had been. Age: of the \
         newest trusted one, at all times.{day}"
    )
}

fn of_figures(results: &Results, figures: &[(&str, Cell)]) -> Option<Data> {
    let all = &results.learning;
    all.iter().find(|of| of.new.count > 0)?;
    let head = figures.iter().map(|(heading, _)| (*heading).to_owned());
    let row = |of: &LearningResult| {
        let cells = figures.iter().map(|(_, cell)| cell(of));
        [of.nf.clone()].into_iter().chain(cells).collect()
    };
    Some(Data {
        head: ["process".to_owned()].into_iter().chain(head).collect(),
        rows: all.iter().map(row).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, csv_files, html, json, summary, sweep, sweep_html, table};
    use crate::results::sample::{learned, quick};

    fn with_learning() -> Results {
        let mut results = quick();
        results.learning = learned();
        results
    }

    #[test]
    fn what_was_learned_is_in_every_form_and_a_day_is_said_to_be_computed() {
        let results = with_learning();
        let report = Report::of(&results);
        let row = "| amf | 1 | 79 | 0 | 18,766 | 6.33 | 14,500 | 54 | 400 | 75 | 2.00 | 2.00 | 35.0 | 4.80 | 8.50 | 15.0 | 813,264 | 0.66 |\n";
        assert!(summary(&report).contains(row), "{}", summary(&report));
        let text = table(&report);
        assert!(text.contains(&TITLE.to_uppercase()), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
        assert!(html(&report).contains("<td>813,264</td>"));
        for form in [summary(&report), html(&report)] {
            assert!(
                form.contains("computed, not measured: a new landmark each hour, a look each 10 s")
            );
        }
        assert!(json(&report).contains("\"behind_share\": 0.35"));
        let files = csv_files(&results);
        assert!(files.iter().any(|(name, _)| name == "learning.csv"));
    }

    #[test]
    fn the_runs_of_a_sweep_are_in_one_table() {
        let mut runs = [quick(), with_learning(), with_learning()];
        for (run, way) in runs.iter_mut().zip(["none", "each", "node"]) {
            run.run.cell = [("lab.distribution".to_owned(), way.to_owned())].into();
        }
        let text = sweep(&runs);
        assert!(
            text.contains("| lab.distribution = node | amf | 1 | 79 |"),
            "{text}"
        );
        assert!(!text.contains("| lab.distribution = none | amf |"));
        assert_eq!(sweep_html(&runs).matches("<td>813,264</td>").count(), 2);
    }

    #[test]
    fn a_run_in_which_nobody_learned_of_anything_has_no_such_table() {
        let mut results = quick();
        assert!(learning(&results).is_none() && sweep_learning(&[quick()]).is_none());
        results.learning = learned();
        results.learning[0].new.count = 0;
        assert!(learning(&results).is_none());
        let old = Report::of(&results);
        assert!(!summary(&old).contains(TITLE));
    }
}
