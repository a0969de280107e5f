//! The open timers of one partition, ordered by due moment: a view of the timers' log that can be thrown away at any time (rule P1).
//!
//! A view is the fold of its log up to [`Facts::position`] and nothing else: what has been fired stays in it until the tombstone comes
//! back from the log. So any copy of it, however old, is right as soon as it is read on to the end, and only the log must never be lost.
//!
//! [`DiskView`] keeps far more timers than memory does; [`MemoryView`] serves embedded and simulated runs. Both give the same answers.

mod disk;
mod memory;

use std::collections::BTreeSet;

use bytes::Bytes;
use cartwheel_runtime::log::{Bounds, Offset, Partition};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::{
    disk::{Disk, DiskSettings, DiskView},
    memory::{MemoryView, MemoryViews, Snapshot},
};
use crate::timer::{Due, OpenTimer, Place};

/// The open timers of one partition.
///
/// Calls block for as long as the disk takes; a host runs each worker where that harms nobody else.
pub trait View: Send + Sync {
    /// What the view holds; none if it is empty or was being cleared when the process died.
    fn facts(&self) -> Result<Option<Facts>, ViewError>;

    /// When the timer of this id is due, if it is open.
    fn due_of(&self, id: &[u8]) -> Result<Option<Due>, ViewError>;

    /// The timers at `from` and behind it that are due at `until` or before, in order; at most `count` of them, and none after their
    /// records have exceeded `bytes`.
    fn due(&self, from: &Place, until: Due, count: usize, bytes: usize) -> Result<Vec<OpenTimer>, ViewError>;

    /// How many timers there are at `from` and behind it that are due at `until` or before; stops counting at `most`.
    fn count_due(&self, from: &Place, until: Due, most: usize) -> Result<usize, ViewError>;

    /// Carries out the change and stores the facts, all or nothing.
    fn apply(&mut self, change: Change, facts: &Facts) -> Result<(), ViewError>;

    /// Forgets everything, facts first.
    fn clear(&mut self) -> Result<(), ViewError>;
}

/// Where the views of all partitions are kept.
#[derive(Clone)]
pub enum Views {
    /// On disk.
    Disk(Disk),
    /// In memory, for embedded runs.
    Memory(MemoryViews),
}

impl Views {
    /// The view of this partition.
    pub fn view(&self, partition: Partition) -> Box<dyn View> {
        match self {
            Self::Disk(disk) => Box::new(disk.view(partition)),
            Self::Memory(views) => Box::new(views.view(partition)),
        }
    }
}

/// What one fold changes. A timer that moves is both removed from its old place and put at the new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Places that are open no longer.
    pub removed: Vec<Place>,
    /// Timers that are open now.
    pub put: Vec<OpenTimer>,
}

/// Whose view it is and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The log that it is a view of.
    pub identity: Identity,
    /// The next offset to fold.
    pub position: Offset,
    /// The last record folded, to recognise a log of the same name that is another one.
    pub last: Option<Stamp>,
    /// Everything that the log took up to this moment is folded.
    pub complete_until: Timestamp,
    /// How many timers are open.
    pub open: u64,
    /// Nothing before this place needs firing: what stands there has its tombstone on the log. Saves a walk over what was removed.
    pub floor: Place,
    /// Timers that were set again to another moment while they fired: their record stands before the tombstone and must be appended again.
    pub overtaken: BTreeSet<Bytes>,
}

/// A record's place and time on the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The offset.
    pub offset: Offset,
    /// The record's time.
    pub timestamp: Timestamp,
}

/// The log that a view belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The installation's id.
    pub installation: String,
    /// The timers' topic, its generation included.
    pub topic: String,
    /// The partition.
    pub partition: Partition,
}

/// Why a view cannot be read on from where it stands, and is rebuilt from the log's start (rule P14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is none.
    Absent,
    /// It belongs to another installation, topic or partition, or to a log of the same name that was deleted.
    Foreign,
    /// It has folded what the log does not hold: the log is another one, or was restored from an older copy.
    Ahead,
    /// The log no longer holds what comes next.
    Behind,
    /// It is so old that tombstones which it has not seen may be gone, or it was written by a clock that is ahead of this one.
    Old,
}

impl Unfit {
    /// The word for logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Foreign => "foreign",
            Self::Ahead => "ahead",
            Self::Behind => "behind",
            Self::Old => "old",
        }
    }
}

/// Clocks of two machines may differ by this much before a view from the future is thought to lie; the limit of rule P12.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

impl Facts {
    /// A view without timers, at the log's start.
    pub fn beginning(identity: Identity, position: Offset) -> Self {
        Self { identity, position, last: None, complete_until: Timestamp::MIN, open: 0, floor: Place::FIRST, overtaken: BTreeSet::new() }
    }

    /// Whether the view can be read on: `bounds` is what the log holds, `max_age` is below the retention of the log's tombstones.
    pub fn judge(&self, identity: &Identity, bounds: Bounds, now: Timestamp, max_age: SignedDuration) -> Result<(), Unfit> {
        let age = now.duration_since(self.complete_until);
        if self.identity != *identity {
            Err(Unfit::Foreign)
        } else if self.position > bounds.end {
            Err(Unfit::Ahead)
        } else if self.position < bounds.start {
            Err(Unfit::Behind)
        } else if age >= max_age || age < -CLOCK_TOLERANCE {
            Err(Unfit::Old)
        } else {
            Ok(())
        }
    }
}

/// What can go wrong with a view. Nothing is lost by it: the timers stand on the log.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The disk does not take or give data.
    #[error(
        "could not {attempt} the timer view in {path}: {reason}; timers are safe on the log: free space or mend the disk, then start again"
    )]
    Disk {
        /// What was tried.
        attempt: &'static str,
        /// The view's folder.
        path: String,
        /// What the disk answered.
        reason: String,
    },
    /// The folder belongs to another process.
    #[error("the timer view in {path} is in use by another process; give each process its own view.path")]
    InUse {
        /// The view's folder.
        path: String,
    },
    /// The files cannot be understood. The view is marked and is rebuilt from the log at the next start.
    #[error("the timer view in {path} is damaged ({reason}); start again and it is rebuilt from the log")]
    Damaged {
        /// The view's folder.
        path: String,
        /// What was found.
        reason: String,
    },
}

impl<V: View + ?Sized> View for Box<V> {
    fn facts(&self) -> Result<Option<Facts>, ViewError> {
        (**self).facts()
    }

    fn due_of(&self, id: &[u8]) -> Result<Option<Due>, ViewError> {
        (**self).due_of(id)
    }

    fn due(&self, from: &Place, until: Due, count: usize, bytes: usize) -> Result<Vec<OpenTimer>, ViewError> {
        (**self).due(from, until, count, bytes)
    }

    fn count_due(&self, from: &Place, until: Due, most: usize) -> Result<usize, ViewError> {
        (**self).count_due(from, until, most)
    }

    fn apply(&mut self, change: Change, facts: &Facts) -> Result<(), ViewError> {
        (**self).apply(change, facts)
    }

    fn clear(&mut self) -> Result<(), ViewError> {
        (**self).clear()
    }
}
