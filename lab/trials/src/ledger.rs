//! What has been acknowledged, and whether the log, the witness and the registry still stand by it.

use std::collections::HashMap;
use std::time::Duration;

use lab::topology::LabFolder;
use mtc_core::certificate::Certificate;
use mtc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mtc_core::id::{EntryIndex, LogId};
use mtc_core::tree::Hash;
use sbi::credentials::ObtainError;
use sbi::trust_file::TrustFile;
use tokio::time::{Instant, sleep};

use crate::stage::Stage;
use crate::{Violation, violated};
use test_support::log_copy::LogCopy;
use test_support::test_nf::{TestNf, der, refusal};

/// How long issuance that is under way may take to be in the log.
const SETTLING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Every certificate that the NRF has acknowledged to this program.
#[derive(Default)]
pub(crate) struct Ledger {
    /// Leaf hash by index.
    leaves: HashMap<EntryIndex, Hash>,
    /// The newest checkpoint that was seen.
    seen: Option<Checkpoint>,
}

/// An enrolment that did not end with a certificate: whether it was carried out is unknown.
pub(crate) struct Refused {
    pub(crate) nf: TestNf,
    pub(crate) token: String,
    pub(crate) error: ObtainError,
}

impl Ledger {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Reads the log: it is what it was and more, its entries hash to what CA and witness have cosigned, and each of `new`
    /// verifies, has an entry in it, and an index of its own.
    ///
    /// # Errors
    /// An index was acknowledged twice, or the log shrank. What the shared support asserts panics.
    pub(crate) async fn check(&mut self, stage: &Stage, new: &[Vec<u8>]) -> Result<u64, Violation> {
        let trust = stage.trust();
        let copy = stage.read_log(&trust).await;
        if let Some(seen) = &self.seen {
            // All that was acknowledged before is below this root.
            if copy.checkpoint.size < seen.size || copy.root_at(seen.size) != seen.root {
                let now = copy.checkpoint.size;
                return Err(violated!(
                    "the log of {now} entries does not extend that of {}",
                    seen.size
                ));
            }
        }
        for certificate in new {
            self.acknowledge(&copy, &trust, certificate)?;
        }
        self.seen = Some(copy.checkpoint.clone());
        Ok(copy.checkpoint.size.0)
    }

    fn acknowledge(
        &mut self,
        copy: &LogCopy,
        trust: &TrustFile,
        certificate: &[u8],
    ) -> Result<(), Violation> {
        copy.expect_certified(certificate, trust);
        let accepted = trust.trust.verify_issuance(certificate);
        let index = accepted.expect("it has just been verified").index;
        let parsed = Certificate::parse(certificate).expect("it has just been verified");
        match self.leaves.insert(index, parsed.leaf_hash()) {
            None => Ok(()),
            Some(_) => Err(violated!("index {index} was acknowledged twice")),
        }
    }

    /// The witness's latest checkpoint is the one that the log shows, once nothing is being issued any more.
    ///
    /// # Errors
    /// It stays another, or there is none.
    pub(crate) async fn check_witness(&mut self, stage: &Stage) -> Result<(), Violation> {
        let deadline = Instant::now() + SETTLING;
        loop {
            self.check(stage, &[]).await?;
            let seen = self.seen.as_ref().expect("the log has just been read");
            let latest = witnessed(stage);
            if latest.as_ref() == Some(seen) {
                return Ok(());
            }
            // The SCP may be enrolling itself just now.
            if Instant::now() > deadline {
                return Err(violated!(
                    "the witness's latest checkpoint stays {latest:?}, the log's {seen:?}"
                ));
            }
            sleep(PAUSE).await;
        }
    }
}

/// The checkpoint that the witness has stored.
fn witnessed(stage: &Stage) -> Option<Checkpoint> {
    let trust = stage.trust();
    let log = LogId::new(*trust.trust.id(), trust.logs[0]).expect("the log exists");
    let entries = std::fs::read_dir(stage.path("state/witness/witness")).ok()?;
    let mut notes =
        entries.filter_map(|entry| std::fs::read(entry.ok()?.path().join("checkpoint")).ok());
    let signed = notes.find_map(|note| SignedCheckpoint::parse(&note, &log).ok())?;
    Some(signed.checkpoint)
}

/// A new network function with a token, which enrols.
pub(crate) async fn enrol(lab: &LabFolder, number: u16) -> Result<(TestNf, Vec<u8>), Box<Refused>> {
    let nf = TestNf::new(lab, number);
    let token = nf.token();
    match nf.enrol(&token).await {
        Ok(issued) => Ok((nf, der(&issued))),
        Err(error) => Err(Box::new(Refused { nf, token, error })),
    }
}

/// Asks again with the token of an enrolment whose end is unknown: a certificate if it is still good, none if it is used up.
///
/// # Errors
/// It is refused for another reason.
pub(crate) async fn ask_again(refused: &Refused) -> Result<Option<Vec<u8>>, Violation> {
    match refused.nf.enrol(&refused.token).await {
        Ok(issued) => Ok(Some(der(&issued))),
        Err(error @ ObtainError::Enrolment { .. }) if refusal(&error).0 == 403 => Ok(None),
        Err(error) => Err(violated!(
            "a token is neither good nor used up: {error:?}, after {:?}",
            refused.error
        )),
    }
}
