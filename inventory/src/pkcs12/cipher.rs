//! Encryption by a password: PBES2 (RFC 8018), as is written today, and that of RFC 7292 Appendix B, as stores of old have it.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    AES_128, AES_192, AES_256, Algorithm, DecryptionContext, PaddedBlockDecryptingKey,
    UnboundCipherKey,
};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt as _, InnerIvInit as _, KeyInit};
use mtc_core::der::{self, DerError, Reader};
use mtc_core::oid;
use thiserror::Error;
use zeroize::Zeroizing;

/// Iterations of key derivation. OpenSSL has 2,048, keytool 10,000, and a million take a second.
const MAX_ITERATIONS: u64 = 1_000_000;
/// What SHA-1 puts out, in octets.
const HASH: usize = 20;
/// What SHA-1 takes in at once, in octets.
const BLOCK: usize = 64;

/// `id-PBES2`, 1.2.840.113549.1.5.13.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
/// `id-PBKDF2`, 1.2.840.113549.1.5.12.
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
/// 1.2.840.113549.2: HMACs, all octets but the last.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];
/// 2.16.840.1.101.3.4.1: AES, all octets but the last.
const AES: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1];
/// `des-EDE3-CBC`, 1.2.840.113549.3.7.
const DES_EDE3: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7];
/// 1.2.840.113549.1.12.1: the ways of RFC 7292, all octets but the last.
const PKCS12: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1];

/// Why no password would open it.
#[derive(Debug, Error)]
pub(super) enum CipherError {
    /// The parameters are malformed.
    #[error("encryption of the PKCS#12 store: {0}")]
    Parameters(#[from] DerError),
    /// Not known here.
    #[error("the PKCS#12 store is encrypted with {0}, which is not known here")]
    Unknown(String),
    /// It would take too long.
    #[error("the PKCS#12 store derives its key with more than {MAX_ITERATIONS} iterations")]
    Iterations,
    /// There are too many stores in one file.
    #[error("key stores in one file derive too many keys; the rest are not opened")]
    Work,
}

/// Decrypts by the algorithm whose identifier has these contents octets; none if the password is not the right one. `left` is how many
/// iterations there may still be.
pub(super) fn decrypt(
    algorithm: &[u8],
    octets: &[u8],
    password: &str,
    left: &mut u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, CipherError> {
    let mut fields = Reader::new(algorithm);
    let kind = fields.contents(der::OID)?;
    let parameters = Reader::new(fields.contents(der::SEQUENCE)?);
    if kind == PBES2 {
        return pbes2(parameters, octets, password, left);
    }
    let Some([way]) = kind.strip_prefix(PKCS12) else {
        return Err(CipherError::Unknown(oid::dotted(kind)));
    };
    let old = Old::read(parameters, password, left)?;
    Ok(match way {
        3 => cbc::<des::TdesEde3>(&old.derive(1, 24), &old.derive(2, 8), octets),
        4 => cbc::<des::TdesEde2>(&old.derive(1, 16), &old.derive(2, 8), octets),
        5 => cbc::<rc2::Rc2>(&old.derive(1, 16), &old.derive(2, 8), octets),
        6 => cbc_of(rc2_40(&old.derive(1, 5)), &old.derive(2, 8), octets),
        _ => return Err(CipherError::Unknown(oid::dotted(kind))),
    })
}

/// `{ { id-PBKDF2, { salt, iterations, keyLength OPTIONAL, prf DEFAULT HMAC-SHA1 } }, { cipher, iv } }`
fn pbes2(
    mut parameters: Reader<'_>,
    octets: &[u8],
    password: &str,
    left: &mut u64,
) -> Result<Option<Zeroizing<Vec<u8>>>, CipherError> {
    let mut derivation = Reader::new(parameters.contents(der::SEQUENCE)?);
    let kind = derivation.contents(der::OID)?;
    if kind != PBKDF2 {
        return Err(CipherError::Unknown(oid::dotted(kind)));
    }
    let mut fields = Reader::new(derivation.contents(der::SEQUENCE)?);
    let salt = fields.contents(der::OCTET_STRING)?;
    let iterations = iterations(&mut fields, left)?;
    fields.optional(der::INTEGER)?;
    let hmac = fields.optional(der::SEQUENCE)?;
    let hmac = hmac
        .map(|hmac| Reader::new(hmac.contents).contents(der::OID))
        .transpose()?;
    let hmac = match hmac.map(|hmac| hmac.strip_prefix(HMAC).unwrap_or(hmac)) {
        None | Some([7]) => pbkdf2::PBKDF2_HMAC_SHA1,
        Some([9]) => pbkdf2::PBKDF2_HMAC_SHA256,
        Some([10]) => pbkdf2::PBKDF2_HMAC_SHA384,
        Some([11]) => pbkdf2::PBKDF2_HMAC_SHA512,
        Some(other) => return Err(CipherError::Unknown(oid::dotted(other))),
    };
    let mut cipher = Reader::new(parameters.contents(der::SEQUENCE)?);
    let (kind, iv) = (
        cipher.contents(der::OID)?,
        cipher.contents(der::OCTET_STRING)?,
    );
    let key = |length| {
        let mut key = Zeroizing::new(vec![0; length]);
        pbkdf2::derive(hmac, iterations, salt, password.as_bytes(), &mut key);
        key
    };
    Ok(match kind.strip_prefix(AES).unwrap_or(kind) {
        [2] => aes(&AES_128, &key(16), iv, octets),
        [22] => aes(&AES_192, &key(24), iv, octets),
        [42] => aes(&AES_256, &key(32), iv, octets),
        DES_EDE3 => cbc::<des::TdesEde3>(&key(24), iv, octets),
        _ => return Err(CipherError::Unknown(oid::dotted(kind))),
    })
}

fn iterations(fields: &mut Reader<'_>, left: &mut u64) -> Result<NonZeroU32, CipherError> {
    let number = der::unsigned(fields.contents(der::INTEGER)?)?;
    if number > MAX_ITERATIONS {
        return Err(CipherError::Iterations);
    }
    *left = left.checked_sub(number).ok_or(CipherError::Work)?;
    let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
    Ok(number.ok_or(DerError::InvalidValue("iterations"))?)
}

fn aes(
    algorithm: &'static Algorithm,
    key: &[u8],
    iv: &[u8],
    octets: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let key = UnboundCipherKey::new(algorithm, key).ok()?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
    let iv = FixedLength::from(<[u8; 16]>::try_from(iv).ok()?);
    let mut plain = Zeroizing::new(octets.to_vec());
    let length = key
        .decrypt(&mut plain, DecryptionContext::Iv128(iv))
        .ok()?
        .len();
    plain.truncate(length);
    Some(plain)
}

fn cbc<C>(key: &[u8], iv: &[u8], octets: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherDecrypt + KeyInit,
{
    cbc_of(C::new_from_slice(key).ok(), iv, octets)
}

fn cbc_of<C>(cipher: Option<C>, iv: &[u8], octets: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: BlockCipherDecrypt,
{
    let decryptor = Decryptor::inner_iv_slice_init(cipher?, iv).ok()?;
    let mut plain = Zeroizing::new(octets.to_vec());
    let length = decryptor.decrypt_padded::<Pkcs7>(&mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

/// RC2 with a key whose effective length is 40 bits.
fn rc2_40(key: &[u8]) -> Option<rc2::Rc2> {
    Some(rc2::Rc2::new_with_eff_key_len(key, 40))
}

/// Key derivation of RFC 7292 Appendix B.2 with SHA-1.
struct Old<'a> {
    salt: &'a [u8],
    iterations: NonZeroU32,
    /// UTF-16 in big-endian order, with a zero at its end (Appendix B.1).
    password: Zeroizing<Vec<u8>>,
}

impl<'a> Old<'a> {
    fn read(
        mut parameters: Reader<'a>,
        password: &str,
        left: &mut u64,
    ) -> Result<Self, CipherError> {
        Ok(Self {
            salt: parameters.contents(der::OCTET_STRING)?,
            iterations: iterations(&mut parameters, left)?,
            password: Zeroizing::new(
                password
                    .encode_utf16()
                    .chain([0])
                    .flat_map(u16::to_be_bytes)
                    .collect(),
            ),
        })
    }

    /// So many octets, not above 40, for this purpose: 1 a key, 2 an initialisation vector.
    fn derive(&self, purpose: u8, length: usize) -> Zeroizing<Vec<u8>> {
        let repeated = |text: &[u8]| {
            let length = text.len().div_ceil(BLOCK) * BLOCK;
            text.iter()
                .copied()
                .cycle()
                .take(length)
                .collect::<Vec<u8>>()
        };
        let mut input = Zeroizing::new([repeated(self.salt), repeated(&self.password)].concat());
        let mut output = Zeroizing::new(Vec::with_capacity(2 * HASH));
        while output.len() < length {
            let first = Zeroizing::new([&[purpose; BLOCK][..], &input].concat());
            let mut hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &first);
            for _ in 1..self.iterations.get() {
                hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, hash.as_ref());
            }
            output.extend_from_slice(hash.as_ref());
            // Each block of the input plus the hash, repeated to a block, plus one.
            let addend: Vec<u8> = hash.as_ref().iter().copied().cycle().take(BLOCK).collect();
            for block in input.chunks_exact_mut(BLOCK) {
                let mut carry = 1_u16;
                for (octet, add) in block.iter_mut().zip(&addend).rev() {
                    carry += u16::from(*octet) + u16::from(*add);
                    *octet = carry.to_be_bytes()[1];
                    carry >>= 8;
                }
            }
        }
        output.truncate(length);
        output
    }
}
