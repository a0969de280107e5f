//! The store as one process sees it: each call travels there and back, and what was written may not be confirmed.

use std::sync::Arc;

use cartwheel_runtime::{
    log::Partition,
    store::{Change, Facts, Fence, Loaded, PartitionStore, StoreError, Written},
};
use futures::future::BoxFuture;

use crate::{Twist, fault::Fault, oracle::Oracle, world::World};

/// The store of an evaluator or a dispatcher.
pub(crate) struct FarStore {
    world: Arc<World>,
    oracle: Arc<Oracle>,
}

impl FarStore {
    pub(crate) fn new(world: Arc<World>, oracle: Arc<Oracle>) -> Self {
        Self { world, oracle }
    }
}

impl PartitionStore for FarStore {
    fn load<'a>(&'a self, partition: Partition, keys: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        Box::pin(async move {
            self.world.travel().await;
            let loaded = self.world.store.load(partition, keys).await;
            self.world.travel().await;
            loaded
        })
    }

    fn look<'a>(&'a self, partition: Partition, view: &'static str, entries: &'a [String]) -> BoxFuture<'a, Result<Loaded, StoreError>> {
        Box::pin(async move {
            self.world.travel().await;
            let mut loaded = self.world.store.look(partition, view, entries).await?;
            self.world.travel().await;
            if self.world.twist == Some(Twist::DoNotWaitForTheHead)
                && let Some(facts) = &mut loaded.facts
            {
                facts.fence.head = u64::MAX;
            }
            Ok(loaded)
        })
    }

    fn write<'a>(
        &'a self,
        partition: Partition,
        expected: Option<&'a Fence>,
        facts: &'a Facts,
        change: &'a Change,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(async move {
            self.world.travel().await;
            let unfenced = self.world.twist == Some(Twist::WriteWithoutFence);
            let stored = if unfenced { self.world.store.load(partition, &[]).await?.facts.map(|facts| facts.fence) } else { None };
            let expected = if unfenced { stored.as_ref() } else { expected };
            let written = self.world.store.write(partition, expected, facts, change).await?;
            match &written {
                Written::Done => self.oracle.judge_store(partition),
                Written::Fenced { .. } => self.world.witness().saw(Fault::Fenced),
            }
            self.world.travel().await;
            if self.world.goes_wrong(Fault::StoreSilent, 6) {
                return Err(StoreError::Unavailable("the answer did not come".to_owned()));
            }
            Ok(written)
        })
    }
}
