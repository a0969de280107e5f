//! Moments and durations put together without overflow.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The moment `wait` after `moment`; the end of time where there is none.
pub(crate) fn after(moment: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    moment.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// The moment `reach` before `moment`; the beginning of time where there is none.
pub(crate) fn before(moment: Timestamp, reach: Duration) -> Timestamp {
    let reach = SignedDuration::try_from(reach).unwrap_or(SignedDuration::MAX);
    moment.saturating_sub(reach).unwrap_or(Timestamp::MIN)
}
