//! What is kept of an event: what campaigns may still read of it, within a bound of bytes.
//!
//! An event may be as large as its source allows, and a customer may have hundreds of journeys: a journey keeps of its trigger what
//! its campaign's conditions and texts name, not the event.

use std::collections::{BTreeMap, BTreeSet};

use cartwheel_language::{Campaign, Shop, Value, Verb};

use crate::input::Event;

/// The most bytes kept of a trigger: room for an order of a hundred lines.
pub(crate) const TRIGGER_BYTES: usize = 16 * 1024;

/// The most bytes kept of a remembered exception: its ids and what a condition compares.
pub(crate) const EXCEPTION_BYTES: usize = 1024;

/// The longest object id, in bytes: shops' ids are far shorter, and it stands in state, decisions and keys of maps.
const ID_BYTES: usize = 200;

/// Which properties of an event are still read later.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    whole: bool,
    names: BTreeSet<String>,
}

impl Reads {
    /// What a campaign's exceptions, audience, steps and texts read of a journey's trigger.
    pub(crate) fn of_journeys(campaign: &Campaign, shop: &Shop) -> Self {
        let mut reads = Self::of_objects(shop);
        let exceptions = campaign.exceptions.iter().filter_map(|exception| exception.condition.as_ref());
        exceptions.for_each(|condition| reads.add(&["trigger"], condition.paths().iter().map(|path| path.path.as_str())));
        let conditions = campaign.audience.iter().chain(campaign.steps.iter().filter_map(|step| step.condition.as_ref()));
        conditions.for_each(|condition| reads.add(&["event", "order"], condition.paths().iter().map(|path| path.path.as_str())));
        for step in &campaign.steps {
            if let Verb::Send(send) = &step.verb {
                let texts = send.sms.text.values().chain(send.sms.footer.values());
                texts.for_each(|text| reads.add(&["event", "order"], text.variables().iter().map(|variable| variable.path.as_str())));
            }
        }
        reads
    }

    /// What the exceptions of these campaigns read of the exception.
    pub(crate) fn of_exceptions<'c>(campaigns: impl Iterator<Item = &'c Campaign>, shop: &Shop) -> Self {
        let mut reads = Self::of_objects(shop);
        let conditions = campaigns.flat_map(|campaign| &campaign.exceptions).filter_map(|exception| exception.condition.as_ref());
        conditions.for_each(|condition| reads.add(&["event"], condition.paths().iter().map(|path| path.path.as_str())));
        reads
    }

    fn of_objects(shop: &Shop) -> Self {
        let places = shop.objects.values().flat_map(|object| object.places.values().chain([&object.id]));
        Self { whole: false, names: places.map(|path| first_name(path).to_owned()).collect() }
    }

    fn add<'p>(&mut self, roots: &[&str], paths: impl Iterator<Item = &'p str>) {
        for path in paths {
            if roots.contains(&path) {
                self.whole = true;
            }
            if let Some((_, rest)) = path.split_once('.').filter(|(root, _)| roots.contains(root)) {
                self.names.insert(first_name(rest).to_owned());
            }
        }
    }

    /// The event with what is read of it. What would go beyond the bound is left out, in the order of the names: a text that names
    /// it is not sent then, and the decision says so.
    pub(crate) fn keep(&self, event: &Event, bytes: usize) -> Event {
        let mut room = bytes;
        let mut properties = BTreeMap::new();
        let read = event.properties.iter().filter(|(name, _)| self.whole || self.names.contains(*name));
        for (name, value) in read {
            let size = name.len() + size(value);
            if size <= room {
                room -= size;
                properties.insert(name.clone(), value.clone());
            }
        }
        Event { name: event.name.clone(), occurred: event.occurred, properties }
    }
}

fn first_name(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

/// About how many bytes a value takes when stored.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(_) | Value::Timestamp(_) | Value::Date(_) => 16,
        Value::Text(text) => text.len() + 2,
        Value::List(list) => list.iter().map(size).sum::<usize>() + 3,
        Value::Map(map) => map.iter().map(|(name, value)| name.len() + 2 + size(value)).sum::<usize>() + 3,
    }
}

/// An object's id as text, whatever JSON wrote: texts as they are, numbers in their shortest form. What is neither, empty or
/// longer than an id can be names nothing.
pub(crate) fn object_id(value: &Value) -> Option<String> {
    let id = match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.normalize().to_string(),
        _ => return None,
    };
    (!id.is_empty() && id.len() <= ID_BYTES).then_some(id)
}

/// The id at a path of an event's properties: `cart.id`.
pub(crate) fn id_at(properties: &BTreeMap<String, Value>, path: &str) -> Option<String> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = properties.get(first)?;
    object_id(match rest {
        Some(rest) => value.at(rest)?,
        None => value,
    })
}
