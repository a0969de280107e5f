//! One shop's campaigns at a revision, compiled: everything that can change a decision (rule P25) in one place.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cartwheel_language::{
    Campaign, Channel, Shop, TriggerKind,
    seal::{OptOut, SealKey},
    text::ShopLinks,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::kept::Reads;

/// Whether a campaign lives. Always today's, whatever version a journey follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CampaignState {
    /// Begins journeys and sends.
    Active,
    /// Begins none; what is due is held and may expire.
    Paused,
    /// Begins none, and its journeys end.
    Archived,
}

/// A campaign in force.
#[derive(Clone, Debug)]
pub struct Live {
    /// The version that new journeys follow.
    pub version: u32,
    /// Whether it lives.
    pub state: CampaignState,
    /// When it was first applied: where the file says no `runs.from`, events before this never qualify.
    pub since: Timestamp,
}

/// A version of a campaign, with what its journeys keep of their triggers.
#[derive(Clone, Debug)]
struct Version {
    campaign: Arc<Campaign>,
    reads: Reads,
}

/// A shop's campaigns at a revision.
#[derive(Clone, Debug)]
pub struct Campaigns {
    shop: Arc<Shop>,
    revision: u32,
    live: BTreeMap<String, Live>,
    versions: BTreeMap<String, BTreeMap<u32, Version>>,
    triggers: BTreeMap<String, Vec<String>>,
    exceptions: BTreeSet<String>,
    exception_reads: Reads,
    seal: Option<SealKey>,
}

impl Campaigns {
    /// Compiles the index of who listens to what. `versions` holds every version that a journey may still follow.
    pub fn new(
        shop: Arc<Shop>,
        revision: u32,
        live: BTreeMap<String, Live>,
        versions: BTreeMap<(String, u32), Arc<Campaign>>,
        seal: Option<SealKey>,
    ) -> Self {
        let mut triggers = BTreeMap::<String, Vec<String>>::new();
        let mut exceptions = BTreeSet::new();
        for ((name, version), campaign) in &versions {
            exceptions.extend(campaign.exceptions.iter().flat_map(|exception| exception.events.iter().cloned()));
            if live.get(name).is_some_and(|live| live.version == *version && live.state != CampaignState::Archived) {
                for trigger in &campaign.triggers {
                    let TriggerKind::Event { names } = &trigger.kind;
                    for event in names {
                        let listeners = triggers.entry(event.clone()).or_default();
                        if listeners.last() != Some(name) {
                            listeners.push(name.clone());
                        }
                    }
                }
            }
        }
        let exception_reads = Reads::of_exceptions(versions.values().map(AsRef::as_ref), &shop);
        let mut by_name = BTreeMap::<String, BTreeMap<u32, Version>>::new();
        for ((name, version), campaign) in versions {
            let reads = Reads::of_journeys(&campaign, &shop);
            by_name.entry(name).or_default().insert(version, Version { campaign, reads });
        }
        Self { shop, revision, live, versions: by_name, triggers, exceptions, exception_reads, seal }
    }

    /// What holds for the whole shop.
    pub fn shop(&self) -> &Shop {
        &self.shop
    }

    /// The revision's number, from 1.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The campaign's state in this revision; none if it never was.
    pub fn live(&self, campaign: &str) -> Option<&Live> {
        self.live.get(campaign)
    }

    /// A campaign as a journey's version has it.
    pub fn version(&self, campaign: &str, version: u32) -> Option<&Arc<Campaign>> {
        Some(&self.versions.get(campaign)?.get(&version)?.campaign)
    }

    /// The campaigns in force that this event may trigger, by name.
    pub fn listeners(&self, event: &str) -> &[String] {
        self.triggers.get(event).map_or(&[], Vec::as_slice)
    }

    /// Whether any version of any campaign has this event in `unless`.
    pub fn excepts(&self, event: &str) -> bool {
        self.exceptions.contains(event)
    }

    /// Whether this event can trigger or end anything.
    pub fn knows(&self, event: &str) -> bool {
        self.triggers.contains_key(event) || self.excepts(event)
    }

    /// What a journey keeps of its trigger.
    pub(crate) fn journey_reads(&self, campaign: &str, version: u32) -> Option<&Reads> {
        Some(&self.versions.get(campaign)?.get(&version)?.reads)
    }

    /// What is kept of an exception for triggers that come late.
    pub(crate) fn exception_reads(&self) -> &Reads {
        &self.exception_reads
    }

    /// The links of a message to this address: the shop's own domains and pages only, and the customer's way out.
    pub(crate) fn links(&self, address: &str) -> ShopLinks {
        let shop = &self.shop;
        let links = ShopLinks::new([shop.url.as_str()].into_iter().chain(shop.links_domain.as_deref())).with_pages(shop.pages.clone());
        let token = self.seal.as_ref().and_then(|seal| {
            let way_out = OptOut { shop: shop.id.clone(), channel: Channel::Sms.name().to_owned(), address: address.to_owned() };
            seal.seal(&way_out).ok()
        });
        match (token, &shop.links_domain) {
            (Some(token), Some(domain)) => links.with_opt_out(format!("https://{domain}/o/{token}")),
            _ => links,
        }
    }
}
