//! Work that would hold up the runtime's threads, on threads that it lends for it, a few at a time.

use std::panic::resume_unwind;
use std::sync::Arc;

use sbi::problem::Problem;
use sbi::response::Response;
use tokio::sync::Semaphore;
use tracing::Span;

/// Requests to the registry that are worked on at a time: enough that some compute while others wait for the disk, and few
/// beside the threads that the runtime lends for blocking work (512), which issuance needs too. The others wait for their turn.
const MAX_AT_WORK: usize = 16;

/// The places where requests are worked on off the runtime.
pub struct Offload(Arc<Semaphore>);

impl Default for Offload {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_AT_WORK)))
    }
}

impl Offload {
    /// Works on a request where it holds up nobody: a large profile or result takes milliseconds, the disk may take longer. The
    /// work is done even if the future is dropped, once it has a place.
    ///
    /// # Errors
    /// What `work` says, or `500` while the runtime shuts down.
    pub async fn run(
        &self,
        work: impl FnOnce() -> Result<Response, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let place = self.0.clone().acquire_owned().await;
        let span = Span::current();
        let work = move || {
            let _place = place;
            span.in_scope(work)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
            Err(_) => Err(Problem::system_failure()),
        }
    }
}
