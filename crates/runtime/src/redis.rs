//! State by partition in Redis or Valkey: standalone, behind Sentinel, or Cluster.
//!
//! All keys of a partition share a hash tag, so that each call is one transaction in one slot (see [`mod@keys`]):
//! a read is `MULTI` with the facts and the values, a write is one script, called by its SHA and sent again where a server does not
//! know it. Both go to a primary: reads carry a `PERSIST`, a write that changes nothing (no key has a time to live), so that a replica
//! and a primary cut off from its replicas refuse them.
//!
//! A server that evicts keys is refused, when it is connected and for as long as it is used: in a trial `allkeys-lru` silently removed 186
//! of 200 opt-outs. The settings are read from `INFO`; `CONFIG` is never used, because managed services do not allow it.

mod config;
pub mod keys;
mod link;
mod script;

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use redis::{Pipeline, Value};

use crate::{
    log::Partition,
    store::{Change, Facts, Fence, Loaded, PartitionStore, StoreError, Written},
};

pub use config::{RedisConfig, Topology};

use keys::Keys;
use link::Link;
use script::WRITE;

/// The fields of the facts, in the order in which they are read and written.
const FACTS: [&str; 6] = ["epoch", "owner", "head", "installation", "partitions", "note"];

/// A [`PartitionStore`] in Redis. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RedisStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    link: Link,
    keys: Keys,
    /// Why the server must not be used, once that is known; only a new process asks again.
    unfit: OnceLock<String>,
}

impl RedisStore {
    /// Connects, and checks that the server is fit: it does not evict keys and holds this installation with this number of partitions, or
    /// nothing yet. The check goes on in a task for as long as the store is used; what it finds, every call tells.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] while no server answers; [`StoreError::Unfit`] if it must not be used.
    pub async fn connect(config: &RedisConfig, installation: &str, partitions: u32) -> Result<Self, StoreError> {
        let link = Link::new(config)?;
        let keys = Keys::new(&config.prefix, partitions);
        let evicted = inspect(&link, 0).await?;
        claim(&link, &keys, installation, partitions).await?;
        let inner = Arc::new(Inner { link, keys, unfit: OnceLock::new() });
        tokio::spawn(keep_inspecting(Arc::downgrade(&inner), evicted, config.inspection_interval));
        Ok(Self(inner))
    }

    /// The keys that are used, for tools and tests.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    fn fit(&self) -> Result<(), StoreError> {
        self.0.unfit.get().map_or(Ok(()), |reason| Err(StoreError::Unfit(reason.clone())))
    }

    async fn read(&self, partition: Partition, values: Option<redis::Cmd>) -> Result<Loaded, StoreError> {
        self.fit()?;
        let facts = self.0.keys.facts(partition);
        let mut transaction = Pipeline::with_capacity(3);
        transaction.atomic().cmd("PERSIST").arg(&facts).ignore();
        transaction.cmd("HMGET").arg(&facts).arg(&FACTS);
        match values {
            Some(values) => {
                transaction.add_command(values);
                let (facts, values) = self.0.link.transact(&transaction).await?;
                Ok(Loaded { facts: parse_facts(facts)?, values })
            }
            None => {
                let (facts,) = self.0.link.transact(&transaction).await?;
                Ok(Loaded { facts: parse_facts(facts)?, values: Vec::new() })
            }
        }
    }
}

impl PartitionStore for RedisStore {
    fn load<'a>(&'a self, partition: Partition, keys: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        let values = (!keys.is_empty()).then(|| {
            let mut values = redis::cmd("MGET");
            keys.iter().for_each(|key| {
                values.arg(self.0.keys.value(partition, key));
            });
            values
        });
        Box::pin(self.read(partition, values))
    }

    fn look<'a>(&'a self, partition: Partition, view: &'static str, entries: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        let values = (!entries.is_empty()).then(|| {
            let mut values = redis::cmd("HMGET");
            values.arg(self.0.keys.view(partition, view)).arg(entries);
            values
        });
        Box::pin(self.read(partition, values))
    }

    fn write<'a>(
        &'a self,
        partition: Partition,
        expected: Option<&'a Fence>,
        facts: &'a Facts,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(async move {
            self.fit()?;
            let call = script::call(&self.0.keys, partition, expected, facts, change);
            match self.0.link.run(&WRITE, &call).await? {
                Value::Int(1) => Ok(Written::Done),
                stored => {
                    let stored = redis::from_redis_value::<Vec<Option<Bytes>>>(stored)
                        .map_err(|error| StoreError::Unfit(format!("write script answered with something else: {error}")))?;
                    Ok(Written::Fenced { stored: parse_facts(stored)? })
                }
            }
        })
    }
}

/// Facts from their fields; none if no field is stored.
fn parse_facts(fields: Vec<Option<Bytes>>) -> Result<Option<Facts>, StoreError> {
    if fields.iter().all(Option::is_none) {
        return Ok(None);
    }
    let strange = || StoreError::Unfit("facts of a partition are not as they were written; something else writes these keys".to_owned());
    let [Some(epoch), Some(owner), Some(head), Some(installation), Some(partitions), Some(note)] = fields.as_slice() else {
        return Err(strange());
    };
    let facts = (|| {
        Some(Facts {
            fence: Fence { epoch: number(epoch)?, owner: number(owner)?, head: number(head)? },
            installation: std::str::from_utf8(installation).ok()?.to_owned(),
            partitions: number(partitions)?,
            note: note.clone(),
        })
    })();
    facts.map(Some).ok_or_else(strange)
}

fn number<T: std::str::FromStr>(text: &Bytes) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Writes down whose server this is, or compares. Keys depend on the number of partitions, so a change of it would not find what is
/// stored and must be refused here (rule P27).
async fn claim(link: &Link, keys: &Keys, installation: &str, partitions: u32) -> Result<(), StoreError> {
    let key = keys.installation();
    let mut transaction = Pipeline::with_capacity(3);
    transaction.atomic().cmd("HSETNX").arg(&key).arg("installation").arg(installation).ignore();
    transaction.cmd("HSETNX").arg(&key).arg("partitions").arg(partitions).ignore();
    transaction.cmd("HMGET").arg(&key).arg(&["installation", "partitions"]);
    let ((stored_installation, stored_partitions),): ((String, u32),) = link.transact(&transaction).await?;
    if stored_installation != installation {
        return Err(StoreError::Unfit(format!(
            "it holds installation {stored_installation:?} under this prefix, not {installation:?}; check redis.urls and redis.prefix"
        )));
    }
    if stored_partitions != partitions {
        return Err(StoreError::Unfit(format!(
            "it was written with {stored_partitions} partitions, not {partitions}; the number of partitions never changes, \
             a migration to another goes to new topics and another redis.prefix"
        )));
    }
    Ok(())
}

/// Asks whether the server evicts keys; returns how many it has evicted in all. `before` is what it had the last time.
async fn inspect(link: &Link, before: u64) -> Result<u64, StoreError> {
    let told = link.info().await?;
    judge(&told, before)
}

fn judge(told: &str, before: u64) -> Result<u64, StoreError> {
    let values = |name: &'static str| told.lines().filter_map(move |line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    if let Some(policy) = values("maxmemory_policy").find(|policy| policy.starts_with("allkeys-")) {
        return Err(StoreError::Unfit(format!("its maxmemory-policy is {policy}, which removes state without a trace; set noeviction")));
    }
    let evicted: u64 = values("evicted_keys").filter_map(|count| count.parse::<u64>().ok()).sum();
    if before > 0 && evicted > before {
        return Err(StoreError::Unfit(format!("it has evicted {} keys meanwhile; set maxmemory-policy noeviction", evicted - before)));
    }
    Ok(evicted)
}

async fn keep_inspecting(store: Weak<Inner>, mut evicted: u64, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(store) = store.upgrade() else { return };
        match inspect(&store.link, evicted).await {
            Ok(now) => evicted = now,
            Err(StoreError::Unavailable(reason)) => tracing::debug!(reason, "redis could not be inspected"),
            Err(StoreError::Unfit(reason)) => {
                tracing::error!(reason, "redis must not be used any more");
                // The first reason stands.
                let _ = store.unfit.set(reason);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_evicts_is_refused() {
        let told = |policy: &str, evicted: u64| format!("# Memory\r\nmaxmemory_policy:{policy}\r\n# Stats\r\nevicted_keys:{evicted}\r\n");
        assert_eq!(judge(&told("noeviction", 7), 7).unwrap(), 7);
        assert_eq!(judge(&told("volatile-lru", 0), 0).unwrap(), 0);
        assert!(matches!(judge(&told("allkeys-lru", 0), 0), Err(StoreError::Unfit(_))));
        assert!(matches!(judge(&told("noeviction", 8), 7), Err(StoreError::Unfit(_))));
    }

    #[test]
    fn the_count_of_a_restarted_server_begins_anew() {
        assert_eq!(judge("maxmemory_policy:noeviction\nevicted_keys:0\n", 7).unwrap(), 0);
    }

    #[test]
    fn facts_that_someone_else_wrote_are_refused() {
        assert_eq!(parse_facts(vec![None; 6]).unwrap(), None);
        let mut fields = vec![Some(Bytes::from_static(b"1")); 6];
        assert!(parse_facts(fields.clone()).unwrap().is_some());
        fields[1] = None;
        assert!(matches!(parse_facts(fields), Err(StoreError::Unfit(_))));
    }
}
