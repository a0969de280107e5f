//! Times against each other: window and quiet hours, expiry and the night, wait and the campaign's life.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::Subject;
use crate::findings::FileFindings;
use crate::model::{Moment, Outside, Wait};
use crate::read::WindowDraft;
use crate::resolve;
use crate::time::{Hours, Opening, TimeOfDay, opening};
use crate::yaml::Place;

/// Minutes of a day.
const DAY: usize = 24 * 60;

/// Checks the times of a campaign.
pub(super) fn check(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    let quiet = resolve::quiet_hours(draft.class(), &subject.shop.shop);
    match &draft.window {
        Some(WindowDraft::Always { place }) if !quiet.is_empty() => {
            let night = quiet.iter().find(|hours| hours.open != hours.close);
            let quiet = night.map_or_else(|| "days off".to_owned(), |hours| format!("quiet hours {}-{}", hours.close, hours.open));
            file.wrong(*place, format!("the shop's {quiet} cannot be widened; drop `window`"));
        }
        Some(WindowDraft::Hours { place, hours, .. }) => {
            for rule in quiet {
                meets_quiet_hours(*place, *hours, *rule, file);
            }
        }
        _ => {}
    }
    shorter_than_the_night(subject, file);
    life(subject, file);
}

/// A window must lie in what the quiet hours leave.
fn meets_quiet_hours(place: Place, window: Hours, allowed: Hours, file: &mut FileFindings<'_>) {
    if allowed.open == allowed.close {
        if opening(&[window, allowed], Timestamp::UNIX_EPOCH, &TimeZone::UTC) == Opening::Never {
            file.wrong(place, "every day of the window is a day off in the shop's quiet hours; nothing is left");
        }
        return;
    }
    let wanted = minutes(window);
    let both: Vec<bool> = wanted.iter().zip(minutes(allowed)).map(|(wanted, allowed)| *wanted && allowed).collect();
    if both == wanted {
        return;
    }
    let open = minute(window.open);
    let first = (0..DAY).map(|ahead| (open + ahead) % DAY).find(|at| wanted[*at] && !both[*at]).unwrap_or(open);
    let left = pieces(&both, open);
    let met = format!("the window {}-{} meets the shop's quiet hours at {}", window.open, window.close, clock(first));
    let message = match left.as_slice() {
        [] => format!("{met}; nothing is left"),
        [(from, to)] => {
            let from_hint = (*from != open).then(|| format!("open: \"{}\"", clock(*from)));
            let to_hint = (*to != minute(window.close)).then(|| format!("close: \"{}\"", clock(*to)));
            let hint: Vec<String> = from_hint.into_iter().chain(to_hint).collect();
            format!("{met}; only {}-{} is left: write {}", clock(*from), clock(*to), hint.join(", "))
        }
        several => {
            let several: Vec<String> = several.iter().map(|(from, to)| format!("{}-{}", clock(*from), clock(*to))).collect();
            format!("{met}; only {} are left: choose one", several.join(" and "))
        }
    };
    file.wrong(place, message);
}

/// For each minute of a day whether the hours are open.
fn minutes(hours: Hours) -> Vec<bool> {
    let (open, close) = (minute(hours.open), minute(hours.close));
    (0..DAY).map(|at| if open < close { (open..close).contains(&at) } else { at >= open || at < close }).collect()
}

/// The stretches of open minutes, beginning to look at `from`.
fn pieces(open: &[bool], from: usize) -> Vec<(usize, usize)> {
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    let mut before = false;
    for at in (0..DAY).map(|ahead| (from + ahead) % DAY) {
        match (before, open[at]) {
            (false, true) => pieces.push((at, (at + 1) % DAY)),
            (true, true) => {
                if let Some(last) = pieces.last_mut() {
                    last.1 = (at + 1) % DAY;
                }
            }
            _ => {}
        }
        before = open[at];
    }
    pieces
}

fn minute(time: TimeOfDay) -> usize {
    let spelling = time.to_string();
    let number = |text: &str| text.parse::<usize>().unwrap_or_default();
    spelling.split_once(':').map_or(0, |(hours, minutes)| number(hours) * 60 + number(minutes))
}

fn clock(minute: usize) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// A message that is held must still be worth sending when the window opens.
fn shorter_than_the_night(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    if matches!(draft.window, Some(WindowDraft::Hours { outside: Outside::Drop, .. })) {
        return;
    }
    let Some(expires) = resolve::expires_after(draft) else { return };
    let Some(night) = longest_closed(&resolve::window(draft, &subject.shop.shop)) else { return };
    if expires.typical() <= night {
        let hours = night.as_secs() / 3600;
        let message = format!(
            "messages expire after {expires}, the window is closed for {hours}h at a time: one that is held can be dropped; \
             write a longer `expires_after`, or `outside: drop` if that is meant"
        );
        let place = match (&draft.expires_after, &draft.window) {
            (Some(expires), _) => expires.place,
            (None, Some(WindowDraft::Always { place } | WindowDraft::Hours { place, .. })) => *place,
            (None, None) => draft.place,
        };
        file.doubt(place, message);
    }
}

/// The longest time for which the hours are closed within two weeks; `None` when they never are, or always.
fn longest_closed(rules: &[Hours]) -> Option<SignedDuration> {
    let mut at = Timestamp::UNIX_EPOCH;
    let end = at.checked_add(SignedDuration::from_hours(14 * 24)).ok()?;
    let mut longest = None;
    while at < end {
        at = match opening(rules, at, &TimeZone::UTC) {
            Opening::Never => return None,
            Opening::Open { until } => until,
            Opening::Closed { opens } => {
                longest = longest.max(Some(at.duration_until(opens)));
                opens
            }
        };
    }
    longest
}

/// What is sent must be sent before the campaign ends.
fn life(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    let (Some(from), Some(to)) = (&draft.runs_from, &draft.runs_to) else { return };
    let begins = instant(&from.value);
    let length = begins.duration_until(instant(&to.value));
    if length <= SignedDuration::ZERO {
        file.wrong(to.place, "`runs` ends before it begins");
        return;
    }
    let Some(wait) = &draft.wait else { return };
    let (Wait::For { span, .. } | Wait::UntilSilence(span)) = wait.value else { return };
    if span.add(begins, &TimeZone::UTC) >= instant(&to.value) {
        let days = length.as_secs().div_euclid(24 * 3600);
        let lasts = if days > 0 { format!("{days}d") } else { format!("{}h", length.as_secs() / 3600) };
        let message = format!("a wait of {span} outlasts `runs`, which ends {lasts} after it begins; nothing would be sent");
        file.wrong(wait.place, message);
    }
}

fn instant(moment: &Moment) -> Timestamp {
    moment.instant(&TimeZone::UTC)
}
