//! What the figures say, in sentences that are computed and never hoped for: a loss is stated as plainly as a gain.

use mtc_tls::kind::CertificateKind;
use serde::Serialize;

use super::numbers::{count, ratio, time, whole};
use crate::environment::LOOPBACK;
use crate::results::{MIN_RTT_MS, Metric, Ratio, Results, VariantResult};

/// Ten segments of 1,448 bytes: what a server may send before the first acknowledgement (RFC 6928).
const INITIAL_WINDOW: f64 = 14_480.0;
/// With fewer samples a 99.9th percentile is the maximum.
const SAMPLES_FOR_P999: u64 = 1000;
/// With fewer samples a 99th percentile is the maximum.
const SAMPLES_FOR_P99: u64 = 100;

/// One thing the figures say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// For whom it speaks.
    pub(super) tone: Tone,
    /// A sentence or two.
    pub(super) text: String,
}

/// Whether a finding speaks for Merkle Tree Certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "&str")]
pub(super) enum Tone {
    /// For them.
    Gain,
    /// Against them.
    Loss,
    /// Neither.
    Even,
}

impl Tone {
    /// A word for it, so that no report has to rely on colour.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::Loss => "loss",
            Self::Even => "note",
        }
    }
}

impl From<Tone> for &str {
    fn from(tone: Tone) -> Self {
        tone.as_str()
    }
}

/// The answer in one sentence: the least bytes and the least CPU time, related to the first variant.
pub(super) fn headline(results: &Results) -> String {
    let Some((first, others)) = results.variants.split_first() else {
        return "Nothing was compared.".to_owned();
    };
    let (Some(first_bytes), Some(first_cpu)) = (first.bytes(), first.cpu_us()) else {
        return format!(
            "No handshake of {} was measured on both sides, so there is nothing that the others could be related to.",
            first.name
        );
    };
    let base = format!(
        "{} costs {} bytes and {} µs of CPU per handshake, both sides together",
        first.name,
        whole(Some(first_bytes)),
        whole(Some(first_cpu))
    );
    // Among one there is no least.
    if let [other] = others {
        let (Some(bytes), Some(cpu)) = (other.bytes(), other.cpu_us()) else {
            return format!(
                "{base}. No handshake of {} was measured on both sides.",
                other.name
            );
        };
        return format!(
            "{base}. {} sends {} bytes ({:.2} times as many) and uses {} µs of CPU time ({:.2} times as much).",
            other.name,
            whole(Some(bytes)),
            bytes / first_bytes,
            whole(Some(cpu)),
            cpu / first_cpu
        );
    }
    let least = |cost: fn(&VariantResult) -> Option<f64>| {
        let known = others.iter().filter_map(|variant| {
            Some((variant, cost(variant)?, ratio(cost(variant), cost(first))?))
        });
        known.min_by(|a, b| a.1.total_cmp(&b.1))
    };
    match (least(VariantResult::bytes), least(VariantResult::cpu_us)) {
        (Some((small, bytes, of_bytes)), Some((quick, cpu, of_cpu))) => {
            let unmeasured = others
                .iter()
                .filter(|variant| variant.bytes().is_none())
                .count();
            let of_the_others = match others.len() - unmeasured {
                1 => "Of the others one was measured:".to_owned(),
                measured if unmeasured > 0 => {
                    format!("Of the {measured} others that were measured")
                }
                _ => "Of the others".to_owned(),
            };
            if others.len() - unmeasured == 1 {
                return format!(
                    "{base}. {of_the_others} {} sends {} bytes ({of_bytes:.2} times as many) and uses {} µs of CPU time ({of_cpu:.2} \
                     times as much).",
                    small.name,
                    whole(Some(bytes)),
                    whole(Some(cpu))
                );
            }
            let quick = if quick.name == small.name {
                "it also"
            } else {
                &quick.name
            };
            let (bytes, cpu) = (whole(Some(bytes)), whole(Some(cpu)));
            format!(
                "{base}. {of_the_others} {} sends the fewest bytes, {bytes} ({of_bytes:.2} times as many), and {quick} uses the \
                 least CPU time, {cpu} µs ({of_cpu:.2} times as much).",
                small.name
            )
        }
        _ if others.is_empty() => format!("{base}."),
        _ => format!("{base}. No handshake of the others was measured on both sides."),
    }
}

/// What the figures say about Merkle Tree Certificates and their rivals with equal keys and tickets.
pub(super) fn findings(results: &Results) -> Vec<Finding> {
    let mtc = results
        .variants
        .iter()
        .filter(|variant| variant.auth != CertificateKind::DirectlySigned);
    let mut findings: Vec<Finding> = mtc
        .flat_map(|variant| against_rivals(results, variant))
        .collect();
    findings.extend(post_quantum_floor(results));
    findings
}

/// What these figures cannot show.
pub(super) fn caveats(results: &Results) -> Vec<String> {
    let mut caveats = vec![round_trips(results)];
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

fn against_rivals(results: &Results, variant: &VariantResult) -> Vec<Finding> {
    let same_keys = |other: &&VariantResult| {
        other.auth == CertificateKind::DirectlySigned
            && other.leaf_key == variant.leaf_key
            && other.key_exchange == variant.key_exchange
            && other.makeup.tickets == variant.makeup.tickets
    };
    let rivals: Vec<Rival<'_>> = results
        .variants
        .iter()
        .filter(same_keys)
        .map(|rival| Rival {
            rival,
            ratios: results.costs_between(variant, rival),
        })
        .collect();
    let bytes = Cost {
        of: VariantResult::bytes,
        metric: Metric::Bytes,
        verb: "sends",
        unit: "bytes",
        gain: "fewer",
    };
    let cpu = Cost {
        of: VariantResult::cpu_us,
        metric: Metric::Cpu,
        verb: "uses",
        unit: "µs of CPU",
        gain: "less",
    };
    let mut findings = bytes.compare(variant, &rivals);
    if let Some(finding) = findings
        .iter_mut()
        .find(|finding| finding.tone == Tone::Loss)
        && variant.auth == CertificateKind::Standalone
    {
        finding
            .text
            .push_str(" Its cosignatures and proof outweigh the CA signatures that they replace.");
    }
    findings.extend(cpu.compare(variant, &rivals));
    findings.extend(verification(variant, &rivals));
    findings
}

/// A variant that another one is compared with, and how the other's costs relate to its own.
struct Rival<'a> {
    rival: &'a VariantResult,
    ratios: Vec<Ratio>,
}

impl Rival<'_> {
    /// Whether the spread of the run leaves a difference; without an interval it cannot be told.
    fn differs(&self, metric: Metric) -> bool {
        let ratio = self.ratios.iter().find(|ratio| ratio.metric == metric);
        ratio.is_some_and(Ratio::differs)
    }
}

/// A cost in which a variant is compared with its rivals.
struct Cost {
    of: fn(&VariantResult) -> Option<f64>,
    metric: Metric,
    verb: &'static str,
    unit: &'static str,
    gain: &'static str,
}

impl Cost {
    /// One sentence for the rivals it beats, one for those it loses to, one for those it equals.
    fn compare(&self, variant: &VariantResult, rivals: &[Rival<'_>]) -> Vec<Finding> {
        let mut against: [(Tone, Vec<String>); 3] = [
            (Tone::Gain, vec![]),
            (Tone::Loss, vec![]),
            (Tone::Even, vec![]),
        ];
        let own = (self.of)(variant);
        for compared in rivals {
            let rival = compared.rival;
            let Some(ratio) = ratio(own, (self.of)(rival)) else {
                continue;
            };
            let figure = whole((self.of)(rival));
            let percent = percent((ratio - 1.0).abs());
            let (slot, text) = if !compared.differs(self.metric) {
                (2, format!("{} ({figure})", rival.name))
            } else if ratio < 1.0 {
                (
                    0,
                    format!("{percent} % {} than {} ({figure})", self.gain, rival.name),
                )
            } else {
                (
                    1,
                    format!("{percent} % more than {} ({figure})", rival.name),
                )
            };
            against[slot].1.push(text);
        }
        let Self { verb, unit, .. } = self;
        let own = whole(own);
        let sentence = |(tone, rivals): (Tone, Vec<String>)| {
            let rivals = (!rivals.is_empty()).then(|| rivals.join(" and "))?;
            let text = match tone {
                Tone::Even => format!(
                    "{} {verb} {own} {unit} per handshake, as {rivals}: within the spread of this run there is no difference.",
                    variant.name
                ),
                Tone::Gain | Tone::Loss => format!(
                    "{} {verb} {own} {unit} per handshake, {rivals}.",
                    variant.name
                ),
            };
            Some(Finding { tone, text })
        };
        against.into_iter().filter_map(sentence).collect()
    }
}

/// A share as percent, with a digit more where it is small.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 2.0 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.0}")
    }
}

/// What verification saves against the rival that verifies fastest, and what share of a handshake that is.
fn verification(variant: &VariantResult, rivals: &[Rival<'_>]) -> Option<Finding> {
    // Where every session is resumed nobody verifies anything.
    let own = variant.verify_us.filter(|own| *own > 0.0)?;
    let known = rivals
        .iter()
        .filter(|of| of.rival.verify_us > Some(0.0))
        .filter_map(|of| Some((of, of.rival.verify_us?, of.rival.cpu_us()?)));
    let (compared, theirs, cpu) = known.min_by(|a, b| a.1.total_cmp(&b.1))?;
    // Both sides verify, and cpu is of both sides.
    let share = (theirs - own) * 2.0 / cpu * 100.0;
    let tone = match compared.differs(Metric::Verify) {
        true if share > 0.0 => Tone::Gain,
        true => Tone::Loss,
        false => Tone::Even,
    };
    let change = if share > 0.0 { "saves" } else { "costs" };
    let text = format!(
        "Verifying a certificate takes {} µs in {} and {} µs in {}: that {change} {:.0} % of the CPU time of a handshake.",
        time(Some(own)),
        variant.name,
        time(Some(theirs)),
        compared.rival.name,
        share.abs()
    );
    Some(Finding { tone, text })
}

/// Against a first variant without post-quantum keys: what no way of authenticating the keys can save.
fn post_quantum_floor(results: &Results) -> Option<Finding> {
    let post_quantum = |variant: &VariantResult| variant.leaf_key.starts_with("ml-dsa");
    let first = results
        .variants
        .first()
        .filter(|first| !post_quantum(first))?;
    let others = results
        .variants
        .iter()
        .filter(|variant| post_quantum(variant));
    let measured: Vec<(&VariantResult, f64)> = others
        .filter_map(|variant| Some((variant, variant.bytes()?)))
        .collect();
    let (least, bytes) = measured.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let among = if measured.len() > 1 {
        format!("the smallest with {} keys,", least.leaf_key)
    } else {
        format!("with {} keys,", least.leaf_key)
    };
    let text = format!(
        "{}, {among} still sends {:.1} times the bytes of {}: the key and its signature over the handshake travel in both directions \
         whoever vouches for the key.",
        least.name,
        ratio(Some(*bytes), first.bytes())?,
        first.name
    );
    Some(Finding {
        tone: Tone::Even,
        text,
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
    } else {
        "The deployed lab's network, which has no round trips to speak of,"
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

#[cfg(test)]
mod tests;
