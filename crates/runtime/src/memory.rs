//! State by partition in memory: what `cartwheel dev` and the simulation keep instead of Redis, with the same meaning of every call.
//!
//! Nothing survives the process. A [`Snapshot`] can be taken and put back, which is how a rolled-back store (rule P1) is rehearsed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::{
    log::Partition,
    store::{Change, Facts, Fence, Loaded, PartitionStore, StoreError, Written},
};

/// A [`PartitionStore`] in memory. Calls never wait and never fail.
#[derive(Debug, Default)]
pub struct MemoryStore {
    partitions: Mutex<BTreeMap<Partition, Contents>>,
}

/// All that a [`MemoryStore`] held at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(BTreeMap<Partition, Contents>);

#[derive(Clone, Debug, Default)]
struct Contents {
    facts: Option<Facts>,
    values: BTreeMap<String, Bytes>,
    views: BTreeMap<&'static str, BTreeMap<String, Bytes>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// All that the store holds now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.lock().clone())
    }

    /// Puts an earlier moment back, as a failover to a lagging replica would; the default snapshot empties the store.
    pub fn restore(&self, snapshot: Snapshot) {
        *self.lock() = snapshot.0;
    }

    /// All values of a partition by key: what no service may ask for, and who judges a run must.
    pub fn values(&self, partition: Partition) -> BTreeMap<String, Bytes> {
        self.lock().get(&partition).map(|contents| contents.values.clone()).unwrap_or_default()
    }

    /// All entries of a view of a partition, as [`MemoryStore::values`].
    pub fn view(&self, partition: Partition, view: &str) -> BTreeMap<String, Bytes> {
        self.lock().get(&partition).and_then(|contents| contents.views.get(view)).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Contents>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, partition: Partition, values: impl FnOnce(&Contents) -> Vec<Option<Bytes>>) -> Loaded {
        let mut partitions = self.lock();
        let contents = partitions.entry(partition).or_default();
        Loaded { facts: contents.facts.clone(), values: values(contents) }
    }
}

impl PartitionStore for MemoryStore {
    fn load<'a>(&'a self, partition: Partition, keys: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        let loaded = self.read(partition, |contents| keys.iter().map(|key| contents.values.get(key).cloned()).collect());
        Box::pin(std::future::ready(Ok(loaded)))
    }

    fn look<'a>(&'a self, partition: Partition, view: &'static str, entries: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        let loaded = self.read(partition, |contents| {
            let view = contents.views.get(view);
            entries.iter().map(|entry| view.and_then(|view| view.get(entry)).cloned()).collect()
        });
        Box::pin(std::future::ready(Ok(loaded)))
    }

    fn write<'a>(
        &'a self,
        partition: Partition,
        expected: Option<&'a Fence>,
        facts: &'a Facts,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        let mut partitions = self.lock();
        let contents = partitions.entry(partition).or_default();
        let written = if contents.facts.as_ref().map(|facts| &facts.fence) == expected {
            contents.apply(facts, change);
            Written::Done
        } else {
            Written::Fenced { stored: contents.facts.clone() }
        };
        Box::pin(std::future::ready(Ok(written)))
    }
}

impl Contents {
    fn apply(&mut self, facts: &Facts, change: &Change) {
        self.facts = Some(facts.clone());
        for (key, value) in &change.values {
            put(&mut self.values, key, value.as_ref());
        }
        for (view, entry, value) in &change.views {
            put(self.views.entry(view).or_default(), entry, value.as_ref());
        }
    }
}

fn put(map: &mut BTreeMap<String, Bytes>, key: &str, value: Option<&Bytes>) {
    match value {
        Some(value) => map.insert(key.to_owned(), value.clone()),
        None => map.remove(key),
    };
}
