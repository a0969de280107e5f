//! What conditions and texts may look at (LANGUAGE.md, section 9).

use std::{borrow::Cow, collections::BTreeMap};

use cartwheel_language::{Campaign, Value, condition::Data};
use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::{
    campaigns::Campaigns,
    customer::{Cart, Customer, Journey},
    input::{Consented, Event},
    key::CustomerKey,
};

/// A customer at a moment, seen from a campaign.
pub(crate) struct View<'a> {
    pub(crate) campaigns: &'a Campaigns,
    pub(crate) customer: &'a Customer,
    pub(crate) key: &'a CustomerKey,
    pub(crate) campaign: &'a Campaign,
    pub(crate) version: u32,
    /// The trigger's newest event, or the exception.
    pub(crate) event: Option<&'a Event>,
    pub(crate) journey: Option<&'a Journey>,
    /// What began the journey; only exceptions see it.
    pub(crate) trigger: Option<&'a Event>,
    /// The text's language; only texts have one.
    pub(crate) language: Option<&'a str>,
    pub(crate) now: Timestamp,
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
        let zone = crate::step::zone(self.campaigns, self.customer).0;
        if let Some(name) = zone.iana_name() {
            customer.insert("zone".to_owned(), text(name));
        }
        Value::Map(customer)
    }

    /// This journey's cart, else the newest open one.
    fn cart(&self) -> Option<Value> {
        let object = self.journey.and_then(|journey| journey.object.as_ref()).filter(|(name, _)| name == "cart").map(|(_, id)| id.clone());
        let named = object.or_else(|| self.event.and_then(|event| event.properties.get("cart_id")).map(crate::customer::object_text));
        let (id, cart): (Option<String>, &Cart) = match named.and_then(|id| self.customer.carts.get(&id).map(|cart| (Some(id), cart))) {
            Some(found) => found,
            None => (None, self.customer.carts.newest()?),
        };
        let url = cart.url.clone().unwrap_or_else(|| format!("{}/cart", self.campaigns.shop().url.trim_end_matches('/')));
        let products = cart.products.iter().map(|line| Value::Map(line.clone())).collect();
        let mut map = BTreeMap::from([
            ("value".to_owned(), Value::Number(cart.value())),
            ("url".to_owned(), text(url)),
            ("products".to_owned(), Value::List(products)),
        ]);
        map.extend(id.map(|id| ("id".to_owned(), text(id))));
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
        self.root(name).map(Cow::Owned)
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
            "event" => self.event.map(|event| Value::Map(event.properties.clone())),
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
