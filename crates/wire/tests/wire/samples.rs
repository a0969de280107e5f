//! One record of every shape, by the name of the golden file that holds its bytes. Numbers are from ranges reserved for fiction.

use std::collections::BTreeMap;

use bytes::Bytes;
use cartwheel_engine::{
    decision::{Cause, Decision, Reason, Verdict},
    effect::Message,
    id::{JourneyId, MessageId, TimerId},
    input::{
        Address, ConsentChange, Consented, Event, Fact, Identified, Input, OptOutBy, Origin, Outcome, OutcomeResult, Return, Suppression,
    },
    key::CustomerKey,
};
use cartwheel_language::{Channel, Class, Delivery, Value};
use cartwheel_wire::{
    CampaignFile, CampaignState, Codec, ControlRecord, ControlScope, DeadLetter, DeadLetterSource, DecisionRecord, DeliveryRecord,
    DeliveryVerdict, EventBody, EventRecord, Revision, SendRecord, TimerRecord,
};
use jiff::Timestamp;

use crate::any::Any;

pub(crate) fn samples() -> BTreeMap<&'static str, Any> {
    let mut all = BTreeMap::new();
    events(&mut all);
    deliveries(&mut all);
    controls(&mut all);
    let event = EventRecord { origin: None, body: fired() }.encode(&Codec::single_object());
    let others: [(&'static str, Any); 8] = [
        (
            "timer.1.timer",
            TimerRecord {
                id: timer().to_string(),
                due: at(1800),
                topic: "cartwheel.events".into(),
                partition: 4,
                key: Some("acme/user:42".into()),
                headers: vec![
                    ("traceparent".into(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
                    ("x".into(), "".into()),
                ],
                value: Some(event.into()),
            }
            .into(),
        ),
        (
            "timer.1.tombstone",
            TimerRecord {
                id: "nightly".into(),
                due: at(0),
                topic: "shop.jobs".into(),
                partition: 0,
                key: None,
                headers: vec![],
                value: None,
            }
            .into(),
        ),
        ("send.1.sms", SendRecord { message: message(), origin: origin(), cause: cause() }.into()),
        (
            "decision.1.held",
            DecisionRecord(Decision {
                id: "5f0c".into(),
                customer: user(),
                at: at(1800),
                campaign: Some("abandoned-cart".into()),
                version: Some(3),
                journey: Some(journey()),
                object: Some("cart-7".into()),
                message: Some(message().id),
                verdict: Verdict::Held,
                reason: Reason::OutsideWindow,
                detail: Some("window 09:00-21:00".into()),
                cause: cause(),
                values: values(&[("zone", "Europe/Chisinau".into()), ("opens", at(40_000).into())]),
            })
            .into(),
        ),
        (
            "decision.1.bare",
            DecisionRecord(Decision {
                id: "5f0d".into(),
                customer: user(),
                at: at(0),
                campaign: None,
                version: None,
                journey: None,
                object: None,
                message: None,
                verdict: Verdict::Ignored,
                reason: Reason::Poison,
                detail: None,
                cause: cause(),
                values: BTreeMap::new(),
            })
            .into(),
        ),
        (
            "campaign-file.1.campaign",
            CampaignFile {
                shop: "acme".into(),
                file: "campaigns/abandoned-cart.yaml".into(),
                version: 3,
                text: "campaign: abandoned-cart\n".into(),
            }
            .into(),
        ),
        (
            "revision.1.revision",
            Revision {
                shop: "acme".into(),
                number: 7,
                predecessor: 6,
                files: [("shop.yaml".to_owned(), 2), ("campaigns/abandoned-cart.yaml".to_owned(), 3)].into(),
                states: [("abandoned-cart".to_owned(), CampaignState::Active), ("welcome".to_owned(), CampaignState::Paused)].into(),
                engine_level: 1,
                time_zone_data: "2026a".into(),
                phone_data: "9.0.1".into(),
                effective_at: Some(at(60)),
                by: "maria".into(),
                at: at(0),
            }
            .into(),
        ),
        (
            "dead-letter.1.topic",
            DeadLetter::new(
                DeadLetterSource::Topic { topic: "acme.clicks".into(), partition: 3, offset: 99 },
                Some("acme".into()),
                "undecodable",
                "record is no JSON; send JSON objects".into(),
                at(0),
                Bytes::from_static(b"\xff{"),
            )
            .into(),
        ),
    ];
    all.extend(others);
    let http = DeadLetterSource::Http { endpoint: "/v1/track".into() };
    let letter = DeadLetter::new(http, None, "too large", "message is over 32 KiB".into(), at(0), Bytes::from_static(b"{}"));
    all.insert("dead-letter.1.http", letter.into());
    all
}

fn events(all: &mut BTreeMap<&'static str, Any>) {
    let bodies = [
        (
            "event.1.tracked",
            customer(Fact::Tracked(Event {
                name: "Product Added".into(),
                occurred: at(-5),
                properties: values(&[
                    ("cart_id", "cart-7".into()),
                    ("price", Value::from(serde_json::json!(19.9))),
                    ("quantity", 2.into()),
                    ("gift", false.into()),
                    ("until", at(86_400).into()),
                    ("tags", vec![Value::from("шапка"), Value::Null].into()),
                    ("$odd", values(&[("n", 1.into())]).into()),
                ]),
            })),
        ),
        (
            "event.1.identified",
            customer(Fact::Identified(Identified {
                occurred: Some(at(-1)),
                traits: values(&[("first_name", "Ann".into()), ("nickname", Value::Null)]),
                addresses: [(Channel::Sms, address())].into(),
                consents: vec![ConsentChange {
                    channel: Channel::Sms,
                    to: Consented::Promotional,
                    source: "checkout".into(),
                    proof: Some("form-12".into()),
                }],
            })),
        ),
        ("event.1.identified-bare", customer(Fact::Identified(Identified::default()))),
        ("event.1.timer-fired", fired()),
        ("event.1.outcome-failed", outcome(OutcomeResult::Failed { reason: "30005".into(), address: true })),
        ("event.1.outcome-sent", outcome(OutcomeResult::Sent)),
        ("event.1.outcome-returned", outcome(OutcomeResult::Returned { reason: Return::ProviderAway })),
        ("event.1.opted-out", customer(Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Keyword })),
        ("event.1.opted-in", customer(Fact::OptedIn { channel: Channel::Sms })),
        ("event.1.replied", customer(Fact::Replied { channel: Channel::Sms, help: true })),
        ("event.1.claimed", customer(Fact::Claimed { by: user() })),
        ("event.1.handed-over", customer(Fact::HandedOver { from: visitor(), state: vec![0x80, 0xff, 0x00] })),
        ("event.1.activation", EventBody::Activation { shop: "acme".into(), revision: 7 }),
    ];
    for (name, body) in bodies {
        let origin = matches!(name, "event.1.claimed" | "event.1.handed-over").then(origin);
        all.insert(name, EventRecord { origin, body }.into());
    }
}

fn deliveries(all: &mut BTreeMap<&'static str, Any>) {
    let verdicts = [
        ("delivery.1.attempt", DeliveryVerdict::Attempt),
        ("delivery.1.sent", DeliveryVerdict::Sent),
        ("delivery.1.delivered", DeliveryVerdict::Delivered),
        ("delivery.1.failed", DeliveryVerdict::Failed { reason: "21211".into(), address: true }),
        ("delivery.1.unknown", DeliveryVerdict::Unknown),
        ("delivery.1.suppressed", DeliveryVerdict::Suppressed { reason: Suppression::OptedOut }),
        ("delivery.1.expired", DeliveryVerdict::Expired),
        ("delivery.1.returned", DeliveryVerdict::Returned { reason: Return::WindowClosed }),
    ];
    for (name, verdict) in verdicts {
        let handed_over = verdict == DeliveryVerdict::Sent;
        let record = DeliveryRecord {
            message: message().id,
            customer: user(),
            campaign: "abandoned-cart".into(),
            version: 3,
            channel: Channel::Sms,
            class: Class::Promotional,
            provider: "twilio-eu".into(),
            claimant: 0x1234_5678_9abc_def0,
            verdict,
            at: at(1801),
            not_after: at(88_200),
            provider_message_id: handed_over.then(|| "SM9f".into()),
            parts: 2,
            attempts: 1,
            address_home: address().home.filter(|_| handed_over),
        };
        all.insert(name, record.into());
    }
}

fn controls(all: &mut BTreeMap<&'static str, Any>) {
    let scopes = [
        ("control.1.all", ControlScope::All),
        ("control.1.shop", ControlScope::Shop("acme".into())),
        ("control.1.channel", ControlScope::Channel(Channel::Sms)),
        ("control.1.campaign", ControlScope::Campaign { shop: "acme".into(), campaign: "welcome".into() }),
    ];
    for (name, scope) in scopes {
        let stopped = scope == ControlScope::All;
        let rate = (!stopped).then_some(2.5);
        all.insert(name, ControlRecord { scope, stopped, rate, by: "ops".into(), reason: "wrong price".into(), at: at(0) }.into());
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_microsecond((1_790_000_000 + seconds) * 1_000_000 + 123_456).unwrap()
}

fn user() -> CustomerKey {
    "acme/user:42".parse().unwrap()
}

fn visitor() -> CustomerKey {
    "acme/anonymous:3f6c".parse().unwrap()
}

fn address() -> Address {
    Address { value: "+12025550142".into(), home: "acme/phone:0f1e2d".parse().ok(), country: Some("US".into()), invalid: None }
}

fn values(entries: &[(&str, Value)]) -> BTreeMap<String, Value> {
    entries.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn customer(fact: Fact) -> EventBody {
    EventBody::Customer(Input { key: user(), id: "e-1".into(), received: at(0), names: vec![user(), visitor()], fact })
}

fn fired() -> EventBody {
    customer(Fact::TimerFired { timer: timer(), due: at(1800) })
}

fn outcome(result: OutcomeResult) -> EventBody {
    customer(Fact::Outcome(Outcome { message: message().id, result, at: at(1802) }))
}

fn origin() -> Origin {
    Origin { partition: 4, offset: 12_345, slot: 65_535 }
}

fn cause() -> Cause {
    Cause { event: "e-1".into(), name: "Product Added".into(), occurred: at(-5), received: at(0) }
}

fn journey() -> JourneyId {
    JourneyId::new("abandoned-cart", Some("cart-7"), None, "e-1", &user())
}

fn timer() -> TimerId {
    TimerId::of_journey(&journey(), 1)
}

fn message() -> Message {
    Message {
        id: MessageId::new(&journey(), 1, 1),
        journey: journey(),
        customer: user(),
        campaign: "abandoned-cart".into(),
        version: 3,
        step: 1,
        round: 1,
        class: Class::Promotional,
        delivery: Delivery::AtMostOnce,
        channel: Channel::Sms,
        provider: "twilio-eu".into(),
        from: Some("ACME".into()),
        address: "+12025550142".into(),
        address_home: "acme/phone:0f1e2d".parse().unwrap(),
        text: "Your cart is as you left it: https://acme.example/cart \u{1f6d2}".into(),
        parts: 1,
        decided: at(1800),
        not_after: at(88_200),
    }
}
