//! A group's positions: marks that are written lazily, and read by members and watchers alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use futures::future::BoxFuture;
use rdkafka::{
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    topic_partition_list::{Offset as KafkaOffset, TopicPartitionList},
};

use super::{
    ANSWER_PATIENCE, Kafka, ask,
    lane::{LaneThread, offset},
    refused,
};
use crate::log::{LogError, Offset, Partition, Positions};

/// A group's [`Positions`]. Those of a [`Membership`](super::Membership) write marks; those of
/// [`Kafka::positions`](super::Kafka::positions) only read.
pub struct GroupPositions(Source);

enum Source {
    Watcher(LaneThread),
    /// The membership's thread owns the client, so that it ends with the thread.
    Member {
        client: Weak<BaseConsumer<super::membership::GroupHooks>>,
        marks: Arc<Marks>,
    },
}

impl GroupPositions {
    pub(super) fn watch(kafka: &Kafka, group: &str) -> Result<Self, LogError> {
        Ok(Self(Source::Watcher(LaneThread::start(kafka, group)?)))
    }

    pub(super) fn member(client: &Arc<BaseConsumer<super::membership::GroupHooks>>, marks: Arc<Marks>) -> Self {
        Self(Source::Member { client: Arc::downgrade(client), marks })
    }
}

impl Positions for GroupPositions {
    fn marked(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Option<Offset>, LogError>> {
        let topic = topic.to_owned();
        match &self.0 {
            Source::Watcher(watcher) => {
                let lane = watcher.lane.clone();
                Box::pin(ask(move || committed(&lane.consumer, &topic, partition)))
            }
            Source::Member { client, .. } => {
                let client = client.upgrade().ok_or_else(|| LogError::Unavailable("group has been left".to_owned()));
                Box::pin(async move {
                    let client = client?;
                    ask(move || committed(&client, &topic, partition)).await
                })
            }
        }
    }

    fn mark(&self, topic: &str, partition: Partition, next: Offset) {
        match &self.0 {
            Source::Watcher(_) => tracing::debug!(topic, partition, "mark by one who only watches the group is ignored"),
            Source::Member { marks, .. } => marks.note(topic, partition, next),
        }
    }
}

fn committed<C: ConsumerContext>(client: &BaseConsumer<C>, topic: &str, partition: Partition) -> Result<Option<Offset>, LogError> {
    let mut list = TopicPartitionList::with_capacity(1);
    list.add_partition(topic, i32::try_from(partition).unwrap_or(i32::MAX));
    let found = client.committed_offsets(list, ANSWER_PATIENCE).map_err(|error| refused(&error, topic, partition))?;
    match found.elements().first() {
        Some(place) => {
            place.error().map_err(|error| refused(&error, topic, partition))?;
            Ok(if let KafkaOffset::Offset(next) = place.offset() { Some(offset(next)) } else { None })
        }
        None => Ok(None),
    }
}

/// The marks of one member. Those of partitions that it does not own are dropped: a late mark must not undo its successor's.
#[derive(Default)]
pub(super) struct Marks(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    owned: BTreeSet<Partition>,
    noted: BTreeMap<(String, Partition), Offset>,
    committed: BTreeMap<(String, Partition), Offset>,
}

impl Marks {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, topic: &str, partition: Partition, next: Offset) {
        let mut notes = self.lock();
        if notes.owned.contains(&partition) {
            notes.noted.insert((topic.to_owned(), partition), next);
        }
    }

    pub(super) fn own(&self, partitions: &[Partition]) {
        self.lock().owned.extend(partitions);
    }

    pub(super) fn disown(&self, partitions: &[Partition]) {
        let mut notes = self.lock();
        notes.owned.retain(|partition| !partitions.contains(partition));
        notes.noted.retain(|(_, partition), _| !partitions.contains(partition));
        notes.committed.retain(|(_, partition), _| !partitions.contains(partition));
    }

    pub(super) fn owns_any(&self) -> bool {
        !self.lock().owned.is_empty()
    }

    /// What the group's coordinator has taken.
    pub(super) fn taken(&self, offsets: &TopicPartitionList) {
        let mut notes = self.lock();
        for place in offsets.elements() {
            let partition = super::partition_number(place.partition());
            if let (true, Ok(()), KafkaOffset::Offset(next)) = (notes.owned.contains(&partition), place.error(), place.offset()) {
                notes.committed.insert((place.topic().to_owned(), partition), offset(next));
            }
        }
    }

    /// Commits what is not committed yet. Failures are logged only: marks are hints, and the next commit takes them along.
    pub(super) fn commit<C: ConsumerContext>(&self, client: &BaseConsumer<C>, mode: CommitMode) {
        let mut list = TopicPartitionList::new();
        {
            let notes = self.lock();
            for ((topic, partition), next) in &notes.noted {
                if notes.committed.get(&(topic.clone(), *partition)) != Some(next) {
                    let next = KafkaOffset::Offset(i64::try_from(*next).unwrap_or(i64::MAX));
                    // Only a negative offset is refused.
                    let _ = list.add_partition_offset(topic, i32::try_from(*partition).unwrap_or(i32::MAX), next);
                }
            }
        }
        if list.count() == 0 {
            return;
        }
        match (client.commit(&list, mode), mode) {
            (Ok(()), CommitMode::Sync) => self.taken(&list),
            // The callback of the commit tells.
            (Ok(()), CommitMode::Async) => {}
            (Err(error), _) => tracing::warn!(%error, "could not commit positions, they are repeated with the next ones"),
        }
    }
}
