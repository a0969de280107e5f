//! Single values: texts, durations, times, dates, choices, conditions, and texts by language.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};

use super::File;
use crate::condition::{Condition, Expression};
use crate::findings::{did_you_mean, listed};
use crate::model::{Moment, TextByLanguage};
use crate::text::Template;
use crate::time::{InvalidSpan, Span, TimeOfDay};
use crate::yaml::{Content, Node, Place, Text};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// A parsed condition and its spelling.
#[derive(Clone, Debug)]
pub(crate) struct PlacedCondition {
    pub(crate) condition: Condition,
    pub(crate) text: Text,
}

/// A parsed text and its spelling.
#[derive(Clone, Debug)]
pub(crate) struct PlacedTemplate {
    pub(crate) template: Template,
    pub(crate) text: Text,
}

/// A text in each language, where the map and each text stand.
#[derive(Clone, Debug)]
pub(crate) struct PlacedTexts {
    pub(crate) place: Place,
    pub(crate) texts: BTreeMap<String, PlacedTemplate>,
}

impl PlacedTexts {
    /// The texts alone.
    pub(crate) fn by_language(&self) -> TextByLanguage {
        self.texts.iter().map(|(language, text)| (language.clone(), text.template.clone())).collect()
    }
}

/// Conditions and expressions are at most this long, by the language.
const MOST_CHARACTERS: usize = 2_000;

impl File<'_> {
    /// A text as it stands.
    pub(super) fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Text> {
        match &node.content {
            Content::Text(text) => Some(text),
            Content::Number(spelling) => {
                self.findings.form(node.place, format!("{what} is a text, `{spelling}` is a number; quote it"));
                None
            }
            _ => {
                self.findings.form(node.place, format!("{what} is a text, not {}", node.kind()));
                None
            }
        }
    }

    /// A text of a certain form; `form` says which.
    pub(super) fn formed(&mut self, node: &Node, what: &str, fits: fn(&str) -> bool, form: &str) -> Option<Placed<String>> {
        let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        let text = self.text(node, &format!("{article} {what}"))?;
        if fits(&text.value) {
            return Some(Placed { value: text.value.clone(), place: text.place });
        }
        self.findings.form(text.place, format!("`{}` is no {what}: {form}", text.value));
        None
    }

    /// An event's name.
    pub(super) fn event_name(&mut self, node: &Node) -> Option<Placed<String>> {
        self.formed(node, "event's name", is_event_name, "it begins and ends with a letter, not with a space")
    }

    /// One event's name, or a list of at least `least` of them.
    pub(super) fn event_names(&mut self, node: &Node) -> Vec<Placed<String>> {
        if matches!(node.content, Content::List(_)) {
            self.list(node, "the list of events", 2, |file, item| file.event_name(item), true)
        } else {
            self.event_name(node).into_iter().collect()
        }
    }

    /// A list of at least `least` items, without the same one twice where `unique`.
    pub(super) fn list<T: PartialEq>(
        &mut self,
        node: &Node,
        what: &str,
        least: usize,
        read: impl Fn(&mut Self, &Node) -> Option<Placed<T>>,
        unique: bool,
    ) -> Vec<Placed<T>> {
        let Content::List(items) = &node.content else {
            self.findings.form(node.place, format!("{what} is a list, not {}; write [...]", node.kind()));
            return Vec::new();
        };
        if items.len() < least {
            let message = match least {
                1 => format!("{what} is empty; leave it out or fill it"),
                _ => format!("{what} has fewer than {least} items; write one without [...]"),
            };
            self.findings.form(node.place, message);
        }
        let mut read_items: Vec<Placed<T>> = Vec::with_capacity(items.len());
        for item in items {
            let Some(placed) = read(self, item) else { continue };
            if unique && read_items.iter().any(|known| known.value == placed.value) {
                self.findings.form(placed.place, format!("{what} has this item twice"));
            } else {
                read_items.push(placed);
            }
        }
        read_items
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        if let Content::Boolean(value) = node.content {
            return Some(value);
        }
        self.findings.form(node.place, format!("{what} is true or false, not {}", described(node)));
        None
    }

    /// A whole number in a range.
    pub(super) fn whole(&mut self, node: &Node, what: &str, least: u32, most: u32) -> Option<Placed<u32>> {
        let number = match &node.content {
            Content::Number(spelling) => whole_number(spelling),
            _ => None,
        };
        let value = number.and_then(|number| u32::try_from(number).ok()).filter(|number| (least..=most).contains(number));
        if value.is_none() {
            let range = if least == most {
                let message = format!("{what} is {least}, not {}", described(node));
                self.findings.form(node.place, message);
                return None;
            } else if most == u32::MAX {
                format!("from {least}")
            } else {
                format!("from {least} to {most}")
            };
            self.findings.form(node.place, format!("{what} is a whole number {range}, not {}", described(node)));
        }
        value.map(|value| Placed { value, place: node.place })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<Placed<T>> {
        let known = || words.iter().map(|(word, _)| *word);
        let written = match &node.content {
            Content::Text(text) => text.value.as_str(),
            _ => {
                let message = format!("{what} is {}, not {}", listed(known(), "or"), described(node));
                self.findings.form(node.place, message);
                return None;
            }
        };
        let found = words.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let meant = did_you_mean(written, known());
            let message = format!("{what} is {}, not `{written}`{meant}", listed(known(), "or"));
            self.findings.form(node.place, message);
        }
        found.map(|(_, value)| Placed { value: *value, place: node.place })
    }

    /// A duration.
    pub(super) fn span(&mut self, node: &Node, what: &str) -> Option<Placed<Span>> {
        let spelling = match &node.content {
            Content::Text(text) => text.value.as_str(),
            Content::Number(spelling) => {
                let message = format!("{what} is a duration, `{spelling}` has no unit; write {spelling}m, {spelling}h or {spelling}d");
                self.findings.form(node.place, message);
                return None;
            }
            _ => {
                self.findings.form(node.place, format!("{what} is a duration such as 30m, not {}", node.kind()));
                return None;
            }
        };
        self.spelled_span(node.place, spelling).map(|value| Placed { value, place: node.place })
    }

    /// A duration as it is spelled, alone or as a part of a text.
    pub(super) fn spelled_span(&mut self, place: Place, spelling: &str) -> Option<Span> {
        match spelling.parse::<Span>() {
            Ok(_) if spelling.starts_with('0') => {
                let message = format!("`{spelling}` begins with 0; write {}", spelling.trim_start_matches('0'));
                self.findings.form(place, message);
                None
            }
            Ok(span) => Some(span),
            // The form is right, only that nobody waits so long.
            Err(error @ InvalidSpan::Range(_)) if !spelling.starts_with('0') => {
                self.findings.wrong(place, error.to_string());
                None
            }
            Err(error) => {
                self.findings.form(place, error.to_string());
                None
            }
        }
    }

    /// A local time of day.
    pub(super) fn time_of_day(&mut self, node: &Node, what: &str) -> Option<Placed<TimeOfDay>> {
        let text = self.text(node, what)?;
        match text.value.parse::<TimeOfDay>() {
            Ok(value) => Some(Placed { value, place: node.place }),
            Err(error) => {
                self.findings.form(node.place, error.to_string());
                None
            }
        }
    }

    /// A day, or a day and time, with an offset or without.
    pub(super) fn moment(&mut self, node: &Node, what: &str) -> Option<Placed<Moment>> {
        let text = self.text(node, what)?;
        let spelling = text.value.as_str();
        if !is_moment(spelling) {
            let message = format!("`{spelling}` is no day; write 2026-12-24, \"2026-12-24 10:00\" or \"2026-12-24 10:00+01:00\"");
            self.findings.form(text.place, message);
            return None;
        }
        let moment = read_moment(spelling);
        if moment.is_none() {
            self.findings.wrong(text.place, format!("`{spelling}` is not in the calendar"));
        }
        moment.map(|value| Placed { value, place: text.place })
    }

    /// A condition in CEL.
    pub(super) fn condition(&mut self, node: &Node) -> Option<PlacedCondition> {
        let text = self.cel(node, "a condition")?;
        match Condition::parse(&text.value) {
            Ok(condition) => Some(PlacedCondition { condition, text: text.clone() }),
            Err(error) => {
                self.findings.wrong(text.place_of(error.offset), error.message);
                None
            }
        }
    }

    /// A value in CEL.
    pub(super) fn expression(&mut self, node: &Node) -> Option<Expression> {
        let text = self.cel(node, "an expression")?;
        match Expression::parse(&text.value) {
            Ok(expression) => Some(expression),
            Err(error) => {
                self.findings.wrong(text.place_of(error.offset), error.message.replacen("condition", "expression", 1));
                None
            }
        }
    }

    fn cel<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Text> {
        let Content::Text(text) = &node.content else {
            self.findings.form(node.place, format!("{what} is quoted CEL, not {}", described(node)));
            return None;
        };
        let characters = text.value.chars().count();
        if characters == 0 || characters > MOST_CHARACTERS {
            let message = format!("{what} has 1 to {MOST_CHARACTERS} characters, not {characters}");
            self.findings.form(text.place, message);
            return None;
        }
        Some(text)
    }

    /// A text in each language.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Option<PlacedTexts> {
        if let Content::Text(_) = node.content {
            let message = format!("{what} is a mapping of languages: {{ en: \"...\" }}");
            self.findings.form(node.place, message);
            return None;
        }
        if let Content::Map(entries) = &node.content
            && let Some((key, _)) = entries.iter().find(|(key, _)| key.name == "by_variant")
        {
            self.findings.not_yet(key.place, "`by_variant`");
            return None;
        }
        let form = "write a language such as en, zh-Hant or pt-BR";
        let texts = super::fields::entries(self, node, what, is_language, form)
            .into_iter()
            .filter_map(|(key, node)| Some((key.name.clone(), self.template(node, what)?)))
            .collect();
        Some(PlacedTexts { place: node.place, texts })
    }

    fn template(&mut self, node: &Node, what: &str) -> Option<PlacedTemplate> {
        let text = self.text(node, what)?;
        if text.value.is_empty() {
            self.findings.form(text.place, format!("{what} is empty"));
            return None;
        }
        match Template::parse(&text.value) {
            Ok(template) => Some(PlacedTemplate { template, text: text.clone() }),
            Err(error) => {
                self.findings.wrong(text.place_of(error.offset), error.message);
                None
            }
        }
    }
}

/// A node as it is spelled, if it is short; else what it is.
fn described(node: &Node) -> String {
    match &node.content {
        Content::Text(text) => format!("`{}`", text.value),
        Content::Number(spelling) => format!("`{spelling}`"),
        Content::Boolean(value) => format!("`{value}`"),
        _ => node.kind().to_owned(),
    }
}

/// A JSON Schema integer: a number without a fraction, however it is spelled.
fn whole_number(spelling: &str) -> Option<i64> {
    let digits = spelling.strip_prefix('+').unwrap_or(spelling);
    if let Some(octal) = digits.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok();
    }
    if let Some(hexadecimal) = digits.strip_prefix("0x") {
        return i64::from_str_radix(hexadecimal, 16).ok();
    }
    digits.parse().ok().or_else(|| {
        let number: rust_decimal::Decimal = digits.parse().ok()?;
        number.is_integer().then(|| i64::try_from(number).ok()).flatten()
    })
}

fn read_moment(spelling: &str) -> Option<Moment> {
    let Some((day, time)) = spelling.split_at_checked(10).filter(|(_, time)| !time.is_empty()) else {
        return spelling.parse::<Date>().ok().map(|day| Moment::Local(day.to_datetime(jiff::civil::Time::midnight())));
    };
    let time = time.trim_start_matches([' ', 'T']);
    let (clock, offset) = time.split_at_checked(5)?;
    if offset.is_empty() {
        return format!("{day}T{clock}").parse::<DateTime>().ok().map(Moment::Local);
    }
    format!("{day}T{clock}:00{offset}").parse::<Timestamp>().ok().map(Moment::Instant)
}

/// `2026-12-24`, with ` 10:00` or `T10:00`, with `Z` or `+01:00`.
fn is_moment(text: &str) -> bool {
    let is = |text: &str, form: &str| {
        text.len() == form.len()
            && text.chars().zip(form.chars()).all(|(letter, wanted)| match wanted {
                '0' => letter.is_ascii_digit(),
                _ => letter == wanted,
            })
    };
    let Some((day, rest)) = text.split_at_checked(10) else { return false };
    if !is(day, "0000-00-00") {
        return false;
    }
    let Some(time) = rest.strip_prefix([' ', 'T']) else { return rest.is_empty() };
    let Some((clock, offset)) = time.split_at_checked(5) else { return false };
    clock.parse::<TimeOfDay>().is_ok() && (matches!(offset, "" | "Z") || is(offset, "+00:00") || is(offset, "-00:00"))
}

/// `^\S(.*\S)?$`
pub(super) fn is_event_name(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && !text.contains('\n')
}

/// Small letters, digits and single hyphens: `order-confirmation`.
pub(super) fn is_name(text: &str) -> bool {
    text.split('-').all(|part| !part.is_empty() && part.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit()))
}

/// A small letter, then small letters, digits and `_`: `order_id`.
pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(|letter: char| letter.is_ascii_lowercase())
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// An ISO 3166 code of two capitals.
pub(super) fn is_country(text: &str) -> bool {
    text.len() == 2 && text.chars().all(|letter| letter.is_ascii_uppercase())
}

/// An ISO 4217 code of three capitals.
pub(super) fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.chars().all(|letter| letter.is_ascii_uppercase())
}

/// A language, with a script or a region: `en`, `zh-Hant`, `pt-BR`, `es-419`.
pub(super) fn is_language(text: &str) -> bool {
    let mut parts = text.split('-').peekable();
    let language = parts.next().unwrap_or_default();
    if !(2..=3).contains(&language.len()) || !language.chars().all(|letter| letter.is_ascii_lowercase()) {
        return false;
    }
    let script = |part: &&str| {
        part.len() == 4
            && part.starts_with(|letter: char| letter.is_ascii_uppercase())
            && part.chars().skip(1).all(|letter| letter.is_ascii_lowercase())
    };
    parts.next_if(script);
    let region = |part: &&str| is_country(part) || (part.len() == 3 && part.chars().all(|digit| digit.is_ascii_digit()));
    parts.next_if(region);
    parts.next().is_none()
}
