//! How many events the engine folds in a second on one core, with few and with many campaigns:
//! `cargo run --release -p cartwheel-engine --example engine_speed`.
//!
//! A thousand customers look at products, fill carts and buy in turn; timers fire, messages are answered. Of the campaigns ten
//! listen to what happens, nine of them with a condition on the event; the others listen to events that do not come. Decoding and storing are not measured.

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::disallowed_types, reason = "a stop-watch, outside the engine")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use cartwheel_engine::{
    campaigns::{CampaignState, Campaigns, Live},
    customer::Customer,
    effect::Effect,
    id::TimerId,
    input::{Address, ConsentChange, Consented, Event, Fact, Identified, Input, Outcome, OutcomeResult},
    key::CustomerKey,
    step,
};
use cartwheel_language::{Channel, SourceFile, Sources, Value, read};
use jiff::{SignedDuration, Timestamp};

const CUSTOMERS: usize = 1_000;
const EVENTS: usize = 100_000;

/// So many campaigns, if there are as many, listen to what happens: what an event costs grows with these.
const LISTENING: usize = 10;

const SHOP: &str = r#"
grammar: 1
shop: acme
name: Acme
url: https://acme.example
zone: Europe/London
languages: [en]
currencies: [GBP]
channels: [sms]
senders: { sms: { provider: main, from: "+44 7700 900000", max_parts: 3, over: refuse } }
objects:
  cart:  { id: cart_id, events: [Product Added, Product Removed] }
  order: { id: order_id, events: [Order Completed] }
"#;

/// The n-th campaign: an abandoned cart first, then conditions on what happens, then what never happens.
fn campaign(number: usize) -> String {
    let (when, rest) = match number {
        0 => (
            "{ event: Product Added, each: cart }".to_owned(),
            "unless: [Order Completed]\naudience: \"cart.value >= 20\"\nwait: 30m\nagain: 3d\n",
        ),
        _ if number < LISTENING => {
            (format!("{{ event: Product Viewed, where: \"event.price >= {}\", each: customer }}", 1_000 + number), "wait: 1h\n")
        }
        _ => (format!("{{ event: Own Event {number}, each: customer }}"), "unless: [Another Event]\nwait: 1h\n"),
    };
    format!("campaign: c{number}\nwhen: {when}\n{rest}send: {{ sms: {{ text: {{ en: \"Hello from {{{{ shop.name }}}}\" }} }} }}\n")
}

fn campaigns(count: usize) -> Campaigns {
    let file = |number: usize| SourceFile { path: format!("campaigns/c{number}.yaml"), text: campaign(number) };
    let shop = SourceFile { path: "shop.yaml".to_owned(), text: SHOP.to_owned() };
    let reading = read(&Sources { shop, campaigns: (0..count).map(file).collect(), tracking_plan: None });
    let project = reading.project.expect("the example's files are right");
    let live = |name: &String| (name.clone(), Live { version: 1, state: CampaignState::Active, since: Timestamp::UNIX_EPOCH });
    let live = project.campaigns.keys().map(live).collect();
    let versions = project.campaigns.into_iter().map(|(name, campaign)| ((name, 1), campaign)).collect();
    Campaigns::new(std::sync::Arc::new(project.shop), 1, live, versions, None)
}

fn key(number: usize) -> CustomerKey {
    format!("acme/user:{number}").parse().expect("a customer key")
}

fn event(turn: usize, customer: usize, now: Timestamp) -> Event {
    let name = match turn / CUSTOMERS % 10 {
        2 | 5 => "Product Added",
        // Every other cart is left alone.
        9 if (customer + turn / CUSTOMERS / 10).is_multiple_of(2) => "Order Completed",
        _ => "Product Viewed",
    };
    let text = |text: String| Value::Text(text);
    let cart = turn / CUSTOMERS / 10;
    let properties = BTreeMap::from([
        ("cart_id".to_owned(), text(format!("cart-{customer}-{cart}"))),
        ("order_id".to_owned(), text(format!("order-{customer}-{cart}"))),
        ("product_id".to_owned(), text(format!("p{}", turn % 977))),
        ("name".to_owned(), text("A lamp of oak".to_owned())),
        ("price".to_owned(), Value::Number(rust_decimal::Decimal::from(turn % 100))),
        ("quantity".to_owned(), Value::Number(rust_decimal::Decimal::ONE)),
        ("url".to_owned(), text("https://acme.example/p/lamp".to_owned())),
        ("page".to_owned(), text("https://acme.example/lamps?sort=price".to_owned())),
    ]);
    Event { name: name.to_owned(), occurred: now, properties }
}

struct Town {
    campaigns: Campaigns,
    customers: Vec<Customer>,
    timers: BTreeSet<(Timestamp, TimerId, usize)>,
    now: Timestamp,
    folded: u64,
    messages: u64,
    spent: Duration,
}

impl Town {
    fn fold(&mut self, number: usize, id: String, fact: Fact) {
        let input = Input { key: key(number), id, received: self.now, names: vec![], fact };
        let mut effects = Vec::new();
        let start = Instant::now();
        step(&self.campaigns, &mut self.customers[number], self.now, &input, &mut effects);
        self.spent += start.elapsed();
        self.folded += 1;
        for effect in effects {
            match effect {
                Effect::SetTimer { timer, due } => {
                    self.timers.insert((due, timer, number));
                }
                Effect::Send(message) => {
                    self.messages += 1;
                    let outcome = Outcome { message: message.id.clone(), result: OutcomeResult::Sent, at: self.now };
                    self.fold(number, message.id.to_string(), Fact::Outcome(outcome));
                }
                _ => {}
            }
        }
    }

    fn pass_until(&mut self, until: Timestamp) {
        while let Some((due, timer, number)) = self.timers.first().filter(|(due, ..)| *due <= until).cloned() {
            self.timers.pop_first();
            self.now = self.now.max(due);
            self.fold(number, timer.to_string(), Fact::TimerFired { timer, due });
        }
        self.now = until;
    }
}

fn measure(count: usize) {
    let now: Timestamp = "2026-03-02T12:00:00Z".parse().expect("a moment");
    let customers = vec![Customer::default(); CUSTOMERS];
    let mut town =
        Town { campaigns: campaigns(count), customers, timers: BTreeSet::new(), now, folded: 0, messages: 0, spent: Duration::ZERO };
    for number in 0..CUSTOMERS {
        let address = Address { value: "+447700900123".to_owned(), home: Some(key(number)), country: Some("GB".to_owned()), invalid: None };
        let consent = ConsentChange { channel: Channel::Sms, to: Consented::Promotional, source: "form".to_owned(), proof: None };
        let identified = Identified { addresses: [(Channel::Sms, address)].into(), consents: vec![consent], ..Identified::default() };
        town.fold(number, format!("i{number}"), Fact::Identified(identified));
    }
    for turn in 0..EVENTS {
        let number = turn % CUSTOMERS;
        town.pass_until(town.now + SignedDuration::from_millis(200));
        let event = event(turn, number, town.now);
        town.fold(number, format!("e{turn}"), Fact::Tracked(event));
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let (folded, events) = (town.folded as f64, EVENTS as f64);
    let seconds = town.spent.as_secs_f64();
    println!(
        "{count:>5} campaigns: {:>8.0} events a second and core ({:.1} us an event, {} messages, {:.2} records an event)",
        events / seconds,
        seconds * 1e6 / events,
        town.messages,
        folded / events
    );
}

fn main() {
    for count in [1, 100, 1_000] {
        measure(count);
    }
}
