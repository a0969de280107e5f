//! Conditions: whether the names in them exist, and whether they ask what was meant.

use super::Subject;
use super::events;
use super::known::{AUDIENCE, Known, Scope, UNLESS, WHERE, spelled, steps};
use crate::condition::Path;
use crate::findings::FileFindings;
use crate::model::Each;
use crate::plan::Type;
use crate::read::{Placed, PlacedCondition};
use crate::resolve;

/// Properties that hold an amount of money in the Segment e-commerce specification, or usually do.
const AMOUNTS: [&str; 9] = ["total", "revenue", "price", "old_price", "value", "amount", "subtotal", "shipping", "discount"];

/// Checks every condition of a campaign.
pub(super) fn check(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    let begun: Vec<&str> = draft.triggers.iter().flat_map(|trigger| names(&trigger.events)).collect();
    let about: Vec<Each> = draft.triggers.iter().map(|trigger| resolve::each(trigger, &subject.shop.shop)).collect();
    let base = Scope { roots: AUDIENCE, shop: &subject.shop.shop, plan: subject.plan, events: &begun, triggers: &begun, about: &about };
    for trigger in &draft.triggers {
        if let Some(condition) = &trigger.condition {
            let events = names(&trigger.events);
            one(condition, &Scope { roots: WHERE, events: &events, ..base }, file);
        }
    }
    if let Some(audience) = &draft.audience {
        one(audience, &base, file);
        if let Some(path) = audience.condition.paths().iter().find(|path| path.path.starts_with("event.")) {
            let message = format!("`{}` is of the event that began the journey and never changes; ask in `where` of `when`", path.path);
            file.doubt(audience.text.place_of(path.offset), message);
        }
    }
    for exception in &draft.exceptions {
        if let Some(condition) = &exception.condition {
            let events = names(&exception.events);
            one(condition, &Scope { roots: UNLESS, events: &events, ..base }, file);
        }
    }
}

fn names(events: &[Placed<String>]) -> Vec<&str> {
    events.iter().map(|event| event.value.as_str()).collect()
}

fn one(placed: &PlacedCondition, scope: &Scope<'_>, file: &mut FileFindings<'_>) {
    let mut amount = None;
    let mut names_currency = false;
    for path in placed.condition.paths() {
        let steps = steps(&path.path);
        let place = placed.text.place_of(path.offset);
        match scope.known(&steps) {
            Known::No(message) => file.wrong(place, message),
            Known::NotYet(what) => file.not_yet(place, &what),
            Known::CanBeMissing if !path.guarded && matches!(steps[0], "event" | "trigger") => {
                let message =
                    format!("`{0}` can be missing, and then this is not true; write has({0}) where that matters", spelled(&steps));
                file.doubt(place, message);
            }
            _ => {}
        }
        if let Some((kind, other)) = compared(placed.condition.source(), path, scope, &steps) {
            let plan = scope.plan.map_or("", |plan| plan.name.as_str());
            let message = format!("`{}` is {} in {plan}; it never equals {}", path.path, kind.words(), other.words());
            file.wrong(place, message);
        }
        match steps.last() {
            Some(&"currency") => names_currency = true,
            Some(name) if AMOUNTS.contains(name) && amount.is_none() => amount = Some((place, spelled(&steps))),
            _ => {}
        }
    }
    for count in placed.condition.counts().iter().filter(|count| count.event != "any interaction") {
        let event = Placed { value: count.event.clone(), place: placed.text.place_of(count.offset) };
        events::exists(&event, scope.plan, file);
    }
    if let (Some((place, amount)), false) = (amount, names_currency || scope.shop.currencies.len() < 2) {
        let message = format!(
            "`{amount}` is compared in any of {} currencies; say which: `...currency == '{}' && ...`",
            scope.shop.currencies.len(),
            scope.shop.currencies[0]
        );
        file.doubt(place, message);
    }
}

/// What a property is by the plan and what it is compared with, where the two are of different kinds.
fn compared(source: &str, path: &Path, scope: &Scope<'_>, steps: &[&str]) -> Option<(Type, Type)> {
    let property = scope.property(steps)?.kind();
    let begin = source.char_indices().nth(path.offset).map(|(byte, _)| byte)?;
    let rest = source.get(begin..)?.strip_prefix(path.path.as_str())?.trim_start();
    let operand = ["==", "!=", "<=", ">=", "<", ">"].iter().find_map(|operator| rest.strip_prefix(operator))?.trim_start();
    let literal = match operand.trim_start_matches('-').chars().next()? {
        '\'' | '"' => Type::Text,
        digit if digit.is_ascii_digit() => Type::Number,
        _ if operand.starts_with("true") || operand.starts_with("false") => Type::Boolean,
        _ => return None,
    };
    (property != Type::Unknown && property != literal).then_some((property, literal))
}
