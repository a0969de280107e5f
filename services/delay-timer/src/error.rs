//! What can go wrong, sorted by what is done about it.
//!
//! *Poison* is a [`Refusal`]: the timer becomes a dead letter and is done. *Transient* is a log that does not answer: the worker waits
//! and says so. *Fatal* is [`Error`]: the process stops, and the next one reads the log again.

use cartwheel_runtime::log::{LogError, Offset, Partition};
use cartwheel_wire::DecodeError;

use crate::view::ViewError;

/// Why a partition's worker stops. Nothing is lost: the timers stand on the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The view of the open timers cannot be used.
    #[error(transparent)]
    View(#[from] ViewError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A newer version wrote a timer, or one that uses a schema registry: passing over it would lose it.
    #[error(
        "record {offset} of {topic}/{partition} is not understood: {error}; if it is not meant to be there, cancel it with a tombstone"
    )]
    NotUnderstood {
        /// The timers' topic.
        topic: String,
        /// The partition.
        partition: Partition,
        /// The record's place.
        offset: Offset,
        /// What is not known.
        error: DecodeError,
    },
}

/// Why a timer cannot be fired.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The record's value is no timer.
    #[error("the value is no timer record: {0}")]
    Undecodable(String),
    /// The record's key is not the timer's id, so a tombstone could not cancel it.
    #[error("the record's key is not the id of the timer in it; use the id as the key")]
    KeyIsNotId,
    /// The target topic is not one that may be written to.
    #[error("topic {0} is not among the targets of this delay-timer; add it to timers.targets")]
    ForbiddenTopic(String),
    /// The target topic has no such partition.
    #[error("topic {topic} has no partition {partition}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: Partition,
    },
    /// The target topic does not take a record of this size.
    #[error("the record of {size} bytes is over the target topic's limit of {limit} bytes")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Refusal {
    /// The word for dead letters and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => "undecodable",
            Self::KeyIsNotId => "key_is_not_id",
            Self::ForbiddenTopic(_) => "forbidden_topic",
            Self::NoPartition { .. } => "no_partition",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// Whether the log refuses this record for good, and why.
    pub(crate) fn by_log(error: &LogError) -> Option<Self> {
        match error {
            LogError::Missing { topic, partition } => Some(Self::NoPartition { topic: topic.clone(), partition: *partition }),
            LogError::TooLarge { size, limit, .. } => Some(Self::TooLarge { size: *size, limit: *limit }),
            _ => None,
        }
    }
}
