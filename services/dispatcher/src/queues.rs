//! The bounded queues of a partition: one for each shop, channel and provider in each lane (rule P21).
//!
//! A message whose queue is full is turned away, it never waits in front of another's. What is worked on at a time is bounded for each
//! queue as well, so that a provider that hangs holds up its own queue only.

use std::collections::{BTreeMap, VecDeque};

use cartwheel_engine::id::MessageId;
use cartwheel_language::Channel;
use cartwheel_runtime::log::Offset;
use cartwheel_wire::SendRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::lane::Lane;

/// How much waits and how much is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// The most messages that wait in one queue of one partition.
    pub length: usize,
    /// The most messages of one queue of one partition that are worked on at a time.
    pub concurrency: usize,
    /// The most messages that wait in one lane of one partition.
    pub lane_length: usize,
}

/// A message on its lane.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) send: SendRecord,
    pub(crate) lane: Lane,
    pub(crate) offset: Offset,
    pub(crate) appended: Timestamp,
}

/// Which queue a message waits in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueKey {
    lane: Lane,
    channel: Channel,
    shop: String,
    provider: String,
}

impl Item {
    pub(crate) fn queue(&self) -> QueueKey {
        let message = &self.send.message;
        QueueKey { lane: self.lane, channel: message.channel, shop: message.customer.shop().to_owned(), provider: message.provider.clone() }
    }
}

/// What becomes of a message that comes.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It waits for its turn.
    Waits,
    /// The same message is here already: it is done when that one is.
    Here,
    /// Its queue is full: turn it away.
    Full(Box<Item>),
}

/// The queues of one partition.
#[derive(Debug)]
pub(crate) struct Queues {
    config: QueueConfig,
    queues: BTreeMap<QueueKey, Queue>,
    waiting: [usize; Lane::COUNT],
    /// Where copies of each message that is here stand.
    here: BTreeMap<MessageId, Vec<(Lane, Offset)>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Item>,
    at_work: usize,
}

impl Queues {
    pub(crate) fn new(config: QueueConfig) -> Self {
        Self { config, queues: BTreeMap::new(), waiting: [0; Lane::COUNT], here: BTreeMap::new() }
    }

    /// Takes a message in.
    pub(crate) fn admit(&mut self, item: Item) -> Admission {
        let place = (item.lane, item.offset);
        if let Some(copies) = self.here.get_mut(&item.send.message.id) {
            copies.push(place);
            return Admission::Here;
        }
        self.here.insert(item.send.message.id.clone(), vec![place]);
        let waiting = &mut self.waiting[item.lane as usize];
        let queue = self.queues.entry(item.queue()).or_default();
        if queue.waiting.len() >= self.config.length || *waiting >= self.config.lane_length {
            return Admission::Full(Box::new(item));
        }
        *waiting += 1;
        queue.waiting.push_back(item);
        Admission::Waits
    }

    /// The messages whose turn has come, the most urgent lane first.
    pub(crate) fn start(&mut self) -> Vec<Item> {
        let mut started = Vec::new();
        for (key, queue) in &mut self.queues {
            while queue.at_work < self.config.concurrency
                && let Some(item) = queue.waiting.pop_front()
            {
                queue.at_work += 1;
                self.waiting[key.lane as usize] -= 1;
                started.push(item);
            }
        }
        started
    }

    /// A message of this queue is not worked on any more.
    pub(crate) fn finish(&mut self, key: &QueueKey) {
        if let Some(queue) = self.queues.get_mut(key) {
            queue.at_work = queue.at_work.saturating_sub(1);
            if queue.at_work == 0 && queue.waiting.is_empty() {
                self.queues.remove(key);
            }
        }
    }

    /// A message is gone; tells where its copies stand.
    pub(crate) fn leave(&mut self, message: &MessageId) -> Vec<(Lane, Offset)> {
        self.here.remove(message).unwrap_or_default()
    }

    /// How many messages wait in a lane.
    pub(crate) fn waiting(&self, lane: Lane) -> usize {
        self.waiting[lane as usize]
    }
}
