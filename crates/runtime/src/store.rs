//! The state of one partition behind a fence: read together with who owns it, written only by the owner, all or nothing.
//!
//! The store is a view of the log (rules P1, P5, P6): it may be emptied, rolled back or swapped at any time. So each read returns
//! the facts that were stored at that moment, each write names the facts that it expects, and the caller judges.

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::log::{Offset, Partition};

/// Who owns a partition and how far it has been folded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// Counts owners; a new one is above all it has seen.
    pub epoch: u64,
    /// The owner's random token: two owners that took the same epoch after a rollback differ in it.
    pub owner: u128,
    /// The next offset to fold.
    pub head: Offset,
}

/// What is stored of a partition beside its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Owner and head.
    pub fence: Fence,
    /// The installation that wrote them; a store of another installation is refused (OPERATE: never "reset").
    pub installation: String,
    /// The number of partitions when they were written; a change is refused (rule P27).
    pub partitions: u32,
    /// The owner's own facts, opaque here (marks of rule P8, campaign revisions in force).
    pub note: Bytes,
}

/// What one write changes. Values and views change together with the facts or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Values by key; none deletes.
    pub values: Vec<(String, Option<Bytes>)>,
    /// Entries of views: view, entry, value; none deletes.
    pub views: Vec<(&'static str, String, Option<Bytes>)>,
}

/// An answer to [`PartitionStore::load`] or [`PartitionStore::look`]: values and the facts of the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The facts; none if nothing is stored.
    pub facts: Option<Facts>,
    /// The values in the order asked for.
    pub values: Vec<Option<Bytes>>,
}

/// An answer to [`PartitionStore::write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// All of it is stored.
    Done,
    /// Nothing was: the stored fence is not the expected one.
    Fenced {
        /// The facts that stand there instead.
        stored: Option<Facts>,
    },
}

/// What can go wrong with the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer now; the call may be repeated. A write may or may not have happened.
    #[error("store is unavailable: {0}")]
    Unavailable(String),
    /// It must not be used: eviction is on, or it holds something else.
    #[error("store must not be used: {0}")]
    Unfit(String),
}

/// State by partition, on the primary.
pub trait PartitionStore: Send + Sync + 'static {
    /// Reads values together with the facts, atomically.
    fn load<'a>(&'a self, partition: Partition, keys: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>>;

    /// Reads entries of a view together with the facts, atomically.
    fn look<'a>(&'a self, partition: Partition, view: &'static str, entries: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>>;

    /// Writes facts and changes if the stored fence is `expected` (none: nothing is stored), atomically.
    fn write<'a>(
        &'a self,
        partition: Partition,
        expected: Option<&'a Fence>,
        facts: &'a Facts,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Written, StoreError>>;
}
