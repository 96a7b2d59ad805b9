//! What a handshake costs, in the parts that it consists of: bytes by message, CPU time by step.

use std::collections::BTreeMap;

use mtc_tls::record::MessageBytes;
use mtc_tls::verification::VerifySteps;

use super::super::numbers::{ratio, times, whole};
use super::super::svg::{Bar, Caption, bars};
use super::figure::{Data, Figure, between};
use crate::results::{CpuSplit, Results, SideResult, VariantResult};

/// Bytes by handshake message.
pub(super) fn bytes(results: &Results) -> Figure {
    let cost = Cost {
        id: "bytes",
        title: "Bytes per handshake, by message",
        unit: "B",
        over: "both sides together",
        names: &[
            "ClientHello",
            "ServerHello",
            "server's Certificate",
            "client's Certificate",
            "server's CertificateVerify",
            "client's CertificateVerify",
            "the rest",
        ],
        parts: byte_parts,
        details: byte_details,
    };
    cost.figure(results)
}

/// CPU time by step.
pub(super) fn cpu(results: &Results) -> Figure {
    let cost = Cost {
        id: "cpu",
        title: "CPU time per handshake, by step",
        unit: "µs",
        over: "both sides together, in the handshakes that are broken down",
        names: &[
            "signing",
            "verifying: chain or cosignatures",
            "verifying: hashes of the proof",
            "verifying: the rest",
            "key exchange, records and the rest",
        ],
        parts: cpu_parts,
        details: cpu_details,
    };
    cost.figure(results)
}

/// A cost in named parts.
struct Cost {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    /// What the sums are over.
    over: &'static str,
    /// The parts of a bar.
    names: &'static [&'static str],
    /// A value for each name; none where the cost was not broken down.
    parts: fn(&VariantResult) -> Option<Vec<f64>>,
    /// Names and values of the table, finer than the bar, always the same names.
    details: fn(&VariantResult) -> Vec<(String, f64)>,
}

fn byte_parts(variant: &VariantResult) -> Option<Vec<f64>> {
    let [client, server] =
        [&variant.handshake.client, &variant.handshake.server].map(|side| &side.bytes_by_message);
    if client.is_empty() || server.is_empty() {
        return None;
    }
    let mut parts = vec![
        of(client, "client_hello"),
        of(server, "server_hello"),
        of(server, "certificate"),
        of(client, "certificate"),
        of(server, "certificate_verify"),
        of(client, "certificate_verify"),
    ];
    let all: f64 = client.values().chain(server.values()).sum();
    parts.push((all - parts.iter().sum::<f64>()).max(0.0));
    Some(parts)
}

fn byte_details(variant: &VariantResult) -> Vec<(String, f64)> {
    let messages = MessageBytes::default().parts().map(|(name, _)| name);
    let side = |side, bytes: &BTreeMap<String, f64>| {
        messages
            .map(|name| (format!("{side} {name}"), of(bytes, name)))
            .into_iter()
    };
    let [client, server] = [&variant.handshake.client, &variant.handshake.server];
    side("client", &client.bytes_by_message)
        .chain(side("server", &server.bytes_by_message))
        .collect()
}

fn cpu_parts(variant: &VariantResult) -> Option<Vec<f64>> {
    let sides = [
        variant.handshake.client.cpu.as_ref()?,
        variant.handshake.server.cpu.as_ref()?,
    ];
    let both = |part: fn(&CpuSplit) -> f64| sides.iter().map(|side| part(side)).sum::<f64>();
    let signatures =
        both(|side| of(&side.verify_steps_us, "chain") + of(&side.verify_steps_us, "cosignatures"));
    let hashes = both(|side| {
        of(&side.verify_steps_us, "entry_hash") + of(&side.verify_steps_us, "inclusion_path")
    });
    Some(vec![
        both(|side| side.sign_us),
        signatures,
        hashes,
        (both(|side| side.verify_us) - signatures - hashes).max(0.0),
        both(|side| side.other_us),
    ])
}

fn cpu_details(variant: &VariantResult) -> Vec<(String, f64)> {
    let steps = VerifySteps::default().parts().map(|(name, _)| name);
    let side = |side: &str, result: &SideResult| {
        let cpu = result.cpu.as_ref();
        let value = |of: fn(&CpuSplit) -> f64| cpu.map_or(0.0, of);
        let step = |name| cpu.map_or(0.0, |cpu| of(&cpu.verify_steps_us, name));
        let mut details = vec![(format!("{side} sign"), value(|cpu| cpu.sign_us))];
        details.extend(steps.map(|name| (format!("{side} verify {name}"), step(name))));
        details.push((format!("{side} other"), value(|cpu| cpu.other_us)));
        details
    };
    let mut details = side("client", &variant.handshake.client);
    details.extend(side("server", &variant.handshake.server));
    details
}

fn of(parts: &BTreeMap<String, f64>, name: &str) -> f64 {
    parts.get(name).copied().unwrap_or_default()
}

impl Cost {
    fn figure(&self, results: &Results) -> Figure {
        let base = results.variants.first().and_then(|first| self.sum(first));
        let bar = |variant: &VariantResult| {
            let sum = self.sum(variant);
            Bar {
                label: variant.name.clone(),
                parts: (self.parts)(variant).unwrap_or_default(),
                total: format!("{} {} ({})", whole(sum), self.unit, times(ratio(sum, base))),
            }
        };
        let drawn: Vec<Bar> = results.variants.iter().map(bar).collect();
        Figure {
            caption: Caption {
                id: self.id.to_owned(),
                title: self.title.to_owned(),
                sentence: self.sentence(results),
            },
            chart: bars(self.names, &drawn),
            data: self.data(results),
        }
    }

    /// Every detail that any variant has.
    fn data(&self, results: &Results) -> Data {
        let details: Vec<_> = results.variants.iter().map(self.details).collect();
        let columns = details.first().map_or(0, Vec::len);
        let used: Vec<usize> = (0..columns)
            .filter(|column| details.iter().any(|row| row[*column].1 > 0.0))
            .collect();
        let names = used
            .iter()
            .map(|column| format!("{}, {}", details[0][*column].0, self.unit));
        let head = std::iter::once("variant".to_owned())
            .chain(names)
            .chain([format!("sum, {}", self.unit)]);
        let rows = results.variants.iter().zip(&details);
        let row = |(variant, details): (&VariantResult, &Vec<(String, f64)>)| {
            let sum = self.sum(variant);
            let cell = |column: &usize| whole(sum.map(|_| details[*column].1));
            std::iter::once(variant.name.clone())
                .chain(used.iter().map(cell))
                .chain([whole(sum)])
                .collect()
        };
        Data {
            head: head.collect(),
            rows: rows.map(row).collect(),
        }
    }

    fn sum(&self, variant: &VariantResult) -> Option<f64> {
        Some((self.parts)(variant)?.iter().sum())
    }

    fn sentence(&self, results: &Results) -> String {
        let unit = self.unit;
        between(
            results,
            |variant| self.sum(variant),
            |value| format!("{} {unit}", whole(Some(value))),
            self.over,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::quick;

    #[test]
    fn the_parts_of_a_bar_are_all_of_the_cost() {
        for variant in &quick().variants {
            let parts = byte_parts(variant).expect("bytes were attributed");
            let sum: f64 = parts.iter().sum();
            assert_eq!(Some(sum), variant.bytes());
            let details: f64 = byte_details(variant).iter().map(|(_, of)| of).sum();
            assert!((details - sum).abs() < 0.5, "{details} of {sum}");
            let parts = cpu_parts(variant).expect("handshakes were sampled");
            let sum: f64 = parts.iter().sum();
            assert!(
                (sum - variant.cpu_us().unwrap_or_default()).abs() < 0.5,
                "{sum}"
            );
        }
    }

    #[test]
    fn the_hello_of_a_side_is_its_own() {
        let parts = byte_parts(&quick().variants[4]).expect("bytes were attributed");
        assert_eq!(
            parts,
            [1_446.0, 1_446.0, 2_582.0, 2_582.0, 3_317.0, 3_317.0, 170.0]
        );
    }

    #[test]
    fn what_was_not_broken_down_is_not_made_up() {
        let mut results = quick();
        results.variants[1]
            .handshake
            .server
            .bytes_by_message
            .clear();
        results.variants[1].handshake.client.cpu = None;
        let figure = bytes(&results);
        assert_eq!(figure.data.rows[1].last().map(String::as_str), Some("–"));
        assert!(figure.caption.sentence.contains("mtc-standalone"));
        assert_eq!(cpu(&results).data.rows[1][1], "–");
    }
}
