//! What holds for a whole shop: `shop.yaml`, read.

use std::{collections::BTreeMap, fmt};

use super::{Over, Sender, Source};
use crate::text::Template;
use crate::time::{Hours, Span};
use crate::words::{Channel, Class};

/// A text in each language, by language tag.
pub type TextByLanguage = BTreeMap<String, Template>;

/// The text for a customer's language: that language, else its base (`zh` for `zh-Hant`), else the shop's first.
///
/// Returns the language taken with it, because dates and plurals follow the text.
#[must_use]
pub fn for_language<'a, T>(texts: &'a BTreeMap<String, T>, language: Option<&str>, fallback: &str) -> Option<(&'a str, &'a T)> {
    let mut wanted = language;
    while let Some(tag) = wanted {
        if let Some((found, text)) = texts.get_key_value(tag) {
            return Some((found, text));
        }
        wanted = tag.rsplit_once('-').map(|(base, _)| base);
    }
    texts.get_key_value(fallback).map(|(found, text)| (found.as_str(), text))
}

/// A shop.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The id in keys and topics.
    pub id: String,
    /// The name that customers know.
    pub name: String,
    /// The shop's address, https.
    pub url: String,
    /// The number that texts name.
    pub phone: Option<String>,
    /// The IANA zone for customers whose own zone and number tell nothing.
    pub zone: String,
    /// The languages of its customers; the first is the fallback. Never empty.
    pub languages: Vec<String>,
    /// ISO 4217 codes; the first is the one that reports add up in. Never empty.
    pub currencies: Vec<String>,
    /// How often messages may reach one customer; all rules hold together.
    pub caps: Vec<Cap>,
    /// When nobody is disturbed.
    pub quiet_hours: QuietHours,
    /// Who sends.
    pub senders: Senders,
    /// What a journey can be about, by name.
    pub objects: BTreeMap<String, Object>,
    /// What `any interaction` means; `None`: every event that the customer causes.
    pub interactions: Option<Vec<String>>,
    /// When a visit ends.
    pub session: Session,
    /// Words for stop, start and help besides the shipped ones.
    pub keywords: Keywords,
    /// Where events come from, by name.
    pub sources: BTreeMap<String, Source>,
    /// The domain that answers opt-out links, without a scheme: `hlok.example`.
    pub links_domain: Option<String>,
    /// The addresses behind `page('name')` in texts.
    pub pages: BTreeMap<String, String>,
}

impl Shop {
    /// The language for who has none of the shop's.
    #[must_use]
    pub fn fallback_language(&self) -> &str {
        self.languages.first().map_or("en", String::as_str)
    }

    /// The object that an event is about, with its name.
    #[must_use]
    pub fn object_of(&self, event: &str) -> Option<(&str, &Object)> {
        self.objects
            .iter()
            .find(|(_, object)| object.events.iter().any(|listed| listed == event))
            .map(|(name, object)| (name.as_str(), object))
    }
}

/// At most so many messages to one customer in a period, of those that the rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// How many.
    pub at_most: u32,
    /// In which time.
    pub per: Period,
    /// Only messages of this channel.
    pub channel: Option<Channel>,
    /// Only messages with this tag.
    pub tag: Option<String>,
    /// Only messages of this class.
    pub class: Option<Class>,
}

/// As a sentence would say it: `1 per day, channel sms, tag reminder`.
impl fmt::Display for Cap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} per ", self.at_most)?;
        match self.per {
            Period::Day => formatter.write_str("day")?,
            Period::Week => formatter.write_str("week")?,
            Period::Month => formatter.write_str("month")?,
            Period::Rolling(span) => write!(formatter, "{span}")?,
        }
        if let Some(channel) = self.channel {
            write!(formatter, ", channel {}", channel.name())?;
        }
        if let Some(tag) = &self.tag {
            write!(formatter, ", tag {tag}")?;
        }
        if let Some(class) = self.class {
            write!(formatter, ", class {}", class.name())?;
        }
        Ok(())
    }
}

/// When a visit ends: by a gap of silence, or by an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The silence.
    pub gap: Span,
    /// Events that end a visit at once.
    pub ends_on: Vec<String>,
}

/// Thirty minutes, as web analytics have it.
impl Default for Session {
    fn default() -> Self {
        Self { gap: Span::HALF_HOUR, ends_on: Vec::new() }
    }
}

/// The time in which a cap counts. Calendar periods are in the customer's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A calendar day.
    Day,
    /// A calendar week, from Monday.
    Week,
    /// A calendar month.
    Month,
    /// The time up to now.
    Rolling(Span),
}

/// When messages may go out for the law's or courtesy's sake: the complement of the quiet hours, by class. All of a
/// list must be open; an empty list is always open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuietHours {
    /// For promotional messages; 09:00-21:00 where the shop says nothing.
    pub promotional: Vec<Hours>,
    /// For transactional messages; always open where the shop says nothing.
    pub transactional: Vec<Hours>,
}

/// Who sends, by channel.
#[derive(Clone, Debug)]
pub struct Senders {
    /// Text messages.
    pub sms: Option<SmsSenders>,
}

/// Who sends text messages, and how.
#[derive(Clone, Debug)]
pub struct SmsSenders {
    /// Who sends where `countries` says nothing else.
    pub sender: Sender,
    /// Who sends to numbers of a country, by ISO 3166 code.
    pub countries: BTreeMap<String, Sender>,
    /// The most parts of a message.
    pub max_parts: u32,
    /// What becomes of a longer one.
    pub over: Over,
    /// The opt-out line of promotional messages.
    pub footer: TextByLanguage,
}

/// Something that a journey can be about: a cart, an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// The property that names one of them: `cart_id`.
    pub id: String,
    /// The events that are about one of them.
    pub events: Vec<String>,
    /// Where the id stands in events that name it otherwise: event to property path, `order.cart.id`.
    pub places: BTreeMap<String, String>,
}

impl Object {
    /// The path of the property that names this object in an event.
    #[must_use]
    pub fn id_in(&self, event: &str) -> &str {
        self.places.get(event).unwrap_or(&self.id)
    }
}

/// Words that customers write, besides the shipped ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keywords {
    /// Ends all text messages.
    pub stop: Vec<String>,
    /// Brings them back.
    pub start: Vec<String>,
    /// Asks who this is.
    pub help: Vec<String>,
}
