//! Revoked ranges of serial numbers (Section 7.5), in whatever order and however they overlap.

use mtc_core::ca::CaCertificate;
use mtc_core::id::{EntryIndex, TreeSize};
use mtc_core::tree::Subtree;
use mtc_core::verify::{CaTrust, Rejection, RevokedRange};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};

use crate::{log_of, serial_of, trust_in};

/// Ends of ranges: about the serial numbers of a log of eight entries, and at the ends of all.
fn bound() -> impl Strategy<Value = u64> {
    let first = 1_u64 << 48;
    prop_oneof![
        8 => first - 3..first + 12,
        1 => Just(0),
        1 => Just(u64::MAX),
    ]
}

#[test]
fn a_serial_number_is_revoked_when_some_range_holds_it() {
    let mtca = log_of(1, 8);
    let whole = Subtree::whole(TreeSize(8));
    let trusting = trust_in(&mtca.ca).with_trusted_subtrees([mtca.trusted(whole)]);
    let certificates: Vec<_> = (0..8)
        .map(|index| (serial_of(&mtca, index), mtca.certificate(index, whole, &[])))
        .collect();
    proptest!(|(ranges in vec((bound(), bound()), 0..6))| {
        let mut trust = trusting.clone();
        for (first, last) in &ranges {
            trust.revoke(RevokedRange { first: *first, last: *last });
        }
        for (serial, certificate) in &certificates {
            let revoked = ranges.iter().any(|(first, last)| (first..=last).contains(&serial));
            let verdict = trust.verify_issuance(certificate).map(|accepted| accepted.index);
            let expected = if revoked {
                Err(Rejection::Revoked(*serial))
            } else {
                Ok(EntryIndex(serial - (1 << 48)))
            };
            prop_assert_eq!(verdict, expected, "{:?}", ranges);
        }
    });
}

/// `[0, minSerial)` and `(maxSerial, 2^64)` of the CA certificate (Section 5.5).
#[test]
fn serial_numbers_outside_the_range_of_the_ca_are_never_accepted() {
    let mtca = log_of(2, 3);
    let whole = Subtree::whole(TreeSize(3));
    for (min_serial, max_serial, accepted) in [
        (0, u64::MAX, [true, true, true]),
        (serial_of(&mtca, 1), u64::MAX, [false, true, true]),
        (0, serial_of(&mtca, 1), [true, true, false]),
        (
            serial_of(&mtca, 1),
            serial_of(&mtca, 1),
            [false, true, false],
        ),
        (0, 0, [false; 3]),
        (u64::MAX, u64::MAX, [false; 3]),
    ] {
        let trust = CaTrust::ca_alone(&CaCertificate {
            cosigner: mtca.ca.cosigner.clone(),
            min_serial,
            max_serial,
            prefix_url: None,
        });
        for (index, accepted) in (0..).zip(accepted) {
            let verdict = trust.verify_issuance(&mtca.certificate(index, whole, &[&mtca.ca]));
            let outside = Err(Rejection::OutsideRange {
                serial: serial_of(&mtca, index),
                first: min_serial,
                last: max_serial,
            });
            assert!(verdict.is_ok() == accepted, "{verdict:?}");
            assert!(accepted || verdict == outside, "{verdict:?}");
        }
    }
}
