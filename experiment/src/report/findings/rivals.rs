//! Each variant with Merkle Tree Certificates against X.509 with equal keys, key exchange and tickets.

use mtc_tls::kind::CertificateKind;

use super::{Finding, Tone, percent};
use crate::report::messages::Messages;
use crate::report::numbers::{ratio, time, whole};
use crate::results::{Metric, Ratio, Results, VariantResult};

/// Bytes, CPU time and verification of a variant beside those of its rivals.
pub(super) fn against(results: &Results, variant: &VariantResult) -> Vec<Finding> {
    let same_keys = |other: &&VariantResult| {
        other.auth == CertificateKind::DirectlySigned
            && other.leaf_key == variant.leaf_key
            && other.key_exchange == variant.key_exchange
            && other.options.tickets == variant.options.tickets
            && other.options.via == variant.options.via
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
    for finding in &mut findings {
        let lies_in = certificates(variant, &rivals, finding.tone);
        finding.text.push_str(&lies_in.unwrap_or_default());
    }
    findings.extend(cpu.compare(variant, &rivals));
    findings.extend(verification(variant, &rivals));
    findings
}

/// Where a difference in bytes lies: what vouches for the keys is in the Certificate messages.
fn certificates(variant: &VariantResult, rivals: &[Rival<'_>], tone: Tone) -> Option<String> {
    let own = Messages::of(variant)?.certificate;
    let compared = rivals
        .iter()
        .filter(|rival| rival.tone(variant, VariantResult::bytes, Metric::Bytes) == Some(tone));
    let theirs: Option<Vec<String>> = compared
        .map(|compared| {
            let bytes = Messages::of(compared.rival)?.certificate;
            Some(format!("{} in {}", whole(Some(bytes)), compared.rival.name))
        })
        .collect();
    let theirs = theirs.filter(|_| tone != Tone::Even)?;
    Some(format!(
        " Certificate messages are {} bytes of it, {}.",
        whole(Some(own)),
        theirs.join(", ")
    ))
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

    /// What a cost of the variant, beside the rival's, says; none where one of them was not measured.
    fn tone(
        &self,
        variant: &VariantResult,
        cost: fn(&VariantResult) -> Option<f64>,
        metric: Metric,
    ) -> Option<Tone> {
        let ratio = ratio(cost(variant), cost(self.rival))?;
        Some(match self.differs(metric) {
            false => Tone::Even,
            true if ratio < 1.0 => Tone::Gain,
            true => Tone::Loss,
        })
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
            let (Some(ratio), Some(tone)) = (
                ratio(own, (self.of)(rival)),
                compared.tone(variant, self.of, self.metric),
            ) else {
                continue;
            };
            let figure = whole((self.of)(rival));
            let percent = percent((ratio - 1.0).abs());
            let text = match tone {
                Tone::Even => format!("{} ({figure})", rival.name),
                Tone::Gain => format!("{percent} % {} than {} ({figure})", self.gain, rival.name),
                Tone::Loss => format!("{percent} % more than {} ({figure})", rival.name),
            };
            let alike = against.iter_mut().filter(|(of, _)| *of == tone);
            alike.for_each(|(_, texts)| texts.push(text.clone()));
        }
        let Self { verb, unit, .. } = self;
        let own = whole(own);
        let sentence = |(tone, rivals): (Tone, Vec<String>)| {
            let rivals = (!rivals.is_empty()).then(|| rivals.join(" and "))?;
            let text = match tone {
                Tone::Even => format!(
                    "{} {verb} {own} {unit} per handshake with {}, as {rivals}: within the spread of this run there is no difference.",
                    variant.name, variant.key_exchange
                ),
                Tone::Gain | Tone::Loss => format!(
                    "{} {verb} {own} {unit} per handshake with {}, {rivals}.",
                    variant.name, variant.key_exchange
                ),
            };
            Some(Finding { tone, text })
        };
        against.into_iter().filter_map(sentence).collect()
    }
}

/// What verification takes of a handshake, beside the rival that verifies fastest. What it saves is not what a handshake saves: larger
/// certificates cost elsewhere.
fn verification(variant: &VariantResult, rivals: &[Rival<'_>]) -> Option<Finding> {
    // Where every session is resumed nobody verifies anything.
    let own = variant.verify_us.filter(|own| *own > 0.0)?;
    let known = rivals
        .iter()
        .filter(|of| of.rival.verify_us > Some(0.0))
        .filter_map(|of| Some((of, of.rival.verify_us?)));
    let (compared, theirs) = known.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let tone = compared.tone(variant, |of| of.verify_us, Metric::Verify)?;
    // Both sides verify a certificate.
    let of_all = |verify: f64, of: &VariantResult| {
        let (both, cpu) = (time(Some(2.0 * verify)), whole(Some(of.cpu_us()?)));
        Some(format!("{both} of {cpu} µs in {}", of.name))
    };
    let text = format!(
        "Verifying both sides' certificates takes {} and {}, of CPU time per handshake with {}.",
        of_all(own, variant)?,
        of_all(theirs, compared.rival)?,
        variant.key_exchange
    );
    Some(Finding { tone, text })
}
