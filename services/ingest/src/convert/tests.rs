//! The rules of the conversion, by example and by property.

use std::collections::BTreeSet;

use cartwheel_engine::{
    input::{Consented, Fact, Identified, Input, OptOutBy},
    key::NameKind,
};
use cartwheel_language::{Channel, Value};
use cartwheel_wire::pseudonym::Pseudonyms;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::segment::{Arrival, Authority, Kind, convert};
use crate::{
    refusal::{Code, Refusal},
    shops::KnownShop,
};

const NUMBER: &str = "+447400123456";

fn shop() -> KnownShop {
    KnownShop {
        id: "acme".to_owned(),
        region: Some("GB".to_owned()),
        order_events: BTreeSet::from(["Order Completed".to_owned()]),
        ..KnownShop::default()
    }
}

fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new("a secret of the tests, 32 bytes long").unwrap()
}

fn received() -> Timestamp {
    "2026-05-01T10:00:00Z".parse().unwrap()
}

fn arrival() -> Arrival<'static> {
    Arrival { received: received(), sent: None, id: "arrival/1", source: "app", authority: Authority::Secret }
}

fn taken(kind: Kind, message: Json) -> Result<Vec<Input>, Refusal> {
    taken_as(kind, message, arrival())
}

fn taken_as(kind: Kind, message: Json, arrival: Arrival<'_>) -> Result<Vec<Input>, Refusal> {
    let Json::Object(message) = message else { panic!("a message is an object") };
    convert(kind, &message, &shop(), &pseudonyms(), arrival)
}

fn identified(input: &Input) -> &Identified {
    let Fact::Identified(identified) = &input.fact else { panic!("{input:?}") };
    identified
}

fn code(result: Result<Vec<Input>, Refusal>) -> Code {
    result.unwrap_err().code
}

#[test]
fn a_record_is_keyed_by_the_strongest_name_and_carries_all_of_them() {
    let inputs = taken(
        Kind::Identify,
        json!({ "messageId": "m1", "userId": "42", "anonymousId": "x", "traits": { "phone": "07400 123456", "email": "Ann@example.com" } }),
    )
    .unwrap();
    let [input] = inputs.as_slice() else { panic!("{inputs:?}") };
    assert_eq!((input.key.as_str(), input.id.as_str()), ("acme/user:42", "m1"));
    let kinds: Vec<NameKind> = input.names.iter().map(|name| name.kind()).collect();
    assert_eq!(kinds, [NameKind::User, NameKind::Phone, NameKind::Email, NameKind::Anonymous]);
    assert!(input.names.iter().all(|name| !name.as_str().contains("7400") && !name.as_str().contains("ann")));
    let address = &identified(input).addresses[&Channel::Sms];
    assert_eq!((address.value.as_str(), address.country.as_deref()), (NUMBER, Some("GB")));
    assert_eq!(address.home.as_ref(), Some(&pseudonyms().phone("acme", NUMBER).unwrap()));
    assert_eq!(identified(input).traits["phone"], Value::from(NUMBER));
}

#[test]
fn r36_the_id_is_the_message_id_else_the_contents_else_the_arrival() {
    let event = |extra: Json| {
        let mut message = json!({ "event": "Product Viewed", "anonymousId": "x" });
        message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        taken(Kind::Track, message).unwrap().pop().unwrap().id
    };
    assert_eq!(event(json!({ "messageId": "abc" })), "abc");
    assert_eq!(event(json!({})), "arrival/1");
    let told = event(json!({ "timestamp": "2026-05-01T09:00:00Z", "sentAt": "2026-05-01T09:00:01Z" }));
    assert_eq!(told, event(json!({ "timestamp": "2026-05-01T09:00:00Z", "sentAt": "2026-05-01T09:30:00Z" })), "sent again");
    assert_ne!(told, event(json!({ "timestamp": "2026-05-01T09:00:01Z" })));
}

#[test]
fn the_time_is_corrected_by_the_senders_clock_and_never_ahead_of_the_arrival() {
    let occurred = |message: Json, sent: Option<&str>| {
        let arrival = Arrival { sent: sent.map(|text| text.parse().unwrap()), ..arrival() };
        let mut fields = json!({ "event": "e", "userId": "1" });
        fields.as_object_mut().unwrap().extend(message.as_object().unwrap().clone());
        match taken_as(Kind::Track, fields, arrival).map(|mut inputs| inputs.pop().unwrap().fact) {
            Ok(Fact::Tracked(event)) => Ok(event.occurred.to_string()),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.code),
        }
    };
    let at = |text: &str| Ok(text.to_owned());
    assert_eq!(occurred(json!({}), None), at("2026-05-01T10:00:00Z"));
    assert_eq!(occurred(json!({ "timestamp": "2026-04-01T00:00:00Z" }), None), at("2026-04-01T00:00:00Z"));
    assert_eq!(
        occurred(json!({ "timestamp": "2026-05-01T10:59:00Z", "sentAt": "2026-05-01T11:00:00Z" }), None),
        at("2026-05-01T09:59:00Z")
    );
    assert_eq!(occurred(json!({ "originalTimestamp": "2026-05-01T10:59:00Z" }), Some("2026-05-01T11:00:00Z")), at("2026-05-01T09:59:00Z"));
    let both =
        json!({ "timestamp": "2026-05-01T09:00:00Z", "originalTimestamp": "2026-05-01T05:00:00Z", "sentAt": "2026-05-01T05:00:01Z" });
    assert_eq!(occurred(both, None), at("2026-05-01T09:00:00Z"));
    assert_eq!(occurred(json!({ "timestamp": "2027-01-01T00:00:00Z" }), None), at("2026-05-01T10:00:00Z"));
    for wrong in [json!("1999-12-31T00:00:00Z"), json!("2099-01-01T00:00:00Z"), json!("soon"), json!(1_766_599_200), json!([])] {
        assert_eq!(occurred(json!({ "timestamp": wrong }), None), Err(Code::BadTime), "{wrong}");
    }
}

#[test]
fn r49_an_invalid_number_is_found_on_entry_and_is_no_name() {
    let address = |phone: Json| {
        let inputs = taken(Kind::Identify, json!({ "userId": "1", "traits": { "phone": phone } })).unwrap();
        assert_eq!(inputs[0].names.len(), 1, "{inputs:?}");
        assert_eq!(identified(&inputs[0]).traits["phone"], Value::Null);
        identified(&inputs[0]).addresses[&Channel::Sms].clone()
    };
    for (phone, reason) in [
        (json!("12"), "no such number"),
        (json!("+999 123"), "no country"),
        (json!("020 7946 0123"), "takes SMS"),
        (json!({ "number": 1 }), "not a telephone number"),
        (json!(null), "removed"),
        (json!(""), "removed"),
    ] {
        let address = address(phone.clone());
        assert!(address.invalid.as_deref().is_some_and(|said| said.contains(reason)), "{phone}: {address:?}");
        assert_eq!((address.value.as_str(), address.home), ("", None));
    }
    assert_eq!(code(taken(Kind::Identify, json!({ "traits": { "phone": "12" } }))), Code::NoCustomer);
}

#[test]
fn r67_consent_is_taken_with_source_and_proof_and_never_guessed() {
    let consents = |traits: Json, context: Json| {
        taken(Kind::Identify, json!({ "userId": "1", "traits": traits, "context": context })).map(|inputs| {
            assert!(identified(&inputs[0]).traits.keys().all(|name| !name.starts_with("consent")));
            identified(&inputs[0]).consents.clone()
        })
    };
    let given = consents(
        json!({ "consent": { "sms": "promotional", "email": "promotional" }, "consent_source": "checkout", "consent_proof": "form-7" }),
        json!({}),
    )
    .unwrap();
    assert_eq!(given.len(), 1);
    assert_eq!((given[0].to, given[0].source.as_str(), given[0].proof.as_deref()), (Consented::Promotional, "checkout", Some("form-7")));
    let in_context =
        consents(json!({ "consent": { "sms": "transactional" } }), json!({ "consent": { "source": "till", "proof": 7 } })).unwrap();
    assert_eq!((in_context[0].source.as_str(), in_context[0].proof.as_deref()), ("till", Some("7")));
    let unsaid = consents(json!({ "consent": { "sms": "none" } }), json!({ "consent": { "categoryPreferences": {} } })).unwrap();
    assert_eq!((unsaid[0].to, unsaid[0].source.as_str(), unsaid[0].proof.as_deref()), (Consented::None, "app", None));
    for unreadable in [json!(true), json!("yes"), json!({ "sms": true }), json!({ "sms": "Promotional" }), json!([])] {
        assert_eq!(consents(json!({ "consent": unreadable }), json!({})).unwrap_err().code, Code::BadConsent, "{unreadable}");
    }
}

#[test]
fn r67_opted_in_and_out_by_the_shop_change_the_consent_before_they_are_events() {
    let change = |name: &str, properties: Json| {
        taken(Kind::Track, json!({ "userId": "1", "event": name, "properties": properties })).map(|inputs| {
            assert!(matches!(&inputs[1].fact, Fact::Tracked(event) if event.name == name), "{inputs:?}");
            identified(&inputs[0]).consents[0].clone()
        })
    };
    let given = change("Opted In", json!({ "channel": "sms", "for": "promotional", "source": "till", "proof": "slip 9" })).unwrap();
    assert_eq!((given.to, given.source.as_str(), given.proof.as_deref()), (Consented::Promotional, "till", Some("slip 9")));
    assert_eq!(change("Opted Out", json!({})).unwrap().to, Consented::None);
    assert_eq!(change("Opted Out", json!({ "channel": "sms", "for": "promotional" })).unwrap().to, Consented::Transactional);
    assert_eq!(change("Opted In", json!({ "channel": "sms" })).unwrap_err().code, Code::BadConsent);
    assert_eq!(change("Opted In", json!({ "for": "promotional" })).unwrap_err().code, Code::BadConsent);
    let mail = taken(Kind::Track, json!({ "userId": "1", "event": "Opted In", "properties": { "channel": "email" } })).unwrap();
    assert!(matches!(&mail[0].fact, Fact::Tracked(event) if event.name == "Opted In"), "a channel of later is kept as an event");
}

#[test]
fn r68_an_opt_out_by_the_shop_reaches_the_numbers_own_home() {
    let message = json!({ "messageId": "m", "userId": "1", "event": "Opted Out", "context": { "traits": { "phone": NUMBER } } });
    let inputs = taken(Kind::Track, message).unwrap();
    let last = inputs.last().unwrap();
    assert_eq!(last.key, pseudonyms().phone("acme", NUMBER).unwrap());
    assert_eq!(last.fact, Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Api });
    assert_eq!(inputs.iter().map(|input| input.id.as_str()).collect::<Vec<_>>(), ["m", "m/opt-out"]);
}

#[test]
fn attributes_of_an_event_come_before_it_under_an_id_of_their_own() {
    let message = json!({ "messageId": "m", "anonymousId": "x", "event": "Product Added", "properties": { "cart_id": "c", "gift": null, "price": 14.50 },
        "context": { "traits": { "firstName": "Ann", "phone": NUMBER } } });
    let inputs = taken(Kind::Track, message).unwrap();
    assert_eq!(inputs.iter().map(|input| input.id.as_str()).collect::<Vec<_>>(), ["m/traits", "m"]);
    assert_eq!(identified(&inputs[0]).traits["first_name"], Value::from("Ann"));
    assert!(inputs.iter().all(|input| input.key.kind() == NameKind::Phone && input.names.len() == 2));
    let Fact::Tracked(event) = &inputs[1].fact else { panic!("{inputs:?}") };
    assert_eq!(event.properties.keys().collect::<Vec<_>>(), ["cart_id", "price"]);
    assert_eq!(event.properties["price"].as_number().unwrap().to_string(), "14.5");
}

#[test]
fn pages_and_screens_become_events_and_other_types_are_refused_by_name() {
    let page =
        taken(Kind::Page, json!({ "anonymousId": "x", "name": "Home", "category": "Shop", "properties": { "url": "https://a.example" } }))
            .unwrap();
    let Fact::Tracked(event) = &page[0].fact else { panic!("{page:?}") };
    assert_eq!((event.name.as_str(), event.properties.len()), ("Page Viewed", 3));
    let screen = taken(Kind::Screen, json!({ "anonymousId": "x" })).unwrap();
    assert!(matches!(&screen[0].fact, Fact::Tracked(event) if event.name == "Screen Viewed"));
    assert!(Kind::of_word("alias").unwrap_err().message.contains("identify with both ids"));
    assert_eq!(Kind::of_word("group").unwrap_err().code, Code::Unsupported);
}

#[test]
fn ids_that_mean_nobody_are_no_names() {
    for id in [json!(""), json!("null"), json!("Undefined"), json!(" NaN "), json!(null), json!("0"), json!(0), json!("[object Object]")] {
        let inputs = taken(Kind::Track, json!({ "event": "e", "userId": id, "anonymousId": "x" })).unwrap();
        assert_eq!((inputs[0].key.as_str(), inputs[0].names.len()), ("acme/anonymous:x", 1));
        assert_eq!(code(taken(Kind::Track, json!({ "event": "e", "userId": id }))), Code::NoCustomer, "{id}");
    }
}

#[test]
fn r45_a_number_given_as_user_id_is_the_same_name_as_its_text() {
    let key = |id: Json| taken(Kind::Track, json!({ "event": "e", "userId": id })).unwrap()[0].key.clone();
    assert_eq!(key(json!(42)), key(json!("42")));
}

#[test]
fn a_browser_key_says_only_what_an_unknown_visitor_does() {
    let browser = Arrival { authority: Authority::Browser, ..arrival() };
    let inputs = taken_as(
        Kind::Identify,
        json!({ "userId": "42", "anonymousId": "x", "traits": { "phone": NUMBER, "email": "a@b.example", "colour": "red" } }),
        browser,
    )
    .unwrap();
    assert_eq!((inputs[0].key.as_str(), inputs[0].names.len()), ("acme/anonymous:x", 1));
    assert!(identified(&inputs[0]).addresses.is_empty());
    assert_eq!(identified(&inputs[0]).traits.keys().collect::<Vec<_>>(), ["colour"]);
    let forged = [
        (Kind::Identify, json!({ "anonymousId": "x", "traits": { "consent": { "sms": "promotional" } } })),
        (Kind::Track, json!({ "anonymousId": "x", "event": "Opted In", "properties": { "channel": "sms", "for": "promotional" } })),
        (Kind::Track, json!({ "anonymousId": "x", "event": "Order Completed" })),
    ];
    for (kind, message) in forged {
        assert_eq!(code(taken_as(kind, message.clone(), browser)), Code::NotAllowed, "{message}");
    }
    assert_eq!(code(taken_as(Kind::Track, json!({ "userId": "42", "event": "e" }), browser)), Code::NoCustomer);
}

#[test]
fn what_is_too_large_too_deep_or_too_wide_is_refused_and_what_just_fits_is_taken() {
    let track = |properties: Json| taken(Kind::Track, json!({ "event": "e", "userId": "1", "properties": properties }));
    let deep = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let wide = |count: usize| Json::Object((0..count).map(|index| (format!("p{index}"), json!(index))).collect::<Map<_, _>>());
    assert!(track(json!({ "list": deep(30) })).is_ok());
    assert_eq!(code(track(json!({ "list": deep(31) }))), Code::TooDeep);
    assert!(track(wide(256)).is_ok());
    assert_eq!(code(track(wide(257))), Code::TooMany);
    assert!(track(json!({ "list": vec![0; 1_000] })).is_ok());
    assert_eq!(code(track(json!({ "list": vec![0; 1_001] }))), Code::TooMany);
    assert_eq!(code(track(json!({ "text": "x".repeat(32 * 1024) }))), Code::TooLarge);
    assert_eq!(code(track(json!({ "k".repeat(129): 1 }))), Code::BadName);
    assert_eq!(code(taken(Kind::Track, json!({ "event": "e", "userId": "u".repeat(201) }))), Code::BadName);
    assert_eq!(code(taken(Kind::Track, json!({ "event": "e", "userId": "a\u{0}b" }))), Code::BadName);
    assert_eq!(code(taken(Kind::Track, json!({ "event": " ", "userId": "1" }))), Code::BadName);
    assert_eq!(code(taken(Kind::Track, json!({ "event": 7, "userId": "1" }))), Code::WrongType);
    assert_eq!(code(taken(Kind::Track, json!({ "event": "e", "userId": ["1"] }))), Code::WrongType);
    assert_eq!(code(track(json!("text"))), Code::WrongType);
    assert_eq!(code(taken(Kind::Track, json!({ "event": "e", "userId": "1", "context": 1 }))), Code::WrongType);
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
        prop::sample::select(vec![
            "sms",
            "promotional",
            NUMBER,
            "null",
            "2026-05-01T09:00:00Z",
            "9999-12-31T23:59:59Z",
            "Opted In",
            "a@b.example"
        ])
        .prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let name = prop::sample::select(vec!["traits", "phone", "email", "consent", "sms", "for", "channel", "products", "$n", "$m", "x"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map(name, inner, 0..5)
                .prop_map(|map| Json::Object(map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_sent_is_refused_or_keyed_dated_and_named_soundly(
        kind in prop::sample::select(vec![Kind::Track, Kind::Identify, Kind::Page, Kind::Screen]),
        browser in any::<bool>(),
        fields in prop::collection::vec((prop::sample::select(vec!["userId", "anonymousId", "messageId", "event", "properties", "traits", "context",
            "timestamp", "sentAt", "originalTimestamp", "name", "type"]), any_json()), 0..10),
    ) {
        let mut message = Map::from_iter([("event".to_owned(), json!("e")), ("anonymousId".to_owned(), json!("x"))]);
        message.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let arrival = Arrival { authority: if browser { Authority::Browser } else { Authority::Secret }, ..arrival() };
        let told = convert(kind, &message, &shop(), &pseudonyms(), arrival);
        prop_assert_eq!(&told, &convert(kind, &message, &shop(), &pseudonyms(), arrival));
        let Ok(inputs) = told else { return Ok(()) };
        prop_assert!((1..=3).contains(&inputs.len()));
        prop_assert_eq!(inputs.iter().map(|input| &input.id).collect::<BTreeSet<_>>().len(), inputs.len(), "ids differ");
        for input in &inputs {
            prop_assert_eq!(input.received, received());
            prop_assert!(input.names.iter().all(|name| *name == input.key || input.key.outranks(name)));
            prop_assert!(!browser || (input.key.kind() == NameKind::Anonymous && input.names.len() == 1));
            match &input.fact {
                Fact::Tracked(event) => prop_assert!(event.occurred <= received() && event.properties.values().all(|value| !value.is_null())),
                Fact::Identified(identified) => {
                    prop_assert!(identified.occurred <= Some(received()));
                    prop_assert!(!browser || (identified.consents.is_empty() && identified.addresses.is_empty()));
                }
                Fact::OptedOut { .. } => prop_assert_eq!(input.key.kind(), NameKind::Phone),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
