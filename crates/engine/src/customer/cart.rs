//! What is in the customer's carts (R04): folded from the events that `shop.yaml` lists under the object `cart`.
//!
//! An event with a list `products` says the whole content; else `Product Added` adds a line, `Product Removed` takes one away and
//! `Cart Cleared` empties the cart (the names of the Segment e-commerce specification). `Order Completed` with the cart's id closes it.

use std::collections::BTreeMap;

use cartwheel_language::Value;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::input::Event;

/// The most carts kept; the one that was touched longest ago gives way.
const CARTS_LIMIT: usize = 10;

/// The most lines kept of a cart, the newest.
const LINES_LIMIT: usize = 50;

/// The longest text kept of a line, in bytes; product names and addresses are shorter.
const TEXT_LIMIT: usize = 500;

/// The customer's open carts by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Carts(BTreeMap<String, Cart>);

/// A cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cart {
    /// The lines, oldest first: the products' properties.
    pub products: Vec<BTreeMap<String, Value>>,
    /// ISO 4217 code of its prices, as the last event said.
    pub currency: Option<String>,
    /// Where the customer finds it again: `cart_url` of its events.
    pub url: Option<String>,
    /// When it was last touched, by event time.
    pub touched: Timestamp,
}

/// The properties of a line that are kept.
const LINE: [&str; 12] =
    ["product_id", "sku", "name", "price", "quantity", "url", "image_url", "category", "brand", "variant", "currency", "coupon"];

impl Cart {
    fn line_id(line: &BTreeMap<String, Value>) -> Option<&Value> {
        line.get("product_id").or_else(|| line.get("sku"))
    }

    /// The sum of prices times quantities; a line without a quantity counts once.
    pub fn value(&self) -> Decimal {
        self.products.iter().fold(Decimal::ZERO, |sum, line| {
            let price = line.get("price").and_then(Value::as_number).unwrap_or_default();
            let quantity = line.get("quantity").and_then(Value::as_number).unwrap_or(Decimal::ONE);
            price.checked_mul(quantity).and_then(|amount| sum.checked_add(amount)).unwrap_or(sum)
        })
    }

    fn add(&mut self, line: BTreeMap<String, Value>) {
        let known = Self::line_id(&line).and_then(|id| self.products.iter_mut().find(|known| Self::line_id(known) == Some(id)));
        if let Some(known) = known {
            let quantity = |line: &BTreeMap<String, Value>| line.get("quantity").and_then(Value::as_number).unwrap_or(Decimal::ONE);
            let sum = quantity(known).saturating_add(quantity(&line));
            known.extend(line);
            known.insert("quantity".to_owned(), Value::Number(sum));
            return;
        }
        self.products.push(line);
        if self.products.len() > LINES_LIMIT {
            self.products.remove(0);
        }
    }

    fn remove(&mut self, line: &BTreeMap<String, Value>) {
        let Some(at) = Self::line_id(line).and_then(|id| self.products.iter().position(|known| Self::line_id(known) == Some(id))) else {
            return;
        };
        let number = |line: &BTreeMap<String, Value>| line.get("quantity").and_then(Value::as_number);
        match (number(&self.products[at]), number(line)) {
            (Some(had), Some(less)) if had > less => {
                self.products[at].insert("quantity".to_owned(), Value::Number(had - less));
            }
            _ => {
                self.products.remove(at);
            }
        }
    }
}

fn line_of(properties: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    LINE.iter()
        .filter_map(|name| properties.get(*name).map(|value| ((*name).to_owned(), value)))
        .filter(|(_, value)| match value {
            Value::Text(text) => text.len() <= TEXT_LIMIT,
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        })
        .map(|(name, value)| (name, value.clone()))
        .collect()
}

impl Carts {
    /// A cart by its id.
    pub fn get(&self, id: &str) -> Option<&Cart> {
        self.0.get(id)
    }

    /// The open cart that was touched last, with its id.
    pub fn newest(&self) -> Option<(&str, &Cart)> {
        let filled = self.0.iter().filter(|(_, cart)| !cart.products.is_empty());
        filled.max_by_key(|(_, cart)| cart.touched).map(|(id, cart)| (id.as_str(), cart))
    }

    /// Folds an event about a cart.
    pub(crate) fn fold(&mut self, id: &str, event: &Event) {
        let properties = &event.properties;
        let cart = self.0.entry(id.to_owned()).or_insert_with(|| Cart {
            products: Vec::new(),
            currency: None,
            url: None,
            touched: event.occurred,
        });
        if let Some(Value::List(products)) = properties.get("products") {
            cart.products.clear();
            for product in products {
                if let Value::Map(line) = product {
                    cart.add(line_of(line));
                }
            }
        } else {
            match event.name.as_str() {
                "Product Added" => cart.add(line_of(properties)),
                "Product Removed" => cart.remove(&line_of(properties)),
                "Cart Cleared" => cart.products.clear(),
                _ => {}
            }
        }
        for (field, name) in [(&mut cart.currency, "currency"), (&mut cart.url, "cart_url")] {
            if let Some(text) = properties.get(name).and_then(Value::as_text).filter(|text| text.len() <= TEXT_LIMIT) {
                *field = Some(text.to_owned());
            }
        }
        cart.touched = cart.touched.max(event.occurred);
        self.bound();
    }

    /// Closes a cart: its order was completed at this moment. One that was touched after it lives on.
    pub(crate) fn close(&mut self, id: &str, at: Timestamp) {
        if self.0.get(id).is_some_and(|cart| cart.touched <= at) {
            self.0.remove(id);
        }
    }

    /// Joins what a weaker home gathered; of the same cart the one touched last.
    pub(crate) fn join(&mut self, other: Carts) {
        for (id, cart) in other.0 {
            if self.0.get(&id).is_none_or(|own| own.touched < cart.touched) {
                self.0.insert(id, cart);
            }
        }
        self.bound();
    }

    fn bound(&mut self) {
        while self.0.len() > CARTS_LIMIT {
            let Some(oldest) = self.0.iter().min_by_key(|(_, cart)| cart.touched).map(|(id, _)| id.clone()) else { return };
            self.0.remove(&oldest);
        }
    }
}
