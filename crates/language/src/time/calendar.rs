//! Calendar days, weeks and months where the customer lives, as caps count them.

use std::ops::Range;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::clock::{local_date, start_of};

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calendar {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the 1st.
    Month,
}

impl Calendar {
    /// The day, week or month that holds the moment, from its first moment to that of the next (which is not in it).
    ///
    /// Periods follow each other without gap or overlap, also where clocks go back over midnight.
    pub fn period(self, at: Timestamp, zone: &TimeZone) -> Range<Timestamp> {
        let mut first = self.first_day(local_date(at, zone));
        let mut period = self.period_of(first, zone);
        if at >= period.end {
            // Clocks went back over midnight: the moment shows yesterday's date, but today has begun.
            first = self.next(first);
            period = self.period_of(first, zone);
        }
        period
    }

    fn period_of(self, first: Date, zone: &TimeZone) -> Range<Timestamp> {
        start_of(first, zone)..start_of(self.next(first), zone)
    }

    fn first_day(self, day: Date) -> Date {
        match self {
            Calendar::Day => day,
            Calendar::Week => day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days()),
            Calendar::Month => day.first_of_month(),
        }
    }

    fn next(self, first: Date) -> Date {
        first.saturating_add(match self {
            Calendar::Day => 1.days(),
            Calendar::Week => 1.weeks(),
            Calendar::Month => 1.months(),
        })
    }
}
