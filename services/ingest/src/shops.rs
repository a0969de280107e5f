//! The shops as the edge knows them now. [`definitions`](crate::definitions) writes, everybody else reads a snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use cartwheel_language::{Shop, Source, TopicSource, phone};
use tokio::sync::watch;

use crate::callbacks::keywords::OwnWords;

/// The name of the object of `shop.yaml` whose events are about money: browser keys may not send them.
const ORDER: &str = "order";

/// What the edge needs to know of a shop.
#[derive(Clone, Debug, Default)]
pub struct KnownShop {
    /// The id in keys.
    pub id: String,
    /// The name that customers know.
    pub name: String,
    /// The language for who has none of the shop's.
    pub language: String,
    /// The region that national phone numbers are read in (ISO 3166 code): that of the shop's own number. None: only international
    /// ones are taken.
    pub region: Option<String>,
    /// The events about its orders, which browser keys may not send.
    pub order_events: BTreeSet<String>,
    /// The names of its HTTP sources by the name of their write key.
    pub write_keys: BTreeMap<String, String>,
    /// Its Kafka sources by name.
    pub topics: BTreeMap<String, Arc<TopicSource>>,
    /// Its own words for stop, start and help.
    pub words: OwnWords,
    /// The numbers that its text messages come from, digits only, by the provider's name.
    pub numbers: BTreeMap<String, BTreeSet<String>>,
}

impl KnownShop {
    /// What the edge needs of a shop file.
    pub fn of(shop: &Shop) -> Self {
        let region = shop.phone.as_deref().and_then(|number| phone::parse(number, None).ok()?.region().map(str::to_owned));
        let mut known = Self {
            id: shop.id.clone(),
            name: shop.name.clone(),
            language: shop.fallback_language().to_owned(),
            region,
            order_events: shop.objects.get(ORDER).map(|object| object.events.iter().cloned().collect()).unwrap_or_default(),
            words: OwnWords { stop: shop.keywords.stop.clone(), start: shop.keywords.start.clone(), help: shop.keywords.help.clone() },
            ..Self::default()
        };
        for (name, source) in &shop.sources {
            match source {
                Source::Http(http) => drop(known.write_keys.insert(http.write_key.clone(), name.clone())),
                Source::Topic(topic) => drop(known.topics.insert(name.clone(), Arc::new(topic.as_ref().clone()))),
            }
        }
        if let Some(sms) = &shop.senders.sms {
            for sender in std::iter::once(&sms.sender).chain(sms.countries.values()) {
                let numbers = known.numbers.entry(sender.provider.clone()).or_default();
                numbers.extend(sender.from.as_deref().filter(|_| sender.receives()).map(digits));
            }
        }
        known
    }
}

/// The digits of a number as anybody writes it.
pub(crate) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// All shops at one moment, by id.
pub type Snapshot = Arc<BTreeMap<String, Arc<KnownShop>>>;

/// A handle to the shops; copies are the same.
#[derive(Clone, Debug)]
pub struct Shops {
    now: Arc<RwLock<Snapshot>>,
    changes: watch::Sender<()>,
}

/// Who a write key belongs to.
#[derive(Clone, Debug)]
pub struct KeyOwner {
    /// The shop.
    pub shop: Arc<KnownShop>,
    /// The name of the source in its shop file.
    pub source: String,
}

impl Default for Shops {
    fn default() -> Self {
        Self { now: Arc::default(), changes: watch::Sender::new(()) }
    }
}

impl Shops {
    /// All shops as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts all shops in the place of those before.
    pub fn replace(&self, shops: BTreeMap<String, Arc<KnownShop>>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shops);
        self.changes.send_replace(());
    }

    /// Tells when shops were replaced.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// A shop by its id.
    pub fn get(&self, id: &str) -> Option<Arc<KnownShop>> {
        self.snapshot().get(id).cloned()
    }

    /// The shop whose file names a write key that `is_it`; none if no shop does or several do, because events must not land in the
    /// wrong one.
    pub fn owner_of_key(&self, is_it: impl Fn(&str) -> bool) -> Option<KeyOwner> {
        let snapshot = self.snapshot();
        let mut owners = snapshot.values().filter_map(|shop| {
            let (_, source) = shop.write_keys.iter().find(|(name, _)| is_it(name))?;
            Some(KeyOwner { shop: shop.clone(), source: source.clone() })
        });
        let owner = owners.next()?;
        if let Some(other) = owners.next() {
            let (one, other) = (&owner.shop.id, &other.shop.id);
            tracing::warn!(one, other, "two shops name one write key in their files; nothing is taken with it until only one does");
            return None;
        }
        Some(owner)
    }
}
