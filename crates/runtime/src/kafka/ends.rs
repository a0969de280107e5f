//! The ends that the log has told, and readers that come to them over gaps.
//!
//! Markers of transactions, aborted records and compaction leave offsets that no record has. librdkafka hands over records only, so a
//! reader cannot see from what arrives that nothing more comes before an end that somebody waits for. Where an end has been told and a
//! reader stays idle before it, a client of its own reads from the reader's place on: the broker's answer "here the partition ends",
//! without a record before it, proves that there is only a gap.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use tokio::sync::Semaphore;

use super::{
    Hooks, Kafka, POLL_PATIENCE, ask,
    lane::{READER_GROUP, place},
    refused, unmakeable,
};
use crate::log::{LogError, Offset, Partition};

/// How long a look may take. A reader that learns nothing looks again with its next idle read, so this only bounds that read.
const LOOK_PATIENCE: Duration = Duration::from_secs(3);

/// Looks at the same time: each has a connection of its own for a moment, and a process may open all its partitions at once.
const LOOKS: usize = 4;

/// What a process's readers know of ends.
pub(super) struct Ends {
    kafka: Kafka,
    told: Mutex<HashMap<Arc<str>, HashMap<Partition, Offset>>>,
    looks: Semaphore,
}

impl Ends {
    pub(super) fn new(kafka: Kafka) -> Self {
        Self { kafka, told: Mutex::default(), looks: Semaphore::new(LOOKS) }
    }

    /// Notes an end that somebody is told and may wait for.
    pub(super) fn tell(&self, topic: &Arc<str>, partition: Partition, end: Offset) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = told.entry(topic.clone()).or_default().entry(partition).or_default();
        *known = end.max(*known);
    }

    fn told(&self, topic: &str, partition: Partition) -> Option<Offset> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(topic).and_then(|ends| ends.get(&partition)).copied()
    }

    /// The end that a reader at `position` has come to, if one behind it was told and nothing is left before that.
    ///
    /// # Errors
    /// [`LogError::Fatal`] if the properties cannot make a client.
    pub(super) async fn behind_gap(&self, topic: &Arc<str>, partition: Partition, position: Offset) -> Result<Option<Offset>, LogError> {
        let Some(end) = self.told(topic, partition).filter(|end| *end > position) else { return Ok(None) };
        let _permit = self.looks.acquire().await;
        let (kafka, topic) = (self.kafka.clone(), topic.clone());
        ask(move || Ok(is_gap(&kafka, &topic, partition, position)?.then_some(end))).await
    }
}

/// Whether the partition's end, as it is now or later, follows on `from` without a record. False also where that cannot be learned.
fn is_gap(kafka: &Kafka, topic: &str, partition: Partition, from: Offset) -> Result<bool, LogError> {
    let mut client = kafka.consumer(READER_GROUP);
    client.set("enable.partition.eof", "true").set("queued.min.messages", "1");
    let consumer: BaseConsumer<Hooks> =
        BaseConsumer::from_config_and_context(&client, kafka.hooks()).map_err(|error| unmakeable(&error))?;
    consumer.assign(&place(topic, partition, Some(from))).map_err(|error| refused(&error, topic, partition))?;
    let deadline = Instant::now() + LOOK_PATIENCE;
    while Instant::now() < deadline {
        match consumer.poll(POLL_PATIENCE) {
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(true),
            Some(Ok(_) | Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => return Ok(false),
            // All other errors are librdkafka's to mend; its hooks have logged them.
            Some(Err(_)) | None => {}
        }
    }
    Ok(false)
}
