//! What a dispatcher counts. Labels come from enums and from the names of configured providers; never a user, a message or free text.

use cartwheel_engine::effect::Message;
use cartwheel_language::Class;
use cartwheel_runtime::log::Partition;
use jiff::{SignedDuration, Timestamp};
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector,
};

use crate::lane::Lane;

/// The counters of one process.
#[derive(Debug)]
pub struct Metrics {
    ended: IntCounterVec,
    called: IntCounterVec,
    to_provider: HistogramVec,
    waited: IntCounterVec,
    known_as_of: GaugeVec,
    at_work: IntGaugeVec,
    waiting: IntGaugeVec,
    breakers: IntGaugeVec,
    /// Claims that another dispatcher's claim came before.
    pub lost_claims: IntCounter,
    /// Records that could not be read.
    pub poison: IntCounter,
}

/// From a hundredth of a second, which a gate passed without waiting takes, to ten minutes, far beyond what transactional messages bear.
const BUCKETS: [f64; 13] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0];

impl Metrics {
    /// Registers the counters.
    ///
    /// # Errors
    /// When the registry has one of these names already.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(opts(name, help), labels);
        let gauges = |name: &str, help: &str, labels: &[&str]| IntGaugeVec::new(opts(name, help), labels);
        let metrics = Self {
            ended: counters("messages_ended_total", "Messages by what became of them.", &["channel", "class", "outcome"])?,
            called: counters("provider_calls_total", "Calls to providers by their answer.", &["provider", "answer"])?,
            to_provider: HistogramVec::new(
                HistogramOpts::new(
                    "cartwheel_dispatcher_append_to_provider_seconds",
                    "Time from a message's place on its lane to its provider's first answer.",
                )
                .buckets(BUCKETS.to_vec()),
                &["class"],
            )?,
            waited: counters("gate_waits_total", "Looks that found no answer, by what was missing.", &["missing"])?,
            known_as_of: GaugeVec::new(
                opts("known_as_of_timestamp_seconds", "When the end of the events log, and of the controls, was last known."),
                &["log"],
            )?,
            at_work: gauges("messages_at_work", "Messages that are worked on.", &["partition"])?,
            waiting: gauges("messages_waiting", "Messages in queues.", &["partition", "lane"])?,
            breakers: gauges("open_breakers", "Shops whose calls to a provider are paused.", &["provider"])?,
            lost_claims: IntCounter::with_opts(opts("lost_claims_total", "Claims that another dispatcher's claim came before."))?,
            poison: IntCounter::with_opts(opts("poison_total", "Records that could not be read."))?,
        };
        let all: [Box<dyn Collector>; 10] = [
            Box::new(metrics.ended.clone()),
            Box::new(metrics.called.clone()),
            Box::new(metrics.to_provider.clone()),
            Box::new(metrics.waited.clone()),
            Box::new(metrics.known_as_of.clone()),
            Box::new(metrics.at_work.clone()),
            Box::new(metrics.waiting.clone()),
            Box::new(metrics.breakers.clone()),
            Box::new(metrics.lost_claims.clone()),
            Box::new(metrics.poison.clone()),
        ];
        all.into_iter().try_for_each(|collector| registry.register(collector))?;
        Ok(metrics)
    }

    /// A message's outcome was reported.
    pub(crate) fn ended(&self, message: &Message, outcome: &str) {
        self.ended.with_label_values(&[message.channel.name(), message.class.name(), outcome]).inc();
    }

    /// A provider answered.
    pub(crate) fn called(&self, provider: &str, answer: &str) {
        self.called.with_label_values(&[provider, answer]).inc();
    }

    /// A message's first call came back this long after the message came onto its lane.
    pub(crate) fn reached_provider(&self, class: Class, took: SignedDuration) {
        self.to_provider.with_label_values(&[class.name()]).observe(took.as_secs_f64().max(0.0));
    }

    /// A look found no answer.
    pub(crate) fn waited(&self, missing: &str) {
        self.waited.with_label_values(&[missing]).inc();
    }

    /// The end of the events log was known at this moment.
    pub(crate) fn sampled(&self, taken: Timestamp) {
        self.known_as_of.with_label_values(&["events"]).set(taken.as_millisecond() as f64 / 1_000.0);
    }

    /// The controls had been read to their end at this moment.
    pub(crate) fn controls_confirmed(&self, asked: Timestamp) {
        self.known_as_of.with_label_values(&["controls"]).set(asked.as_millisecond() as f64 / 1_000.0);
    }

    /// The gauges of one partition's worker.
    pub(crate) fn of_partition(&self, partition: Partition) -> PartitionGauges {
        let partition = partition.to_string();
        PartitionGauges {
            at_work: self.at_work.with_label_values(&[&partition]),
            waiting: Lane::ALL.map(|lane| self.waiting.with_label_values(&[partition.as_str(), lane.name()])),
        }
    }

    /// A partition is not this process's any more.
    pub(crate) fn left(&self, partition: Partition) {
        let partition = partition.to_string();
        // A series that was never shown cannot be removed, which is as good.
        let _ = self.at_work.remove_label_values(&[&partition]);
        for lane in Lane::ALL {
            let _ = self.waiting.remove_label_values(&[partition.as_str(), lane.name()]);
        }
    }

    /// How many shops' calls to a provider are paused.
    pub(crate) fn open_breakers(&self, provider: &str, open: usize) {
        self.breakers.with_label_values(&[provider]).set(i64::try_from(open).unwrap_or(i64::MAX));
    }
}

/// What one partition's worker holds.
pub(crate) struct PartitionGauges {
    at_work: IntGauge,
    waiting: [IntGauge; Lane::COUNT],
}

impl PartitionGauges {
    pub(crate) fn show(&self, at_work: usize, waiting: [usize; Lane::COUNT]) {
        self.at_work.set(i64::try_from(at_work).unwrap_or(i64::MAX));
        for (gauge, waiting) in self.waiting.iter().zip(waiting) {
            gauge.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("cartwheel_dispatcher_{name}"), help)
}
