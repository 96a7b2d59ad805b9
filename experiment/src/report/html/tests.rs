use mtc_core::printable::is_hidden;

use super::*;
use crate::measure::Histogram;
use crate::results::sample::{busy, quick};
use crate::results::{Outcome, Results};
use crate::scenario::Measure;

fn html(results: &Results) -> String {
    super::html(&Report::of(results))
}

#[test]
fn every_chart_has_a_title_a_sentence_and_its_figures() {
    let page = html(&quick());
    for id in ["bytes", "cpu", "handshake", "operation", "time", "issuance"] {
        assert!(
            page.contains(&format!("aria-labelledby=\"{id}-title {id}-desc\"")),
            "{id}"
        );
        assert!(
            page.contains(&format!("<title id=\"{id}-title\">"))
                && page.contains(&format!("<desc id=\"{id}-desc\">")),
            "{id}"
        );
    }
    for (tag, count) in [
        ("<figure>", 6),
        ("<figcaption>", 6),
        ("Figures as a table", 6),
        // Three charts of five lines and one of two, each once more in its legend.
        ("<polyline class=\"line", 34),
        // Bytes, then the steps of X.509, standalone and landmark-relative.
        ("<rect class=\"part p", 7 * 5 + 4 * 3 + 5 + 4),
    ] {
        assert_eq!(page.matches(tag).count(), count, "{tag}");
    }
    assert!(page.contains("<figcaption>From 4,360 B (x509-ed25519) to 31,600 B (x509-mldsa65), both sides together.</figcaption>"));
}

#[test]
fn the_first_screen_answers_before_anything_else() {
    let page = html(&quick());
    let position = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text} is missing"))
    };
    assert!(
        position("<h1>What each variant costs, compared with x509-ed25519</h1>")
            < position("14,860")
    );
    assert!(position("aria-label=\"Comparison\"") < position("<h2>"));
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let page = html(&quick());
    for forbidden in [
        "http://",
        "https://",
        "<script",
        "<link",
        "<img",
        "<iframe",
        "@import",
        "url(",
        " src=",
        "javascript:",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let links = page.matches(" href=").count();
    let data = page.matches(" href=\"data:text/csv;charset=utf-8,").count();
    assert_eq!((links, data), (6, 6), "the only links carry their data");
}

#[test]
fn ratios_carry_their_interval() {
    let page = html(&quick());
    assert!(
        page.contains("3.41×<small>3.41 to 3.41</small>"),
        "bytes do not vary"
    );
    assert_eq!(
        page.matches("×<small>").count(),
        12,
        "three for each but the first"
    );
}

#[test]
fn a_chart_s_data_can_be_taken_away() {
    let page = html(&quick());
    assert!(page.contains(
        "<a download=\"bytes.csv\" href=\"data:text/csv;charset=utf-8,variant%2C%22client%20client%5Fhello%2C%20B%22%2C%22client%20certificate%2C%20B%22"
    ));
    assert!(page.contains(
        "x509-mldsa65%2C1446%2C10930%2C3317%2C52%2C55%2C1446%2C10930%2C3317%2C52%2C55%2C31600%0D%0A"
    ));
}

#[test]
fn outside_text_cannot_become_markup() {
    let hostile = "\"><script>alert('1')</script>&";
    let mut results = quick();
    results.run.name = hostile.to_owned();
    results.run.description = hostile.to_owned();
    results.scenario = hostile.to_owned();
    results.environment.cpu = hostile.to_owned();
    results.verdict.violations = vec![hostile.to_owned()];
    results.verdict.warnings = vec![hostile.to_owned()];
    results
        .variants
        .iter_mut()
        .for_each(|variant| variant.name = hostile.to_owned());
    let page = html(&results);
    assert!(!page.contains("<script"));
    assert!(page.contains("&quot;&gt;&lt;script&gt;alert('1')&lt;/script&gt;&amp;"));
    // Attributes stand between double quotes, so none of these can end one.
    let attributes = page.split("=\"").count() - 1;
    assert!(attributes > 100 && !page.contains("='"), "{attributes}");
}

#[test]
fn outside_text_cannot_hide_or_turn_what_is_around_it() {
    let mut results = quick();
    results.run.description = "a\u{202e}b\u{200b}".to_owned();
    results.variants[0].name = "c\u{1b}[2J".to_owned();
    let page = html(&results);
    let hidden = page.chars().find(|c| *c != '\n' && is_hidden(*c));
    assert_eq!(hidden, None);
    assert!(page.contains("a\\u{202e}b\\u{200b}") && page.contains("c\\u{1b}[2J"));
}

#[test]
fn tags_are_balanced() {
    let page = html(&quick());
    for tag in [
        "main", "section", "table", "thead", "tbody", "tr", "th", "td", "figure", "details", "svg",
        "ul", "li", "dl", "div", "p",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn a_failed_run_says_so_first() {
    let mut results = quick();
    results.verdict.outcome = Outcome::Invalid;
    results.verdict.violations = vec!["x509-ed25519: 3 of 540 operations failed".to_owned()];
    results.verdict.invalid_measures = Measure::ALL.to_vec();
    let page = html(&results);
    let verdict =
        "<strong>Not a valid measurement.</strong> X509-ed25519: 3 of 540 operations failed.";
    let at = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text} is not in {page}"))
    };
    assert!(
        at(verdict) < at("class=\"lead\"")
            && at("class=\"lead\"") < at("aria-label=\"Comparison\"")
    );
    assert!(page.contains("so nothing is concluded from its figures"));
    assert!(!page.contains("class=\"tone "), "{page}");
}

#[test]
fn an_invalid_variant_is_marked_beside_its_name() {
    assert!(!html(&quick()).contains("class=\"broken\""));
    let page = html(&busy(&[Measure::Bytes, Measure::Cpu]));
    assert!(page.contains(
        "<th scope=\"row\">mtc-landmark<small class=\"broken\">latencies not valid</small></th><td data-label=\"Bytes\">14,860</td>"
    ));
    assert_eq!(page.matches("\">!</td>").count(), 5);
    assert!(page.contains("<strong>Passed.</strong>"));
    assert_eq!(
        page.matches("Left out, not valid: mtc-landmark.").count(),
        6,
        "three charts, seen and described"
    );
}

#[test]
fn without_a_valid_latency_no_chart_of_latencies_is_drawn() {
    let mut results = busy(&[Measure::Bytes, Measure::Cpu]);
    let arrivals = results.variants[4].arrivals.clone();
    results
        .variants
        .iter_mut()
        .for_each(|variant| variant.arrivals = arrivals.clone());
    let page = html(&results);
    assert!(
        !page.contains("id=\"handshake-title\"")
            && page.contains("Bytes per handshake, by message")
    );
}

#[test]
fn a_threshold_shows_both_sides_and_what_became_of_it() {
    assert!(!html(&quick()).contains("Thresholds"));
    let mut results = quick();
    results.thresholds = crate::results::sample::thresholds();
    let page = html(&results);
    assert!(page.contains("<strong>Thresholds broken.</strong>"));
    assert!(page.contains(
        "<strong class=\"met\">met</strong> small: <code>bytes(&quot;a&quot;) &lt; bytes(&quot;b&quot;)</code> (14,860 \
         against 31,600)"
    ));
    results.thresholds.truncate(1);
    assert!(html(&results).contains("<strong>Thresholds met.</strong>"));
}

#[test]
fn results_without_figures_still_make_a_page() {
    let mut results = quick();
    for variant in &mut results.variants {
        variant.histograms.handshake = Histogram::default();
        variant.handshake_ms = None;
        variant.bytes_server = None;
    }
    let page = html(&results);
    assert!(!page.contains("id=\"handshake-title\"") && page.contains("id=\"operation-title\""));
    assert!(
        page.contains("<dt>Landmark hits</dt>"),
        "what has no course is a fact"
    );
    results.variants.clear();
    assert!(html(&results).contains("Nothing was compared."));
}

/// Set MTC5G_SAMPLE to a folder to look at the reports in a browser.
#[test]
fn the_sample_can_be_looked_at() {
    let Ok(folder) = std::env::var("MTC5G_SAMPLE") else {
        return;
    };
    std::fs::write(format!("{folder}/report.html"), html(&quick())).unwrap();
    let json = crate::report::json(&Report::of(&quick()));
    std::fs::write(format!("{folder}/results.json"), json).unwrap();
}

// The table of a run of handshakes had two groups of columns with the same heading.
#[test]
fn operations_that_are_handshakes_are_told_from_their_handshakes() {
    let mut results = quick();
    assert!(html(&results).contains("scope=\"colgroup\">Session, ms</th>"));
    results.run.operation = "handshake".to_owned();
    let page = html(&results);
    assert!(page.contains("scope=\"colgroup\">Operation, ms</th>"));
    assert_eq!(
        page.matches("scope=\"colgroup\">Handshake, ms</th>")
            .count(),
        1
    );
}

#[test]
fn a_run_without_merkle_tree_certificates_has_no_heading_about_them() {
    let mut results = quick();
    assert!(
        html(&results).contains("<h2>What the figures say about Merkle Tree Certificates</h2>")
    );
    results.variants.truncate(2);
    assert!(html(&results).contains("<h2>What the figures say</h2>"));
    results.variants.truncate(1);
    let page = html(&results);
    assert!(!page.contains("What the figures say") && !page.contains("class=\"findings\""));
    assert!(!crate::report::summary(&Report::of(&results)).contains("## What the figures say"));
}
