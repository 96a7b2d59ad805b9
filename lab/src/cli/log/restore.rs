//! `mtc5g log restore --config FILE --from URL|DIR`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use mtc_core::checkpoint::CheckpointError;
use mtc_core::hex;
use mtc_core::id::{IdError, LogId, LogNumber, TreeSize, TrustAnchorId};
use mtc_core::landmark::LandmarkSequence;
use mtc_core::time::UnixTime;
use mtc_core::tree::Subtree;
use mtc_log::{
    CaCheckpoint, DirectoryStorage, RestoreError, Storage, StorageError, TreeError, TreeReader,
    WitnessError,
};
use mtc_tools::public_log::{LandmarksError, ObservedError, PlaceError, PublicLog, ReadError};
use mtc_web::HttpError;
use nf_nrf::config::NrfConfig;
use nf_nrf::log_location::LogLocation;
use nf_nrf::log_place::folder_of;
use nf_nrf::logs;
use nf_nrf::witness_client::HttpWitness;
use sbi::checksum::sha256;
use sbi::config::ConfigError;
use sbi::trust_file::{TrustFile, TrustFileError};
use thiserror::Error;
use tokio::runtime::Handle;

use super::blocking;
use crate::cli::exit::{COULD_NOT_RUN, DONE, USAGE, fail};
use crate::cli::output::{print, usage};

/// By this clock everything has expired: the landmarks are as good as when they were copied.
const END_OF_TIME: UnixTime = UnixTime(u64::MAX);

/// A log to restore
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mtc5g log restore --config lab/nrf.toml --from http://mirror.example:7791
  mtc5g log restore --config lab/nrf.toml --from /mnt/backup/log

For an NRF whose log is lost. Entries, tiles, checkpoint and landmarks are made again from a mirror (mtc5g mirror), or from any other
copy of what the log served, into the folder that the configuration names. Every entry is checked up to a root that the CA has signed.
Nothing is written over a log.

An old copy must never be continued: others have seen entries that it lacks. So every witness of the configuration is asked what it
has cosigned, and one that has cosigned more, or something else, or does not answer, is a reason to refuse; --without-witness is for one
that is gone for good. So is one that has cosigned a later log, unless --log says which is meant. The NRF asks again when it starts, and signs nothing before as many as it requires agree.

The CA's key, the trust file and the configuration are not in any log: restore them from a backup. The record of used enrolment
tokens is lost with the NRF's state: mtc5g nrf --forget-used-tokens starts a new one.

Exit status: 0 restored, 1 not, 2 usage.
See docs/runbook.md.")]
pub(in crate::cli) struct RestoreArguments {
    /// Configuration file of the NRF: where the log was, whose it is, and who has cosigned it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A mirror (its monitoring prefix, or the folder of its copies), or a copy of the log: its URL, or its folder
    #[arg(long, value_name = "URL|DIR")]
    from: String,
    /// Which of the CA's logs [default: the newest in the trust file]
    #[arg(long, value_name = "N", value_parser = log_number)]
    log: Option<LogNumber>,
    /// Do not ask this witness, which is gone for good; again for each
    #[arg(long, value_name = "ID")]
    without_witness: Vec<TrustAnchorId>,
}

fn log_number(text: &str) -> Result<LogNumber, IdError> {
    // Whatever is no number is no log's either.
    LogNumber::new(text.parse().unwrap_or_default())
}

/// Why nothing was restored.
#[derive(Debug, Error)]
enum RestoreLogError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    TrustFile(#[from] TrustFileError),
    #[error("--from")]
    Place(#[from] PlaceError),
    #[error(
        "the configuration has the log at {0}: restore it into a folder (log = \"FOLDER\") and copy the files in it into the bucket, under the names that they have there, \
         state/signed-checkpoint last: what has that is a log, whole or not"
    )]
    Bucket(LogLocation),
    #[error("the CA's ID")]
    Id(#[from] IdError),
    #[error("witness {0} of the configuration is not a cosigner in the trust file")]
    UnknownWitness(String),
    #[error("witness {id}")]
    Http { id: String, source: HttpError },
    #[error("the copy's checkpoint")]
    Observed(#[from] ObservedError),
    #[error("{place} is a copy of log {found}, not of log {wanted}")]
    OtherLog {
        place: String,
        found: TrustAnchorId,
        wanted: TrustAnchorId,
    },
    #[error("the copy's checkpoint is not signed by the CA")]
    Checkpoint(#[from] CheckpointError),
    #[error("the copy")]
    Copy(#[from] TreeError),
    #[error("the copy's landmarks")]
    Landmarks(#[from] LandmarksError),
    #[error(
        "witness {id} cannot be asked what it has cosigned; if it is gone for good: --without-witness {id}"
    )]
    Silent {
        id: TrustAnchorId,
        source: Box<WitnessError>,
    },
    #[error(
        "the copy has {size} entries, and witness {id} has seen {seen}: it is too old to go on from. Find a copy that has them; if \
         there is none, the log must be retired: mtc5g nrf --next-log {next}"
    )]
    Old {
        id: TrustAnchorId,
        size: TreeSize,
        seen: TreeSize,
        next: u16,
    },
    #[error(
        "the copy is not what witness {id} has cosigned at {seen} entries: the CA has signed two histories, and none of them can go on. \
         The log must be retired: mtc5g nrf --next-log {next}"
    )]
    Fork {
        id: TrustAnchorId,
        seen: TreeSize,
        next: u16,
    },
    #[error(
        "witness {id} has cosigned log {later}, so log {log}, the newest of the trust file, is retired: restore the one that follows it \
         (--log {later}). To have log {log} again all the same, to show and not to go on with: --log {log}"
    )]
    Later {
        id: TrustAnchorId,
        log: LogNumber,
        later: LogNumber,
    },
    #[error("{}", folder.display())]
    Folder {
        folder: PathBuf,
        source: StorageError,
    },
    #[error("{}", folder.display())]
    Restore {
        folder: PathBuf,
        source: Box<RestoreError>,
    },
}

/// What is to be restored.
struct Lost {
    id: LogId,
    /// Whether the operator has said which.
    is_asked_for: bool,
    folder: PathBuf,
    trust_file: TrustFile,
    config: NrfConfig,
}

/// A copy, up to a checkpoint that the CA has signed.
struct Copy {
    checkpoint: CaCheckpoint,
    tree: TreeReader,
    landmarks: Option<LandmarkSequence>,
}

impl RestoreArguments {
    pub(super) async fn run(self) -> ExitCode {
        let lost = match Lost::read(&self.config, self.log) {
            Ok(lost) => lost,
            Err(error) => return usage(&error, "log restore"),
        };
        match self.restore(lost).await {
            Ok(text) => {
                print(&text);
                ExitCode::from(DONE)
            }
            Err(error @ RestoreLogError::Place(_)) => {
                fail(&error);
                ExitCode::from(USAGE)
            }
            Err(error) => {
                fail(&error);
                ExitCode::from(COULD_NOT_RUN)
            }
        }
    }

    async fn restore(&self, lost: Lost) -> Result<String, RestoreLogError> {
        let (from, id, ca) = (
            self.from.clone(),
            lost.id,
            lost.trust_file.trust.cosigner().clone(),
        );
        let runtime = Handle::current();
        let copy = blocking(move || {
            let (place, log) = find(&from, &id, &runtime)?;
            // Before the checkpoint: whoever keeps the copy may get a landmark in between.
            let landmarks = log.landmarks(END_OF_TIME)?;
            let observed = log.checkpoint()?;
            if observed.log != id {
                return Err(RestoreLogError::OtherLog {
                    place,
                    found: *observed.log.id(),
                    wanted: *id.id(),
                });
            }
            let checkpoint = CaCheckpoint::verify(observed.to_note().as_bytes(), &id, &ca)?;
            Ok(Copy {
                tree: log.tree(&observed)?,
                checkpoint,
                landmarks,
            })
        });
        let copy = copy.await?;
        let seen = lost
            .ask_witnesses(&copy.checkpoint, &self.without_witness)
            .await?;
        let config = self.config.display().to_string();
        blocking(move || {
            for (witness, seen) in &seen {
                copy.compare(*witness, seen.as_ref(), &lost.id)?;
            }
            copy.write(&lost.folder)?;
            Ok(copy.text(&lost, &seen, &config))
        })
        .await
    }
}

impl Lost {
    fn read(file: &Path, log: Option<LogNumber>) -> Result<Self, RestoreLogError> {
        let folder = sbi::config::folder_of(file);
        let config = sbi::config::load::<NrfConfig>(file)?.resolve(folder)?;
        let trust_file = TrustFile::load(&config.trust)?;
        let newest = trust_file.logs.iter().max().copied();
        let number = log.or(newest).unwrap_or(LogNumber::FIRST);
        let folder = match &config.log {
            LogLocation::Folder(folder) => folder_of(folder, number),
            LogLocation::Bucket { .. } => return Err(RestoreLogError::Bucket(config.log)),
        };
        Ok(Self {
            id: LogId::new(*trust_file.trust.id(), number)?,
            is_asked_for: log.is_some(),
            folder,
            trust_file,
            config,
        })
    }

    /// What each witness has cosigned of the log.
    ///
    /// # Errors
    /// One does not answer, or is a mirror that has been sent a later checkpoint than that of the copy.
    async fn ask_witnesses(
        &self,
        copy: &CaCheckpoint,
        without: &[TrustAnchorId],
    ) -> Result<Vec<(TrustAnchorId, Option<CaCheckpoint>)>, RestoreLogError> {
        let mut seen = Vec::new();
        for address in &self.config.witness {
            let cosigner = self
                .trust_file
                .cosigner(&address.id)
                .ok_or_else(|| RestoreLogError::UnknownWitness(address.id.clone()))?;
            let id = cosigner.id;
            if without.contains(&id) {
                continue;
            }
            let witness = HttpWitness::new(cosigner.clone(), address);
            let witness = witness.map_err(|source| RestoreLogError::Http {
                id: address.id.clone(),
                source,
            })?;
            let latest = witness.latest(&self.id, self.trust_file.trust.cosigner());
            match latest.await {
                Ok(latest) => {
                    self.ask_pending(&witness, copy).await?;
                    self.ask_later(&witness).await?;
                    seen.push((id, latest));
                }
                Err(error) => return Err(silent(id, error)),
            }
        }
        Ok(seen)
    }

    /// A log that others have followed is retired, and must not come to life again.
    async fn ask_later(&self, witness: &HttpWitness) -> Result<(), RestoreLogError> {
        if self.is_asked_for {
            return Ok(());
        }
        let (id, log) = (witness.id(), self.id.number());
        let ca = self.trust_file.trust.cosigner();
        for later in logs::after(log) {
            let of = LogId::new(*self.id.ca(), later)?;
            let latest = witness.latest(&of, ca);
            if latest.await.map_err(|error| silent(id, error))?.is_some() {
                return Err(RestoreLogError::Later { id, log, later });
            }
        }
        Ok(())
    }

    /// A mirror has not been sent a later checkpoint than that of the copy.
    async fn ask_pending(
        &self,
        witness: &HttpWitness,
        copy: &CaCheckpoint,
    ) -> Result<(), RestoreLogError> {
        let id = witness.id();
        let pending = witness.pending_after(copy).await;
        match pending.map_err(|error| silent(id, error))? {
            None => Ok(()),
            Some(seen) => Err(RestoreLogError::Old {
                id,
                size: copy.size(),
                seen,
                next: self.id.number().get().saturating_add(1),
            }),
        }
    }
}

fn silent(id: TrustAnchorId, error: WitnessError) -> RestoreLogError {
    let source = Box::new(error);
    RestoreLogError::Silent { id, source }
}

impl Copy {
    /// The copy leads to what a witness has cosigned.
    fn compare(
        &self,
        id: TrustAnchorId,
        seen: Option<&CaCheckpoint>,
        log: &LogId,
    ) -> Result<(), RestoreLogError> {
        let Some(seen) = seen else {
            return Ok(());
        };
        let (size, next) = (self.tree.size(), log.number().get().saturating_add(1));
        if seen.size() > size {
            return Err(RestoreLogError::Old {
                id,
                size,
                seen: seen.size(),
                next,
            });
        }
        let root = self.tree.subtree_hash(Subtree::whole(seen.size()))?;
        if root != seen.root() {
            return Err(RestoreLogError::Fork {
                id,
                seen: seen.size(),
                next,
            });
        }
        Ok(())
    }

    fn write(&self, folder: &Path) -> Result<(), RestoreLogError> {
        let storage =
            DirectoryStorage::create(folder).map_err(|source| RestoreLogError::Folder {
                folder: folder.to_owned(),
                source,
            })?;
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let landmarks = self.landmarks.as_ref();
        mtc_log::restore(&self.tree, &self.checkpoint, landmarks, &storage, |_| {}).map_err(
            |error| RestoreLogError::Restore {
                folder: folder.to_owned(),
                source: Box::new(error),
            },
        )
    }

    fn text(
        &self,
        lost: &Lost,
        seen: &[(TrustAnchorId, Option<CaCheckpoint>)],
        config: &str,
    ) -> String {
        let witnesses: Vec<_> = seen
            .iter()
            .map(|(id, seen)| match seen {
                Some(seen) => format!("{id} has cosigned {}", seen.size()),
                None => format!("{id} has cosigned none"),
            })
            .collect();
        let landmarks = match &self.landmarks {
            Some(landmarks) => format!("up to {}", landmarks.latest().number),
            None => "none in the copy: those of the lost log will be allocated again, and its landmark-relative certificates fail"
                .to_owned(),
        };
        format!(
            "log         {}\nrestored    {} entries, root {}\nin          {}\nlandmarks   {landmarks}\nwitnesses   {}\n\
             next        mtc5g nrf --config {config}, with --forget-used-tokens if the NRF's state is lost too\n",
            lost.id.id(),
            self.tree.size(),
            hex::encode(&self.tree.root()),
            lost.folder.display(),
            if witnesses.is_empty() {
                "none asked".to_owned()
            } else {
                witnesses.join(", ")
            },
        )
    }
}

/// The copy of a log at a place: below it, if it is a mirror's, otherwise there.
fn find(from: &str, log: &LogId, runtime: &Handle) -> Result<(String, PublicLog), RestoreLogError> {
    let below = format!(
        "{}/{}",
        from.trim_end_matches('/'),
        sha256(log.origin().as_bytes())
    );
    if let Ok(mirrored) = PublicLog::at(&below, runtime.clone()) {
        match mirrored.checkpoint() {
            Err(ObservedError::Read(ReadError::Missing(_))) => {}
            _ => return Ok((below, mirrored)),
        }
    }
    Ok((from.to_owned(), PublicLog::at(from, runtime.clone())?))
}
