//! Log, clock, view and worker on one thread, and the naive judge of what came out.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use cartwheel_delay_timer::{
    error::Error,
    metrics::Metrics,
    progress::Timers,
    timer::Due,
    view::{Disk, DiskSettings, Facts, MemoryView, View},
    worker::{Common, RENEWED_HEADER, Settings, Worker},
};
use cartwheel_runtime::{
    clock::{Clock, TimeSource},
    log::{Bounds, From, Log, LogError, Offset, Outgoing, Partition, Reader, Record},
    memory_log::MemoryLog,
};
use cartwheel_wire::{Codec, DeadLetter, TimerRecord};
use futures::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use prometheus::Registry;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const TIMERS: &str = "timers";
const TARGET: &str = "events";
const DEAD_LETTERS: &str = "dead-letters";
/// How long tombstones live on the log; clocks that step back take at most half of the difference to the view's age.
const TOMBSTONES_LIVE: SignedDuration = SignedDuration::from_secs(5000);
const VIEW_MAX_AGE: SignedDuration = SignedDuration::from_secs(1000);

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A user sets a timer, due so many seconds from now.
    Set { id: u8, delay: i64 },
    /// A user cancels a timer.
    Cancel { id: u8 },
    /// Somebody writes what is no timer.
    Poison { id: u8 },
    /// The clock moves by so many seconds, back if negative.
    Advance(i64),
    /// The worker gets on by so many polls.
    Poll(usize),
    /// The worker gets on until it waits.
    Settle,
    /// The worker dies where it stands, and another begins.
    Crash(Keep),
    /// The view's present moment is kept for a later rollback.
    TakeSnapshot,
    /// The log is compacted, and old tombstones go. It has let the worker read first, as `min.compaction.lag.ms` does.
    Compact,
}

/// What a crash leaves of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    View,
    Snapshot,
    Nothing,
}

/// Where the view is kept.
pub(crate) enum Views {
    Memory { view: MemoryView, snapshot: Box<cartwheel_delay_timer::view::Snapshot> },
    Disk { folder: TempDir, disk: Option<Disk> },
}

impl Views {
    pub(crate) fn memory() -> Self {
        Self::Memory { view: MemoryView::default(), snapshot: Box::default() }
    }

    pub(crate) fn disk() -> Self {
        Self::Disk { folder: tempfile::tempdir().unwrap(), disk: None }
    }

    fn open(&mut self) -> Box<dyn View> {
        match self {
            Self::Memory { view, .. } => Box::new(view.clone()),
            Self::Disk { folder, disk } => {
                let settings = DiskSettings { cache: 1 << 20, write_buffer: 1 << 20 };
                Box::new(disk.get_or_insert_with(|| Disk::open(folder.path(), settings).unwrap()).view(0))
            }
        }
    }

    fn take_snapshot(&mut self) {
        if let Self::Memory { view, snapshot } = self {
            **snapshot = view.snapshot();
        }
    }

    fn crash(&mut self, keep: Keep) {
        match (self, keep) {
            (Self::Memory { view, snapshot }, Keep::Snapshot) => view.restore((**snapshot).clone()),
            (Self::Memory { view, .. }, Keep::Nothing) => view.restore(Default::default()),
            (Self::Memory { .. }, Keep::View) => {}
            (Self::Disk { folder, disk }, keep) => {
                *disk = None;
                if keep == Keep::Nothing {
                    *folder = tempfile::tempdir().unwrap();
                }
            }
        }
    }
}

/// A clock that stands until it is moved. Whoever sleeps is polled by hand.
#[derive(Clone, Default)]
struct HandClock(Arc<Mutex<(Timestamp, Timestamp)>>);

impl HandClock {
    fn advance(&self, seconds: i64) {
        let mut times = self.0.lock().unwrap();
        times.0 += SignedDuration::from_secs(seconds);
        times.1 = times.1.max(times.0);
    }

    /// The latest moment that it ever showed.
    fn latest(&self) -> Timestamp {
        self.0.lock().unwrap().1
    }
}

impl TimeSource for HandClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(poll_fn(move |_| if clock.now() >= until { Poll::Ready(()) } else { Poll::Pending }))
    }
}

/// A log whose every append waits once before the records land and once before they are acknowledged.
struct SlowLog {
    log: MemoryLog,
    clock: HandClock,
    activity: AtomicU64,
    /// For each record of the target: the latest moment that the clock had shown when it landed.
    landed: Mutex<Vec<Timestamp>>,
    /// The ids of timers that the worker appended again.
    renewed: Mutex<BTreeSet<Bytes>>,
}

impl SlowLog {
    fn new(clock: HandClock) -> Self {
        let log = MemoryLog::new(Clock::new(clock.clone()));
        for topic in [TIMERS, TARGET, DEAD_LETTERS] {
            log.create_topic(topic, 1);
        }
        Self { log, clock, activity: AtomicU64::new(0), landed: Mutex::default(), renewed: Mutex::default() }
    }
}

async fn pause(activity: &AtomicU64) {
    let mut paused = false;
    poll_fn(|_| {
        activity.fetch_add(1, Ordering::Relaxed);
        if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

impl Log for SlowLog {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        Box::pin(async move {
            pause(&self.activity).await;
            let fired = records.iter().filter(|record| &*record.topic == TARGET).count();
            let again = records.iter().filter(|record| record.headers.iter().any(|(name, _)| name == RENEWED_HEADER));
            self.renewed.lock().unwrap().extend(again.filter_map(|record| record.key.clone()));
            let offsets = self.log.append(records).await?;
            self.landed.lock().unwrap().extend(std::iter::repeat_n(self.clock.latest(), fired));
            pause(&self.activity).await;
            Ok(offsets)
        })
    }

    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        self.activity.fetch_add(1, Ordering::Relaxed);
        self.log.open(topic, partition, from)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>> {
        self.log.bounds(topic, partition)
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        self.log.ends(topic)
    }
}

type Running = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

/// What a user last asked of an id.
#[derive(Clone, Debug)]
struct Wish {
    due: Due,
    payload: Bytes,
    cancelled: bool,
}

/// A timer that was cancelled in time.
struct Settled {
    id: String,
    fired: usize,
}

/// All of it.
pub(crate) struct Bench {
    clock: HandClock,
    log: Arc<SlowLog>,
    codec: Codec,
    registry: Registry,
    metrics: Metrics,
    timers: Timers,
    views: Views,
    worker: Option<Running>,
    wishes: BTreeMap<String, Wish>,
    /// Cancelled before they were due, and the worker had read it: with how often they had fired by then.
    settled: BTreeMap<Bytes, Settled>,
    poison: BTreeSet<Bytes>,
    crashes: usize,
    sets: u64,
}

impl Bench {
    pub(crate) fn new(views: Views) -> Self {
        let clock = HandClock::default();
        clock.advance(1_700_000_000);
        let log = Arc::new(SlowLog::new(clock.clone()));
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let mut bench = Self {
            clock,
            log,
            codec: Codec::single_object(),
            registry,
            metrics,
            timers: Timers::default(),
            views,
            worker: None,
            wishes: BTreeMap::new(),
            settled: BTreeMap::new(),
            poison: BTreeSet::new(),
            crashes: 0,
            sets: 0,
        };
        bench.start();
        bench
    }

    fn start(&mut self) {
        let settings = Settings {
            installation: "test".to_owned(),
            timers: TIMERS.into(),
            dead_letters: DEAD_LETTERS.into(),
            targets: BTreeSet::from([TARGET.to_owned()]),
            view_max_age: VIEW_MAX_AGE,
            read_batch: 3,
            fire_batch: 2,
            fire_bytes: 1 << 20,
            unreturned: 3,
            recheck: Duration::from_secs(1),
        };
        let common = Common {
            log: self.log.clone(),
            clock: Clock::new(self.clock.clone()),
            codec: Arc::new(self.codec.clone()),
            settings: Arc::new(settings),
            metrics: self.metrics.clone(),
            timers: self.timers.clone(),
        };
        let worker = Worker::new(common, 0, self.views.open(), CancellationToken::new());
        self.worker = Some(Box::pin(worker.run()));
    }

    pub(crate) fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Set { id, delay } => self.set(id, delay),
                Step::Cancel { id } => self.cancel(id),
                Step::Poison { id } => {
                    self.sets += 1;
                    let bytes = Bytes::from(format!("no timer {}", self.sets));
                    self.poison.insert(bytes.clone());
                    self.append(format!("poison-{id}-{}", self.sets), Some(bytes));
                }
                Step::Advance(seconds) => self.clock.advance(seconds),
                Step::Poll(times) => (0..times).for_each(|_| self.poll()),
                Step::Settle => self.settle(),
                Step::Crash(keep) => {
                    self.worker = None;
                    self.crashes += 1;
                    self.views.crash(keep);
                    self.start();
                }
                Step::TakeSnapshot => self.views.take_snapshot(),
                Step::Compact => {
                    self.settle();
                    let end = self.records(TIMERS).last().map_or(0, |record| record.offset);
                    self.log.log.compact(TIMERS, 0, end, self.clock.now() - TOMBSTONES_LIVE).unwrap();
                }
            }
        }
    }

    fn set(&mut self, id: u8, delay: i64) {
        self.sets += 1;
        let (id, due) = (format!("timer-{id}"), self.clock.now() + SignedDuration::from_secs(delay));
        let payload = Bytes::from(format!("payload {}", self.sets));
        let record = TimerRecord {
            id: id.clone(),
            due,
            topic: TARGET.to_owned(),
            partition: 0,
            key: Some(Bytes::from(id.clone())),
            headers: vec![("due".to_owned(), due.as_microsecond().to_string().into())],
            value: Some(payload.clone()),
        };
        self.append(id.clone(), Some(record.encode(&self.codec).into()));
        self.wishes.insert(id, Wish { due: Due::from(due), payload, cancelled: false });
    }

    fn cancel(&mut self, id: u8) {
        let id = format!("timer-{id}");
        if let Some(wish) = self.wishes.get_mut(&id) {
            wish.cancelled = true;
            self.append(id, None);
        }
    }

    fn append(&self, key: String, value: Option<Bytes>) {
        let record = Outgoing { topic: TIMERS.into(), partition: 0, key: Some(key.into()), value, headers: Vec::new() };
        self.log.log.append(vec![record]).now_or_never().expect("memory does not wait").unwrap();
    }

    fn poll(&mut self) {
        let worker = self.worker.as_mut().expect("a worker runs");
        if let Poll::Ready(ended) = worker.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            panic!("the worker ended: {ended:?}");
        }
    }

    fn settle(&mut self) {
        loop {
            let before = (self.log.activity.load(Ordering::Relaxed), self.timers.partitions());
            self.poll();
            if before == (self.log.activity.load(Ordering::Relaxed), self.timers.partitions()) {
                break;
            }
        }
        let end = self.records(TIMERS).last().map_or(0, |record| record.offset + 1);
        let progress = self.timers.partitions().remove(&0).unwrap_or_default();
        assert!(progress.ready && progress.position >= end, "{progress:?} has not settled at {end}");
        let (latest, mut settled) = (self.clock.latest(), std::mem::take(&mut self.settled));
        for (id, wish) in self.wishes.iter().filter(|(_, wish)| wish.cancelled && !wish.due.is_reached(latest)) {
            let fired = self.times_fired(&wish.payload);
            settled.entry(wish.payload.clone()).or_insert(Settled { id: id.clone(), fired });
        }
        self.settled = settled;
    }

    /// Lets all time pass.
    pub(crate) fn finish(&mut self) {
        for _ in 0..3 {
            self.clock.advance(30_000);
            self.settle();
        }
    }

    /// Deletes the topics and makes them again; what was asked of the former ones is void.
    pub(crate) fn replace_log(&mut self) {
        self.worker = None;
        self.wishes.clear();
        let clock = self.clock.clone();
        self.log = Arc::new(SlowLog::new(clock));
    }

    fn records(&self, topic: &str) -> Vec<Record> {
        self.log.log.records(topic, 0)
    }

    fn times_fired(&self, payload: &Bytes) -> usize {
        self.records(TARGET).iter().filter(|record| record.value.as_ref() == Some(payload)).count()
    }

    pub(crate) fn firings(&self) -> usize {
        self.records(TARGET).len()
    }

    pub(crate) fn rebuilt(&self) -> u64 {
        let families = self.registry.gather();
        let rebuilt = families.iter().filter(|family| family.name() == "cartwheel_delay_timer_views_rebuilt_total");
        rebuilt.flat_map(|family| family.get_metric()).map(|metric| metric.get_counter().get_value() as u64).sum()
    }

    /// Everything that was written, without times.
    pub(crate) fn written(&self) -> Vec<(Option<Bytes>, Option<Bytes>)> {
        let topics = [TIMERS, TARGET, DEAD_LETTERS].into_iter();
        topics.flat_map(|topic| self.records(topic)).map(|record| (record.key, record.value)).collect()
    }

    pub(crate) fn facts(mut self) -> Option<Facts> {
        self.worker = None;
        self.views.open().facts().unwrap()
    }

    /// Whether everything is as it must be once all time has passed.
    pub(crate) fn judge(&self) {
        let fired = self.records(TARGET);
        for (record, latest) in fired.iter().zip(self.log.landed.lock().unwrap().iter()) {
            let (_, due) = record.headers.iter().find(|(name, _)| name == "due").expect("headers are copied");
            let due: i64 = std::str::from_utf8(due).unwrap().parse().unwrap();
            assert!(latest.as_microsecond() >= due, "{record:?} fired early, at {latest}");
        }
        let mut times: BTreeMap<&Bytes, usize> = BTreeMap::new();
        for payload in fired.iter().filter_map(|record| record.value.as_ref()) {
            *times.entry(payload).or_default() += 1;
        }
        for (payload, times) in &times {
            assert!(*times <= 1 + self.crashes, "{payload:?} fired {times} times with {} crashes", self.crashes);
        }
        let renewed = self.log.renewed.lock().unwrap();
        for (payload, Settled { id, fired }) in &self.settled {
            // An extra firing is what a cancel may cost that meets a timer set again while it fires; see the worker's contract.
            let raced = renewed.contains(id.as_bytes());
            assert!(raced || times.get(payload).copied().unwrap_or_default() == *fired, "{payload:?} was cancelled and fired");
        }
        for (id, wish) in self.wishes.iter().filter(|(_, wish)| !wish.cancelled) {
            // The same id at the same moment is the same timer, whichever of its records was copied.
            let same = fired.iter().any(|record| {
                record.key.as_deref() == Some(id.as_bytes())
                    && record.headers.iter().any(|(name, due)| name == "due" && *due == wish.due.microseconds().to_string())
            });
            assert!(same, "{id} neither fired nor was cancelled: {wish:?}");
        }
        let letters: BTreeSet<_> = self
            .records(DEAD_LETTERS)
            .into_iter()
            .map(|record| DeadLetter::decode(&self.codec, &record.value.unwrap_or_default()).unwrap().bytes)
            .collect();
        assert_eq!(letters, self.poison);
        assert!(self.timers.next_due().is_none());
    }
}
