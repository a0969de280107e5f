//! What conditions and texts may look at (LANGUAGE.md, section 9).

use std::{borrow::Cow, collections::BTreeMap, sync::OnceLock};

use cartwheel_language::{Campaign, Value, condition::Data, time::ZoneSource};
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use crate::{
    campaigns::Campaigns,
    customer::{Cart, Customer, Journey},
    input::{Consented, Event},
    kept::{id_at, object_id},
    key::CustomerKey,
};

/// A customer at a moment, seen from a campaign.
pub(crate) struct View<'a> {
    pub(crate) campaigns: &'a Campaigns,
    pub(crate) customer: &'a Customer,
    pub(crate) key: &'a CustomerKey,
    pub(crate) campaign: &'a Campaign,
    pub(crate) version: u32,
    /// The properties of the trigger's newest event, or of the exception.
    pub(crate) event: Option<Properties<'a>>,
    pub(crate) journey: Option<&'a Journey>,
    /// What began the journey, or began it anew; only exceptions see it.
    pub(crate) trigger: Option<&'a Event>,
    /// The text's language; only texts have one.
    pub(crate) language: Option<&'a str>,
    /// The zone that the customer lives in, once something asked for it.
    pub(crate) zone: &'a OnceLock<(TimeZone, ZoneSource)>,
    pub(crate) now: Timestamp,
}

/// An event's properties.
#[derive(Clone, Copy)]
pub(crate) enum Properties<'a> {
    /// As the event has them; copied when a condition asks.
    Of(&'a Fields),
    /// As one value, lent to each of the many conditions that an event meets.
    Whole(&'a Value),
}

impl<'a> Properties<'a> {
    fn get(self, path: &str) -> Option<String> {
        match self {
            Self::Of(properties) => id_at(properties, path),
            Self::Whole(whole) => whole.at(path).and_then(object_id),
        }
    }

    fn value(self) -> Cow<'a, Value> {
        match self {
            Self::Of(properties) => Cow::Owned(Value::Map(properties.clone())),
            Self::Whole(whole) => Cow::Borrowed(whole),
        }
    }
}

type Fields = BTreeMap<String, Value>;

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

fn fields<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Value {
    Value::Map(pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name.to_owned(), value))).collect())
}

impl View<'_> {
    fn customer(&self) -> Value {
        let profile = &self.customer.profile;
        let mut customer: Fields = profile.attributes.clone();
        customer.insert("id".to_owned(), text(self.key.name()));
        let consents = profile.consents.iter().map(|(channel, consent)| {
            let stopped = profile.stopped.contains_key(channel) || self.customer.blocked.contains_key(channel);
            let word = match consent.to {
                _ if stopped => "none",
                Consented::None => "none",
                Consented::Transactional => "transactional",
                Consented::Promotional => "promotional",
            };
            (channel.name().to_owned(), text(word))
        });
        customer.insert("consent".to_owned(), Value::Map(consents.collect()));
        let country = profile.addresses.values().find_map(|address| address.country.clone());
        if let (false, Some(country)) = (customer.contains_key("country"), country) {
            customer.insert("country".to_owned(), text(country));
        }
        let (zone, _) = self.zone.get_or_init(|| crate::step::zone_of_customer(self.campaigns, self.customer));
        if let Some(name) = zone.iana_name() {
            customer.insert("zone".to_owned(), text(name));
        }
        Value::Map(customer)
    }

    /// This journey's cart, else the newest open one.
    fn cart(&self) -> Option<Value> {
        let carts = &self.customer.carts;
        let own = self.journey.and_then(|journey| journey.object.as_ref()).filter(|(name, _)| name == "cart").map(|(_, id)| id.as_str());
        let (id, cart): (String, &Cart) = match own {
            // A journey about a cart speaks of no other one.
            Some(id) => (id.to_owned(), carts.get(id)?),
            None => {
                let path = self.campaigns.shop().objects.get("cart").map_or("cart_id", |cart| cart.id.as_str());
                let named = self.event.and_then(|event| event.get(path)).and_then(|id| carts.get(&id).map(|cart| (id, cart)));
                named.or_else(|| carts.newest().map(|(id, cart)| (id.to_owned(), cart)))?
            }
        };
        let url = cart.url.clone().unwrap_or_else(|| format!("{}/cart", self.campaigns.shop().url.trim_end_matches('/')));
        let products = cart.products.iter().map(|line| Value::Map(line.clone())).collect();
        let mut map = BTreeMap::from([
            ("value".to_owned(), Value::Number(cart.value())),
            ("url".to_owned(), text(url)),
            ("products".to_owned(), Value::List(products)),
        ]);
        map.insert("id".to_owned(), text(id));
        map.extend(cart.currency.clone().map(|currency| ("currency".to_owned(), text(currency))));
        Some(Value::Map(map))
    }

    fn orders(&self) -> Value {
        let orders = &self.customer.history.orders;
        let currency = self.campaigns.shop().currencies.first().map_or("", String::as_str);
        fields([
            ("count", Some(Value::Number(Decimal::from(orders.count)))),
            ("first_at", orders.first_at.map(Value::Timestamp)),
            ("last_at", orders.last_at.map(Value::Timestamp)),
            ("value", Some(Value::Number(orders.value.get(currency).copied().unwrap_or_default()))),
        ])
    }
}

impl Data for View<'_> {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        match name {
            "event" => self.event.map(Properties::value),
            _ => self.root(name).map(Cow::Owned),
        }
    }

    fn count(&self, event: &str, within: Option<u32>) -> Option<u64> {
        let history = &self.customer.history;
        if event != "any interaction" {
            return Some(history.count(std::iter::once(event), within, self.now));
        }
        Some(match &self.campaigns.shop().interactions {
            Some(names) => history.count(names.iter().map(String::as_str), within, self.now),
            None => history.count(history.names(), within, self.now),
        })
    }
}

impl View<'_> {
    fn root(&self, name: &str) -> Option<Value> {
        let shop = self.campaigns.shop();
        match name {
            "trigger" => self.trigger.map(|event| Value::Map(event.properties.clone())),
            "customer" => Some(self.customer()),
            "cart" => self.cart(),
            "order" => {
                let journey = self.journey.filter(|journey| journey.object.as_ref().is_some_and(|(name, _)| name == "order"))?;
                let mut order = journey.trigger.event.properties.clone();
                order.extend(journey.newest.event.properties.clone());
                Some(Value::Map(order))
            }
            "orders" => Some(self.orders()),
            "journey" => self.journey.map(|journey| {
                fields([
                    ("began_at", Some(Value::Timestamp(journey.began))),
                    ("sends", Some(Value::Number(Decimal::from(journey.sends)))),
                    ("restarts", Some(Value::Number(Decimal::from(journey.restarts)))),
                ])
            }),
            "campaign" => Some(fields([
                ("name", Some(text(&self.campaign.name))),
                ("version", Some(Value::Number(Decimal::from(self.version)))),
                ("tags", Some(Value::List(self.campaign.tags.iter().map(text).collect()))),
            ])),
            "shop" => {
                Some(fields([("name", Some(text(&shop.name))), ("url", Some(text(&shop.url))), ("phone", shop.phone.clone().map(text))]))
            }
            "message" => self.language.map(|language| fields([("language", Some(text(language))), ("channel", Some(text("sms")))])),
            "now" => Some(Value::Timestamp(self.now)),
            _ => None,
        }
    }
}
