//! A campaign as a file with every default written out. Read again, it is the same campaign.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::model::{
    Again, Campaign, Exception, Moment, Of, Outside, Over, Restarts, Send, Shop, TextByLanguage, Trigger, Verb, Wait, WhenFull,
};
use crate::time::{Days, Hours};
use crate::words::Delivery;

/// Writes a campaign file that says everything, also what the campaign's own file leaves to the defaults and to
/// `shop.yaml`.
#[must_use]
pub fn show(campaign: &Campaign, shop: &Shop) -> String {
    let mut lines = Lines::default();
    lines.key("campaign", &campaign.name);
    lines.key("grammar", "1");
    lines.key("class", campaign.class.name());
    if !campaign.tags.is_empty() {
        lines.key("tags", &words(&campaign.tags));
    }
    match campaign.triggers.as_slice() {
        [only] => lines.key("when", &trigger(only)),
        several => lines.list("when", several.iter().map(trigger)),
    }
    if !campaign.exceptions.is_empty() {
        lines.list("unless", campaign.exceptions.iter().map(exception));
    }
    if let Some(audience) = &campaign.audience {
        lines.key("audience", &quoted(audience.source()));
    }
    let ends = [("from", campaign.runs.from), ("to", campaign.runs.to)];
    let ends: Vec<String> = ends.iter().filter_map(|(key, end)| Some(format!("{key}: {}", moment(end.as_ref()?)))).collect();
    if !ends.is_empty() {
        lines.key("runs", &format!("{{ {} }}", ends.join(", ")));
    }
    lines.key("restarts", restarts(campaign.restarts));
    lines.key("again", &again(campaign.again));
    lines.key("parallel", &campaign.parallel.to_string());
    lines.key("ignore_older_than", &campaign.ignore_older_than.to_string());
    for step in &campaign.steps {
        match &step.verb {
            Verb::Wait(step) => lines.key("wait", &wait(step)),
            Verb::Send(step) => send(&mut lines, step, shop),
        }
    }
    if let Some(window) = window(&campaign.window, campaign.outside) {
        lines.key("window", &window);
    }
    lines.key("expires_after", &campaign.expires_after.to_string());
    let full = match campaign.caps.when_full {
        WhenFull::Skip => "skip",
        WhenFull::Defer => "defer",
    };
    let (obey, count) = (campaign.caps.obey, campaign.caps.count);
    lines.key("caps", &format!("{{ obey: {obey}, count: {count}, when_full: {full} }}"));
    let delivery = match campaign.delivery {
        Delivery::AtMostOnce => "at_most_once",
        Delivery::AtLeastOnce => "at_least_once",
    };
    lines.key("delivery", delivery);
    lines.text
}

/// A file being written.
#[derive(Default)]
struct Lines {
    text: String,
    indent: usize,
}

impl Lines {
    fn line(&mut self, line: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{:width$}{line}", "", width = self.indent);
    }

    fn key(&mut self, key: &str, value: &str) {
        self.line(&format!("{key}: {value}"));
    }

    fn list(&mut self, key: &str, items: impl Iterator<Item = String>) {
        self.line(&format!("{key}:"));
        for item in items {
            self.line(&format!("  - {item}"));
        }
    }

    fn inside(&mut self, key: &str, write: impl FnOnce(&mut Self)) {
        self.line(&format!("{key}:"));
        self.indent += 2;
        write(self);
        self.indent -= 2;
    }
}

fn trigger(trigger: &Trigger) -> String {
    let condition = trigger.condition.as_ref().map(|condition| format!(", where: {}", quoted(condition.source())));
    let each = trigger.each.name();
    format!("{{ event: {}{}, each: {each} }}", events(trigger.kind.events()), condition.unwrap_or_default())
}

fn exception(exception: &Exception) -> String {
    let condition = exception.condition.as_ref().map(|condition| format!(", where: {}", quoted(condition.source())));
    let of = match exception.of {
        Of::Same => "same",
        Of::Any => "any",
    };
    format!("{{ event: {}{}, of: {of} }}", events(&exception.events), condition.unwrap_or_default())
}

fn events(names: &[String]) -> String {
    match names {
        [only] => word(only),
        several => words(several),
    }
}

fn moment(moment: &Moment) -> String {
    match moment {
        Moment::Local(local) if local.time() == Time::midnight() => local.date().to_string(),
        Moment::Local(local) => quoted(&local.strftime("%Y-%m-%d %H:%M").to_string()),
        Moment::Instant(instant) => quoted(&utc(*instant)),
    }
}

fn utc(instant: Timestamp) -> String {
    TimeZone::UTC.to_datetime(instant).strftime("%Y-%m-%d %H:%MZ").to_string()
}

fn restarts(restarts: Restarts) -> &'static str {
    match restarts {
        Restarts::UntilSent => "until_sent",
        Restarts::Always => "always",
        Restarts::Never => "never",
    }
}

fn again(again: Again) -> String {
    match again {
        Again::Never => "never".to_owned(),
        Again::Always => "always".to_owned(),
        Again::After(span) => span.to_string(),
    }
}

fn wait(wait: &Wait) -> String {
    match wait {
        Wait::For { span, at: None } => span.to_string(),
        Wait::For { span, at: Some(at) } => format!("{{ for: {span}, at: \"{at}\" }}"),
        Wait::UntilTimeOfDay(at) => format!("{{ until: \"{at}\" }}"),
        Wait::UntilSilence(span) => format!("{{ until: {span} of silence }}"),
    }
}

fn send(lines: &mut Lines, send: &Send, shop: &Shop) {
    lines.inside("send", |lines| {
        if !send.tags.is_empty() {
            lines.key("tags", &words(&send.tags));
        }
        lines.inside("sms", |lines| {
            lines.inside("text", |lines| texts(lines, &send.sms.text));
            lines.key("max_parts", &send.sms.max_parts.to_string());
            let over = match send.sms.over {
                Over::Refuse => "refuse",
                Over::Shorten => "shorten",
            };
            lines.key("over", over);
            lines.key("transliterate", &send.sms.transliterate.to_string());
            // A sender of the message's own stands for all countries; the shop's senders are not one name.
            let shared = shop.senders.sms.as_ref().is_some_and(|shared| shared.countries == send.sms.countries);
            let same = shop.senders.sms.as_ref().is_some_and(|shared| shared.sender == send.sms.sender);
            if let Some(from) = send.sms.sender.from.as_ref().filter(|_| !(shared && same)) {
                lines.key("from", &quoted(from));
            }
            lines.key("footer", &(!send.sms.footer.is_empty()).to_string());
        });
    });
}

fn texts(lines: &mut Lines, texts: &TextByLanguage) {
    for (language, text) in texts {
        lines.key(&word(language), &quoted(text.source()));
    }
}

/// The window as a file says it; `None` where the shop's days off are all there is to say.
fn window(window: &[Hours], outside: Outside) -> Option<String> {
    if window.is_empty() {
        return Some("always".to_owned());
    }
    let hours = window.iter().rfind(|hours| hours.open != hours.close)?;
    let days = if hours.days == Days::ALL { String::new() } else { format!(", days: [{}]", hours.days) };
    let outside = match outside {
        Outside::Hold => "hold",
        Outside::Drop => "drop",
    };
    Some(format!("{{ open: \"{}\", close: \"{}\"{days}, outside: {outside} }}", hours.open, hours.close))
}

fn words(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|text| word(text)).collect::<Vec<_>>().join(", "))
}

/// A word as YAML reads it back: bare where that is safe.
fn word(text: &str) -> String {
    let bare = text.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
        && !text.ends_with(' ')
        && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null");
    if bare { text.to_owned() } else { quoted(text) }
}

/// A text in double quotes; what JSON escapes, YAML reads alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
