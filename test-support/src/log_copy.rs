//! The issuance log as anybody can read it over HTTP, hashed again by the test.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::Method;
use mtc_core::certificate::Certificate;
use mtc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mtc_core::cosign::Cosigner;
use mtc_core::id::{LogId, TreeSize};
use mtc_core::tile::{TILE_WIDTH, TileKind, TilePath};
use mtc_core::tree::{Hash, MemoryTree, leaf_hash};
use mtc_core::verify::Basis;
use mtc_core::wire;
use sbi::client::{Connection, Request};
use sbi::trust_file::TrustFile;

const DEADLINE: Duration = Duration::from_secs(10);

/// Every entry of a log's newest checkpoint.
pub struct LogCopy {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    leaves: Vec<Hash>,
}

impl LogCopy {
    /// Reads the log at `addr`. Its checkpoint is cosigned by the CA and as many witnesses as are asked for, and its entries hash to it.
    pub async fn read(addr: SocketAddr, trust: &TrustFile) -> Self {
        let connection = Connection::connect_cleartext(addr, DEADLINE)
            .await
            .expect("the log answers");
        let get = async |path: String| {
            let request = Request::new(Method::GET, addr.to_string(), path);
            connection
                .call(request, DEADLINE)
                .await
                .expect("the log serves it")
                .body
        };
        let log = LogId::new(*trust.trust.id(), trust.logs[0]).expect("log exists");
        let number = log.number();
        let note = get(format!("/{number}/checkpoint")).await;
        let signed = SignedCheckpoint::parse(&note, &log).expect("a checkpoint of this log");
        let is_signed = |cosigner: &Cosigner| signed.verify(&log, cosigner).is_ok();
        assert!(is_signed(trust.trust.cosigner()), "signed by the CA");
        for group in trust.trust.groups() {
            let checked = group.check(|witness| Some(is_signed(witness)));
            checked.expect("cosigned");
        }
        let checkpoint = signed.checkpoint;
        let mut leaves = Vec::new();
        for first in (0..checkpoint.size.0).step_by(usize::try_from(TILE_WIDTH).expect("256")) {
            let bundle =
                TilePath::holding(TileKind::Entries, first, checkpoint.size).expect("inside");
            let bytes = get(format!("/{number}/{bundle}")).await;
            let mut reader = wire::Reader::new(&bytes);
            while !reader.is_empty() {
                leaves.push(leaf_hash(
                    reader
                        .vector(2)
                        .expect("entries have a length of two bytes"),
                ));
            }
        }
        let copy = Self { checkpoint, leaves };
        assert_eq!(copy.root_at(copy.checkpoint.size), copy.checkpoint.root);
        copy
    }

    /// The root of the first `size` entries.
    pub fn root_at(&self, size: TreeSize) -> Hash {
        let size = usize::try_from(size.0).expect("small log");
        self.leaves[..size]
            .iter()
            .copied()
            .collect::<MemoryTree>()
            .root()
    }

    /// Fails unless the certificate's cosignatures satisfy the policy and its entry is in the log.
    pub fn expect_certified(&self, certificate: &[u8], trust: &TrustFile) {
        let accepted = trust
            .trust
            .verify_issuance(certificate)
            .expect("the certificate verifies");
        // The trust file's trust remembers what it has verified.
        assert!(matches!(
            accepted.basis,
            Basis::Cosignatures | Basis::VerifiedSubtree
        ));
        let parsed = Certificate::parse(certificate).expect("the certificate is an MTC");
        let index = usize::try_from(accepted.index.0).expect("small log");
        assert_eq!(
            self.leaves.get(index),
            Some(&parsed.leaf_hash()),
            "entry {index}"
        );
    }
}
