//! How a request ended, told exactly once: also where its future is dropped, which is how both sides give up.

use hyper::StatusCode;

/// Tells the status of the answer, or none if it is dropped without one.
pub(crate) struct Outcome<F: FnOnce(Option<StatusCode>)>(Option<F>);

impl<F: FnOnce(Option<StatusCode>)> Outcome<F> {
    /// Of a request that begins now.
    pub(crate) const fn new(tell: F) -> Self {
        Self(Some(tell))
    }

    /// There is an answer.
    pub(crate) fn answered(mut self, status: StatusCode) {
        self.tell(Some(status));
    }

    fn tell(&mut self, status: Option<StatusCode>) {
        if let Some(tell) = self.0.take() {
            tell(status);
        }
    }
}

impl<F: FnOnce(Option<StatusCode>)> Drop for Outcome<F> {
    fn drop(&mut self) {
        self.tell(None);
    }
}
