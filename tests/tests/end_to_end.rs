//! The four services as processes, on real Kafka and real Redis: an event goes in, the right message comes out, or none does.
//!
//! All tests share one installation with two partitions; each has customers and numbers of its own. Waits of the shop are seconds.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::{
    path::Path,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use cartwheel_tests::{SERVICES, Taken, Town, build_services, eventually, kafka, need, promtool, redis, unique};
use jiff::{Timestamp, Unit, tz::TimeZone};
use serde_json::{Value, json};

/// The wait of the shop's abandoned cart.
const WAIT: Duration = Duration::from_secs(3);

/// How long is watched that nothing comes: the wait and time for it to go through all services, several times over.
const QUIET: Duration = Duration::from_secs(8);

fn town() -> Option<&'static Town> {
    static TOWN: OnceLock<Option<Town>> = OnceLock::new();
    TOWN.get_or_init(|| {
        let (kafka, redis) = (kafka()?, redis()?);
        // The window is worked out from the present minute: what takes long comes before.
        need(build_services())?;
        let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("end-to-end-shop");
        need(Town::start(kafka, redis, 2, &windowed(&shop)))
    })
    .as_ref()
}

/// The shop with a window that opens with the minute after the next, where the customers of that test live.
fn windowed(shop: &Path) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(unique("end-to-end-shop"));
    let campaigns = folder.join("campaigns");
    std::fs::create_dir_all(&campaigns).unwrap();
    std::fs::copy(shop.join("shop.yaml"), folder.join("shop.yaml")).unwrap();
    for campaign in ["abandoned-cart", "order-confirmation"] {
        let name = format!("{campaign}.yaml");
        std::fs::copy(shop.join("campaigns").join(&name), campaigns.join(&name)).unwrap();
    }
    let (open, close) = window();
    let text = std::fs::read_to_string(shop.join("campaigns/windowed.yaml")).unwrap();
    let text = text.replace("18:00", &open.strftime("%H:%M").to_string()).replace("20:00", &close.strftime("%H:%M").to_string());
    std::fs::write(campaigns.join("windowed.yaml"), text).unwrap();
    folder
}

/// Opening and close of the window where [`ZONE`] is, worked out once.
fn window() -> (jiff::Zoned, jiff::Zoned) {
    static OPEN: OnceLock<Timestamp> = OnceLock::new();
    let open = OPEN.get_or_init(|| Timestamp::now() + Duration::from_secs(60));
    let minute = open
        .to_zoned(TimeZone::get(ZONE).unwrap())
        .round(jiff::ZonedRound::new().smallest(Unit::Minute).mode(jiff::RoundMode::Ceil))
        .unwrap();
    let close = &minute + Duration::from_secs(6 * 3600);
    (minute, close)
}

/// Where the customers of the window's test live: no change of clocks, and not where the shop is.
const ZONE: &str = "Asia/Tokyo";

/// A number of the North American range for fiction that no other test has.
fn phone(count: u32) -> String {
    format!("+1415555{:04}", 100 + count)
}

fn cart(id: &str, product: &str) -> Value {
    json!({ "cart_id": id, "product_id": product, "name": product, "price": 12.5, "quantity": 1, "currency": "GBP" })
}

async fn one_message(town: &Town, phone: &str) -> Taken {
    let taken = eventually("a message", || async {
        town.provider()
            .taken_by(phone)
            .first()
            .cloned()
            .ok_or_else(|| format!("none yet; the dispatcher's log: {}", town.log_of("dispatcher")))
    })
    .await;
    stays(town, phone, 1).await;
    taken
}

/// Watches that a number has got so many messages and gets no more.
async fn stays(town: &Town, phone: &str, count: usize) {
    let until = tokio::time::Instant::now() + QUIET;
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while tokio::time::Instant::now() < until {
        look.tick().await;
        let taken = town.provider().taken_by(phone);
        assert_eq!(taken.len(), count, "{taken:?}");
    }
}

#[tokio::test]
async fn r04_an_abandoned_cart_is_reminded_of_once_with_its_items() {
    let Some(town) = town() else { return };
    let (who, phone) = (json!({ "userId": unique("ada") }), phone(1));
    town.identify(who.clone(), &phone, "Europe/London").await;
    let cart_id = unique("cart");
    town.track(who.clone(), "Product Added", cart(&cart_id, "Teapot")).await;
    town.track(who, "Product Added", cart(&cart_id, "Cups")).await;
    let taken = one_message(town, &phone).await;
    assert!(taken.body.contains("Teapot and 1 more"), "{}", taken.body);
}

#[tokio::test]
async fn r04_a_cart_that_was_bought_is_not_reminded_of() {
    let Some(town) = town() else { return };
    let (who, phone, cart_id) = (json!({ "userId": unique("ben") }), phone(2), unique("cart"));
    town.identify(who.clone(), &phone, "Europe/London").await;
    town.track(who.clone(), "Product Added", cart(&cart_id, "Teapot")).await;
    town.track(who, "Order Completed", json!({ "order_id": unique("order"), "cart_id": cart_id, "total": 12.5, "currency": "GBP" })).await;
    let taken = one_message(town, &phone).await;
    assert!(taken.body.contains("We have your order"), "only the confirmation goes out: {}", taken.body);
}

#[tokio::test]
async fn r04_another_carts_purchase_does_not_cancel() {
    let Some(town) = town() else { return };
    let (who, phone) = (json!({ "userId": unique("cid") }), phone(3));
    town.identify(who.clone(), &phone, "Europe/London").await;
    town.track(who.clone(), "Product Added", cart(&unique("cart"), "Teapot")).await;
    town.track(who, "Order Completed", json!({ "order_id": unique("order"), "cart_id": unique("cart"), "total": 5, "currency": "GBP" }))
        .await;
    eventually("confirmation and reminder", || async {
        let taken = town.provider().taken_by(&phone);
        if taken.len() == 2 { Ok(()) } else { Err(format!("{taken:?}")) }
    })
    .await;
    assert!(town.provider().taken_by(&phone).iter().any(|taken| taken.body.contains("Teapot")));
    stays(town, &phone, 2).await;
}

#[tokio::test]
async fn r04_adding_again_waits_again() {
    let Some(town) = town() else { return };
    let (who, phone, cart_id) = (json!({ "userId": unique("dan") }), phone(4), unique("cart"));
    town.identify(who.clone(), &phone, "Europe/London").await;
    let mut last = SystemTime::now();
    let mut pace = tokio::time::interval(WAIT / 2);
    for product in ["Teapot", "Cups", "Tray"] {
        pace.tick().await;
        town.track(who.clone(), "Product Added", cart(&cart_id, product)).await;
        last = SystemTime::now();
    }
    let taken = one_message(town, &phone).await;
    assert!(taken.body.contains("Teapot and 2 more"), "{}", taken.body);
    let waited = taken.at.duration_since(last).unwrap();
    assert!(waited + Duration::from_millis(500) >= WAIT, "it waited {waited:?} after the last item");
}

#[tokio::test]
async fn r45_carts_of_a_visitor_who_then_logs_in_make_one_message() {
    let Some(town) = town() else { return };
    let (visitor, phone, cart_id) = (unique("visitor"), phone(5), unique("cart"));
    town.track(json!({ "anonymousId": visitor }), "Product Added", cart(&cart_id, "Teapot")).await;
    town.identify(json!({ "userId": unique("eve"), "anonymousId": visitor }), &phone, "Europe/London").await;
    town.track(json!({ "anonymousId": visitor }), "Product Added", cart(&cart_id, "Cups")).await;
    let taken = one_message(town, &phone).await;
    assert!(taken.body.contains("Teapot and 1 more"), "what was gathered before the login is kept: {}", taken.body);
}

#[tokio::test]
async fn r29_outside_the_window_it_goes_at_its_opening_in_the_customers_zone() {
    let Some(town) = town() else { return };
    let (who, phone) = (json!({ "userId": unique("fay") }), phone(6));
    town.identify(who.clone(), &phone, ZONE).await;
    town.track(who, "Window Asked", json!({})).await;
    let opens = window().0.timestamp();
    assert!(Timestamp::now() < opens, "the machine was too slow for this test: the window is open already");
    // The window opens within three minutes: longer than a test usually waits.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(200);
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while town.provider().taken_by(&phone).is_empty() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "nothing came after the opening; the dispatcher's log: {}",
            town.log_of("dispatcher")
        );
        look.tick().await;
    }
    let at = Timestamp::try_from(town.provider().taken_by(&phone)[0].at).unwrap();
    assert!(at >= opens && at.duration_since(opens).as_secs() < 20, "it opens {opens}, the message came {at}");
    stays(town, &phone, 1).await;
}

#[tokio::test]
async fn r68_a_stop_by_another_name_of_the_same_person_stops_what_waits() {
    let Some(town) = town() else { return };
    let (who, phone) = (json!({ "userId": unique("gus") }), phone(7));
    town.identify(who.clone(), &phone, "Europe/London").await;
    town.track(who, "Product Added", cart(&unique("cart"), "Teapot")).await;
    town.reply(&phone, "STOP").await;
    stays(town, &phone, 0).await;
}

#[tokio::test]
async fn r89_every_service_is_ready_and_names_its_metrics_as_prometheus_asks() {
    let Some(town) = town() else { return };
    for service in SERVICES {
        eventually("a ready service", || async { town.ready(service).await.map_err(|reason| format!("{service}: {reason}")) }).await;
        let metrics = town.metrics(service).await;
        assert!(metrics.contains("cartwheel_"), "{service} has none: {metrics}");
        let Some(problems) = need(promtool(&metrics)) else { return };
        assert_eq!(problems, "", "{service}");
    }
}
