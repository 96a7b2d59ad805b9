//! The witness behind real HTTP, as c2sp.org/tlog-witness has it: HTTP/1.1, and HTTP/2 with prior knowledge.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ALLOW, CONTENT_TYPE, HOST};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use mtc_core::checkpoint::verify_subtree_line;
use mtc_core::cosign::{Cosigner, SecretKey, SignatureAlgorithm};
use mtc_core::id::{LogId, LogNumber, TrustAnchorId};
use mtc_core::note::SignedNote;
use mtc_core::time::UnixTime;
use mtc_core::tree::{Hash, Subtree};
use mtc_log::{
    AddCheckpoint, CaCheckpoint, CosigningKey, DirectoryStorage, IssuanceLog, MAX_REQUEST_SIZE,
    SignSubtree, TreeReader, WitnessStore, WitnessedLog,
};
use mtc_tls::endpoint::Clock;
use nf_scp::witness_api::WitnessApi;
use sbi::client::{Connection, Request};
use sbi::response::Response;
use sbi::server::{self, serve_cleartext};
use sbi::uri::Scheme;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::DuplexStream;

const LOGGED_AT: UnixTime = UnixTime(1_800_000_000);
const DEADLINE: Duration = Duration::from_secs(10);
const AUTHORITY: &str = "scp1.example.org:7001";
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
/// Far enough from the system's clock to tell whose time a cosignature has.
const CLOCK: Clock = Clock {
    offset_seconds: 1_000_000_000,
};

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

const PROTOCOLS: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// A CA key and the log that it signs.
struct Ca {
    secret: Vec<u8>,
    log: LogId,
}

impl Ca {
    fn new() -> Self {
        Self {
            secret: new_secret(),
            log: LogId::new(id("32473.1"), LogNumber::FIRST).expect("a short ID"),
        }
    }

    fn key(&self) -> CosigningKey {
        cosigning_key(*self.log.ca(), &self.secret)
    }

    fn cosigner(&self) -> Cosigner {
        self.key().cosigner().clone()
    }

    /// A log with these entries, and its checkpoints after each.
    fn log<const N: usize>(
        &self,
        folder: &TempDir,
        batches: [Vec<Vec<u8>>; N],
    ) -> (IssuanceLog, [CaCheckpoint; N]) {
        let name = format!("log {}", rand_name(batches.as_flattened_names()));
        let storage = DirectoryStorage::create(folder.path().join(name)).expect("a new folder");
        let mut log = IssuanceLog::create(Arc::new(storage), self.log, self.key(), LOGGED_AT)
            .expect("an empty storage");
        let checkpoints = batches.map(|batch| {
            log.append(&batch, LOGGED_AT)
                .expect("the storage works")
                .checkpoint
        });
        (log, checkpoints)
    }
}
