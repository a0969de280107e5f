//! Keeps a group of workers for every topic that an applied shop file names as a source, and ends those of topics that none names.
//!
//! Topics are apart: one that does not exist or fails is said and tried again, and stalls no other. Only a producer that failed for
//! good ends the service (rule P3), which [`Intake::failed`](crate::intake::Intake::failed) tells the app.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use cartwheel_runtime::{
    kafka::{GroupConfig, Kafka, Ownership},
    log::{Log, LogError, Positions},
    memory_log::MemoryPositions,
    partitions::{Alone, OwnershipSource, host},
};
use futures::future::BoxFuture;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::worker::{Tools, work};

/// The pause before a topic that failed is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// A place in the group of one topic.
pub struct Place {
    /// Which partitions are this process's.
    pub ownership: Box<dyn OwnershipSource>,
    /// How far the group has come.
    pub positions: Arc<dyn Positions>,
}

/// Who shares out the partitions of the shops' topics.
pub trait SourceGroups: Send + Sync + 'static {
    /// Joins the group of a topic.
    fn join<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Place, LogError>>;
}

/// Groups of Kafka: the partitions of a topic are shared with the other processes of the service.
pub struct KafkaGroups {
    kafka: Kafka,
    name: String,
}

impl KafkaGroups {
    /// Groups of this name, each with its topic added.
    pub fn new(kafka: Kafka, name: impl Into<String>) -> Self {
        Self { kafka, name: name.into() }
    }
}

impl SourceGroups for KafkaGroups {
    fn join<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Place, LogError>> {
        let joined = self.kafka.join(GroupConfig::new(format!("{}.{topic}", self.name), topic));
        let place = joined.map(|membership| Place { positions: membership.positions(), ownership: Box::new(membership) });
        Box::pin(std::future::ready(place))
    }
}

/// No groups: this process is alone and has every partition, as `cartwheel dev` does.
pub struct NoGroups {
    log: Arc<dyn Log>,
    positions: MemoryPositions,
}

impl NoGroups {
    /// Alone on this log.
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self { log, positions: MemoryPositions::default() }
    }
}

impl SourceGroups for NoGroups {
    fn join<'a>(&'a self, topic: &'a str) -> BoxFuture<'a, Result<Place, LogError>> {
        Box::pin(async move {
            let partitions = self.log.ends(topic).await?.len();
            let ownership = Box::new(Alone::new(u32::try_from(partitions).unwrap_or(u32::MAX)));
            Ok(Place { ownership, positions: Arc::new(self.positions.clone()) })
        })
    }
}

struct Boxed(Box<dyn OwnershipSource>);

impl OwnershipSource for Boxed {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Ownership>, LogError>> {
        self.0.next()
    }

    fn leave(&mut self) {
        self.0.leave();
    }
}

/// Follows the shops until `stop`, then waits for all workers. `tools` makes the workers' tools from the positions of a group.
///
/// # Errors
/// Never.
pub async fn follow(
    groups: Arc<dyn SourceGroups>,
    tools: impl Fn(Arc<dyn Positions>) -> Tools + Send + Sync + 'static,
    look_every: Duration,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let tools: Arc<ToolMaker> = Arc::new(tools);
    let shops = tools(Arc::new(MemoryPositions::default())).shops;
    let (mut running, mut tasks) = (BTreeMap::<String, CancellationToken>::new(), JoinSet::new());
    let mut changes = shops.changes();
    while !stop.is_cancelled() {
        let wanted: BTreeSet<String> =
            shops.snapshot().values().flat_map(|shop| shop.topics.values().map(|source| source.topic.clone())).collect();
        running.retain(|topic, token| {
            let keep = wanted.contains(topic);
            if !keep {
                tracing::info!(topic, "no shop names this topic any more");
                token.cancel();
            }
            keep
        });
        for topic in wanted {
            running.entry(topic.clone()).or_insert_with(|| {
                let token = stop.child_token();
                tasks.spawn(keep(topic, groups.clone(), tools.clone(), token.clone()));
                token
            });
        }
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = stop.cancelled() => {}
            // The pause gathers the changes of a moment, such as those of a start.
            changed = changes.changed() => if changed.is_err() { stop.cancelled().await } else { tokio::time::sleep(look_every).await },
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

type ToolMaker = dyn Fn(Arc<dyn Positions>) -> Tools + Send + Sync;

/// Works on one topic until `stop`, whatever happens.
async fn keep(topic: String, groups: Arc<dyn SourceGroups>, tools: Arc<ToolMaker>, stop: CancellationToken) {
    let name: Arc<str> = topic.as_str().into();
    tracing::info!(topic, "reading the source");
    while !stop.is_cancelled() {
        let ended = match groups.join(&topic).await {
            Ok(Place { ownership, positions }) => {
                let tools = tools(positions);
                let worker = |partition, leave| work(name.clone(), partition, tools.clone(), leave);
                host(Boxed(ownership), stop.clone(), worker).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = ended {
            tracing::error!(topic, reason, "the source cannot be read now, trying again");
            stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
        }
    }
}
