//! The shop that ships in `campaigns/`: right, complete, and said back as it is meant.

use std::path::{Path, PathBuf};

use cartwheel_language::{Project, SourceFile, Sources, read, sentence, show};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../campaigns")
}

fn file(path: &str) -> SourceFile {
    let text = std::fs::read_to_string(folder().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    SourceFile { path: path.to_owned(), text }
}

fn sources() -> Sources {
    let entries = std::fs::read_dir(folder().join("campaigns")).expect("campaigns");
    let mut names: Vec<String> = entries.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Sources {
        shop: file("shop.yaml"),
        campaigns: names.iter().map(|name| file(&format!("campaigns/{name}"))).collect(),
        tracking_plan: Some(file("tracking-plan.json")),
    }
}

fn project(sources: &Sources) -> Project {
    let reading = read(sources);
    let problems: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [""; 0], "the shipped shop has nothing to complain about");
    reading.project.expect("a project")
}

#[test]
fn the_shipped_shop_says_what_it_means() {
    let project = project(&sources());
    let said: Vec<String> =
        project.campaigns.values().map(|campaign| format!("{}: {}", campaign.name, sentence(campaign, &project.shop))).collect();
    assert_eq!(
        said,
        [
            "abandoned-cart: one journey per cart, by event.cart_id; Order Completed or Cart Cleared of the same cart ends it; \
             promotional, SMS, 09:00-21:00 local, expires after 24h",
            "browse-abandonment: one journey per customer; Product Added or Order Completed ends it; \
             promotional, SMS, 09:00-21:00 local, expires after 24h",
            "order-confirmation: one journey per order, by event.order_id; transactional, SMS, at any hour, expires after 24h",
            "order-shipped: one journey per shipment, by event.shipment_id; transactional, SMS, at any hour, expires after 24h",
            "review-request: one journey per order, by event.order_id; Order Refunded of the same order ends it; \
             Product Reviewed of any order ends it; promotional, SMS, 09:00-21:00 local, expires after 24h",
            "welcome: one journey per customer; promotional, SMS, 09:00-21:00 local, expires after 24h",
        ]
    );
}

#[test]
fn a_campaign_shown_with_every_default_is_the_same_campaign() {
    let sources = sources();
    let before = project(&sources);
    let shown = before
        .campaigns
        .values()
        .map(|campaign| SourceFile { path: format!("campaigns/{}.yaml", campaign.name), text: show(campaign, &before.shop) });
    let after = project(&Sources { campaigns: shown.collect(), ..sources });
    for (name, campaign) in &before.campaigns {
        assert_eq!(format!("{campaign:?}"), format!("{:?}", after.campaigns[name]), "{}", show(campaign, &before.shop));
    }
}

#[test]
fn the_recorded_shop_keeps_the_shipped_tracking_plan() {
    let plan: serde_json::Value = serde_json::from_str(&file("tracking-plan.json").text).expect("JSON");
    let recording = std::fs::read_to_string(folder().join("../tests/fixtures/hollow-oak/events.jsonl")).expect("the recording");
    let mut checked = 0;
    for line in recording.lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let Some(event) = message["event"].as_str() else { continue };
        let mut schema = plan[event].clone();
        assert!(schema.is_object(), "`{event}` is not in the tracking plan");
        schema["$defs"] = plan["$defs"].clone();
        let properties = &message["properties"];
        jsonschema::validate(&schema, properties).unwrap_or_else(|error| panic!("{event}: {error}: {properties}"));
        for name in properties.as_object().into_iter().flat_map(|properties| properties.keys()) {
            assert!(!schema["properties"][name].is_null(), "`{name}` of `{event}` is not in the tracking plan");
        }
        checked += 1;
    }
    assert!(checked > 1_000, "only {checked} messages");
}
