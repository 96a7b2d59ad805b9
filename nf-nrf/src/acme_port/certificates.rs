//! Certificates: downloaded (RFC 8555 section 7.4.2), by their alternates too (Section 9 of the draft), and revoked (section 7.6).

use acme::{ErrorKind, RevokeCertificate, Verified, decode};
use hyper::header::{ACCEPT, LINK, RETRY_AFTER};
use hyper::http::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use mtc_core::causes::Causes;
use mtc_core::certificate::Certificate as Mtc;
use mtc_core::id::{LogId, LogNumber, TrustAnchorId, split_serial};
use mtc_core::properties::CertificateProperties;
use mtc_core::x509::Certificate;
use mtc_tls::pem;
use sbi::enrolment::{IssuedCertificate, LandmarkAnswer, LandmarkRelativeCertificate, MTC_PROFILE};
use sbi::response::Response;
use uuid::Uuid;

use super::accounts::Account;
use super::orders::{State, certificate_name};
use super::refused::Refused;
use super::{AcmePort, Caller, add};

/// Media type of certificates in PEM (RFC 8555 section 9.1).
const PEM_CHAIN: &str = "application/pem-certificate-chain";
/// The same with properties before them (draft-ietf-tls-trust-anchor-ids section 7.4).
const PEM_CHAIN_WITH_PROPERTIES: &str = "application/pem-certificate-chain-with-properties";
/// `CRLReason`s (RFC 5280 section 5.3.1); 7 is none.
const REASONS: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 8, 9, 10];

impl AcmePort {
    /// The certificate of an order: the standalone one, if it is a Merkle Tree Certificate.
    pub(super) async fn certificate(
        &self,
        account: &Account,
        id: Uuid,
        headers: &HeaderMap,
    ) -> Result<Response, Refused> {
        let issued = self.issued(account, id).await?;
        let chain = issued.chain_der().map_err(|error| {
            tracing::error!(error = %Causes(&error), "a stored ACME order has no chain");
            Refused::internal("the NRF failed; its log says why")
        })?;
        let Some(serial) = serial(&issued) else {
            return Ok(plain(self.with_anchor(chain, &issued.profile)?));
        };
        let mut response = if accepts_properties(headers) {
            let properties = chain.first().and_then(|leaf| standalone_properties(leaf));
            with_properties(properties, chain)
        } else {
            plain(self.with_anchor(chain, &issued.profile)?)
        };
        let alternate = format!(
            "<{}/landmark-relative>;rel=\"acme-optional-alternate\"",
            self.urls.certificate(id)
        );
        add(&mut response, LINK, &alternate);
        self.link_log(&mut response, serial);
        Ok(response)
    }

    /// The landmark-relative certificate of an order, or when to ask again.
    pub(super) async fn landmark_relative(
        &self,
        account: &Account,
        id: Uuid,
        headers: &HeaderMap,
    ) -> Result<Response, Refused> {
        let issued = self.issued(account, id).await?;
        let serial = serial(&issued).ok_or_else(|| {
            Refused::not_found("no Merkle Tree Certificate, which alone is relative to a landmark")
        })?;
        let ready = match self.enrolment.landmark_relative(serial).await? {
            LandmarkAnswer::Ready(ready) => ready,
            LandmarkAnswer::RetryAfter(wait) => {
                return Ok(Response::empty(StatusCode::ACCEPTED)
                    .with(RETRY_AFTER, HeaderValue::from(wait.as_secs())));
            }
            LandmarkAnswer::Never => {
                let text = "its log has been retired, and has no landmark for it";
                return Err(Refused::not_found(text));
            }
        };
        let leaf = ready
            .der()
            .map_err(|error| Refused::internal(Causes(&error).to_string()))?;
        let mut response = if accepts_properties(headers) {
            with_properties(landmark_properties(&leaf, &ready), vec![leaf])
        } else {
            plain(vec![leaf])
        };
        self.link_log(&mut response, serial);
        Ok(response)
    }

    /// What an order has brought.
    async fn issued(&self, account: &Account, id: Uuid) -> Result<IssuedCertificate, Refused> {
        let order = self.order(id, account)?;
        if !matches!(order.state, State::Valid(_)) {
            let text = format!("the order is {}, not valid", order.status());
            return Err(Refused::new(ErrorKind::OrderNotReady, text));
        }
        let orders = self.orders.clone();
        let issued = tokio::task::spawn_blocking(move || orders.issued(id)).await;
        let failed = || Refused::internal("the NRF failed; its log says why");
        let issued = issued.map_err(|_| failed())?.map_err(|error| {
            tracing::error!(error = %Causes(&error), "cannot read an ACME order");
            failed()
        })?;
        issued.ok_or_else(|| Refused::not_found("what the order has brought is lost"))
    }

    /// A chain for clients that know nothing of properties. A leaf that stands alone gets its trust anchor beside it, as RFC 8555 section 9.1
    /// allows: certbot takes no chain of one.
    fn with_anchor(&self, mut chain: Vec<Vec<u8>>, profile: &str) -> Result<Vec<Vec<u8>>, Refused> {
        if chain.len() == 1 {
            chain.push(match profile {
                MTC_PROFILE => self.ca_certificate.clone(),
                _ => self.enrolment.baseline(profile)?.root().to_vec(),
            });
        }
        Ok(chain)
    }

    /// Says in which log the certificate is: the collection of which it is an item (RFC 6573).
    fn link_log(&self, response: &mut Response, serial: u64) {
        if let Ok((log, _)) = split_serial(serial) {
            add(
                response,
                LINK,
                &format!("<{}/{log}/>;rel=\"collection\"", self.logs),
            );
        }
    }

    /// Revokes a certificate, for the account that has ordered it or whoever has its key.
    pub(super) async fn revoke(
        &self,
        caller: Caller,
        payload: &Verified,
    ) -> Result<Response, Refused> {
        let RevokeCertificate {
            certificate,
            reason,
        } = payload.read()?;
        let der = decode(&certificate, "certificate")?;
        let parsed = Certificate::parse(&der)
            .map_err(|error| Refused::malformed(Causes(&error).to_string()))?;
        if let Some(reason) = reason.filter(|reason| !REASONS.contains(reason)) {
            let text = format!("reason {reason} is none of RFC 5280");
            return Err(Refused::new(ErrorKind::BadRevocationReason, text));
        }
        let name = certificate_name(&der).map_err(|error| Refused::malformed(error.to_string()))?;
        let orderer = self.orders.orderer(&name);
        let orderer = orderer.ok_or_else(|| {
            Refused::not_found("the certificate was not ordered here, or has expired")
        })?;
        let may = match &caller {
            Caller::Account(account) => account.id == orderer,
            Caller::Key(key) => key.is_of(parsed.spki),
        };
        if !may {
            let text =
                "a certificate is revoked by the account that has ordered it, or by its own key";
            return Err(Refused::new(ErrorKind::Unauthorized, text));
        }
        let revoked = &self.enrolment.revoked;
        revoked.mark(&der, reason, self.now()).await?;
        tracing::warn!(account = %orderer, reason, "a certificate was revoked by ACME");
        Ok(Response::empty(StatusCode::OK))
    }
}

/// The serial number of a Merkle Tree Certificate; none of others.
fn serial(issued: &IssuedCertificate) -> Option<u64> {
    issued.landmark_relative.as_ref()?;
    issued.certificate_id.parse().ok()
}

/// Whether the client names the media type with properties.
fn accepts_properties(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).into_iter();
    let mut types = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    types.any(|range| {
        let (media_type, _) = range.split_once(';').unwrap_or((range, ""));
        media_type
            .trim()
            .eq_ignore_ascii_case(PEM_CHAIN_WITH_PROPERTIES)
    })
}

fn standalone_properties(leaf: &[u8]) -> Option<CertificateProperties> {
    let issuer = Mtc::parse(leaf).ok()?.issuer;
    let ca = TrustAnchorId::from_name(issuer).ok()?;
    Some(CertificateProperties::standalone(&ca))
}

fn landmark_properties(
    leaf: &[u8],
    ready: &LandmarkRelativeCertificate,
) -> Option<CertificateProperties> {
    let ca = TrustAnchorId::from_name(Mtc::parse(leaf).ok()?.issuer).ok()?;
    let log = LogId::new(ca, LogNumber::new(ready.log_number).ok()?).ok()?;
    CertificateProperties::landmark_relative(&log, ready.landmark).ok()
}

/// The chain with its properties; without, where they cannot be had.
fn with_properties(properties: Option<CertificateProperties>, chain: Vec<Vec<u8>>) -> Response {
    match properties.and_then(|properties| properties.encode().ok()) {
        Some(properties) => {
            let text = pem::chain_with_properties(&properties, &chain);
            Response::bytes(StatusCode::OK, PEM_CHAIN_WITH_PROPERTIES, text)
        }
        None => plain(chain),
    }
}

fn plain(chain: Vec<Vec<u8>>) -> Response {
    let certificates = chain.iter().map(|der| pem::encode(pem::CERTIFICATE, der));
    let text: String = certificates.collect();
    Response::bytes(StatusCode::OK, PEM_CHAIN, text)
}
