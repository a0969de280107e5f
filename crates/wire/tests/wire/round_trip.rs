//! Every record gives back what went in.

use std::collections::BTreeMap;

use bytes::Bytes;
use cartwheel_engine::{
    decision::{Cause, Decision, Reason, Verdict},
    effect::Message,
    input::{
        Address, ConsentChange, Consented, Event, Fact, Identified, Input, OptOutBy, Origin, Outcome, OutcomeResult, Return, Suppression,
    },
    key::{CustomerKey, NameKind},
};
use cartwheel_language::{Channel, Class, Delivery, Value};
use cartwheel_wire::{
    CampaignFile, CampaignState, Codec, ControlRecord, ControlScope, DeadLetter, DeadLetterSource, DecisionRecord, DeliveryRecord,
    DeliveryVerdict, EventBody, EventRecord, Revision, SendRecord, TimerRecord,
};
use jiff::{Timestamp, civil::Date};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};

use crate::any::Any;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_record_gives_back_what_went_in_and_has_one_encoding(record in record()) {
        let codec = Codec::single_object();
        let bytes = record.encode(&codec);
        prop_assert_eq!(Any::decode(record.record_type(), &codec, &bytes), Ok(record.clone()));
        prop_assert_eq!(record.clone().encode(&codec), bytes);
    }
}

/// Boxed, since the tree of so many shapes would not fit on a test's stack.
fn record() -> BoxedStrategy<Any> {
    prop_oneof![
        4 => (option::of(origin()), body()).prop_map(|(origin, body)| EventRecord { origin, body }.into()).boxed(),
        1 => timer_record().boxed(),
        1 => (message(), origin(), cause()).prop_map(|(message, origin, cause)| SendRecord { message, origin, cause }.into()).boxed(),
        1 => delivery().boxed(),
        1 => decision().boxed(),
        1 => (text(), text(), any::<u32>(), text())
            .prop_map(|(shop, file, version, text)| CampaignFile { shop, file, version, text }.into())
            .boxed(),
        1 => revision().boxed(),
        1 => control().boxed(),
        1 => dead_letter().boxed(),
    ]
    .boxed()
}

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![Just(String::new()), "\\PC{1,20}", "[a-z]{1,8}"]
}

fn moment() -> impl Strategy<Value = Timestamp> + Clone {
    prop_oneof![
        (0..4_000_000_000_000_000_i64).prop_map(|micros| Timestamp::from_microsecond(micros).unwrap()),
        select(vec![Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::new(Timestamp::MAX.as_second(), 999_999_000).unwrap()]),
    ]
}

fn key() -> impl Strategy<Value = CustomerKey> + Clone {
    let kind = select(vec![NameKind::Anonymous, NameKind::Phone, NameKind::Email, NameKind::User]);
    ("[a-z]{1,8}", kind, "[a-z0-9:/я]{1,20}").prop_map(|(shop, kind, name)| CustomerKey::new(&shop, kind, &name).unwrap())
}

fn bytes() -> impl Strategy<Value = Bytes> + Clone {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn origin() -> impl Strategy<Value = Origin> {
    (any::<u32>(), 0..i64::MAX as u64, any::<u16>()).prop_map(|(partition, offset, slot)| Origin { partition, offset, slot })
}

fn cause() -> impl Strategy<Value = Cause> {
    (text(), text(), moment(), moment()).prop_map(|(event, name, occurred, received)| Cause { event, name, occurred, received })
}

fn values() -> BoxedStrategy<BTreeMap<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "-?[1-9][0-9]{0,8}\\.[0-9]{1,4}".prop_map(|number| Value::from(serde_json::from_str::<serde_json::Value>(&number).unwrap())),
        text().prop_map(Value::from),
        moment().prop_map(Value::from),
        (1..5000_i16, 1..13_i8, 1..29_i8).prop_map(|(year, month, day)| Value::from(Date::constant(year, month, day))),
    ];
    let value = leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), btree_map("[$a-z]{0,4}", inner, 0..4).prop_map(Value::from)]
    });
    btree_map(text(), value, 0..5).boxed()
}

fn body() -> BoxedStrategy<EventBody> {
    prop_oneof![
        12 => (key(), text(), moment(), vec(key(), 0..3), fact())
            .prop_map(|(key, id, received, names, fact)| EventBody::Customer(Input { key, id, received, names, fact })),
        1 => (text(), any::<u32>()).prop_map(|(shop, revision)| EventBody::Activation { shop, revision }),
    ]
    .boxed()
}

fn fact() -> BoxedStrategy<Fact> {
    let by = select(vec![OptOutBy::Keyword, OptOutBy::Link, OptOutBy::Api, OptOutBy::Provider]);
    prop_oneof![
        3 => (text(), moment(), values()).prop_map(|(name, occurred, properties)| Fact::Tracked(Event { name, occurred, properties })),
        3 => identified().prop_map(Fact::Identified),
        1 => (text(), moment()).prop_map(|(timer, due)| Fact::TimerFired { timer: timer.into(), due }),
        2 => (text(), result(), moment()).prop_map(|(message, result, at)| Fact::Outcome(Outcome { message: message.into(), result, at })),
        1 => by.prop_map(|by| Fact::OptedOut { channel: Channel::Sms, by }),
        1 => Just(Fact::OptedIn { channel: Channel::Sms }),
        1 => any::<bool>().prop_map(|help| Fact::Replied { channel: Channel::Sms, help }),
        1 => key().prop_map(|by| Fact::Claimed { by }),
        1 => (key(), bytes()).prop_map(|(from, state)| Fact::HandedOver { from, state: state.to_vec() }),
    ]
    .boxed()
}

fn identified() -> impl Strategy<Value = Identified> {
    let address = (text(), option::of(key()), option::of(text()), option::of(text())).prop_map(|(value, home, country, invalid)| Address {
        value,
        home,
        country,
        invalid,
    });
    let to = select(vec![Consented::None, Consented::Transactional, Consented::Promotional]);
    let consent =
        (to, text(), option::of(text())).prop_map(|(to, source, proof)| ConsentChange { channel: Channel::Sms, to, source, proof });
    (option::of(moment()), values(), option::of(address), vec(consent, 0..3)).prop_map(|(occurred, traits, address, consents)| Identified {
        occurred,
        traits,
        addresses: address.map(|address| (Channel::Sms, address)).into_iter().collect(),
        consents,
    })
}

fn result() -> impl Strategy<Value = OutcomeResult> {
    let suppressed = select(vec![Suppression::Revoked, Suppression::OptedOut, Suppression::Stopped]);
    let returned = select(vec![Return::WindowClosed, Return::Moved, Return::QueueFull, Return::ProviderAway, Return::Stopped]);
    prop_oneof![
        select(vec![OutcomeResult::Sent, OutcomeResult::Delivered, OutcomeResult::Unknown, OutcomeResult::Expired]),
        (text(), any::<bool>()).prop_map(|(reason, address)| OutcomeResult::Failed { reason, address }),
        suppressed.prop_map(|reason| OutcomeResult::Suppressed { reason }),
        returned.prop_map(|reason| OutcomeResult::Returned { reason }),
    ]
}

fn class() -> impl Strategy<Value = Class> {
    select(vec![Class::Promotional, Class::Transactional, Class::Conversational])
}

fn message() -> impl Strategy<Value = Message> {
    let ids = (text(), text(), key(), text(), any::<u32>(), any::<u16>(), any::<u32>());
    let kind = (class(), select(vec![Delivery::AtMostOnce, Delivery::AtLeastOnce]), text(), option::of(text()));
    let content = (text(), key(), text(), any::<u32>(), moment(), moment());
    (ids, kind, content).prop_map(|(ids, kind, content)| Message {
        id: ids.0.into(),
        journey: ids.1.into(),
        customer: ids.2,
        campaign: ids.3,
        version: ids.4,
        step: ids.5,
        round: ids.6,
        class: kind.0,
        delivery: kind.1,
        channel: Channel::Sms,
        provider: kind.2,
        from: kind.3,
        address: content.0,
        address_home: content.1,
        text: content.2,
        parts: content.3,
        decided: content.4,
        not_after: content.5,
    })
}

fn delivery() -> impl Strategy<Value = Any> {
    let what = (text(), key(), text(), any::<u32>(), class(), text());
    let done = (any::<u128>(), option::of(result()), moment(), moment());
    let facts = (option::of(text()), any::<u32>(), any::<u32>(), option::of(key()));
    (what, done, facts).prop_map(|(what, done, facts)| {
        DeliveryRecord {
            message: what.0.into(),
            customer: what.1,
            campaign: what.2,
            version: what.3,
            channel: Channel::Sms,
            class: what.4,
            provider: what.5,
            claimant: done.0,
            verdict: done.1.map_or(DeliveryVerdict::Attempt, DeliveryVerdict::from),
            at: done.2,
            not_after: done.3,
            provider_message_id: facts.0,
            parts: facts.1,
            attempts: facts.2,
            address_home: facts.3,
        }
        .into()
    })
}

fn decision() -> impl Strategy<Value = Any> {
    let about = (text(), key(), moment(), option::of(text()), option::of(any::<u32>()), option::of(text()));
    let why = (option::of(text()), option::of(text()), select(Verdict::ALL), select(Reason::ALL), option::of(text()));
    (about, why, cause(), values()).prop_map(|(about, why, cause, values)| {
        DecisionRecord(Decision {
            id: about.0,
            customer: about.1,
            at: about.2,
            campaign: about.3,
            version: about.4,
            journey: about.5.map(Into::into),
            object: why.0,
            message: why.1.map(Into::into),
            verdict: why.2,
            reason: why.3,
            detail: why.4,
            cause,
            values,
        })
        .into()
    })
}

fn timer_record() -> impl Strategy<Value = Any> {
    let target = (text(), any::<u32>(), option::of(bytes()), vec((text(), bytes()), 0..3), option::of(bytes()));
    (text(), moment(), target).prop_map(|(id, due, (topic, partition, key, headers, value))| {
        TimerRecord { id, due, topic, partition, key, headers, value }.into()
    })
}

fn revision() -> impl Strategy<Value = Any> {
    let state = select(vec![CampaignState::Active, CampaignState::Paused, CampaignState::Archived]);
    let content = (btree_map(text(), any::<u32>(), 0..5), btree_map(text(), state, 0..5), any::<u32>(), text(), text());
    (text(), any::<u32>(), any::<u32>(), content, option::of(moment()), text(), moment()).prop_map(
        |(shop, number, predecessor, (files, states, engine_level, time_zone_data, phone_data), effective_at, by, at)| {
            Revision { shop, number, predecessor, files, states, engine_level, time_zone_data, phone_data, effective_at, by, at }.into()
        },
    )
}

fn control() -> impl Strategy<Value = Any> {
    let scope = prop_oneof![
        Just(ControlScope::All),
        text().prop_map(ControlScope::Shop),
        Just(ControlScope::Channel(Channel::Sms)),
        (text(), text()).prop_map(|(shop, campaign)| ControlScope::Campaign { shop, campaign }),
    ];
    (scope, any::<bool>(), option::of(0.001..1e9_f64), text(), text(), moment())
        .prop_map(|(scope, stopped, rate, by, reason, at)| ControlRecord { scope, stopped, rate, by, reason, at }.into())
}

fn dead_letter() -> impl Strategy<Value = Any> {
    let source = prop_oneof![
        (text(), any::<u32>(), 0..i64::MAX as u64).prop_map(|(topic, partition, offset)| DeadLetterSource::Topic {
            topic,
            partition,
            offset
        }),
        text().prop_map(|endpoint| DeadLetterSource::Http { endpoint }),
    ];
    (source, option::of(text()), text(), text(), moment(), bytes())
        .prop_map(|(source, shop, reason, message, at, bytes)| DeadLetter::new(source, shop, &reason, message, at, bytes).into())
}
