//! Rules P15, P19, P20: whatever dies between any two steps, and whoever else believes to own the partition.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cartwheel_dispatcher::providers::Answer;
use cartwheel_engine::{effect::Wanted, input::OutcomeResult};
use cartwheel_language::{Class, Delivery};
use cartwheel_runtime::{
    log::{Bounds, From, Log, LogError, Offset, Outgoing, Partition, Reader},
    memory_log::MemoryLog,
};
use futures::future::BoxFuture;

use crate::stage::{OWN, Scripted, Stage};

const MINUTE: Duration = Duration::from_secs(60);

/// A log whose appender stands still at the `fatal`-th append: before it lands, or behind it.
struct Treacherous {
    log: MemoryLog,
    left: AtomicUsize,
    lands: bool,
}

impl Log for Treacherous {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        Box::pin(async move {
            let dies = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
            if dies && self.lands {
                let _ = self.log.append(records).await;
                return std::future::pending().await;
            }
            if dies { std::future::pending().await } else { self.log.append(records).await }
        })
    }

    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        self.log.open(topic, partition, from)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>> {
        self.log.bounds(topic, partition)
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        self.log.ends(topic)
    }
}

#[test]
fn a_crash_at_any_append_loses_nothing_and_hands_over_as_the_class_says() {
    for class in [Class::Promotional, Class::Transactional] {
        // Attempt, outcome, report: three appends a message.
        for (fatal, lands) in (0..3).flat_map(|fatal| [(fatal, false), (fatal, true)]) {
            let mut stage = Stage::new();
            let provider = Scripted::default();
            let message = stage.message(class, 1);
            stage.send(&message);
            let treacherous = Arc::new(Treacherous { log: stage.log.clone(), left: AtomicUsize::new(fatal), lands });
            let providers = stage.providers([("main", &provider)]);
            let first = stage.start(providers, treacherous);
            stage.pass(Duration::from_secs(5));
            first.crash();
            let _second = stage.dispatcher(&provider);
            let case = format!("{class:?}, append {fatal}, lands {lands}");
            assert!(stage.until(2 * MINUTE, |stage| stage.ended(&message)), "{case}");
            stage.pass(2 * MINUTE);
            let calls = provider.given().len();
            let outcomes = stage.outcomes(&message);
            match message.delivery {
                // The attempt stands alone: nobody knows.
                Delivery::AtMostOnce if (fatal, lands) == (0, true) => {
                    assert_eq!((calls, outcomes), (0, vec![OutcomeResult::Unknown]), "{case}")
                }
                Delivery::AtMostOnce if (fatal, lands) == (1, false) => {
                    assert_eq!((calls, outcomes), (1, vec![OutcomeResult::Unknown]), "{case}")
                }
                Delivery::AtLeastOnce if (fatal, lands) == (1, false) => {
                    assert_eq!((calls, outcomes), (2, vec![OutcomeResult::Sent]), "{case}")
                }
                _ => assert_eq!((calls, outcomes), (1, vec![OutcomeResult::Sent]), "{case}"),
            }
            // A restart behind all of it repeats nothing but the report.
            let _third = stage.dispatcher(&provider);
            stage.pass(MINUTE);
            assert_eq!(provider.given().len(), calls, "{case}");
            assert_eq!(stage.outcomes(&message).len(), 1, "{case}");
        }
    }
}

#[test]
fn a_crash_in_a_call_is_unknown_at_most_once_and_the_same_message_again_at_least_once() {
    for class in [Class::Promotional, Class::Transactional] {
        let mut stage = Stage::new();
        let provider = Scripted::answering([None]);
        let message = stage.message(class, 1);
        stage.send(&message);
        let first = stage.dispatcher(&provider);
        assert!(stage.until(MINUTE, |_| provider.given().len() == 1));
        first.crash();
        let _second = stage.dispatcher(&provider);
        stage.pass(stage.config.grace / 2);
        assert!(!stage.ended(&message), "the first one may be at work for the grace");
        assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
        let again = class == Class::Transactional;
        let expected = if again { OutcomeResult::Sent } else { OutcomeResult::Unknown };
        assert_eq!(stage.outcomes(&message), [expected]);
        assert_eq!(provider.given(), vec![message.id.clone(); if again { 2 } else { 1 }]);
    }
}

#[test]
fn behind_another_s_attempt_nobody_says_that_the_message_did_not_go_out() {
    let mut stage = Stage::new();
    let provider = Scripted::answering([None]);
    let message = stage.message(Class::Transactional, 1);
    stage.send(&message);
    let first = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |_| provider.given().len() == 1));
    first.crash();
    stage.note(&message, Wanted::Revoked, message.not_after);
    let _second = stage.dispatcher(&provider);
    assert!(stage.until(2 * MINUTE, |stage| stage.ended(&message)));
    assert_eq!((stage.outcomes(&message), provider.given().len()), (vec![OutcomeResult::Unknown], 1));
}

#[test]
fn an_open_message_holds_the_mark_back_however_many_are_done_behind_it() {
    let mut stage = Stage::new();
    let provider = Scripted::answering([None]);
    let messages: Vec<_> = (0..3).map(|number| stage.message(Class::Promotional, number)).collect();
    stage.send(&messages[0]);
    let first = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |_| provider.given().len() == 1));
    messages[1..].iter().for_each(|message| stage.send(message));
    assert!(stage.until(MINUTE, |stage| messages[1..].iter().all(|message| stage.ended(message))));
    first.crash();
    let _second = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| stage.ended(&messages[0])), "the next owner never read it");
    assert_eq!(stage.outcomes(&messages[0]), [OutcomeResult::Unknown]);
}

#[test]
fn two_dispatchers_that_both_believe_they_own_a_partition_hand_over_once() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let messages: Vec<_> =
        (0..50).map(|number| stage.message([Class::Promotional, Class::Transactional][number as usize % 2], number)).collect();
    messages.iter().for_each(|message| stage.send(message));
    let _one = stage.dispatcher(&provider);
    let _other = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| messages.iter().all(|message| stage.ended(message))));
    stage.pass(2 * MINUTE);
    let mut given = provider.given();
    given.sort();
    given.dedup();
    assert_eq!((given.len(), provider.given().len()), (50, 50));
    assert!(messages.iter().all(|message| stage.outcomes(message) == [OutcomeResult::Sent]));
    let attempts = stage.journal().iter().filter(|record| record.verdict.outcome().is_none()).count();
    assert!(attempts > 50, "they never met");
}

#[test]
fn a_zombie_that_wakes_up_after_its_successor_gave_up_still_tells_what_it_did() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let message = stage.message(Class::Promotional, 1);
    stage.send(&message);
    // It has called, and stands still before it journals the outcome.
    let treacherous = Arc::new(Treacherous { log: stage.log.clone(), left: AtomicUsize::new(1), lands: true });
    let providers = stage.providers([("main", &provider)]);
    let _zombie = stage.start(providers, treacherous);
    assert!(stage.until(MINUTE, |_| provider.given().len() == 1));
    let _successor = stage.dispatcher(&provider);
    assert!(stage.until(2 * MINUTE, |stage| stage.ended(&message)));
    assert_eq!((stage.outcomes(&message), provider.given().len()), (vec![OutcomeResult::Sent], 1));
}

#[test]
fn a_send_that_stands_twice_on_its_lane_goes_out_once_and_both_places_are_marked() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let message = stage.message(Class::Transactional, 1);
    stage.send(&message);
    stage.send(&message);
    let _dispatcher = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    stage.pass(Duration::from_secs(5));
    assert_eq!(provider.given().len(), 1);
    let marked =
        futures::executor::block_on(cartwheel_runtime::log::Positions::marked(&stage.positions, &stage.topics.sends_transactional, OWN));
    assert_eq!(marked.unwrap(), Some(2));
}

#[test]
fn what_cannot_be_read_is_a_dead_letter_and_stalls_nobody() {
    let mut stage = Stage::new();
    let provider = Scripted::default();
    let topic = stage.topics.sends_transactional.clone();
    stage.append(topic.clone(), OWN, "k".into(), Some(b"\xc3\x01 no send".to_vec()));
    stage.append(topic, OWN, "k".into(), None);
    let mut strayed = stage.message(Class::Transactional, 1);
    strayed.customer = stage.key("acme", cartwheel_engine::key::NameKind::User, 2, 0);
    stage.put(&strayed, 0);
    let message = stage.message(Class::Transactional, 2);
    stage.send(&message);
    let _dispatcher = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| stage.ended(&message)));
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.log.records(&stage.topics.dead_letters, 0).len(), 3);
    assert_eq!(provider.given(), std::slice::from_ref(&message.id));
}

#[test]
fn a_stop_of_the_service_finishes_what_is_claimed_and_leaves_the_rest() {
    let mut stage = Stage::new();
    stage.config.queues.concurrency = 1;
    let busy = Answer::NotNow {
        trouble: cartwheel_dispatcher::providers::Trouble::Unavailable,
        after: Some(Duration::from_secs(20)),
        reason: "down".into(),
    };
    let provider = Scripted::answering([Some(busy)]);
    let messages: Vec<_> = (0..3).map(|number| stage.message(Class::Promotional, number)).collect();
    messages.iter().for_each(|message| stage.send(message));
    let dispatcher = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |_| provider.given().len() == 1));
    dispatcher.stop();
    stage.pass(Duration::from_secs(2));
    // The first one surely was not taken; the claim ends with that instead of being left to become unknown.
    assert_eq!(stage.outcomes(&messages[0]), [OutcomeResult::Failed { reason: "down".into(), address: false }]);
    assert!(!stage.ended(&messages[1]) && !stage.ended(&messages[2]));
    let _next = stage.dispatcher(&provider);
    assert!(stage.until(MINUTE, |stage| messages.iter().all(|message| stage.ended(message))));
    assert_eq!(provider.given().len(), 3);
}
