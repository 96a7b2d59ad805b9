//! What a verification consists of, for those who measure it.

/// A part of a verification that has ended; the time since the end of the part before it is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VerificationStep {
    /// Reading the certificate; its issuer, serial number and revocation.
    Parse,
    /// Hashing the log entry that the certificate states.
    EntryHash,
    /// Evaluating the inclusion proof.
    InclusionPath,
    /// Verifying one cosignature, valid or not.
    Cosignature,
    /// Looking for trusted and remembered subtrees, and what the policy takes beside its signatures.
    Policy,
}

/// Hears of a verification as it goes on. The empty one, `()`, costs nothing.
pub trait Observer {
    /// A step has ended, successful or not.
    fn ended(&mut self, step: VerificationStep) {
        let _ = step;
    }
}

impl Observer for () {}
