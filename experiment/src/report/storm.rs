//! The storm of registrations with which a lab of many instances starts, as a table of the report.

use sbi::ledger::StartStep;

use super::charts::Data;
use super::numbers::{at, count, time, whole};
use crate::results::{Results, StartResult};

/// Over the table.
pub(super) const TITLE: &str = "Registration storm";
/// From so many instances on the start of a lab is shown; of fewer it is in `results.json` alone.
const STORM: u64 = 100;
/// The steps in the order in which they are taken, and what they are.
const STEPS: [(StartStep, &str); 6] = [
    (StartStep::Key, "key and request"),
    (StartStep::Certificate, "certificate, with the two below"),
    (StartStep::Request, "NRF: checks of the request"),
    (
        StartStep::Checkpoint,
        "NRF: waiting for a cosigned checkpoint",
    ),
    (StartStep::Storage, "storing and verifying"),
    (StartStep::Registration, "registration"),
];
const HEAD: [&str; 7] = [
    "step", "count", "p50 ms", "p90 ms", "p99 ms", "max ms", "CPU µs",
];

/// The start, if it was a storm.
fn storm(results: &Results) -> Option<&StartResult> {
    let start = results.start.as_ref()?;
    (start.instances >= STORM).then_some(start)
}

/// How long each step took; none for a run whose lab has few instances.
pub(super) fn steps(results: &Results) -> Option<Data> {
    let start = storm(results)?;
    let rows = STEPS.iter().filter_map(|(step, name)| {
        let result = start.steps.get(step)?;
        Some(vec![
            (*name).to_owned(),
            count(result.count),
            at(result.ms, |ms| ms.p50),
            at(result.ms, |ms| ms.p90),
            at(result.ms, |ms| ms.p99),
            at(result.ms, |ms| ms.max),
            whole(Some(result.cpu_us)),
        ])
    });
    Some(Data {
        head: HEAD.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    })
}

/// What the table comes to, in sentences; none without it.
pub(super) fn summary(results: &Results) -> Option<String> {
    let start = storm(results)?;
    let instances = count(start.instances);
    let multiple = start.times_cryptography.map_or_else(String::new, |times| {
        format!(
            ": on {} processors {times:.2} times its cryptography",
            results.environment.cores
        )
    });
    Some(format!(
        "{instances} instances of the {} process enrolled and registered in {} s{multiple}, which took {} s of CPU time at both ends \
         ({} µs for each instance: the last column, a handshake without a client certificate of {} µs and one with it of {} µs). \
         Between steps an instance waits for its turn.",
        start.nf,
        time(Some(start.elapsed_s)),
        time(Some(start.cryptography_s)),
        whole(Some(start.cryptography_s * 1e6 / start.instances as f64)),
        whole(Some(start.enrolment_handshake_us)),
        whole(Some(start.registration_handshake_us)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Report, html, json, summary as markdown, table};
    use crate::results::sample::{quick, storm};

    #[test]
    fn a_storm_is_told_step_by_step_in_every_form() {
        let mut results = quick();
        assert!(steps(&results).is_none());
        results.start = storm();
        let data = steps(&results).expect("a storm");
        assert_eq!(data.rows.len(), 6);
        assert_eq!(data.rows[0][..2], ["key and request", "1,000"]);
        let text = summary(&results).expect("a storm");
        assert!(
            text.starts_with(
                "1,000 instances of the smf process enrolled and registered in 6.00 s: on 2 processors 1.33 times its cryptography, which took \
                 9.00 s of CPU time at both ends (9,000 µs for each instance"
            ),
            "{text}"
        );
        let report = Report::of(&results);
        for form in [table(&report), markdown(&report), html(&report)] {
            let form = form.to_lowercase();
            assert!(form.contains(&TITLE.to_lowercase()), "{form}");
            assert!(form.contains("nrf: checks of the request"), "{form}");
        }
        assert!(json(&report).contains("\"times_cryptography\": 1.33"));
    }

    #[test]
    fn the_start_of_few_instances_is_no_storm() {
        let mut results = quick();
        results.start = storm();
        if let Some(start) = &mut results.start {
            start.instances = STORM - 1;
        }
        assert!(steps(&results).is_none());
        assert_eq!(summary(&results), None);
    }
}
