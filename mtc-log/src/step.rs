//! The steps of a sequencer, for who measures them.

use std::sync::Arc;
use std::time::Duration;

use mtc_core::id::{TreeSize, TrustAnchorId};

/// What a sequencer has just done. Times are those of the step alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStep<'a> {
    /// It has taken a batch.
    Taken {
        /// How long each of its entries has waited.
        waited: &'a [Duration],
    },
    /// The batch is durable and a checkpoint on it signed.
    Signed {
        /// Entries of the log.
        size: TreeSize,
        /// How long that took.
        took: Duration,
    },
    /// The log did not take the batch.
    Refused,
    /// Witnesses were asked to cosign; `took` has the CA's own cosignatures in it.
    Cosigned {
        /// Whether enough did.
        enough: bool,
        /// How long that took.
        took: Duration,
    },
    /// A witness has cosigned so much, as far as is known at the start.
    Witness {
        /// Its cosigner ID.
        id: TrustAnchorId,
        /// Entries in the checkpoint that it is believed to have cosigned last.
        size: TreeSize,
    },
    /// A witness has cosigned a checkpoint and its subtrees, perhaps after enough others had.
    WitnessCosigned {
        /// Its cosigner ID.
        id: TrustAnchorId,
        /// Entries in the checkpoint.
        size: TreeSize,
    },
    /// A witness was asked and has not cosigned; it may be asked again.
    WitnessFailed {
        /// Its cosigner ID.
        id: TrustAnchorId,
        /// In which way.
        fault: WitnessFault,
    },
    /// The checkpoint is published.
    Published {
        /// Entries in it.
        size: TreeSize,
        /// How long that took.
        took: Duration,
    },
}

/// What is wrong with a witness that has not cosigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WitnessFault {
    /// It did not answer.
    Unreachable,
    /// It had not answered when the next batch was to be cosigned, while others had.
    Late,
    /// It said no.
    Refused,
    /// Its answer is not a signature by its key on what it was asked to sign, or a claim that it does not prove.
    Invalid,
}

impl WitnessFault {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Unreachable, Self::Late, Self::Refused, Self::Invalid];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
        }
    }
}

/// Hears of every step, on the tasks that take them: it must not block.
pub type Observer = Arc<dyn Fn(BatchStep<'_>) + Send + Sync>;
