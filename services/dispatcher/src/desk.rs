//! What all messages of one partition share while they are worked on, and the two ways in which they write: into the journal, and to
//! the events log.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use cartwheel_engine::{
    id::MessageId,
    input::{Fact, Input, OptOutBy, Outcome, OutcomeResult},
    key::CustomerKey,
};
use cartwheel_runtime::{
    clock::Clock,
    log::{Log, LogError, Offset, Outgoing, Partition, Record},
};
use cartwheel_wire::{Codec, DeliveryRecord, DeliveryVerdict, EventBody, EventRecord, SendRecord, Topics};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    controls::{Controls, Pacer},
    error::Error,
    gate::Gate,
    journal::{Journal, Move, Word},
    metrics::Metrics,
    providers::{OPTED_OUT_AT_PROVIDER, Providers},
};

/// What the workers of a process share.
#[derive(Clone)]
pub struct Shared {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Clock,
    /// The topics' names and number of partitions.
    pub topics: Topics,
    /// How records are written.
    pub codec: Codec,
    /// The gate.
    pub gate: Arc<Gate>,
    /// What is stopped.
    pub controls: Arc<Controls>,
    /// Who carries messages out.
    pub providers: Providers,
    /// How long another dispatcher's attempt is believed to be under way.
    pub grace: Duration,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// One partition's desk.
pub(crate) struct Desk {
    pub(crate) shared: Shared,
    pub(crate) partition: Partition,
    pub(crate) stop: CancellationToken,
    claimant: u128,
    journal: Mutex<Journal>,
    read: ReadUpTo,
    pacer: Mutex<Pacer>,
}

/// Up to where the journal has been read. Who waits for it is woken in the order of waiting: a `watch` channel draws the order, and a run
/// of the simulation could not be played again.
#[derive(Default)]
struct ReadUpTo {
    offset: AtomicU64,
    moved: Notify,
}

impl ReadUpTo {
    fn get(&self) -> Offset {
        self.offset.load(Ordering::Acquire)
    }

    fn set(&self, offset: Offset) {
        self.offset.store(offset, Ordering::Release);
        self.moved.notify_waiters();
    }

    /// Resolves when the journal has been read beyond `offset`.
    async fn beyond(&self, offset: Offset) {
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.get() > offset {
                return;
            }
            moved.await;
        }
    }
}

/// The pause behind a log that did not answer.
const PAUSE: Duration = Duration::from_millis(500);

impl Desk {
    pub(crate) fn new(shared: Shared, partition: Partition, claimant: u128, stop: CancellationToken) -> Self {
        Self { shared, partition, stop, claimant, journal: Mutex::default(), read: ReadUpTo::default(), pacer: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Takes in journal records; `position` is where their reader stands behind them.
    pub(crate) fn fold(&self, records: &[Record], position: Offset) {
        {
            let mut journal = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
            for record in records {
                let Some(value) = &record.value else { continue };
                match DeliveryRecord::decode(&self.shared.codec, value) {
                    Ok(delivery) => {
                        let attempt = Word::Attempt { takes_over: delivery.attempts > 0 };
                        let word = delivery.verdict.outcome().map_or(attempt, Word::Ended);
                        journal.fold(record.offset, &delivery.message, delivery.claimant, word, delivery.at, record.timestamp);
                    }
                    Err(error) => {
                        self.shared.metrics.poison.inc();
                        tracing::error!(%error, topic = &*record.topic, partition = record.partition, offset = record.offset, "journal record cannot be read");
                    }
                }
            }
        }
        self.read.set(position);
    }

    pub(crate) fn forget_before(&self, moment: Timestamp) {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).forget_before(moment);
    }

    pub(crate) fn next_move(&self, send: &SendRecord) -> Move {
        let message = &send.message;
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).next_move(&message.id, message.delivery, self.now(), self.shared.grace)
    }

    pub(crate) fn won(&self, message: &MessageId, offset: Offset, behind: Option<Offset>) -> bool {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).won(message, offset, behind)
    }

    pub(crate) fn pacer(&self) -> MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the journal has been read, for waiting until it is further: take it before asking for the next move.
    pub(crate) fn journal_position(&self) -> Offset {
        self.read.get()
    }

    /// Resolves when the journal has grown since `position` was taken, or `until` has come.
    pub(crate) async fn grown(&self, position: Offset, until: Timestamp) {
        tokio::select! {
            biased;
            () = self.read.beyond(position) => {}
            () = self.shared.clock.sleep_until(until) => {}
        }
    }

    /// Puts a word about a message into the journal, and reads the journal as far as there.
    ///
    /// When the log did not answer, the word is written again; had the first one landed, it stands before the second, whose writer then
    /// sees that it was not first and leaves the message be.
    pub(crate) async fn write(&self, send: &SendRecord, word: DeliveryVerdict, made: &Made) -> Result<Offset, Error> {
        let message = &send.message;
        let record = DeliveryRecord {
            message: message.id.clone(),
            customer: message.customer.clone(),
            campaign: message.campaign.clone(),
            version: message.version,
            channel: message.channel,
            class: message.class,
            provider: message.provider.clone(),
            claimant: self.claimant,
            verdict: word,
            at: self.now(),
            not_after: message.not_after,
            provider_message_id: made.provider_message_id.clone(),
            parts: message.parts,
            attempts: made.calls,
            address_home: Some(message.address_home.clone()),
        };
        let offset = self
            .append(Outgoing {
                topic: self.shared.topics.deliveries.clone(),
                partition: self.partition,
                key: Some(Bytes::copy_from_slice(message.id.as_str().as_bytes())),
                value: Some(record.encode(&self.shared.codec).into()),
                headers: Vec::new(),
            })
            .await?;
        self.read.beyond(offset).await;
        Ok(offset)
    }

    /// Tells the evaluator what became of a message. The same words again and again give the same ids, so repeats do no harm.
    pub(crate) async fn report(&self, send: &SendRecord, result: &OutcomeResult, at: Timestamp) -> Result<(), Error> {
        let message = &send.message;
        let outcome = Outcome { message: message.id.clone(), result: result.clone(), at };
        self.emit(&message.customer, format!("{}/{}", message.id, word(result)), at, Fact::Outcome(outcome)).await?;
        if matches!(result, OutcomeResult::Failed { reason, .. } if reason == OPTED_OUT_AT_PROVIDER) {
            let fact = Fact::OptedOut { channel: message.channel, by: OptOutBy::Provider };
            self.emit(&message.address_home, format!("{}/opted_out", message.id), at, fact).await?;
        }
        Ok(())
    }

    async fn emit(&self, key: &CustomerKey, id: String, at: Timestamp, fact: Fact) -> Result<(), Error> {
        let input = Input { key: key.clone(), id, received: at, names: Vec::new(), fact };
        let record = EventRecord { origin: None, body: EventBody::Customer(input) };
        self.append(Outgoing {
            topic: self.shared.topics.events.clone(),
            partition: self.shared.topics.partition_of(key),
            key: Some(Bytes::copy_from_slice(key.as_str().as_bytes())),
            value: Some(record.encode(&self.shared.codec).into()),
            headers: Vec::new(),
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn append(&self, record: Outgoing) -> Result<Offset, Error> {
        loop {
            match self.shared.log.append(vec![record.clone()]).await {
                Ok(offsets) => return Ok(offsets.first().copied().unwrap_or_default()),
                Err(LogError::Unavailable(reason)) => {
                    tracing::warn!(reason, topic = &*record.topic, partition = record.partition, "could not append; trying again");
                    self.shared.clock.sleep(PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What has been done for a message so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made {
    /// How often it was offered to the provider. On an attempt, more than 0 says that it takes over another's, who may have offered it.
    pub(crate) calls: u32,
    /// The provider's id of it.
    pub(crate) provider_message_id: Option<String>,
}

/// An outcome's word, for ids and metrics.
pub(crate) fn word(result: &OutcomeResult) -> &'static str {
    match result {
        OutcomeResult::Sent => "sent",
        OutcomeResult::Delivered => "delivered",
        OutcomeResult::Failed { .. } => "failed",
        OutcomeResult::Unknown => "unknown",
        OutcomeResult::Suppressed { .. } => "suppressed",
        OutcomeResult::Expired => "expired",
        OutcomeResult::Returned { .. } => "returned",
    }
}
