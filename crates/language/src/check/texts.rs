//! Texts: languages, and every name in them.

use super::Subject;
use super::known::{Known, Roots, Scope, TEXTS, spelled, steps};
use crate::findings::{FileFindings, did_you_mean, listed};
use crate::model::{Each, Shop, for_language};
use crate::read::{PlacedTemplate, PlacedTexts, ShopDraft};
use crate::resolve;
use crate::text::is_supported_language;

/// Checks the texts of a campaign.
pub(super) fn check(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    let shop = &subject.shop.shop;
    let Some(texts) = draft.send.as_ref().and_then(|send| send.text.as_ref()) else { return };
    languages(texts, shop, file);
    let begun: Vec<&str> = draft.triggers.iter().flat_map(|trigger| &trigger.events).map(|event| event.value.as_str()).collect();
    let about: Vec<Each> = draft.triggers.iter().map(|trigger| resolve::each(trigger, shop)).collect();
    let scope = Scope { roots: TEXTS, shop, plan: subject.plan, events: &begun, triggers: &begun, about: &about };
    for (language, text) in &texts.texts {
        one(text, language, &scope, file);
    }
}

/// Checks the shop's opt-out line.
pub(super) fn footer(footer: &PlacedTexts, draft: &ShopDraft, roots: Roots, file: &mut FileFindings<'_>) {
    languages(footer, &draft.shop, file);
    let scope = Scope { roots, shop: &draft.shop, plan: None, events: &[], triggers: &[], about: &[] };
    for (language, text) in &footer.texts {
        one(text, language, &scope, file);
    }
}

fn languages(texts: &PlacedTexts, shop: &Shop, file: &mut FileFindings<'_>) {
    let fallback = shop.fallback_language();
    if !texts.texts.is_empty() && !texts.texts.contains_key(fallback) {
        file.wrong(texts.place, format!("language {fallback} is missing; it is the shop's fallback"));
        return;
    }
    let missing: Vec<&str> =
        shop.languages.iter().map(String::as_str).filter(|language| for_language(&texts.texts, Some(language), "").is_none()).collect();
    if !texts.texts.is_empty() && !missing.is_empty() {
        let message = format!("no text in {}; customers of these languages read {fallback}", missing.join(", "));
        file.doubt(texts.place, message);
    }
    for (language, text) in &texts.texts {
        let of_shop = shop.languages.iter().any(|known| known == language || known.split('-').next() == Some(language));
        if !of_shop {
            file.doubt(text.text.place, format!("language {language} is none of the shop's `languages`"));
        }
    }
}

fn one(placed: &PlacedTemplate, language: &str, scope: &Scope<'_>, file: &mut FileFindings<'_>) {
    for variable in placed.template.variables() {
        let place = placed.text.place_of(variable.offset);
        let steps = steps(&variable.path);
        if steps == ["opt_out"] {
            if scope.shop.links_domain.is_none() {
                file.wrong(place, "`opt_out` needs `links: { domain: ... }` in shop.yaml, the domain that answers it");
            }
            continue;
        }
        match scope.known(&steps) {
            Known::No(message) => file.wrong(place, message),
            Known::NotYet(what) => file.not_yet(place, &what),
            Known::CanBeMissing if !variable.guarded => {
                let name = spelled(&steps);
                let message = format!(
                    "`{name}` can be missing (language {language}); add `| default('...')` or \
                     `{{% if {name} is defined %}}`"
                );
                file.wrong(place, message);
            }
            _ => {}
        }
    }
    for page in placed.template.pages() {
        if !scope.shop.pages.contains_key(&page.name) {
            let known = scope.shop.pages.keys().map(String::as_str);
            let hint = did_you_mean(&page.name, known.clone());
            let hint = match (hint.is_empty(), scope.shop.pages.is_empty()) {
                (false, _) => hint,
                (true, false) => format!("; it has {}", listed(known, "and")),
                (true, true) => "; it has none".to_owned(),
            };
            file.wrong(placed.text.place_of(page.offset), format!("no page `{}` in shop.yaml{hint}", page.name));
        }
    }
    dates(placed, scope, file);
    forms(placed, language, file);
}

/// What follows each mention of a word, and the offset of the mention in characters.
fn called<'a>(source: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    source.match_indices(word).filter_map(move |(at, _)| {
        let before = source[..at].chars().next_back();
        let alone = !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '.');
        alone.then(|| (source[..at].chars().count(), &source[at + word.len()..]))
    })
}

/// Amounts and dates of a language whose forms are not known are written plainly.
fn forms(placed: &PlacedTemplate, language: &str, file: &mut FileFindings<'_>) {
    let source = &placed.text.value;
    let filter = source.match_indices('|').find(|(at, _)| {
        let rest = source[at + 1..].trim_start();
        ["money", "date", "time", "weekday"].iter().any(|filter| rest.starts_with(filter))
    });
    if let Some((at, _)) = filter.filter(|_| !is_supported_language(language)) {
        let message = format!("amounts and dates have no form of language {language} yet; they read `12.50 EUR` and `2026-12-24`");
        file.doubt(placed.text.place_of(source[..at].chars().count()), message);
    }
}

/// `event.held_until | date` needs a date.
fn dates(placed: &PlacedTemplate, scope: &Scope<'_>, file: &mut FileFindings<'_>) {
    let source = &placed.text.value;
    let plan = scope.plan.map_or("the tracking plan", |plan| plan.name.as_str());
    for variable in placed.template.variables() {
        let steps = steps(&variable.path);
        let Some(property) = scope.property(&steps) else { continue };
        let name = spelled(&steps);
        let kind = property.kind();
        let needed = filters(source, &name).find_map(|filter| match filter {
            "date" | "time" | "weekday" if !kind.may_be_date() => Some("a date"),
            "money" | "plural" if !kind.may_be_number() => Some("a number"),
            _ => None,
        });
        if let Some(needed) = needed {
            let message = format!("`{name}` is {} in {plan}; {needed} is needed", kind.words());
            file.wrong(placed.text.place_of(variable.offset), message);
        }
    }
}

/// The first filter after a name at each of its mentions; `default` lets the value through.
pub(super) fn filters<'a>(source: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    called(source, name).filter_map(|(_, rest)| {
        let mut rest = rest;
        loop {
            rest = rest.trim_start().strip_prefix('|')?.trim_start();
            let end = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))?;
            let filter = &rest[..end];
            if !matches!(filter, "default" | "d") {
                return Some(filter);
            }
            rest = rest[end..].split_once(')')?.1;
        }
    })
}
