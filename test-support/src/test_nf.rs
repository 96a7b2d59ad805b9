//! A network function of the test's own: an instance with a key, which enrols and calls the NRF.

use std::sync::Arc;

use lab::pki;
use lab::topology::LabFolder;
use mtc_core::time::UnixTime;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{Credential, CredentialSet, MtcCredential, MtcTrust};
use mtc_tls::csr;
use mtc_tls::key::NfKey;
use mtc_tls::profile::{ConnectionProfile, Tickets, Tokens, TrustDomain, Via};
use mtc_tls::provider::KeyExchange;
use sbi::credentials::ObtainError;
use sbi::enrolment::{EnrolmentError, IssuedCertificate, MTC_PROFILE, request_certificate};
use sbi::instance::{CallError, Instance, Opened};
use sbi::ledger::Ledger;
use sbi::model::{NfInstanceId, NfType};
use sbi::nnrf::Nrf;
use sbi::trust_file::TrustFile;
use uuid::Uuid;

use crate::test_lab::{LEAF_KEY, mint, now};

/// Without landmarks, which nobody needs who only wants to enrol.
pub const PROFILE: ConnectionProfile = ConnectionProfile {
    domain: TrustDomain::MtcStandalone,
    leaf_key: LEAF_KEY,
    key_exchange: KeyExchange::X25519MlKem768,
    tickets: Tickets::None,
    tokens: Tokens::Es256,
    via: Via::Direct,
    grease: false,
};

/// An NF that serves nothing, an SMF if nothing else is said.
pub struct TestNf {
    /// The instance.
    pub instance: Arc<Instance>,
    /// The NRF of its lab.
    pub nrf: Nrf,
    /// Its key.
    pub key: NfKey,
    lab: LabFolder,
}

impl TestNf {
    /// SMF `number` of a lab.
    pub fn new(lab: &LabFolder, number: u16) -> Self {
        Self::of_type(lab, NfType::Smf, number)
    }

    /// Instance `number` of a type.
    pub fn of_type(lab: &LabFolder, nf_type: NfType, number: u16) -> Self {
        let trust = TrustFile::load(&lab.pki.trust)
            .expect("trust file is valid")
            .trust;
        let instance = Instance::new(
            NfInstanceId::random(),
            nf_type.clone(),
            pki::fqdn(nf_type.as_str(), number),
            CredentialSet::new(MtcTrust::new(trust), Vec::new()),
            Clock::default(),
            Arc::new(Ledger::default()),
        );
        Self {
            instance: Arc::new(instance),
            nrf: Nrf::new(&lab.nrf),
            key: NfKey::generate(LEAF_KEY).expect("keys can be made"),
            lab: lab.clone(),
        }
    }

    /// Its NF instance id.
    pub fn id(&self) -> Uuid {
        self.instance.id.uuid()
    }

    /// A token that is good until `exp`.
    pub fn token_until(&self, exp: UnixTime) -> String {
        mint(
            &self.lab,
            self.id(),
            self.instance.nf_type.as_str(),
            &self.instance.fqdn,
            exp,
        )
    }

    /// A token that is good for a minute.
    pub fn token(&self) -> String {
        self.token_until(UnixTime(now().0 + 60))
    }

    /// Connects to the NRF, with the certificate if there is one.
    pub async fn connect(&self) -> Result<Opened, CallError> {
        self.nrf.open(&self.instance, PROFILE).await
    }

    /// Asks for a certificate for its own name.
    pub async fn enrol(&self, token: &str) -> Result<IssuedCertificate, ObtainError> {
        self.enrol_as(self.id(), &self.instance.fqdn, Some(token))
            .await
    }

    /// Asks for a certificate for any name.
    pub async fn enrol_as(
        &self,
        id: Uuid,
        fqdn: &str,
        token: Option<&str>,
    ) -> Result<IssuedCertificate, ObtainError> {
        let csr = csr::create(&self.key, id, &[fqdn.to_owned()])?;
        let connection = self.connect().await?.connection;
        request_certificate(&connection, &self.nrf.authority(), &csr, MTC_PROFILE, token)
            .await
            .map_err(|source| ObtainError::Enrolment {
                profile: MTC_PROFILE.to_owned(),
                source,
            })
    }

    /// Presents a certificate (DER) from now on.
    pub fn present(&self, certificate: Vec<u8>) {
        let standalone = Credential::new(vec![certificate], &self.key, UnixTime(u64::MAX))
            .expect("the certificate is one of the key");
        let mtc = MtcCredential::new(standalone, None);
        self.instance.store.update(|set| set.mtc = vec![mtc]);
    }
}

/// The certificate (DER) in an answer of the NRF.
pub fn der(issued: &IssuedCertificate) -> Vec<u8> {
    issued
        .chain_der()
        .expect("chains are base64")
        .swap_remove(0)
}

/// Status and detail of a refusal by the NRF.
pub fn refusal(error: &ObtainError) -> (u16, String) {
    match error {
        ObtainError::Enrolment {
            source: EnrolmentError::Refused { status, details },
            ..
        } => (status.as_u16(), details.detail.clone().unwrap_or_default()),
        other => panic!("not a refusal: {other:?}"),
    }
}
