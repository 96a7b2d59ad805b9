//! An object store in memory whose writes fail when told to.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use mtc_log_s3::{ObjectStorage, Store};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use test_support::storage_contract::{Fallible, Fault, Place};

/// What becomes of a write, and of the requests after it.
pub(crate) enum Trouble {
    /// The fault, and then no request succeeds until the storage is opened again.
    Down(Fault),
    /// The fault alone.
    Once(Fault),
    /// Something happens first.
    Before(Box<dyn FnOnce() + Send>),
}

/// What is stored outlives every storage opened on it.
#[derive(Default)]
pub(crate) struct Bucket {
    pub(crate) inner: Arc<InMemory>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Which write from now meets it; those of the lock are not counted.
    trouble: Option<(usize, Trouble)>,
    is_down: bool,
    ignores_conditions: bool,
    requests: usize,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bucket")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bucket")
    }
}

impl Bucket {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no test panics while it holds the lock")
    }

    pub(crate) fn trouble_after(&self, successes: usize, trouble: Trouble) {
        self.state().trouble = Some((successes, trouble));
    }

    /// Takes back what has not happened; whether there was something.
    pub(crate) fn disarm(&self) -> bool {
        self.state().trouble.take().is_some()
    }

    pub(crate) fn repair(&self) {
        self.state().is_down = false;
    }

    pub(crate) fn ignore_conditions(&self) {
        self.state().ignores_conditions = true;
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.state().requests
    }

    fn check(&self) -> Result<()> {
        let mut state = self.state();
        state.requests += 1;
        if state.is_down { Err(broken()) } else { Ok(()) }
    }

    /// What is to be done about a write.
    fn met(&self, location: &Path) -> Option<Trouble> {
        if location.filename() == Some("lock") {
            return None;
        }
        let mut state = self.state();
        match state.trouble.take()? {
            (0, trouble) => {
                state.is_down = matches!(trouble, Trouble::Down(_));
                Some(trouble)
            }
            (successes, trouble) => {
                state.trouble = Some((successes - 1, trouble));
                None
            }
        }
    }

    /// Whether the write is carried out, before its answer is lost or not.
    fn begin(&self, location: &Path) -> ControlFlow<(), bool> {
        match self.met(location) {
            Some(Trouble::Down(fault) | Trouble::Once(fault)) => match fault {
                Fault::BeforeRename => ControlFlow::Break(()),
                Fault::AfterRename => ControlFlow::Continue(false),
            },
            Some(Trouble::Before(happens)) => {
                happens();
                ControlFlow::Continue(true)
            }
            None => ControlFlow::Continue(true),
        }
    }
}

fn broken() -> Error {
    Error::Generic {
        store: "Bucket",
        source: "503 Slow Down".into(),
    }
}

#[async_trait]
impl ObjectStore for Bucket {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        self.check()?;
        if self.state().ignores_conditions {
            options.mode = PutMode::Overwrite;
        }
        let ControlFlow::Continue(is_answered) = self.begin(location) else {
            return Err(broken());
        };
        let stored = self.inner.put_opts(location, payload, options).await;
        if is_answered { stored } else { Err(broken()) }
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        unimplemented!("no object of a log is that long")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.check() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        unimplemented!("logs do not ask for it")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unimplemented!("logs do not ask for it")
    }
}

/// Where a log is in a bucket.
#[derive(Default)]
pub(crate) struct Log(pub(crate) Arc<Bucket>);

impl Log {
    /// The place, reached through the bucket's troubles.
    pub(crate) fn store(&self) -> Store {
        Store::new(self.0.clone(), "labs/log", "s3://bucket/labs/log").expect("a thread")
    }

    /// The place, reached past them.
    pub(crate) fn sound_store(&self) -> Store {
        Store::new(self.0.inner.clone(), "labs/log", "s3://bucket/labs/log").expect("a thread")
    }

    /// Opens it as `holder`.
    pub(crate) fn open_as(
        &self,
        holder: &str,
    ) -> std::result::Result<ObjectStorage, mtc_log::StorageError> {
        ObjectStorage::open(self.store(), holder)
    }
}

impl Place for Log {
    type Storage = ObjectStorage;

    fn open(&self) -> Arc<ObjectStorage> {
        self.0.repair();
        Arc::new(self.open_as("this NRF").expect("a lease of its own"))
    }
}

impl Fallible for Log {
    fn fail_after(&self, successes: usize, fault: Fault) {
        self.0.trouble_after(successes, Trouble::Down(fault));
    }

    fn disarm(&self) -> bool {
        self.0.disarm()
    }
}
