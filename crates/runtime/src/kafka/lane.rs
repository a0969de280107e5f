//! One manually assigned consumer and the readers that it feeds.
//!
//! A consumer can hold a partition once, so a second reader of a partition goes to a second lane; otherwise all readers of a
//! process share one. Start offsets are part of the assignment: nothing ever seeks. An offset outside the log is never reset but
//! told to the reader.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use bytes::Bytes;
use jiff::Timestamp;
use rdkafka::{
    Message,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Headers as _},
    topic_partition_list::{Offset as KafkaOffset, TopicPartitionList},
};

use super::{ANSWER_PATIENCE, Hooks, Kafka, POLL_PATIENCE, inbox::Inbox, partition_number, refused, unmakeable};
use crate::log::{Bounds, Headers, LogError, Offset, Partition, Record};

/// The name that readers and askers carry where librdkafka wants a group; they never join one.
pub(super) const READER_GROUP: &str = "cartwheel-reader";

/// A lane, shared by its readers; the last one to go ends its thread.
pub(super) struct Lane {
    pub(super) consumer: BaseConsumer<Hooks>,
    /// By topic, then partition. Changed only while the assignment is changed with it.
    routes: Mutex<Routes>,
    stop: AtomicBool,
}

type Routes = HashMap<Arc<str>, HashMap<Partition, Arc<Inbox>>>;

/// Keeps a lane's thread, which also serves the client's log lines and tokens; dropping it ends the thread.
pub(super) struct LaneThread {
    pub(super) lane: Arc<Lane>,
    thread: Option<JoinHandle<()>>,
}

impl LaneThread {
    /// A lane without readers, under the name of `group`.
    pub(super) fn start(kafka: &Kafka, group: &str) -> Result<Self, LogError> {
        let mut client = kafka.consumer(group);
        // What a partition holds ahead of its reader's queue.
        client.set("queued.min.messages", "2000").set("queued.max.messages.kbytes", "16384");
        let consumer = BaseConsumer::from_config_and_context(&client, kafka.hooks()).map_err(|error| unmakeable(&error))?;
        let lane = Arc::new(Lane { consumer, routes: Mutex::default(), stop: AtomicBool::new(false) });
        let polled = lane.clone();
        let thread = std::thread::Builder::new()
            .name("kafka-reader".to_owned())
            .spawn(move || polled.poll())
            .map_err(|error| LogError::Fatal(format!("could not start a reader's thread: {error}")))?;
        Ok(Self { lane, thread: Some(thread) })
    }
}

impl Drop for LaneThread {
    fn drop(&mut self) {
        self.lane.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Lane {
    /// Begins to feed a new inbox from `start`; none if the lane already reads that partition.
    pub(super) fn open(&self, topic: &Arc<str>, partition: Partition, start: Offset) -> Result<Option<Arc<Inbox>>, LogError> {
        let mut routes = self.routes();
        let partitions = routes.entry(topic.clone()).or_default();
        if partitions.contains_key(&partition) {
            return Ok(None);
        }
        let inbox = Arc::new(Inbox::new(topic.clone(), partition, start));
        self.consumer.incremental_assign(&place(topic, partition, Some(start))).map_err(|error| refused(&error, topic, partition))?;
        partitions.insert(partition, inbox.clone());
        Ok(Some(inbox))
    }

    /// Ends the feeding of an inbox.
    pub(super) fn close(&self, inbox: &Inbox) {
        self.remove(&mut self.routes(), inbox);
    }

    fn remove(&self, routes: &mut Routes, inbox: &Inbox) {
        let removed = routes.get_mut(&inbox.topic).and_then(|partitions| partitions.remove(&inbox.partition));
        if removed.is_some()
            && let Err(error) = self.consumer.incremental_unassign(&place(&inbox.topic, inbox.partition, None))
        {
            tracing::warn!(topic = &*inbox.topic, partition = inbox.partition, %error, "could not give a partition back");
        }
    }

    /// Lets a paused partition go on; whether that was done.
    pub(super) fn resume(&self, inbox: &Inbox) -> bool {
        self.consumer.resume(&place(&inbox.topic, inbox.partition, None)).is_ok()
    }

    fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            match self.consumer.poll(POLL_PATIENCE) {
                Some(Ok(message)) => self.route(&message),
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => self.tell_those_out_of_range(),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    self.inboxes().iter().for_each(|inbox| inbox.fail(LogError::Fatal(format!("consumer failed: {code}"))));
                    return;
                }
                // All other errors are librdkafka's to mend; its hooks have logged them.
                Some(Err(_)) | None => {}
            }
        }
    }

    fn route(&self, message: &BorrowedMessage<'_>) {
        let partition = partition_number(message.partition());
        let inbox = self.routes().get(message.topic()).and_then(|partitions| partitions.get(&partition)).cloned();
        if let Some(inbox) = inbox {
            let record = record(message, inbox.topic.clone());
            inbox.put(record, || self.consumer.pause(&place(&inbox.topic, partition, None)).is_ok());
        }
    }

    fn inboxes(&self) -> Vec<Arc<Inbox>> {
        self.routes().values().flat_map(HashMap::values).cloned().collect()
    }

    /// The error does not say which partition it is about: all are looked at. One that is within its log after all begins anew.
    fn tell_those_out_of_range(&self) {
        for inbox in self.inboxes() {
            let (topic, partition, wanted) = (&inbox.topic, inbox.partition, inbox.next());
            let found = self.bounds(topic, partition);
            let mut routes = self.routes();
            if !routes.get(topic).and_then(|partitions| partitions.get(&partition)).is_some_and(|current| Arc::ptr_eq(current, &inbox)) {
                continue;
            }
            self.remove(&mut routes, &inbox);
            let failure = match found {
                Ok(bounds) if (bounds.start..=bounds.end).contains(&wanted) => {
                    match self.consumer.incremental_assign(&place(topic, partition, Some(wanted))) {
                        Ok(()) => {
                            routes.entry(topic.clone()).or_default().insert(partition, inbox.clone());
                            continue;
                        }
                        Err(error) => refused(&error, topic, partition),
                    }
                }
                Ok(bounds) => LogError::OutOfRange { topic: topic.to_string(), partition, wanted, bounds },
                Err(error) => error,
            };
            inbox.fail(failure);
        }
    }

    /// What a partition holds, asked of its leader.
    pub(super) fn bounds(&self, topic: &str, partition: Partition) -> Result<Bounds, LogError> {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let answer = self.consumer.fetch_watermarks(topic, number, ANSWER_PATIENCE);
        let (start, end) = answer.map_err(|error| refused(&error, topic, partition))?;
        Ok(Bounds { start: offset(start), end: offset(end) })
    }
}

/// A list of one partition.
pub(super) fn place(topic: &str, partition: Partition, start: Option<Offset>) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(1);
    let mut place = list.add_partition(topic, i32::try_from(partition).unwrap_or(i32::MAX));
    if let Some(start) = start {
        let start = KafkaOffset::Offset(i64::try_from(start).unwrap_or(i64::MAX));
        // Only a negative offset is refused.
        let _ = place.set_offset(start);
    }
    list
}

pub(super) fn offset(raw: i64) -> Offset {
    Offset::try_from(raw).unwrap_or_default()
}

fn record(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Record {
    let headers: Headers = message.headers().map_or_else(Vec::new, |headers| {
        let bytes = |value: Option<&[u8]>| Bytes::copy_from_slice(value.unwrap_or_default());
        headers.iter().map(|header| (header.key.to_owned(), bytes(header.value))).collect()
    });
    let stamp = message.timestamp().to_millis().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    Record {
        topic,
        partition: partition_number(message.partition()),
        offset: offset(message.offset()),
        timestamp: stamp.unwrap_or(Timestamp::UNIX_EPOCH),
        key: message.key().map(Bytes::copy_from_slice),
        value: message.payload().map(Bytes::copy_from_slice),
        headers,
    }
}
