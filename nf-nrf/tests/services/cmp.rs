//! The CMP port, asked by a client that sends what it likes.

use std::fs;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use cmp::Failure;
use mtc_core::certificate::{Certificate as Mtc, MtcProof, with_proof};
use mtc_core::cosign::Cosignature;
use mtc_core::x509::Certificate;
use mtc_tls::clock::Clock;
use mtc_tls::credentials::{
    Credential, CredentialSet, MtcCredential, MtcTrust, Store, X509Credential, X509Trust,
};
use mtc_tls::csr::{self, Csr};
use mtc_tls::endpoint::Endpoint;
use mtc_tls::identity::{NfIdentity, NfSubject};
use mtc_tls::key::{KeyAlgorithm, NfKey};
use nf_nrf::cmp_port::CmpPort;
use nf_nrf::enrolment_token::SharedSecrets;
use sbi::enrolment::MTC_PROFILE;
use sbi::enrolment_claims::{CMP_ISSUER, ENROLMENT_ISSUER, EnrolmentClaims};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::cmp_client::{
    Answer, Draft, IR, KUR, Protection, confirmation, confirmation_of, is_by_secret, poll,
    rejection, request, revocation, signer_of, update,
};
use crate::mtca::{Authority, BASELINE, HOME_DOMAIN, Service};

pub(crate) const AMF: Uuid = Uuid::from_u128(0x0a3f_5c1e_7d24_4b8f_9c61_2f4f_0d9e_1a01);
const NRF: Uuid = Uuid::from_u128(0x5b1d_9a77_0000_4000_8000_0000_0000_00ff);
pub(crate) const FQDN: &str = "amf1.5gc.mnc001.mcc001.3gppnetwork.org";
pub(crate) const X509: &str = "x509-ecdsa-p256-intermediate";
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// An NRF with a CMP port.
pub(crate) struct Scene {
    pub(crate) service: Service,
    pub(crate) port: Arc<CmpPort>,
    /// The NRF's own certificates, an MTC and an X.509 one.
    pub(crate) own: [Vec<u8>; 2],
    _store: Store,
}

/// A reference number and its secret.
pub(crate) struct Shared {
    pub(crate) reference: String,
    pub(crate) secret: Zeroizing<String>,
}

impl Shared {
    fn protects(&self) -> Protection<'_> {
        Protection::Secret {
            reference: &self.reference,
            secret: &self.secret,
        }
    }
}

pub(crate) fn new_key(algorithm: KeyAlgorithm) -> NfKey {
    NfKey::generate(algorithm).expect("randomness")
}

impl Scene {
    pub(crate) async fn start() -> Self {
        let service = Service::start();
        let key = new_key(KeyAlgorithm::EcdsaP256);
        let fqdn = "nrf1.5gc.mnc001.mcc001.3gppnetwork.org".to_owned();
        let request = csr::create(&key, NRF, std::slice::from_ref(&fqdn)).expect("it signs");
        let request = Csr::parse_and_verify(&request).expect("a request");
        let subject = NfSubject::new("DE", HOME_DOMAIN, NRF, &["NRF".to_owned()], &[fqdn]);
        let subject = subject.expect("a subject");
        let root = service.enrolment.baselines[0].root().to_vec();
        let trust = X509Trust::new(BASELINE, &root).expect("a root");
        let mut set = CredentialSet::new(MtcTrust::new(service.trust()), vec![trust]);
        let mut own = Vec::new();
        for profile in [MTC_PROFILE, X509] {
            let issued = service.enrolment.certify(profile, &request, &subject).await;
            let chain = issued.expect("issued").chain_der().expect("a chain");
            own.push(chain[0].clone());
            let not_after = Clock::default().now().plus(crate::mtca::LIFETIME);
            let credential = Credential::new(chain, &key, not_after).expect("of this key");
            if profile == MTC_PROFILE {
                set.mtc.push(MtcCredential::new(credential, None));
            } else {
                set.x509.push(X509Credential {
                    profile: BASELINE,
                    credential,
                });
            }
        }
        let store = Store::new(set);
        let mut scene = Self {
            port: Arc::new(port(&service, &store, &subject)),
            service,
            own: own.try_into().expect("two"),
            _store: store,
        };
        // As after a restart.
        scene.port = Arc::new(port(&scene.service, &scene._store, &subject));
        scene
    }

    /// What the authority mints for the AMF.
    pub(crate) fn mint(&self) -> Shared {
        self.mint_of(&claims())
    }

    fn mint_of(&self, claims: &EnrolmentClaims) -> Shared {
        Shared {
            reference: self.service.authority.mint(claims),
            secret: SharedSecrets::new(KEY).expect("a key").of(claims.jti),
        }
    }

    async fn send(&self, draft: &Draft<'_>) -> Vec<u8> {
        self.port.answer(&draft.encode(), None).await
    }

    async fn ask(&self, draft: &Draft<'_>) -> Answer {
        Answer::read(&self.send(draft).await)
    }

    /// The AMF, enrolled.
    async fn enrolled(&self, profile: &str, algorithm: KeyAlgorithm) -> (Vec<u8>, NfKey) {
        let (key, shared) = (new_key(algorithm), self.mint());
        let draft = Draft::new(shared.protects(), request(IR, &key, &key, &[]));
        let answer = self.port.answer(&draft.encode(), Some(profile)).await;
        let certificate = Answer::read(&answer).certificate;
        (certificate.expect("issued"), key)
    }
}

fn port(service: &Service, store: &Store, subject: &NfSubject) -> CmpPort {
    CmpPort::new(
        service.enrolment.clone(),
        SharedSecrets::new(KEY).expect("a key"),
        Endpoint::new(store.receiver(), Clock::default()),
        &subject.name_der(),
    )
}

fn claims() -> EnrolmentClaims {
    EnrolmentClaims {
        iss: CMP_ISSUER.to_owned(),
        sub: AMF,
        nf_type: "AMF".to_owned(),
        fqdn: vec![FQDN.to_owned()],
        exp: Clock::default().unix_seconds() + 3600,
        jti: Uuid::new_v4(),
    }
}

fn refused(answer: &Answer, failure: Failure, text: &str) {
    assert_eq!(answer.failure, Some(failure as u32), "{answer:?}");
    assert!(answer.text.contains(text), "{answer:?}");
    assert_eq!(answer.certificate, None);
}

fn is_the_amf(certificate: &[u8]) {
    let identity = NfIdentity::from_certificate(certificate).expect("names an NF");
    assert_eq!(identity.instance_id, AMF);
    assert_eq!(identity.nf_types, ["AMF"]);
    assert_eq!(identity.fqdns, [FQDN]);
}

#[tokio::test]
async fn a_secret_brings_one_certificate_as_often_as_it_is_asked_for() {
    let scene = Scene::start().await;
    let (shared, key) = (scene.mint(), new_key(KeyAlgorithm::MlDsa65));
    let mut draft = Draft::new(shared.protects(), request(IR, &key, &key, &[]));
    draft.implicit_confirm = false;
    let answered = scene.send(&draft).await;
    assert!(is_by_secret(&answered, &shared.secret));
    let first = Answer::read(&answered);
    assert_eq!((first.body, first.status), (1, Some(0)));
    let certificate = first.certificate.expect("issued");
    is_the_amf(&certificate);
    scene.service.trust().verify_issuance(&certificate).unwrap();
    assert_eq!(
        Certificate::parse(&certificate).unwrap().spki,
        key.spki_der()
    );

    let wrong = Draft::after(&answered, shared.protects(), confirmation(&[7; 32]));
    let answered = scene.send(&wrong).await;
    refused(&Answer::read(&answered), Failure::BadCertId, "certHash");
    let hash = digest(&SHA256, &certificate);
    // Of a request that was none of this transaction.
    let other = confirmation_of(hash.as_ref(), 1);
    let answered = scene
        .send(&Draft::after(&answered, shared.protects(), other))
        .await;
    refused(&Answer::read(&answered), Failure::BadRequest, "certReqId");
    let confirm = Draft::after(&answered, shared.protects(), confirmation(hash.as_ref()));
    let confirmed = scene.ask(&confirm).await;
    assert_eq!(confirmed.body, 19, "{confirmed:?}");
    let again = scene.ask(&confirm).await;
    refused(&again, Failure::BadRecipientNonce, "recipNonce");

    // The answer was lost: the same key, and nothing else, gets the same certificate. ML-DSA signs at random.
    let again = Draft::new(shared.protects(), request(IR, &key, &key, &[]));
    assert_eq!(scene.ask(&again).await.certificate, Some(certificate));
    let other = new_key(KeyAlgorithm::EcdsaP256);
    let other = Draft::new(shared.protects(), request(IR, &other, &other, &[]));
    refused(
        &scene.ask(&other).await,
        Failure::NotAuthorized,
        "already used",
    );
}

#[tokio::test]
async fn a_message_that_nobody_known_protects_is_refused_with_the_reason() {
    let scene = Scene::start().await;
    let key = new_key(KeyAlgorithm::EcdsaP256);
    let body = || request(IR, &key, &key, &[]);
    let shared = scene.mint();
    let wrong = Protection::Secret {
        reference: &shared.reference,
        secret: "guessed",
    };
    refused(
        &scene.ask(&Draft::new(wrong, body())).await,
        Failure::BadMessageCheck,
        "the MAC",
    );
    let none = scene.ask(&Draft::new(Protection::None, body())).await;
    refused(&none, Failure::WrongIntegrity, "not protected");

    let stranger = Shared {
        reference: Authority::new().mint(&claims()),
        ..scene.mint()
    };
    let stranger = scene.ask(&Draft::new(stranger.protects(), body())).await;
    refused(&stranger, Failure::BadMessageCheck, "signature");
    // An enrolment token is no reference number: it needs no secret.
    let token = EnrolmentClaims {
        iss: ENROLMENT_ISSUER.to_owned(),
        ..claims()
    };
    let token = scene
        .ask(&Draft::new(scene.mint_of(&token).protects(), body()))
        .await;
    refused(&token, Failure::BadMessageCheck, "iss");
    let expired = EnrolmentClaims {
        exp: Clock::default().unix_seconds() - 1,
        ..claims()
    };
    let expired = scene
        .ask(&Draft::new(scene.mint_of(&expired).protects(), body()))
        .await;
    refused(&expired, Failure::NotAuthorized, "exp");

    let foreign = Scene::start().await;
    for profile in [MTC_PROFILE, X509] {
        let (leaf, key) = foreign.enrolled(profile, KeyAlgorithm::EcdsaP256).await;
        let leaf = leaf.as_slice();
        let foreign = scene
            .ask(&Draft::new(
                Protection::Certificate { leaf, key: &key },
                body(),
            ))
            .await;
        refused(&foreign, Failure::SignerNotTrusted, "certificate");
    }
    let (leaf, _) = scene.enrolled(MTC_PROFILE, KeyAlgorithm::EcdsaP256).await;
    let leaf = leaf.as_slice();
    let stolen = scene
        .ask(&Draft::new(
            Protection::Certificate { leaf, key: &key },
            body(),
        ))
        .await;
    refused(&stolen, Failure::BadMessageCheck, "protection");
}

#[tokio::test]
async fn a_message_that_is_sent_twice_or_out_of_its_time_is_refused() {
    let scene = Scene::start().await;
    let (shared, key) = (scene.mint(), new_key(KeyAlgorithm::EcdsaP256));
    let draft = || Draft::new(shared.protects(), request(IR, &key, &key, &[]));
    let now = Clock::default().now();
    for time in [now.0 - 400, now.0 + 400] {
        let skewed = Draft {
            time: Some(mtc_core::time::UnixTime(time)),
            ..draft()
        };
        let answered = scene.send(&skewed).await;
        refused(&Answer::read(&answered), Failure::BadTime, "clock");
        assert!(is_by_secret(&answered, &shared.secret));
    }
    let short = Draft {
        nonce: vec![1; 8],
        ..draft()
    };
    refused(&scene.ask(&short).await, Failure::BadSenderNonce, "16");
    let unnamed = Draft {
        transaction: Vec::new(),
        ..draft()
    };
    refused(
        &scene.ask(&unnamed).await,
        Failure::BadRequest,
        "transactionID",
    );
    let version = Draft {
        version: 1,
        ..draft()
    };
    refused(
        &scene.ask(&version).await,
        Failure::UnsupportedVersion,
        "pvno",
    );

    let once = draft();
    assert!(scene.ask(&once).await.certificate.is_some());
    refused(
        &scene.ask(&once).await,
        Failure::TransactionIdInUse,
        "twice",
    );

    let (leaf, key) = scene.enrolled(MTC_PROFILE, KeyAlgorithm::EcdsaP256).await;
    let timeless = Draft {
        time: None,
        ..Draft::new(
            Protection::Certificate {
                leaf: &leaf,
                key: &key,
            },
            request(KUR, &key, &key, &[]),
        )
    };
    refused(&scene.ask(&timeless).await, Failure::BadTime, "messageTime");
}

#[tokio::test]
async fn a_request_for_what_the_secret_does_not_allow_costs_it_nothing() {
    let scene = Scene::start().await;
    let (shared, key) = (scene.mint(), new_key(KeyAlgorithm::EcdsaP256));
    let ask = async |body| scene.ask(&Draft::new(shared.protects(), body)).await;
    // subjectAltName of another instance.
    let other = csr::create(&key, NRF, &[FQDN.to_owned()]).expect("it signs");
    let at = other
        .windows(5)
        .position(|octets| octets == [6, 3, 0x55, 0x1d, 17]);
    let at = at.expect("a subjectAltName") - 2;
    let extension = &other[at..at + 2 + usize::from(other[at + 1])];
    let other = ask(request(IR, &key, &key, extension)).await;
    refused(&other, Failure::BadCertTemplate, &NRF.to_string());
    let unproven = ask(request(IR, &key, &new_key(KeyAlgorithm::EcdsaP256), &[])).await;
    refused(&unproven, Failure::BadPop, "popo");
    let kur = ask(request(KUR, &key, &key, &[])).await;
    refused(&kur, Failure::WrongIntegrity, "kur");
    let draft = Draft::new(shared.protects(), request(IR, &key, &key, &[]));
    let unknown = scene.port.answer(&draft.encode(), Some("x509-none")).await;
    refused(&Answer::read(&unknown), Failure::BadRequest, X509);
    assert!(
        ask(request(IR, &key, &key, &[]))
            .await
            .certificate
            .is_some()
    );
}

/// The same certificate in other octets, which is as good: a cosigner that nobody knows has signed it too.
fn with_another_cosignature(leaf: &[u8]) -> Vec<u8> {
    let parsed = Mtc::parse(leaf).expect("an MTC");
    let cosignature = |(cosigner_id, signature): (_, &[u8])| Cosignature {
        cosigner_id,
        signature: signature.to_vec(),
    };
    let mut signatures: Vec<_> = parsed.proof.signatures().map(cosignature).collect();
    let unknown = "32473.4711".parse().expect("an ID");
    signatures.push(cosignature((unknown, b"nobody knows")));
    let proof = MtcProof {
        extensions: parsed.log_entry().expect("an entry").extensions,
        subtree: parsed.proof.subtree,
        inclusion_proof: parsed.proof.inclusion_proof.to_vec(),
        signatures,
    };
    with_proof(leaf, &proof).expect("within bounds")
}

#[tokio::test]
async fn a_certificate_is_replaced_and_revoked_by_its_holder_alone() {
    let scene = Scene::start().await;
    for (profile, algorithm, own) in [
        (MTC_PROFILE, KeyAlgorithm::MlDsa65, 0),
        (X509, KeyAlgorithm::EcdsaP256, 1),
    ] {
        let (leaf, key) = scene.enrolled(profile, algorithm).await;
        let held = || Protection::Certificate {
            leaf: &leaf,
            key: &key,
        };
        let next = new_key(algorithm);
        let update = Draft::new(held(), request(KUR, &next, &next, &[]));
        let answered = scene.port.answer(&update.encode(), Some(profile)).await;
        assert_eq!(signer_of(&answered), scene.own[own], "of the same profile");
        let answer = Answer::read(&answered);
        assert_eq!((answer.body, answer.status), (8, Some(0)), "{answer:?}");
        let renewed = answer.certificate.expect("issued");
        is_the_amf(&renewed);

        let serial = |certificate| Certificate::parse(certificate).unwrap().serial.to_vec();
        let other = Draft::new(held(), revocation(&leaf, &serial(&renewed)));
        let other = scene.ask(&other).await;
        refused(&other, Failure::NotAuthorized, "itself");
        // Whatever comes of it, rr is answered with rp. It was an error.
        assert_eq!((other.body, other.status), (12, Some(2)), "{other:?}");
        let itself = || Draft::new(held(), revocation(&leaf, &serial(&leaf)));
        let revoked = scene.ask(&itself()).await;
        assert_eq!((revoked.body, revoked.status), (12, Some(0)), "{revoked:?}");
        refused(&scene.ask(&itself()).await, Failure::CertRevoked, "revoked");
        let update = Draft::new(held(), request(KUR, &next, &next, &[]));
        refused(&scene.ask(&update).await, Failure::CertRevoked, "revoked");
        let files = fs::read_dir(scene.service.file("revoked")).unwrap();
        assert_eq!(files.count(), own + 1);
        if profile == MTC_PROFILE {
            let again = with_another_cosignature(&leaf);
            let held = Protection::Certificate {
                leaf: &again,
                key: &key,
            };
            let update = Draft::new(held, request(KUR, &next, &next, &[]));
            refused(&scene.ask(&update).await, Failure::CertRevoked, "revoked");
        }
    }
    let shared = scene.mint();
    let (leaf, _) = scene.enrolled(MTC_PROFILE, KeyAlgorithm::EcdsaP256).await;
    let serial = Certificate::parse(&leaf).unwrap().serial;
    let by_secret = Draft::new(shared.protects(), revocation(&leaf, serial));
    let by_secret = scene.ask(&by_secret).await;
    refused(&by_secret, Failure::WrongIntegrity, "rr");
    assert_eq!(by_secret.body, 12);
}

// Its issuer was not looked at: another CA's certificate may have the same serial number.
#[tokio::test]
async fn the_certificate_that_is_replaced_is_named_by_issuer_and_serial_number() {
    let scene = Scene::start().await;
    let (leaf, key) = scene.enrolled(X509, KeyAlgorithm::EcdsaP256).await;
    let own = Certificate::parse(&leaf).unwrap();
    let other = Certificate::parse(&scene.own[0]).unwrap();
    let next = new_key(KeyAlgorithm::EcdsaP256);
    for (issuer, serial, is_own) in [
        (own.statement.issuer, own.serial, true),
        (other.statement.issuer, own.serial, false),
        (own.statement.issuer, other.serial, false),
    ] {
        let held = Protection::Certificate {
            leaf: &leaf,
            key: &key,
        };
        let draft = Draft::new(held, update(&next, issuer, serial));
        let answer = scene.port.answer(&draft.encode(), Some(X509)).await;
        let answer = Answer::read(&answer);
        if is_own {
            assert!(answer.certificate.is_some(), "{answer:?}");
        } else {
            refused(&answer, Failure::BadCertId, "oldCertID");
        }
    }
}

// It was issued again, revoked as it was.
#[tokio::test]
async fn a_certificate_that_was_rejected_is_not_given_again() {
    let scene = Scene::start().await;
    for profile in [MTC_PROFILE, X509] {
        let (shared, key) = (scene.mint(), new_key(KeyAlgorithm::EcdsaP256));
        let first = || Draft {
            implicit_confirm: false,
            ..Draft::new(shared.protects(), request(IR, &key, &key, &[]))
        };
        let answered = scene.port.answer(&first().encode(), Some(profile)).await;
        assert!(Answer::read(&answered).certificate.is_some());
        let reject = Draft::after(&answered, shared.protects(), rejection());
        assert_eq!(scene.ask(&reject).await.body, 19);
        let again = scene.port.answer(&first().encode(), Some(profile)).await;
        refused(&Answer::read(&again), Failure::CertRevoked, "rejected");
    }
}

// What a client wrote went into the log as it was, line breaks too.
#[tokio::test]
async fn names_of_others_are_answered_as_escapes() {
    let scene = Scene::start().await;
    let (shared, key) = (scene.mint(), new_key(KeyAlgorithm::EcdsaP256));
    let draft = Draft::new(shared.protects(), request(IR, &key, &key, &[]));
    let answer = scene
        .port
        .answer(&draft.encode(), Some("a\n\u{1b}[2Jb"))
        .await;
    refused(
        &Answer::read(&answer),
        Failure::BadRequest,
        r#""a\n\u{1b}[2Jb""#,
    );
}

#[tokio::test]
async fn a_certificate_that_takes_its_time_is_polled_for() {
    let scene = Scene::start().await;
    let (shared, key) = (scene.mint(), new_key(KeyAlgorithm::EcdsaP256));
    scene.service.set_witness_down(true);
    tokio::time::pause();
    let draft = Draft::new(shared.protects(), request(IR, &key, &key, &[]));
    let mut answered = scene.send(&draft).await;
    let waiting = Answer::read(&answered);
    assert_eq!((waiting.body, waiting.status), (1, Some(3)), "{waiting:?}");
    tokio::time::resume();
    scene.service.set_witness_down(false);
    let certificate = loop {
        let next = Draft::after(&answered, shared.protects(), poll());
        answered = scene.send(&next).await;
        let answer = Answer::read(&answered);
        match answer.body {
            26 => {}
            body => {
                assert_eq!((body, answer.status), (1, Some(0)), "{answer:?}");
                break answer.certificate.expect("issued");
            }
        }
    };
    is_the_amf(&certificate);
    let over = Draft::after(&answered, shared.protects(), poll());
    refused(&scene.ask(&over).await, Failure::BadRequest, "nothing");
}

#[tokio::test]
async fn whatever_comes_is_answered_and_costs_no_more_than_its_bytes() {
    let scene = Scene::start().await;
    let (shared, key) = (scene.mint(), new_key(KeyAlgorithm::EcdsaP256));
    let whole = Draft::new(shared.protects(), request(IR, &key, &key, &[])).encode();
    let unread = Failure::BadDataFormat as u32;
    for end in 0..whole.len() {
        let answer = Answer::read(&scene.port.answer(&whole[..end], None).await);
        assert_eq!(answer.failure, Some(unread), "cut at {end}");
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x20;
        let answer = Answer::read(&scene.port.answer(&damaged, None).await);
        assert!(answer.failure.is_some(), "changed at {at}: {answer:?}");
    }
    let long = vec![0x30; cmp::MAX_MESSAGE + 1];
    let answer = Answer::read(&scene.port.answer(&long, None).await);
    refused(&answer, Failure::BadDataFormat, "bytes");
    // Nothing was issued for any of them.
    assert!(
        Answer::read(&scene.port.answer(&whole, None).await)
            .certificate
            .is_some()
    );
}
