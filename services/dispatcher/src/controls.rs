//! What people have stopped (rule P22, R93): the whole of `cartwheel.controls`, read by each process.
//!
//! A stop is in force as soon as it is read. That it *was* read is confirmed again and again: the topic's end is asked for, and what
//! was read must have reached it. A confirmation counts for `freshness` (5 s); without one nothing is sent, whatever the reason is.
//! Neither evaluator nor store is needed for it.
//!
//! Resuming is paced: what is resumed goes out at the order's rate, over all dispatchers together (each partition takes its share),
//! and the rate doubles every minute, so that there is no burst and nobody has to remember to lift the pace.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cartwheel_engine::effect::Message;
use cartwheel_runtime::{
    admin::Condition,
    clock::Clock,
    log::{From, Log, LogError, Record},
};
use cartwheel_wire::{Codec, ControlRecord, ControlScope};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, moment::after};

/// What the controls say of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Permit {
    /// It may go, at the pace of what was lately resumed.
    Go(Vec<Pace>),
    /// It is stopped.
    Stopped,
    /// Nobody knows: the topic has not been read to its end lately.
    Unknown,
}

/// A pace that holds for all messages of one scope.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    /// What was resumed.
    pub scope: ControlScope,
    /// Messages a second, of all dispatchers together.
    pub rate: f64,
}

/// The controls in force, shared by all workers of a process.
#[derive(Debug)]
pub struct Controls {
    resume_rate: f64,
    freshness: Duration,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    by_key: BTreeMap<String, ControlRecord>,
    /// Keys whose order cannot be read: it may be a stop, so nothing goes until it is written again.
    unreadable: BTreeSet<String>,
    /// The topic has been read to the end that it had at this moment.
    confirmed: Option<Timestamp>,
}

/// A pace above this many messages a second is none: it is beyond what providers take.
const UNPACED: f64 = 10_000.0;

/// How often the topic's end is asked for: a stop is in force after about so long.
const CONFIRM_EVERY: Duration = Duration::from_millis(250);

/// How long a reader waits for records that are known to be there.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause behind a failure to read.
const PAUSE: Duration = Duration::from_secs(1);

impl Controls {
    /// Nothing is known yet, so nothing may go. `resume_rate` is the pace, in messages a second, of orders that name none.
    pub fn new(freshness: Duration, resume_rate: f64) -> Self {
        Self { resume_rate, freshness, read: Mutex::default() }
    }

    /// Takes in an order.
    pub fn fold(&self, record: ControlRecord) {
        let mut read = self.lock();
        let key = record.key();
        read.unreadable.remove(&key);
        read.by_key.insert(key, record);
    }

    /// Takes back an order.
    pub fn forget(&self, key: &str) {
        let mut read = self.lock();
        read.unreadable.remove(key);
        read.by_key.remove(key);
    }

    /// There is an order of this key that cannot be read.
    pub fn doubt(&self, key: &str) {
        self.lock().unreadable.insert(key.to_owned());
    }

    /// The topic has been read to the end that it had at `asked`.
    pub fn confirm(&self, asked: Timestamp) {
        self.lock().confirmed = Some(asked);
    }

    /// Whether a message may go now.
    pub fn permit(&self, message: &Message, now: Timestamp) -> Permit {
        let read = self.lock();
        let meant = || read.by_key.values().filter(|order| order.scope.covers(message.customer.shop(), message.channel, &message.campaign));
        if meant().any(|order| order.stopped) {
            return Permit::Stopped;
        }
        // A confirmation from the future was made before the clock was set back: its age is unknown.
        if !read.unreadable.is_empty()
            || !read.confirmed.is_some_and(|confirmed| confirmed <= now && now <= after(confirmed, self.freshness))
        {
            return Permit::Unknown;
        }
        let paces = meant().filter_map(|order| Some(Pace { scope: order.scope.clone(), rate: self.rate(order, now)? }));
        Permit::Go(paces.collect())
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rate at which a resumed scope goes now; none if it is as good as free.
    fn rate(&self, order: &ControlRecord, now: Timestamp) -> Option<f64> {
        let minutes = now.duration_since(order.at).max(SignedDuration::ZERO).as_secs() / 60;
        let rate = order.rate.unwrap_or(self.resume_rate) * 2_f64.powi(i32::try_from(minutes).unwrap_or(i32::MAX));
        (rate < UNPACED).then_some(rate)
    }
}

/// Reads the controls topic from its beginning, and confirms.
pub struct ControlsReader {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The controls topic's full name.
    pub topic: Arc<str>,
    /// How orders are written.
    pub codec: Codec,
    /// The clock.
    pub clock: Clock,
    /// Where they are in force.
    pub controls: Arc<Controls>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Holds while the topic can be read.
    pub ready: Condition,
}

impl ControlsReader {
    /// Reads until `stop`. What fails is begun again; until it succeeds confirmations grow old, and so nothing goes out.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let failed = tokio::select! {
                () = stop.cancelled() => return,
                error = self.read() => error,
            };
            tracing::warn!(error = %failed, topic = &*self.topic, "could not read the controls; nothing is sent without them");
            self.ready.fails(failed.to_string());
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.clock.sleep(PAUSE) => {}
            }
        }
    }

    /// Reads until it fails.
    async fn read(&self) -> LogError {
        let mut reader = match self.log.open(&self.topic, 0, From::Start).await {
            Ok(reader) => reader,
            Err(error) => return error,
        };
        loop {
            let asked = self.clock.now();
            let end = match self.log.bounds(&self.topic, 0).await {
                Ok(bounds) => bounds.end,
                Err(error) => return error,
            };
            while reader.position() < end {
                match reader.read(256, PATIENCE).await {
                    Ok(records) => records.iter().for_each(|record| self.take(record)),
                    Err(error) => return error,
                }
            }
            self.controls.confirm(asked);
            self.metrics.controls_confirmed(asked);
            self.ready.holds();
            self.clock.sleep(CONFIRM_EVERY).await;
        }
    }

    fn take(&self, record: &Record) {
        let key = record.key.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let Some(value) = &record.value else { return self.controls.forget(&key) };
        match ControlRecord::decode(&self.codec, value) {
            Ok(order) => {
                tracing::info!(scope = order.key(), stopped = order.stopped, rate = order.rate, offset = record.offset, "control in force");
                self.controls.fold(order);
            }
            Err(error) => {
                self.metrics.poison.inc();
                self.controls.doubt(&key);
                let offset = record.offset;
                tracing::error!(%error, offset, "control cannot be read, so nothing is sent; write it again with `cartwheel stop` or `cartwheel resume`");
            }
        }
    }
}

/// Gives the messages of a partition their moments under the paces in force.
#[derive(Debug, Default)]
pub struct Pacer {
    next: BTreeMap<ControlScope, Timestamp>,
}

impl Pacer {
    /// The moment at which the next message under these paces may go, if that is not after `limit`; it is then taken. `partitions` share
    /// the rate.
    pub fn book(&mut self, paces: &[Pace], partitions: u32, now: Timestamp, limit: Timestamp) -> Option<Timestamp> {
        self.next.retain(|_, next| *next > now);
        let slot = paces.iter().filter_map(|pace| self.next.get(&pace.scope)).copied().fold(now, Timestamp::max);
        if slot > limit {
            return None;
        }
        for pace in paces {
            let apart = Duration::try_from_secs_f64(f64::from(partitions) / pace.rate).unwrap_or(Duration::MAX);
            self.next.insert(pace.scope.clone(), after(slot, apart));
        }
        Some(slot)
    }
}
