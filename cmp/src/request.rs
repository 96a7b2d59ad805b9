//! Certificate requests in CRMF (RFC 4211), and the proof that the requester holds the key.
//!
//! ```text
//! CertReqMsg  ::= SEQUENCE { certReq CertRequest, popo ProofOfPossession OPTIONAL, regInfo SEQUENCE OF ... OPTIONAL }
//! CertRequest ::= SEQUENCE { certReqId INTEGER, certTemplate CertTemplate, controls SEQUENCE OF ... OPTIONAL }
//! CertTemplate ::= SEQUENCE { version [0], serialNumber [1], signingAlg [2], issuer [3], validity [4], subject [5],
//!                             publicKey [6], issuerUID [7], subjectUID [8], extensions [9] }     -- each of them OPTIONAL
//! ProofOfPossession ::= CHOICE { raVerified [0] NULL, signature [1] POPOSigningKey, keyEncipherment [2], keyAgreement [3] }
//! POPOSigningKey ::= SEQUENCE { poposkInput [0] OPTIONAL, algorithmIdentifier, signature BIT STRING }
//! ```
//!
//! The tags are implicit but around a CHOICE. Keys here sign, so a signature over the CertRequest is the one proof that is taken.

use mtc_core::cosign::{KeyError, PublicKey};
use mtc_core::der::{self, DerError, Element, Reader};

use crate::algorithm::Algorithm;
use crate::oid;

const SERIAL_NUMBER: u8 = der::context_primitive(1);
const ISSUER: u8 = der::context(3);
const VALIDITY: u8 = der::context(4);
const SUBJECT: u8 = der::context(5);
const PUBLIC_KEY: u8 = der::context(6);
const EXTENSIONS: u8 = der::context(9);
const LAST_MEMBER: u8 = 9;
/// Tag class and form of a context-specific element.
const CONTEXT: u8 = 0x80;
const CONTEXT_MASK: u8 = 0xc0;
const NUMBER_MASK: u8 = 0x1f;

/// Issuer, DER of a GeneralName, and serial number, contents octets.
type CertId<'a> = (&'a [u8], &'a [u8]);

/// Which request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// `ir`: the first certificate.
    Initial,
    /// `cr`: another certificate.
    Another,
    /// `kur`: one in place of another.
    Update,
}

/// What a certificate should be like, or which one is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template<'a> {
    /// Contents octets of the serial number.
    pub serial: Option<&'a [u8]>,
    /// DER of the issuer's Name.
    pub issuer: Option<&'a [u8]>,
    /// Whether it asks for a validity.
    pub has_validity: bool,
    /// DER of the subject's Name.
    pub subject: Option<&'a [u8]>,
    /// DER of the SubjectPublicKeyInfo.
    pub spki: Option<Vec<u8>>,
    /// Contents octets of the Extensions; empty if there are none.
    pub extensions: &'a [u8],
}

impl<'a> Template<'a> {
    pub(crate) fn parse(contents: &'a [u8]) -> Result<Self, DerError> {
        let mut fields = Reader::new(contents);
        let mut template = Self::default();
        let mut next = 0;
        while !fields.is_empty() {
            let Element { tag, contents, .. } = fields.element()?;
            let number = tag & NUMBER_MASK;
            if tag & CONTEXT_MASK != CONTEXT || number < next || number > LAST_MEMBER {
                return Err(DerError::InvalidValue("CertTemplate: member"));
            }
            next = number + 1;
            match tag {
                SERIAL_NUMBER => template.serial = Some(contents),
                ISSUER => template.issuer = Some(name(contents)?),
                VALIDITY => template.has_validity = true,
                SUBJECT => template.subject = Some(name(contents)?),
                PUBLIC_KEY => template.spki = Some(der::element(der::SEQUENCE, &[contents])),
                EXTENSIONS => template.extensions = contents,
                _ => {}
            }
        }
        Ok(template)
    }
}

/// A Name, which is tagged explicitly because it is a CHOICE.
fn name(contents: &[u8]) -> Result<&[u8], DerError> {
    der::only(contents, der::SEQUENCE).map(|_| contents)
}

/// Why possession of the key is not proven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PossessionError {
    /// There is no key to certify.
    #[error("certTemplate has no publicKey, and keys are not made here")]
    NoKey,
    /// It is no key, or one of an unknown algorithm.
    #[error("publicKey of certTemplate is unusable")]
    Key(#[source] KeyError),
    /// There is no signature over the CertRequest.
    #[error("popo is not a signature over certReq, which is the one proof that is taken")]
    NoSignature,
    /// The signature is not of the key's algorithm.
    #[error("algorithmIdentifier of popo does not fit a {0} key")]
    Algorithm(mtc_core::cosign::SignatureAlgorithm),
    /// It does not verify.
    #[error("popo does not verify with the publicKey of certTemplate")]
    BadSignature,
}

/// One certificate request.
#[derive(Clone, Debug)]
pub struct CertRequest<'a> {
    /// Contents octets of `certReqId`, which the answer repeats.
    pub id: &'a [u8],
    /// What is asked for.
    pub template: Template<'a>,
    /// DER of the template: the same whenever the same is asked for.
    pub template_der: &'a [u8],
    /// Issuer (DER of a GeneralName) and serial number (contents octets) of the certificate that is to be replaced, if the request says.
    pub old_certificate: Option<(&'a [u8], &'a [u8])>,
    whole: &'a [u8],
    possession: Option<Possession<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Possession<'a> {
    algorithm: Algorithm<'a>,
    signature: &'a [u8],
}

impl<'a> CertRequest<'a> {
    /// Reads a CertReqMsg.
    pub(crate) fn parse(contents: &'a [u8]) -> Result<Self, DerError> {
        let mut message = Reader::new(contents);
        let request = message.expect(der::SEQUENCE)?;
        let mut possession = None;
        if message.peek_tag().is_some_and(|tag| tag != der::SEQUENCE) {
            possession = Possession::read(message.element()?)?;
        }
        message.optional(der::SEQUENCE)?;
        message.finish()?;

        let mut fields = Reader::new(request.contents);
        let id = fields.contents(der::INTEGER)?;
        let template = fields.expect(der::SEQUENCE)?;
        let controls = fields.optional(der::SEQUENCE)?;
        fields.finish()?;
        Ok(Self {
            id,
            template: Template::parse(template.contents)?,
            template_der: template.whole,
            old_certificate: match controls {
                Some(controls) => old_certificate(controls.contents)?,
                None => None,
            },
            whole: request.whole,
            possession,
        })
    }

    /// The key to certify, of which the requester has proven that he holds it: DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// See [`PossessionError`].
    pub fn proven_key(&self) -> Result<&[u8], PossessionError> {
        let spki = self.template.spki.as_deref();
        let spki = spki.ok_or(PossessionError::NoKey)?;
        let key = PublicKey::from_spki(spki).map_err(PossessionError::Key)?;
        let Possession {
            algorithm,
            signature,
        } = self.possession.ok_or(PossessionError::NoSignature)?;
        if algorithm.whole != key.algorithm().signature_algorithm_identifier() {
            return Err(PossessionError::Algorithm(key.algorithm()));
        }
        if !key.verifies(self.whole, signature) {
            return Err(PossessionError::BadSignature);
        }
        Ok(spki)
    }
}

impl<'a> Possession<'a> {
    /// The signature of a ProofOfPossession, if it is one over the CertRequest: nothing for the other choices.
    fn read(proof: Element<'a>) -> Result<Option<Self>, DerError> {
        const SIGNATURE: u8 = der::context(1);
        const INPUT: u8 = der::context(0);
        if proof.tag != SIGNATURE {
            return Ok(None);
        }
        let mut fields = Reader::new(proof.contents);
        let has_input = fields.optional(INPUT)?.is_some();
        let algorithm = Algorithm::read(&mut fields)?;
        let signature = der::whole_octets(fields.contents(der::BIT_STRING)?)?;
        fields.finish()?;
        let possession = Self {
            algorithm,
            signature,
        };
        Ok(Some(possession).filter(|_| !has_input))
    }
}

/// `id-regCtrl-oldCertID` among the controls: `CertId ::= SEQUENCE { issuer GeneralName, serialNumber INTEGER }`.
fn old_certificate(controls: &[u8]) -> Result<Option<CertId<'_>>, DerError> {
    let mut controls = Reader::new(controls);
    let mut found = None;
    while !controls.is_empty() {
        let mut control = Reader::new(controls.contents(der::SEQUENCE)?);
        let oid = control.contents(der::OID)?;
        let value = control.element()?;
        control.finish()?;
        if oid == oid::OLD_CERT_ID {
            let mut fields = Reader::new(der::only(value.whole, der::SEQUENCE)?);
            let issuer = fields.element()?.whole;
            let serial = fields.contents(der::INTEGER)?;
            fields.finish()?;
            found = Some((issuer, serial));
        }
    }
    Ok(found)
}
