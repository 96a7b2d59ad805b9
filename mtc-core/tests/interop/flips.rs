//! Single-bit damage, and which of it may go unnoticed.

use std::collections::BTreeSet;

use mtc_core::certificate::Certificate;
use mtc_core::id::TrustAnchorId;

use crate::verifiers::Verifiers;

/// A single-bit change: which byte, which bit.
pub(crate) type Flip = (usize, u32);

pub(crate) fn flipped(certificate: &[u8], (position, bit): Flip) -> Vec<u8> {
    let mut damaged = certificate.to_vec();
    damaged[position] ^= 1 << bit;
    damaged
}

/// Every bit of every byte.
pub(crate) fn every_bit(certificate: &[u8]) -> impl Iterator<Item = Flip> + use<> {
    (0..certificate.len()).flat_map(|position| (0..8).map(move |bit| (position, bit)))
}

/// One bit of every `step`-th byte, another one each time.
pub(crate) fn some_bits(certificate: &[u8], step: usize) -> impl Iterator<Item = Flip> + use<> {
    (0..certificate.len())
        .step_by(step)
        .map(move |position| (position, (position / step) as u32 % 8))
}

/// Which flips are not noticed, and by whom.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unnoticed {
    pub(crate) by_both: BTreeSet<Flip>,
    pub(crate) by_mtcs_alone: BTreeSet<Flip>,
    pub(crate) by_us_alone: BTreeSet<Flip>,
}

impl Unnoticed {
    pub(crate) fn of(
        verifiers: &Verifiers,
        certificate: &[u8],
        flips: impl Iterator<Item = Flip>,
    ) -> Self {
        let mut unnoticed = Self::default();
        for flip in flips {
            let (ours, theirs) = verifiers.ask(&flipped(certificate, flip));
            match (ours.is_ok(), theirs.is_ok()) {
                (true, true) => unnoticed.by_both.insert(flip),
                (false, true) => unnoticed.by_mtcs_alone.insert(flip),
                (true, false) => unnoticed.by_us_alone.insert(flip),
                (false, false) => continue,
            };
        }
        unnoticed
    }

    pub(crate) fn among(&self, flips: &BTreeSet<Flip>) -> Self {
        Self {
            by_both: &self.by_both & flips,
            by_mtcs_alone: &self.by_mtcs_alone & flips,
            by_us_alone: &self.by_us_alone & flips,
        }
    }
}

/// The flips in the cosignature of somebody whom the verifiers do not know, or do not ask: those of all its bits, and
/// those of the cosigner's ID that leave an ID. (They must also leave the order, which this one's ID does by being last.)
pub(crate) fn ignored_flips(certificate: &[u8], cosigner: &TrustAnchorId) -> Unnoticed {
    let parsed = Certificate::parse(certificate).expect("our own certificate");
    let (_, signature) = parsed
        .proof
        .signatures()
        .find(|(id, _)| id == cosigner)
        .expect("cosigned");
    let find = |part: &[u8]| {
        let mut windows = certificate.windows(part.len());
        windows
            .position(|window| window == part)
            .expect("part of it")
    };
    let signature_start = find(signature);
    let id_start = signature_start - 2 - cosigner.as_bytes().len();
    assert_eq!(
        &certificate[id_start..signature_start - 2],
        cosigner.as_bytes()
    );

    let mut ignored = Unnoticed::default();
    for position in signature_start..signature_start + signature.len() {
        ignored.by_both.extend((0..8).map(|bit| (position, bit)));
    }
    for (offset, bit) in every_bit(cosigner.as_bytes()) {
        let id = flipped(cosigner.as_bytes(), (offset, bit));
        let flip = (id_start + offset, bit);
        if TrustAnchorId::from_bytes(&id).is_ok() {
            ignored.by_both.insert(flip);
        } else if id.starts_with(&[0x80]) {
            // A component must be minimally encoded (X.690 clause 8.20.2), which mtcs does not
            // check. Rejecting is right: otherwise one certificate has several encodings.
            ignored.by_mtcs_alone.insert(flip);
        }
    }
    ignored
}
