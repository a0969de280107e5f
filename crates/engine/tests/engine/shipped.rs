//! Each campaign that ships, played through, and the message that the customer reads.

use serde_json::{Value as Json, json};

use crate::{
    play::{Play, at, hours, minutes},
    shop::shipped,
};

fn play() -> Play {
    let mut play = Play::with_customer(shipped());
    play.traits(json!({ "first_name": "Ann" }));
    play
}

fn without_footer(play: &Play) -> Vec<String> {
    play.messages.iter().map(|message| message.text.split("\nStop:").take(1).collect()).collect()
}

fn added() -> Json {
    json!({ "cart_id": "c1", "cart_url": "https://hollow-oak.example/cart/c1", "product_id": "l", "name": "Oak lamp", "price": 30, "currency": "GBP", "quantity": 1, "url": "https://hollow-oak.example/p/l" })
}

fn order() -> Json {
    json!({ "order_id": "A1", "cart_id": "c1", "total": 1234.5, "currency": "GBP", "status_url": "https://hollow-oak.example/orders/A1",
        "products": [{ "product_id": "l", "name": "Oak lamp", "price": 30, "quantity": 1 }] })
}

#[test]
fn r04_shipped_abandoned_cart() {
    let mut play = play();
    play.track("Product Added", added());
    play.track("Product Added", json!({ "cart_id": "c1", "product_id": "v", "name": "Vase", "price": 5, "quantity": 2 }));
    play.pass(minutes(30));
    assert_eq!(
        without_footer(&play),
        ["Ann, your cart at Hollow Oak is as you left it: Oak lamp and 1 more. https://hollow-oak.example/cart/c1"]
    );
    assert!(play.messages[0].text.contains("\nStop: https://hlok.example/o/"));
}

#[test]
fn r05_shipped_browse_abandonment() {
    let mut play = play();
    let viewed = json!({ "product_id": "l", "name": "Oak lamp", "price": 30, "currency": "GBP", "url": "https://hollow-oak.example/p/l" });
    play.track("Product Viewed", viewed.clone());
    play.pass(minutes(29));
    play.track(
        "Product Viewed",
        json!({ "product_id": "s", "name": "Sticker", "price": 1, "currency": "GBP", "url": "https://hollow-oak.example/p/s" }),
    );
    play.pass(minutes(29));
    assert_eq!(play.sent(), 0);
    play.pass(minutes(1));
    assert_eq!(without_footer(&play), ["Still thinking about Oak lamp? It is here whenever you are: https://hollow-oak.example/p/l"]);
    let mut bought = self::play();
    bought.track("Product Viewed", viewed);
    bought.track("Product Added", added());
    bought.pass(minutes(31));
    assert_eq!(bought.messages.iter().map(|message| message.campaign.as_str()).collect::<Vec<_>>(), ["abandoned-cart"]);
}

#[test]
fn r06_shipped_welcome_after_registration_or_the_first_purchase_once() {
    let mut play = play();
    play.track("Signed Up", json!({}));
    assert_eq!(without_footer(&play), ["Welcome to Hollow Oak, Ann! WELCOME15 takes 15% off your next order: https://hollow-oak.example/"]);
    play.pass(hours(24 * 20));
    play.track("Order Completed", order());
    assert_eq!(play.messages.iter().filter(|message| message.campaign == "welcome").count(), 1);
    let mut buyer = self::play();
    buyer.track("Order Completed", order());
    assert_eq!(buyer.messages.iter().filter(|message| message.campaign == "welcome").count(), 1);
}

#[test]
fn r08_shipped_order_confirmation_and_shipping_at_once_by_night() {
    let mut play = play();
    play.pass_until(at("2026-03-03T03:00:00Z"));
    play.track("Order Completed", order());
    play.track("Order Shipped", json!({ "shipment_id": "s1", "order_id": "A1", "expected_on": "2026-03-05", "tracking_url": "https://hollow-oak.example/parcels/s1" }));
    let texts: Vec<_> = play.messages.iter().map(|message| message.text.clone()).collect();
    assert_eq!(texts[0], "We have your order A1 for £1,234.50. Follow it here: https://hollow-oak.example/orders/A1");
    assert!(
        texts[1].starts_with("Order A1 is on its way and should arrive on ") && texts[1].ends_with("https://hollow-oak.example/parcels/s1"),
        "{}",
        texts[1]
    );
}

#[test]
fn r09_shipped_review_request_at_six_in_the_evening_five_days_later() {
    let mut play = play();
    play.track("Order Delivered", json!({ "order_id": "A1" }));
    play.pass_until(at("2026-03-07T17:59:59Z"));
    assert_eq!(play.sent(), 0);
    play.pass_until(at("2026-03-07T18:00:00Z"));
    assert_eq!(
        without_footer(&play),
        ["How is it, Ann? Two minutes of your opinion help others choose: https://hollow-oak.example/review"]
    );
    let mut reviewed = self::play();
    reviewed.track("Order Delivered", json!({ "order_id": "A1" }));
    reviewed.track("Product Reviewed", json!({ "product_id": "x" }));
    reviewed.pass(hours(200));
    assert_eq!(reviewed.sent(), 0);
}
