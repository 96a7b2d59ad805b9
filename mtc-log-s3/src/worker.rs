//! The thread that makes the requests.

use std::io;
use std::sync::mpsc::sync_channel;

use tokio::runtime::{Builder, Runtime};

/// A runtime of one thread, given up without waiting when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker(Option<Runtime>);

impl Worker {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("object store")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(work);
    }

    /// Blocks until `work` is done; `None` if it panicked.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (done, result) = sync_channel(1);
        self.spawn(async move {
            // Whoever waits is there until this is sent.
            let _ = done.send(work.await);
        });
        result.recv().ok()
    }

    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("there until this is dropped")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A runtime that waits for its end may not be dropped inside another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
