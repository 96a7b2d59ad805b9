//! What the log and its landmarks did over the run: whether certificates were in trusted subtrees, and how long issuing took.

use mtc_tls::kind::CertificateKind;
use sbi::ledger::IssuanceTotals;

use super::super::numbers::{count, time};
use super::super::svg::{Caption, Course, Horizontal, Vertical, courses as draw};
use super::super::wording::capitalised;
use super::figure::{Data, Figure};
use super::slices::OverSlices;
use crate::results::{Issuance, Results, Slice, VariantResult};

/// The variants that ask for landmark-relative certificates, each with its place among all.
fn landmark_variants(results: &Results) -> impl Iterator<Item = (usize, &VariantResult)> + Clone {
    let asks =
        |(_, variant): &(usize, &VariantResult)| variant.auth == CertificateKind::LandmarkRelative;
    results.variants.iter().enumerate().filter(asks)
}

/// The share of verified certificates that were in a trusted subtree; none where it is the same from beginning to end.
pub(super) fn landmark_hits(results: &Results) -> Option<Figure> {
    let variants = landmark_variants(results);
    let shares = variants.clone().flat_map(|(_, variant)| &variant.slices);
    range(shares.filter_map(hits)).filter(|(low, high)| low < high)?;
    let figure = OverSlices {
        id: "landmarks",
        title: "Landmark hit ratio over time".to_owned(),
        vertical: Vertical::Percent,
        value: hits,
        unit: ", %",
        written: |share| format!("{share:.1}"),
        sentence: hits_sentence,
    };
    Some(figure.figure(results, variants))
}

fn hits_sentence(range: Option<(f64, f64)>) -> String {
    let Some((low, high)) = range else {
        return "No certificate was verified in the measured part.".to_owned();
    };
    let share = if low == high {
        format!("{low:.0} %")
    } else {
        format!("{low:.0} to {high:.0} %")
    };
    format!(
        "In each twentieth of the run, {share} of the certificates were in a subtree that the verifier trusted; of others \
         it verifies cosignatures."
    )
}

/// Percent of the certificates that both sides verified in a slice.
fn hits(slice: &Slice) -> Option<f64> {
    let verified = slice.client.verified + slice.server.verified;
    let trusted = slice.client.trusted_subtree + slice.server.trusted_subtree;
    (verified > 0).then(|| 100.0 * trusted as f64 / verified as f64)
}

/// How long the MTCA took to issue in the slices of the measured part; none when it issued in fewer than two of them.
pub(super) fn issuance(results: &Results) -> Option<Figure> {
    let slices = &results.issuance.slices;
    if slices.iter().filter(|of| of.certificates > 0).count() < 2 {
        return None;
    }
    let issue = |of: &IssuanceTotals| of.mean_ms(of.issue_ns);
    let checkpoint = |of: &IssuanceTotals| of.mean_ms(of.checkpoint_ns);
    let course = |label, series, of: fn(&IssuanceTotals) -> Option<f64>| Course {
        label,
        series,
        values: slices.iter().map(of).collect(),
    };
    let courses = [
        course("request to certificate", 0, issue),
        course("entry to published checkpoint", 1, checkpoint),
    ];
    let row = |(slice, of): (usize, &IssuanceTotals)| {
        vec![
            slice.to_string(),
            count(of.certificates),
            time(issue(of)),
            time(checkpoint(of)),
        ]
    };
    let head = [
        "slice",
        "certificates",
        "request to certificate, ms",
        "entry to published checkpoint, ms",
    ];
    Some(Figure {
        caption: Caption {
            id: "issuance".to_owned(),
            title: "Issuance and checkpoint lag".to_owned(),
            sentence: issuance_sentence(results),
        },
        chart: draw(
            &Horizontal::Seconds(results.run.measured_s),
            Vertical::Log("milliseconds, mean"),
            &courses,
        ),
        data: Data {
            head: head.map(str::to_owned).into(),
            rows: slices.iter().enumerate().map(row).collect(),
        },
    })
}

fn issuance_sentence(results: &Results) -> String {
    let Issuance { before, slices } = &results.issuance;
    capitalised(&format!(
        "{}, and {}.",
        issued("before the measured part", before),
        issued("in it", &sum(slices))
    ))
}

/// What of the log has no chart because there is no course to show: a name and a sentence each.
pub(in super::super) fn log_facts(results: &Results) -> Vec<(&'static str, String)> {
    let Issuance { before, slices } = &results.issuance;
    let mut facts = Vec::new();
    if before.certificates + sum(slices).certificates > 0 && issuance(results).is_none() {
        facts.push(("Issuance", issuance_sentence(results)));
    }
    let shares = landmark_variants(results)
        .flat_map(|(_, variant)| &variant.slices)
        .filter_map(hits);
    if let Some((low, high)) = range(shares)
        && low == high
    {
        facts.push(("Landmark hits", hits_sentence(Some((low, high)))));
    }
    facts
}

fn range(values: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let low = values.clone().reduce(f64::min)?;
    Some((low, values.reduce(f64::max)?))
}

fn issued(when: &str, of: &IssuanceTotals) -> String {
    match of.mean_ms(of.checkpoint_ns) {
        None => format!("{when} no certificate was issued"),
        checkpoint => format!(
            "{when} {} certificates took {} ms each, of which a cosigned checkpoint that covers the entry took {} ms",
            count(of.certificates),
            time(of.mean_ms(of.issue_ns)),
            time(checkpoint)
        ),
    }
}

fn sum(slices: &[IssuanceTotals]) -> IssuanceTotals {
    let sum = |of: fn(&IssuanceTotals) -> u64| slices.iter().map(of).sum();
    IssuanceTotals {
        certificates: sum(|of| of.certificates),
        issue_ns: sum(|of| of.issue_ns),
        checkpoint_ns: sum(|of| of.checkpoint_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::quick;

    #[test]
    fn hits_are_shares_of_what_both_sides_verified() {
        let mut results = quick();
        let slice = &mut results.variants[4].slices[2];
        slice.client.trusted_subtree -= slice.client.verified;
        let half = hits(slice).expect("certificates were verified");
        let figure = landmark_hits(&results).expect("a variant with landmarks");
        assert!((20.0..70.0).contains(&half), "{half}");
        assert_eq!(figure.data.head, ["slice", "mtc-landmark, %"]);
        assert_eq!(figure.data.rows[1], ["1", "100.0"]);
        assert_eq!(figure.data.rows[2], ["2".to_owned(), format!("{half:.1}")]);
        assert!(
            figure
                .caption
                .sentence
                .contains(&format!("{half:.0} to 100 %"))
        );
        assert!(log_facts(&results).is_empty());
        results.variants.truncate(4);
        assert!(landmark_hits(&results).is_none() && log_facts(&results).is_empty());
    }

    #[test]
    fn a_share_that_never_changes_is_a_fact_and_no_chart() {
        let results = quick();
        assert!(landmark_hits(&results).is_none());
        assert_eq!(
            log_facts(&results),
            [(
                "Landmark hits",
                "In each twentieth of the run, 100 % of the certificates were in a subtree that the verifier trusted; of others it \
                 verifies cosignatures."
                    .to_owned()
            )]
        );
    }

    #[test]
    fn issuance_before_and_during_the_run_is_told_apart() {
        let mut results = quick();
        let figure = issuance(&results).expect("certificates were issued");
        assert_eq!(
            figure.caption.sentence,
            "Before the measured part 21 certificates took 38.0 ms each, of which a cosigned checkpoint that covers the entry \
             took 36.0 ms, and in it 6 certificates took 13.0 ms each, of which a cosigned checkpoint that covers the entry took \
             11.0 ms."
        );
        assert_eq!(figure.data.rows[9], ["9", "4", "14.0", "12.0"]);
        assert_eq!(figure.data.rows[10], ["10", "2", "11.0", "9.00"]);
        results.issuance.slices[10] = IssuanceTotals::default();
        assert!(issuance(&results).is_none(), "one slice has no course");
        results.issuance.slices.clear();
        let (name, sentence) = log_facts(&results).swap_remove(0);
        assert!(
            name == "Issuance" && sentence.ends_with("and in it no certificate was issued."),
            "{sentence}"
        );
        results.issuance.before = IssuanceTotals::default();
        assert!(
            log_facts(&results)
                .iter()
                .all(|(name, _)| *name != "Issuance")
        );
    }
}
