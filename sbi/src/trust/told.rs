//! One warning for each state of a log, not one for each look at it.

use std::mem::{Discriminant, discriminant};

use hyper::StatusCode;

use super::TrustError;

/// What was told last of a log that is looked at again and again.
#[derive(Debug, Default)]
pub(crate) struct Told(Option<Failure>);

/// What is wrong with a log, apart from figures that differ from look to look.
type Failure = (Discriminant<TrustError>, Option<StatusCode>);

impl Told {
    /// Whether this is another failure than the last; it is told now.
    pub(crate) fn is_news(&mut self, error: &TrustError) -> bool {
        let failure = Some((discriminant(error), error.status()));
        std::mem::replace(&mut self.0, failure) != failure
    }

    /// Nothing is wrong any more; whether something was.
    pub(crate) fn has_passed(&mut self) -> bool {
        self.0.take().is_some()
    }
}
