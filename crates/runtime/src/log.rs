//! The log as a worker sees it: partitions of records, read in order from a place, appended with acknowledgement.
//!
//! Group membership is not part of it: the host of a worker (a service's `app`, or the simulation) decides who works on which
//! partition, and a worker opens what it needs at the offset that it knows to be right.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;

/// A partition's number, from 0.
pub type Partition = u32;

/// A record's place in its partition, from 0.
pub type Offset = u64;

/// A record's headers, in order; names may repeat.
pub type Headers = Vec<(String, Bytes)>;

/// A record as read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// The partition that it stands in.
    pub partition: Partition,
    /// Its place in the partition.
    pub offset: Offset,
    /// The broker's append time where the topic has LogAppendTime, else the producer's time.
    pub timestamp: Timestamp,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
}

/// A record to append. The partition is always explicit.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The topic's full name.
    pub topic: Arc<str>,
    /// The partition to append to.
    pub partition: Partition,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; none is a tombstone.
    pub value: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The first record that is still there.
    Start,
    /// This record; an offset outside the log is [`LogError::OutOfRange`], never silently reset.
    Offset(Offset),
    /// The first record stamped at or after this moment; the end if there is none.
    Time(Timestamp),
    /// Behind the last record of this moment.
    End,
}

/// The records that a partition holds: `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset that is still there.
    pub start: Offset,
    /// The offset that the next record gets.
    pub end: Offset,
}

/// What can go wrong with the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The topic or partition does not exist.
    #[error("topic {topic} has no partition {partition}; create topics with `cartwheel topics create`")]
    Missing {
        /// The topic asked for.
        topic: String,
        /// The partition asked for.
        partition: Partition,
    },
    /// The offset is not in the log: retention has passed it, or the log is another one.
    #[error("offset {wanted} of {topic}/{partition} is outside the log ({}..{})", bounds.start, bounds.end)]
    OutOfRange {
        /// The topic asked for.
        topic: String,
        /// The partition asked for.
        partition: Partition,
        /// The offset asked for.
        wanted: Offset,
        /// What is there.
        bounds: Bounds,
    },
    /// The record can never be appended (too large); nothing of its batch was sent.
    #[error("record of {size} bytes for {topic} is over the limit of {limit} bytes")]
    TooLarge {
        /// The topic.
        topic: String,
        /// The record's size in bytes.
        size: usize,
        /// The largest size that the topic takes, in bytes.
        limit: usize,
    },
    /// The log does not answer now; the call may be repeated.
    #[error("log is unavailable: {0}")]
    Unavailable(String),
    /// The producer has failed for good (rule P3): every batch of this process is abandoned and the process starts again.
    #[error("producer failed, the process must start again: {0}")]
    Fatal(String),
}

/// The log: Kafka, its embedded mock, or memory.
pub trait Log: Send + Sync + 'static {
    /// Appends records, each target partition in the order given, and resolves with their offsets when all are acknowledged.
    ///
    /// Idempotent and without gaps: a record is never skipped while a later one of its partition lands. It waits while the log is
    /// away. Calls that wait at the same time land in any order: await one before the next where their order matters. Dropping the
    /// future gives up waiting, not the records: they may still land later.
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>>;

    /// Opens a partition for reading.
    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>>;

    /// What the partition holds now, asked of its leader.
    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>>;

    /// The end of every partition of a topic, in one question.
    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>>;
}

/// One partition, read in order.
pub trait Reader: Send + Sync {
    /// The next records, at most `max`; waits up to `patience` for the first one and returns none when it does not come.
    ///
    /// Compacted or aborted records and markers of transactions leave gaps between offsets, at the end too. A read that returns none
    /// has stepped over the gap that it stood before, up to an end that this process's [`Log`] has told; so a reader that is read again
    /// and again comes to that end, whatever is left of the records before it.
    fn read(&mut self, max: usize, patience: Duration) -> BoxFuture<'_, Result<Vec<Record>, LogError>>;

    /// The offset behind the last record that was read and behind the gaps that were stepped over; the opening place before that.
    fn position(&self) -> Offset;
}

/// How far a group has come in each partition, for who works on and for who watches.
///
/// Marks are hints that survive a restart; they are written lazily and may be lost, so what is marked must be safe to do again.
pub trait Positions: Send + Sync + 'static {
    /// The last mark of the group, none if it never left one.
    fn marked(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Option<Offset>, LogError>>;

    /// Notes that everything below `next` is done.
    fn mark(&self, topic: &str, partition: Partition, next: Offset);
}
