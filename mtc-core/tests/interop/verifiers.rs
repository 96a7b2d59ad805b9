//! Two verifiers of the same wire format, asked about the same certificates: `mtc_core::verify` and the crate `mtcs`.

use std::ops::RangeInclusive;

use mtc_core::ca::CaCertificate;
use mtc_core::cosign::{Cosigner, SignatureAlgorithm};
use mtc_core::verify::{
    Accepted, Basis, CaTrust, CosignerGroup, Rejection, RevokedRange, TrustedSubtree,
};
use mtcs::{Verification, VerificationKind, verify_certificate_ignoring_validity};

use test_support::mtca::{Mtca, Signer};

/// Whether mtcs 0.3.1 can read a bound from a CA certificate. Serial numbers go up to 2^64 - 1 (Section 7.1); DER puts a
/// zero octet before a number whose first bit is set, and mtcs skips it and then takes the number for negative.
pub(crate) const fn read_by_mtcs(bound: u64) -> bool {
    !bound.leading_zeros().is_multiple_of(8) || bound == 0
}

/// What each verifier says of a certificate.
pub(crate) type Verdicts = (Result<Accepted, Rejection>, mtcs::Result<Verification>);

/// Both verifiers with the same trust.
#[derive(Clone)]
pub(crate) struct Verifiers {
    pub(crate) ours: CaTrust,
    theirs: mtcs::TrustStore,
}

impl Verifiers {
    /// Trust in a CA as its certificate says, each verifier having read the certificate by itself.
    ///
    /// The certificate admits the serial numbers of the CA's log, as far as mtcs can read them.
    pub(crate) fn of(mtca: &Mtca) -> Self {
        Self::admitting(mtca, mtca.serials())
    }

    /// Both verifiers' trust in a CA that may issue the serial numbers `serials`, all positive.
    pub(crate) fn admitting(mtca: &Mtca, serials: RangeInclusive<u64>) -> Self {
        let der = mtca.ca_certificate(serials.clone());
        let ours = CaTrust::ca_alone(&CaCertificate::parse(&der).expect("our own CA certificate"));
        let readable = read_by_mtcs(*serials.start()) && read_by_mtcs(*serials.end());
        let ca = if readable {
            mtcs::CaTrust::from_ca_certificate(&der).expect("a CA certificate")
        } else {
            let der = mtca.ca_certificate(1..=1);
            let mut ca = mtcs::CaTrust::from_ca_certificate(&der).expect("a CA certificate");
            ca.revoked_ranges = vec![0..=serials.start() - 1];
            ca.revoked_ranges
                .extend(serials.end().checked_add(1).map(|first| first..=u64::MAX));
            ca
        };
        let mut theirs = mtcs::TrustStore::new();
        theirs.add_ca(ca);
        Self { ours, theirs }
    }

    /// Requires cosignatures of `required` of `witnesses` too.
    pub(crate) fn require<'a>(
        self,
        required: usize,
        witnesses: impl IntoIterator<Item = &'a Signer>,
    ) -> Self {
        let members: Vec<Cosigner> = witnesses
            .into_iter()
            .map(|one| one.cosigner.clone())
            .collect();
        let their_members = members.iter().map(cosigner_info).collect();
        let mut theirs = self.theirs;
        theirs.cas[0]
            .require_group(mtcs::CosignerGroup::new(their_members, required).expect("a quorum"))
            .expect("no group with the CA");
        let group = CosignerGroup::new(members, required).expect("a quorum");
        Self {
            ours: self.ours.require(group).expect("no group with the CA"),
            theirs,
        }
    }

    /// Trusts exactly these subtrees.
    pub(crate) fn trusting(mut self, subtrees: &[TrustedSubtree]) -> Self {
        self.ours = self.ours.with_trusted_subtrees(subtrees.iter().copied());
        self.theirs.cas[0].trusted_subtrees = subtrees
            .iter()
            .map(|trusted| mtcs::TrustedSubtree {
                log_number: trusted.log_number.get(),
                start: trusted.subtree.start(),
                end: trusted.subtree.end(),
                hash: trusted.hash,
            })
            .collect();
        self
    }

    /// Revokes serial numbers, first and last included.
    pub(crate) fn revoking(mut self, first: u64, last: u64) -> Self {
        self.ours.revoke(RevokedRange { first, last });
        self.theirs.cas[0].revoke_range(first, last);
        self
    }

    /// Asks both.
    pub(crate) fn ask(&self, certificate: &[u8]) -> Verdicts {
        (
            self.ours.verify_issuance(certificate),
            verify_certificate_ignoring_validity(&self.theirs, certificate),
        )
    }

    /// What both find in a certificate that both must accept.
    pub(crate) fn accept(&self, certificate: &[u8]) -> Accepted {
        let (ours, theirs) = self.ask(certificate);
        let ours = ours.expect("our verifier accepts");
        let theirs = theirs.expect("mtcs accepts");
        let kind = match ours.basis {
            Basis::TrustedSubtree => VerificationKind::LandmarkRelative,
            Basis::Cosignatures | Basis::VerifiedSubtree => VerificationKind::Standalone,
        };
        assert_eq!(theirs.kind, kind);
        assert_eq!(
            (theirs.log_number, theirs.entry_index),
            (ours.log_number.get(), ours.index.0)
        );
        assert_eq!(
            (theirs.subtree.start, theirs.subtree.end),
            (ours.subtree.start(), ours.subtree.end())
        );
        ours
    }

    /// Why each rejects a certificate that both must reject.
    pub(crate) fn reject(&self, certificate: &[u8]) -> (Rejection, mtcs::Error) {
        let (ours, theirs) = self.ask(certificate);
        (
            ours.expect_err("our verifier rejects"),
            theirs.expect_err("mtcs rejects"),
        )
    }
}

fn cosigner_info(cosigner: &Cosigner) -> mtcs::CosignerInfo {
    mtcs::CosignerInfo {
        id: mtcs::TrustAnchorId::from_binary(cosigner.id.as_bytes()).expect("a trust anchor ID"),
        algorithm: match cosigner.key.algorithm() {
            SignatureAlgorithm::Ed25519 => mtcs::SignatureAlgorithm::Ed25519,
            SignatureAlgorithm::EcdsaP256 => mtcs::SignatureAlgorithm::EcdsaP256Sha256,
            SignatureAlgorithm::EcdsaP384 => mtcs::SignatureAlgorithm::EcdsaP384Sha384,
            SignatureAlgorithm::MlDsa44 => mtcs::SignatureAlgorithm::MlDsa44,
            SignatureAlgorithm::MlDsa65 => mtcs::SignatureAlgorithm::MlDsa65,
            SignatureAlgorithm::MlDsa87 => mtcs::SignatureAlgorithm::MlDsa87,
        },
        spki_der: cosigner.key.to_spki(),
    }
}
