//! Shops and campaigns for tests, from the text that a marketer would write.

use std::{collections::BTreeMap, sync::Arc};

use cartwheel_engine::campaigns::{CampaignState, Campaigns, Live};
use cartwheel_language::{Campaign, SourceFile, Sources, read, seal::SealKey};
use jiff::Timestamp;

/// When every campaign of a test was applied.
pub(crate) const APPLIED: &str = "2026-03-01T00:00:00Z";

const BASE: &str = r#"
grammar: 1
shop: acme
name: Acme
url: https://acme.example
zone: Europe/London
languages: [en]
currencies: [GBP]
channels: [sms]
senders: { sms: { provider: main, from: "+44 7700 900000", max_parts: 3, over: refuse } }
objects:
  cart:  { id: cart_id, events: [Product Added, Product Removed, Cart Cleared] }
  order: { id: order_id, events: [Order Completed, Order Shipped] }
"#;

/// Neither quiet hours nor caps: what a test is not about does not stand in its way.
const FREE: &str = "quiet_hours: { promotional: none, transactional: none }\ncaps: [{ at_most: 1000, per: day }]\n";

/// The abandoned cart that most tests are about.
pub(crate) const CART: &str = r#"
campaign: cart
when:   { event: Product Added, each: cart }
unless: [Order Completed]
wait:   30m
again:  always
send:   { sms: { text: { en: "Your cart: {% for line in cart.products %}{{ line.quantity }} {{ line.name }} {% endfor %}" } } }
"#;

/// A shop in the making.
#[derive(Clone)]
pub(crate) struct Shop {
    extra: String,
    files: Vec<String>,
}

impl Shop {
    /// A shop without quiet hours and caps.
    pub(crate) fn free() -> Self {
        Self::with(FREE)
    }

    /// A shop with these further keys of `shop.yaml`.
    pub(crate) fn with(extra: &str) -> Self {
        Self { extra: extra.to_owned(), files: Vec::new() }
    }

    /// Adds a campaign.
    pub(crate) fn campaign(mut self, text: &str) -> Self {
        self.files.push(text.to_owned());
        self
    }

    /// The campaigns in force, at version 1, since [`APPLIED`].
    pub(crate) fn open(&self) -> Campaigns {
        self.open_as(1, |_| CampaignState::Active, |_| {})
    }

    /// The campaigns in states and, where a file cannot say it yet, changed.
    pub(crate) fn open_as(&self, revision: u32, state: impl Fn(&str) -> CampaignState, change: impl Fn(&mut Campaign)) -> Campaigns {
        let files = self.files.iter().map(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("campaign:")).expect("a campaign has a name").trim();
            SourceFile { path: format!("campaigns/{name}.yaml"), text: text.clone() }
        });
        let shop = SourceFile { path: "shop.yaml".to_owned(), text: format!("{BASE}{}", self.extra) };
        open(&Sources { shop, campaigns: files.collect(), tracking_plan: None }, revision, state, change)
    }
}

/// The shop that ships with Cartwheel.
#[expect(clippy::disallowed_methods, reason = "a test may read the files that ship")]
pub(crate) fn shipped() -> Campaigns {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../campaigns");
    let file = |path: &str| SourceFile { path: path.to_owned(), text: std::fs::read_to_string(folder.join(path)).expect(path) };
    let entries = std::fs::read_dir(folder.join("campaigns")).expect("the shipped campaigns");
    let names = entries.map(|entry| entry.expect("a file").file_name().into_string().expect("a name in ASCII"));
    let sources = Sources {
        shop: file("shop.yaml"),
        campaigns: names.map(|name| file(&format!("campaigns/{name}"))).collect(),
        tracking_plan: Some(file("tracking-plan.json")),
    };
    open(&sources, 1, |_| CampaignState::Active, |_| {})
}

fn open(sources: &Sources, revision: u32, state: impl Fn(&str) -> CampaignState, change: impl Fn(&mut Campaign)) -> Campaigns {
    let reading = read(sources);
    let problems: Vec<String> = reading.problems.iter().map(ToString::to_string).collect();
    let project = reading.project.unwrap_or_else(|| panic!("the test's files are wrong: {problems:#?}"));
    let since: Timestamp = APPLIED.parse().expect("a moment");
    let live = project.campaigns.keys().map(|name| (name.clone(), Live { version: 1, state: state(name), since })).collect();
    let versions: BTreeMap<(String, u32), Arc<Campaign>> = project
        .campaigns
        .into_iter()
        .map(|(name, campaign)| {
            let mut campaign = (*campaign).clone();
            change(&mut campaign);
            ((name, 1), Arc::new(campaign))
        })
        .collect();
    let seal = SealKey::from_secret("a secret of the tests, long enough").ok();
    Campaigns::new(Arc::new(project.shop), revision, live, versions, seal)
}
