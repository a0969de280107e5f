//! Hand-overs a second, as slots in time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::{lane::Lane, moment::after};

/// How far ahead promotional messages may book: a transactional one never waits longer than this behind them.
const PROMOTIONAL_HORIZON: Duration = Duration::from_millis(250);

/// Gives each call its moment, so that there are never more than `rate` a second, in the order of asking; transactional messages
/// come before promotional ones.
#[derive(Debug)]
pub struct Throughput {
    apart: Duration,
    /// The first moment that is free.
    next: Mutex<Timestamp>,
}

/// The answer to a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Booking {
    /// The caller's own moment; it may be past.
    At(Timestamp),
    /// Nothing is booked; ask again at this moment.
    AskAgain(Timestamp),
}

impl Throughput {
    /// At most `rate` calls a second; the rate is positive and finite.
    pub fn new(rate: f64) -> Self {
        Self { apart: Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::ZERO), next: Mutex::new(Timestamp::MIN) }
    }

    /// Books the next moment.
    pub fn book(&self, now: Timestamp, lane: Lane) -> Booking {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = (*next).max(now);
        let horizon = after(now, PROMOTIONAL_HORIZON);
        if lane == Lane::Promotional && slot > horizon {
            let ahead = SignedDuration::try_from(PROMOTIONAL_HORIZON).unwrap_or(SignedDuration::ZERO);
            return Booking::AskAgain(slot.saturating_sub(ahead).unwrap_or(slot));
        }
        *next = after(slot, self.apart);
        Booking::At(slot)
    }

    /// No call before this moment: the provider asked for a pause.
    pub fn pause_until(&self, until: Timestamp) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(until);
    }

    /// How long a call that is booked now would wait.
    pub fn wait(&self, now: Timestamp) -> Duration {
        let next = *self.next.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_keep_their_distance_and_promotions_leave_room_for_the_urgent() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let later = |ms| now + SignedDuration::from_millis(ms);
        let throughput = Throughput::new(10.0);
        assert_eq!(throughput.book(now, Lane::Promotional), Booking::At(now));
        assert_eq!(throughput.book(now, Lane::Promotional), Booking::At(later(100)));
        assert_eq!(throughput.book(now, Lane::Promotional), Booking::At(later(200)));
        assert_eq!(throughput.book(now, Lane::Promotional), Booking::AskAgain(later(50)));
        assert_eq!(throughput.book(now, Lane::Transactional), Booking::At(later(300)));
        throughput.pause_until(later(5_000));
        assert_eq!(throughput.book(now, Lane::Transactional), Booking::At(later(5_000)));
        assert_eq!(throughput.book(later(9_000), Lane::Promotional), Booking::At(later(9_000)), "time unused is not saved up");
    }
}
