//! What can stop a partition's worker.

use cartwheel_runtime::{
    log::LogError,
    store::{Facts, StoreError},
};

use crate::{definitions::DefinitionError, fold::MarksError};

/// Why a worker left its partition.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// Another owner, or a store that was rolled back: all memory is dropped and the partition taken anew (rule P6).
    #[error("partition {partition} is fenced: the store no longer holds what this owner wrote")]
    Fenced {
        /// The partition.
        partition: u32,
        /// What stands there instead.
        stored: Option<Facts>,
    },
    /// The log; fatal if the producer failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store belongs to something else; nothing is changed in it.
    #[error("partition {partition}: {problem}")]
    Foreign {
        /// The partition.
        partition: u32,
        /// What does not fit, and what to do.
        problem: String,
    },
    /// Stored marks.
    #[error(transparent)]
    Marks(#[from] MarksError),
    /// A stored customer.
    #[error("partition {partition} holds a customer that cannot be read: {problem}")]
    State {
        /// The partition.
        partition: u32,
        /// Why.
        problem: String,
    },
    /// A view's value.
    #[error(transparent)]
    View(#[from] cartwheel_wire::views::ViewError),
    /// A shop's revision.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// A record that only a newer version can read.
    #[error("record {offset} of partition {partition} is of a schema that this version does not know: {problem}; upgrade the evaluators")]
    Newer {
        /// The partition.
        partition: u32,
        /// The record.
        offset: u64,
        /// What the codec says.
        problem: String,
    },
    /// A record is stamped more than five minutes ahead of this machine's clock (rule P12).
    #[error(
        "record {offset} of partition {partition} is stamped {ahead_s} s ahead of this machine's clock; set the clocks of brokers and services right"
    )]
    StampAhead {
        /// The partition.
        partition: u32,
        /// The record.
        offset: u64,
        /// How far, in seconds.
        ahead_s: i64,
    },
}

impl WorkerError {
    /// Whether the process must start again (rule P3): every batch of its producer is abandoned.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Log(LogError::Fatal(_)))
    }
}
