//! `[lab] upgraded`: a mixed estate, of which a share has Merkle Tree Certificates and the rest X.509 only.
//!
//! ```text
//!  [lab] upgraded = 0.5 ──> of each type the first half of the instances is upgraded
//!  variants:  x509-mldsa65, leaf key K ──────────────┐
//!             mtc-landmark, leaf key K ──> its domain: landmarks or, with peers that are not upgraded, that X.509
//! ```

use mtc_tls::kind::CertificateKind;
use mtc_tls::profile::{Tickets, TrustDomain, Via};

use super::reader::{Reader, Table};
use super::upgraded::Upgraded;
use super::variant::Variant;

/// Gives variants with landmarks the X.509 of a variant with the same leaf key, for peers that are not upgraded.
pub(super) fn mix(
    reader: &mut Reader<'_>,
    lab: &Table<'_>,
    upgraded: Upgraded,
    variants: Vec<Variant>,
) -> Option<Vec<Variant>> {
    let of_root = |variant: &Variant| match variant.authentication {
        TrustDomain::X509(profile) => Some((profile, variant.leaf_key)),
        _ => None,
    };
    let roots: Vec<_> = variants.iter().filter_map(of_root).collect();
    let mut fault = |rule: String, hint: &str| {
        reader.fault_at(lab, "upgraded", rule, Some(hint.into()));
    };
    let mut mixed = Vec::with_capacity(variants.len());
    let mut is_whole = true;
    for variant in variants {
        if variant.authentication != TrustDomain::MtcLandmark {
            mixed.push(variant);
            continue;
        }
        if variant.tickets != Tickets::None || variant.via != Via::Direct || variant.grease {
            let rule = format!(
                "is not for variants with tickets, grease or a way through the SCP, as {:?}",
                variant.name
            );
            fault(rule, "leave them out of this scenario");
            is_whole = false;
        }
        let Some((profile, _)) = roots.iter().find(|(_, key)| *key == variant.leaf_key) else {
            let rule = format!(
                "leaves {:?} without certificates for the rest",
                variant.name
            );
            fault(
                rule,
                "add a [[variant]] with auth = \"x509\" and the same leaf_key: what network functions have that are not upgraded",
            );
            is_whole = false;
            continue;
        };
        mixed.push(Variant {
            authentication: TrustDomain::MtcLandmarkOr(*profile),
            upgraded: Some(upgraded),
            ..variant
        });
    }
    let has_landmarks = |variant: &Variant| variant.auth == CertificateKind::LandmarkRelative;
    if is_whole && !mixed.iter().any(has_landmarks) {
        let rule = "is for scenarios with a variant of auth = \"mtc-landmark\"".to_owned();
        fault(rule, "remove it: nothing would be upgraded");
        is_whole = false;
    }
    is_whole.then_some(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Scenario, ScenarioFaults};

    fn parse(head: &str, variants: &str) -> Result<Vec<Scenario>, String> {
        let text = format!(
            "[scenario]\nname = \"a\"\n{head}{variants}\n[load]\noperation = \"handshake\"\n\
             stages = [{{ rate = 1, duration = \"1s\" }}]\n"
        );
        Scenario::parse_cells(&text).map_err(|ScenarioFaults(faults)| {
            faults
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })
    }

    const PAIR: &str = "[[variant]]\nname = \"x\"\nauth = \"x509\"\n[[variant]]\nname = \"m\"\nauth = \"mtc-landmark\"\n";

    #[test]
    fn the_share_of_upgraded_instances_can_be_swept() {
        let swept = parse("[lab]\n[sweep]\nupgraded = [0, 0.25, 1]\n", PAIR).unwrap();
        let shares: Vec<_> = swept
            .iter()
            .map(|of| of.lab.upgraded.map(Upgraded::share))
            .collect();
        assert_eq!(shares, [Some(0.0), Some(0.25), Some(1.0)]);
        assert_eq!(swept[1].cell[0].key, "lab.upgraded");
        for scenario in &swept {
            let domain = scenario.variants[1].authentication.to_string();
            assert_eq!(domain, "mtc-landmark-or-x509-ml-dsa-65-intermediate");
            assert_eq!(scenario.variants[0].upgraded, None);
        }
        let plain = parse("[lab]\n", PAIR).unwrap();
        assert_eq!(
            plain[0].variants[1].authentication,
            TrustDomain::MtcLandmark
        );
    }

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        for (head, variants, fault) in [
            (
                "[lab]\nupgraded = 1.5\n",
                PAIR,
                "upgraded must be from 0 to 1",
            ),
            (
                "[lab]\nupgraded = -0.5\n",
                PAIR,
                "upgraded must be from 0 to 1",
            ),
            ("[lab]\nupgraded = nan\n", PAIR, "upgraded"),
            (
                "[lab]\nupgraded = 0.5\n",
                "[[variant]]\nname = \"m\"\nauth = \"mtc-landmark\"\n",
                "without certificates for the rest",
            ),
            (
                "[lab]\nupgraded = 0.5\n",
                "[[variant]]\nname = \"x\"\nauth = \"x509\"\n",
                "is for scenarios with a variant of auth",
            ),
            (
                "[lab]\nupgraded = 0.5\n",
                "[[variant]]\nname = \"x\"\nauth = \"x509\"\n[[variant]]\nname = \"m\"\nauth = \"mtc-landmark\"\ntickets = \"stateful\"\n",
                "is not for variants with tickets",
            ),
        ] {
            let told = parse(head, variants).unwrap_err();
            assert!(told.contains(fault), "{head}: {told}");
        }
    }
}
