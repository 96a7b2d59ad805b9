//! Why an assertion is not believed.

use hyper::StatusCode;
use jose::JwsError;
use mtc_core::causes::Causes;
use mtc_core::time::UnixTime;
use mtc_tls::endpoint::JudgeError;

use crate::model::NfInstanceId;
use crate::problem::{Cause, Problem};

/// Why an assertion is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionRefusal {
    /// There is none, or more than one.
    #[error("header 3gpp-Sbi-Client-Credentials: not one client credentials assertion")]
    Missing,
    /// Not a JWS, or not signed by the key of its certificate.
    #[error("client credentials assertion")]
    Jws(#[from] JwsError),
    /// Its certificate would not do for a connection.
    #[error("client credentials assertion: x5c")]
    Certificate(#[from] JudgeError),
    /// It is signed by another NF than it speaks of.
    #[error("client credentials assertion: sub {subject}, and the certificate is of {certified}")]
    Subject {
        /// Of whom it speaks.
        subject: NfInstanceId,
        /// Who has signed it.
        certified: NfInstanceId,
    },
    /// Its time is over, has not begun, or is longer than that of an assertion.
    #[error("client credentials assertion: iat {issued}, exp {expires}, and this clock has {now}")]
    Time {
        /// Its begin.
        issued: UnixTime,
        /// Its end.
        expires: UnixTime,
        /// The reader's clock.
        now: UnixTime,
    },
    /// It is for NFs of other types.
    #[error("client credentials assertion: aud does not include this type of NF")]
    Audience,
}

impl AssertionRefusal {
    /// The answer of a producer or the NRF (TS 29.500 table 5.2.7.2-1).
    pub fn problem(&self) -> Problem {
        let (status, cause) = (StatusCode::FORBIDDEN, Cause::CcaVerificationFailure);
        Problem::with_cause(status, cause, Causes(self).to_string())
    }
}
