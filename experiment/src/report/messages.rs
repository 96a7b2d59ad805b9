//! What a handshake's bytes consist of, in the parts that a migration changes one by one.

use std::collections::BTreeMap;

use super::numbers::whole;
use crate::results::VariantResult;

/// Mean bytes of both sides by what they are for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Messages {
    /// ClientHello, HelloRetryRequest, ServerHello: the key exchange is in them.
    pub(super) hellos: f64,
    /// Certificate: the keys, and what vouches for them.
    pub(super) certificate: f64,
    /// CertificateVerify: the keys' signatures over the handshake.
    pub(super) certificate_verify: f64,
    /// Everything else, record headers included.
    pub(super) rest: f64,
}

impl Messages {
    /// Those of a variant; none where bytes of a side belong to no known message.
    pub(super) fn of(variant: &VariantResult) -> Option<Self> {
        let sides = [&variant.handshake.client, &variant.handshake.server]
            .map(|side| &side.bytes_by_message);
        if sides.iter().any(|side| side.is_empty()) {
            return None;
        }
        let both = |names: &[&str]| -> f64 {
            let of = |side: &&BTreeMap<String, f64>| -> f64 {
                names.iter().filter_map(|name| side.get(*name)).sum()
            };
            sides.iter().map(of).sum()
        };
        let hellos = both(&["client_hello", "hello_retry_request", "server_hello"]);
        let certificate = both(&["certificate", "certificate_status"]);
        let certificate_verify = both(&["certificate_verify"]);
        let all: f64 = sides.iter().flat_map(|side| side.values()).sum();
        Some(Self {
            hellos,
            certificate,
            certificate_verify,
            rest: (all - hellos - certificate - certificate_verify).max(0.0),
        })
    }

    /// All of them, the largest first: `9,000 are Certificate, 6,634 CertificateVerify, 2,892 the hellos and 170 the rest`.
    pub(super) fn in_words(&self) -> String {
        let mut parts = [
            (self.certificate, "Certificate"),
            (self.certificate_verify, "CertificateVerify"),
            (self.hellos, "the hellos"),
        ];
        parts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let [(first, name), others @ ..] = parts;
        let others = others.map(|(bytes, name)| format!("{} {name}", whole(Some(bytes))));
        format!(
            "{} are {name}, {} and {} the rest",
            whole(Some(first)),
            others.join(", "),
            whole(Some(self.rest))
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample::quick;

    #[test]
    fn the_parts_are_all_of_a_handshake() {
        let variant = &quick().variants[4];
        let messages = Messages::of(variant).expect("bytes were attributed");
        let Messages {
            hellos,
            certificate,
            certificate_verify,
            rest,
        } = messages;
        assert_eq!(
            Some(hellos + certificate + certificate_verify + rest),
            variant.bytes()
        );
        assert_eq!(
            messages.in_words(),
            "6,634 are CertificateVerify, 5,164 Certificate, 2,892 the hellos and 170 the rest"
        );
    }

    #[test]
    fn bytes_of_unknown_messages_are_no_parts() {
        let mut variant = quick().variants[4].clone();
        variant.handshake.server.bytes_by_message.clear();
        assert_eq!(Messages::of(&variant), None);
    }
}
