//! `[[variant]]`: the ways of authenticating both ends of a connection that a scenario compares.
//!
//! ```text
//!  auth, chain, ca_signature, revocation ─┐
//!  auth, cosigners, landmarks ┴─> TrustDomain ────┐
//!  leaf_key, key_exchange, tickets, token, grease ┤
//!  load.via ──────────────────────────────────────┴─> ConnectionProfile    what both ends do
//!  auth, landmarks ────────────────────────────────────> the kind of certificate that must be served
//! ```

use mtc_tls::key::{Intermediates, KeyAlgorithm, X509Profile, X509Revocation};
use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;

use super::MAX_NAME;
use super::reader::{self, Reader, Table, choice, list, text};
use super::upgraded::Upgraded;

/// As many as a chart can tell apart by colour and dash.
pub(super) const MAX_VARIANTS: usize = 12;
const KEYS: &[&str] = &[
    "name",
    "auth",
    "chain",
    "ca_signature",
    "revocation",
    "leaf_key",
    "key_exchange",
    "cosigners",
    "landmarks",
    "tickets",
    "token",
    "grease",
];

/// One `[[variant]]`: a way of authenticating both ends of every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// `name`, unique in the scenario.
    pub name: String,
    /// `auth`.
    pub auth: CertificateKind,
    /// `auth` and what belongs to it. `x509` has `chain`, the number of intermediates sent with the leaf (0 to 2, default
    /// 1), `ca_signature`, the algorithm of root and intermediates (default the variant's `leaf_key`), and `revocation`, how peers learn
    /// that a certificate was revoked: `none` (default), `crl` or `ocsp-stapled`. The mtc kinds can have `revocation = "ranges"`, which is
    /// what they do anyway: whoever verifies one looks at the revoked ranges (Section 7.5). `mtc-standalone` has `cosigners`, `mtc-landmark` has `landmarks`.
    pub authentication: TrustDomain,
    /// `leaf_key`: the NFs' own key, which signs CertificateVerify; default `ml-dsa-65`.
    pub leaf_key: KeyAlgorithm,
    /// `key_exchange`: the only group that is offered; default `X25519MLKEM768`.
    pub key_exchange: KeyExchange,
    /// `tickets`: how sessions are resumed; default not at all.
    pub tickets: Tickets,
    /// `token`: what signs the access tokens of its requests; default `es256`, or `none` in a lab without tokens.
    pub tokens: Tokens,
    /// `grease`: whether both ends send trust anchors and cosignatures that nobody knows; default not, and for the mtc kinds only.
    pub grease: bool,
    /// `load.via`: how its requests reach their producers, default directly.
    pub via: Via,
    /// `lab.upgraded`: how many of its network functions have Merkle Tree Certificates, where not all.
    pub upgraded: Option<Upgraded>,
}

impl Variant {
    /// The variant whose connections have this profile, by the profile's name.
    pub fn of(profile: ConnectionProfile) -> Self {
        let ConnectionProfile {
            domain,
            leaf_key,
            key_exchange,
            tickets,
            tokens,
            via,
            grease,
        } = profile;
        Self {
            name: profile.to_string(),
            auth: match domain {
                // What is asked for, not what is served.
                TrustDomain::MtcLandmarkStale => CertificateKind::LandmarkRelative,
                _ => domain.kind(),
            },
            authentication: domain,
            leaf_key,
            key_exchange,
            tickets,
            tokens,
            grease,
            via,
            upgraded: None,
        }
    }

    /// How both ends of this variant's connections authenticate each other.
    pub const fn profile(&self) -> ConnectionProfile {
        let Self {
            name: _,
            auth: _,
            authentication,
            leaf_key,
            key_exchange,
            tickets,
            tokens,
            grease,
            via,
            upgraded: _,
        } = self;
        ConnectionProfile {
            domain: *authentication,
            leaf_key: *leaf_key,
            key_exchange: *key_exchange,
            tickets: *tickets,
            tokens: *tokens,
            via: *via,
            grease: *grease,
        }
    }

    /// How peers learn that a certificate was revoked: `none`, `crl` or `ocsp-stapled`, and `ranges` of the mtc kinds.
    pub const fn revocation(&self) -> &'static str {
        match self.authentication {
            TrustDomain::X509(profile) => profile.revocation.as_str(),
            _ => RANGES,
        }
    }

    /// The kind of certificate that must be served: that of `auth`, except where landmarks are stale by intent.
    pub const fn expected_kind(&self) -> CertificateKind {
        self.authentication.kind()
    }
}

/// Reads the variants of a lab with or without access tokens.
pub(super) fn read(
    reader: &mut Reader<'_>,
    root: &Table<'_>,
    has_tokens: bool,
) -> Option<Vec<Variant>> {
    let tables = reader.sections(root, "variant", 1..=MAX_VARIANTS, KEYS)?;
    for table in tables.iter().filter(|_| !has_tokens) {
        let rule = "is for labs with access tokens: [lab] has tokens = false";
        reader.refuse(table, "token", rule);
    }
    let read: Vec<Option<Variant>> = tables
        .iter()
        .map(|table| read_variant(reader, table))
        .collect();
    for (later, variant) in read.iter().enumerate() {
        for (earlier, other) in read[..later].iter().enumerate() {
            if let (Some(variant), Some(other)) = (variant, other) {
                check_distinct(reader, &tables[later], variant, earlier, other);
            }
        }
    }
    read.into_iter().collect()
}

fn check_distinct(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    variant: &Variant,
    earlier: usize,
    other: &Variant,
) {
    if variant.name == other.name {
        reader.fault_at(
            table,
            "name",
            format!(
                "{:?} is already the name of variant[{earlier}]",
                variant.name
            ),
            None,
        );
    }
    if variant.profile() == other.profile() {
        let rule = format!(
            "is the same as variant[{earlier}] in all but name: the servers could not tell their figures apart"
        );
        reader.fault_at(table, "auth", rule, None);
    }
}

fn read_variant(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<Variant> {
    let name = reader.required(table, "name", reader::name(MAX_NAME));
    let auth = reader.required(
        table,
        "auth",
        choice(&CertificateKind::ALL.map(|kind| (kind.as_str(), kind))),
    );
    let leaf_key = reader.optional(table, "leaf_key", KeyAlgorithm::MlDsa65, key_algorithm);
    let key_exchange = reader.optional(
        table,
        "key_exchange",
        KeyExchange::X25519MlKem768,
        choice(&KeyExchange::ALL.map(|group| (group.as_str(), group))),
    );
    let tickets = reader.optional(
        table,
        "tickets",
        Tickets::None,
        choice(&Tickets::ALL.map(|tickets| (tickets.as_str(), tickets))),
    );
    let tokens = reader.optional(
        table,
        "token",
        Tokens::default(),
        choice(&Tokens::ALL.map(|tokens| (tokens.as_str(), tokens))),
    );
    let grease = reader.optional(table, "grease", false, reader::truth);
    let authentication = auth.and_then(|auth| {
        refuse_foreign_keys(reader, table, auth);
        if auth != CertificateKind::DirectlySigned {
            check_ranges(reader, table);
        }
        match auth {
            CertificateKind::DirectlySigned => read_x509(reader, table, leaf_key),
            CertificateKind::Standalone => read_cosigners(reader, table),
            CertificateKind::LandmarkRelative => read_landmarks(reader, table),
        }
    });
    Some(Variant {
        name: name?,
        auth: auth?,
        authentication: authentication?,
        leaf_key: leaf_key?,
        key_exchange: key_exchange?,
        tickets: tickets?,
        tokens: tokens?,
        grease: grease?,
        via: Via::Direct,
        upgraded: None,
    })
}

/// Each of `variants` by each of the `ways` of `load`, those of a variant behind each other. Where there are several ways, those
/// through the SCP are parts of the names: `mtc-landmark`, `mtc-landmark-scp-c`.
pub(super) fn by(
    reader: &mut Reader<'_>,
    load: &Table<'_>,
    variants: Vec<Variant>,
    ways: &[Via],
) -> Option<Vec<Variant>> {
    let count = variants.len() * ways.len();
    let is_named_twice = |(at, of): (usize, &Variant)| {
        let mut before = variants[..at].iter();
        before.any(|other| other.name == of.name)
    };
    if variants.iter().enumerate().any(is_named_twice) {
        // Which is a fault already.
        return Some(variants);
    }
    if count > MAX_VARIANTS {
        let rule = format!("makes {count} variants; a scenario has at most {MAX_VARIANTS}");
        reader.fault_at(load, "via", rule, None);
        return None;
    }
    let mut all: Vec<Variant> = Vec::with_capacity(count);
    for variant in variants {
        for &via in ways {
            let name = match via {
                Via::ScpC | Via::ScpD if ways.len() > 1 => format!("{}-{via}", variant.name),
                _ => variant.name.clone(),
            };
            let is_taken = all.iter().any(|other| other.name == name);
            if is_taken || name.len() > MAX_NAME {
                let what = if is_taken {
                    "twice"
                } else {
                    "which is too long"
                };
                reader.fault_at(
                    load,
                    "via",
                    format!("names a variant {name:?}, {what}"),
                    None,
                );
                return None;
            }
            all.push(Variant {
                name,
                via,
                ..variant.clone()
            });
        }
    }
    Some(all)
}

/// Names the keys that belong to other kinds of certificate.
fn refuse_foreign_keys(reader: &mut Reader<'_>, table: &Table<'_>, auth: CertificateKind) {
    let rules: &[(&str, &str)] = match auth {
        CertificateKind::DirectlySigned => &[
            (
                "cosigners",
                "is for the mtc kinds only: an X.509 certificate has no cosignatures",
            ),
            (
                "landmarks",
                "is for auth = \"mtc-landmark\" only: nobody needs landmarks for X.509",
            ),
            (
                "grease",
                "is for the mtc kinds only: an X.509 certificate has no cosignatures",
            ),
        ],
        CertificateKind::Standalone => &[
            CHAIN_OF_MTC,
            CA_SIGNATURE_OF_MTC,
            (
                "landmarks",
                "is for auth = \"mtc-landmark\" only: a standalone certificate needs no landmark",
            ),
        ],
        CertificateKind::LandmarkRelative => &[CHAIN_OF_MTC, CA_SIGNATURE_OF_MTC],
    };
    for (key, rule) in rules {
        reader.refuse(table, key, rule);
    }
}

const CHAIN_OF_MTC: (&str, &str) = (
    "chain",
    "is for auth = \"x509\" only: a Merkle Tree Certificate has no chain",
);
const CA_SIGNATURE_OF_MTC: (&str, &str) = (
    "ca_signature",
    "is for auth = \"x509\" only: the MTCA's cosigner key is the lab's",
);

/// How peers learn that a certificate was revoked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Revocation {
    OfX509(X509Revocation),
    Ranges,
}

const REVOCATION: [(&str, Revocation); 4] = [
    (
        X509Revocation::None.as_str(),
        Revocation::OfX509(X509Revocation::None),
    ),
    (
        X509Revocation::Crl.as_str(),
        Revocation::OfX509(X509Revocation::Crl),
    ),
    (
        X509Revocation::OcspStapled.as_str(),
        Revocation::OfX509(X509Revocation::OcspStapled),
    ),
    (RANGES, Revocation::Ranges),
];

/// What verifiers of Merkle Tree Certificates look at.
pub(crate) const RANGES: &str = "ranges";

/// Refuses every way but the one that Merkle Tree Certificates have.
fn check_ranges(reader: &mut Reader<'_>, table: &Table<'_>) {
    let ranges = Revocation::Ranges;
    let read = reader.optional(table, "revocation", ranges, |value| {
        match choice(&REVOCATION)(value)? {
            Revocation::Ranges => Ok(ranges),
            Revocation::OfX509(X509Revocation::None) => Err(reader::Refusal::new(
                "is \"none\", which is for auth = \"x509\" only: whoever verifies a Merkle Tree Certificate looks at the revoked ranges, of which \
                 there may be none",
            )
            .hint("leave it out, or write \"ranges\"")),
            Revocation::OfX509(_) => Err(reader::Refusal::new(
                "is for auth = \"x509\" only: Merkle Tree Certificates are revoked by ranges of serial numbers",
            )
            .hint("leave it out, or write \"ranges\"")),
        }
    });
    // What was refused is a fault already.
    let _ = read;
}

fn key_algorithm(value: &toml::de::DeValue<'_>) -> Result<KeyAlgorithm, reader::Refusal> {
    choice(&KeyAlgorithm::ALL.map(|algorithm| (algorithm.as_str(), algorithm)))(value)
}

fn read_x509(
    reader: &mut Reader<'_>,
    table: &Table<'_>,
    leaf_key: Option<KeyAlgorithm>,
) -> Option<TrustDomain> {
    let intermediates = reader.optional(table, "chain", Intermediates::One, |value| {
        let count = reader::integer(0..=2)(value)?;
        Ok(Intermediates::ALL
            .into_iter()
            .find(|chain| u64::from(chain.count()) == count)
            .expect("there is one of each length up to two"))
    });
    let ca_signature = match leaf_key {
        Some(default) => reader.optional(table, "ca_signature", default, key_algorithm),
        None => reader
            .optional(table, "ca_signature", KeyAlgorithm::MlDsa65, key_algorithm)
            .and(None),
    };
    let revocation =
        reader.optional(
            table,
            "revocation",
            X509Revocation::None,
            |value| {
                match choice(&REVOCATION)(value)? {
            Revocation::OfX509(way) => Ok(way),
            Revocation::Ranges => Err(reader::Refusal::new(
                "is \"ranges\", which is for the mtc kinds only: an X.509 CA has no revoked ranges",
            )
            .hint("write \"crl\", \"ocsp-stapled\" or \"none\"")),
        }
            },
        );
    Some(TrustDomain::X509(X509Profile {
        revocation: revocation?,
        ca_signature: ca_signature?,
        intermediates: intermediates?,
    }))
}

/// Whose cosignatures relying parties ask for and certificates carry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cosigners {
    CaAndWitness,
    CaAlone,
}

fn cosigners(value: &toml::de::DeValue<'_>) -> Result<Cosigners, reader::Refusal> {
    let names = list(value, text(MAX_NAME))?;
    let mut sorted: Vec<&str> = names.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    match sorted[..] {
        ["ca", "witness"] => Ok(Cosigners::CaAndWitness),
        ["ca"] => Ok(Cosigners::CaAlone),
        _ => Err(reader::Refusal::new(
            "is not a set of cosigners that a lab has: the CA, which always signs, and one witness",
        )
        .hint("write [\"ca\", \"witness\"] or [\"ca\"]")),
    }
}

fn read_cosigners(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<TrustDomain> {
    let cosigners = reader.optional(table, "cosigners", Cosigners::CaAndWitness, cosigners)?;
    Some(match cosigners {
        Cosigners::CaAndWitness => TrustDomain::MtcStandalone,
        Cosigners::CaAlone => TrustDomain::MtcStandaloneCa,
    })
}

fn read_landmarks(reader: &mut Reader<'_>, table: &Table<'_>) -> Option<TrustDomain> {
    let cosigners = reader.optional(table, "cosigners", Cosigners::CaAndWitness, cosigners);
    let domain = reader.optional(
        table,
        "landmarks",
        TrustDomain::MtcLandmark,
        choice(&[
            ("fresh", TrustDomain::MtcLandmark),
            ("stale", TrustDomain::MtcLandmarkStale),
        ]),
    );
    if cosigners == Some(Cosigners::CaAlone) {
        let rule = "is for auth = \"mtc-standalone\" only: a landmark-relative certificate has no cosignatures";
        reader.fault_at(table, "cosigners", rule, None);
    }
    domain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, ScenarioFaults};

    fn parse(keys: &str) -> Result<Variant, String> {
        let text = format!(
            "[scenario]\nname = \"a\"\n[lab]\n[[variant]]\nname = \"v\"\n{keys}\n[load]\noperation = \"handshake\"\n\
             stages = [{{ rate = 1, duration = \"1s\" }}]\n"
        );
        match Scenario::parse(&text) {
            Ok(scenario) => Ok(scenario.variants[0].clone()),
            Err(ScenarioFaults(faults)) => Err(faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")),
        }
    }

    #[test]
    fn auth_and_what_belongs_to_it_choose_the_trust_domain_and_what_must_be_served() {
        use CertificateKind::{DirectlySigned, LandmarkRelative, Standalone};
        for (keys, domain, kind) in [
            ("auth = \"mtc-landmark\"", "mtc-landmark", LandmarkRelative),
            (
                "auth = \"mtc-landmark\"\nlandmarks = \"fresh\"\ncosigners = [\"witness\", \"ca\"]",
                "mtc-landmark",
                LandmarkRelative,
            ),
            (
                "auth = \"mtc-landmark\"\nlandmarks = \"stale\"",
                "mtc-landmark-stale",
                Standalone,
            ),
            ("auth = \"mtc-standalone\"", "mtc-standalone", Standalone),
            (
                "auth = \"mtc-standalone\"\ncosigners = [\"ca\", \"witness\"]",
                "mtc-standalone",
                Standalone,
            ),
            (
                "auth = \"mtc-standalone\"\ncosigners = [\"ca\"]",
                "mtc-standalone-ca",
                Standalone,
            ),
            (
                "auth = \"x509\"\nchain = 0\nca_signature = \"ml-dsa-87\"",
                "x509-ml-dsa-87-direct",
                DirectlySigned,
            ),
            (
                "auth = \"x509\"\nleaf_key = \"ecdsa-p384\"",
                "x509-ecdsa-p384-intermediate",
                DirectlySigned,
            ),
            (
                "auth = \"x509\"\nchain = 2",
                "x509-ml-dsa-65-two-intermediates",
                DirectlySigned,
            ),
            (
                "auth = \"x509\"\nrevocation = \"none\"",
                "x509-ml-dsa-65-intermediate",
                DirectlySigned,
            ),
            (
                "auth = \"x509\"\nrevocation = \"crl\"",
                "x509-ml-dsa-65-intermediate-crl",
                DirectlySigned,
            ),
            (
                "auth = \"x509\"\nchain = 0\nrevocation = \"ocsp-stapled\"",
                "x509-ml-dsa-65-direct-ocsp",
                DirectlySigned,
            ),
            (
                "auth = \"mtc-landmark\"\nrevocation = \"ranges\"",
                "mtc-landmark",
                LandmarkRelative,
            ),
        ] {
            let variant = parse(keys).unwrap();
            assert_eq!(variant.authentication.to_string(), domain, "{keys}");
            assert_eq!(variant.expected_kind(), kind, "{keys}");
            assert!(
                keys.contains(&format!("auth = \"{}\"", variant.auth)),
                "{keys}"
            );
        }
    }

    #[test]
    fn what_nobody_knows_is_for_merkle_tree_certificates() {
        for auth in ["mtc-standalone", "mtc-landmark"] {
            let variant = parse(&format!("auth = \"{auth}\"\ngrease = true")).unwrap();
            assert!(variant.profile().grease, "{auth}");
            let variant = parse(&format!("auth = \"{auth}\"")).unwrap();
            assert!(!variant.profile().grease, "{auth}");
        }
        let refused = parse("auth = \"x509\"\ngrease = true").unwrap_err();
        assert!(
            refused.contains("grease is for the mtc kinds only"),
            "{refused}"
        );
        let refused = parse("auth = \"mtc-landmark\"\ngrease = \"yes\"").unwrap_err();
        assert!(refused.contains("grease"), "{refused}");
    }

    #[test]
    fn every_group_and_kind_of_ticket_has_its_name() {
        for group in KeyExchange::ALL {
            let keys = format!("auth = \"x509\"\nkey_exchange = \"{group}\"");
            assert_eq!(parse(&keys).unwrap().profile().key_exchange, group);
        }
        for keys in ["", "tickets = \"none\""] {
            let variant = parse(&format!("auth = \"x509\"\n{keys}")).unwrap();
            assert_eq!(variant.profile().tickets, Tickets::None);
        }
        for tickets in [Tickets::Stateful, Tickets::Stateless] {
            let keys = format!("auth = \"x509\"\ntickets = \"{tickets}\"");
            assert_eq!(parse(&keys).unwrap().profile().tickets, tickets);
        }
    }

    #[test]
    fn tokens_are_of_es256_unless_the_variant_says_otherwise() {
        for (keys, tokens) in [
            ("", Tokens::Es256),
            ("token = \"es256\"", Tokens::Es256),
            ("token = \"ml-dsa-44\"", Tokens::MlDsa44),
            ("token = \"ml-dsa-65\"", Tokens::MlDsa65),
            ("token = \"none\"", Tokens::None),
        ] {
            let variant = parse(&format!("auth = \"x509\"\n{keys}")).unwrap();
            assert_eq!(variant.profile().tokens, tokens, "{keys}");
        }
    }

    fn by_ways(names: &[&str], ways: &str) -> Result<Vec<(String, String)>, String> {
        let variants = names.iter().zip(KeyAlgorithm::ALL).map(|(name, key)| {
            format!("[[variant]]\nname = \"{name}\"\nauth = \"x509\"\nleaf_key = \"{key}\"\n")
        });
        let text = format!(
            "[scenario]\nname = \"a\"\n[lab]\n{}[load]\noperation = \"session\"\nvia = {ways}\n\
             stages = [{{ rate = 1, duration = \"1s\" }}]\n",
            variants.collect::<String>()
        );
        let told = |of: &Variant| (of.name.clone(), of.profile().via.to_string());
        match Scenario::parse(&text) {
            Ok(scenario) => Ok(scenario.variants.iter().map(told).collect()),
            Err(ScenarioFaults(faults)) => Err(faults[0].to_string()),
        }
    }

    #[test]
    fn several_ways_make_a_variant_of_each() {
        let pair = |name: &str, via: &str| (name.to_owned(), via.to_owned());
        assert_eq!(
            by_ways(&["a", "b"], "[\"direct\", \"scp-d\"]"),
            Ok(vec![
                pair("a", "direct"),
                pair("a-scp-d", "scp-d"),
                pair("b", "direct"),
                pair("b-scp-d", "scp-d"),
            ])
        );
        assert_eq!(by_ways(&["a"], "\"scp-c\""), Ok(vec![pair("a", "scp-c")]));
        for (names, fault) in [
            (vec!["a", "b", "c", "d", "e"], "makes 15 variants"),
            (vec!["a", "a-scp-c"], "names a variant \"a-scp-c\", twice"),
            (vec!["abcdefghijklmnopqrstuvwxyz01"], "which is too long"),
        ] {
            let refused = by_ways(&names, "[\"direct\", \"scp-c\", \"scp-d\"]").unwrap_err();
            assert!(refused.contains(fault), "{refused}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_by_key() {
        for (keys, expected) in [
            (
                "auth = \"x509\"\nchain = 3",
                "chain must be from 0 to 2, is 3",
            ),
            (
                "auth = \"x509\"\ncosigners = [\"ca\"]",
                "cosigners is for the mtc kinds only",
            ),
            (
                "auth = \"x509\"\nlandmarks = \"stale\"",
                "landmarks is for auth",
            ),
            ("auth = \"mtc-standalone\"\nchain = 1", "chain is for auth"),
            (
                "auth = \"mtc-standalone\"\nlandmarks = \"fresh\"",
                "landmarks is for auth",
            ),
            (
                "auth = \"mtc-standalone\"\ncosigners = [\"witness\"]",
                "cosigners is not a set of cosigners",
            ),
            (
                "auth = \"mtc-standalone\"\ncosigners = [\"ca\", \"ca\"]",
                "cosigners is not a set of cosigners",
            ),
            (
                "auth = \"mtc-landmark\"\nca_signature = \"ed25519\"",
                "ca_signature is for auth",
            ),
            (
                "auth = \"mtc-landmark\"\ncosigners = [\"ca\"]",
                "cosigners is for auth",
            ),
            (
                "auth = \"x509\"\nrevocation = \"ranges\"",
                "revocation is \"ranges\", which is for the mtc kinds only",
            ),
            (
                "auth = \"mtc-standalone\"\nrevocation = \"crl\"",
                "revocation is for auth = \"x509\" only",
            ),
            (
                "auth = \"mtc-landmark\"\nrevocation = \"none\"",
                "revocation is \"none\", which is for auth = \"x509\" only",
            ),
            (
                "auth = \"x509\"\nrevocation = \"ocsp\"",
                "did you mean \"ocsp-stapled\"?",
            ),
            (
                "auth = \"x509\"\ntickets = \"stateles\"",
                "did you mean \"stateless\"?",
            ),
            (
                "auth = \"x509\"\ntoken = \"es-256\"",
                "did you mean \"es256\"?",
            ),
            (
                "auth = \"x509\"\nkey_exchange = \"x25519\"",
                "did you mean \"X25519\"?",
            ),
        ] {
            let fault = parse(keys).unwrap_err();
            assert!(
                fault.contains(expected) && fault.lines().count() == 1,
                "{keys}: {fault}"
            );
        }
    }
}
