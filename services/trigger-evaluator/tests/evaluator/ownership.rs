//! Who may work on a partition, and what a store that is not right does (rules P5, P6, P27).

use std::{collections::BTreeSet, sync::atomic::Ordering};

use cartwheel_runtime::{memory::Snapshot, store::PartitionStore};
use cartwheel_trigger_evaluator::{WorkerError, worker::Worker};
use cartwheel_wire::Topics;

use crate::bench::{Bench, HERE, SHOP, Watched, confirmation};

async fn with_campaign() -> Bench {
    let bench = Bench::new();
    bench.apply(1, &[("shop.yaml", 1, SHOP), ("campaigns/confirmation.yaml", 1, &confirmation(1))]).await;
    let mut worker = bench.take(1, None).await;
    bench.fold(&mut worker).await.unwrap();
    bench
}

#[tokio::test]
async fn p05_an_owner_that_lost_its_fence_decides_nothing_about_customers_that_it_must_read() {
    let bench = with_campaign().await;
    let mut zombie = bench.take(2, None).await;
    let mut owner = bench.take(3, None).await;
    bench.ordered(0, "a").await;
    let error = bench.fold(&mut zombie).await.unwrap_err();
    assert!(matches!(error, WorkerError::Fenced { partition: HERE, .. }) && !error.is_fatal(), "{error}");
    assert!(bench.decisions().is_empty(), "it read the fence together with the customer, before it produced anything");
    bench.fold(&mut owner).await.unwrap();
    assert_eq!(bench.versions("a"), [1]);
}

#[tokio::test]
async fn p05_a_zombie_with_a_customer_in_memory_repeats_effects_and_writes_nothing() {
    let bench = with_campaign().await;
    let mut zombie = bench.take(2, None).await;
    bench.ordered(0, "a").await;
    bench.fold(&mut zombie).await.unwrap();
    let mut owner = bench.take(3, None).await;
    bench.ordered(0, "b").await;
    bench.fold(&mut owner).await.unwrap();
    let (stored, decided) = (bench.stored(&bench.customer("acme", HERE, 0)).await, bench.decisions());
    assert!(matches!(bench.fold(&mut zombie).await, Err(WorkerError::Fenced { stored: Some(_), .. })));
    assert_eq!(bench.stored(&bench.customer("acme", HERE, 0)).await, stored);
    let repeated = bench.decisions();
    assert!(repeated.len() > decided.len());
    assert!(repeated.iter().all(|decision| decided.contains(decision)), "repeats are equal, ids and all");
}

#[tokio::test]
async fn p06_a_store_that_was_rolled_back_or_emptied_is_folded_again_to_the_same_state() {
    let bench = with_campaign().await;
    let customer = bench.customer("acme", HERE, 0);
    let mut worker = bench.take(2, None).await;
    let mut earlier = vec![Snapshot::default()];
    for order in ["a", "b"] {
        bench.ordered(0, order).await;
        bench.fold(&mut worker).await.unwrap();
        earlier.push(bench.store.inner.snapshot());
    }
    bench.ordered(0, "c").await;
    bench.fold(&mut worker).await.unwrap();
    let ids = |bench: &Bench| bench.decisions().into_iter().map(|decision| decision.id).collect::<BTreeSet<_>>();
    for (owner, snapshot) in earlier.into_iter().enumerate() {
        let decided = ids(&bench);
        bench.store.inner.restore(snapshot);
        bench.ordered(0, &format!("after {owner}")).await;
        let error = bench.fold(&mut worker).await.unwrap_err();
        assert!(matches!(error, WorkerError::Fenced { .. }), "{error}");
        let former = worker.fence().clone();
        worker = bench.take(100 + owner as u128, Some(&former)).await;
        assert!(worker.fence().epoch > former.epoch, "above what is stored and above what it saw");
        assert!(worker.fence().head < former.head);
        bench.fold(&mut worker).await.unwrap();
        assert!(ids(&bench).is_superset(&decided));
        let new: BTreeSet<_> =
            bench.decisions().into_iter().filter(|decision| !decided.contains(&decision.id)).map(|it| it.cause.event).collect();
        assert!(new.iter().all(|event| event.starts_with("after")), "what was decided before has its former id: {new:?}");
    }
    // Never rolled back, the same log gives the same state.
    let folded = bench.stored(&customer).await.1;
    bench.store.inner.restore(Snapshot::default());
    let mut fresh = bench.take(1000, Some(worker.fence())).await;
    bench.fold(&mut fresh).await.unwrap();
    assert_eq!(bench.stored(&customer).await.1, folded);
}

#[tokio::test]
async fn p27_a_store_of_something_else_is_refused_and_not_touched() {
    let bench = with_campaign().await;
    bench.ordered(0, "a").await;
    let mut worker = bench.take(2, None).await;
    bench.fold(&mut worker).await.unwrap();
    let refused = async |tools, settings, expected: &str| {
        let before = bench.store.inner.load(HERE, &[]).await.unwrap();
        let error = Worker::take(HERE, None, tools, settings).await.map(|_| ()).unwrap_err();
        assert!(matches!(error, WorkerError::Foreign { .. }) && !error.is_fatal() && error.to_string().contains(expected), "{error}");
        assert_eq!(bench.store.inner.load(HERE, &[]).await.unwrap(), before);
    };
    let mut settings = bench.settings(3);
    settings.installation = "staging".to_owned();
    refused(bench.tools(), settings, "belongs to installation `test`, this is `staging`").await;

    let mut tools = bench.tools();
    tools.performer = cartwheel_trigger_evaluator::Performer::new(Topics { partitions: 4, ..bench.topics.clone() }, bench.codec.clone());
    refused(tools, bench.settings(3), "written with 2 partitions, now there are 4").await;

    let other = Bench::new();
    let mut tools = bench.tools();
    tools.log = std::sync::Arc::new(other.log.clone());
    refused(tools, bench.settings(3), "beyond the end of the log (0)").await;

    bench.ordered(0, "b").await;
    bench.log.forget_before(&bench.topics.events, HERE, bench.end()).unwrap();
    refused(bench.tools(), bench.settings(3), "past retention").await;
}

#[tokio::test]
async fn a_write_that_nobody_answered_is_looked_up_and_not_done_again() {
    let bench = with_campaign().await;
    let mut worker = bench.take(2, None).await;
    bench.ordered(0, "a").await;
    bench.store.away.store(1, Ordering::SeqCst);
    bench.store.unanswered.store(1, Ordering::SeqCst);
    let error = bench.fold(&mut worker).await.unwrap_err();
    assert!(matches!(error, WorkerError::Fenced { stored: None, .. }), "a read is repeated in place, a write is not: {error}");
    let decided = bench.decisions().len();
    let mut worker = bench.take(3, Some(worker.fence())).await;
    assert_eq!(worker.fence().head, bench.end(), "it had happened");
    bench.fold(&mut worker).await.unwrap();
    assert_eq!(bench.decisions().len(), decided);
}

#[tokio::test]
async fn memory_is_bounded_and_what_was_dropped_is_read_again() {
    let bench = with_campaign().await;
    let mut settings = bench.settings(2);
    (settings.batch, settings.customers_in_memory) = (2, 4);
    let mut worker = Worker::take(HERE, None, bench.tools(), settings).await.unwrap();
    let read = |store: &Watched| store.read.swap(0, Ordering::SeqCst);
    read(&bench.store);
    let mut decided = Vec::new();
    for round in ["first", "again"] {
        for number in 0..12 {
            bench.ordered(number, &format!("order {number}")).await;
            bench.fold(&mut worker).await.unwrap();
        }
        assert_eq!(read(&bench.store), 12, "{round}: more customers than memory holds came by since");
        decided.push(bench.decisions().iter().filter(|decision| decision.version.is_some()).count());
    }
    assert!(decided[0] >= 12 && decided[0] == decided[1], "a repeat is one although its customer was dropped meanwhile: {decided:?}");
    for _ in 0..3 {
        bench.ordered(11, "one more").await;
        bench.fold(&mut worker).await.unwrap();
    }
    assert_eq!(read(&bench.store), 0, "who is in memory is not read");
}
