//! Orders to revoke certificates, signed by the enrolment authority of a lab.

use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mtc_core::time::UnixTime;
use nf_nrf::revocation::{ORDER_ISSUER, RevocationOrder, What};

use super::error::PkiError;
use super::tokens::authority;

/// For how long an order is good: it is sent at once, to a clock that may be another.
const GOOD_FOR: Duration = Duration::from_secs(300);

/// Signs an order for the NRF of the lab in `folder`. Blocks on the disk.
///
/// # Errors
/// The lab has no authority.
pub fn revocation_order(
    folder: &Path,
    what: What,
    reason: Option<u8>,
    now: UnixTime,
) -> Result<String, PkiError> {
    let order = RevocationOrder {
        iss: ORDER_ISSUER.to_owned(),
        exp: now.plus(GOOD_FOR).0,
        what,
        reason,
    };
    let key = EncodingKey::from_ec_der(&authority(folder)?.to_pkcs8()?);
    jsonwebtoken::encode(&Header::new(Algorithm::ES256), &order, &key).map_err(PkiError::Order)
}
