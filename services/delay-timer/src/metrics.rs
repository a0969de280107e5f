//! What is counted and measured.

use cartwheel_runtime::clock::Clock;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use crate::{error::Refusal, progress::Timers, view::Unfit};

/// Bounds in seconds: a millisecond is what the machine can do, ten minutes is an outage.
const LATENESS_BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// The counters of all partitions; clones are the same.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) set: IntCounter,
    pub(crate) cancelled: IntCounter,
    pub(crate) fired: IntCounter,
    pub(crate) lateness: Histogram,
    dead_letters: IntCounterVec,
    rebuilt: IntCounterVec,
}

impl Metrics {
    /// Makes and registers the metrics.
    ///
    /// # Errors
    /// When the registry holds metrics of these names already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| IntCounter::new(format!("cartwheel_delay_timer_{name}"), help);
        let by_reason = |name: &str, help: &str| IntCounterVec::new(Opts::new(format!("cartwheel_delay_timer_{name}"), help), &["reason"]);
        let lateness = HistogramOpts::new(
            "cartwheel_delay_timer_lateness_seconds",
            "From the moment that a timer could fire to the acknowledgement of the record that it appends.",
        );
        let metrics = Self {
            set: counter("timers_set_total", "Timers read from the log, repeats included.")?,
            cancelled: counter("timers_cancelled_total", "Open timers that a tombstone cancelled.")?,
            fired: counter("timers_fired_total", "Timers whose record and tombstone were acknowledged.")?,
            lateness: Histogram::with_opts(lateness.buckets(LATENESS_BOUNDS.to_vec()))?,
            dead_letters: by_reason("dead_letters_total", "Timers that could not be fired and became dead letters.")?,
            rebuilt: by_reason("views_rebuilt_total", "Views of a partition that were thrown away and read again from the log.")?,
        };
        for collector in [&metrics.set, &metrics.cancelled, &metrics.fired] {
            registry.register(Box::new(collector.clone()))?;
        }
        registry.register(Box::new(metrics.lateness.clone()))?;
        registry.register(Box::new(metrics.dead_letters.clone()))?;
        registry.register(Box::new(metrics.rebuilt.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn dead_letter(&self, refusal: &Refusal) {
        self.dead_letters.with_label_values(&[refusal.reason()]).inc();
    }

    pub(crate) fn rebuilt(&self, unfit: &Unfit) {
        self.rebuilt.with_label_values(&[unfit.as_str()]).inc();
    }
}

/// Reads the gauges off the partitions' progress when they are asked for, so that they are right for a worker that stands still too.
pub struct Gauges {
    timers: Timers,
    clock: Clock,
    open: IntGauge,
    overdue: IntGauge,
    oldest: Gauge,
    partitions: IntGaugeVec,
}

impl Gauges {
    /// Makes and registers the gauges.
    ///
    /// # Errors
    /// When the registry holds metrics of these names already.
    pub fn register(registry: &Registry, timers: Timers, clock: Clock) -> prometheus::Result<()> {
        let name = |name: &str| format!("cartwheel_delay_timer_{name}");
        let partitions = Opts::new(name("partitions"), "Partitions owned, by whether their timers fire already.");
        registry.register(Box::new(Self {
            timers,
            clock,
            open: IntGauge::new(name("timers_open"), "Timers set and neither cancelled nor fired.")?,
            overdue: IntGauge::new(name("timers_overdue"), "Timers that are due and wait; counted to a hundred thousand a partition.")?,
            oldest: Gauge::new(name("oldest_overdue_seconds"), "How long the timer that waits longest could have fired.")?,
            partitions: IntGaugeVec::new(partitions, &["state"])?,
        }))
    }
}

impl Collector for Gauges {
    fn desc(&self) -> Vec<&Desc> {
        [self.open.desc(), self.overdue.desc(), self.oldest.desc(), self.partitions.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let partitions = self.timers.partitions();
        let now = self.clock.now();
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let oldest = partitions.values().filter_map(|progress| progress.waiting_since).min();
        let ready = partitions.values().filter(|progress| progress.ready).count();
        self.open.set(count(partitions.values().map(|progress| progress.open).sum()));
        self.overdue.set(count(partitions.values().map(|progress| progress.overdue).sum()));
        self.oldest.set(oldest.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0)));
        self.partitions.with_label_values(&["firing"]).set(count(ready as u64));
        self.partitions.with_label_values(&["catching_up"]).set(count((partitions.len() - ready) as u64));
        [self.open.collect(), self.overdue.collect(), self.oldest.collect(), self.partitions.collect()].concat()
    }
}
