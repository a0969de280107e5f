//! Consent, addresses, opt-out (R67, R68).

use cartwheel_engine::{
    decision::{Reason, Verdict},
    input::{Address, ConsentChange, Consented, Fact, Identified, Input, OutcomeResult, Suppression},
};
use cartwheel_language::{Channel, Value};
use serde_json::json;

use crate::{
    play::{Answer, NUMBER, Play, hours, key, minutes},
    shop::Shop,
};

fn shop() -> Shop {
    let campaign = |class: &str| {
        format!("campaign: {class}\nclass: {class}\nwhen: {{ event: Ping, each: event }}\nsend: {{ sms: {{ text: {{ en: {class} }} }} }}\n")
    };
    Shop::free().campaign(&campaign("promotional")).campaign(&campaign("transactional"))
}

fn withdraw(to: Consented) -> Identified {
    Identified {
        consents: vec![ConsentChange { channel: Channel::Sms, to, source: "desk".to_owned(), proof: None }],
        ..Identified::default()
    }
}

fn ping(play: &mut Play) -> Vec<String> {
    let before = play.sent();
    play.track("Ping", json!({}));
    play.messages[before..].iter().map(|message| message.campaign.clone()).collect()
}

#[test]
pub(crate) fn r67_promotional_consent_includes_transactional_and_not_the_reverse() {
    for (to, expected) in [
        (Consented::None, vec![]),
        (Consented::Transactional, vec!["transactional"]),
        (Consented::Promotional, vec!["promotional", "transactional"]),
    ] {
        let mut play = Play::new(shop().open());
        play.identify(&["user:1"], Play::consented(NUMBER, to));
        assert_eq!(ping(&mut play), expected, "{to:?}");
    }
}

#[test]
pub(crate) fn r67_nothing_goes_out_without_consent_and_a_decision_shows_the_consent_that_let_it() {
    let mut play = Play::new(shop().open());
    play.identify(&["user:1"], Identified { consents: vec![], ..Play::reachable(NUMBER) });
    assert_eq!(ping(&mut play), Vec::<String>::new());
    assert!(play.has(Verdict::Skipped, Reason::NoConsent));
    play.identify(&["user:1"], Play::reachable(NUMBER));
    assert!(play.has(Verdict::Consent, Reason::ConsentChanged));
    ping(&mut play);
    let values = &play.last(Verdict::Sent).values;
    assert_eq!((values["consent_source"].as_text(), values["consent_proof"].as_text()), (Some("form"), Some("f1")));
    assert_eq!(values["consent_at"], Value::Timestamp(play.now));
}

#[test]
pub(crate) fn who_has_no_address_a_wrong_one_or_a_dead_one_gets_nothing_until_it_changes() {
    let mut play = Play::new(shop().open());
    play.identify(&["user:1"], withdraw(Consented::Promotional));
    ping(&mut play);
    assert!(play.has(Verdict::Skipped, Reason::NoAddress));
    let wrong = Address { value: String::new(), home: None, country: None, invalid: Some("not a telephone number".to_owned()) };
    play.identify(&["user:1"], Identified { addresses: [(Channel::Sms, wrong)].into(), ..Identified::default() });
    ping(&mut play);
    assert!(play.has(Verdict::Skipped, Reason::InvalidAddress));
    play.identify(&["user:1"], Play::reachable(NUMBER));
    play.answer = Answer::At(OutcomeResult::Failed { reason: "21211".to_owned(), address: true });
    ping(&mut play);
    assert!(play.has(Verdict::Skipped, Reason::ProviderFailed));
    let before = play.sent();
    ping(&mut play);
    assert!(play.sent() == before && play.has(Verdict::Skipped, Reason::DeadAddress));
    play.answer = Answer::At(OutcomeResult::Sent);
    play.identify(&["user:1"], Play::reachable("+447700900124"));
    assert_eq!(ping(&mut play).len(), 2);
}

#[test]
pub(crate) fn r68_stop_ends_all_messages_also_what_is_on_its_way_and_start_brings_them_back() {
    let mut play = Play::new(shop().open());
    let phone = format!("phone:{NUMBER}");
    play.identify(&["user:1", &phone], Play::reachable(NUMBER));
    play.answer = Answer::Nothing;
    assert_eq!(ping(&mut play).len(), 2);
    play.stop(NUMBER);
    assert!(play.customer("user:1").sends.flights.values().all(|flight| flight.revoked), "by the number's own key");
    assert!(play.customer(&phone).blocked.contains_key(&Channel::Sms) && play.customer("user:1").blocked.is_empty());
    for number in 0..2 {
        play.outcome(number, OutcomeResult::Suppressed { reason: Suppression::OptedOut });
    }
    play.answer = Answer::At(OutcomeResult::Sent);
    assert_eq!(ping(&mut play), Vec::<String>::new());
    assert!(play.has(Verdict::Skipped, Reason::OptedOut) && play.has(Verdict::Consent, Reason::OptedOut));
    play.identify(&["user:1", &phone], Play::reachable(NUMBER));
    assert_eq!(ping(&mut play), Vec::<String>::new(), "a form does not lift the customer's own stop");
    play.start(NUMBER);
    assert_eq!(ping(&mut play).len(), 2);
    assert!(play.has(Verdict::Consent, Reason::OptedIn) && play.customer(&phone).blocked.is_empty());
}

#[test]
pub(crate) fn r68_a_stop_that_is_reported_again_after_the_start_is_known() {
    let mut play = Play::new(shop().open());
    let phone = format!("phone:{NUMBER}");
    play.identify(&["user:1", &phone], Play::reachable(NUMBER));
    let stop = Input {
        key: key(&phone),
        id: "SM1".to_owned(),
        received: play.now,
        names: vec![],
        fact: Fact::OptedOut { channel: Channel::Sms, by: cartwheel_engine::input::OptOutBy::Keyword },
    };
    play.put(stop.clone());
    play.start(NUMBER);
    play.put(stop.clone());
    play.start(NUMBER);
    assert_eq!(ping(&mut play).len(), 2, "a provider's repeat is no new stop");
    assert!(play.customer(&phone).blocked.is_empty());
}

#[test]
pub(crate) fn r68_who_is_known_by_the_number_alone_is_stopped_there() {
    let mut play = Play::new(shop().open());
    let phone = format!("phone:{NUMBER}");
    play.identify(&[&phone], Play::reachable(NUMBER));
    play.stop(NUMBER);
    play.track_as(&[&phone], "Ping", play.now, json!({}));
    assert_eq!(play.sent(), 0);
}

#[test]
pub(crate) fn r68_an_opt_out_is_an_event_like_any_other() {
    let campaign = "campaign: bye\nclass: transactional\nwhen: { event: Ping, each: customer }\nunless: [Opted Out]\nwait: 1h\nsend: { sms: { text: { en: x } } }\n";
    let mut play = Play::new(Shop::free().campaign(campaign).open());
    let phone = format!("phone:{NUMBER}");
    play.identify(&["user:1", &phone], Play::reachable(NUMBER));
    play.track("Ping", json!({}));
    play.stop(NUMBER);
    assert_eq!(play.last(Verdict::Ended).reason, Reason::Exception);
}

#[test]
pub(crate) fn r27_a_changed_number_or_a_narrower_consent_calls_back_what_is_on_its_way() {
    let mut play = Play::new(shop().open());
    play.identify(&["user:1"], Play::reachable(NUMBER));
    play.answer = Answer::Nothing;
    ping(&mut play);
    play.identify(&["user:1"], Identified { consents: vec![], ..Play::reachable("+447700900124") });
    play.pass(minutes(1));
    play.identify(&["user:1"], withdraw(Consented::Transactional));
    play.answer = Answer::At(OutcomeResult::Sent);
    for number in 0..2 {
        play.outcome(number, OutcomeResult::Suppressed { reason: Suppression::Revoked });
    }
    assert_eq!(play.sent(), 3);
    assert_eq!((play.messages[2].campaign.as_str(), play.messages[2].address.as_str()), ("transactional", "+447700900124"));
    assert_eq!(play.last(Verdict::Skipped).reason, Reason::NoConsent);
}

#[test]
pub(crate) fn a_conversational_message_answers_the_customers_own_of_the_last_day() {
    let mut play = Play::with_customer(
        Shop::free().campaign("campaign: answer\nwhen: { event: Ping, each: event }\nsend: { sms: { text: { en: Answer } } }\n").open_as(
            1,
            |_| cartwheel_engine::campaigns::CampaignState::Active,
            |campaign| {
                campaign.class = cartwheel_language::Class::Conversational;
            },
        ),
    );
    ping(&mut play);
    assert_eq!(play.sent(), 0);
    let input = play.input(&["user:1"], Fact::Replied { channel: Channel::Sms, help: false });
    play.put(input);
    play.pass(hours(24));
    assert_eq!(ping(&mut play).len(), 1);
    play.pass(minutes(1));
    assert_eq!(ping(&mut play).len(), 0);
}
