//! Certificates that are not the CA's, or not as it made and logged them.

use mtc_core::verify::{PolicyError, Rejection, RevokedRange};
use mtc_tls::credentials::{
    Credential, CredentialSet, LandmarkCredential, MtcCredential, MtcTrust,
};
use mtc_tls::handshake::{HandshakeError, connect};
use mtc_tls::key::{Intermediates, X509Profile};
use mtc_tls::kind::CertificateKind;
use mtc_tls::peer::VerifyError;
use mtc_tls::profile::TrustDomain;
use rustls::{AlertDescription, CertificateError};

use super::{LEAF_KEY, NEWEST, refused_by_client, refused_by_server};
use crate::baseline::Baseline;
use crate::lab::{DIRECT, INTERMEDIATE, Lab, OWN_LANDMARK, endpoint, profile};
use crate::nf::Nf;
use crate::raw::Claims;
use crate::server::{Server, TIMEOUT};

use TrustDomain::{MtcLandmark, MtcStandalone, X509};

#[tokio::test]
async fn a_server_of_another_mtca_is_refused() {
    let (lab, other) = (Lab::new(), Lab::of_ca("32473.2"));
    let client = lab.amf_endpoint(NEWEST);
    for domain in [MtcLandmark, MtcStandalone] {
        let server = other.smf_endpoint(NEWEST);
        let (why, alert) =
            refused_by_client(server, &client, profile(domain), other.smf.expected()).await;
        let wanted = lab.mtca.ca.id();
        assert!(
            matches!(&*why, VerifyError::Mtc(Rejection::UnknownIssuer(ca)) if *ca == wanted),
            "{why:?}"
        );
        assert_eq!(alert, AlertDescription::UnknownCA);
    }
}

#[tokio::test]
async fn a_client_of_another_mtca_is_refused() {
    let (lab, other) = (Lab::new(), Lab::of_ca("32473.2"));
    let foreign = CredentialSet {
        mtc: other.set(&other.amf, None).mtc,
        ..lab.bare_set(lab.mtca.trust(), NEWEST)
    };
    let server = lab.smf_endpoint(NEWEST);
    let (why, alert) = refused_by_server(
        server,
        &endpoint(foreign),
        profile(MtcStandalone),
        lab.smf.expected(),
    )
    .await;
    assert!(
        matches!(&*why, VerifyError::Mtc(Rejection::UnknownIssuer(_))),
        "{why:?}"
    );
    assert_eq!(alert, AlertDescription::UnknownCA);
}

#[tokio::test]
async fn an_impostor_with_the_id_of_the_mtca_is_refused() {
    let (lab, impostor) = (Lab::new(), Lab::new());
    let id = lab.mtca.ca.id();
    let standalone = impostor.smf_endpoint(None);
    let (why, alert) = refused_by_client(
        standalone,
        &lab.amf_endpoint(None),
        profile(MtcStandalone),
        impostor.smf.expected(),
    )
    .await;
    let VerifyError::Mtc(Rejection::Policy(error)) = &*why else {
        panic!("{why:?}")
    };
    assert_eq!(
        (error, alert),
        (
            &PolicyError::Invalid(id),
            AlertDescription::CertificateUnknown
        )
    );

    let subtree = impostor
        .mtca
        .landmark_subtree(impostor.index_of(&impostor.smf, LEAF_KEY));
    let landmark = impostor.smf_endpoint(NEWEST);
    let client = lab.amf_endpoint(NEWEST);
    let (why, _) = refused_by_client(
        landmark,
        &client,
        profile(MtcLandmark),
        impostor.smf.expected(),
    )
    .await;
    let VerifyError::Mtc(error) = &*why else {
        panic!("{why:?}")
    };
    assert_eq!(error, &Rejection::TrustedSubtreeMismatch(subtree));
}

#[tokio::test]
async fn an_impostor_with_the_name_of_an_x509_root_is_refused() {
    let (lab, impostor) = (Lab::new(), Lab::new());
    for domain in [X509(DIRECT), X509(INTERMEDIATE)] {
        let server = impostor.smf_endpoint(NEWEST);
        let client = lab.amf_endpoint(NEWEST);
        let (why, alert) =
            refused_by_client(server, &client, profile(domain), impostor.smf.expected()).await;
        let VerifyError::X509(rustls::Error::InvalidCertificate(error)) = &*why else {
            panic!("{why:?}")
        };
        assert_eq!(*error, CertificateError::BadSignature);
        assert_eq!(alert, AlertDescription::DecryptError);
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_the_clients_root_falls_back_and_is_refused() {
    let lab = Lab::new();
    let mut ignorant = lab.set(&lab.smf, NEWEST);
    ignorant.x509_trust.clear();
    let (why, _) = refused_by_client(
        endpoint(ignorant),
        &lab.amf_endpoint(NEWEST),
        profile(X509(DIRECT)),
        lab.smf.expected(),
    )
    .await;
    assert!(matches!(*why, VerifyError::X509(_)), "{why:?}");
}

#[tokio::test]
async fn revoked_certificates_are_refused() {
    let lab = Lab::new();
    let revoking = |nf: &Nf, revoked: &Nf| {
        let mut set = lab.set(nf, NEWEST);
        let serial = lab.mtca.serial(lab.index_of(revoked, LEAF_KEY));
        let mut trust = lab.mtca.trust();
        trust.revoke(RevokedRange {
            first: serial,
            last: serial,
        });
        set.mtc_trust = lab.bare_set(trust, NEWEST).mtc_trust;
        (endpoint(set), serial)
    };
    let (client, of_smf) = revoking(&lab.amf, &lab.smf);
    let (_, of_amf) = revoking(&lab.smf, &lab.amf);
    for domain in [MtcLandmark, MtcStandalone] {
        let (profile, expected) = (profile(domain), lab.smf.expected());
        let (why, alert) =
            refused_by_client(lab.smf_endpoint(NEWEST), &client, profile, expected.clone()).await;
        assert!(
            matches!(*why, VerifyError::Mtc(Rejection::Revoked(serial)) if serial == of_smf),
            "{why:?}"
        );
        assert_eq!(alert, AlertDescription::CertificateRevoked);

        let (server, _) = revoking(&lab.smf, &lab.amf);
        let (why, alert) =
            refused_by_server(server, &lab.amf_endpoint(NEWEST), profile, expected).await;
        assert!(
            matches!(*why, VerifyError::Mtc(Rejection::Revoked(serial)) if serial == of_amf),
            "{why:?}"
        );
        assert_eq!(alert, AlertDescription::CertificateRevoked);
    }
}

/// Every so many bytes of a certificate one is changed, and the SMF presents it: it must be refused as not authentic.
async fn every_damage_is_refused(
    lab: &Lab,
    certificate: &[u8],
    step: usize,
    domain: TrustDomain,
    credential: impl Fn(Credential) -> MtcCredential,
) {
    let client = lab.amf_endpoint(NEWEST);
    let mut refused = 0;
    for position in (0..certificate.len()).rev().step_by(step) {
        let mut damaged = certificate.to_vec();
        damaged[position] ^= 1;
        // A certificate that cannot even be read, or has another key, never becomes a credential.
        let not_after = lab.validity.not_after;
        let Ok(damaged) = Credential::new(vec![damaged], lab.smf.key(LEAF_KEY), not_after) else {
            continue;
        };
        let server = endpoint(lab.set_with(credential(damaged)));
        let (why, _) =
            refused_by_client(server, &client, profile(domain), lab.smf.expected()).await;
        assert!(
            matches!(*why, VerifyError::Mtc(_)),
            "changed at {position}: {why:?}"
        );
        refused += 1;
    }
    assert!(
        refused > certificate.len() / step / 2,
        "{refused} of {} bytes every {step}",
        certificate.len()
    );
}

#[tokio::test]
async fn a_damaged_standalone_certificate_is_refused() {
    let lab = Lab::new();
    let certificate = lab.mtca.standalone(lab.index_of(&lab.smf, LEAF_KEY));
    let credential = |standalone| MtcCredential::new(standalone, None);
    every_damage_is_refused(&lab, &certificate, 67, MtcStandalone, credential).await;
}

#[tokio::test]
async fn a_damaged_landmark_relative_certificate_is_refused() {
    let lab = Lab::new();
    let whole = lab.mtc_credential(&lab.smf, LEAF_KEY);
    let landmark = whole.landmark.clone().unwrap();
    let credential = |credential| {
        let landmark = LandmarkCredential {
            credential,
            ..landmark.clone()
        };
        MtcCredential::new(whole.standalone.clone(), Some(landmark))
    };
    every_damage_is_refused(&lab, landmark.credential.leaf(), 7, MtcLandmark, credential).await;
}

#[tokio::test]
async fn damage_is_refused_for_what_it_damages() {
    let lab = Lab::new();
    let (witness, client) = (lab.mtca.witness.id(), lab.amf_endpoint(NEWEST));
    let damaged = |certificate: &[u8], from_end: usize| {
        let mut damaged = certificate.to_vec();
        let position = damaged.len() - from_end;
        damaged[position] ^= 1;
        lab.credential(&lab.smf, LEAF_KEY, vec![damaged])
    };
    let whole = lab.mtc_credential(&lab.smf, LEAF_KEY);

    // Cosignatures are in the order of IDs, hence the witness's is last.
    let standalone = damaged(whole.standalone.leaf(), 1);
    let server = endpoint(lab.set_with(MtcCredential::new(standalone, None)));
    let (why, alert) =
        refused_by_client(server, &client, profile(MtcStandalone), lab.smf.expected()).await;
    let VerifyError::Mtc(Rejection::Policy(error)) = &*why else {
        panic!("{why:?}")
    };
    let expected = PolicyError::Quorum {
        required: 1,
        valid: 0,
        missing: vec![],
        invalid: vec![witness],
    };
    assert_eq!(
        (error, alert),
        (&expected, AlertDescription::CertificateUnknown)
    );

    // The last hash of the inclusion proof is followed by the empty list of cosignatures and its three length bytes.
    let landmark = whole.landmark.clone().unwrap();
    let credential = damaged(landmark.credential.leaf(), 4);
    let landmark = LandmarkCredential {
        credential,
        ..landmark
    };
    let damaged = MtcCredential::new(whole.standalone, Some(landmark));
    let server = endpoint(lab.set_with(damaged));
    let (why, alert) =
        refused_by_client(server, &client, profile(MtcLandmark), lab.smf.expected()).await;
    let subtree = lab.mtca.landmark_subtree(lab.index_of(&lab.smf, LEAF_KEY));
    let VerifyError::Mtc(error) = &*why else {
        panic!("{why:?}")
    };
    assert_eq!(
        (error, alert),
        (
            &Rejection::TrustedSubtreeMismatch(subtree),
            AlertDescription::CertificateUnknown
        )
    );
}

#[tokio::test]
async fn a_certificate_without_the_witness_is_refused() {
    let lab = Lab::new();
    let quorum = PolicyError::Quorum {
        required: 1,
        valid: 0,
        missing: vec![lab.mtca.witness.id()],
        invalid: vec![],
    };
    let unwitnessed = |nf: &Nf| {
        let index = lab.index_of(nf, LEAF_KEY);
        let certificate =
            lab.mtca
                .certificate(index, lab.mtca.batch_subtree(index), &[&lab.mtca.ca]);
        endpoint(lab.set_with(lab.standalone_only(nf, certificate)))
    };
    let (profile, expected) = (profile(MtcStandalone), lab.smf.expected());
    let of_client = refused_by_client(
        unwitnessed(&lab.smf),
        &lab.amf_endpoint(NEWEST),
        profile,
        expected.clone(),
    )
    .await;
    let of_server = refused_by_server(
        lab.smf_endpoint(NEWEST),
        &unwitnessed(&lab.amf),
        profile,
        expected,
    )
    .await;
    for (why, alert) in [of_client, of_server] {
        let VerifyError::Mtc(Rejection::Policy(error)) = &*why else {
            panic!("{why:?}")
        };
        assert_eq!(
            (error, alert),
            (&quorum, AlertDescription::CertificateUnknown)
        );
    }
}

#[tokio::test]
async fn a_certificate_without_the_ca_is_refused() {
    let lab = Lab::new();
    let index = lab.index_of(&lab.smf, LEAF_KEY);
    let certificate =
        lab.mtca
            .certificate(index, lab.mtca.batch_subtree(index), &[&lab.mtca.witness]);
    let server = endpoint(lab.set_with(lab.standalone_only(&lab.smf, certificate)));
    let client = lab.amf_endpoint(NEWEST);
    let (why, _) =
        refused_by_client(server, &client, profile(MtcStandalone), lab.smf.expected()).await;
    let VerifyError::Mtc(Rejection::Policy(error)) = &*why else {
        panic!("{why:?}")
    };
    assert_eq!(error, &PolicyError::NoCaCosignature(lab.mtca.ca.id()));
}

#[tokio::test]
async fn another_hash_than_the_trusted_one_is_refused_whoever_cosigned_it() {
    let lab = Lab::new();
    let index = lab.index_of(&lab.smf, LEAF_KEY);
    let subtree = lab.mtca.landmark_subtree(index);
    let cosigned = lab
        .mtca
        .certificate(index, subtree, &[&lab.mtca.ca, &lab.mtca.witness]);
    let landmark = lab.landmark_credential(&lab.smf, LEAF_KEY, OWN_LANDMARK, cosigned);
    let standalone = lab.mtc_credential(&lab.smf, LEAF_KEY).standalone;
    let server = lab.set_with(MtcCredential::new(standalone, Some(landmark)));

    // Its cosignatures are good: whoever trusts no subtree accepts it.
    let mut client = lab.set(&lab.amf, None);
    let elsewhere = MtcTrust::new(lab.mtca.trust());
    client.mtc_trust = elsewhere
        .with_landmarks(lab.mtca.log_id(), OWN_LANDMARK, [])
        .unwrap();
    let listener = Server::start(endpoint(server.clone())).await;
    let (connected, _) = listener
        .meet(
            &endpoint(client.clone()),
            profile(MtcLandmark),
            lab.smf.expected(),
        )
        .await;
    assert_eq!(connected.cost.received, Some(CertificateKind::Standalone));

    let mut subtrees = lab.mtca.trusted_subtrees(OWN_LANDMARK);
    subtrees.iter_mut().for_each(|trusted| trusted.hash[0] ^= 1);
    client.mtc_trust = elsewhere
        .with_landmarks(lab.mtca.log_id(), OWN_LANDMARK, subtrees)
        .unwrap();
    let (why, alert) = refused_by_client(
        endpoint(server),
        &endpoint(client),
        profile(MtcLandmark),
        lab.smf.expected(),
    )
    .await;
    let VerifyError::Mtc(error) = &*why else {
        panic!("{why:?}")
    };
    assert_eq!(
        (error, alert),
        (
            &Rejection::TrustedSubtreeMismatch(subtree),
            AlertDescription::CertificateUnknown
        )
    );
}

#[tokio::test]
async fn a_server_that_presents_a_landmark_relative_certificate_to_one_without_landmarks_is_refused()
 {
    let lab = Lab::new();
    let (_, relative) = lab.mtca.landmark_relative(lab.index_of(&lab.smf, LEAF_KEY));
    let server = endpoint(lab.set_with(lab.standalone_only(&lab.smf, relative)));
    let client = lab.amf_endpoint(NEWEST);
    let (why, _) =
        refused_by_client(server, &client, profile(MtcStandalone), lab.smf.expected()).await;
    let VerifyError::Mtc(Rejection::Policy(error)) = &*why else {
        panic!("{why:?}")
    };
    assert_eq!(error, &PolicyError::NoCaCosignature(lab.mtca.ca.id()));
}

#[tokio::test]
async fn a_chain_of_another_baseline_is_refused() {
    let lab = Lab::new();
    // The chain comes from a CA of its own, whose name is none of the roots that the client trusts.
    let other = Baseline::new(
        X509Profile {
            intermediates: Intermediates::None,
            ..INTERMEDIATE
        },
        lab.validity,
    );
    let mut set = lab.set(&lab.smf, NEWEST);
    let mut credential = lab.x509_credential(&lab.smf, &other, LEAF_KEY);
    credential.profile = DIRECT;
    set.x509 = vec![credential];
    let client = lab.amf_endpoint(NEWEST);
    let (why, alert) = refused_by_client(
        endpoint(set),
        &client,
        profile(X509(DIRECT)),
        lab.smf.expected(),
    )
    .await;
    let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert!(
        matches!(&*why, VerifyError::X509(error) if *error == unknown),
        "{why:?}"
    );
    assert_eq!(alert, AlertDescription::UnknownCA);
}

#[tokio::test]
async fn a_peer_without_the_key_of_its_certificate_is_refused() {
    let lab = Lab::new();
    let direct = &lab.baselines[0];
    let leaf_of = |nf: &Nf, domain| {
        let mtc = lab.mtc_credential(nf, LEAF_KEY);
        match domain {
            X509(_) => lab.x509_credential(nf, direct, LEAF_KEY).credential,
            MtcLandmark => mtc.landmark.expect("of landmark 2").credential,
            _ => mtc.standalone,
        }
        .leaf()
        .to_vec()
    };
    let refused = |outcome: Result<(), HandshakeError>, domain| match outcome {
        Err(HandshakeError::Tls(rustls::Error::InvalidCertificate(error))) => {
            assert_eq!(error, CertificateError::BadSignature, "{domain}");
        }
        other => panic!("{domain}: {other:?}"),
    };
    let server = Server::start(lab.smf_endpoint(NEWEST)).await;
    let client = lab.amf_endpoint(NEWEST);
    for domain in [MtcLandmark, MtcStandalone, X509(DIRECT)] {
        let thief = async {
            let (tcp, shown) = (server.accept_tcp().await, leaf_of(&lab.smf, domain));
            let stolen_from = lab.amf.key(LEAF_KEY);
            Claims::names(&[]).accept(tcp, shown, stolen_from).await
        };
        let (connected, _) = tokio::join!(
            connect(
                server.addr(),
                &client,
                profile(domain),
                lab.smf.expected(),
                TIMEOUT
            ),
            thief
        );
        refused(connected.map(drop), domain);

        let hints = match domain {
            X509(_) => [direct.name.clone()],
            MtcLandmark => [lab
                .mtca
                .log_id()
                .landmark_group(OWN_LANDMARK)
                .unwrap()
                .to_name()],
            _ => [lab.mtca.ca.id().to_name()],
        };
        let shown = leaf_of(&lab.amf, domain);
        let thief = Claims::names(&hints).connect_as(server.addr(), shown, lab.smf.key(LEAF_KEY));
        let (_, accepted) = tokio::join!(thief, server.accept());
        refused(accepted.map(drop), domain);
    }
}
