//! Messages in the Segment form: `track`, `identify`, `page`, `screen`, alone or in a batch.
//!
//! `page` becomes the event `Page Viewed`, `screen` becomes `Screen Viewed`; their `name` and `category` become properties. Attributes
//! come from `traits` and, for all types, from `context.traits`, where some clients put them. Segment's reserved attributes get the
//! language's names: `firstName` is `first_name`. `identify` also takes `zone` and `language` from the context where the attributes
//! do not have them. `alias` is refused: an `identify` with both ids says the same and cannot be misread.

use std::collections::BTreeMap;

use cartwheel_engine::input::Input;
use cartwheel_language::Value;
use cartwheel_wire::pseudonym::Pseudonyms;
use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};

use super::{
    NamedEvent, Told, consent, limits,
    person::{Given, person},
    times,
};
use crate::{
    refusal::{Code, Refusal},
    shops::KnownShop,
};

/// Segment's reserved attributes that the language knows by another name.
const RESERVED_TRAITS: &[(&str, &str)] =
    &[("firstName", "first_name"), ("lastName", "last_name"), ("createdAt", "created_at"), ("locale", "language"), ("timezone", "zone")];

/// The type of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The customer did something.
    Track,
    /// Who the customer is.
    Identify,
    /// The customer saw a page.
    Page,
    /// The customer saw a screen of an app.
    Screen,
}

impl Kind {
    /// The kind by its word in a message's `type`.
    ///
    /// # Errors
    /// For types that this version does not serve.
    pub fn of_word(word: &str) -> Result<Self, Refusal> {
        match word {
            "track" => Ok(Self::Track),
            "identify" => Ok(Self::Identify),
            "page" => Ok(Self::Page),
            "screen" => Ok(Self::Screen),
            "alias" => Err(Refusal::new(Code::Unsupported, "alias is not served; send an identify with both ids, userId and anonymousId")),
            "group" => {
                Err(Refusal::new(Code::Unsupported, "group is not served; what belongs to a customer is sent as traits of identify"))
            }
            _ => Err(Refusal::new(Code::Unsupported, "the type must be track, identify, page or screen")),
        }
    }
}

/// What a key may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Known to the shop's own servers only: everything.
    Secret,
    /// In every visitor's browser, so anybody may have sent it: what an unknown visitor does. Names other than the anonymous id are
    /// passed over, consent and events about the shop's orders are refused.
    Browser,
}

/// How a message arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When.
    pub received: Timestamp,
    /// The sender's clock when it sent the batch; a message's own `sentAt` goes before it.
    pub sent: Option<Timestamp>,
    /// Given to a message that has neither an id nor a time: unique to this arrival.
    pub id: &'a str,
    /// The source's name in the shop file.
    pub source: &'a str,
    /// What its key may say.
    pub authority: Authority,
}

/// Turns one message into inputs.
///
/// # Errors
/// When it is not taken; nothing of it is.
pub fn convert(
    kind: Kind,
    message: &Map<String, Json>,
    shop: &KnownShop,
    pseudonyms: &Pseudonyms,
    arrival: Arrival<'_>,
) -> Result<Vec<Input>, Refusal> {
    limits::check_size(limits::size(message))?;
    limits::check_shape(message)?;
    let (occurred, id) = (occurred(message, arrival)?, id(message, arrival)?);
    let Value::Map(mut message) = Value::from(Json::Object(message.clone())) else { return Err(wrong_type("the message", "an object")) };
    let mut context = object(&mut message, "context")?;
    let mut traits = object(&mut context, "traits")?;
    if kind == Kind::Identify {
        traits.extend(object(&mut message, "traits")?);
        for (from, to) in [("timezone", "zone"), ("locale", "language")] {
            if let (Some(value @ Value::Text(_)), false) = (context.get(from), traits.contains_key(to) || traits.contains_key(from)) {
                traits.insert(to.to_owned(), value.clone());
            }
        }
    }
    for (theirs, ours) in RESERVED_TRAITS {
        if let Some(value) = traits.remove(*theirs) {
            traits.entry((*ours).to_owned()).or_insert(value);
        }
    }
    let event = event(kind, &mut message)?;

    let mut take = |name: &str| message.remove(name).unwrap_or_default();
    let mut given = Given {
        user_id: take("userId"),
        anonymous_id: take("anonymousId"),
        phone: traits.get("phone").cloned(),
        email: traits.get("email").cloned(),
    };
    if arrival.authority == Authority::Browser {
        given = Given { anonymous_id: given.anonymous_id, ..Given::default() };
        refuse_what_browsers_may_not_say(&mut traits, event.as_ref().map(|(name, _)| name.as_str()), shop)?;
    }
    let person = person(&given, shop, pseudonyms)?;
    let mut consents = consent::from_traits(&mut traits, context.get("consent"), arrival.source)?;
    if let Some((name, properties)) = &event {
        consents.extend(consent::from_event(name, properties, arrival.source)?);
    }
    Ok(Told { person, id, occurred, received: arrival.received, traits, consents, event }.inputs())
}

/// The event that a message is about; none for `identify`.
fn event(kind: Kind, message: &mut BTreeMap<String, Value>) -> Result<Option<NamedEvent>, Refusal> {
    let mut properties = object(message, "properties")?;
    let name = match kind {
        Kind::Identify => return Ok(None),
        Kind::Track => match message.get("event") {
            Some(Value::Text(name)) => limits::event_name(name)?,
            _ => return Err(wrong_type("`event`", "the event's name")),
        },
        Kind::Page => "Page Viewed".to_owned(),
        Kind::Screen => "Screen Viewed".to_owned(),
    };
    if kind != Kind::Track {
        for label in ["name", "category"] {
            if let Some(value @ Value::Text(_)) = message.get(label) {
                properties.entry(label.to_owned()).or_insert_with(|| value.clone());
            }
        }
    }
    properties.retain(|_, value| !value.is_null());
    Ok(Some((name, properties)))
}

/// When it happened. A message with both `timestamp` and `originalTimestamp` was corrected on its way; else its stamp is by the
/// sender's clock and is corrected by the time of sending, where the sender says it.
fn occurred(message: &Map<String, Json>, arrival: Arrival<'_>) -> Result<Timestamp, Refusal> {
    let time = |name: &str| match message.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => times::parse(text).map(Some),
        Some(_) => Err(Refusal::new(Code::BadTime, format!("`{name}` must be text such as 2026-12-24T18:00:00Z"))),
    };
    let (stamp, original, sent) = (time("timestamp")?, time("originalTimestamp")?, time("sentAt")?.or(arrival.sent));
    let moment = match (stamp, original, sent) {
        (Some(stamp), Some(_), _) => stamp,
        (Some(stamp), None, Some(sent)) | (None, Some(stamp), Some(sent)) => times::corrected(stamp, sent, arrival.received),
        (Some(stamp), None, None) | (None, Some(stamp), None) => stamp,
        (None, None, _) => arrival.received,
    };
    times::judged(moment, arrival.received)
}

/// The message's id; without one, a message that says when it happened is told by its contents, so that a client that sends it again
/// does not count twice, and one that does not is new each time.
fn id(message: &Map<String, Json>, arrival: Arrival<'_>) -> Result<String, Refusal> {
    match message.get("messageId") {
        Some(Json::String(id)) => limits::message_id(id),
        Some(Json::Number(id)) => Ok(id.to_string()),
        None | Some(Json::Null) if message.contains_key("timestamp") || message.contains_key("originalTimestamp") => {
            let mut told = message.clone();
            told.remove("sentAt");
            let bytes = serde_json::to_vec(&told).unwrap_or_default();
            Ok(Sha256::digest(bytes)[..16].iter().fold("content/".to_owned(), |text, byte| text + &format!("{byte:02x}")))
        }
        None | Some(Json::Null) => Ok(arrival.id.to_owned()),
        Some(_) => Err(wrong_type("`messageId`", "text")),
    }
}

fn refuse_what_browsers_may_not_say(traits: &mut BTreeMap<String, Value>, event: Option<&str>, shop: &KnownShop) -> Result<(), Refusal> {
    let refused = |what: &str| {
        Err(Refusal::new(Code::NotAllowed, format!("a browser key may not send {what}; send it from a server, with a secret key")))
    };
    if traits.contains_key("consent") {
        return refused("consent");
    }
    traits.remove("phone");
    traits.remove("email");
    match event {
        Some(consent::OPTED_IN | consent::OPTED_OUT) => refused("consent"),
        Some(name) if shop.order_events.contains(name) => refused("events about orders"),
        _ => Ok(()),
    }
}

/// Takes an object out of another; none is an empty one.
fn object(from: &mut BTreeMap<String, Value>, name: &str) -> Result<BTreeMap<String, Value>, Refusal> {
    match from.remove(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Map(map)) => Ok(map),
        Some(_) => Err(wrong_type(&format!("`{name}`"), "an object")),
    }
}

fn wrong_type(what: &str, right: &str) -> Refusal {
    Refusal::new(Code::WrongType, format!("{what} must be {right}"))
}
