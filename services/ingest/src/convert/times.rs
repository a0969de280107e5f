//! When something happened, from what its source says and from when it arrived. Times from clients are data (rule P12): they are
//! corrected, clamped and judged here, and never become anybody's `now`.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};

use crate::refusal::{Code, Refusal};

/// 2000-01-01T00:00:00Z in seconds: before it no shop sent events, and clocks that were never set stand at 1970 or 1980.
const EARLIEST_SECOND: i64 = 946_684_800;

/// Ten years: a clock so far ahead is wrong in a way that no correction mends.
const FURTHEST_AHEAD: SignedDuration = SignedDuration::from_hours(10 * 365 * 24);

/// Reads RFC 3339, the same without offset as UTC, or a date as its midnight in UTC.
pub fn parse(text: &str) -> Result<Timestamp, Refusal> {
    let text = text.trim();
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(|local| TimeZone::UTC.to_timestamp(local)))
        .map_err(|_| Refusal::new(Code::BadTime, "a time cannot be read; write it as 2026-12-24T18:00:00Z"))
}

/// The moment by the receiver's clock of a `stamp` by the sender's, whose clock stood at `sent` when it sent the message:
/// `received - (sent - stamp)`, as Segment does. It takes the sender's error out, and with it the time under way.
pub fn corrected(stamp: Timestamp, sent: Timestamp, received: Timestamp) -> Timestamp {
    let error = received.duration_since(sent);
    stamp.saturating_add(error).unwrap_or(stamp)
}

/// A moment as it is kept: in the future it becomes the arrival.
///
/// # Errors
/// A moment that cannot be true: before 2000, or more than ten years ahead.
pub fn judged(moment: Timestamp, received: Timestamp) -> Result<Timestamp, Refusal> {
    if moment.as_second() < EARLIEST_SECOND {
        return Err(Refusal::new(Code::BadTime, "the time is before 2000; check the sender's clock and units"));
    }
    if moment.duration_since(received) > FURTHEST_AHEAD {
        return Err(Refusal::new(Code::BadTime, "the time is more than ten years ahead; check the sender's clock and units"));
    }
    Ok(moment.min(received))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_wrong_clock_is_corrected_by_the_time_of_sending() {
        let an_hour_fast = corrected(at("2026-05-01T11:00:00Z"), at("2026-05-01T11:00:10Z"), at("2026-05-01T10:00:10Z"));
        assert_eq!(an_hour_fast, at("2026-05-01T10:00:00Z"));
        let never_set = corrected(at("1970-01-01T00:00:05Z"), at("1970-01-01T00:00:15Z"), at("2026-05-01T10:00:10Z"));
        assert_eq!(never_set, at("2026-05-01T10:00:00Z"));
    }

    #[test]
    fn the_future_is_clamped_to_the_arrival_and_the_absurd_refused_just_beyond_the_edges() {
        let received = at("2026-05-01T10:00:00Z");
        assert_eq!(judged(at("2026-05-01T10:00:01Z"), received).unwrap(), received);
        assert_eq!(judged(at("2036-04-28T10:00:00Z"), received).unwrap(), received);
        assert_eq!(judged(at("2036-04-28T10:00:01Z"), received).unwrap_err().code, Code::BadTime);
        assert_eq!(judged(at("2000-01-01T00:00:00Z"), received).unwrap(), at("2000-01-01T00:00:00Z"));
        assert_eq!(judged(at("1999-12-31T23:59:59Z"), received).unwrap_err().code, Code::BadTime);
    }

    #[test]
    fn the_ways_that_clients_write_times_are_read() {
        for text in [
            "2026-12-24T18:00:00Z",
            "2026-12-24T18:00:00.000+00:00",
            "2026-12-24T19:00:00+01:00",
            " 2026-12-24T18:00:00 ",
            "2026-12-24 18:00:00Z",
        ] {
            assert_eq!(parse(text).unwrap(), at("2026-12-24T18:00:00Z"), "{text}");
        }
        assert_eq!(parse("2026-12-24").unwrap(), at("2026-12-24T00:00:00Z"));
        for text in ["", "yesterday", "1766599200", "2026-13-01T00:00:00Z", "2026-12-24T25:00:00Z"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
