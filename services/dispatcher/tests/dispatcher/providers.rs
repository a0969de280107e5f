//! Rule P21: queues, retries and breakers; one shop's trouble stays its own.

use std::time::Duration;

use cartwheel_dispatcher::providers::{Answer, OPTED_OUT_AT_PROVIDER, Trouble};
use cartwheel_engine::{
    effect::Wanted,
    input::{Fact, OptOutBy, OutcomeResult, Return, Suppression},
    key::NameKind,
};
use cartwheel_language::{Channel, Class};
use jiff::SignedDuration;

use crate::stage::{OWN, Scripted, Stage};

const MINUTE: Duration = Duration::from_secs(60);

fn not_now(trouble: Trouble, after: Option<u64>) -> Option<Answer> {
    Some(Answer::NotNow { trouble, after: after.map(Duration::from_secs), reason: "r".into() })
}

#[test]
fn a_message_that_was_surely_not_taken_is_offered_again_and_goes_out_once() {
    let mut stage = Stage::new();
    let provider = Scripted::answering([not_now(Trouble::Unavailable, None), not_now(Trouble::Throttled, Some(7))]);
    let _dispatcher = stage.dispatcher(&provider);
    let message = stage.message(Class::Promotional, 1);
    stage.send(&message);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), [OutcomeResult::Sent]);
    let moments = provider.moments();
    assert_eq!(moments.len(), 3);
    assert!(moments[2].duration_since(moments[1]) >= SignedDuration::from_secs(7), "Retry-After is obeyed");
    assert_eq!(stage.journal().iter().filter(|record| record.verdict.outcome().is_none()).count(), 1, "under one claim");
}

#[test]
fn retries_end_with_a_failure_that_gives_the_place_back() {
    let mut stage = Stage::new();
    let provider = Scripted::answering((0..99).map(|_| not_now(Trouble::Unavailable, None)));
    let _dispatcher = stage.dispatcher(&provider);
    let message = stage.message(Class::Promotional, 1);
    stage.send(&message);
    assert!(stage.until(5 * MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), [OutcomeResult::Failed { reason: "r".into(), address: false }]);
    assert_eq!(provider.given().len(), stage.config.retries.unavailable.calls as usize);
}

#[test]
fn an_answer_that_does_not_come_is_unknown_or_offered_again_by_class() {
    for (class, calls, expected) in [(Class::Promotional, 1, OutcomeResult::Unknown), (Class::Transactional, 2, OutcomeResult::Sent)] {
        let mut stage = Stage::new();
        let provider = Scripted::answering([Some(Answer::Unsure { reason: "timed_out".into() })]);
        let _dispatcher = stage.dispatcher(&provider);
        let message = stage.message(class, 1);
        stage.send(&message);
        assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
        assert_eq!((provider.given().len(), stage.outcomes(&message)), (calls, vec![expected]), "{class:?}");
    }
}

#[test]
fn r27_what_is_no_longer_wanted_is_not_offered_again() {
    let unsure = Some(Answer::Unsure { reason: "timed_out".into() });
    let revoked = OutcomeResult::Suppressed { reason: Suppression::Revoked };
    for (answer, expected) in [(unsure, OutcomeResult::Unknown), (not_now(Trouble::Throttled, Some(5)), revoked)] {
        let mut stage = Stage::new();
        let provider = Scripted::answering([answer]);
        let _dispatcher = stage.dispatcher(&provider);
        let message = stage.message(Class::Transactional, 1);
        stage.send(&message);
        assert!(stage.until(MINUTE, |_| provider.given().len() == 1));
        stage.note(&message, Wanted::Revoked, message.not_after);
        assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
        assert_eq!((stage.outcomes(&message), provider.given().len()), (vec![expected], 1));
    }
}

#[test]
fn r49_a_refusal_is_final_and_an_opt_out_at_the_provider_becomes_one_of_the_address() {
    let mut stage = Stage::new();
    let refused = |reason: &str, address| Some(Answer::Refused { reason: reason.into(), address });
    let provider = Scripted::answering([refused("twilio_21211", true), refused(OPTED_OUT_AT_PROVIDER, false)]);
    let _dispatcher = stage.dispatcher(&provider);
    let (invalid, opted_out) = (stage.message(Class::Promotional, 1), stage.message(Class::Promotional, 2));
    stage.send(&invalid);
    assert!(stage.until(MINUTE, |stage| stage.ended(&invalid)));
    assert_eq!(stage.outcomes(&invalid), [OutcomeResult::Failed { reason: "twilio_21211".into(), address: true }]);
    stage.send(&opted_out);
    assert!(stage.until(MINUTE, |stage| stage.ended(&opted_out)));
    let at_home = stage.facts().into_iter().find(|(key, ..)| *key == opted_out.address_home).unwrap();
    assert_eq!(at_home.2, Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Provider });
    assert_eq!(provider.given().len(), 2);
}

#[test]
fn a_full_queue_returns_the_message_and_blocks_nobody() {
    let mut stage = Stage::new();
    stage.config.queues.length = 2;
    stage.config.queues.concurrency = 1;
    let hangs = Scripted::answering((0..99).map(|_| None));
    let works = Scripted::default();
    let providers = stage.providers([("main", &hangs), ("other", &works)]);
    let log = stage.log.clone();
    let _dispatcher = stage.start(providers, std::sync::Arc::new(log));
    let messages: Vec<_> = (0..6).map(|number| stage.message(Class::Promotional, number)).collect();
    for message in &messages {
        stage.send(message);
        stage.pass(Duration::from_millis(100));
    }
    let mut other = stage.message(Class::Promotional, 9);
    other.provider = "other".into();
    stage.send(&other);
    assert!(stage.until(Duration::from_secs(1), |stage| stage.ended(&other)));
    assert_eq!(stage.outcomes(&other), [OutcomeResult::Sent]);
    // One is at work, two wait, three came back.
    let back = messages.iter().filter(|message| stage.outcomes(message) == [OutcomeResult::Returned { reason: Return::QueueFull }]).count();
    assert_eq!(back, 3);
}

#[test]
fn one_shop_s_dead_provider_opens_its_own_breaker_and_does_not_delay_another_s() {
    let mut stage = Stage::new();
    stage.config.breaker.failures = 3;
    stage.config.retries.unavailable.calls = 1;
    // Both shops use the same account: the first three calls, all of shop acme, fail.
    let provider = Scripted::answering((0..3).map(|_| not_now(Trouble::Unavailable, None)));
    let _dispatcher = stage.dispatcher(&provider);
    let messages: Vec<_> = (0..4).map(|number| stage.message(Class::Promotional, number)).collect();
    for message in &messages {
        stage.send(message);
        assert!(stage.until(MINUTE, |stage| stage.ended(message)));
    }
    assert_eq!(stage.outcomes(&messages[3]), [OutcomeResult::Returned { reason: Return::ProviderAway }]);
    assert_eq!(provider.given().len(), 3);
    let mut other = stage.message(Class::Promotional, 9);
    other.customer = stage.key("bolt", NameKind::User, OWN, 0);
    other.address_home = stage.key("bolt", NameKind::Phone, OWN, 0);
    stage.send(&other);
    assert!(stage.until(Duration::from_millis(200), |stage| stage.ended(&other)));
    assert_eq!(stage.outcomes(&other), [OutcomeResult::Sent]);
    stage.pass(stage.config.breaker.pause);
    let probe = stage.message(Class::Promotional, 5);
    stage.send(&probe);
    assert!(stage.until(MINUTE, |stage| stage.ended(&probe)));
    assert_eq!(stage.outcomes(&probe), [OutcomeResult::Sent]);
}

#[test]
fn a_provider_that_nobody_configured_returns_its_messages() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let _dispatcher = stage.dispatcher(&provider);
    let mut message = stage.message(Class::Promotional, 1);
    message.provider = "sms-amin".into();
    stage.send(&message);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), [OutcomeResult::Returned { reason: Return::ProviderAway }]);
}

#[test]
fn nothing_that_dispatchers_write_holds_the_number_or_the_text() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let _dispatcher = stage.dispatcher(&provider);
    let message = stage.message(Class::Promotional, 1);
    stage.send(&message);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    for topic in [&stage.topics.deliveries, &stage.topics.events] {
        for record in stage.log.records(topic, OWN) {
            let bytes = record.value.unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("7700900123") && !text.contains("as you left it"), "{topic}");
        }
    }
}
