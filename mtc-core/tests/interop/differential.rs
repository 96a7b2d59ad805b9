//! Asks both verifiers the same question, some hundred times or as often as `MTC_CASES` says: random trust, a random
//! certificate, random damage.
//!
//! Both must give the same verdict. Where they may differ is listed in [`damage::ALL`], with the reason and with what
//! mtc-core must say: any other disagreement fails, and so does a listed one that no longer occurs. The choices are the
//! same in every run; what keys and signatures are is not, and verdicts do not depend on it.

use std::collections::BTreeMap;

use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::der;
use mtc_core::id::{EntryIndex, TreeSize, serial};
use mtc_core::tree::Subtree;
use mtc_core::verify::{Basis, PolicyError, Rejection, TrustedSubtree};

use crate::damage::{self, Damage, Surroundings};
use crate::random::Random;
use crate::verifiers::Verifiers;
use crate::{grown, subject_keys};
use test_support::mtca::{Mtca, Signer};
use test_support::parts::Parts;

/// Cases when nobody asks for more.
const USUAL_CASES: u64 = 1500;
/// Log numbers and sizes; the sizes give proofs of 0 to 6 hashes.
const LOGS: [(u64, u64); 3] = [(1, 37), (2, 8), (65535, 1)];

/// CAs of every algorithm with several logs, witnesses of every algorithm, and others who pretend to be them.
struct World {
    cas: Vec<Vec<Mtca>>,
    witnesses: Vec<Signer>,
    impostors: Vec<Signer>,
}

impl World {
    fn new() -> Self {
        let keys = subject_keys();
        let ca = |(position, algorithm)| -> Vec<Mtca> {
            let first = Mtca::new(&format!("32473.{position}"), 1, algorithm, &[]);
            let log = |(number, size)| grown(first.another_log(number), size, &keys);
            LOGS.map(log).into()
        };
        let witness =
            |(position, algorithm)| Signer::new(&format!("32473.9.{position}"), algorithm);
        let all = || (1..).zip(SignatureAlgorithm::ALL);
        // The same IDs with other algorithms: even the keys that follow from the ID differ.
        let others = || (1..).zip(SignatureAlgorithm::ALL.into_iter().cycle().skip(1));
        let false_ca = |(position, algorithm)| Signer::new(&format!("32473.{position}"), algorithm);
        Self {
            cas: all().map(ca).collect(),
            witnesses: all().map(witness).collect(),
            impostors: others()
                .take(6)
                .map(witness)
                .chain(others().take(6).map(false_ca))
                .collect(),
        }
    }
}

/// A question to both verifiers.
struct Case<'a> {
    mtca: &'a Mtca,
    index: u64,
    subtree: Subtree,
    verifiers: Verifiers,
    parts: Parts,
    done: Vec<&'static Damage>,
}

impl<'a> Case<'a> {
    fn new(world: &'a World, random: &mut Random) -> Self {
        let logs = random.pick(&world.cas);
        let mtca = random.pick(logs);
        let size = mtca.tree.size().0;
        let index = random.below(size);
        let holding: Vec<_> = subtrees(size)
            .filter(|subtree| subtree.contains(EntryIndex(index)))
            .collect();
        let subtree = *random.pick(&holding);

        let mut groups = Vec::new();
        for _ in 0..random.below(3) {
            let members = random.some(&world.witnesses);
            if !members.is_empty() {
                groups.push((random.position(members.len()) + 1, members));
            }
        }
        let mut signers = random.some(&world.witnesses);
        if !random.once_in(3) {
            // Enough for the policy, and the others as chance will have it.
            let needed = groups
                .iter()
                .flat_map(|(required, members)| &members[..*required]);
            signers.extend(needed);
        }
        if !random.once_in(4) {
            signers.push(&mtca.ca);
        }
        signers.sort_by_key(|signer| signer.cosigner.id);
        signers.dedup_by_key(|signer| signer.cosigner.id);
        if random.once_in(3) {
            signers.clear();
        }
        let mut case = Self {
            mtca,
            index,
            subtree,
            verifiers: trust(mtca, logs, index, subtree, random),
            parts: Parts::of(&mtca.certificate(index, subtree, &signers)),
            done: Vec::new(),
        };
        for (required, members) in groups {
            case.verifiers = case.verifiers.require(required, members);
        }
        case
    }

    fn damage(&mut self, world: &World, random: &mut Random) {
        let other_ca = world
            .cas
            .iter()
            .flatten()
            .find(|other| other.log.ca() != self.mtca.log.ca());
        let around = Surroundings {
            mtca: self.mtca,
            other_ca: other_ca.expect("several CAs"),
            index: self.index,
            subtree: self.subtree,
            impostors: &world.impostors,
        };
        let damage = random.pick(damage::ALL);
        (damage.change)(&mut self.parts, random, &around);
        self.done.push(damage);
    }
}

/// The CA's own cosignature, some serial numbers, some subtrees of its logs, rightly or wrongly trusted.
fn trust(
    mtca: &Mtca,
    logs: &[Mtca],
    index: u64,
    subtree: Subtree,
    random: &mut Random,
) -> Verifiers {
    let serial = serial(mtca.log.number(), EntryIndex(index)).expect("below 2^48");
    let admitted = match random.below(10) {
        0 => serial + 1..=u64::MAX - 1,
        1 => 1..=serial - 1,
        2 => serial..=serial,
        3 => mtca.serials(),
        _ => 1..=u64::MAX - 1,
    };
    let mut trusted = BTreeMap::new();
    for log in logs {
        for other in subtrees(log.tree.size().0).filter(|_| random.once_in(8)) {
            trusted.insert((log.log.number(), other), log.trusted(other));
        }
    }
    let key = (mtca.log.number(), subtree);
    match random.below(3) {
        0 => trusted.insert(key, mtca.trusted(subtree)),
        _ => trusted.remove(&key),
    };
    let mut trusted: Vec<TrustedSubtree> = trusted.into_values().collect();
    for subtree in &mut trusted {
        if random.once_in(6) {
            random.flip(&mut subtree.hash);
        }
    }
    let mut verifiers = Verifiers::admitting(mtca, admitted).trusting(&trusted);
    for _ in 0..random.below(3) {
        let first = (serial + random.below(9)).saturating_sub(random.below(9));
        let last = first.saturating_add(random.below(4));
        if !(first..=last).contains(&serial) || random.once_in(3) {
            verifiers = verifiers.revoking(first, last);
        }
    }
    verifiers
}

fn subtrees(size: u64) -> impl Iterator<Item = Subtree> {
    (0..size).flat_map(move |start| {
        (start + 1..=size).filter_map(move |end| Subtree::new(start, end).ok())
    })
}

/// The kinds of verdict, all of which must occur.
fn kind(verdict: &Result<Basis, Rejection>) -> &'static str {
    match verdict {
        Ok(Basis::TrustedSubtree) => "trusted subtree",
        Ok(Basis::Cosignatures) => "cosignatures",
        Ok(Basis::VerifiedSubtree) => panic!("nothing is remembered"),
        Err(Rejection::Malformed(_)) => "malformed",
        Err(Rejection::UnknownIssuer(_)) => "issuer",
        Err(Rejection::Serial(_)) => "serial",
        Err(Rejection::Revoked(_) | Rejection::OutsideRange { .. }) => "revoked",
        Err(Rejection::Inclusion(_)) => "inclusion",
        Err(Rejection::TrustedSubtreeMismatch(_)) => "mismatch",
        Err(Rejection::Policy(PolicyError::NoCaCosignature(_))) => "no cosignature of the CA",
        Err(Rejection::Policy(PolicyError::Invalid(_))) => "invalid cosignature of the CA",
        Err(Rejection::Policy(PolicyError::Quorum { .. })) => "quorum",
        Err(other) => panic!("a verifier does not say {other}"),
    }
}

const KINDS: usize = 11;

/// What mtcs says for the same reason; only undamaged certificates have but one.
fn same_reason(ours: &Rejection, theirs: &mtcs::Error) -> bool {
    match ours {
        Rejection::Revoked(_) | Rejection::OutsideRange { .. } => *theirs == mtcs::Error::Revoked,
        Rejection::TrustedSubtreeMismatch(_) => *theirs == mtcs::Error::ProofEvaluation,
        Rejection::Policy(_) => matches!(theirs, mtcs::Error::PolicyUnsatisfied { .. }),
        _ => false,
    }
}

#[test]
fn random_certificates_get_the_same_verdict_of_both() {
    let cases = match std::env::var("MTC_CASES") {
        Ok(text) => text.parse().expect("MTC_CASES is a number"),
        Err(_) => USUAL_CASES,
    };
    let world = World::new();
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    let mut departures: BTreeMap<&str, u64> = BTreeMap::new();
    for number in 0..cases {
        let mut random = Random::of_case(number);
        let mut case = Case::new(&world, &mut random);
        for _ in 0..*random.pick(&[0, 0, 1, 1, 2]) {
            case.damage(&world, &mut random);
        }
        let mut certificate = case.parts.encode();
        match random.below(40) {
            0 => random.flip(&mut certificate),
            1 => certificate.push(0),
            2 => certificate.truncate(random.position(certificate.len())),
            _ => {}
        }
        let done: Vec<_> = case.done.iter().map(|damage| damage.what).collect();
        let (ours, theirs) = case.verifiers.ask(&certificate);
        *kinds
            .entry(kind(&ours.clone().map(|accepted| accepted.basis)))
            .or_default() += 1;
        match (&ours, &theirs) {
            (Ok(_), Ok(_)) => {
                case.verifiers.accept(&certificate);
            }
            (Err(ours), Err(theirs)) => {
                let whole = certificate == case.parts.encode() && done.is_empty();
                assert!(
                    !whole || same_reason(ours, theirs),
                    "case {number}: {ours} / {theirs}"
                );
            }
            (Err(rejection), Ok(_)) => {
                let known = case.done.iter().find(|damage| {
                    let departure = damage.rejected_by_us_alone.as_ref();
                    departure.is_some_and(|departure| departure.covers(rejection))
                });
                let known = known.unwrap_or_else(|| {
                    panic!("case {number}, {done:?}: mtcs accepts, we say {rejection:?}")
                });
                *departures.entry(known.what).or_default() += 1;
            }
            (Ok(accepted), Err(error)) => {
                panic!("case {number}, {done:?}: we accept {accepted:?}, mtcs says {error:?}");
            }
        }
    }
    eprintln!("{cases} cases: {kinds:?}, rejected by us alone: {departures:?}");
    if cases >= USUAL_CASES {
        assert_eq!(kinds.len(), KINDS, "verdicts that did not occur: {kinds:?}");
        let listed = damage::ALL
            .iter()
            .filter(|damage| damage.rejected_by_us_alone.is_some());
        for damage in listed {
            let reason = damage
                .rejected_by_us_alone
                .as_ref()
                .map(|departure| departure.reason);
            assert!(
                departures.contains_key(damage.what),
                "mtcs has become stricter, or we laxer: {} ({reason:?})",
                damage.what
            );
        }
    }
}

/// ECDSA has two signatures for what was signed once (r, s and r, n - s), and neither verifier asks for the lower s: who
/// needs to tell certificates apart must not go by their bytes.
#[test]
fn the_other_ecdsa_signature_of_the_same_message_is_accepted_by_both() {
    for algorithm in [SignatureAlgorithm::EcdsaP256, SignatureAlgorithm::EcdsaP384] {
        let mtca = grown(Mtca::new("32473.1", 1, algorithm, &[]), 1, &subject_keys());
        let mut parts = Parts::of(&mtca.standalone(0, 0, &[&mtca.ca]));
        let verifiers = Verifiers::of(&mtca);
        verifiers.accept(&parts.encode());
        let signature = &mut parts.cosignatures[0].1;
        let [r, s] = damage::ecdsa_integers(signature).expect("an ECDSA signature");
        let other = damage::ecdsa(&r, &damage::negated(&s));
        assert_ne!(*signature, other);
        *signature = other;
        verifiers.accept(&parts.encode());
    }
}

/// Whether each accepts a certificate whose entry a CA has logged although X.509 forbids it.
struct Oddity {
    what: &'static str,
    change: fn(&mut Parts),
    ours: bool,
    theirs: bool,
    reason: &'static str,
}

/// A CA can log anything; what no certificate can be must not become one by being logged. Both verifiers leave the rest
/// of X.509 to others, and here is where each draws the line.
#[test]
fn what_a_ca_logs_against_x509_is_judged_as_listed() {
    let oddities = [
        Oddity {
            what: "nothing odd",
            change: |_| {},
            ours: true,
            theirs: true,
            reason: "",
        },
        Oddity {
            what: "unique identifiers",
            change: |parts| {
                parts.after_key.splice(..0, [0x81, 2, 0, 1, 0x82, 2, 0, 2]);
            },
            ours: true,
            theirs: true,
            reason: "",
        },
        Oddity {
            what: "no extensions",
            change: |parts| parts.after_key.clear(),
            ours: true,
            theirs: true,
            reason: "",
        },
        Oddity {
            what: "version 1",
            change: |parts| parts.version.clear(),
            ours: false,
            theirs: true,
            reason: "Section 6.2: X.509 v3",
        },
        Oddity {
            what: "version 2",
            change: |parts| parts.version[4] = 1,
            ours: false,
            theirs: true,
            reason: "Section 6.2: X.509 v3",
        },
        Oddity {
            what: "a field behind the extensions",
            change: |parts| parts.after_key.extend([der::NULL, 0]),
            ours: false,
            theirs: true,
            reason: "RFC 5280 section 4.1: a TBSCertificate ends with the extensions",
        },
        Oddity {
            what: "unique identifiers in the wrong order",
            change: |parts| {
                parts.after_key.splice(..0, [0x82, 2, 0, 2, 0x81, 2, 0, 1]);
            },
            ours: false,
            theirs: true,
            reason: "RFC 5280 section 4.1: the issuer's comes first",
        },
        Oddity {
            what: "two subjects",
            change: |parts| parts.subject = parts.subject.repeat(2),
            ours: false,
            theirs: false,
            reason: "",
        },
        Oddity {
            what: "a validity that is no time",
            change: |parts| parts.validity = der::element(der::SEQUENCE, &[]),
            ours: true,
            theirs: false,
            reason: "validity is checked with the rest of X.509, in mtc-tls",
        },
    ];
    let mtca = grown(
        Mtca::new("32473.1", 1, SignatureAlgorithm::Ed25519, &[]),
        1,
        &subject_keys(),
    );
    let only = Subtree::whole(TreeSize(1));
    for Oddity {
        what,
        change,
        ours,
        theirs,
        reason,
    } in oddities
    {
        let mut parts = Parts::of(&mtca.certificate(0, only, &[]));
        change(&mut parts);
        let trusted = TrustedSubtree {
            hash: parts.leaf_hash(),
            ..mtca.trusted(only)
        };
        let verifiers = Verifiers::of(&mtca).trusting(&[trusted]);
        let (by_us, by_mtcs) = verifiers.ask(&parts.encode());
        assert_eq!(by_us.is_ok(), ours, "{what}: {by_us:?}");
        assert_eq!(by_mtcs.is_ok(), theirs, "{what}: {by_mtcs:?}");
        assert_eq!(
            ours != theirs,
            !reason.is_empty(),
            "{what}: a reason for each difference"
        );
    }
}
