//! A campaign said back as one sentence, with what was inferred, so that nothing is hidden.

use crate::model::{Campaign, Each, Exception, Of, Send, Shop, Verb};
use crate::time::{Days, Hours};

/// Says a campaign in one sentence.
///
/// `one journey per cart, by event.cart_id; Order Completed of the same cart ends it; promotional, SMS, 09:00-21:00
/// local, expires after 24h`
#[must_use]
pub fn sentence(campaign: &Campaign, shop: &Shop) -> String {
    let about = about(campaign);
    let mut parts = vec![journeys(&about, campaign, shop)];
    let alike = |a: &Exception, b: &Exception| a.of == b.of && a.condition.is_none() && b.condition.is_none();
    parts.extend(campaign.exceptions.chunk_by(alike).map(|exceptions| ends(exceptions, &about)));
    let mut last = vec![campaign.class.name().to_owned()];
    if sends(campaign).next().is_some() {
        last.push("SMS".to_owned());
    }
    last.push(hours(&campaign.window));
    last.push(format!("expires after {}", campaign.expires_after));
    parts.push(last.join(", "));
    parts.join("; ")
}

/// The sends of a campaign.
fn sends(campaign: &Campaign) -> impl Iterator<Item = &Send> {
    campaign.steps.iter().filter_map(|step| match &step.verb {
        Verb::Send(send) => Some(send.as_ref()),
        Verb::Wait(_) => None,
    })
}

/// What the journeys are about, each once.
fn about(campaign: &Campaign) -> Vec<&Each> {
    let mut about: Vec<&Each> = Vec::new();
    for trigger in &campaign.triggers {
        if !about.contains(&&trigger.each) {
            about.push(&trigger.each);
        }
    }
    about
}

fn journeys(about: &[&Each], campaign: &Campaign, shop: &Shop) -> String {
    let each: Vec<String> = about
        .iter()
        .map(|each| match each {
            Each::Customer => "one journey per customer".to_owned(),
            Each::Event => "one journey for every event".to_owned(),
            Each::Object(name) => {
                let ids = ids(name, each, campaign, shop);
                format!("one journey per {name}, by {}", ids.join(" or "))
            }
        })
        .collect();
    each.join(", and ")
}

/// Where the triggers' events name the object, each place once.
fn ids(name: &str, each: &Each, campaign: &Campaign, shop: &Shop) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let Some(object) = shop.objects.get(name) else { return ids };
    let triggers = campaign.triggers.iter().filter(|trigger| trigger.each == *each);
    for event in triggers.flat_map(|trigger| trigger.kind.events()) {
        let id = format!("event.{}", object.id_in(event));
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// Exceptions of the same object, of which any ends the journey.
fn ends(exceptions: &[Exception], about: &[&Each]) -> String {
    let Some(first) = exceptions.first() else { return String::new() };
    let events: Vec<&str> = exceptions.iter().flat_map(|exception| &exception.events).map(String::as_str).collect();
    let object = about.iter().find_map(|each| match each {
        Each::Object(name) => Some(name),
        Each::Customer | Each::Event => None,
    });
    let of = match (first.of, object) {
        (Of::Same, Some(name)) => format!(" of the same {name}"),
        (Of::Any, Some(name)) => format!(" of any {name}"),
        (_, None) => String::new(),
    };
    let only = first.condition.as_ref().map_or_else(String::new, |condition| format!(" if {}", condition.source()));
    format!("{}{of}{only} ends it", events.join(" or "))
}

/// The hours that a person would name: the campaign's own where it has some, else what the quiet hours leave.
fn hours(window: &[Hours]) -> String {
    let day = |hours: &&Hours| hours.open != hours.close;
    let clock = window.iter().rfind(day);
    let days = window.iter().map(|hours| hours.days).find(|days| *days != Days::ALL);
    let clock = clock.map_or_else(|| "at any hour".to_owned(), |hours| format!("{}-{} local", hours.open, hours.close));
    days.map_or(clock.clone(), |days| format!("{clock} on {days}"))
}
