//! A provider with its bounds, shared by all partitions of the process.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Breaker, BreakerConfig, Provider, Retries, Throughput};
use crate::lane::Lane;

/// The providers of this process by the names that operators gave them and shops refer to.
#[derive(Clone, Default)]
pub struct Providers(BTreeMap<String, Arc<Account>>);

impl Providers {
    /// No providers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; a second one of the same name replaces the first.
    #[must_use]
    pub fn with(mut self, name: &str, provider: Arc<dyn Provider>, bounds: Bounds) -> Self {
        self.0.insert(name.to_owned(), Arc::new(Account::new(name, provider, bounds)));
        self
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Account>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.0.values()
    }
}

/// What bounds the use of a provider by this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The most calls a second.
    pub rate: f64,
    /// The most calls at a time, in each lane.
    pub concurrency: usize,
    /// The most calls at a time of one shop, in each lane: what one shop can take from the others when its calls hang.
    pub shop_concurrency: usize,
    /// When calls are made again.
    pub retries: Retries,
    /// When calls are not made at all.
    pub breaker: BreakerConfig,
}

/// A provider with its bounds.
pub struct Account {
    name: String,
    provider: Arc<dyn Provider>,
    bounds: Bounds,
    throughput: Throughput,
    calls: [Arc<Semaphore>; Lane::COUNT],
    shops: Mutex<BTreeMap<String, Shop>>,
}

#[derive(Clone)]
struct Shop {
    breaker: Arc<Breaker>,
    calls: [Arc<Semaphore>; Lane::COUNT],
}

/// The right to make one call; given back when dropped.
#[derive(Debug)]
pub struct Permits {
    _of_shop: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Account {
    fn new(name: &str, provider: Arc<dyn Provider>, bounds: Bounds) -> Self {
        Self {
            name: name.to_owned(),
            provider,
            throughput: Throughput::new(bounds.rate),
            calls: semaphores(bounds.concurrency),
            shops: Mutex::default(),
            bounds,
        }
    }

    /// The name that operators gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who carries the messages out.
    pub fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// Its calls a second.
    pub fn throughput(&self) -> &Throughput {
        &self.throughput
    }

    /// When its calls are made again.
    pub fn retries(&self) -> &Retries {
        &self.bounds.retries
    }

    /// The breaker of one shop's calls.
    pub fn breaker(&self, shop: &str) -> Arc<Breaker> {
        self.shop(shop).breaker
    }

    /// How many shops' breakers are open.
    pub fn open_breakers(&self) -> usize {
        self.shops.lock().unwrap_or_else(PoisonError::into_inner).values().filter(|shop| shop.breaker.is_open()).count()
    }

    /// Waits for the right to make a call: first among the shop's own calls, then among all.
    pub async fn permits(&self, shop: &str, lane: Lane) -> Permits {
        let of_shop = open(self.shop(shop).calls[lane as usize].clone()).await;
        let of_all = open(self.calls[lane as usize].clone()).await;
        Permits { _of_shop: of_shop, _of_all: of_all }
    }

    fn shop(&self, shop: &str) -> Shop {
        let mut shops = self.shops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shops.get(shop) {
            return known.clone();
        }
        let new = Shop { breaker: Arc::new(Breaker::new(self.bounds.breaker)), calls: semaphores(self.bounds.shop_concurrency) };
        shops.insert(shop.to_owned(), new.clone());
        new
    }
}

fn semaphores(permits: usize) -> [Arc<Semaphore>; Lane::COUNT] {
    std::array::from_fn(|_| Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS))))
}

/// A permit of a semaphore that is never closed.
async fn open(semaphore: Arc<Semaphore>) -> OwnedSemaphorePermit {
    match semaphore.acquire_owned().await {
        Ok(permit) => permit,
        Err(_closed) => std::future::pending().await,
    }
}
