//! PKCS#12 key stores (RFC 7292), as OpenSSL and keytool write them: in DER. What is in BER of indefinite length is told as no store.
//!
//! ```text
//! PFX { 3, authSafe, macData }
//!   authSafe: data ──> AuthenticatedSafe, a list of
//!     data           ─┐
//!     encryptedData  ─┴─ cipher ──> SafeContents, a list of bags
//!       certBag                   a certificate
//!       keyBag                    a key that nothing protects within the store
//!       pkcs8ShroudedKeyBag       a key under the password; it is not decrypted
//! ```
//!
//! The MAC is not checked: nothing here is believed because of it, and whether a password is right shows in what it opens.

mod cipher;

use std::collections::HashMap;

use mtc_core::der::{self, DerError, Reader};
use mtc_core::x509::Certificate;

use crate::der_file;
use crate::found::{Findings, Item};
use crate::model::Protection;
use crate::passwords::{Passwords, Tried};
use crate::private_key::PrivateKey;

/// `id-data`, 1.2.840.113549.1.7.1.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
/// `id-encryptedData`, 1.2.840.113549.1.7.6.
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
/// Bag types, 1.2.840.113549.1.12.10.1.n: all octets but the last.
const BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1];
/// `localKeyId` (RFC 2985 section 5.5.2), 1.2.840.113549.1.9.21: which key and certificate belong together.
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 21];
/// Safe contents within safe contents; nobody nests them.
const MAX_DEPTH: usize = 4;

/// Whether these bytes are a PFX.
pub(crate) fn is_store(bytes: &[u8]) -> bool {
    safe(bytes).is_ok()
}

/// Reads a PFX.
pub(crate) fn read(bytes: &[u8], passwords: &Passwords, findings: &mut Findings) {
    let mut store = Store {
        passwords,
        opened_by: None,
        keys: Vec::new(),
        certificates: HashMap::new(),
    };
    if let Err(error) = store.read(bytes, findings) {
        findings.fault(format!("malformed PKCS#12: {error}"));
    }
    store.add_keys(findings);
}

struct Store<'a> {
    passwords: &'a Passwords,
    /// What opened the part of it that is encrypted.
    opened_by: Option<&'a Tried>,
    /// Keys under the password, each by its localKeyId.
    keys: Vec<Option<Vec<u8>>>,
    /// DER of the public keys in certificates, by localKeyId.
    certificates: HashMap<Vec<u8>, Vec<u8>>,
}

impl Store<'_> {
    fn read(&mut self, bytes: &[u8], findings: &mut Findings) -> Result<(), DerError> {
        let mut contents = Reader::new(der::only(safe(bytes)?, der::SEQUENCE)?);
        while !contents.is_empty() {
            let mut info = Reader::new(contents.contents(der::SEQUENCE)?);
            let (kind, content) = (info.contents(der::OID)?, info.contents(der::context(0))?);
            match kind {
                DATA => self.bags(der::only(content, der::OCTET_STRING)?, 0, findings)?,
                ENCRYPTED_DATA => self.encrypted(content, findings)?,
                _ => findings
                    .fault("a part of the PKCS#12 store is encrypted to a key, not by a password"),
            }
        }
        Ok(())
    }

    /// `EncryptedData { version, { id-data, algorithm, [0] octets } }`
    fn encrypted(&mut self, content: &[u8], findings: &mut Findings) -> Result<(), DerError> {
        let mut fields = Reader::new(der::only(content, der::SEQUENCE)?);
        fields.contents(der::INTEGER)?;
        let mut info = Reader::new(fields.contents(der::SEQUENCE)?);
        info.contents(der::OID)?;
        let algorithm = info.contents(der::SEQUENCE)?;
        let octets = info.contents(der::context_primitive(0))?;
        for tried in self.passwords.all() {
            match cipher::decrypt(algorithm, octets, tried.text(), findings.iterations_left()) {
                // A wrong password leaves valid padding once in 256 times, and then no list of bags.
                Ok(Some(plain)) if der::only(&plain, der::SEQUENCE).is_ok() => {
                    self.opened_by = Some(tried);
                    return self.bags(&plain, 0, findings);
                }
                Ok(_) => {}
                Err(error) => {
                    findings.fault(error.to_string());
                    return Ok(());
                }
            }
        }
        findings.fault(format!(
            "a PKCS#12 store that opens with no password that was tried ({})",
            self.passwords
        ));
        Ok(())
    }

    fn bags(
        &mut self,
        contents: &[u8],
        depth: usize,
        findings: &mut Findings,
    ) -> Result<(), DerError> {
        if depth == MAX_DEPTH {
            return Err(DerError::InvalidValue("depth of SafeContents"));
        }
        let mut bags = Reader::new(der::only(contents, der::SEQUENCE)?);
        while !bags.is_empty() {
            let mut bag = Reader::new(bags.contents(der::SEQUENCE)?);
            let kind = bag.contents(der::OID)?;
            let value = bag.contents(der::context(0))?;
            let id = bag
                .optional(der::SET)?
                .and_then(|attributes| local_key_id(attributes.contents));
            match kind.strip_prefix(BAG) {
                Some([1]) => match PrivateKey::read(value) {
                    Some(key) => findings.add(Item::PrivateKey(key)),
                    None => findings.fault("a key bag without a key in it"),
                },
                Some([2]) => self.keys.push(id),
                Some([3]) => {
                    let mut fields = Reader::new(der::only(value, der::SEQUENCE)?);
                    fields.contents(der::OID)?;
                    let octets = der::only(fields.contents(der::context(0))?, der::OCTET_STRING)?;
                    findings.next_position();
                    der_file::certificate(octets, findings);
                    if let (Some(id), Ok(certificate)) = (id, Certificate::parse(octets)) {
                        self.certificates.insert(id, certificate.spki.to_vec());
                    }
                }
                Some([4]) => findings.add(Item::RevocationList),
                Some([6]) => self.bags(value, depth + 1, findings)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Keys are told of at the end: only then is known what opens the store, and which certificates are in it.
    fn add_keys(&self, findings: &mut Findings) {
        findings.no_position();
        let protection = self
            .opened_by
            .map_or(Protection::Encrypted, Tried::protection);
        for id in &self.keys {
            let spki = id.as_ref().and_then(|id| self.certificates.get(id));
            findings.add(Item::PrivateKey(PrivateKey::sealed_of(
                protection,
                spki.map(Vec::as_slice),
            )));
        }
    }
}

/// The value of localKeyId among the attributes of a bag.
fn local_key_id(attributes: &[u8]) -> Option<Vec<u8>> {
    let mut attributes = Reader::new(attributes);
    while let Ok(attribute) = attributes.contents(der::SEQUENCE) {
        let mut fields = Reader::new(attribute);
        if fields.contents(der::OID).ok()? == LOCAL_KEY_ID {
            let values = fields.contents(der::SET).ok()?;
            return Some(der::only(values, der::OCTET_STRING).ok()?.to_vec());
        }
    }
    None
}

/// The AuthenticatedSafe of a PFX whose authSafe is data.
fn safe(bytes: &[u8]) -> Result<&[u8], DerError> {
    let mut fields = Reader::new(der::only(bytes, der::SEQUENCE)?);
    if der::unsigned(fields.contents(der::INTEGER)?)? != 3 {
        return Err(DerError::InvalidValue("version"));
    }
    let mut info = Reader::new(fields.contents(der::SEQUENCE)?);
    if info.contents(der::OID)? != DATA {
        return Err(DerError::InvalidValue("authSafe"));
    }
    der::only(info.contents(der::context(0))?, der::OCTET_STRING)
}
