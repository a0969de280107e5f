//! What shops applied, and where it takes effect (rule P25).

use std::time::Duration;

use cartwheel_engine::campaigns::CampaignState as State;
use cartwheel_wire::{CampaignState, EventBody, EventRecord};
use futures::FutureExt;
use jiff::Timestamp;

use crate::bench::{Bench, SHOP, confirmation};

const FILE: &str = "campaigns/confirmation.yaml";

#[tokio::test]
async fn p25_a_revision_is_appended_once_and_takes_effect_at_its_place() {
    let bench = Bench::new();
    let mut worker = bench.take(1, None).await;
    bench.ordered(0, "before-any").await;
    bench.fold(&mut worker).await.unwrap();
    bench.ordered(0, "before-first").await;
    bench.apply(1, &[("shop.yaml", 1, SHOP), (FILE, 1, &confirmation(1))]).await;
    bench.fold(&mut worker).await.unwrap();
    bench.ordered(0, "first").await;
    bench.fold(&mut worker).await.unwrap();
    bench.ordered(0, "before-second").await;
    bench.apply(2, &[("shop.yaml", 1, SHOP), (FILE, 2, &confirmation(2))]).await;
    bench.fold(&mut worker).await.unwrap();
    // A zombie appends what it knows, late.
    bench.event(&EventRecord { origin: None, body: EventBody::Activation { shop: "acme".to_owned(), revision: 1 } }).await;
    bench.ordered(0, "second").await;
    bench.fold(&mut worker).await.unwrap();

    let versions = |order| bench.versions(order);
    assert_eq!((versions("before-any"), versions("before-first")), (vec![], vec![]), "applied later changes nothing that came before");
    assert_eq!((versions("first"), versions("before-second"), versions("second")), (vec![1], vec![1], vec![2]));
    assert_eq!(bench.activations(), [1, 2, 1]);
    let mut next = bench.take(2, Some(worker.fence())).await;
    bench.ordered(0, "after").await;
    bench.fold(&mut next).await.unwrap();
    assert_eq!((versions("after"), bench.activations()), (vec![2], vec![1, 2, 1]), "the next owner appends nothing again");
}

#[tokio::test]
async fn p25_a_replay_waits_until_the_version_that_it_needs_is_known() {
    let bench = Bench::new();
    bench.event(&EventRecord { origin: None, body: EventBody::Activation { shop: "acme".to_owned(), revision: 1 } }).await;
    bench.ordered(0, "first").await;
    let mut worker = bench.take(1, None).await;
    let mut folding = Box::pin(bench.fold(&mut worker));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut folding).await;
    assert!(early.is_err(), "nothing is decided by campaigns that are not known");
    bench.write(1, &[("shop.yaml", 1, SHOP), (FILE, 1, &confirmation(1))], &[]).await;
    folding.await.unwrap();
    assert_eq!(bench.versions("first"), [1]);
}

#[tokio::test]
async fn former_versions_stay_for_journeys_that_follow_them_even_where_the_shop_file_has_moved_on() {
    let bench = Bench::new();
    let without_orders = SHOP.replace("objects: { order: { id: order_id, events: [Order Completed] } }\n", "");
    assert_ne!(without_orders, SHOP);
    let thanks =
        "campaign: confirmation\nclass: transactional\nwhen: { event: Order Completed }\nsend: { sms: { text: { en: Thanks } } }\n";
    bench.apply(1, &[("shop.yaml", 1, SHOP), (FILE, 1, &confirmation(1))]).await;
    bench.apply(2, &[("shop.yaml", 1, SHOP), (FILE, 2, &confirmation(2))]).await;
    bench.apply(3, &[("shop.yaml", 2, &without_orders), (FILE, 3, thanks)]).await;
    let campaigns = bench.definitions.at("acme", 3).await.unwrap();
    assert_eq!(campaigns.live("confirmation").unwrap().version, 3);
    let texts: Vec<_> = (1..=3).map(|version| format!("{:?}", campaigns.version("confirmation", version).unwrap())).collect();
    assert!(texts[0].contains("We have your order. 1") && texts[1].contains("We have your order. 2") && texts[2].contains("Thanks"));
    assert!(campaigns.version("confirmation", 4).is_none());
    let former = bench.definitions.at("acme", 1).await.unwrap();
    assert_eq!(former.live("confirmation").unwrap().version, 1, "a partition that is behind still gets what was in force there");
}

#[tokio::test]
async fn a_campaign_begins_with_the_first_revision_that_has_it_and_has_the_state_of_the_last() {
    let bench = Bench::new();
    bench.apply(1, &[("shop.yaml", 1, SHOP)]).await;
    let text = confirmation(1);
    bench.apply(2, &[("shop.yaml", 1, SHOP), (FILE, 1, &text)]).await;
    for (number, applied, expected) in [
        (3, CampaignState::Paused, State::Paused),
        (4, CampaignState::Archived, State::Archived),
        (5, CampaignState::Active, State::Active),
    ] {
        bench.write(number, &[("shop.yaml", 1, SHOP), (FILE, 1, &text)], &[("confirmation", applied)]).await;
        let campaigns = bench.definitions.at("acme", number).await.unwrap();
        let live = campaigns.live("confirmation").unwrap();
        assert_eq!((live.state, live.since), (expected, Timestamp::from_second(2).unwrap()), "revision {number}");
    }
    for number in 6..40 {
        bench.apply(number, &[("shop.yaml", 1, SHOP), (FILE, 1, &text)]).await;
    }
    let first = bench.definitions.at("acme", 1).await.unwrap();
    assert!(first.live("confirmation").is_none(), "what is no longer kept is compiled again");
}

#[tokio::test]
async fn a_revision_is_used_once_all_its_files_are_there_and_damage_is_named() {
    let bench = Bench::new();
    bench.write(1, &[("shop.yaml", 1, SHOP)], &[]).await;
    bench.definitions.at("acme", 1).await.unwrap();
    let broken = "campaign: confirmation\nwhen: { event: Order Completed }\nsend: nothing\n";
    bench.write(2, &[("shop.yaml", 1, SHOP), (FILE, 1, broken)], &[]).await;
    let error = bench.definitions.at("acme", 2).await.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("revision 2 of shop acme") && error.contains(FILE), "{error}");
    assert!(bench.definitions.at("acme", 3).now_or_never().is_none(), "what is not applied is waited for");
    assert_eq!(bench.definitions.newest(bench.clock.now())["acme"], 2);
}
