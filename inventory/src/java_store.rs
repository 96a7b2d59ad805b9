//! Java key stores in Java's own formats, JKS and JCEKS. Certificates in them are readable without a password.
//!
//! ```text
//! magic u32, version u32, number of entries u32, then each
//!   1 key          alias, date u64, encrypted key, number u32 of certificates, each: type (version 2), DER
//!   2 certificate  alias, date u64, type (version 2), DER
//!   3 secret key   JCEKS only: a Java object, whose end only Java finds
//! SHA-1 over the password, a salt and everything before
//!
//! alias, type: length u16 and text        key, DER: length u32 and octets
//! ```

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use mtc_core::x509::Certificate;

use crate::der_file;
use crate::found::{Findings, Item};
use crate::model::Protection;
use crate::passwords::{Passwords, Tried};
use crate::private_key::PrivateKey;

const JKS: u32 = 0xfeed_feed;
const JCEKS: u32 = 0xcece_cece;
/// What the format has between the password and the contents.
const SALT: &[u8] = b"Mighty Aphrodite";
/// Octets of the digest at the end.
const DIGEST: usize = 20;

/// Whether these bytes begin as such a store.
pub(crate) fn is_store(bytes: &[u8]) -> bool {
    matches!(Fields(bytes).u32(), Some(JKS | JCEKS))
}

/// Reads a store.
pub(crate) fn read(bytes: &[u8], passwords: &Passwords, findings: &mut Findings) {
    let opened_by = passwords
        .all()
        .iter()
        .find(|tried| is_password(bytes, tried.text()));
    let protection = opened_by.map_or(Protection::Encrypted, Tried::protection);
    if entries(bytes, protection, findings).is_none() {
        findings.fault("a Java key store that is cut short or malformed");
    }
}

/// The password of a store is the one with which its digest is right. A key in it may have another.
fn is_password(bytes: &[u8], password: &str) -> bool {
    let Some((contents, wanted)) = bytes.split_last_chunk::<DIGEST>() else {
        return false;
    };
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for unit in password.encode_utf16() {
        digest.update(&unit.to_be_bytes());
    }
    digest.update(SALT);
    digest.update(contents);
    digest.finish().as_ref() == wanted
}

fn entries(bytes: &[u8], protection: Protection, findings: &mut Findings) -> Option<()> {
    let mut fields = Fields(bytes);
    fields.u32()?;
    let has_types = match fields.u32()? {
        1 => false,
        2 => true,
        _ => return None,
    };
    for _ in 0..fields.u32()? {
        let kind = fields.u32()?;
        let alias = String::from_utf8_lossy(fields.text()?).into_owned();
        fields.take(8)?;
        let mut read = None;
        match kind {
            1 => {
                fields.octets()?;
                let spki = own_key(fields.clone(), has_types);
                findings.within(&alias, None, |findings| {
                    let key = PrivateKey::sealed_of(protection, spki.as_deref());
                    findings.add(Item::PrivateKey(key));
                    read = chain(&mut fields, has_types, findings);
                });
            }
            2 => findings.within(&alias, None, |findings| {
                read = certificate(&mut fields, has_types, findings);
            }),
            3 => {
                let alias = mtc_core::printable::printable(&alias);
                findings.fault(format!(
                    "entry {alias:?} of the JCEKS store is a secret key, behind which only Java can read on"
                ));
                return Some(());
            }
            _ => return None,
        }
        read?;
    }
    Some(())
}

/// DER of the public key in the first certificate of the chain that comes next: the one that belongs to the private key.
fn own_key(mut fields: Fields<'_>, has_types: bool) -> Option<Vec<u8>> {
    if fields.u32()? == 0 {
        return None;
    }
    if has_types {
        fields.text()?;
    }
    let certificate = Certificate::parse(fields.octets()?).ok()?;
    Some(certificate.spki.to_vec())
}

fn chain(fields: &mut Fields<'_>, has_types: bool, findings: &mut Findings) -> Option<()> {
    for _ in 0..fields.u32()? {
        findings.next_position();
        certificate(fields, has_types, findings)?;
    }
    Some(())
}

fn certificate(fields: &mut Fields<'_>, has_types: bool, findings: &mut Findings) -> Option<()> {
    if has_types {
        fields.text()?; // X.509
    }
    der_file::certificate(fields.octets()?, findings);
    Some(())
}

/// Numbers in big-endian order, and what has its length before it.
#[derive(Clone)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn octets(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(length.into())
    }
}
