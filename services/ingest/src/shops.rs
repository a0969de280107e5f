//! The shops as the edge knows them now. The reader of definitions writes, everybody else reads a snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

/// What the edge needs to know of a shop.
#[derive(Clone, Debug, Default)]
pub struct KnownShop {
    /// The id in keys.
    pub id: String,
    /// The region that national phone numbers are read in (ISO 3166 code): that of the shop's own number. None: only international
    /// ones are taken.
    pub region: Option<String>,
    /// The events about its orders, which browser keys may not send.
    pub order_events: BTreeSet<String>,
    /// The names of its HTTP sources by the name of their write key.
    pub write_keys: BTreeMap<String, String>,
}

/// All shops at one moment, by id.
pub type Snapshot = Arc<BTreeMap<String, Arc<KnownShop>>>;

/// A handle to the shops; copies are the same.
#[derive(Clone, Debug, Default)]
pub struct Shops(Arc<RwLock<Snapshot>>);

/// Who a write key belongs to.
#[derive(Clone, Debug)]
pub struct KeyOwner {
    /// The shop.
    pub shop: Arc<KnownShop>,
    /// The name of the source in its shop file.
    pub source: String,
}

impl Shops {
    /// All shops as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts all shops in the place of those before.
    pub fn replace(&self, shops: BTreeMap<String, Arc<KnownShop>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shops);
    }

    /// A shop by its id.
    pub fn get(&self, id: &str) -> Option<Arc<KnownShop>> {
        self.snapshot().get(id).cloned()
    }

    /// The shop whose file names this write key; none if no shop does or several do, because events must not land in the wrong one.
    pub fn owner_of_key(&self, write_key: &str) -> Option<KeyOwner> {
        let snapshot = self.snapshot();
        let mut owners = snapshot.values().filter_map(|shop| {
            let source = shop.write_keys.get(write_key)?;
            Some(KeyOwner { shop: shop.clone(), source: source.clone() })
        });
        let owner = owners.next()?;
        if owners.next().is_some() {
            tracing::warn!(write_key, "several shops name this write key in their files; nothing is taken with it until only one does");
            return None;
        }
        Some(owner)
    }
}
