//! The scenario in a report: its text, and which lines of it the run did not apply.

use crate::results::Results;

/// A line of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    /// Whether the lab or the load was as it says.
    pub(super) is_applied: bool,
}

/// Every line. A lab that was up before the run is not what `[lab]` says, the load generator's own AMFs excepted.
pub(super) fn lines(results: &Results) -> Vec<Line<'_>> {
    let mut in_lab = false;
    let line = |text| {
        let code = str::trim(text);
        if code.starts_with('[') {
            in_lab = code.starts_with("[lab]");
        }
        let key = code.split(['=', ' ']).next().unwrap_or_default();
        let of_lab = in_lab || key.starts_with("lab.");
        let is_comment = code.is_empty() || code.starts_with('#');
        let of_generator = key == "amf" || key == "lab.amf";
        Line {
            text,
            is_applied: !results.run.joined || !of_lab || is_comment || of_generator,
        }
    };
    results.scenario.trim_end().lines().map(line).collect()
}

/// What of the scenario was not applied, in a sentence; none where all of it was.
pub(super) fn unapplied(results: &Results) -> Option<String> {
    if !results.run.joined {
        return None;
    }
    let lines = lines(results).into_iter().filter(|line| !line.is_applied);
    let settings = lines.map(|line| line.text.split('#').next().unwrap_or_default().trim());
    let settings: Vec<&str> = settings.filter(|text| !text.starts_with('[')).collect();
    let named = if settings.is_empty() {
        String::new()
    } else {
        format!(": {}", settings.join(", "))
    };
    Some(format!(
        "The lab was up before the run, so it is not the scenario's [lab] that says what its network functions and its log were. Not \
         applied{}.",
        if named.is_empty() {
            ": its defaults".to_owned()
        } else {
            named
        }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, html, json, summary, table};
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
