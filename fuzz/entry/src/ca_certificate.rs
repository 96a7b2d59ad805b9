//! CA certificates: what is accepted says the same after it has been written and read again, and has each extension once
//! (RFC 5280 section 4.2).

use mtc_core::ca::CaCertificate;
use mtc_core::cosign::SignatureAlgorithm;
use mtc_core::der::{self, DerError};
use mtc_core::time::UnixTime;
use mtc_core::verify::CaTrust;

use crate::Verdict;
use crate::fixture::{self, CA, NOW, PKI};

/// Reads a CA certificate and trusts it.
///
/// # Panics
/// An invariant does not hold.
pub fn ca_certificate(data: &[u8]) -> Verdict {
    let Ok(certificate) = CaCertificate::parse(data) else {
        return Verdict::Refused;
    };
    assert!(certificate.min_serial <= certificate.max_serial);
    let encoded = certificate.to_der(NOW, UnixTime(NOW.0 + 1));
    assert_eq!(CaCertificate::parse(&encoded).as_ref(), Ok(&certificate));
    let extensions = extensions(data).expect("accepted");
    for (position, oid) in extensions.iter().enumerate() {
        assert!(
            !extensions[..position].contains(oid),
            "extension {oid:02x?} twice"
        );
    }
    assert_eq!(
        CaTrust::ca_alone(&certificate).id(),
        &certificate.cosigner.id
    );
    Verdict::Accepted
}

/// Contents octets of the OIDs of a certificate's extensions.
fn extensions(certificate: &[u8]) -> Result<Vec<&[u8]>, DerError> {
    let certificate = der::only(certificate, der::SEQUENCE)?;
    let mut tbs = der::Reader::new(der::Reader::new(certificate).contents(der::SEQUENCE)?);
    let mut element = tbs.element()?;
    while element.tag != der::context(3) {
        element = tbs.element()?;
    }
    let mut extensions = der::Reader::new(der::only(element.contents, der::SEQUENCE)?);
    let mut oids = Vec::new();
    while !extensions.is_empty() {
        let mut fields = der::Reader::new(extensions.contents(der::SEQUENCE)?);
        oids.push(fields.contents(der::OID)?);
    }
    Ok(oids)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let with_ml_dsa = CaCertificate {
        cosigner: fixture::cosigner(SignatureAlgorithm::MlDsa44, CA),
        min_serial: 0,
        max_serial: u64::MAX,
        prefix_url: None,
    };
    let certificates = [&PKI.ca_certificate, &with_ml_dsa];
    certificates
        .map(|certificate| certificate.to_der(NOW, UnixTime(NOW.0 + 1)))
        .to_vec()
}
