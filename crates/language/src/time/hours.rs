//! When messages may go out: windows of campaigns and quiet hours of the shop.

use std::fmt;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::clock::{TimeOfDay, days_around, local_date, local_instant};

/// Days of the week.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const ALL: Days = Days(0b111_1111);

    /// The day that a campaign file calls `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`.
    pub fn named(name: &str) -> Option<Weekday> {
        let position = DAY_NAMES.iter().position(|day| *day == name)?;
        Weekday::from_monday_zero_offset(i8::try_from(position).ok()?).ok()
    }

    /// Whether the day is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 & Days::ALL.0 == 0
    }
}

const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

impl FromIterator<Weekday> for Days {
    fn from_iter<I: IntoIterator<Item = Weekday>>(days: I) -> Days {
        Days(days.into_iter().fold(0, |bits, day| bits | bit(day)))
    }
}

impl fmt::Debug for Days {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// `mon, tue`, as campaign files write them.
impl fmt::Display for Days {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = DAY_NAMES.iter().enumerate().filter(|(position, _)| self.0 & (1 << position) != 0);
        for (count, (_, name)) in names.enumerate() {
            formatter.write_str(if count > 0 { ", " } else { "" })?;
            formatter.write_str(name)?;
        }
        Ok(())
    }
}

/// Open from one time of day, inclusive, to another, exclusive, on some days of the week.
///
/// Hours that close at or before the time they open at are open over midnight; they belong to the day they open on.
/// Hours that open and close at the same time are open for the whole day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hours {
    /// The first time of day that is open.
    pub open: TimeOfDay,
    /// The first time of day that is closed again.
    pub close: TimeOfDay,
    /// The days on which it opens.
    pub days: Days,
}

/// Whether a message may go out at a moment, and when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Open, up to but without this moment. [`Timestamp::MAX`] means that it never closes.
    Open {
        /// The first moment that is closed again.
        until: Timestamp,
    },
    /// Closed.
    Closed {
        /// The first moment that is open again.
        opens: Timestamp,
    },
    /// Closed, and it does not open again within the year: the rules leave no common time.
    Never,
}

/// How many days ahead an opening is looked for: every weekday falls on every day of a month and on both sides of a
/// clock change within it.
const DAYS_AHEAD: i64 = 366;

impl Hours {
    /// The hours that quiet hours leave: open every day from the end of the quiet to its beginning.
    pub fn outside_of(quiet_from: TimeOfDay, quiet_to: TimeOfDay) -> Hours {
        Hours { open: quiet_to, close: quiet_from, days: Days::ALL }
    }

    /// Whether it is open at the moment, where clocks and calendars show the time of the zone.
    pub fn verdict(&self, at: Timestamp, zone: &TimeZone) -> Opening {
        if self.open == self.close && self.days == Days::ALL {
            return Opening::Open { until: Timestamp::MAX };
        }
        // Two days back: hours over midnight, and a change that goes back over midnight.
        let openings = days_around(local_date(at, zone), -2, DAYS_AHEAD)
            .filter(|day| self.days.contains(day.weekday()))
            .map(|day| {
                let closes_on = if self.close > self.open { day } else { day.saturating_add(1.days()) };
                local_instant(self.open.on(day), zone)..local_instant(self.close.on(closes_on), zone)
            })
            .filter(|open| open.start < open.end && open.end > at);
        let mut until = None;
        for open in openings {
            match until {
                None if open.start > at => return Opening::Closed { opens: open.start },
                Some(until) if open.start > until => return Opening::Open { until },
                _ => until = Some(open.end),
            }
        }
        until.map_or(Opening::Never, |until| Opening::Open { until })
    }
}

/// Whether it is open by all of the rules, such as the shop's quiet hours and a campaign's window. Without rules it is
/// always open.
pub fn opening(rules: &[Hours], at: Timestamp, zone: &TimeZone) -> Opening {
    let mut moment = at;
    let horizon = at.checked_add(SignedDuration::from_hours(24 * DAYS_AHEAD)).unwrap_or(Timestamp::MAX);
    while moment < horizon {
        let mut all_open_until = Timestamp::MAX;
        let mut next = None;
        for rule in rules {
            match rule.verdict(moment, zone) {
                Opening::Open { until } => all_open_until = all_open_until.min(until),
                Opening::Closed { opens } => next = next.max(Some(opens)),
                Opening::Never => return Opening::Never,
            }
        }
        match next {
            Some(opens) => moment = opens,
            None if moment == at => {
                return Opening::Open { until: all_open_until };
            }
            None => return Opening::Closed { opens: moment },
        }
    }
    Opening::Never
}
