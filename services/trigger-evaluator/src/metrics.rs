//! What the evaluator counts. Label values come from enums and fixed words; never a customer, a text or a campaign.

use cartwheel_engine::decision::Decision;
use jiff::Timestamp;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Seconds from an event's receipt to its decision: from milliseconds to an hour of backlog.
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 3600.0];

/// The evaluator's metrics; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    events: IntCounter,
    decisions: IntCounterVec,
    delay: Histogram,
    set_aside: IntCounterVec,
    takeovers: IntCounterVec,
    partitions: IntGauge,
}

impl Metrics {
    /// Metrics of a registry.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let events = IntCounter::new("cartwheel_evaluator_events_total", "Events folded.")?;
        let decisions = IntCounterVec::new(
            Opts::new("cartwheel_evaluator_decisions_total", "Decisions by verdict and reason."),
            &["verdict", "reason"],
        )?;
        let delay =
            HistogramOpts::new("cartwheel_evaluator_decision_delay_seconds", "From an event's receipt to its decision, by the log's time.")
                .buckets(SECONDS.to_vec());
        let delay = Histogram::with_opts(delay)?;
        let set_aside = IntCounterVec::new(
            Opts::new("cartwheel_evaluator_events_set_aside_total", "Events that went to the dead letters, by why."),
            &["reason"],
        )?;
        let takeovers = IntCounterVec::new(
            Opts::new("cartwheel_evaluator_partition_changes_total", "Partitions taken, and left because of a fence."),
            &["change"],
        )?;
        let partitions = IntGauge::new("cartwheel_evaluator_partitions", "Partitions that this process works on.")?;
        registry.register(Box::new(events.clone()))?;
        registry.register(Box::new(decisions.clone()))?;
        registry.register(Box::new(delay.clone()))?;
        registry.register(Box::new(set_aside.clone()))?;
        registry.register(Box::new(takeovers.clone()))?;
        registry.register(Box::new(partitions.clone()))?;
        Ok(Self { events, decisions, delay, set_aside, takeovers, partitions })
    }

    pub(crate) fn folded(&self, now: Timestamp, received: Timestamp) {
        self.events.inc();
        self.delay.observe(now.duration_since(received).as_secs_f64().max(0.0));
    }

    pub(crate) fn decided(&self, decision: &Decision) {
        self.decisions.with_label_values(&[decision.verdict.as_str(), decision.reason.as_str()]).inc();
    }

    pub(crate) fn set_aside(&self, reason: &str) {
        self.set_aside.with_label_values(&[reason]).inc();
    }

    pub(crate) fn taken(&self) {
        self.takeovers.with_label_values(&["taken"]).inc();
        self.partitions.inc();
    }

    pub(crate) fn left(&self, fenced: bool) {
        if fenced {
            self.takeovers.with_label_values(&["fenced"]).inc();
        }
        self.partitions.dec();
    }
}
