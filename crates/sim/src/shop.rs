//! The shop: what it has applied, and the lives of its customers, drawn from the seed.
//!
//! Everybody comes as a visitor or known, fills carts, buys some of them, logs in sooner or later, and some say STOP. The shop publishes
//! on a topic of its own, in a form that its file explains; some records come twice and some come late.

use std::sync::Arc;

use bytes::Bytes;
use cartwheel_ingest::shops::{KnownShop, Shops};
use cartwheel_language::{SourceFile, Sources, read};
use cartwheel_runtime::log::Outgoing;
use cartwheel_wire::{CampaignFile, Codec, Revision, Topics, history};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value as Json, json};

use crate::{RunError, chance::Chance, fault::Fault, world::SOURCE};

/// The shop's id.
const SHOP: &str = "acme";

/// Something that is published at a moment.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) at: Timestamp,
    pub(crate) person: u32,
    pub(crate) message: Json,
}

/// All lives of a run.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    pub(crate) publications: Vec<Publication>,
    pub(crate) orders: Vec<String>,
    /// Numbers whose owners agreed to promotional messages.
    pub(crate) promotional: Vec<String>,
    pub(crate) faults: Vec<Fault>,
}

/// How long the shop is open.
pub(crate) const OPEN: SignedDuration = SignedDuration::from_mins(10);

impl Lives {
    /// Draws the lives of a run that starts at `start`.
    pub(crate) fn draw(chance: &mut Chance, start: Timestamp) -> Self {
        let mut lives = Self::default();
        for person in 0..u32::try_from(chance.between(8, 12)).unwrap_or(8) {
            Life { lives: &mut lives, chance, person, start, count: 0 }.live();
        }
        lives.publications.sort_by_key(|publication| publication.at);
        lives
    }
}

struct Life<'a> {
    lives: &'a mut Lives,
    chance: &'a mut Chance,
    person: u32,
    start: Timestamp,
    count: u32,
}

impl Life<'_> {
    fn live(mut self) {
        let person = self.person;
        let number = format!("+44740012{:04}", 3400 + person);
        let agrees = self.chance.in_thousand(850);
        let consent = if agrees { "promotional" } else { "transactional" };
        if agrees {
            self.lives.promotional.push(number.clone());
        }
        let mut clock = self.chance.between(10_000, 60_000);
        let visitor_first = self.chance.in_thousand(500);
        let mut is_known = !visitor_first;
        let identify =
            json!({ "user": format!("u{person}"), "visitor": format!("a{person}"), "phone": number, "consent": { "sms": consent } });
        if is_known {
            self.publish(clock, identify.clone());
        }
        let carts = self.chance.between(1, 3);
        for cart in 0..carts {
            let cart = format!("c{person}-{cart}");
            for _ in 0..self.chance.between(1, 3) {
                clock += self.chance.between(500, 60_000);
                self.act(
                    clock,
                    is_known,
                    "Product Added",
                    json!({ "cart_id": cart, "product_id": "p1", "name": "Mug", "price": 8, "quantity": 1 }),
                );
            }
            if !is_known && self.chance.in_thousand(700) {
                clock += self.chance.between(100, 90_000);
                is_known = true;
                self.publish(clock, identify.clone());
            }
            if self.chance.in_thousand(450) {
                // Often near the end of the cart's wait, where races live.
                let wait =
                    if self.chance.in_thousand(500) { self.chance.between(170_000, 200_000) } else { self.chance.between(500, 120_000) };
                let order = format!("o-{cart}");
                let properties = json!({ "order_id": order, "cart_id": cart, "total": 8, "currency": "GBP" });
                self.act(clock + wait, is_known, "Order Completed", properties);
                if is_known {
                    self.lives.orders.push(order);
                }
            } else if self.chance.in_thousand(150) {
                let wait = self.chance.between(1000, 190_000);
                self.act(clock + wait, is_known, "Cart Cleared", json!({ "cart_id": cart }));
            }
        }
        if !is_known {
            clock += self.chance.between(1000, 60_000);
            self.publish(clock, identify);
        }
        if self.chance.in_thousand(600) {
            let moment = if self.chance.in_thousand(600) {
                clock + self.chance.between(150_000, 200_000)
            } else {
                self.chance.between(60_000, 400_000)
            };
            self.publish(moment, json!({ "event": "Opted Out", "channel": "sms", "phone": number }));
        }
    }

    /// A tracked event, under the user's id once it is known, sometimes still under the visitor's.
    fn act(&mut self, millis: usize, is_known: bool, event: &str, properties: Json) {
        let person = self.person;
        let mut message = properties;
        message["event"] = json!(event);
        if is_known {
            message["user"] = json!(format!("u{person}"));
        } else {
            message["visitor"] = json!(format!("a{person}"));
        }
        self.publish(millis, message);
    }

    fn publish(&mut self, millis: usize, mut message: Json) {
        self.count += 1;
        let occurred = after(self.start, millis);
        message["id"] = json!(format!("m{}-{}", self.person, self.count));
        message["at"] = json!(occurred.to_string());
        let late = if self.chance.in_thousand(80) { self.chance.between(1000, 120_000) } else { 0 };
        let publication = Publication { at: after(self.start, millis + late), person: self.person, message };
        if self.chance.in_thousand(120) {
            self.lives.faults.push(Fault::DuplicateEvent);
            let again = after(publication.at, self.chance.between(10, 240_000));
            self.lives.publications.push(Publication { at: again, ..publication.clone() });
        }
        self.lives.publications.push(publication);
    }
}

fn after(moment: Timestamp, millis: usize) -> Timestamp {
    moment.saturating_add(SignedDuration::from_millis(i64::try_from(millis).unwrap_or(0))).unwrap_or(moment)
}

impl Publication {
    /// The record on the shop's own topic.
    pub(crate) fn record(&self, partitions: u32) -> Outgoing {
        Outgoing {
            topic: SOURCE.into(),
            partition: self.person % partitions,
            key: None,
            value: Some(Bytes::from(self.message.to_string())),
            headers: Vec::new(),
        }
    }
}

/// The shop's files, its own first.
fn files() -> [SourceFile; 3] {
    let file = |path: String, text: &str| SourceFile { path, text: text.to_owned() };
    [
        file(history::SHOP_FILE.to_owned(), include_str!("../shop/shop.yaml")),
        file(history::file_of("abandoned-cart"), include_str!("../shop/campaigns/abandoned-cart.yaml")),
        file(history::file_of("order-confirmation"), include_str!("../shop/campaigns/order-confirmation.yaml")),
    ]
}

/// What the shop applied before it opened: files and their first revision.
pub(crate) fn applied(topics: &Topics, codec: &Codec, at: Timestamp) -> Vec<Outgoing> {
    let files = files();
    let outgoing = |key: String, value: Vec<u8>| Outgoing {
        topic: topics.campaigns.clone(),
        partition: 0,
        key: Some(Bytes::from(key)),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    };
    let mut records = Vec::new();
    for SourceFile { path, text } in &files {
        let file = CampaignFile { shop: SHOP.to_owned(), file: path.clone(), version: 1, text: text.clone() };
        records.push(outgoing(file.key(), file.encode(codec)));
    }
    let revision = Revision {
        shop: SHOP.to_owned(),
        number: 1,
        predecessor: 0,
        files: files.iter().map(|file| (file.path.clone(), 1)).collect(),
        states: std::collections::BTreeMap::new(),
        engine_level: 1,
        time_zone_data: cartwheel_language::time::DATA_VERSION.to_owned(),
        phone_data: cartwheel_language::phone::DATA_VERSION.to_owned(),
        effective_at: None,
        by: "the simulation".to_owned(),
        at,
    };
    records.push(outgoing(revision.key(), revision.encode(codec)));
    records
}

/// The shop as ingest knows it once it has read what was applied.
pub(crate) fn known() -> Result<Shops, RunError> {
    let [shop, ..] = files();
    let reading = read(&Sources { shop, campaigns: Vec::new(), tracking_plan: None });
    let project = reading.project.ok_or_else(|| RunError::Setup(format!("{:?}", reading.problems)))?;
    let shops = Shops::default();
    shops.replace([(SHOP.to_owned(), Arc::new(KnownShop::of(&project.shop)))].into());
    Ok(shops)
}
