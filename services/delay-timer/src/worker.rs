//! One partition of the timers' log, one worker: reads what is set and cancelled, and fires what is due.
//!
//! The worker spawns nothing and waits only for the log and the clock, so the simulation runs it as it is. Reading and firing take turns,
//! a bounded batch each: a backlog of due timers delays no set or cancel by more than one batch, and the other way round.
//!
//! # Firing, step by step
//! 1. *Append* the due timers' records to their targets and wait for the acknowledgement. Crash before: they are due after the restart.
//! 2. *Append* their tombstones and wait. Crash before: they fire again after the restart, with the same bytes; receivers know the id.
//! 3. *Remember* them until their tombstones come back from the log, so that they do not fire again in this run; only then the view
//!    forgets them. Crash before: the tombstones are read before anything fires.
//!
//! # Why tombstones name the moment
//! A timer that is set again while it fires stands on the log between its first record and the tombstone, and the tombstone would cancel
//! it. So a tombstone of a firing says in a header which due moment it is for. It leaves another moment open, and the worker appends
//! that timer's record again, behind the tombstone, for those who read only what compaction leaves.

mod fire;
mod fold;

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use cartwheel_runtime::{
    clock::Clock,
    log::{From, Log, LogError, Offset, Outgoing, Partition, Reader, Record},
};
use cartwheel_wire::Codec;
use futures::future::{BoxFuture, Either, pending, select};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    error::Error,
    metrics::Metrics,
    progress::{Progress, Timers},
    timer::{Due, Place},
    view::{Facts, Identity, Stamp, Unfit, View},
};

/// The header of a tombstone that a firing leaves: the due moment, in microseconds since 1970 as decimal text.
pub const FIRED_HEADER: &str = "cartwheel-fired";

/// The header of a record that the worker appends again because a tombstone overtook it: the offset of the record that it repeats, as
/// decimal text. What was set behind that offset stands.
pub const RENEWED_HEADER: &str = "cartwheel-renewed";

/// What the workers of all partitions have in common.
#[derive(Clone)]
pub struct Common {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The clock that says when a timer is due.
    pub clock: Clock,
    /// Reads and writes records.
    pub codec: Arc<Codec>,
    /// Topics and bounds.
    pub settings: Arc<Settings>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where progress is noted.
    pub timers: Timers,
}

/// Topics and bounds of a worker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The installation's id; a view of another one is thrown away.
    pub installation: String,
    /// The timers' topic.
    pub timers: Arc<str>,
    /// The topic of dead letters.
    pub dead_letters: Arc<str>,
    /// The topics that timers may append to.
    pub targets: BTreeSet<String>,
    /// A view that has not been at its log's end for so long is thrown away; below the topic's `delete.retention.ms` (rule P14).
    pub view_max_age: SignedDuration,
    /// The most records that are read in one turn.
    pub read_batch: usize,
    /// The most timers that are fired in one turn.
    pub fire_batch: usize,
    /// A turn of firing ends when its records exceed this many bytes.
    pub fire_bytes: usize,
    /// Firing pauses while this many tombstones have not come back, which bounds the memory of what has been fired.
    pub unreturned: usize,
    /// A worker looks at the clock at least this often, which bounds how late a step of the clock is noticed.
    pub recheck: Duration,
}

/// How often a view notes that it has been at the log's end; far below any `view_max_age`.
const MILESTONE_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// The key of a tombstone that a worker appends only to read it.
const NUDGE_KEY: &[u8] = b"cartwheel-end";

/// The first and the longest pause before a log that does not answer is asked again.
const BACKOFF: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(10)];

/// The worker of one partition.
pub struct Worker<V> {
    common: Common,
    partition: Partition,
    view: V,
    stop: CancellationToken,
    facts: Facts,
    /// The record that must be read first, to know the log again.
    expected: Option<Stamp>,
    /// The log's end at a moment; when it is read, the view is complete until that moment.
    milestone: Option<Milestone>,
    /// The log was away when it was last asked for its end: if that lasts, the view ages as one on a disk does.
    unanswered: bool,
    nudged: bool,
    ready: bool,
    /// Everything before this place has been fired or is not open.
    cursor: Place,
    /// Fired in this run; their tombstones have not come back.
    fired: BTreeSet<Place>,
    /// Set again by this worker after they were overtaken by a tombstone; their records have not come back.
    renewed: BTreeSet<Bytes>,
    /// The first timer at the cursor or behind it that has not been fired.
    next: Option<Next>,
    next_is_known: bool,
    overdue: Overdue,
}

struct Milestone {
    end: Offset,
    at: Timestamp,
}

struct Next {
    place: Place,
    waiting_since: Timestamp,
}

#[derive(Default)]
struct Overdue {
    count: u64,
    counted: Option<Timestamp>,
}

/// Why a turn ended.
enum Turn {
    /// Go on.
    Done,
    /// The host wants the partition back, or the process stops.
    Stopped,
    /// The view does not belong to this log.
    Unfit(Unfit),
}

impl<V: View> Worker<V> {
    /// A worker that stops when `stop` is cancelled.
    pub fn new(common: Common, partition: Partition, view: V, stop: CancellationToken) -> Self {
        let settings = &common.settings;
        let identity = Identity { installation: settings.installation.clone(), topic: settings.timers.to_string(), partition };
        Self {
            common,
            partition,
            view,
            stop,
            facts: Facts::beginning(identity, 0),
            expected: None,
            milestone: None,
            unanswered: false,
            nudged: false,
            ready: false,
            cursor: Place::FIRST,
            fired: BTreeSet::new(),
            renewed: BTreeSet::new(),
            next: None,
            next_is_known: false,
            overdue: Overdue::default(),
        }
    }

    /// Works until it is stopped. It may be dropped at any await, as a crash would.
    ///
    /// # Errors
    /// When the view or the log cannot be used any more; the process is to stop.
    pub async fn run(mut self) -> Result<(), Error> {
        let result = self.work().await;
        self.common.timers.forget(self.partition);
        result
    }

    async fn work(&mut self) -> Result<(), Error> {
        let Some(mut reader) = self.open().await? else { return Ok(()) };
        loop {
            let turn = self.turn(&mut reader).await?;
            match turn {
                Turn::Done => {}
                Turn::Stopped => return Ok(()),
                Turn::Unfit(unfit) => match self.rebuild(&unfit).await? {
                    Some(fresh) => reader = fresh,
                    None => return Ok(()),
                },
            }
        }
    }

    /// One batch of firing, then one of reading; whatever becomes due while nothing is there to read is fired at its moment.
    async fn turn(&mut self, reader: &mut Box<dyn Reader>) -> Result<Turn, Error> {
        self.renew().await?;
        self.fire().await?;
        let records = {
            let mut reading = reader.read(self.common.settings.read_batch, self.patience(reader.position()));
            loop {
                let wake = self.wake()?;
                let stop = self.stop.clone();
                match select(&mut reading, select(wake, pin!(stop.cancelled()))).await {
                    Either::Left((records, _)) => break records,
                    Either::Right((Either::Left(_), _)) => self.fire().await?,
                    Either::Right((Either::Right(_), _)) => return Ok(Turn::Stopped),
                }
            }
        };
        match records {
            Ok(records) => self.take(records, reader.position()).await,
            Err(LogError::OutOfRange { .. }) => Ok(Turn::Unfit(Unfit::Behind)),
            Err(LogError::Unavailable(reason)) => {
                tracing::warn!(partition = self.partition, reason, "could not read timers, trying again");
                self.pause(BACKOFF[0]).await;
                Ok(if self.stop.is_cancelled() { Turn::Stopped } else { Turn::Done })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// How long to wait for a record: not at all where the end is reached already, so that an idle partition is ready at once.
    fn patience(&self, position: Offset) -> Duration {
        let reached = self.expected.is_none() && self.milestone.as_ref().is_some_and(|milestone| position >= milestone.end);
        if reached { Duration::ZERO } else { self.common.settings.recheck }
    }

    /// Resolves when there is something to fire.
    fn wake(&mut self) -> Result<BoxFuture<'static, ()>, Error> {
        let moment = if self.may_fire() { self.next()?.map(|next| next.place.due.moment()) } else { None };
        Ok(moment.map_or_else(|| Box::pin(pending()) as BoxFuture<'static, ()>, |moment| self.common.clock.sleep_until(moment)))
    }

    fn may_fire(&self) -> bool {
        self.ready && self.fired.len() < self.common.settings.unreturned
    }

    /// Folds what was read, and notes milestones.
    async fn take(&mut self, mut records: Vec<Record>, position: Offset) -> Result<Turn, Error> {
        if let (Some(expected), Some(first)) = (self.expected, records.first()) {
            self.expected = None;
            if first.offset == expected.offset {
                if first.timestamp != expected.timestamp {
                    return Ok(Turn::Unfit(Unfit::Foreign));
                }
                records.remove(0);
            }
        }
        if records.is_empty() && !self.ready && !self.nudged && self.milestone.as_ref().is_some_and(|milestone| position < milestone.end) {
            self.nudge().await?;
        }
        let now = self.common.clock.now();
        if self.unanswered && now.duration_since(self.facts.complete_until) >= self.common.settings.view_max_age {
            return Ok(Turn::Unfit(Unfit::Old));
        }
        let position = position.max(self.facts.position);
        let reached = self.milestone.take_if(|milestone| position >= milestone.end);
        if let Some(milestone) = &reached {
            self.facts.complete_until = milestone.at;
        }
        if !records.is_empty() || reached.is_some() || position > self.facts.position {
            self.fold(records, position)?;
        }
        if reached.is_some() && !self.ready {
            self.ready = true;
            tracing::info!(partition = self.partition, offset = position, open = self.facts.open, "timers are complete and fire");
        }
        if self.milestone.is_none() && now.duration_since(self.facts.complete_until) >= MILESTONE_INTERVAL {
            let answer = self.ask_end().await;
            self.unanswered = answer.is_err();
            self.milestone = answer.ok();
        }
        self.note_progress()?;
        Ok(Turn::Done)
    }

    /// Where compaction has emptied the log's end, no record tells that the end is reached: a tombstone of nothing does.
    async fn nudge(&mut self) -> Result<(), Error> {
        self.nudged = true;
        let (topic, key) = (self.common.settings.timers.clone(), Some(Bytes::from_static(NUDGE_KEY)));
        self.append(vec![Outgoing { topic, partition: self.partition, key, value: None, headers: Vec::new() }]).await
    }

    async fn ask_end(&self) -> Result<Milestone, LogError> {
        let at = self.common.clock.now();
        let bounds = self.common.log.bounds(&self.common.settings.timers, self.partition).await?;
        Ok(Milestone { end: bounds.end, at })
    }

    /// Opens the log where the view stands, if the view is fit.
    async fn open(&mut self) -> Result<Option<Box<dyn Reader>>, Error> {
        let common = self.common.clone();
        let (topic, partition, at) = (common.settings.timers.clone(), self.partition, common.clock.now());
        let Some(bounds) = self.ask("look at the timers' log", || common.log.bounds(&topic, partition)).await? else { return Ok(None) };
        let stored = self.view.facts()?;
        let fit =
            stored.as_ref().map_or(Err(Unfit::Absent), |facts| facts.judge(&self.facts.identity, bounds, at, common.settings.view_max_age));
        let facts = match (stored, fit) {
            (Some(facts), Ok(())) => facts,
            (_, Err(unfit)) => return self.rebuild(&unfit).await,
            (None, Ok(())) => return self.rebuild(&Unfit::Absent).await,
        };
        self.expected = facts.last.filter(|last| last.offset >= bounds.start);
        let from = self.expected.map_or(facts.position, |last| last.offset);
        self.cursor = facts.floor.clone();
        self.facts = facts;
        self.milestone = Some(Milestone { end: bounds.end, at });
        tracing::info!(partition, offset = from, end = bounds.end, open = self.facts.open, "reading timers on from the view");
        match self.ask("open the timers' log", || common.log.open(&topic, partition, From::Offset(from))).await {
            Err(Error::Log(LogError::OutOfRange { .. })) => self.rebuild(&Unfit::Behind).await,
            opened => opened,
        }
    }

    /// Throws the view away and opens the log at its start.
    async fn rebuild(&mut self, unfit: &Unfit) -> Result<Option<Box<dyn Reader>>, Error> {
        if *unfit != Unfit::Absent {
            tracing::warn!(partition = self.partition, reason = unfit.as_str(), "timer view is unfit, rebuilding it from the log");
        }
        self.common.metrics.rebuilt(unfit);
        self.view.clear()?;
        let common = self.common.clone();
        let (topic, partition, at) = (common.settings.timers.clone(), self.partition, common.clock.now());
        let Some(bounds) = self.ask("look at the timers' log", || common.log.bounds(&topic, partition)).await? else { return Ok(None) };
        self.facts = Facts::beginning(self.facts.identity.clone(), bounds.start);
        self.expected = None;
        self.milestone = Some(Milestone { end: bounds.end, at });
        self.unanswered = false;
        self.nudged = false;
        self.ready = false;
        self.cursor = Place::FIRST;
        self.fired.clear();
        self.renewed.clear();
        self.next = None;
        self.next_is_known = true;
        self.ask("open the timers' log", || common.log.open(&topic, partition, From::Start)).await
    }

    /// The first timer that has not been fired.
    fn next(&mut self) -> Result<Option<&Next>, Error> {
        while !self.next_is_known {
            let first = self.view.due(&self.cursor, Due::LAST, 1, 0)?.pop();
            match first {
                Some(timer) if self.fired.contains(&timer.place) => self.cursor = timer.place.next(),
                first => {
                    self.next = first.map(|timer| Next { waiting_since: timer.waiting_since(), place: timer.place });
                    self.next_is_known = true;
                }
            }
        }
        Ok(self.next.as_ref())
    }

    fn note_progress(&mut self) -> Result<(), Error> {
        let next = self.next()?;
        let (next_due, waiting_since) = (next.map(|next| next.place.due.moment()), next.map(|next| next.waiting_since));
        let Facts { position, open, .. } = self.facts;
        let progress = Progress { position, ready: self.ready, open, overdue: self.overdue.count, next_due, waiting_since };
        self.common.timers.note(self.partition, progress);
        Ok(())
    }

    /// Asks the log until it answers; none if the worker is stopped meanwhile.
    async fn ask<'a, T>(
        &self,
        attempt: &'static str,
        mut question: impl FnMut() -> BoxFuture<'a, Result<T, LogError>>,
    ) -> Result<Option<T>, Error> {
        let [mut pause, longest] = BACKOFF;
        loop {
            let answer = match select(question(), pin!(self.stop.cancelled())).await {
                Either::Left((answer, _)) => answer,
                Either::Right(_) => return Ok(None),
            };
            match answer {
                Ok(answer) => return Ok(Some(answer)),
                Err(LogError::Unavailable(reason)) => {
                    tracing::warn!(partition = self.partition, reason, "could not {attempt}, trying again");
                    self.pause(pause).await;
                    pause = (pause * 2).min(longest);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn pause(&self, pause: Duration) {
        select(self.common.clock.sleep(pause), pin!(self.stop.cancelled())).await;
    }
}
