//! Carries what was understood, and what was not, to the log. Nothing counts as taken before the log acknowledged it.

use std::sync::Arc;

use bytes::Bytes;
use cartwheel_engine::input::Input;
use cartwheel_runtime::{
    clock::Clock,
    log::{Log, LogError, Outgoing},
};
use cartwheel_wire::{Codec, DeadLetter, DeadLetterSource, EventBody, EventRecord, Topics, partition_of};
use tokio::sync::watch;

use crate::{
    metrics::{Metrics, Way},
    refusal::Refusal,
};

/// Something that was not understood, with its bytes.
#[derive(Clone, Debug)]
pub struct SetAside {
    /// Where it came from.
    pub source: DeadLetterSource,
    /// The shop, where it is known.
    pub shop: Option<String>,
    /// Why.
    pub refusal: Refusal,
    /// What came.
    pub bytes: Bytes,
}

/// The way to the log; copies are the same.
#[derive(Clone)]
pub struct Intake {
    log: Arc<dyn Log>,
    topics: Topics,
    codec: Codec,
    clock: Clock,
    metrics: Metrics,
    failed: watch::Sender<Option<LogError>>,
}

impl Intake {
    /// Over this log.
    pub fn new(log: Arc<dyn Log>, topics: Topics, codec: Codec, clock: Clock, metrics: Metrics) -> Self {
        Self { log, topics, codec, clock, metrics, failed: watch::Sender::new(None) }
    }

    /// Appends inputs and dead letters, and resolves when all are acknowledged. May be repeated: inputs keep their ids.
    ///
    /// # Errors
    /// Those of the log; then nothing may be claimed, though some of it may land.
    pub async fn append(&self, way: Way, inputs: Vec<Input>, aside: Vec<SetAside>) -> Result<(), LogError> {
        if inputs.is_empty() && aside.is_empty() {
            return Ok(());
        }
        let (count, began) = (inputs.len(), self.clock.now());
        let mut records: Vec<Outgoing> = inputs.into_iter().map(|input| self.event(input)).collect();
        let codes: Vec<_> = aside.iter().map(|one| one.refusal.code).collect();
        records.extend(aside.into_iter().map(|one| self.dead_letter(one)));
        match self.log.append(records).await {
            Ok(_) => {
                self.metrics.appended_within(self.clock.now().duration_since(began).as_secs_f64().max(0.0));
                self.metrics.took(way, count);
                codes.into_iter().for_each(|code| self.metrics.set_aside(way, code));
                Ok(())
            }
            Err(error) => {
                if matches!(error, LogError::Fatal(_)) {
                    self.failed.send_replace(Some(error.clone()));
                }
                Err(error)
            }
        }
    }

    /// Resolves when the log has failed for good (rule P3): the process must start again.
    pub async fn failed(&self) -> LogError {
        let mut failed = self.failed.subscribe();
        let ended = failed.wait_for(Option::is_some).await.ok().and_then(|error| error.clone());
        ended.unwrap_or_else(|| LogError::Fatal("the intake is gone".to_owned()))
    }

    fn event(&self, input: Input) -> Outgoing {
        let partition = self.topics.partition_of(&input.key);
        let key = Bytes::from(input.key.as_str().to_owned());
        let record = EventRecord { origin: None, body: EventBody::Customer(input) };
        Outgoing {
            topic: self.topics.events.clone(),
            partition,
            key: Some(key),
            value: Some(record.encode(&self.codec).into()),
            headers: Vec::new(),
        }
    }

    fn dead_letter(&self, SetAside { source, shop, refusal, bytes }: SetAside) -> Outgoing {
        let letter = DeadLetter::new(source, shop, refusal.code.as_str(), refusal.message, self.clock.now(), bytes);
        let key = letter.key();
        Outgoing {
            topic: self.topics.dead_letters.clone(),
            partition: partition_of(&key, self.topics.partitions),
            key: Some(key.into()),
            value: Some(letter.encode(&self.codec).into()),
            headers: Vec::new(),
        }
    }
}
