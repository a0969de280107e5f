//! Durations as marketers write them: `30m`, `5d`, `18mo`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::clock::local_instant;

/// A duration: a whole number, at least 1, of one unit.
///
/// Seconds, minutes and hours are exact. Days, weeks, months and years are those of the calendar where the customer
/// lives: one day later is the same clock time tomorrow, whether that takes 23, 24 or 25 hours, and one month after the
/// 31st is the last day of a shorter month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    count: u32,
    unit: Unit,
}

/// What a [`Span`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mo`
    Month,
    /// `y`
    Year,
}

const UNITS: [(&str, Unit); 7] = [
    ("s", Unit::Second),
    ("m", Unit::Minute),
    ("h", Unit::Hour),
    ("d", Unit::Day),
    ("w", Unit::Week),
    ("mo", Unit::Month),
    ("y", Unit::Year),
];

/// Nothing that is about a customer lasts longer, and every sum below it fits.
const LONGEST: SignedDuration = SignedDuration::from_hours(100 * 366 * 24);

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpan {
    /// Not a whole number and a unit.
    #[error("`{0}` is no duration; write a whole number and one of s, m, h, d, w, mo, y, as in 30m")]
    Form(String),
    /// Nothing, or more than a hundred years.
    #[error("`{0}` is out of range; a duration is at least 1s and at most 100y")]
    Range(String),
}

impl Span {
    /// Half an hour: the usual silence that ends a visit.
    pub const HALF_HOUR: Span = Span { count: 30, unit: Unit::Minute };

    /// A duration of so many units; `None` when it is nothing or more than a hundred years.
    pub fn new(count: u32, unit: Unit) -> Option<Span> {
        let span = Span { count, unit };
        (count > 0 && span.typical() <= LONGEST).then_some(span)
    }

    /// How many units.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The unit.
    pub fn unit(self) -> Unit {
        self.unit
    }

    /// Whether its length depends on the calendar where the customer lives.
    pub fn is_calendar(self) -> bool {
        matches!(self.unit, Unit::Day | Unit::Week | Unit::Month | Unit::Year)
    }

    /// How long it usually is, to compare durations before any date is known: a day has 24 hours, a month 30 days, a
    /// year 365.
    pub fn typical(self) -> SignedDuration {
        let seconds = match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3_600,
            Unit::Day => 86_400,
            Unit::Week => 7 * 86_400,
            Unit::Month => 30 * 86_400,
            Unit::Year => 365 * 86_400,
        };
        SignedDuration::from_secs(i64::from(self.count) * seconds)
    }

    /// The moment so long after `at`, by the calendar of the zone. Never later than the last moment there is.
    pub fn add(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        match self.exact() {
            Some(exact) => at.checked_add(exact).unwrap_or(Timestamp::MAX),
            None => (zone.to_datetime(at).checked_add(self.civil())).map_or(Timestamp::MAX, |local: DateTime| local_instant(local, zone)),
        }
    }

    /// The moment so long before `at`, by the calendar of the zone. Never earlier than the first moment there is.
    pub fn subtract(self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        match self.exact() {
            Some(exact) => at.checked_sub(exact).unwrap_or(Timestamp::MIN),
            None => (zone.to_datetime(at).checked_sub(self.civil())).map_or(Timestamp::MIN, |local: DateTime| local_instant(local, zone)),
        }
    }

    fn exact(self) -> Option<SignedDuration> {
        (!self.is_calendar()).then(|| self.typical())
    }

    /// The calendar units; nothing for exact ones, which [`Span::exact`] has.
    fn civil(self) -> jiff::Span {
        let count = i64::from(self.count);
        match self.unit {
            Unit::Second | Unit::Minute | Unit::Hour => jiff::Span::new(),
            Unit::Day => count.days(),
            Unit::Week => count.weeks(),
            Unit::Month => count.months(),
            Unit::Year => count.years(),
        }
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Span, InvalidSpan> {
        let form = || InvalidSpan::Form(text.to_owned());
        let digits = text.find(|character: char| !character.is_ascii_digit()).ok_or_else(form)?;
        let (count, unit) = text.split_at(digits);
        let (_, unit) = *UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(form)?;
        if count.is_empty() {
            return Err(form());
        }
        (count.parse().ok()).and_then(|count| Span::new(count, unit)).ok_or_else(|| InvalidSpan::Range(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = UNITS.iter().find(|(_, unit)| *unit == self.unit).map_or("", |(name, _)| name);
        write!(formatter, "{}{name}", self.count)
    }
}

impl TryFrom<String> for Span {
    type Error = InvalidSpan;

    fn try_from(text: String) -> Result<Span, InvalidSpan> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}
