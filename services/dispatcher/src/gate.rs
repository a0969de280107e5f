//! The gate (rules P16, P17): is this message still wanted, as of a few seconds ago at most?
//!
//! The evaluator's store answers for messages in flight at the customer's home and for opted-out addresses at the address's home,
//! which may lie in other partitions. An answer counts only if the store is known to be up to date: the partition's head has reached
//! an end of the events log that was sampled at most `freshness` ago, is above the record that caused the message, and is not below
//! a head seen before (the store would have been rolled back). Until then the answer is [`Look::NotYet`], never a guess. A message
//! that the store does not know is not wanted.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use cartwheel_engine::{
    effect::Wanted,
    input::{OutcomeResult, Return, Suppression},
};
use cartwheel_language::Class;
use cartwheel_runtime::{
    log::{Offset, Partition},
    store::{Loaded, PartitionStore, StoreError},
};
use cartwheel_wire::{
    SendRecord, Topics,
    views::{BLOCKED, FLIGHT, blocked_entry, decode_flight},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    moment::after,
    samples::{Sample, Samples},
};

/// How old the knowledge may be on which a message goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// For promotional messages.
    #[serde(with = "cartwheel_runtime::config::duration")]
    pub promotional_freshness: Duration,
    /// For transactional and conversational ones.
    #[serde(with = "cartwheel_runtime::config::duration")]
    pub transactional_freshness: Duration,
    /// How often the end of the events log is asked for.
    #[serde(with = "cartwheel_runtime::config::duration")]
    pub sample_every: Duration,
    /// How long a message waits for knowledge, a pace or a stop to be lifted before it comes back to be decided again.
    #[serde(with = "cartwheel_runtime::config::duration")]
    pub hold: Duration,
}

impl GateConfig {
    /// The freshness for a class of messages.
    pub fn freshness(&self, class: Class) -> Duration {
        match class {
            Class::Promotional => self.promotional_freshness,
            Class::Transactional | Class::Conversational => self.transactional_freshness,
        }
    }

    /// The longest freshness.
    pub fn longest_freshness(&self) -> Duration {
        self.promotional_freshness.max(self.transactional_freshness)
    }
}

/// What a look through the gate shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is wanted, as of the sample that was taken then; hand it over while that is fresh.
    Open {
        /// The age of the knowledge is counted from here.
        taken: Timestamp,
    },
    /// It is not to be handed over: suppressed or returned.
    Closed(OutcomeResult),
    /// Nobody can tell yet.
    NotYet(Doubt),
}

/// Why nobody can tell yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The end of the events log has not been sampled lately.
    NoSample,
    /// The store does not answer.
    StoreAway,
    /// The store is empty, or an entry cannot be read: it is being built again.
    StoreEmpty,
    /// The evaluator has not reached the sampled end, or the message's cause.
    Behind,
    /// The head is below one seen before.
    RolledBack,
}

impl Doubt {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::NoSample, Self::StoreAway, Self::StoreEmpty, Self::Behind, Self::RolledBack];

    /// Its word, for logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSample => "no_sample",
            Self::StoreAway => "store_away",
            Self::StoreEmpty => "store_empty",
            Self::Behind => "behind",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// The gate of a process, shared by all its workers.
pub struct Gate {
    store: Arc<dyn PartitionStore>,
    samples: Arc<Samples>,
    installation: String,
    topics: Topics,
    config: GateConfig,
    /// The highest head seen of each partition.
    heads: Mutex<Vec<Offset>>,
}

impl Gate {
    /// A gate on the evaluator's store.
    pub fn new(store: Arc<dyn PartitionStore>, samples: Arc<Samples>, installation: &str, topics: Topics, config: GateConfig) -> Self {
        let heads = Mutex::new(vec![0; topics.partitions as usize]);
        Self { store, samples, installation: installation.to_owned(), topics, config, heads }
    }

    /// Its settings.
    pub fn config(&self) -> &GateConfig {
        &self.config
    }

    /// Whether knowledge as of `taken` still lets a message of this class go.
    pub fn still_fresh(&self, taken: Timestamp, class: Class, now: Timestamp) -> bool {
        self.samples.still_fresh(taken, now, self.config.freshness(class))
    }

    /// Looks once. `now` is the present moment.
    ///
    /// # Errors
    /// When the store is another installation's, has another number of partitions, or must not be used: the process cannot go on.
    pub async fn look(&self, send: &SendRecord, now: Timestamp) -> Result<Look, Error> {
        let message = &send.message;
        let Some(sample) = self.samples.fresh(now, self.config.freshness(message.class)) else { return Ok(Look::NotYet(Doubt::NoSample)) };
        let home = self.topics.partition_of(&message.customer);
        let above_cause = if send.origin.partition == home { send.origin.offset.saturating_add(1) } else { 0 };
        let entry = match self.ask(home, FLIGHT, message.id.as_str().to_owned(), &sample, above_cause).await? {
            Ok(entry) => entry,
            Err(doubt) => return Ok(Look::NotYet(doubt)),
        };
        let revoked = Look::Closed(OutcomeResult::Suppressed { reason: Suppression::Revoked });
        let Some(bytes) = entry else { return Ok(revoked) };
        let entry = match decode_flight(&bytes) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(%error, message_id = %message.id, partition = home, "flight entry cannot be read");
                return Ok(Look::NotYet(Doubt::StoreEmpty));
            }
        };
        match entry.wanted {
            _ if entry.customer != message.customer => return Ok(revoked),
            Wanted::Revoked => return Ok(revoked),
            Wanted::Moved => return Ok(Look::Closed(OutcomeResult::Returned { reason: Return::Moved })),
            Wanted::Yes if entry.until <= now => return Ok(Look::Closed(OutcomeResult::Returned { reason: Return::WindowClosed })),
            Wanted::Yes => {}
        }
        let address = self.topics.partition_of(&message.address_home);
        match self.ask(address, BLOCKED, blocked_entry(message.channel, &message.address_home), &sample, 0).await? {
            Ok(None) => Ok(Look::Open { taken: sample.taken }),
            Ok(Some(_)) => Ok(Look::Closed(OutcomeResult::Suppressed { reason: Suppression::OptedOut })),
            Err(doubt) => Ok(Look::NotYet(doubt)),
        }
    }

    /// Reads one entry, if the partition's head has reached the sampled end and `least`.
    async fn ask(
        &self,
        partition: Partition,
        view: &'static str,
        entry: String,
        sample: &Sample,
        least: Offset,
    ) -> Result<Result<Option<Bytes>, Doubt>, Error> {
        let Some(end) = sample.end(partition) else { return Ok(Err(Doubt::NoSample)) };
        let seen = self.highest(partition);
        let Loaded { facts, values } = match self.store.look(partition, view, &[entry]).await {
            Ok(loaded) => loaded,
            Err(StoreError::Unavailable(reason)) => {
                tracing::debug!(reason, partition, "store does not answer");
                return Ok(Err(Doubt::StoreAway));
            }
            Err(error @ StoreError::Unfit(_)) => return Err(Error::Store(error)),
        };
        let Some(facts) = facts else { return Ok(Err(Doubt::StoreEmpty)) };
        if facts.installation != self.installation || facts.partitions != self.topics.partitions {
            return Err(Error::ForeignStore {
                partition,
                expected: format!("{} with {} partitions", self.installation, self.topics.partitions),
                found: format!("{} with {} partitions", facts.installation, facts.partitions),
            });
        }
        let head = facts.fence.head;
        self.raise(partition, head);
        if head < seen {
            return Ok(Err(Doubt::RolledBack));
        }
        if head < end.max(least) {
            return Ok(Err(Doubt::Behind));
        }
        Ok(Ok(values.into_iter().next().flatten()))
    }

    fn highest(&self, partition: Partition) -> Offset {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).get(partition as usize).copied().unwrap_or(0)
    }

    fn raise(&self, partition: Partition, head: Offset) {
        if let Some(highest) = self.heads.lock().unwrap_or_else(PoisonError::into_inner).get_mut(partition as usize) {
            *highest = head.max(*highest);
        }
    }

    /// The moment until which a message that began to wait at `since` waits.
    pub fn patience(&self, since: Timestamp) -> Timestamp {
        after(since, self.config.hold)
    }
}
