//! Rule P22 and R93: what is stopped stays, within five seconds, and what is resumed makes no burst.

use std::time::Duration;

use cartwheel_engine::input::{OutcomeResult, Return};
use cartwheel_language::{Channel, Class};
use cartwheel_wire::ControlScope;
use jiff::SignedDuration;

use crate::stage::{Scripted, Stage};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn r93_every_scope_of_a_stop_holds_and_a_resume_lifts_it() {
    let campaign = |campaign: &str| ControlScope::Campaign { shop: "acme".into(), campaign: campaign.into() };
    for scope in [ControlScope::All, ControlScope::Shop("acme".into()), ControlScope::Channel(Channel::Sms), campaign("cart")] {
        let mut stage = Stage::new();
        let provider = Scripted::default();
        let _dispatcher = stage.dispatcher(&provider);
        stage.control(ControlScope::Shop("other".into()), true, None);
        stage.control(campaign("welcome"), true, None);
        stage.control(scope.clone(), true, None);
        stage.pass(Duration::from_secs(1));
        let (stopped, resumed) = (stage.message(Class::Transactional, 1), stage.message(Class::Transactional, 2));
        stage.send(&stopped);
        assert!(stage.until(MINUTE, |stage| stage.ended(&stopped)));
        assert_eq!(stage.outcomes(&stopped), [OutcomeResult::Returned { reason: Return::Stopped }], "{scope:?}");
        stage.control(scope, false, None);
        stage.pass(Duration::from_secs(1));
        stage.send(&resumed);
        assert!(stage.until(MINUTE, |stage| stage.ended(&resumed)));
        assert_eq!(provider.given(), std::slice::from_ref(&resumed.id));
    }
}

#[test]
fn r93_a_stop_is_in_force_within_five_seconds_for_what_is_on_its_way() {
    let mut stage = Stage::new();
    stage.config.retries.unavailable.calls = 20;
    let busy = || {
        Some(cartwheel_dispatcher::providers::Answer::NotNow {
            trouble: cartwheel_dispatcher::providers::Trouble::Throttled,
            after: Some(Duration::from_secs(1)),
            reason: "busy".into(),
        })
    };
    stage.config.retries.throttled.calls = 20;
    let provider = Scripted::answering((0..20).map(|_| busy()));
    let _dispatcher = stage.dispatcher(&provider);
    let message = stage.message(Class::Promotional, 1);
    stage.send(&message);
    stage.pass(Duration::from_secs(10));
    assert!(provider.given().len() > 2 && !stage.ended(&message));
    stage.control(ControlScope::All, true, None);
    let stopped = stage.now();
    stage.pass(5 * MINUTE);
    let last = *provider.moments().last().unwrap();
    assert!(last <= stopped + SignedDuration::from_secs(5), "called {} after the stop", last.duration_since(stopped));
}

#[test]
fn without_word_from_the_controls_nothing_is_sent() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    stage.append(stage.topics.controls.clone(), 0, "all".into(), Some(b"what may be a stop".to_vec()));
    let _dispatcher = stage.dispatcher(&provider);
    let message = stage.message(Class::Transactional, 1);
    stage.send(&message);
    stage.pass(Duration::from_secs(30));
    assert!(provider.given().is_empty());
    stage.append(stage.topics.controls.clone(), 0, "all".into(), None);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(provider.given().len(), 1);
}

#[test]
fn r93_what_is_resumed_goes_at_the_order_s_pace_and_the_pace_doubles_each_minute() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let _dispatcher = stage.dispatcher(&provider);
    // Four partitions share four messages a second, so this one takes one.
    stage.control(ControlScope::All, false, Some(4.0));
    stage.pass(Duration::from_secs(1));
    let messages: Vec<_> = (0..20).map(|number| stage.message(Class::Promotional, number)).collect();
    messages.iter().for_each(|message| stage.send(message));
    assert!(stage.until(MINUTE, |stage| messages.iter().all(|message| stage.ended(message))));
    let moments = provider.moments();
    assert_eq!(moments.len(), 20);
    for pair in moments.windows(2) {
        assert!(pair[1].duration_since(pair[0]) >= SignedDuration::from_millis(999), "{pair:?}");
    }
    stage.pass(5 * MINUTE);
    let late: Vec<_> = (20..40).map(|number| stage.message(Class::Promotional, number)).collect();
    late.iter().for_each(|message| stage.send(message));
    assert!(stage.until(Duration::from_secs(2), |stage| late.iter().all(|message| stage.ended(message))));
}
