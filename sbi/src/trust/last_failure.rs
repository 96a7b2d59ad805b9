//! One warning for each state of a log, not one for each look at it.

use std::mem::{Discriminant, discriminant};

use hyper::StatusCode;

use super::TrustError;

/// The failure that was logged last, of a log that is checked again and again.
#[derive(Debug, Default)]
pub(crate) struct LastFailure(Option<Failure>);

/// What is wrong with a log, apart from figures that differ from look to look.
type Failure = (Discriminant<TrustError>, Option<StatusCode>);

impl LastFailure {
    /// Whether this failure differs from the last one, and so should be logged; it becomes the last one.
    pub(crate) fn is_new(&mut self, error: &TrustError) -> bool {
        let failure = Some((discriminant(error), error.status()));
        std::mem::replace(&mut self.0, failure) != failure
    }

    /// Nothing is wrong any more; whether something was.
    pub(crate) fn has_passed(&mut self) -> bool {
        self.0.take().is_some()
    }
}
