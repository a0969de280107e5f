//! Events by name: whether they exist, what they are about, and whether what ends a journey can be matched to it.

use super::Subject;
use crate::findings::{FileFindings, did_you_mean, listed};
use crate::model::{Each, Of};
use crate::plan::Plan;
use crate::read::{ExceptionDraft, Placed};
use crate::resolve;

/// Events that Cartwheel makes itself. They carry no properties.
const OWN_EVENTS: [&str; 8] =
    ["Session Started", "Session Ended", "Message Sent", "Message Delivered", "Message Failed", "Message Replied", "Opted In", "Opted Out"];

/// Events that Cartwheel makes itself by the language, and does not make in this version.
const LATER_EVENTS: [&str; 4] = ["Message Opened", "Message Clicked", "Page Opened", "Survey Completed"];

/// Whether Cartwheel makes this event itself.
pub(super) fn is_own(event: &str) -> bool {
    OWN_EVENTS.contains(&event)
}

/// Whether events of a name carry a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    Always,
    Sometimes,
    Never,
    /// Nobody says.
    Unknown,
}

impl Carries {
    fn of(event: &str, path: &str, plan: Option<&Plan>) -> Carries {
        if is_own(event) {
            return Carries::Never;
        }
        let Some(plan) = plan.filter(|plan| plan.has(event)) else { return Carries::Unknown };
        let path: Vec<&str> = path.split('.').collect();
        match plan.property(event, &path) {
            None => Carries::Never,
            Some(property) if property.always => Carries::Always,
            Some(_) => Carries::Sometimes,
        }
    }
}

/// Finds an event's name that nobody knows.
pub(super) fn exists(event: &Placed<String>, plan: Option<&Plan>, file: &mut FileFindings<'_>) {
    if LATER_EVENTS.contains(&event.value.as_str()) {
        file.not_yet(event.place, &format!("`{}`, an event of Cartwheel's own,", event.value));
        return;
    }
    let Some(plan) = plan else { return };
    if !plan.has(&event.value) && !is_own(&event.value) {
        let hint = did_you_mean(&event.value, plan.events().chain(OWN_EVENTS));
        file.wrong(event.place, format!("no event `{}` in {}{hint}", event.value, plan.name));
    }
}

/// Checks `when`.
pub(super) fn triggers(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let shop = &subject.shop.shop;
    for trigger in &subject.draft.triggers {
        for event in &trigger.events {
            exists(event, subject.plan, file);
        }
        if let Some(each) = &trigger.each
            && !matches!(each.value.as_str(), "customer" | "event")
            && !shop.objects.contains_key(&each.value)
        {
            let objects = shop.objects.keys().map(String::as_str).chain(["customer", "event"]);
            let hint = did_you_mean(&each.value, objects.clone());
            let hint = if hint.is_empty() { format!("; write {}", listed(objects, "or")) } else { hint };
            file.wrong(each.place, format!("no object `{}` in shop.yaml{hint}", each.value));
            continue;
        }
        if trigger.each.is_none() {
            let about: Vec<Option<&str>> = trigger.events.iter().map(|event| shop.object_of(&event.value).map(|(name, _)| name)).collect();
            if about.windows(2).any(|pair| pair[0] != pair[1]) {
                let names = about.iter().map(|object| object.unwrap_or("customer"));
                let message = format!("these events are about {}; write `each`", listed(names, "and"));
                file.wrong(trigger.place, message);
            }
        }
        carries_id(subject, trigger.events.as_slice(), &resolve::each(trigger, shop), file);
    }
    let about: Vec<Each> = subject.draft.triggers.iter().map(|trigger| resolve::each(trigger, shop)).collect();
    let mixed = about.windows(2).any(|pair| pair[0] != pair[1]);
    if mixed && subject.draft.again.is_none() {
        let names = listed(about.iter().map(Each::name), "and");
        let message = format!("the triggers are about {names}, whose `again` differs; write `again`");
        file.wrong(subject.draft.triggers.first().map_or(subject.draft.place, |trigger| trigger.place), message);
    }
}

/// A trigger without its object's id begins nothing.
fn carries_id(subject: &Subject<'_>, events: &[Placed<String>], each: &Each, file: &mut FileFindings<'_>) {
    let Each::Object(name) = each else { return };
    let Some(object) = subject.shop.shop.objects.get(name) else { return };
    for event in events {
        let id = object.id_in(&event.value);
        match Carries::of(&event.value, id, subject.plan) {
            Carries::Never => {
                let message = format!(
                    "`{}` never carries `{id}`, so it begins no journey per {name}; write each: customer or each: event",
                    event.value
                );
                file.wrong(event.place, message);
            }
            Carries::Sometimes => {
                file.doubt(event.place, format!("`{}` can come without `{id}`, and then begins nothing", event.value));
            }
            Carries::Always | Carries::Unknown => {}
        }
    }
}

/// Checks `unless`.
pub(super) fn exceptions(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let about: Vec<Each> = subject.draft.triggers.iter().map(|trigger| resolve::each(trigger, &subject.shop.shop)).collect();
    for exception in &subject.draft.exceptions {
        for event in &exception.events {
            exists(event, subject.plan, file);
            let begins_alone = subject
                .draft
                .triggers
                .iter()
                .zip(&about)
                .any(|(trigger, each)| *each == Each::Event && trigger.events.iter().any(|begun| begun.value == event.value));
            if begins_alone {
                let message = format!(
                    "every `{}` begins a journey of its own (each: event), so it cannot end one; name an object in `each`",
                    event.value
                );
                file.wrong(event.place, message);
            }
        }
        same_object(subject, exception, &about, file);
    }
}

fn same_object(subject: &Subject<'_>, exception: &ExceptionDraft, about: &[Each], file: &mut FileFindings<'_>) {
    let objects: Vec<&str> = about
        .iter()
        .filter_map(|each| match each {
            Each::Object(name) => Some(name.as_str()),
            Each::Customer | Each::Event => None,
        })
        .collect();
    if objects.is_empty() {
        if let Some(of) = exception.of.as_ref().filter(|of| of.value == Of::Same) {
            let each = about.first().map_or("customer", Each::name);
            let message = format!("`of: same` needs an object, and the journey is about each: {each}; drop it");
            file.wrong(of.place, message);
        }
        return;
    }
    if exception.of.as_ref().is_some_and(|of| of.value == Of::Any) {
        return;
    }
    for name in objects {
        let Some(object) = subject.shop.shop.objects.get(name) else { continue };
        for event in &exception.events {
            let id = object.id_in(&event.value);
            if Carries::of(&event.value, id, subject.plan) == Carries::Never {
                let message =
                    format!("`{0}` never carries `{id}`, so it cannot be of the same {name}; write {{ event: {0}, of: any }}", event.value);
                file.wrong(event.place, message);
            }
        }
    }
}
