//! The scenario in a report: its text, which lines of it the run did not apply, and what the lab had instead.

use super::numbers::count;
use crate::results::{LabValue, Results};
use crate::scenario::Scenario;

/// A line of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    /// Whether the lab or the load was as it says.
    pub(super) is_applied: bool,
    /// What was so where the line was not applied, if the lab has said it.
    pub(super) instead: Option<String>,
}

/// Every line. A lab that was up before the run is not what `[lab]` says, the load generator's own AMFs excepted, and what it says of itself
/// and is the same.
pub(super) fn lines(results: &Results) -> Vec<Line<'_>> {
    let values = values(results);
    let mut in_lab = false;
    let line = |text| {
        let code = str::trim(text);
        if code.starts_with('[') {
            in_lab = code.starts_with("[lab]");
        }
        let key = key(code);
        let of_lab = in_lab || code.starts_with("lab.");
        let is_comment = code.is_empty() || code.starts_with('#');
        // Where the lab says what it has, the lines below the heading speak for themselves.
        let is_told = code.starts_with('[') && results.run.lab.is_some();
        let found = values.iter().find(|value| value.key == key);
        let is_applied = !results.run.joined
            || !of_lab
            || is_comment
            || is_told
            || key == "amf"
            || found.is_some_and(|value| value.is_as_planned);
        let instead = match found {
            Some(value) => Some(format!("the lab has {}", value.text)),
            None if key == "preload" => log_entries(results),
            None => None,
        };
        Line {
            text,
            is_applied,
            instead: instead.filter(|_| !is_applied),
        }
    };
    results.scenario.trim_end().lines().map(line).collect()
}

/// What the lab has said that it has, where there was one before the run.
fn values(results: &Results) -> Vec<LabValue> {
    let cells = Scenario::parse_cells(&results.scenario).unwrap_or_default();
    let planned = cells.first().map(|cell| &cell.lab);
    let lab = results.run.lab.as_ref();
    lab.map(|lab| lab.values(planned)).unwrap_or_default()
}

fn log_entries(results: &Results) -> Option<String> {
    let entries = results.run.lab.as_ref()?.log_entries?;
    Some(format!("the log had {} entries", count(entries)))
}

/// The key of a line, without its table.
fn key(code: &str) -> &str {
    let code = code.strip_prefix("lab.").unwrap_or(code);
    code.split(['=', ' ']).next().unwrap_or_default()
}

/// What of the scenario was not applied, in a sentence; none where all of it was.
pub(super) fn unapplied(results: &Results) -> Option<String> {
    if !results.run.joined {
        return None;
    }
    let lines = lines(results);
    let setting = |line: &Line<'_>| {
        let text = line.text.split('#').next().unwrap_or_default().trim();
        let instead = line.instead.as_deref();
        let instead = instead.map_or_else(String::new, |instead| format!(" ({instead})"));
        (!line.is_applied && !text.starts_with('[')).then(|| format!("{text}{instead}"))
    };
    let settings: Vec<String> = lines.iter().filter_map(setting).collect();
    let is_named = |name: &str| lines.iter().any(|line| key(line.text.trim()) == name);
    let others = values(results).into_iter();
    let others = others.filter(|value| !value.is_as_planned && !is_named(value.key));
    let others: Vec<String> = others
        .map(|value| format!("{} = {}", value.key, value.text))
        .collect();
    let mut sentences = vec![
        "The lab was up before the run, so it is not the scenario's [lab] that says what its network functions and its log were."
            .to_owned(),
    ];
    if !settings.is_empty() {
        sentences.push(format!("Not applied: {}.", settings.join(", ")));
    } else if results.run.lab.is_none() {
        sentences.push("Not applied: its defaults.".to_owned());
    }
    if !others.is_empty() {
        sentences.push(format!("Other than by default: {}.", others.join(", ")));
    }
    if let Some(entries) = log_entries(results).filter(|_| !is_named("preload")) {
        sentences.push(format!("When the load began {entries}."));
    }
    Some(sentences.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, html, json, summary, table};
    use crate::results::JoinedLab;
    use crate::results::sample::quick;

    // A report of a deployed lab showed `preload = 1000` as if it had been so.
    #[test]
    fn what_a_running_lab_did_not_apply_is_struck_out_and_said_in_every_report() {
        let mut results = quick();
        assert!(lines(&results).iter().all(|line| line.is_applied));
        assert_eq!(unapplied(&results), None);
        results.run.joined = true;
        let struck: Vec<&str> = lines(&results)
            .into_iter()
            .filter(|line| !line.is_applied)
            .map(|line| line.text)
            .collect();
        assert_eq!(
            struck,
            [
                "[lab]",
                "smf = 2",
                "certificate_lifetime = \"1h\"",
                "checkpoint_interval = \"200ms\"",
                "landmark_interval = \"2s\"",
                "preload = 1000"
            ]
        );
        let report = Report::of(&results);
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [
            html(&report),
            summary(&report),
            table(&report),
            json(&report),
        ]
        .map(words)
        {
            assert!(text.contains("The lab was up before the run"), "{text}");
            assert!(text.contains("preload = 1000."), "{text}");
        }
        assert!(html(&report).contains("amf = 2\n<s>smf = 2</s>\n"));
        assert!(summary(&report).contains("amf = 2\n# not applied: smf = 2\n"));
    }

    #[test]
    fn what_the_lab_says_of_itself_stands_where_the_scenario_s_was_struck_out() {
        let mut results = quick();
        results.run.joined = true;
        results.run.lab = Some(JoinedLab {
            smf: Some(4),
            certificate_lifetime_s: Some(3600),
            landmark_interval_s: Some(30),
            remember_subtrees: Some(false),
            log_entries: Some(4120),
            ..JoinedLab::default()
        });
        let report = Report::of(&results);
        let page = html(&report);
        for line in [
            "[lab]\namf = 2\n<s>smf = 2</s> # the lab has 4\ncertificate_lifetime = &quot;1h&quot;\n",
            "<s>landmark_interval = &quot;2s&quot;</s> # the lab has &quot;30s&quot;\n",
            "<s>checkpoint_interval = &quot;200ms&quot;</s>\n",
        ] {
            let page = page.replace("\"", "&quot;");
            assert!(page.contains(line), "{line}");
        }
        let text = summary(&report);
        assert!(
            text.contains("\n# not applied: smf = 2; the lab has 4\n"),
            "{text}"
        );
        assert_eq!(
            unapplied(&results).unwrap_or_default(),
            "The lab was up before the run, so it is not the scenario's [lab] that says what its network functions and its log were. \
             Not applied: smf = 2 (the lab has 4), checkpoint_interval = \"200ms\", landmark_interval = \"2s\" (the lab has \"30s\"), \
             preload = 1000 (the log had 4,120 entries). Other than by default: remember_subtrees = false."
        );
        results.scenario = "[load]\nrate = 1\n".to_owned();
        let said = unapplied(&results).unwrap_or_default();
        assert!(
            said.ends_with("When the load began the log had 4,120 entries."),
            "{said}"
        );
    }

    #[test]
    fn without_a_table_its_defaults_were_not_applied() {
        let mut results = quick();
        results.run.joined = true;
        results.scenario = "lab.preload = 5 # much\n[load]\nrate = 1\n".to_owned();
        assert!(
            unapplied(&results).is_some_and(|text| text.ends_with("Not applied: lab.preload = 5."))
        );
        results.scenario = "[load]\nrate = 1\n".to_owned();
        assert!(
            unapplied(&results).is_some_and(|text| text.ends_with("Not applied: its defaults."))
        );
    }
}
