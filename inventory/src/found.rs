//! What readers of all forms find, one by one, and the bound on how much that may be.

use mtc_core::printable::printable;
use mtc_core::time::UnixTime;

use crate::private_key::PrivateKey;

/// Things found in one file, or in standard input. A bundle of all web roots has 150 certificates, a dump of all secrets of a large
/// cluster some ten thousand.
const MAX_ITEMS: usize = 100_000;

/// One thing, and where in its file it is.
pub(crate) struct Found {
    /// Where in its file; none in a file of its own.
    pub(crate) part: Option<String>,
    /// What it is there for, if that is told.
    pub(crate) usage: Option<String>,
    /// The thing.
    pub(crate) item: Item,
}

/// A thing.
pub(crate) enum Item {
    /// DER of a certificate.
    Certificate(Vec<u8>),
    /// A private key, of which the secret part has been forgotten.
    PrivateKey(PrivateKey),
    /// DER of a certification request.
    Request(Vec<u8>),
    /// A certificate revocation list.
    RevocationList,
    /// The name of a file, as who reads the document sees it.
    Reference {
        /// Its name.
        path: String,
        /// Whether that is seen from another file system, a container's, and not from where the document lies.
        is_elsewhere: bool,
    },
    /// When what is in a secret is renewed.
    Schedule {
        /// The secret, as the parts of a document are called.
        secret: String,
        /// From when on.
        date: UnixTime,
    },
    /// What cannot be read, and why.
    Fault(String),
}

/// Iterations of key derivation for all key stores in one file, some tens of seconds: a dump of a thousand secrets with a store each takes
/// thirty million.
const MAX_ITERATIONS: u64 = 100_000_000;

/// What has been found so far in one file.
pub(crate) struct Findings {
    found: Vec<Found>,
    is_full: bool,
    part: Vec<String>,
    usage: Option<String>,
    /// Place of a PEM block or a bag within the innermost part.
    position: usize,
    iterations_left: u64,
    has_other: bool,
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            is_full: false,
            part: Vec::new(),
            usage: None,
            position: 0,
            iterations_left: MAX_ITERATIONS,
            has_other: false,
        }
    }
}

impl Findings {
    /// Reads something inside the part `name`, which is there for `usage`.
    pub(crate) fn within(&mut self, name: &str, usage: Option<&str>, read: impl FnOnce(&mut Self)) {
        let before = (self.usage.take(), std::mem::take(&mut self.position));
        self.part.push(printable(name));
        self.usage = usage.map(printable).or_else(|| before.0.clone());
        read(self);
        self.part.pop();
        (self.usage, self.position) = before;
    }

    /// How many iterations of key derivation there may still be.
    pub(crate) const fn iterations_left(&mut self) -> &mut u64 {
        &mut self.iterations_left
    }

    /// Counts a block or a bag, so that what follows is told as the so-many-th.
    pub(crate) const fn next_position(&mut self) {
        self.position += 1;
    }

    /// What follows is no block or bag of its own.
    pub(crate) const fn no_position(&mut self) {
        self.position = 0;
    }

    /// Adds a thing.
    pub(crate) fn add(&mut self, item: Item) {
        if self.found.len() >= MAX_ITEMS {
            if !std::mem::replace(&mut self.is_full, true) {
                let fault = format!(
                    "has more than {MAX_ITEMS} certificates and keys; the rest is not read"
                );
                self.put(Item::Fault(fault));
            }
            return;
        }
        self.put(item);
    }

    /// Adds what is wrong.
    pub(crate) fn fault(&mut self, what: impl Into<String>) {
        self.add(Item::Fault(what.into()));
    }

    fn put(&mut self, item: Item) {
        let mut part = self.part.join(", ");
        // The first of a file needs no number.
        if self.position > 1 {
            part = format!("{part}#{}", self.position);
        }
        self.found.push(Found {
            part: Some(part).filter(|part| !part.is_empty()),
            usage: self.usage.clone(),
            item,
        });
    }

    /// Notes something that is read and not told of, such as a public key.
    pub(crate) const fn add_other(&mut self) {
        self.has_other = true;
    }

    /// Whether there is nothing at all, not even what is not told of.
    pub(crate) const fn is_empty(&self) -> bool {
        self.found.is_empty() && !self.has_other
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.found.len()
    }

    /// All of them.
    pub(crate) fn into_found(self) -> Vec<Found> {
        self.found
    }
}
