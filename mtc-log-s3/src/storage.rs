//! The storage of one log, for its only writer.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use mtc_core::id::TreeSize;
use mtc_core::tile::TilePath;
use mtc_log::{Object, Storage, StorageError, superseded};
use uuid::Uuid;

use crate::fence::{with_writer, without_writer, writer_of};
use crate::lease::{Keeping, Lease};
use crate::objects::{Condition, Found, Objects, Written};
use crate::store::Store;

/// Requests at a time for objects that are put together, and for those that are removed.
const AT_ONCE: usize = 16;
/// How often a tile is tried to be replaced that somebody else replaces too: a writer that is fenced out stops at its next.
const ATTEMPTS: usize = 4;

/// A [`Storage`] in an object store, held under a lease until dropped.
pub struct ObjectStorage {
    writer: Arc<Writer>,
    /// Before the store, whose thread gives the lease up.
    _keeping: Keeping,
    store: Store,
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStorage({})", self.store)
    }
}

impl ObjectStorage {
    /// Takes the lease of a place, and fences out whoever wrote there before. `holder` is a line of text that says who this is, the
    /// same after a restart and nobody else's: a lease of its own is taken over at once, that of another when it has run out, after
    /// half a minute at most. Blocks on the network.
    ///
    /// # Errors
    /// [`StorageError::Locked`] if another writer has the lease; the store failed, has no such bucket, or ignores conditions.
    pub fn open(store: Store, holder: &str) -> Result<Self, StorageError> {
        let id = Uuid::new_v4();
        let (lease, keeping) = Lease::take(store.objects.clone(), holder, id, &store.worker)?;
        let writer = Arc::new(Writer {
            objects: store.objects.clone(),
            lease,
            id,
            known: Mutex::default(),
        });
        let fencing = writer.clone();
        store.wait("fence", async move { fencing.fence().await })?;
        Ok(Self {
            writer,
            _keeping: keeping,
            store,
        })
    }

    /// Carries out what this storage was asked for, on the thread that makes the requests.
    fn carry_out<T: Send + 'static, F>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Arc<Writer>) -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        self.store.wait(operation, work(self.writer.clone()))
    }
}

impl Storage for ObjectStorage {
    fn put(&self, object: &Object, bytes: &[u8]) -> Result<(), StorageError> {
        let (object, bytes) = (object.clone(), Bytes::copy_from_slice(bytes));
        self.carry_out(
            "write",
            |writer| async move { writer.put(&object, bytes).await },
        )
    }

    fn put_all(&self, objects: &[(Object, Vec<u8>)]) -> Result<(), StorageError> {
        let objects: Vec<_> = objects
            .iter()
            .map(|(object, bytes)| (object.clone(), Bytes::copy_from_slice(bytes)))
            .collect();
        self.carry_out("write", |writer| async move {
            let writer = &writer;
            stream::iter(objects.into_iter().map(Ok))
                .try_for_each_concurrent(AT_ONCE, |(object, bytes)| async move {
                    writer.put(&object, bytes).await
                })
                .await
        })
    }

    fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        if let Some(known) = self.writer.known_bytes(object) {
            return Ok(known);
        }
        let object = object.clone();
        self.carry_out("read", |writer| async move { writer.get(&object).await })
    }

    fn is_empty(&self) -> Result<bool, StorageError> {
        self.carry_out("list", |writer| async move {
            for below in ["log", "state", "witness"] {
                if writer.objects.any(below).await? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    fn remove_superseded(
        &self,
        trees: &[TreeSize],
        before: SystemTime,
    ) -> Result<u64, StorageError> {
        let trees = trees.to_vec();
        self.carry_out("remove", |writer| async move {
            writer.remove_superseded(&trees, before).await
        })
    }
}

/// What a writer knows of an object that changes.
enum Known {
    /// As it was read or written last.
    Stored(Option<Found>),
    /// A write failed: one of these is stored.
    Either { before: Option<Found>, after: Bytes },
}

struct Writer {
    objects: Arc<Objects>,
    lease: Lease,
    id: Uuid,
    /// Of objects that change; five at the most, and one for each log of a witness.
    known: Mutex<HashMap<Object, Known>>,
}

impl Writer {
    fn known(&self) -> MutexGuard<'_, HashMap<Object, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of an object, without a request.
    fn known_bytes(&self, object: &Object) -> Option<Option<Vec<u8>>> {
        match self.known().get(object)? {
            Known::Stored(found) => Some(found.as_ref().map(|found| self.bytes_of(object, found))),
            Known::Either { .. } => None,
        }
    }

    /// What the owner of an object has put.
    fn bytes_of(&self, object: &Object, found: &Found) -> Vec<u8> {
        match object {
            Object::SignedCheckpoint => without_writer(&found.bytes).to_vec(),
            _ => found.bytes.to_vec(),
        }
    }

    async fn get(&self, object: &Object) -> Result<Option<Vec<u8>>, StorageError> {
        let found = if let Object::Tile(_) = object {
            self.objects.get(&object.to_string()).await?
        } else {
            self.read(object).await?
        };
        Ok(found.map(|found| self.bytes_of(object, &found)))
    }

    /// What is stored of an object that changes, which is known from then on.
    async fn read(&self, object: &Object) -> Result<Option<Found>, StorageError> {
        let found = self.objects.get(&object.to_string()).await?;
        let mut known = self.known();
        match known.get(object) {
            // It was written, or read by another thread, meanwhile.
            Some(Known::Stored(newer)) => return Ok(newer.clone()),
            Some(Known::Either { before, after }) => {
                let bytes = found.as_ref().map(|found| &found.bytes);
                let before = before.as_ref().map(|before| &before.bytes);
                if bytes != before && bytes != Some(after) {
                    return Err(self.changed(object));
                }
            }
            None => {}
        }
        known.insert(object.clone(), Known::Stored(found.clone()));
        Ok(found)
    }

    async fn put(&self, object: &Object, bytes: Bytes) -> Result<(), StorageError> {
        self.lease.hold().await?;
        match object {
            Object::Tile(_) => self.create(object, bytes).await,
            Object::SignedCheckpoint => self.swap(object, with_writer(self.id, &bytes)).await,
            _ => {
                self.check_fence().await?;
                self.swap(object, bytes).await
            }
        }
    }

    /// Replaces an object by the version that this writer knows; one that it has never read must not be there.
    async fn swap(&self, object: &Object, bytes: Bytes) -> Result<(), StorageError> {
        let is_unsure = matches!(self.known().get(object), Some(Known::Either { .. }));
        if is_unsure {
            self.read(object).await?;
        }
        let before = match self.known().get(object) {
            Some(Known::Stored(found)) => found.clone(),
            _ => None,
        };
        let condition = Condition::as_found(before.as_ref());
        let name = object.to_string();
        let written = self.objects.put(&name, bytes.clone(), condition).await;
        let known = match written {
            Ok(Written::Done(found)) => Known::Stored(Some(found)),
            Ok(Written::Other(_)) => {
                self.check_fence().await?;
                return Err(self.changed(object));
            }
            Err(error) => {
                let after = bytes;
                self.known()
                    .insert(object.clone(), Known::Either { before, after });
                return Err(error);
            }
        };
        self.known().insert(object.clone(), known);
        Ok(())
    }

    /// Creates a tile, or replaces one that no signed checkpoint covers.
    async fn create(&self, object: &Object, bytes: Bytes) -> Result<(), StorageError> {
        let name = object.to_string();
        let mut condition = Condition::Absent;
        for _ in 0..ATTEMPTS {
            match self.objects.put(&name, bytes.clone(), condition).await? {
                Written::Done(_) => return Ok(()),
                Written::Other(found) => {
                    // After the tile was read: who is the writer now was it then, and that tile is junk of a batch that ended.
                    self.check_fence().await?;
                    condition = Condition::as_found(found.as_ref());
                }
            }
        }
        Err(self.changed(object))
    }

    /// Makes the signed checkpoint this writer's, so that no earlier writer's swap of it succeeds any more.
    async fn fence(&self) -> Result<(), StorageError> {
        let object = Object::SignedCheckpoint;
        let Some(found) = self.read(&object).await? else {
            return Ok(());
        };
        let fenced = with_writer(self.id, without_writer(&found.bytes));
        self.swap(&object, fenced).await
    }

    /// That this writer is the last that has opened the log. One that is creating it has no fence yet, and needs none: what it writes must
    /// not be there.
    async fn check_fence(&self) -> Result<(), StorageError> {
        let object = Object::SignedCheckpoint;
        if matches!(self.known().get(&object), None | Some(Known::Stored(None))) {
            return Ok(());
        }
        let found = self.objects.get(&object.to_string()).await?;
        match found {
            Some(found) if writer_of(&found.bytes) == Some(self.id) => Ok(()),
            _ => Err(StorageError::TakenOver {
                path: self.objects.place(&object.to_string()),
            }),
        }
    }

    async fn remove_superseded(
        &self,
        trees: &[TreeSize],
        before: SystemTime,
    ) -> Result<u64, StorageError> {
        self.lease.hold().await?;
        self.check_fence().await?;
        let mut places: HashMap<_, (_, Vec<_>)> = HashMap::new();
        for object in self.objects.list("log/tile").await? {
            let path = object.name.strip_prefix("log/");
            if let Some(Object::Tile(tile)) = path.and_then(Object::served_at) {
                let (_, stored) = places
                    .entry((tile.kind, tile.index))
                    .or_insert_with(|| (tile, Vec::new()));
                stored.push((u64::from(tile.width), object.modified));
            }
        }
        let mut removed = 0;
        for (tile, stored) in places.into_values() {
            for width in superseded(tile, &stored, trees, before) {
                let width = width
                    .try_into()
                    .expect("the width of a tile that is stored");
                let path = TilePath { width, ..tile };
                self.objects.remove(&Object::Tile(path).to_string()).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn changed(&self, object: &Object) -> StorageError {
        StorageError::Changed {
            path: self.objects.place(&object.to_string()),
        }
    }
}
