//! Uploads to a mirror, and the answers that say where to go on: reading, writing, and a mirror that is sent them.
//!
//! - An upload is read alike however it is cut, and what was read is encoded to the bytes that it was read from.
//! - A mirror stores and cosigns nothing but the entries of what the CA has signed, and refuses everything else with a status of the
//!   client's fault.

use std::sync::Arc;

use mtc_core::id::TreeSize;
use mtc_core::tree::{Subtree, leaf_hash};
use mtc_log::{
    AddCheckpoint, CaCheckpoint, LogStorages, MirrorInfo, MirrorStore, Object, Package, Storage,
    StorageError, TreeReader, UploadError, UploadHeader, UploadReader, UploadRefusal, Uploaded,
    WitnessedLog,
};

use crate::fixture::{self, HISTORIES, MemoryStorage, NOW, WITNESS};
use crate::{Verdict, oracle};

/// Entries of the pending checkpoint.
const SIZE: u64 = 13;

/// Reads an upload or an answer, and sends the former to a mirror that waits for 13 entries.
///
/// # Panics
/// An invariant does not hold.
pub fn mirror_upload(data: &[u8]) -> Verdict {
    let answered = MirrorInfo::parse(data).is_some_and(|info| {
        assert_eq!(info.encode().as_bytes(), data);
        true
    });
    let whole = read(data, data.len().max(1));
    let cut = read(
        data,
        1 + data.first().map_or(0, |first| usize::from(*first)),
    );
    assert_eq!(whole, cut);
    if let Ok((header, packages)) = &whole {
        let mut encoded = header.encode().expect("it was read");
        for package in packages {
            package.encode_to(&mut encoded).expect("it was read");
        }
        assert!(data.starts_with(&encoded));
    }
    let uploaded = upload(data);
    assert!(!(answered && uploaded), "one body, two meanings");
    Verdict::of(answered || uploaded)
}

/// What a reader makes of pieces of this length.
fn read(data: &[u8], piece: usize) -> Result<(UploadHeader, Vec<Package>), UploadError> {
    let mut reader = UploadReader::default();
    let mut header = None;
    let mut packages = Vec::new();
    for piece in data.chunks(piece) {
        reader.push(piece);
        if header.is_none() {
            header = reader.header()?;
        }
        let Some(header) = &header else {
            continue;
        };
        for range in header.packages().skip(packages.len()) {
            match reader.package(range.end - range.start)? {
                Some(package) => packages.push(package),
                None => break,
            }
        }
    }
    Ok((header.ok_or(UploadError::NoHeader)?, packages))
}

/// The one storage of a mirror's one log.
#[derive(Clone, Default)]
struct Disk(Arc<MemoryStorage>);

impl LogStorages for Disk {
    fn of(&self, _: &str, create: bool) -> Result<Option<Arc<dyn Storage>>, StorageError> {
        Ok(create.then(|| Arc::clone(&self.0) as Arc<dyn Storage>))
    }
}

/// Sends an upload to a mirror; whether it cosigned.
fn upload(data: &[u8]) -> bool {
    let disk = Disk::default();
    let log = WitnessedLog {
        id: fixture::log(1),
        ca: HISTORIES.ca.cosigner().clone(),
    };
    let key = fixture::cosigning_key(WITNESS);
    let mirror = MirrorStore::open(disk.clone(), key, [log.clone()]).expect("an empty storage");
    let pending = AddCheckpoint {
        old_size: TreeSize::EMPTY,
        proof: Vec::new(),
        checkpoint: HISTORIES.forks[0].notes[SIZE as usize].clone(),
    };
    mirror.add_checkpoint(&pending.encode()).expect("signed");
    let sent = send(&mirror, data);
    match &sent {
        Ok(Uploaded::Partly(info)) => assert!(info.next <= SIZE),
        Ok(Uploaded::Mirrored(_)) => {}
        Err(refusal) => assert!((400..500).contains(&refusal.status()), "{refusal}"),
    }
    let checkpoint = disk.0.get(&Object::Checkpoint).expect("memory works");
    let Ok(Uploaded::Mirrored(_)) = sent else {
        assert!(checkpoint.is_none(), "cosigned without saying so");
        return false;
    };
    let note = checkpoint.expect("stored before it was answered");
    let mirrored = CaCheckpoint::verify(&note, &log.id, &log.ca).expect("signed by the CA");
    assert_eq!(mirrored.size(), TreeSize(SIZE));
    let tree = TreeReader::open(disk.0, mirrored.size(), mirrored.root()).expect("whole");
    let leaves: Vec<_> = tree.bundle(0).expect("whole");
    let leaves: Vec<_> = leaves.iter().map(|entry| leaf_hash(entry)).collect();
    assert_eq!(oracle::tree_hash(&leaves), mirrored.root());
    true
}

fn send(mirror: &MirrorStore, data: &[u8]) -> Result<Uploaded, UploadRefusal> {
    let mut reader = UploadReader::default();
    reader.push(data);
    let header = reader.header()?.ok_or(UploadError::NoHeader)?;
    let mut upload = mirror.begin_upload(&header)?;
    while let Some(next) = upload.expected()
        && let Some(package) = reader.package(next.end - next.start)?
    {
        upload.add(package)?;
    }
    upload.finish(NOW)
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let fork = &HISTORIES.forks[0];
    let header = UploadHeader {
        origin: fixture::log(1).origin(),
        start: 0,
        end: SIZE,
        ticket: vec![1, 2, 3],
    };
    let subtree = Subtree::new(0, SIZE).expect("valid");
    let package = Package {
        entries: (0..SIZE).map(|index| vec![0, index as u8]).collect(),
        proof: fork.proof(subtree, SIZE),
    };
    let mut upload = header.encode().expect("short");
    package.encode_to(&mut upload).expect("short");
    let info = MirrorInfo {
        size: TreeSize(SIZE),
        next: 7,
        ticket: b"ticket".to_vec(),
    };
    vec![upload, info.encode().into_bytes()]
}
