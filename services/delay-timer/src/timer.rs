//! An open timer and its place in the order of firing.

use bytes::{BufMut, Bytes};
use cartwheel_runtime::log::Offset;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A due moment as it is ordered and stored: microseconds since 1970, rounded up, so that nothing fires early.
///
/// Every [`Timestamp`] fits, so a delay of ten years or of ten thousand is stored as what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Due(i64);

impl Due {
    /// Before every moment.
    pub const FIRST: Self = Self(i64::MIN);

    /// Behind every moment.
    pub const LAST: Self = Self(i64::MAX);

    /// The due moment as microseconds since 1970.
    pub fn microseconds(self) -> i64 {
        self.0
    }

    /// The due moment that these microseconds since 1970 stand for.
    pub fn from_microseconds(microseconds: i64) -> Self {
        Self(microseconds)
    }

    /// The moment from which on the timer may fire.
    pub fn moment(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }

    /// Whether the timer may fire at `now`.
    pub fn is_reached(self, now: Timestamp) -> bool {
        self <= Self::latest_reached(now)
    }

    /// The latest due moment that is reached at `now`.
    pub fn latest_reached(now: Timestamp) -> Self {
        Self(whole_microseconds(now.as_nanosecond()))
    }
}

impl From<Timestamp> for Due {
    fn from(moment: Timestamp) -> Self {
        Self(whole_microseconds(moment.as_nanosecond() + 999))
    }
}

/// The range of [`Timestamp`] in microseconds is far inside 64 bits.
fn whole_microseconds(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds.div_euclid(1000)).unwrap_or(i64::MAX)
}

/// Where an open timer stands in the order of firing: by due moment, then by id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// When it may fire.
    pub due: Due,
    /// The timer's id: the key of its record on the log.
    pub id: Bytes,
}

impl Place {
    /// Before every timer.
    pub const FIRST: Self = Self { due: Due::FIRST, id: Bytes::new() };

    /// The place right behind this one: no timer stands between the two.
    pub fn next(&self) -> Self {
        let mut id = Vec::with_capacity(self.id.len() + 1);
        id.extend_from_slice(&self.id);
        id.push(0);
        Self { due: self.due, id: id.into() }
    }

    /// Bytes that sort as places do.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.id.len());
        bytes.put_i64(self.due.0 ^ i64::MIN);
        bytes.extend_from_slice(&self.id);
        bytes
    }

    /// Reads what [`Place::to_bytes`] wrote; none if it is too short.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (due, id) = bytes.split_first_chunk()?;
        Some(Self { due: Due(i64::from_be_bytes(*due) ^ i64::MIN), id: Bytes::copy_from_slice(id) })
    }
}

/// A timer that is set and neither cancelled nor fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTimer {
    /// Its place in the order of firing.
    pub place: Place,
    /// Where its record stands in the partition of the timers' log.
    pub offset: Offset,
    /// When the log took the record.
    pub appended: Timestamp,
    /// The record's value, as it stands on the log.
    pub record: Bytes,
}

impl OpenTimer {
    /// Since when it could have fired: a timer set with a past moment is due from when the log took it.
    pub fn waiting_since(&self) -> Timestamp {
        self.place.due.moment().max(self.appended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_moment_is_never_rounded_to_an_earlier_one() {
        for nanosecond in [0, 1, 999, 1000, 1001, -1, -999, -1000, -1001] {
            let moment = Timestamp::from_nanosecond(nanosecond).unwrap();
            let due = Due::from(moment);
            assert!(due.moment() >= moment, "{nanosecond}");
            assert!(due.is_reached(due.moment()));
            assert!(!due.is_reached(Timestamp::from_nanosecond(due.moment().as_nanosecond() - 1).unwrap()));
        }
        for extreme in [Timestamp::MIN, Timestamp::MAX] {
            assert!((Due::from(extreme).moment().as_nanosecond() - extreme.as_nanosecond()).abs() < 1000);
        }
    }

    #[test]
    fn places_sort_as_their_bytes_do_and_nothing_stands_between_neighbours() {
        let place = |due, id: &'static [u8]| Place { due: Due(due), id: Bytes::from_static(id) };
        let ordered =
            [Place::FIRST, place(-5, b"b"), place(-5, b"b\0"), place(-5, b"c"), place(0, b""), place(7, b"a"), place(i64::MAX, b"a")];
        for pair in ordered.windows(2) {
            assert!(pair[0] < pair[1] && pair[0].to_bytes() < pair[1].to_bytes(), "{pair:?}");
        }
        assert_eq!(ordered[1].next(), ordered[2]);
        for place in ordered {
            assert_eq!(Place::from_bytes(&place.to_bytes()), Some(place));
        }
    }
}
