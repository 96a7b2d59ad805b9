//! A notary: an issuance log of its own, for the digests of artefacts instead of certificates.
//!
//! ```text
//!  FOLDER/  notary.key   private key of the notary, which is the CA of its log          trust.toml, ca.pem   for whoever verifies
//!           log/         the log: log/ may be served, state/ is its own                 notary.toml          witnesses, if any
//!
//!  digests ──> Sequencer: each durable and cosigned to policy ──> last published checkpoint ──> a TlogProof for each digest
//! ```
//!
//! The folder is made whole beside its place and then given its name, so that there is never half a notary.

use std::fs::{DirBuilder, rename};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mtc_core::ca::CaCertificate;
use mtc_core::cosign::{Cosigner, KeyError, PublicKey};
use mtc_core::entry::{EntryError, MtcLogEntry};
use mtc_core::id::{EntryIndex, IdError, LogId, LogNumber, TrustAnchorId, serial};
use mtc_core::time::UnixTime;
use mtc_core::tlog_proof::TlogProof;
use mtc_core::tree::Subtree;
use mtc_log::{
    AppendError, CosigningKey, DirectoryStorage, IssuanceLog, IssueError, Issuer, OpenError,
    PublishError, Sequencer, SequencerConfig, SequencerConfigError, StorageError, TreeError,
};
use mtc_tls::clock::Clock;
use mtc_tls::key::{KeyAlgorithm, NfKey, NfKeyError};
use mtc_tls::pem;
use mtc_tools::artefact::ArtefactDigest;
use mtc_web::HttpError;
use nf_nrf::config::WitnessAddress;
use nf_nrf::witness_client::HttpWitness;
use sbi::cosigner::{self, CosignerError};
use sbi::trust_file::{TrustDocument, TrustFile, TrustFileError};
use serde::Deserialize;
use tokio::task::{JoinError, spawn_blocking};

use crate::pki::{Folder, PkiError, TRUST_FILE};

const KEY_FILE: &str = "notary.key";
const CA_FILE: &str = "ca.pem";
const CONFIG_FILE: &str = "notary.toml";
const LOG_FOLDER: &str = "log";
/// How long witnesses are asked.
const WITNESS_DEADLINE: Duration = Duration::from_secs(10);
/// From when to when the notary's certificate says that it is good. Verifiers of proofs do not ask.
const LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Why nothing is notarised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotaryError {
    /// There is no notary in the folder, and no ID was given to make one with.
    #[error(
        "there is no notary in {}: --id ID makes one, with a trust anchor ID of yours such as 32473.100",
        .0.display()
    )]
    None(PathBuf),
    /// There is a notary in the folder, with another ID.
    #[error("--id {wanted}: the notary in {} is {found}", folder.display())]
    OtherId {
        /// The folder.
        folder: PathBuf,
        /// Its notary.
        found: TrustAnchorId,
        /// Who was asked for.
        wanted: TrustAnchorId,
    },
    /// The folder, or a file in it, cannot be made or read.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the notary cannot be made.
    #[error(transparent)]
    Make(#[from] PkiError),
    /// The trust file cannot be written.
    #[error("cannot encode {TRUST_FILE}")]
    Encode(#[from] toml::ser::Error),
    /// The trust file cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustFileError),
    /// The configuration is not one.
    #[error("{}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: toml::de::Error,
    },
    /// The configuration names a witness that the trust file has no key of.
    #[error("{CONFIG_FILE}: witness {0} has no [[cosigner]] in {TRUST_FILE}")]
    UnknownWitness(String),
    /// A witness cannot be asked.
    #[error("witness")]
    Witness(#[from] HttpError),
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] CosignerError),
    /// No key can be made.
    #[error("cannot make a key")]
    NewKey(#[from] NfKeyError),
    /// The new key cannot sign.
    #[error("cannot make a key")]
    CannotSign(#[from] KeyError),
    /// The ID is too long for a log.
    #[error("the notary's ID")]
    Id(#[from] IdError),
    /// Another process has the log, or its disk refuses.
    #[error("the notary's log; if another process notarises, try again when it is done")]
    Storage(#[from] StorageError),
    /// The log cannot be used.
    #[error("the notary's log")]
    Open(#[from] OpenError),
    /// The first entry of a new log cannot be encoded.
    #[error("the notary's log")]
    Entry(#[from] EntryError),
    /// The first entry of a new log was not taken.
    #[error("the notary's log")]
    First(#[from] AppendError),
    /// The first checkpoint of a new log was not taken.
    #[error("the notary's log")]
    Publish(#[from] PublishError),
    /// The witnesses are fewer than must cosign.
    #[error("{CONFIG_FILE}")]
    Sequencer(#[from] SequencerConfigError),
    /// A digest was not logged, or not cosigned.
    #[error("not notarised")]
    Issue(#[from] IssueError),
    /// The log cannot be read back.
    #[error("the notary's log")]
    Tree(#[from] TreeError),
    /// The process is ending.
    #[error("interrupted")]
    Ending(#[from] JoinError),
}

/// `notary.toml`. Without the file there are no witnesses.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NotaryConfig {
    /// How many of the witnesses must cosign; those who verify ask for as many by the groups of their trust file.
    required_witnesses: usize,
    /// Where they are; their keys are in the trust file.
    witness: Vec<WitnessAddress>,
}

/// A notary whose log is open, and locked against other processes.
pub struct Notary {
    log: IssuanceLog,
    witnesses: Vec<HttpWitness>,
    required: usize,
}

impl Notary {
    /// Opens the notary in a folder; makes it if it is not there and `id` says who it is to be. Blocks on the disk.
    ///
    /// # Errors
    /// There is none and no ID, one of another ID, or its files or its log cannot be used.
    pub fn open(folder: &Path, id: Option<TrustAnchorId>) -> Result<Self, NotaryError> {
        if !folder.join(TRUST_FILE).exists() {
            let id = id.ok_or_else(|| NotaryError::None(folder.to_owned()))?;
            make(folder, id, Clock::default().now())?;
        }
        let trust = TrustFile::load(&folder.join(TRUST_FILE))?;
        let found = trust.certificate.cosigner.id;
        if let Some(wanted) = id.filter(|wanted| *wanted != found) {
            return Err(NotaryError::OtherId {
                folder: folder.to_owned(),
                found,
                wanted,
            });
        }
        let key = cosigner::read_key(&found.to_string(), &folder.join(KEY_FILE))?;
        let NotaryConfig {
            required_witnesses,
            witness,
        } = config(&folder.join(CONFIG_FILE))?;
        let witnesses = witness.iter().map(|address| {
            let cosigner = trust
                .cosigner(&address.id)
                .ok_or_else(|| NotaryError::UnknownWitness(address.id.clone()))?;
            Ok(HttpWitness::new(cosigner.clone(), address)?)
        });
        let witnesses = witnesses.collect::<Result<_, NotaryError>>()?;
        let storage = Arc::new(DirectoryStorage::open(folder.join(LOG_FOLDER))?);
        Ok(Self {
            log: IssuanceLog::open(storage, log_id(found)?, key)?,
            witnesses,
            required: required_witnesses,
        })
    }

    /// Logs digests, waits until they are durable and cosigned to policy, and proves them, in their order.
    ///
    /// # Errors
    /// They were not logged or not cosigned; some of them may be in the log all the same.
    pub async fn notarise(self, digests: &[ArtefactDigest]) -> Result<Vec<TlogProof>, NotaryError> {
        let config = SequencerConfig {
            queue: 1,
            min_interval: Duration::ZERO,
            required_witnesses: self.required,
            witness_deadline: WITNESS_DEADLINE,
        };
        let clock = Clock::default();
        let now = Arc::new(move || clock.now());
        let (issuer, sequencer) = Sequencer::new(self.log, self.witnesses, config, now)?;
        let sequencer = tokio::spawn(sequencer.run());
        let indices = log(&issuer, digests).await;
        let proofs = match indices {
            Ok(indices) => spawn_blocking(move || prove(&issuer, &indices)).await?,
            Err(error) => Err(error),
        };
        // The log is closed when the last issuer is gone; why it failed has been told to who waited.
        drop(sequencer.await?);
        proofs
    }
}

/// Logs digests one after the other, so that their indices are in their order.
async fn log(issuer: &Issuer, digests: &[ArtefactDigest]) -> Result<Vec<EntryIndex>, NotaryError> {
    let mut indices = Vec::with_capacity(digests.len());
    for digest in digests {
        indices.push(issuer.issue(digest.entry()).await?.index);
    }
    Ok(indices)
}

fn prove(issuer: &Issuer, indices: &[EntryIndex]) -> Result<Vec<TlogProof>, NotaryError> {
    let published = issuer.published().borrow().clone();
    let (Some(tree), Some(published)) = (issuer.published_tree()?, published) else {
        return Ok(Vec::new()); // nothing was logged
    };
    let note = published.signed().note.encode();
    let whole = Subtree::whole(tree.size());
    let proof = |index: &EntryIndex| {
        Ok(TlogProof {
            index: *index,
            inclusion_proof: tree.inclusion_proof(*index, whole)?,
            checkpoint: note.clone(),
        })
    };
    indices.iter().map(proof).collect()
}

fn log_id(ca: TrustAnchorId) -> Result<LogId, IdError> {
    LogId::new(ca, LogNumber::FIRST)
}

/// Makes a notary in a folder that is not there, or is empty.
fn make(folder: &Path, id: TrustAnchorId, now: UnixTime) -> Result<(), NotaryError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |source| NotaryError::File { path, source }
    };
    let beside = {
        let mut name = folder.as_os_str().to_owned();
        name.push(".new");
        PathBuf::from(name)
    };
    let made = DirBuilder::new().mode(0o755).create(&beside);
    made.map_err(at(&beside))?;
    let new = Folder(beside.clone());
    let key = NfKey::generate(KeyAlgorithm::MlDsa44)?;
    new.secret(KEY_FILE, &key.to_pem()?)?;
    let cosigner = Cosigner {
        id,
        key: PublicKey::from_spki(key.spki_der())?,
    };
    let serial = |index| serial(LogNumber::FIRST, EntryIndex(index));
    let certificate = CaCertificate {
        cosigner,
        min_serial: serial(0)?,
        max_serial: serial((1 << 48) - 1)?,
        prefix_url: None,
    };
    let der = certificate.to_der(now, now.plus(LIFETIME));
    new.public(CA_FILE, pem::encode(pem::CERTIFICATE, &der).as_bytes())?;
    let trust = TrustDocument {
        ca_certificate: CA_FILE.into(),
        logs: vec![LogNumber::FIRST.get().into()],
        remember_subtrees: 0,
        token_keys: None,
        cosigners: Vec::new(),
        groups: Vec::new(),
    };
    new.public(TRUST_FILE, trust.to_toml()?.as_bytes())?;
    let storage = Arc::new(DirectoryStorage::create(beside.join(LOG_FOLDER))?);
    let key = CosigningKey::new(id, key.into_secret())?;
    let mut log = IssuanceLog::create(storage, log_id(id)?, key, now)?;
    // As the first entry of every issuance log is.
    let batch = log.append(&[MtcLogEntry::NULL.encode()?], now)?;
    log.publish(&batch.checkpoint.to_note())?;
    drop(log);
    rename(&beside, folder).map_err(at(folder))
}

fn config(path: &Path) -> Result<NotaryConfig, NotaryError> {
    if !path.exists() {
        return Ok(NotaryConfig::default());
    }
    toml::from_str(&read(path)?).map_err(|source| NotaryError::Config {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<String, NotaryError> {
    sbi::text_file::read(path).map_err(|source| NotaryError::File {
        path: path.to_owned(),
        source,
    })
}
