//! Rules P16 and P17: only what is still wanted goes out, and only on knowledge that is fresh.

use std::time::Duration;

use cartwheel_engine::{
    effect::Wanted,
    input::{OutcomeResult, Return, Suppression},
    key::NameKind,
};
use cartwheel_language::Class;
use jiff::SignedDuration;

use crate::stage::{OWN, Scripted, Stage};

const MINUTE: Duration = Duration::from_secs(60);

fn suppressed(reason: Suppression) -> Vec<OutcomeResult> {
    vec![OutcomeResult::Suppressed { reason }]
}

fn returned(reason: Return) -> Vec<OutcomeResult> {
    vec![OutcomeResult::Returned { reason }]
}

#[test]
fn a_wanted_message_goes_out_at_once_and_its_outcome_is_keyed_by_its_customer() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let _dispatcher = stage.dispatcher(&provider);
    stage.pass(Duration::from_secs(2));
    let message = stage.message(Class::Promotional, 1);
    stage.send(&message);
    assert!(stage.until(Duration::from_millis(200), |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), [OutcomeResult::Sent]);
    assert_eq!(provider.given(), std::slice::from_ref(&message.id));
    let (key, ..) = stage.facts().remove(0);
    assert_eq!(key, message.customer);
    assert_eq!(stage.journal().last().unwrap().provider_message_id.as_deref(), Some("p"));
}

#[test]
fn a_message_that_the_store_does_not_know_is_not_wanted() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let _dispatcher = stage.dispatcher(&provider);
    let message = stage.message(Class::Transactional, 1);
    stage.put(&message, 0);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), suppressed(Suppression::Revoked));
    assert!(provider.given().is_empty());
}

#[test]
fn revoked_moved_and_closed_windows_are_told_apart() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let now = stage.now();
    let messages: Vec<_> = (0..4).map(|number| stage.message(Class::Promotional, number)).collect();
    let later = now + SignedDuration::from_hours(1);
    for (message, wanted, until) in [
        (&messages[0], Wanted::Revoked, later),
        (&messages[1], Wanted::Moved, later),
        (&messages[2], Wanted::Yes, now),
        (&messages[3], Wanted::Yes, later),
    ] {
        stage.note(message, wanted, until);
        stage.put(message, 0);
    }
    let _dispatcher = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| messages.iter().all(|message| stage.ended(message))));
    assert_eq!(stage.outcomes(&messages[0]), suppressed(Suppression::Revoked));
    assert_eq!(stage.outcomes(&messages[1]), returned(Return::Moved));
    assert_eq!(stage.outcomes(&messages[2]), returned(Return::WindowClosed));
    assert_eq!(provider.given(), std::slice::from_ref(&messages[3].id));
}

#[test]
fn r68_an_opt_out_at_the_address_s_own_home_stops_what_is_queued() {
    for home in [OWN, 3] {
        let mut stage = Stage::new();
        let provider = Scripted::default();
        let mut message = stage.message(Class::Transactional, 1);
        message.address_home = stage.key("acme", NameKind::Phone, home, 5);
        stage.block(&message);
        stage.send(&message);
        let _dispatcher = stage.dispatcher(&provider);
        assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
        assert_eq!(stage.outcomes(&message), suppressed(Suppression::OptedOut), "home in partition {home}");
        assert!(provider.given().is_empty());
    }
}

#[test]
fn a_message_waits_until_the_address_s_partition_is_folded_too() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let mut message = stage.message(Class::Promotional, 1);
    message.address_home = stage.key("acme", NameKind::Phone, 3, 5);
    stage.send(&message);
    stage.fold();
    stage.folding = false;
    stage.event(3);
    let _dispatcher = stage.dispatcher(&provider);
    stage.pass(Duration::from_secs(20));
    assert!(provider.given().is_empty(), "a stop may stand unread in partition 3");
    stage.block(&message);
    stage.folding = true;
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), suppressed(Suppression::OptedOut));
}

#[test]
fn what_is_not_yet_folded_holds_a_message_back_and_then_decides() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let _dispatcher = stage.dispatcher(&provider);
    let message = stage.message(Class::Promotional, 1);
    stage.send(&message);
    stage.folding = false;
    stage.event(OWN);
    stage.pass(Duration::from_secs(20));
    assert!(provider.given().is_empty() && !stage.ended(&message));
    stage.note(&message, Wanted::Revoked, message.not_after);
    stage.folding = true;
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), suppressed(Suppression::Revoked));
}

#[test]
fn a_message_waits_for_its_own_cause_to_be_folded() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let message = stage.message(Class::Promotional, 1);
    for _ in 0..5 {
        stage.event(OWN);
    }
    stage.fold();
    stage.folding = false;
    // The sampled end is 5; a zombie's send is caused by record 7, which the store has not seen.
    stage.note(&message, Wanted::Yes, message.not_after);
    stage.put(&message, 7);
    let _dispatcher = stage.dispatcher(&provider);
    stage.pass(Duration::from_secs(20));
    assert!(provider.given().is_empty());
    stage.write(OWN, 8, Vec::new());
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), [OutcomeResult::Sent]);
}

#[test]
fn a_store_that_was_rolled_back_is_not_believed_and_waiting_has_bounds() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let first = stage.message(Class::Promotional, 1);
    stage.send(&first);
    let _dispatcher = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| stage.ended(&first)));
    stage.pass(Duration::from_secs(2));
    let second = stage.message(Class::Promotional, 2);
    stage.send(&second);
    stage.folding = false;
    stage.write(OWN, 0, Vec::new());
    stage.pass(Duration::from_secs(20));
    assert_eq!(provider.given().len(), 1, "the head is below one seen before");
    assert!(stage.until(2 * MINUTE, |stage| stage.ended(&second)));
    assert_eq!(stage.outcomes(&second), returned(Return::Stopped));
}

#[test]
fn a_roll_back_within_the_freshness_is_seen_by_the_head_alone() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let _dispatcher = stage.dispatcher(&provider);
    (0..3).for_each(|_| stage.event(OWN));
    stage.pass(Duration::from_secs(2));
    (0..3).for_each(|_| stage.event(OWN));
    stage.fold();
    let (first, second) = (stage.message(Class::Transactional, 1), stage.message(Class::Transactional, 2));
    stage.send(&first);
    assert!(stage.until(MINUTE, |stage| stage.ended(&first)));
    // Record 5 may be a stop. A sample of two seconds ago ends at 3, and the head is beyond it.
    stage.folding = false;
    stage.write(OWN, 5, Vec::new());
    stage.send(&second);
    stage.pass(Duration::from_secs(10));
    assert_eq!(provider.given(), std::slice::from_ref(&first.id));
    stage.folding = true;
    assert!(stage.until(MINUTE, |stage| stage.ended(&second)));
    assert_eq!(stage.outcomes(&second), [OutcomeResult::Sent]);
}

#[test]
fn r32_a_message_past_its_time_expires_unread() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let mut message = stage.message(Class::Transactional, 1);
    message.not_after = stage.now() + SignedDuration::from_secs(10);
    stage.send(&message);
    stage.pass(Duration::from_secs(10));
    let _dispatcher = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    assert_eq!(stage.outcomes(&message), [OutcomeResult::Expired]);
    assert!(provider.given().is_empty());
}

#[test]
fn another_installation_s_store_ends_the_worker() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let message = stage.message(Class::Transactional, 1);
    stage.send(&message);
    stage.fold();
    stage.topics.partitions = 8;
    stage.write(OWN, 1, Vec::new());
    stage.topics.partitions = 4;
    stage.folding = false;
    let _dispatcher = stage.dispatcher(&provider);
    stage.pass(Duration::from_secs(5));
    assert!(stage.errors.lock().unwrap()[0].contains("belongs to"), "{:?}", stage.errors);
    assert!(provider.given().is_empty());
}
