//! Records of a shop's own Kafka topics, by the mapping of its `shop.yaml` (LANGUAGE.md section 12).
//!
//! The record is JSON; expressions see it as `record`. A property, an attribute or a name whose expression cannot be worked out is not
//! there: records of one topic differ. A time that cannot be worked out is a refusal, because a moment must not be guessed. The id is
//! the source's name and the record's own id, so that two sources that count from 1 do not meet; without one it is topic, partition
//! and offset (R36). Records that the source says to drop, or whose condition is not true, become nothing.

use std::{borrow::Cow, collections::BTreeMap};

use cartwheel_engine::input::Input;
use cartwheel_language::{
    Others, TopicSource, Value,
    condition::{Data, Expression},
};
use cartwheel_runtime::log::Record;
use cartwheel_wire::pseudonym::Pseudonyms;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value as Json;

use super::{
    NamedEvent, Told, consent, limits,
    person::{Given, person},
    times,
};
use crate::{
    refusal::{Code, Refusal},
    shops::KnownShop,
};

/// The largest record that is read, in bytes: eight times what can become of it, for records that carry much else.
const RECORD_BYTES: usize = 8 * limits::MESSAGE_BYTES;

/// Turns one record into inputs; none where the source drops it.
///
/// # Errors
/// When it is not understood; nothing of it is taken.
pub fn convert(
    name: &str,
    source: &TopicSource,
    record: &Record,
    shop: &KnownShop,
    pseudonyms: &Pseudonyms,
    received: Timestamp,
) -> Result<Vec<Input>, Refusal> {
    let data = read(record)?;
    let Some(event) = event(source, &data)? else { return Ok(Vec::new()) };
    let mut traits = worked_out(&source.profile, &data);
    let customer = &source.customer;
    let given = Given {
        user_id: value(customer.user_id.as_ref(), &data).unwrap_or_default(),
        anonymous_id: value(customer.anonymous_id.as_ref(), &data).unwrap_or_default(),
        phone: value(customer.phone.as_ref(), &data).or_else(|| traits.get("phone").cloned()),
        email: value(customer.email.as_ref(), &data).or_else(|| traits.get("email").cloned()),
    };
    if let Some(email) = &given.email {
        traits.entry("email".to_owned()).or_insert_with(|| email.clone());
    }
    let person = person(&given, shop, pseudonyms)?;
    let mut consents = consent::from_traits(&mut traits, None, name)?;
    let tracked = match event {
        Said::Event(event) => Some(event),
        Said::OnlyWho => None,
    };
    if let Some((event, properties)) = &tracked {
        consents.extend(consent::from_event(event, properties, name)?);
    }
    limits::check_size(limits::size(&traits) + tracked.as_ref().map_or(0, |(_, properties)| limits::size(properties)))?;
    let id = match value(source.id.as_ref(), &data) {
        Some(Value::Text(id)) => format!("{name}/{}", limits::message_id(&id)?),
        Some(Value::Number(id)) => format!("{name}/{}", id.normalize()),
        _ => format!("{}/{}/{}", record.topic, record.partition, record.offset),
    };
    let occurred = occurred(source, &data, record, received)?;
    Ok(Told { person, id, occurred, received, traits, consents, event: tracked }.inputs())
}

struct Seen(Value);

impl Data for Seen {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        (name == "record").then_some(Cow::Borrowed(&self.0))
    }

    fn count(&self, _: &str, _: Option<u32>) -> Option<u64> {
        None
    }
}

fn read(record: &Record) -> Result<Seen, Refusal> {
    let bytes = record.value.as_deref().ok_or_else(|| Refusal::new(Code::Empty, "the record has no value"))?;
    if bytes.len() > RECORD_BYTES {
        return Err(Refusal::new(Code::TooLarge, format!("the record has {} bytes; at most {RECORD_BYTES} are taken", bytes.len())));
    }
    match serde_json::from_slice::<Json>(bytes) {
        Ok(Json::Object(object)) => {
            limits::check_shape(&object)?;
            Ok(Seen(Json::Object(object).into()))
        }
        Ok(_) => Err(Refusal::new(Code::WrongType, "the record must be a JSON object")),
        Err(error) => Err(Refusal::new(Code::NotJson, format!("the record is no JSON that can be read, at column {}", error.column()))),
    }
}

/// What a record says beside who it is about.
enum Said {
    Event(NamedEvent),
    OnlyWho,
}

fn event(source: &TopicSource, data: &Seen) -> Result<Option<Said>, Refusal> {
    let Some(expression) = &source.name else { return Ok(Some(Said::OnlyWho)) };
    let theirs = match value(Some(expression), data) {
        Some(Value::Text(name)) => limits::event_name(&name)?,
        _ if !source.profile.is_empty() => return Ok(Some(Said::OnlyWho)),
        _ => return Err(Refusal::new(Code::MappingFailed, format!("`name: {}` gives no text for this record", expression.source()))),
    };
    let event = match (source.events.get(&theirs), source.others) {
        (Some(mapping), _) => {
            if mapping.condition.as_ref().is_some_and(|condition| !condition.evaluate(data).is_true()) {
                return Ok(None);
            }
            (mapping.event.clone(), worked_out(&mapping.properties, data))
        }
        (None, Others::Keep) => match &data.0 {
            Value::Map(fields) => {
                (theirs, fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            _ => (theirs, BTreeMap::new()),
        },
        (None, Others::Drop) => return Ok(None),
        (None, Others::Refuse) => {
            return Err(Refusal::new(Code::NotListed, "the source refuses events that it does not list, and this one is not listed"));
        }
    };
    Ok(Some(Said::Event(event)))
}

fn occurred(source: &TopicSource, data: &Seen, record: &Record, received: Timestamp) -> Result<Timestamp, Refusal> {
    let Some(expression) = &source.time else { return times::judged(record.timestamp, received) };
    let moment = match expression.evaluate(data) {
        Ok(Value::Timestamp(moment)) => moment,
        Ok(Value::Text(text)) => times::parse(&text)?,
        Ok(Value::Date(day)) => day.to_zoned(TimeZone::UTC).map_err(|_| bad_time(expression))?.timestamp(),
        _ => return Err(bad_time(expression)),
    };
    times::judged(moment, received)
}

fn bad_time(expression: &Expression) -> Refusal {
    Refusal::new(Code::BadTime, format!("`time: {}` gives no moment for this record", expression.source()))
}

fn worked_out(expressions: &BTreeMap<String, Expression>, data: &Seen) -> BTreeMap<String, Value> {
    expressions.iter().filter_map(|(name, expression)| Some((name.clone(), value(Some(expression), data)?))).collect()
}

fn value(expression: Option<&Expression>, data: &Seen) -> Option<Value> {
    expression?.evaluate(data).ok().filter(|value| !value.is_null())
}
