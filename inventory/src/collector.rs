//! Brings together what was found at different places: each certificate once, with its keys, its chain and its uses.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use mtc_core::causes::Causes;
use mtc_core::hex;
use mtc_core::time::UnixTime;
use mtc_core::x509::{self, Certificate};
use sha2::{Digest as _, Sha256};

use crate::algorithm::Algorithm;
use crate::der_file::request_parts;
use crate::description::{chains, describe};
use crate::found::{Found, Item};
use crate::model::{
    CertificateEntry, Chain, EndpointEntry, FORMAT, Inventory, KeyEntry, Place, Problem,
    Protection, RequestEntry, Role, Summary, UnresolvedReference,
};
use crate::private_key::PrivateKey;

/// Problems that are listed; all are counted.
const MAX_PROBLEMS: usize = 1000;
/// Certificates, keys, requests and references in an inventory, each place counted: the web's certificate authorities are at some ten
/// thousand places of a machine.
const MAX_THINGS: usize = 1_000_000;
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
    /// How many things were added.
    things: usize,
    revocation_lists: usize,
    files: usize,
    uses: HashMap<PathBuf, Vec<String>>,
    /// When secrets are renewed, by what places in them begin with.
    schedules: HashMap<String, UnixTime>,
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
        let before = self.things;
        self.things += found.len();
        if self.things > MAX_THINGS {
            if before <= MAX_THINGS {
                let reason = format!(
                    "there are more than {MAX_THINGS} certificates and keys; from here on they are left out"
                );
                self.problem(Place::of(origin.location, None), reason);
            }
            return references;
        }
        for Found { part, usage, item } in found {
            let mut place = Place::of(origin.location, part);
            place.link_to = origin.file.filter(|_| origin.is_link).map(shown);
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
                Item::Schedule { secret, date } => {
                    self.schedules.insert(secret, date);
                }
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
        let places = held.places.iter().map(|(place, file)| {
            let mut place = place.clone();
            add_uses(&mut place, file.as_deref(), &self.uses);
            place
        });
        let scheduled = held
            .places
            .iter()
            .filter_map(|(place, _)| self.schedule_of(place));
        CertificateEntry {
            places: places.collect(),
            chain: held.chain,
            ..describe(&fingerprint, &held.der, scheduled.min(), now)
        }
    }

    /// When cert-manager says that it renews what is in the secret that a place is in.
    fn schedule_of(&self, place: &Place) -> Option<UnixTime> {
        let (secret, _) = place.part.as_deref()?.split_once(", ")?;
        self.schedules.get(secret).copied()
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

fn spki(der: &[u8]) -> &[u8] {
    Certificate::parse(der)
        .map(|certificate| certificate.spki)
        .unwrap_or_default()
}

fn name(name: &[u8]) -> String {
    x509::distinguished_name(name).unwrap_or_else(|error| format!("(malformed: {error})"))
}

fn shown(path: &Path) -> String {
    mtc_core::printable::printable(&path.display().to_string())
}
