//! Moments, durations, clocks and opening hours where the customer lives (LANGUAGE.md section 8).
//!
//! Pure arithmetic: the present moment and the zone are arguments, and the time-zone data is compiled in, so that the
//! same input gives the same moment on every machine ([`DATA_VERSION`] names the data).
//!
//! One rule holds throughout for clocks that change: a local time that a change skips is the first moment after it, one
//! that comes twice is the first of the two. What begins at such a time and what ends at it agree, so hours that meet
//! leave no gap and no overlap.

mod calendar;
mod clock;
mod hours;
mod region_zones;
mod span;
mod zone;

pub use calendar::Calendar;
pub use clock::{InvalidTimeOfDay, TimeOfDay, local_date, local_instant, next_time_of_day};
pub use hours::{Days, Hours, Opening, opening};
pub use span::{InvalidSpan, Span, Unit};
pub use zone::{DATA_VERSION, ZoneSource, zone, zone_of};

#[cfg(test)]
mod tests;
