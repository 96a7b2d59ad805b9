//! What a certificate says, as far as it alone tells, and the chain that lies behind it.

use mtc_core::ca::CaCertificate;
use mtc_core::hex;
use mtc_core::oid;
use mtc_core::printable::printable;
use mtc_core::time::UnixTime;
use mtc_core::x509::{self, Certificate};
use mtc_tools::inspect::{Inspection, Kind};

use crate::algorithm::Algorithm;
use crate::model::{CertificateEntry, Chain, Place, Renewal, Role};

/// Certificates in a chain.
const MAX_CHAIN: usize = 10;
const SECONDS_PER_DAY: i64 = 86_400;

/// Describes a certificate that parses. `scheduled` is when its issuer's agent says that it renews it.
pub(crate) fn describe(
    fingerprint: &[u8],
    der: &[u8],
    scheduled: Option<UnixTime>,
    now: UnixTime,
) -> CertificateEntry {
    let certificate = Certificate::parse(der).expect("only what parses is added");
    let inspection = Inspection::of(der).expect("it reads what `Certificate` reads");
    let statement = &certificate.statement;
    let (key, signature) = algorithms(&certificate, &inspection);
    let left = i128::from(statement.not_after.0) - i128::from(now.0);
    let quantum_vulnerable = key.quantum.is_exposed() || signature.quantum.is_exposed();
    let mut remarks = inspection.faults;
    remarks.extend(key.weakness());
    // Nobody checks the signature of a root.
    if statement.subject != statement.issuer {
        remarks.extend(signature.weakness());
    }
    CertificateEntry {
        fingerprint: hex::encode(fingerprint),
        kind: kind(inspection.kind).to_owned(),
        role: role(&certificate, inspection.kind),
        subject: inspection.subject,
        issuer: inspection.issuer,
        serial: inspection.serial_hex,
        alternative_names: inspection
            .alternative_names
            .iter()
            .map(ToString::to_string)
            .collect(),
        nf_types: inspection
            .nf_types
            .iter()
            .map(|kind| printable(kind))
            .collect(),
        key,
        signature,
        quantum_vulnerable,
        bytes: der.len(),
        chain: Chain::default(),
        not_before: inspection.not_before,
        not_after: inspection.not_after,
        days_left: i64::try_from(left.div_euclid(SECONDS_PER_DAY.into())).unwrap_or(i64::MAX),
        renewal: renewal(statement.not_before, statement.not_after, scheduled, now),
        places: Vec::new(),
        private_keys: Vec::new(),
        same_key: Vec::new(),
        remarks,
    }
}

/// For each certificate of a place, the chain that begins with it: each is the issuer of the one before it.
pub(crate) fn chains(certificates: &[(Place, Vec<u8>)]) -> Vec<Chain> {
    let names: Vec<_> = certificates
        .iter()
        .map(|(_, der)| {
            Certificate::parse(der)
                .ok()
                .map(|parsed| (parsed.statement.issuer, parsed.statement.subject))
        })
        .collect();
    let chain = |start: usize| {
        let mut chain = Chain {
            certificates: 1,
            bytes: certificates[start].1.len(),
        };
        for next in start + 1..certificates.len().min(start + MAX_CHAIN) {
            let (Some((issuer, subject)), Some((_, above))) = (names[next - 1], names[next]) else {
                break;
            };
            if issuer == subject || issuer != above {
                break;
            }
            chain.certificates += 1;
            chain.bytes += certificates[next].1.len();
        }
        chain
    };
    (0..certificates.len()).map(chain).collect()
}

fn algorithms(certificate: &Certificate<'_>, inspection: &Inspection) -> (Algorithm, Algorithm) {
    let key = Algorithm::of_key(certificate.spki);
    let signature = match inspection.kind {
        Kind::Standalone | Kind::LandmarkRelative => {
            let cosigners = inspection.mtc.iter().flat_map(|mtc| &mtc.cosigners);
            Algorithm::of_proof(
                &cosigners
                    .map(|cosigner| cosigner.signature_bytes)
                    .collect::<Vec<_>>(),
            )
        }
        _ => Algorithm::of_signature(certificate.signature_algorithm),
    };
    (key, signature)
}

fn role(certificate: &Certificate<'_>, kind: Kind) -> Role {
    let constraints = certificate.statement.extension(oid::BASIC_CONSTRAINTS);
    let is_ca = match constraints {
        Some(constraints) => x509::is_ca(constraints.value).unwrap_or_default(),
        // Before version 3 nothing said it; a certificate for itself is a root's.
        None => {
            certificate.statement.extensions.is_empty()
                && certificate.statement.subject == certificate.statement.issuer
        }
    };
    if is_ca || kind == Kind::Mtca || CaCertificate::parse(certificate.whole).is_ok() {
        Role::Authority
    } else {
        Role::Leaf
    }
}

/// As `mtc5g cert inspect --json` has them.
const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Standalone => "standalone",
        Kind::LandmarkRelative => "landmark-relative",
        Kind::MalformedMtc => "malformed-mtc",
        Kind::Mtca => "mtca",
        Kind::DirectlySigned => "directly-signed",
    }
}

/// When its agent says; without one, two thirds into the lifetime.
fn renewal(
    not_before: UnixTime,
    not_after: UnixTime,
    scheduled: Option<UnixTime>,
    now: UnixTime,
) -> Renewal {
    let lifetime = not_after.0.saturating_sub(not_before.0);
    let two_thirds = UnixTime(not_before.0.saturating_add(lifetime - lifetime / 3)).min(not_after);
    let date = scheduled.unwrap_or(two_thirds);
    Renewal {
        date: date.to_string(),
        due: date <= now,
        rule: if scheduled.is_some() {
            "cert-manager"
        } else {
            "two-thirds"
        }
        .to_owned(),
    }
}
