//! Made-up customers and events for the longest text that a campaign can send.
//!
//! Every value is as long as the tracking plan lets it be, and where the plan says nothing as long as such values
//! usually get: better a refusal before the launch than messages that are held back one by one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;

use super::known::{Scope, spelled, steps};
use super::texts::filters;
use crate::Value;
use crate::condition::Data;
use crate::plan::{EACH_ELEMENT, Property, Type};
use crate::text::Template;

/// Texts of which nothing is known: longer than most cities, order numbers and names of shops' branches.
const USUAL_TEXT: usize = 20;

/// Names of products where the plan has no `maxLength`.
const PRODUCT_NAME: usize = 40;

/// Addresses where the plan has no `maxLength`.
const ADDRESS: usize = 80;

/// How many elements lists have: enough for the plural and for "and more".
const ELEMENTS: usize = 3;

/// What a text finds when it is rendered for a check.
pub(super) struct Sample {
    roots: BTreeMap<String, Value>,
}

impl Data for Sample {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.roots.get(name).map(Cow::Borrowed)
    }

    fn count(&self, _event: &str, _within_days: Option<u32>) -> Option<u64> {
        None
    }
}

/// How a sample is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Likeness {
    /// How many letters the customer's own words have: names, cities.
    pub(super) name_letters: usize,
    /// The letter that they are made of.
    pub(super) letter: char,
    /// Whether what a text can do without is there.
    pub(super) optional: bool,
}

impl Sample {
    /// Data with everything that a text uses.
    pub(super) fn of(template: &Template, scope: &Scope<'_>, likeness: Likeness) -> Sample {
        let mut roots =
            BTreeMap::from([("event".to_owned(), Value::Map(BTreeMap::new())), ("customer".to_owned(), Value::Map(BTreeMap::new()))]);
        for variable in template.variables().iter().filter(|variable| likeness.optional || !variable.guarded) {
            let steps = steps(&variable.path);
            let value = leaf(&steps, template.source(), scope, likeness);
            let Some((root, rest)) = steps.split_first() else { continue };
            put(roots.entry((*root).to_owned()).or_insert(Value::Null), rest, value);
        }
        Sample { roots }
    }
}

/// A moment whose date and time take the most letters in most languages: a Wednesday in late September.
fn moment() -> Timestamp {
    date(2026, 9, 30)
        .at(20, 30, 0, 0)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_or(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24), |zoned| zoned.timestamp())
}

/// Puts a value at a path, making maps and lists on the way; never shortens what is there.
fn put(at: &mut Value, steps: &[&str], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        if !matches!(at, Value::Map(_) | Value::List(_)) {
            *at = value;
        }
        return;
    };
    if *step == EACH_ELEMENT || step.parse::<usize>().is_ok() {
        if !matches!(at, Value::List(list) if !list.is_empty()) {
            *at = Value::List(vec![Value::Null; ELEMENTS]);
        }
        if let Value::List(elements) = at {
            elements.iter_mut().for_each(|element| put(element, rest, value.clone()));
        }
        return;
    }
    if !matches!(at, Value::Map(_)) {
        *at = Value::Map(BTreeMap::new());
    }
    if let Value::Map(fields) = at {
        put(fields.entry((*step).to_owned()).or_insert(Value::Null), rest, value);
    }
}

/// The longest value that may stand at a path.
fn leaf(steps: &[&str], source: &str, scope: &Scope<'_>, likeness: Likeness) -> Value {
    let name = steps.last().copied().unwrap_or_default();
    let shop = scope.shop;
    let planned_property = scope.property(steps);
    if planned_property.is_none() {
        match filters(source, &spelled(steps)).next() {
            Some("date" | "time" | "weekday") => return Value::Timestamp(moment()),
            Some("money" | "plural" | "round" | "int" | "abs") => return Value::Number(number(name)),
            _ => {}
        }
    }
    match steps {
        ["now"] => return Value::Timestamp(moment()),
        ["shop", "name"] => return Value::Text(shop.name.clone()),
        ["shop", "url"] => return Value::Text(shop.url.clone()),
        ["shop", "phone"] => return Value::Text(shop.phone.clone().unwrap_or_default()),
        ["orders", "count"] => return Value::Number(Decimal::from(1_000)),
        ["customer", "id"] => return Value::Text("x".repeat(ADDRESS / 2)),
        ["customer", ..] if is_words(name) => {
            return Value::Text(likeness.letter.to_string().repeat(likeness.name_letters));
        }
        _ => {}
    }
    match planned_property {
        Some(property) => planned(property, name, scope),
        None => unplanned(name, scope),
    }
}

fn planned(property: Property<'_>, name: &str, scope: &Scope<'_>) -> Value {
    match property.kind() {
        Type::Number => Value::Number(number(name)),
        Type::Boolean => Value::Bool(true),
        Type::List => Value::List(vec![Value::Null; ELEMENTS]),
        Type::Map => Value::Map(BTreeMap::new()),
        Type::Text => match (property.format(), property.longest_choice()) {
            (_, Some(choice)) => Value::Text(choice.to_owned()),
            (Some("date"), _) => Value::Text("2026-09-30".to_owned()),
            (Some("date-time"), _) => Value::Timestamp(moment()),
            (format, _) => {
                let address = format == Some("uri") || is_address(name);
                text(name, property.most_characters(), address, scope)
            }
        },
        Type::Unknown => unplanned(name, scope),
    }
}

/// A guess by the name, as the Segment e-commerce specification uses names.
fn unplanned(name: &str, scope: &Scope<'_>) -> Value {
    if is_amount(name) || name == "quantity" || name == "count" || name.ends_with("_count") {
        Value::Number(number(name))
    } else if name.ends_with("_at") || name.ends_with("_on") || name.ends_with("_until") {
        Value::Timestamp(moment())
    } else if name == "products" {
        Value::List(vec![Value::Null; ELEMENTS])
    } else {
        text(name, None, is_address(name), scope)
    }
}

fn text(name: &str, most: Option<usize>, address: bool, scope: &Scope<'_>) -> Value {
    if address {
        let url = format!("{}/", scope.shop.url.trim_end_matches('/'));
        let more = most.unwrap_or(ADDRESS).saturating_sub(url.chars().count());
        return Value::Text(url + &"x".repeat(more));
    }
    if name == "currency" {
        return Value::Text(scope.shop.currencies.first().cloned().unwrap_or_else(|| "EUR".to_owned()));
    }
    let usual = if name == "name" || name.ends_with("title") { PRODUCT_NAME } else { USUAL_TEXT };
    Value::Text("x".repeat(most.unwrap_or(usual)))
}

fn number(name: &str) -> Decimal {
    if is_amount(name) { Decimal::new(999_999, 2) } else { Decimal::from(100) }
}

fn is_amount(name: &str) -> bool {
    ["total", "revenue", "price", "value", "amount", "subtotal", "shipping", "discount", "points"].iter().any(|word| name.ends_with(word))
}

fn is_address(name: &str) -> bool {
    name == "url" || name.ends_with("_url")
}

/// Whether an attribute of a customer is made of words rather than a number or a date.
fn is_words(name: &str) -> bool {
    !is_amount(name) && !is_address(name) && !name.ends_with("_at") && !name.ends_with("_on") && name != "birthday"
}
