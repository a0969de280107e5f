//! How far the timers of each partition have come, for readiness, metrics and fast-forward.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cartwheel_runtime::{
    admin::Condition,
    log::{Offset, Partition},
};
use jiff::Timestamp;

/// The partitions that this process works on; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Timers(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    partitions: Mutex<BTreeMap<Partition, Progress>>,
    complete: Option<Condition>,
}

/// One partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The next record of the timers' log to fold.
    pub position: Offset,
    /// The log's end was reached once, so timers fire (rule P14).
    pub ready: bool,
    /// How many timers are open.
    pub open: u64,
    /// How many of them were due and waited when last counted.
    pub overdue: u64,
    /// When the next timer is due, none if there is none. It moves on only when what was due is acknowledged, with its tombstone.
    pub next_due: Option<Timestamp>,
    /// Since when the next timer could fire: when it is due, or when it was set if it was due then.
    pub waiting_since: Option<Timestamp>,
}

impl Timers {
    /// No partitions yet; `complete` is to hold while no partition is catching up.
    pub fn new(complete: Option<Condition>) -> Self {
        if let Some(condition) = &complete {
            condition.holds();
        }
        Self(Arc::new(Inner { partitions: Mutex::default(), complete }))
    }

    /// When the next timer of all partitions is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.lock().values().filter_map(|progress| progress.next_due).min()
    }

    /// The progress of each partition.
    pub fn partitions(&self) -> BTreeMap<Partition, Progress> {
        self.lock().clone()
    }

    pub(crate) fn note(&self, partition: Partition, progress: Progress) {
        let mut partitions = self.lock();
        let ready = progress.ready;
        let former = partitions.insert(partition, progress);
        if former.is_none_or(|former| former.ready != ready) {
            self.tell(&partitions);
        }
    }

    pub(crate) fn forget(&self, partition: Partition) {
        let mut partitions = self.lock();
        partitions.remove(&partition);
        self.tell(&partitions);
    }

    fn tell(&self, partitions: &BTreeMap<Partition, Progress>) {
        let Some(condition) = &self.0.complete else { return };
        match partitions.values().filter(|progress| !progress.ready).count() {
            0 => condition.holds(),
            behind => condition.fails(format!("{behind} of {} partitions are catching up with their log", partitions.len())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Progress>> {
        self.0.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
