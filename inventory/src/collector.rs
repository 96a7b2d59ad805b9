//! Brings together what was found at different places: each certificate once, with its keys, its chain and its uses.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use mtc_core::ca::CaCertificate;
use mtc_core::causes::Causes;
use mtc_core::hex;
use mtc_core::oid;
use mtc_core::time::UnixTime;
use mtc_core::x509::{self, Certificate};
use mtc_tools::inspect::{Inspection, Kind};
use sha2::{Digest as _, Sha256};

use crate::algorithm::Algorithm;
use crate::der_file::request_parts;
use crate::found::{Found, Item};
use crate::model::{
    CertificateEntry, Chain, EndpointEntry, FORMAT, Inventory, KeyEntry, Place, Problem,
    Protection, Renewal, RequestEntry, Role, Summary, UnresolvedReference,
};
use crate::private_key::PrivateKey;

/// Problems that are listed; all are counted.
const MAX_PROBLEMS: usize = 1000;
/// Certificates in a chain.
const MAX_CHAIN: usize = 10;
const SECONDS_PER_DAY: i64 = 86_400;
/// Permissions of group and others to read.
const READ_BY_OTHERS: u32 = 0o044;

/// Where what comes next was found.
pub(crate) struct Origin<'a> {
    /// As it is named to people.
    pub(crate) location: &'a str,
    /// The file itself, past all links; none for what is no file.
    pub(crate) file: Option<&'a Path>,
    /// Whether the location is a link to that file.
    pub(crate) is_link: bool,
    /// Mode of the file.
    pub(crate) mode: Option<u32>,
    /// What its name says that it is for.
    pub(crate) usage: Option<&'static str>,
}

/// A file that a document names.
pub(crate) struct Reference {
    pub(crate) from: Place,
    pub(crate) path: String,
    pub(crate) is_elsewhere: bool,
    pub(crate) usage: Option<String>,
}

type Fingerprint = [u8; 32];

/// All that was found so far.
#[derive(Default)]
pub(crate) struct Collector {
    certificates: BTreeMap<Fingerprint, Held>,
    keys: Vec<HeldKey>,
    requests: Vec<RequestEntry>,
    endpoints: Vec<EndpointEntry>,
    problems: Vec<Problem>,
    problem_count: usize,
    revocation_lists: usize,
    files: usize,
    uses: HashMap<PathBuf, Vec<String>>,
    unresolved: Vec<UnresolvedReference>,
}

struct Held {
    der: Vec<u8>,
    chain: Chain,
    places: Vec<(Place, Option<PathBuf>)>,
}

struct HeldKey {
    place: Place,
    file: Option<PathBuf>,
    mode: Option<u32>,
    key: PrivateKey,
}

impl Collector {
    /// Adds what was found in one file, and returns the files that it names.
    pub(crate) fn add(&mut self, origin: &Origin<'_>, found: Vec<Found>) -> Vec<Reference> {
        let mut references = Vec::new();
        let mut certificates = Vec::new();
        for Found { part, usage, item } in found {
            let mut place = Place::of(origin.location, part);
            place.link_to = origin
                .file
                .filter(|_| origin.is_link)
                .map(|file| shown(file));
            place
                .uses
                .extend(usage.clone().or_else(|| origin.usage.map(str::to_owned)));
            match item {
                Item::Certificate(der) => certificates.push((place, der)),
                Item::PrivateKey(key) => self.keys.push(HeldKey {
                    place,
                    file: origin.file.map(Path::to_owned),
                    mode: origin.mode,
                    key,
                }),
                Item::Request(der) => self.add_request(place, &der),
                Item::RevocationList => self.revocation_lists += 1,
                Item::Reference { path, is_elsewhere } => references.push(Reference {
                    from: place,
                    path,
                    is_elsewhere,
                    usage,
                }),
                Item::Fault(reason) => self.problem(place, reason),
            }
        }
        let chains = chains(&certificates);
        for ((place, der), chain) in certificates.into_iter().zip(chains) {
            self.add_certificate(place, origin.file, der, chain);
        }
        references
    }

    fn add_certificate(&mut self, place: Place, file: Option<&Path>, der: Vec<u8>, chain: Chain) {
        let held = self
            .certificates
            .entry(Sha256::digest(&der).into())
            .or_insert(Held {
                der,
                chain,
                places: Vec::new(),
            });
        held.chain = if chain.certificates > held.chain.certificates {
            chain
        } else {
            held.chain
        };
        held.places.push((place, file.map(Path::to_owned)));
    }

    fn add_request(&mut self, place: Place, der: &[u8]) {
        let Ok((subject, spki)) = request_parts(der) else {
            return;
        };
        self.requests.push(RequestEntry {
            place,
            subject: name(subject),
            key: Algorithm::of_key(spki),
        });
    }

    /// Adds what a port showed: a report without its chain, and the chain.
    pub(crate) fn add_endpoint(&mut self, mut endpoint: EndpointEntry, chain: Vec<Vec<u8>>) {
        let location = endpoint.address.clone();
        if let Some(error) = &endpoint.error {
            self.problem(Place::of(&location, None), error.clone());
        }
        let mut certificates = Vec::new();
        for (index, der) in chain.into_iter().enumerate() {
            let part = (index > 0).then(|| format!("#{}", index + 1));
            let mut place = Place::of(&location, part);
            match Certificate::parse(&der) {
                Ok(_) => {
                    let usage = if index == 0 {
                        "shown by a TLS server"
                    } else {
                        "shown by a TLS server, as an issuer"
                    };
                    place.uses.push(usage.to_owned());
                    endpoint.chain.push(hex::encode(&Sha256::digest(&der)));
                    certificates.push((place, der));
                }
                Err(error) => self.problem(place, format!("not a certificate: {}", Causes(&error))),
            }
        }
        let chains = chains(&certificates);
        for ((place, der), chain) in certificates.into_iter().zip(chains) {
            self.add_certificate(place, None, der, chain);
        }
        self.endpoints.push(endpoint);
    }

    /// Adds what a file is used for.
    pub(crate) fn add_use(&mut self, file: &Path, usage: String) {
        let uses = self.uses.entry(file.to_owned()).or_default();
        if !uses.contains(&usage) {
            uses.push(usage);
        }
    }

    /// A file that is named and not there.
    pub(crate) fn unresolved(&mut self, from: Place, path: &str) {
        let path = mtc_core::printable::printable(path);
        let reference = UnresolvedReference { from, path };
        if !self.unresolved.contains(&reference) && self.unresolved.len() < MAX_PROBLEMS {
            self.unresolved.push(reference);
        }
    }

    /// Counts a file that was read.
    pub(crate) const fn count_file(&mut self) {
        self.files += 1;
    }

    /// Adds what could not be read.
    pub(crate) fn problem(&mut self, place: Place, reason: String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem { place, reason });
        }
    }

    /// The inventory as of `now`.
    pub(crate) fn finish(mut self, now: UnixTime, targets: Vec<String>) -> Inventory {
        let same_key = self.by_key();
        let mut private_keys = std::mem::take(&mut self.keys);
        for key in &mut private_keys {
            add_uses(&mut key.place, key.file.as_deref(), &self.uses);
        }
        let mut certificates: Vec<_> = self
            .certificates
            .iter()
            .map(|(fingerprint, held)| (self.entry(*fingerprint, held, now), held))
            .collect();
        certificates
            .sort_by(|(a, _), (b, _)| (&a.not_after, &a.subject).cmp(&(&b.not_after, &b.subject)));
        let mut places_of_keys: HashMap<&[u8], Vec<String>> = HashMap::new();
        for held in &private_keys {
            if let Some(spki) = &held.key.spki {
                places_of_keys
                    .entry(spki)
                    .or_default()
                    .push(held.place.to_string());
            }
        }
        let mut entries = Vec::with_capacity(certificates.len());
        for (mut entry, held) in certificates {
            let spki = spki(&held.der);
            let same = same_key.get(spki).into_iter().flatten();
            entry.same_key = same
                .filter(|other| **other != entry.fingerprint)
                .cloned()
                .collect();
            entry.private_keys = places_of_keys.get(spki).cloned().unwrap_or_default();
            entries.push(entry);
        }
        let private_keys: Vec<_> = private_keys
            .into_iter()
            .map(|held| key_entry(held, &same_key))
            .collect();
        let summary = self.summary(&entries, &private_keys);
        Inventory {
            format: FORMAT,
            made: now.to_string(),
            targets,
            summary,
            certificates: entries,
            private_keys,
            requests: self.requests,
            endpoints: self.endpoints,
            unresolved_references: self.unresolved,
            problems: self.problems,
        }
    }

    /// Fingerprints of certificates by the key in them.
    fn by_key(&self) -> HashMap<Vec<u8>, Vec<String>> {
        let mut same: HashMap<Vec<u8>, Vec<String>> = HashMap::new();
        for (fingerprint, held) in &self.certificates {
            same.entry(spki(&held.der).to_vec())
                .or_default()
                .push(hex::encode(fingerprint));
        }
        same
    }

    fn entry(&self, fingerprint: Fingerprint, held: &Held, now: UnixTime) -> CertificateEntry {
        let certificate = Certificate::parse(&held.der).expect("only what parses is added");
        let inspection = Inspection::of(&held.der).expect("it reads what `Certificate` reads");
        let statement = &certificate.statement;
        let (key, signature) = algorithms(&certificate, &inspection);
        let places = held.places.iter().map(|(place, file)| {
            let mut place = place.clone();
            add_uses(&mut place, file.as_deref(), &self.uses);
            place
        });
        let left = i128::from(statement.not_after.0) - i128::from(now.0);
        let quantum_vulnerable = key.quantum.is_exposed() || signature.quantum.is_exposed();
        let mut remarks = inspection.faults.clone();
        remarks.extend(key.weakness());
        // Nobody checks the signature of a root.
        if statement.subject != statement.issuer {
            remarks.extend(signature.weakness());
        }
        CertificateEntry {
            fingerprint: hex::encode(&fingerprint),
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
                .map(|kind| mtc_core::printable::printable(kind))
                .collect(),
            key,
            signature,
            quantum_vulnerable,
            bytes: held.der.len(),
            chain: held.chain,
            not_before: inspection.not_before,
            not_after: inspection.not_after,
            days_left: i64::try_from(left.div_euclid(SECONDS_PER_DAY.into())).unwrap_or(i64::MAX),
            renewal: renewal(statement.not_before, statement.not_after, now),
            places: places.collect(),
            private_keys: Vec::new(),
            same_key: Vec::new(),
            remarks,
        }
    }

    fn summary(&self, certificates: &[CertificateEntry], keys: &[KeyEntry]) -> Summary {
        let count = |is: &dyn Fn(&CertificateEntry) -> bool| {
            certificates.iter().filter(|entry| is(entry)).count()
        };
        let mut summary = Summary {
            certificates: certificates.len(),
            leaves: count(&|entry| entry.role == Role::Leaf),
            authorities: count(&|entry| entry.role == Role::Authority),
            quantum_vulnerable: count(&|entry| entry.quantum_vulnerable),
            expired: count(&|entry| entry.days_left < 0),
            renewal_due: count(&|entry| entry.days_left >= 0 && entry.renewal.due),
            merkle_tree_certificates: count(&|entry| {
                matches!(&*entry.kind, "standalone" | "landmark-relative")
            }),
            private_keys: keys.len(),
            open_private_keys: keys.iter().filter(|key| key.open).count(),
            revocation_lists: self.revocation_lists,
            endpoints: self.endpoints.len(),
            vulnerable_key_exchanges: self
                .endpoints
                .iter()
                .filter(|port| port.is_vulnerable())
                .count(),
            files: self.files,
            problems: self.problem_count,
            ..Summary::default()
        };
        for entry in certificates {
            let count = summary
                .by_key_algorithm
                .entry(entry.key.name.clone())
                .or_default();
            match entry.role {
                Role::Leaf => count.leaves += 1,
                Role::Authority => count.authorities += 1,
            }
        }
        summary
    }
}

impl EndpointEntry {
    /// Whether its key exchange was seen and is one that a quantum computer breaks.
    pub(crate) fn is_vulnerable(&self) -> bool {
        self.group
            .as_ref()
            .is_some_and(|group| group.quantum.is_exposed())
    }
}

fn key_entry(held: HeldKey, same_key: &HashMap<Vec<u8>, Vec<String>>) -> KeyEntry {
    let HeldKey {
        place,
        file: _,
        mode,
        key,
    } = held;
    let is_readable = mode.is_some_and(|mode| mode & READ_BY_OTHERS != 0);
    let certificates = key.spki.as_ref().and_then(|spki| same_key.get(spki));
    KeyEntry {
        place,
        algorithm: key.algorithm,
        protection: key.protection,
        mode: mode.map(|mode| format!("{:04o}", mode & 0o7777)),
        open: is_readable && key.protection != Protection::Encrypted,
        certificates: certificates.cloned().unwrap_or_default(),
    }
}

fn add_uses(place: &mut Place, file: Option<&Path>, uses: &HashMap<PathBuf, Vec<String>>) {
    let more = file.and_then(|file| uses.get(file)).into_iter().flatten();
    place.uses.extend(more.cloned());
}

/// For each certificate of a place, the chain that begins with it: each is the issuer of the one before it.
fn chains(certificates: &[(Place, Vec<u8>)]) -> Vec<Chain> {
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

fn spki(der: &[u8]) -> &[u8] {
    Certificate::parse(der)
        .map(|certificate| certificate.spki)
        .unwrap_or_default()
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

fn name(name: &[u8]) -> String {
    x509::distinguished_name(name).unwrap_or_else(|error| format!("(malformed: {error})"))
}

/// Two thirds of the lifetime.
fn renewal(not_before: UnixTime, not_after: UnixTime, now: UnixTime) -> Renewal {
    let lifetime = not_after.0.saturating_sub(not_before.0);
    let date = UnixTime(not_before.0.saturating_add(lifetime - lifetime / 3)).min(not_after);
    Renewal {
        date: date.to_string(),
        due: date <= now,
        rule: "two-thirds".to_owned(),
    }
}

fn shown(path: &Path) -> String {
    mtc_core::printable::printable(&path.display().to_string())
}
