//! A campaign file into its draft.

use super::File;
use super::draft::{CampaignDraft, ExceptionDraft, TriggerDraft, WindowDraft};
use super::fields::{Fields, Keys};
use super::values::{Placed, is_name, is_word};
use crate::model::{Again, Of, Outside, Restarts, Wait, WhenFull};
use crate::time::{Days, Hours};
use crate::words::{Class, Delivery};
use crate::yaml::{Content, Node};

const CAMPAIGN: Keys = Keys {
    of: "a campaign",
    known: &[
        "campaign",
        "grammar",
        "class",
        "tags",
        "when",
        "unless",
        "audience",
        "runs",
        "restarts",
        "again",
        "parallel",
        "ignore_older_than",
        "wait",
        "send",
        "window",
        "expires_after",
        "caps",
        "delivery",
    ],
    later: &["priority", "steps", "coupon", "experiment", "holdout", "pilot", "budget", "goal", "migrate"],
};

/// Every kind of trigger that the language has besides events; one of them is the reason that `event` is missing.
const OTHER_TRIGGERS: [&str; 10] =
    ["inactive", "date", "changes", "enters", "leaves", "clicked", "ignored", "arrives", "broadcast", "keyword"];

const TRIGGER: Keys = Keys {
    of: "`when`",
    known: &["event", "where", "each"],
    later: &[
        "inactive",
        "counting",
        "date",
        "every",
        "at",
        "feb_29",
        "changes",
        "enters",
        "leaves",
        "clicked",
        "ignored",
        "within",
        "arrives",
        "broadcast",
        "keyword",
        "to",
    ],
};

const EXCEPTION: Keys = Keys { of: "an exception", known: &["event", "where", "of"], later: &["then"] };

const RUNS: Keys = Keys { of: "`runs`", known: &["from", "to"], later: &[] };

const WAIT: Keys = Keys { of: "`wait`", known: &["for", "at", "until"], later: &["ends_on", "days", "within", "if_past", "by_variant"] };

const WINDOW: Keys = Keys { of: "`window`", known: &["open", "close", "days", "outside"], later: &[] };

const CAPS: Keys = Keys { of: "`caps`", known: &["obey", "count", "when_full"], later: &[] };

/// What a name of campaigns, tags and references looks like.
pub(super) const NAME_FORM: &str = "small letters, digits and hyphens, as in order-shipped";

/// Reads one campaign file.
pub(crate) fn campaign(file: &mut File<'_>, path: &str, root: &Node) -> Option<CampaignDraft> {
    let fields = Fields::of(file, root, &CAMPAIGN)?;
    let name = fields.required(file, "campaign").and_then(|node| file.formed(node, "campaign's name", is_name, NAME_FORM));
    if let Some(node) = fields.get("grammar") {
        file.whole(node, "`grammar`", 1, 1);
    }
    let class = fields.get("class").and_then(|node| {
        let words = [Class::Promotional, Class::Transactional, Class::Conversational].map(|class| (class.name(), class));
        file.choice(node, "`class`", &words)
    });
    let tags = fields.get("tags").map_or_else(Vec::new, |node| tags(file, node));
    let triggers = fields.required(file, "when").map_or_else(Vec::new, |node| triggers(file, node));
    let exceptions = fields.get("unless").map_or_else(Vec::new, |node| exceptions(file, node));
    let audience = fields.get("audience").and_then(|node| file.condition(node));
    let runs = fields.get("runs").and_then(|node| Fields::of(file, node, &RUNS));
    if let Some(runs) = &runs {
        runs.not_empty(file);
    }
    let moment_of = |file: &mut File<'_>, key| {
        let node = runs.as_ref().and_then(|runs| runs.get(key))?;
        file.moment(node, "a day of `runs`")
    };
    let runs_from = moment_of(file, "from");
    let runs_to = moment_of(file, "to");
    let restarts = fields.get("restarts").and_then(|node| {
        let words = [("until_sent", Restarts::UntilSent), ("always", Restarts::Always), ("never", Restarts::Never)];
        file.choice(node, "`restarts`", &words)
    });
    let again = fields.get("again").and_then(|node| again(file, node));
    let parallel = fields.get("parallel").and_then(|node| file.boolean(node, "`parallel`"));
    let ignore_older_than = fields.get("ignore_older_than").and_then(|node| file.span(node, "`ignore_older_than`"));
    let wait = fields.get("wait").and_then(|node| wait(file, node));
    let send = match (fields.get("send"), fields.get("steps")) {
        (Some(node), _) => super::send::send(file, node),
        (None, Some(_)) => None,
        (None, None) => {
            file.findings.form(fields.place, "a campaign needs `send`");
            None
        }
    };
    let window = fields.get("window").and_then(|node| window(file, node));
    let expires_after = fields.get("expires_after").and_then(|node| file.span(node, "`expires_after`"));
    let caps = fields.get("caps").and_then(|node| Fields::of(file, node, &CAPS));
    if let Some(caps) = &caps {
        caps.not_empty(file);
    }
    let switch = |file: &mut File<'_>, key, what| {
        let node = caps.as_ref().and_then(|caps| caps.get(key))?;
        file.boolean(node, what)
    };
    let caps_obey = switch(file, "obey", "`obey`");
    let caps_count = switch(file, "count", "`count`");
    let when_full = caps
        .as_ref()
        .and_then(|caps| caps.get("when_full"))
        .and_then(|node| file.choice(node, "`when_full`", &[("skip", WhenFull::Skip), ("defer", WhenFull::Defer)]));
    let delivery = fields.get("delivery").and_then(|node| {
        let words = [("at_most_once", Delivery::AtMostOnce), ("at_least_once", Delivery::AtLeastOnce)];
        file.choice(node, "`delivery`", &words)
    });
    Some(CampaignDraft {
        path: path.to_owned(),
        place: root.place,
        name: name?,
        class,
        tags,
        triggers,
        exceptions,
        audience,
        runs_from,
        runs_to,
        restarts: restarts.map(|placed| placed.value),
        again,
        parallel,
        ignore_older_than: ignore_older_than.map(|placed| placed.value),
        wait,
        send,
        window,
        expires_after,
        caps_obey,
        caps_count,
        when_full: when_full.map(|placed| placed.value),
        delivery: delivery.map(|placed| placed.value),
    })
}

/// A list of tags.
pub(super) fn tags(file: &mut File<'_>, node: &Node) -> Vec<Placed<String>> {
    file.list(node, "`tags`", 1, |file, item| file.formed(item, "tag", is_name, NAME_FORM), true)
}

fn triggers(file: &mut File<'_>, node: &Node) -> Vec<TriggerDraft> {
    let Content::List(items) = &node.content else {
        return trigger(file, node).into_iter().collect();
    };
    if items.len() < 2 {
        file.findings.form(node.place, "a list in `when` has two or more items; write one without the `-`");
    }
    items.iter().filter_map(|item| trigger(file, item)).collect()
}

fn trigger(file: &mut File<'_>, node: &Node) -> Option<TriggerDraft> {
    let fields = Fields::of(file, node, &TRIGGER)?;
    if fields.get("event").is_none() && OTHER_TRIGGERS.iter().any(|kind| fields.get(kind).is_some()) {
        return None;
    }
    let events = fields.required(file, "event").map_or_else(Vec::new, |node| file.event_names(node));
    let condition = fields.get("where").and_then(|node| file.condition(node));
    let each = fields
        .get("each")
        .and_then(|node| file.formed(node, "word for `each`", is_word, "it is customer, event, or an object of shop.yaml such as cart"));
    Some(TriggerDraft { place: node.place, events, condition, each })
}

fn exceptions(file: &mut File<'_>, node: &Node) -> Vec<ExceptionDraft> {
    let Content::List(items) = &node.content else {
        file.findings.form(node.place, format!("`unless` is a list, not {}; write [...]", node.kind()));
        return Vec::new();
    };
    if items.is_empty() {
        file.findings.form(node.place, "`unless` is empty; leave it out or fill it");
    }
    items.iter().filter_map(|item| exception(file, item)).collect()
}

fn exception(file: &mut File<'_>, node: &Node) -> Option<ExceptionDraft> {
    if !matches!(node.content, Content::Map(_)) {
        let events = file.event_name(node).into_iter().collect();
        return Some(ExceptionDraft { events, condition: None, of: None });
    }
    let fields = Fields::of(file, node, &EXCEPTION)?;
    let events = fields.required(file, "event").map_or_else(Vec::new, |node| file.event_names(node));
    let condition = fields.get("where").and_then(|node| file.condition(node));
    let of = fields.get("of").and_then(|node| file.choice(node, "`of`", &[("same", Of::Same), ("any", Of::Any)]));
    Some(ExceptionDraft { events, condition, of })
}

fn again(file: &mut File<'_>, node: &Node) -> Option<Again> {
    match &node.content {
        Content::Text(text) if text.value == "never" => Some(Again::Never),
        Content::Text(text) if text.value == "always" => Some(Again::Always),
        Content::Text(text) if !text.value.starts_with(|digit: char| digit.is_ascii_digit()) => {
            let message = format!("`again` is never, always or a duration such as 3d, not `{}`", text.value);
            file.findings.form(node.place, message);
            None
        }
        _ => file.span(node, "`again`").map(|span| Again::After(span.value)),
    }
}

fn wait(file: &mut File<'_>, node: &Node) -> Option<Placed<Wait>> {
    let place = node.place;
    if !matches!(node.content, Content::Map(_)) {
        let span = file.span(node, "`wait`")?.value;
        return Some(Placed { value: Wait::For { span, at: None }, place });
    }
    let fields = Fields::of(file, node, &WAIT)?;
    let kind = fields.exactly_one(file, &["for", "until", "days", "by_variant"])?;
    let at = fields.get("at").and_then(|node| file.time_of_day(node, "`at`"));
    let value = match kind {
        "for" => {
            let span = file.span(fields.get("for")?, "`for`")?.value;
            Wait::For { span, at: at.map(|at| at.value) }
        }
        "until" => {
            let until = until(file, fields.get("until")?)?;
            if at.is_some() {
                let place = fields.key_place("at");
                match until {
                    Wait::UntilTimeOfDay(_) => file.findings.wrong(place, "`until` is a time of day already; drop `at`"),
                    _ => file.findings.not_yet(place, "`at` after `of silence`"),
                }
                return None;
            }
            until
        }
        _ => return None,
    };
    Some(Placed { value, place })
}

fn until(file: &mut File<'_>, node: &Node) -> Option<Wait> {
    let text = file.text(node, "`until`")?;
    let spelling = text.value.as_str();
    if spelling.contains(':') {
        return file.time_of_day(node, "`until`").map(|time| Wait::UntilTimeOfDay(time.value));
    }
    if let Some(span) = spelling.strip_suffix(" of silence") {
        return file.spelled_span(node.place, span).map(Wait::UntilSilence);
    }
    let later = spelling == "best hour"
        || spelling.strip_suffix(" of inactivity").is_some_and(|span| span.parse::<crate::time::Span>().is_ok())
        || is_date_moment(spelling);
    if later {
        file.findings.not_yet(node.place, &format!("`until: {spelling}`"));
    } else {
        let message = format!("`{spelling}` is nothing to wait for; write a time of day (\"18:00\") or `30m of silence`");
        file.findings.form(node.place, message);
    }
    None
}

/// `event.due_on`, `3d before event.due_on`.
fn is_date_moment(spelling: &str) -> bool {
    let path = match spelling.split(' ').collect::<Vec<_>>().as_slice() {
        [path] => *path,
        [span, "before" | "after", path] if span.parse::<crate::time::Span>().is_ok() => path,
        _ => return false,
    };
    let parts: Vec<&str> = path.split('.').collect();
    parts.len() >= 2 && parts.iter().all(|part| is_word(part))
}

fn window(file: &mut File<'_>, node: &Node) -> Option<WindowDraft> {
    if let Content::Text(text) = &node.content {
        if text.value == "always" {
            return Some(WindowDraft::Always { place: node.place });
        }
        let message = format!("`window` is always, or {{ open: \"10:00\", close: \"19:00\" }}, not `{}`", text.value);
        file.findings.form(node.place, message);
        return None;
    }
    let fields = Fields::of(file, node, &WINDOW)?;
    let open = fields.required(file, "open").and_then(|node| file.time_of_day(node, "`open`"));
    let close = fields.required(file, "close").and_then(|node| file.time_of_day(node, "`close`"));
    let days = match fields.get("days") {
        None => Days::ALL,
        Some(node) => weekdays(file, node)?,
    };
    let outside = match fields.get("outside") {
        None => Outside::Hold,
        Some(node) => file.choice(node, "`outside`", &[("hold", Outside::Hold), ("drop", Outside::Drop)])?.value,
    };
    let (open, close) = (open?, close?);
    if open.value == close.value {
        let message = format!("a window from {} to {} says nothing; write always, or another time", open.value, close.value);
        file.findings.wrong(close.place, message);
        return None;
    }
    let hours = Hours { open: open.value, close: close.value, days };
    Some(WindowDraft::Hours { place: node.place, hours, outside })
}

/// A list of days of the week.
fn weekdays(file: &mut File<'_>, node: &Node) -> Option<Days> {
    let words = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"].map(|day| (day, day));
    let days = file.list(node, "`days`", 1, |file, item| file.choice(item, "a day", &words), true);
    let days: Days = days.iter().filter_map(|day| Days::named(day.value)).collect();
    (!days.is_empty()).then_some(days)
}
