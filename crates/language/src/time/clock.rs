//! Times of day, and the moment that a local date and time is.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

/// A time on a clock, to the minute: `18:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

impl TimeOfDay {
    /// The first minute of a day.
    pub const MIDNIGHT: TimeOfDay = TimeOfDay { hour: 0, minute: 0 };

    /// The time at this hour and minute; `None` unless the hour is 0-23 and the minute 0-59.
    pub fn new(hour: u8, minute: u8) -> Option<TimeOfDay> {
        let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
        (hour < 24 && minute < 60).then_some(TimeOfDay { hour, minute })
    }

    /// This time on that day, without a zone.
    pub fn on(self, day: Date) -> DateTime {
        day.at(self.hour, self.minute, 0, 0)
    }
}

/// A text that is no time of day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time of day; write hours and minutes as in \"18:00\"")]
pub struct InvalidTimeOfDay(String);

impl FromStr for TimeOfDay {
    type Err = InvalidTimeOfDay;

    fn from_str(text: &str) -> Result<TimeOfDay, InvalidTimeOfDay> {
        let two_digits = |part: &str| (part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit())).then(|| part.parse().ok())?;
        text.split_once(':')
            .and_then(|(hour, minute)| TimeOfDay::new(two_digits(hour)?, two_digits(minute)?))
            .ok_or_else(|| InvalidTimeOfDay(text.to_owned()))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = InvalidTimeOfDay;

    fn try_from(text: String) -> Result<TimeOfDay, InvalidTimeOfDay> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> String {
        time.to_string()
    }
}

/// The moment at which clocks in the zone show this date and time.
///
/// A time that a change skips is the first moment after the change; one that comes twice is the first of the two. Times
/// beyond what a [`Timestamp`] can hold are its first or last.
pub fn local_instant(local: DateTime, zone: &TimeZone) -> Timestamp {
    let ambiguous = zone.to_ambiguous_timestamp(local);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(local).unwrap_or_else(|_| nearest(local))
        }
        AmbiguousOffset::Gap { before, after } => {
            // Read with the later offset the skipped time lies before the change, so the change is the next one.
            let earlier = after.to_timestamp(local).unwrap_or_else(|_| nearest(local));
            let later = before.to_timestamp(local).unwrap_or_else(|_| nearest(local));
            let change = (zone.following(earlier))
                .map(|change| change.timestamp())
                .take_while(|moment| *moment <= later)
                .find(|moment| zone.to_offset(*moment) == after);
            change.unwrap_or(later)
        }
    }
}

fn nearest(local: DateTime) -> Timestamp {
    if local.year() < 0 { Timestamp::MIN } else { Timestamp::MAX }
}

/// The date that calendars in the zone show at this moment.
pub fn local_date(at: Timestamp, zone: &TimeZone) -> Date {
    zone.to_datetime(at).date()
}

/// The first moment at or after `at` that is this time of day in the zone.
///
/// ```
/// use cartwheel_language::time::{next_time_of_day, zone};
/// let chicago = zone("America/Chicago").expect("a zone");
/// let at = "2026-11-30T23:30:00Z".parse()?; // 17:30 there
/// assert_eq!(next_time_of_day(at, &chicago, "18:00".parse()?).to_string(), "2026-12-01T00:00:00Z");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn next_time_of_day(at: Timestamp, zone: &TimeZone, time: TimeOfDay) -> Timestamp {
    // From the day before: where a change goes back over midnight, the local date falls as well.
    let today = local_date(at, zone);
    days_around(today, -1, 3).map(|day| local_instant(time.on(day), zone)).find(|moment| *moment >= at).unwrap_or(Timestamp::MAX)
}

/// The days from `first` to `last` days after this one; those beyond the calendar are left out.
pub(super) fn days_around(day: Date, first: i64, last: i64) -> impl Iterator<Item = Date> {
    (first..=last).filter_map(move |days| day.checked_add(days.days()).ok())
}

/// The first moment of a local day. That is not always 00:00: clocks may skip it.
pub(super) fn start_of(day: Date, zone: &TimeZone) -> Timestamp {
    local_instant(day.to_datetime(Time::midnight()), zone)
}
