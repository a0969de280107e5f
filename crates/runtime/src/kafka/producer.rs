//! The one producer of a process, without gaps (rule P3).
//!
//! Records of a partition land in the order in which they were appended or not at all: the producer is idempotent, its records
//! never expire, and a record that fails nevertheless fails everything behind it. After that first failure each pending and each later call
//! is [`LogError::Fatal`]: the process starts again, with a new producer, and replays.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rdkafka::{
    ClientContext, Message,
    client::OAuthToken,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext, PurgeConfig},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Hooks, Kafka, POLL_PATIENCE, unmakeable};
use crate::{
    clock::Clock,
    log::{LogError, Offset, Outgoing},
};

/// What a record weighs beside its key, value and headers: the frames of a record and of a batch that holds only it (61 bytes and at
/// most 21, KIP-98), rounded up.
const RECORD_FRAME_BYTES: usize = 96;

/// What a header weighs beside its name and value: two lengths, as variable integers of at most five bytes.
const HEADER_FRAME_BYTES: usize = 10;

pub(super) struct Producer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    client: BaseProducer<Deliveries>,
    clock: Clock,
    record_limit: usize,
    in_flight_limit: u32,
    room: Arc<Semaphore>,
    failed: Arc<OnceLock<String>>,
    stop: AtomicBool,
}

/// The context of the producer: settles batches.
struct Deliveries {
    hooks: Hooks,
    failed: Arc<OnceLock<String>>,
}

/// A record's place in its batch.
struct Ticket {
    batch: Arc<Batch>,
    index: usize,
}

struct Batch {
    outcome: Mutex<Outcome>,
    /// Room in flight, given back when the last record of the batch is settled.
    _room: OwnedSemaphorePermit,
}

struct Outcome {
    offsets: Vec<Offset>,
    missing: usize,
    waiting: Option<oneshot::Sender<Result<Vec<Offset>, LogError>>>,
}

impl Producer {
    pub(super) fn new(kafka: &Kafka, clock: Clock) -> Result<Self, LogError> {
        let config = kafka.config();
        let mut client = kafka.client();
        client
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            .set("message.max.bytes", config.record_limit_bytes.to_string())
            // The semaphore bounds what is in flight; librdkafka's own bound would refuse in the middle of a batch.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2097151")
            // A batch waits for its acknowledgements, so lingering for more would only delay it.
            .set("linger.ms", "0")
            .set("compression.type", if kafka.is_embedded() { "none" } else { "zstd" });
        if kafka.is_embedded() {
            // The mock does not put pipelined requests in order.
            client.set("max.in.flight", "1");
        }
        let failed = Arc::new(OnceLock::new());
        let deliveries = Deliveries { hooks: kafka.hooks(), failed: failed.clone() };
        let client = BaseProducer::from_config_and_context(&client, deliveries).map_err(|error| unmakeable(&error))?;
        let shared = Arc::new(Shared {
            client,
            clock,
            record_limit: config.record_limit_bytes,
            in_flight_limit: config.in_flight_limit_bytes,
            room: Arc::new(Semaphore::new(config.in_flight_limit_bytes as usize)),
            failed,
            stop: AtomicBool::new(false),
        });
        let polled = shared.clone();
        let thread = std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || polled.poll())
            .map_err(|error| LogError::Fatal(format!("could not start the producer's thread: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Refuses records that can never be appended.
    pub(super) fn check_sizes(&self, records: &[Outgoing]) -> Result<(), LogError> {
        let limit = self.shared.record_limit;
        match records.iter().map(|record| (record, size(record))).find(|(_, size)| *size > limit) {
            Some((record, size)) => Err(LogError::TooLarge { topic: record.topic.to_string(), size, limit }),
            None => Ok(()),
        }
    }

    pub(super) async fn append(&self, records: &[Outgoing]) -> Result<Vec<Offset>, LogError> {
        self.shared.alive()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let weight: usize = records.iter().map(size).sum();
        let weight = u32::try_from(weight).unwrap_or(u32::MAX).min(self.shared.in_flight_limit);
        let room = self.shared.room.clone().acquire_many_owned(weight).await;
        let room = room.map_err(|_| LogError::Fatal("producer is closed".to_owned()))?;
        self.shared.alive()?;
        let settled = self.shared.send(records, room);
        // A sender that is dropped unused means a delivery that never came back.
        settled.await.unwrap_or_else(|_| Err(self.shared.fatal("producer ended with records in flight")))
    }
}

impl Shared {
    fn poll(&self) {
        let mut purged = false;
        while !self.stop.load(Ordering::Relaxed) {
            self.client.poll(POLL_PATIENCE);
            if self.failed.get().is_some() && !purged {
                // Nothing that is still queued may land behind the failed record.
                self.client.purge(PurgeConfig::default().queue().inflight());
                purged = true;
            }
        }
    }

    fn alive(&self) -> Result<(), LogError> {
        self.failed.get().map_or(Ok(()), |reason| Err(LogError::Fatal(reason.clone())))
    }

    fn fatal(&self, reason: &str) -> LogError {
        LogError::Fatal(self.failed.get_or_init(|| reason.to_owned()).clone())
    }

    fn send(&self, records: &[Outgoing], room: OwnedSemaphorePermit) -> oneshot::Receiver<Result<Vec<Offset>, LogError>> {
        let (waiting, settled) = oneshot::channel();
        let outcome = Outcome { offsets: vec![0; records.len()], missing: records.len(), waiting: Some(waiting) };
        let batch = Arc::new(Batch { outcome: Mutex::new(outcome), _room: room });
        let stamp = self.clock.now().as_millisecond();
        for (index, record) in records.iter().enumerate() {
            let ticket = Box::new(Ticket { batch: batch.clone(), index });
            let mut message: BaseRecord<'_, [u8], [u8], Box<Ticket>> = BaseRecord::with_opaque_to(&record.topic, ticket)
                .partition(i32::try_from(record.partition).unwrap_or(i32::MAX))
                .timestamp(stamp)
                .headers(headers(record));
            message.key = record.key.as_deref();
            message.payload = record.value.as_deref();
            if let Err((error, refused)) = self.client.send(message) {
                // What stands before it in the batch may land, nothing behind it will: the same as a failed delivery.
                let failure = self.fatal(&format!("record for {} was not taken: {error}", record.topic));
                refused.delivery_opaque.batch.settle(refused.delivery_opaque.index, Err(failure));
                break;
            }
        }
        settled
    }
}

fn headers(record: &Outgoing) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(record.headers.len());
    record.headers.iter().fold(empty, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_ref()) }))
}

fn size(record: &Outgoing) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| HEADER_FRAME_BYTES + name.len() + value.len()).sum();
    RECORD_FRAME_BYTES + record.key.as_ref().map_or(0, |key| key.len()) + record.value.as_ref().map_or(0, |value| value.len()) + headers
}

impl Batch {
    fn settle(&self, index: usize, result: Result<Offset, LogError>) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = match result {
            Ok(offset) => {
                outcome.offsets[index] = offset;
                outcome.missing -= 1;
                if outcome.missing > 0 {
                    return;
                }
                Ok(std::mem::take(&mut outcome.offsets))
            }
            Err(error) => Err(error),
        };
        if let Some(waiting) = outcome.waiting.take() {
            // The caller may have given up waiting; its records stay where they are.
            let _ = waiting.send(settled);
        }
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let result = match result {
            Ok(message) => Ok(Offset::try_from(message.offset()).unwrap_or_default()),
            Err((error, message)) => {
                let reason = format!("record for {}/{} failed: {error}", message.topic(), message.partition());
                if self.failed.set(reason.clone()).is_ok() {
                    tracing::error!(reason, "producer has failed, every batch of this process is abandoned");
                }
                Err(LogError::Fatal(self.failed.get().cloned().unwrap_or(reason)))
            }
        };
        ticket.batch.settle(ticket.index, result);
    }
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Hooks::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.hooks.log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            // Whoever sets it first has said more than this.
            let _ = self.failed.set(reason.to_owned());
        }
        self.hooks.error(error, reason);
    }

    fn generate_oauth_token(&self, configured: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.hooks.generate_oauth_token(configured)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}
