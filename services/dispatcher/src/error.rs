//! What stops a dispatcher. Everything that passes is waited for in place; a send that cannot be read is a dead letter, not an error.

use cartwheel_runtime::{
    log::{LogError, Partition},
    partitions::HostError,
    store::StoreError,
};

/// Why the process stops. The log is replayed when it is back: nothing is lost, and the journal keeps anything from going out twice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read or written for good.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store must not be used.
    #[error(transparent)]
    Store(StoreError),
    /// The store belongs to somebody else.
    #[error("store of partition {partition} belongs to {found}, not to {expected}; check [redis] and [installation]")]
    ForeignStore {
        /// The partition asked for.
        partition: Partition,
        /// This installation.
        expected: String,
        /// Whose it is.
        found: String,
    },
    /// A provider cannot be set up.
    #[error("provider {name}: {reason}")]
    Provider {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Hosting the workers ended.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A metric's name is taken.
    #[error("could not register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}
