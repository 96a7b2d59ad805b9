//! What the figures of a run cannot show.

use mtc_tls::kind::CertificateKind;

use crate::environment::LOOPBACK;
use crate::report::numbers::{count, whole};
use crate::report::scenario_text::unapplied;
use crate::results::{AnchorResult, MIN_RTT_MS, Results, VariantResult};
use crate::scenario::Scenario;

/// Ten segments of 1,448 bytes: what a server may send before the first acknowledgement (RFC 6928).
const INITIAL_WINDOW: f64 = 14_480.0;
/// With fewer samples a 99.9th percentile is the maximum.
const SAMPLES_FOR_P999: u64 = 1000;
/// With fewer samples a 99th percentile is the maximum.
const SAMPLES_FOR_P99: u64 = 100;

/// With fewer entries a log is small beside those of an operator's network.
const LARGE_LOG: u64 = 100_000;

/// Of what no load of ours brought about.
const OBSERVED: &str = "Who connects to whom is not under control here: a difference between variants may be one between those who use them, and                         handshakes at the begin and the end of the window may be counted on one side alone.";

/// What these figures cannot show.
pub(in crate::report) fn caveats(results: &Results) -> Vec<String> {
    let mut caveats: Vec<String> = unapplied(results).into_iter().collect();
    caveats.push(round_trips(results));
    if results.run.observed.is_some() {
        caveats.push(OBSERVED.to_owned());
    } else {
        caveats.extend(of_a_load(results));
    }
    caveats.extend(security_categories(results));
    caveats.extend(small_log(results));
    caveats.extend(stand_in(results));
    caveats
}

/// What rests on how many operations there were, and on who shared the processors with them.
fn of_a_load(results: &Results) -> Vec<String> {
    let mut caveats = Vec::new();
    let operations = results
        .variants
        .iter()
        .map(|variant| variant.ok)
        .min()
        .unwrap_or_default();
    if operations < SAMPLES_FOR_P99 {
        caveats.push(format!(
            "With {} operations of a variant, p99 and p99.9 of an operation are its maximum: {SAMPLES_FOR_P99} operations of each variant are \
             needed for p99 to be another, {SAMPLES_FOR_P999} for p99.9.",
            count(operations)
        ));
    } else if operations < SAMPLES_FOR_P999 {
        caveats.push(format!(
            "With {} operations per variant, p99.9 of an operation is its maximum and p99 rests on {}; for p99.9 to be another, \
             {SAMPLES_FOR_P999} operations of each variant are needed.",
            count(operations),
            operations / SAMPLES_FOR_P99
        ));
    }
    let sharing = if results.link.is_some() || is_loopback(results) {
        "Client, servers and load generator share this machine's processors"
    } else {
        "Client, servers and load generator of a deployed lab may share processors, which this run does not know"
    };
    caveats.push(format!(
        "{sharing}: compare variants within this run, not times between machines."
    ));
    caveats
}

/// That names in `certificate_authorities` are not what TLS has for it, and what that is in bytes (docs/method.md).
fn stand_in(results: &Results) -> Option<String> {
    let has_paths = |variant: &&VariantResult| variant.auth != CertificateKind::DirectlySigned;
    let mut variants = results.variants.iter().filter(has_paths).peekable();
    variants.peek()?;
    let counted: Vec<String> = variants
        .filter_map(|variant| {
            let AnchorResult {
                stand_in,
                trust_anchors,
                available,
            } = variant.anchor_bytes()?;
            let [stand_in, real, with_list] = [stand_in, trust_anchors, trust_anchors + available]
                .map(|bytes| whole(Some(bytes)));
            Some(format!("{} {stand_in}, {real} ({with_list})", variant.name))
        })
        .collect();
    let counted = if counted.is_empty() {
        String::new()
    } else {
        format!(
            " Bytes of a handshake for that, those of trust_anchors in its place, and with the list that a server may send: {}.",
            counted.join("; ")
        )
    };
    Some(format!(
        "The Merkle Tree CA and its landmarks are named in certificate_authorities, a stand-in for the trust_anchors extension that the draft \
         wants.{counted}"
    ))
}

/// That paths are longer in a larger log, where there are any.
fn small_log(results: &Results) -> Option<String> {
    let has_paths = |variant: &VariantResult| variant.auth != CertificateKind::DirectlySigned;
    if !results.variants.iter().any(has_paths) {
        return None;
    }
    let (entries, log) = match (results.run.joined, &results.run.lab) {
        (false, _) => (preload(results)?, "log began with"),
        (true, lab) => (lab.as_ref()?.log_entries?, "lab's log had"),
    };
    let there = match entries {
        LARGE_LOG.. => return None,
        // The network functions' own are in it by the time that anybody is shown one.
        0 => format!(
            "The {log} no entries but those of the network functions themselves, which is small: a certificate's path has a few hashes of \
             32 bytes there"
        ),
        _ => format!(
            "The {log} {} entries, which is small: a certificate's path has up to {} hashes of 32 bytes there",
            count(entries),
            hashes(entries)
        ),
    };
    Some(format!(
        "{there}, and 20 where a million entries lie between two landmarks."
    ))
}

/// Hashes on the longest path in a tree of so many entries.
fn hashes(entries: u64) -> u32 {
    entries.max(1).next_power_of_two().ilog2()
}

/// With how many entries the log of a run began that had a lab of its own.
fn preload(results: &Results) -> Option<u64> {
    let cells = Scenario::parse_cells(&results.scenario).ok()?;
    let is_this = |cell: &&Scenario| {
        let mut settings = cell.cell.iter();
        settings.all(|setting| results.run.cell.get(&setting.key) == Some(&setting.value))
    };
    cells.iter().find(is_this).map(|cell| cell.lab.preload)
}

/// That signatures which are compared may be of different strength, where both kinds are.
fn security_categories(results: &Results) -> Option<String> {
    let is_x509 = |auth| auth == CertificateKind::DirectlySigned;
    let has = |wanted: bool| results.variants.iter().any(|v| is_x509(v.auth) == wanted);
    (has(true) && has(false)).then(|| {
        "The CA and the witness cosign with ML-DSA-44, the only ML-DSA of C2SP tlog-cosignature, whatever signs in the X.509 variants: with \
         ML-DSA-65 those are one category stronger, and ca_signature = \"ml-dsa-44\" makes them equal."
            .to_owned()
    })
}

fn round_trips(results: &Results) -> String {
    let initial_window = results
        .link
        .as_ref()
        .map_or(INITIAL_WINDOW, |link| link.initial_window() as f64);
    let above = results.variants.iter().filter(|variant| {
        variant
            .bytes_server
            .is_some_and(|bytes| bytes > initial_window)
    });
    let above: Vec<String> = above
        .map(|variant| format!("{} ({})", variant.name, whole(variant.bytes_server)))
        .collect();
    let window = count(initial_window as u64);
    if let Some(link) = &results.link {
        let consequence = if above.is_empty() {
            "no variant here sends more from the server".to_owned()
        } else {
            format!("these servers' flights do: {}", above.join(", "))
        };
        return format!(
            "Over {}, measured {:.2} ms: a first flight above {window} bytes ({} segments) waits one round trip for an \
             acknowledgement; {consequence}.",
            link.configured, link.measured.rtt_ms.p50, link.measured.tcp.initcwnd
        );
    }
    if let Some(rtt) = longest_round_trip(results) {
        let consequence = if above.is_empty() {
            "no variant here sends more from the server".to_owned()
        } else {
            format!("these servers' flights do: {}", above.join(", "))
        };
        return format!(
            "Connections had round trips of {rtt:.1} ms, which this run did not make itself and cannot vouch for: a first flight \
             above {window} bytes (ten segments) waits one of them for an acknowledgement; {consequence}."
        );
    }
    let consequence = if above.is_empty() {
        "no variant here sends more from the server".to_owned()
    } else {
        format!(
            "on a real network these servers' flights would: {}",
            above.join(", ")
        )
    };
    let network = if is_loopback(results) {
        "Loopback"
    } else if results.run.observed.is_none() {
        "The deployed lab's network, which has no round trips to speak of,"
    } else {
        "The network between these processes, which has no round trips to speak of,"
    };
    format!(
        "{network} cannot show round trips caused by large flights. A first flight above {window} bytes (ten segments) waits \
         one round trip for an acknowledgement; {consequence}."
    )
}

fn is_loopback(results: &Results) -> bool {
    results.environment.network == LOOPBACK
}

/// Milliseconds of the round trips that the clients' kernels saw, where there were some to speak of: between hosts, or over a
/// link that was there before the run.
fn longest_round_trip(results: &Results) -> Option<f64> {
    let variants = results.variants.iter();
    let clients = variants.filter_map(|variant| variant.handshake.client.tcp.as_ref());
    clients
        .map(|tcp| tcp.min_rtt_ms)
        .filter(|rtt| *rtt >= MIN_RTT_MS)
        .max_by(f64::total_cmp)
}
