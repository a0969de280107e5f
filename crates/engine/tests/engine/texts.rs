//! What a message says (R55, R56, R57).

use cartwheel_engine::decision::{Reason, Verdict};
use serde_json::json;

use crate::{
    play::{Play, at},
    shop::Shop,
};

fn with(text: &str, change: &str) -> Play {
    let campaign = format!("campaign: say\nwhen: {{ event: Ping, each: event }}\nsend: {{ sms: {{ text: {{ {text} }}{change} }} }}\n");
    Play::with_customer(
        Shop::with("caps: [{ at_most: 1000, per: day }]\nquiet_hours: { promotional: none, transactional: none }\n")
            .campaign(&campaign)
            .open(),
    )
}

#[test]
pub(crate) fn r55_a_missing_variable_is_never_an_empty_hole() {
    let mut play = with("en: \"Hello {{ event.word }}\"", "");
    play.track("Ping", json!({}));
    let skipped = play.last(Verdict::Skipped);
    assert_eq!((skipped.reason, skipped.detail.as_deref()), (Reason::TextFailed, Some("`event.word` is missing")));
    play.track("Ping", json!({ "word": "you" }));
    assert_eq!(play.texts(), ["Hello you"]);
}

#[test]
pub(crate) fn r55_texts_see_customer_shop_orders_and_journey() {
    let mut play = with(
        "en: \"{{ customer.first_name | default('You') }} at {{ shop.name }}: {{ orders.count }} order, {{ orders.value | money('GBP') }}, {{ campaign.name }}\"",
        "",
    );
    play.traits(json!({ "first_name": "Ann" }));
    play.track("Order Completed", json!({ "order_id": "o1", "total": 12.5, "currency": "GBP" }));
    play.track("Order Completed", json!({ "order_id": "o1", "total": 12.5, "currency": "GBP" }));
    play.track("Ping", json!({}));
    assert_eq!(play.texts(), ["Ann at Acme: 1 order, £12.50, say"]);
}

#[test]
pub(crate) fn r56_parts_are_counted_at_their_edges_and_too_many_are_refused() {
    for (letter, length, parts) in [("a", 160, 1), ("a", 161, 2), ("a", 459, 3), ("ж", 70, 1), ("ж", 71, 2)] {
        let mut play = with("en: \"{{ event.word }}\"", "");
        play.track("Ping", json!({ "word": letter.repeat(length) }));
        assert_eq!(play.messages[0].parts, parts, "{length} of {letter}");
    }
    let mut play = with("en: \"{{ event.word }}\"", "");
    play.track("Ping", json!({ "word": "a".repeat(460) }));
    assert_eq!((play.sent(), play.last(Verdict::Skipped).reason), (0, Reason::TooManyParts));
}

#[test]
pub(crate) fn r56_a_longer_text_is_shortened_or_written_in_latin_letters_by_choice() {
    let mut short = with("en: \"{{ event.word }}\"", ", max_parts: 1, over: shorten");
    short.track("Ping", json!({ "word": "word ".repeat(60) }));
    assert_eq!(short.messages[0].parts, 1);
    let mut latin = with("en: \"{{ event.word }}\"", ", transliterate: true");
    latin.track("Ping", json!({ "word": "Привет" }));
    assert!(latin.messages[0].text.is_ascii());
}

#[test]
pub(crate) fn r57_the_customers_language_decides_and_the_shops_first_is_the_fallback() {
    let campaign = "campaign: say\nwhen: { event: Ping, each: event }\nsend: { sms: { text: { en: Hello, de: Hallo } } }\n";
    let shop =
        Shop::with("caps: [{ at_most: 1000, per: day }]\nquiet_hours: { promotional: none, transactional: none }\n").campaign(campaign);
    let mut play = Play::with_customer(shop.open());
    for (language, text) in [(json!("de-AT"), "Hallo"), (json!("fr"), "Hello"), (json!(null), "Hello")] {
        play.traits(json!({ "language": language }));
        play.track("Ping", json!({}));
        assert_eq!(*play.texts().last().unwrap(), text);
    }
}

#[test]
pub(crate) fn the_opt_out_link_is_of_this_address_alone() {
    let mut play = Play::with_customer(crate::shop::shipped());
    play.pass_until(at("2026-03-02T13:00:00Z"));
    play.track("Signed Up", json!({}));
    assert!(play.texts()[0].contains("https://hlok.example/o/"), "{}", play.texts()[0]);
}
