//! What campaigns mean once they are read: defaults, inference, the sentence, and the file with every default.

use std::path::Path;

use cartwheel_language::{
    Again, Campaign, Class, Delivery, Each, Moment, Of, Outside, Over, Period, Project, Restarts, SourceFile, Sources, Verb, Wait,
    WhenFull, for_language, read, sentence, show,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn shared(name: &str) -> SourceFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    SourceFile { path: name.to_owned(), text }
}

fn sources(shop: String, campaign: &str) -> Sources {
    let name = campaign.split_whitespace().nth(1).unwrap_or("campaign").to_owned();
    Sources {
        shop: SourceFile { path: "shop.yaml".to_owned(), text: shop },
        campaigns: vec![SourceFile { path: format!("campaigns/{name}.yaml"), text: campaign.to_owned() }],
        tracking_plan: Some(shared("tracking-plan.json")),
    }
}

fn project_in(shop: String, campaign: &str) -> Project {
    let reading = read(&sources(shop, campaign));
    let problems: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    reading.project.unwrap_or_else(|| panic!("{problems:#?}"))
}

fn project(campaign: &str) -> Project {
    project_in(shared("shop.yaml").text, campaign)
}

fn only(project: &Project) -> &Campaign {
    project.campaigns.values().next().expect("a campaign")
}

fn said(campaign: &str) -> String {
    let project = project(campaign);
    sentence(only(&project), &project.shop)
}

const SHORTEST: &str = "campaign: abandoned-cart
when:     { event: Product Added }
unless:   [Order Completed]
wait:     30m
send:     { sms: { text: { en: \"Your cart is as you left it: {{ link(cart.url) }}\" } } }
";

const TRANSACTIONAL: &str = "campaign: order-confirmation
class: transactional
when:  { event: Order Completed }
send:  { sms: { text: { en: \"We have your order\" } } }
";

/// Every key that this version has, none at its default.
const FULL: &str = "campaign: full
class:    promotional
tags:     [discount]
when:
  - { event: [Product Added, Checkout Started], where: \"event.price > 5\", each: cart }
  - { event: Cart Viewed, each: cart }
unless:
  - { event: [Order Refunded, Order Delivered], where: \"event.order_id != ''\", of: any }
  - Cart Cleared
audience: \"cart.value >= 20 && count('Order Completed', days(30)) == 0\"
runs:     { from: 2026-12-01, to: \"2027-12-24 10:00+01:00\" }
restarts: always
again:    3d
parallel: false
ignore_older_than: 6h
wait:     { for: 5d, at: \"18:00\" }
send:
  tags: [discount]
  sms:
    text: { en: \"Your cart: \\\"{{ shop.name }}\\\"\\nand more\", ro: Salut }
    max_parts: 3
    over: shorten
    transliterate: true
    from: \"+1 555 010 0100\"
    footer: false
window:   { open: \"10:00\", close: \"19:00\", days: [mon, sat], outside: drop }
expires_after: 2h
caps:     { obey: false, count: false, when_full: defer }
delivery: at_least_once
";

#[test]
fn a_promotional_campaign_has_the_defaults_of_the_language() {
    let project = project(SHORTEST);
    let campaign = only(&project);
    assert_eq!(campaign.class, Class::Promotional);
    assert_eq!(campaign.triggers[0].each, Each::Object("cart".to_owned()));
    assert_eq!(campaign.exceptions[0].of, Of::Same);
    assert_eq!((campaign.restarts, campaign.again), (Restarts::UntilSent, Again::Never));
    assert!(campaign.parallel);
    assert_eq!(campaign.ignore_older_than.to_string(), "72h");
    assert_eq!(campaign.expires_after.to_string(), "24h");
    assert_eq!(campaign.outside, Outside::Hold);
    let window: Vec<String> = campaign.window.iter().map(|hours| format!("{}-{}", hours.open, hours.close)).collect();
    assert_eq!(window, ["09:00-21:00"]);
    assert!(campaign.caps.obey && campaign.caps.count);
    assert_eq!(campaign.caps.when_full, WhenFull::Skip);
    assert_eq!(campaign.delivery, Delivery::AtMostOnce);
    let [wait, send] = campaign.steps.as_slice() else { panic!("{:?}", campaign.steps) };
    assert!(matches!(&wait.verb, Verb::Wait(Wait::For { span, at: None }) if span.to_string() == "30m"));
    let Verb::Send(send) = &send.verb else { panic!("{send:?}") };
    assert_eq!((send.sms.max_parts, send.sms.over, send.sms.transliterate), (2, Over::Refuse, false));
    assert_eq!(send.sms.footer.keys().collect::<Vec<_>>(), ["en"]);
    assert_eq!(send.sms.sender_to(Some("US")).from.as_deref(), Some("+1 555 010 0100"));
    assert_eq!(send.sms.sender_to(Some("GB")).from.as_deref(), Some("HollowOak"));
    assert_eq!(send.sms.sender_to(None).provider, "sms-main");
}

#[test]
fn a_transactional_campaign_has_the_defaults_of_the_language() {
    let project = project(TRANSACTIONAL);
    let campaign = only(&project);
    assert!(campaign.window.is_empty() && !campaign.caps.obey && !campaign.caps.count);
    assert_eq!(campaign.delivery, Delivery::AtLeastOnce);
    let [send] = campaign.steps.as_slice() else { panic!("{:?}", campaign.steps) };
    assert!(matches!(&send.verb, Verb::Send(send) if send.sms.footer.is_empty()));
}

#[test]
fn r30_a_shop_without_caps_and_quiet_hours_has_those_of_the_language() {
    let text = shared("shop.yaml").text;
    let begin = text.find("caps:").expect("caps");
    let end = text.find("senders:").expect("senders");
    let project = project_in(format!("{}{}", &text[..begin], &text[end..]), SHORTEST);
    let caps: Vec<_> = project.shop.caps.iter().map(|cap| (cap.at_most, cap.per, cap.class)).collect();
    assert_eq!(caps, [(1, Period::Day, Some(Class::Promotional)), (3, Period::Week, Some(Class::Promotional))]);
    assert_eq!(only(&project).window.len(), 1);
}

#[test]
fn r33_a_customers_journey_may_begin_again_and_any_event_ends_it() {
    let project =
        project("campaign: browse\nwhen: { event: Product Viewed }\nunless: [Order Completed]\nsend: { sms: { text: { en: Hello } } }\n");
    let campaign = only(&project);
    assert_eq!((&campaign.triggers[0].each, campaign.again), (&Each::Customer, Again::Always));
    assert_eq!(campaign.exceptions[0].of, Of::Any);
}

#[test]
fn r28_a_day_is_the_customers_and_an_offset_is_one_instant() {
    let project = project(FULL);
    let runs = &only(&project).runs;
    let from = runs.from.expect("from");
    let tokyo = TimeZone::fixed(jiff::tz::offset(9));
    assert_eq!(from.instant(&TimeZone::UTC).to_string(), "2026-12-01T00:00:00Z");
    assert_eq!(from.instant(&tokyo).to_string(), "2026-11-30T15:00:00Z");
    let to = runs.to.expect("to");
    assert!(matches!(to, Moment::Instant(_)));
    assert_eq!(to.instant(&tokyo).to_string(), "2027-12-24T09:00:00Z");
}

#[test]
fn r57_a_text_is_taken_for_the_language_its_base_or_the_fallback() {
    let texts = [("en", 1), ("zh", 2), ("zh-Hant", 3)].map(|(language, text)| (language.to_owned(), text)).into();
    for (language, taken) in [(Some("zh-Hant-HK"), 3), (Some("zh-Hans"), 2), (Some("sv"), 1), (None, 1)] {
        assert_eq!(for_language(&texts, language, "en").map(|(_, text)| *text), Some(taken), "{language:?}");
    }
}

#[test]
fn the_sentence_says_what_was_inferred() {
    assert_eq!(
        said(SHORTEST),
        "one journey per cart, by event.cart_id; Order Completed of the same cart ends it; promotional, SMS, 09:00-21:00 local, \
         expires after 24h"
    );
    assert_eq!(said(TRANSACTIONAL), "one journey per order, by event.order_id; transactional, SMS, at any hour, expires after 24h");
    assert_eq!(
        said(FULL),
        "one journey per cart, by event.cart_id; Order Refunded or Order Delivered of \
         any cart if event.order_id != '' ends it; Cart Cleared of the same cart ends it; promotional, SMS, 10:00-19:00 local on \
         mon, sat, expires after 2h"
    );
}

#[test]
fn a_campaign_shown_and_read_again_is_the_same_campaign() {
    let waits = ["30m", "{ until: \"18:00\" }", "{ until: 30m of silence }", "{ for: 2d, at: \"09:30\" }"];
    let waiting = waits.map(|wait| SHORTEST.replace("30m", wait));
    for text in waiting.iter().map(String::as_str).chain([SHORTEST, TRANSACTIONAL, FULL]) {
        let before = project(text);
        let shown = show(only(&before), &before.shop);
        let after = project(&shown);
        assert_eq!(format!("{:?}", only(&before)), format!("{:?}", only(&after)), "{shown}");
        assert_eq!(shown, show(only(&after), &after.shop));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(at in 0.0..1.0f64, length in 0usize..12, put in "[-\\[\\]{}:,'\"|>#&*!%@ \t\na-z0-9é{}]{0,6}") {
        for base in [FULL.to_owned(), shared("shop.yaml").text] {
            let letters: Vec<char> = base.chars().collect();
            let begin = (letters.len() as f64 * at) as usize;
            let end = (begin + length).min(letters.len());
            let changed: String =
                letters[..begin].iter().copied().chain(put.chars()).chain(letters[end..].iter().copied()).collect();
            let as_campaign = read(&sources(shared("shop.yaml").text, &changed));
            let as_shop = read(&sources(changed, FULL));
            for reading in [as_campaign, as_shop] {
                for problem in &reading.problems {
                    prop_assert!(problem.line >= 1 && problem.column >= 1);
                }
            }
        }
    }
}
