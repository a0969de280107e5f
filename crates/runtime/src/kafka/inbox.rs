//! What stands between a polling thread and one reader: a bounded queue of records.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::log::{LogError, Offset, Partition, Record};

/// Above either of these a partition is paused. Pausing drops what librdkafka has fetched ahead, so the marks are far apart: a
/// reader that falls behind is paused once for thousands of records.
const HIGH_RECORDS: usize = 8_192;
const HIGH_BYTES: usize = 8 * 1024 * 1024;

/// Below both of these a paused partition goes on.
const LOW_RECORDS: usize = 1_024;
const LOW_BYTES: usize = 1024 * 1024;

pub(super) struct Inbox {
    pub(super) topic: Arc<str>,
    pub(super) partition: Partition,
    contents: Mutex<Contents>,
    arrived: Notify,
}

struct Contents {
    records: VecDeque<Record>,
    bytes: usize,
    /// The lowest offset that may still arrive.
    next: Offset,
    paused: bool,
    failure: Option<LogError>,
}

impl Inbox {
    pub(super) fn new(topic: Arc<str>, partition: Partition, next: Offset) -> Self {
        let contents = Contents { records: VecDeque::new(), bytes: 0, next, paused: false, failure: None };
        Self { topic, partition, contents: Mutex::new(contents), arrived: Notify::new() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a record in; calls `pause` when that fills the queue. A record that was here before is dropped.
    pub(super) fn put(&self, record: Record, pause: impl FnOnce() -> bool) {
        {
            let mut contents = self.lock();
            if record.offset < contents.next {
                return;
            }
            contents.next = record.offset + 1;
            contents.bytes += weight(&record);
            contents.records.push_back(record);
            if !contents.paused && (contents.records.len() >= HIGH_RECORDS || contents.bytes >= HIGH_BYTES) {
                contents.paused = pause();
            }
        }
        self.arrived.notify_one();
    }

    /// Up to `max` records; calls `resume` when that empties a paused queue far enough. The lock is held while it does, so that
    /// pausing and resuming never overtake each other.
    fn take(&self, max: usize, resume: impl FnOnce() -> bool) -> Result<Vec<Record>, LogError> {
        let mut contents = self.lock();
        let count = max.min(contents.records.len());
        let taken: Vec<Record> = contents.records.drain(..count).collect();
        contents.bytes -= taken.iter().map(weight).sum::<usize>();
        if contents.paused && contents.records.len() <= LOW_RECORDS && contents.bytes <= LOW_BYTES {
            contents.paused = !resume();
        }
        match &contents.failure {
            Some(failure) if taken.is_empty() => Err(failure.clone()),
            _ => Ok(taken),
        }
    }

    /// Up to `max` records; waits up to `patience` for the first.
    pub(super) async fn read(&self, max: usize, patience: Duration, resume: impl Fn() -> bool) -> Result<Vec<Record>, LogError> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let taken = self.take(max, &resume)?;
            let waited = !taken.is_empty() || max == 0 || tokio::time::timeout_at(deadline, self.arrived.notified()).await.is_err();
            if waited {
                return Ok(taken);
            }
        }
    }

    /// The lowest offset that may still arrive.
    pub(super) fn next(&self) -> Offset {
        self.lock().next
    }

    /// Ends the reading: what has arrived can still be taken, then each read is this error.
    pub(super) fn fail(&self, failure: LogError) {
        self.lock().failure = Some(failure);
        self.arrived.notify_one();
    }
}

fn weight(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.as_ref().map_or(0, |key| key.len()) + record.value.as_ref().map_or(0, |value| value.len()) + headers
}
