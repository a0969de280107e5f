//! Appends records to topics at a moment: Kafka has no delayed delivery, and this service adds it.
//!
//! # Contract
//!
//! - *In*: `cartwheel.timers`. A record sets the timer that is its key: at `due`, append this key, these headers and this value to this
//!   topic and partition. The same key again moves the timer; a tombstone cancels it.
//! - *Out*: the record, never before `due`, at least once; then a tombstone in `cartwheel.timers`. What cannot be appended (an unknown
//!   topic, no such partition, too large, no timer at all) goes to `cartwheel.dead-letters` with its bytes and the reason.
//! - *Stored*: nothing that counts. `cartwheel.timers` is the truth; the folder of the open timers, ordered by due moment, is a view of
//!   it that may be lost, replaced by an older copy or by another installation's at any time (rules P1, P14).
//! - A timer fires or is cancelled, never neither. One that fires twice has the same bytes both times: receivers know it by its id.
//! - A delay may be anything from the past to the end of time; a moment that has passed is due at once.
//! - Nothing fires before the log's end was reached once (rule P14), so a cancelled timer does not fire because its tombstone was unread.
//!
//! # If we crash
//!
//! - while reading: the view holds whole batches with the position behind them; reading goes on there.
//! - after the view was written, before its data is on the disk: an earlier moment of the view comes back; reading goes on from there.
//! - before a due timer's record is acknowledged: it may have landed; the timer is still open and fires (again) after the restart.
//! - after that, before its tombstone is acknowledged: as before; the record lands twice, with the same bytes.
//! - after the tombstone: it is read before anything fires; the timer is gone.
//! - while a view is cleared: its facts go first, so the rest is cleared at the next start.
//! - another process works on the same partition for a while: both fire; receivers see the same bytes twice.
//!
//! [`worker`] is one partition and sees the outside only through the log, the clock and a [`view::View`]; [`app`] hosts workers.

pub mod app;
pub mod config;
pub mod error;
pub mod metrics;
pub mod progress;
pub mod timer;
pub mod view;
pub mod worker;
