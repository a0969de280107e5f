//! What ingest counts. Labels come from enums; no shop, customer or text is one.

use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use crate::refusal::Code;

/// The way by which something came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The HTTP API.
    Http,
    /// A Kafka source.
    Topic,
    /// A provider's callback.
    Callback,
    /// An opt-out link.
    Link,
}

impl Way {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Topic => "topic",
            Self::Callback => "callback",
            Self::Link => "link",
        }
    }
}

/// The metrics of the service; copies count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    taken: IntCounterVec,
    refused: IntCounterVec,
    dead: IntCounterVec,
    requests: IntCounterVec,
    append: Histogram,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            prometheus::Result::Ok(counter)
        };
        let append = Histogram::with_opts(HistogramOpts::new("cartwheel_ingest_append_seconds", "Time until the log acknowledged"))?;
        registry.register(Box::new(append.clone()))?;
        Ok(Self {
            taken: counter("cartwheel_ingest_inputs_total", "Records that the log acknowledged, by the way they came", &["way"])?,
            refused: counter("cartwheel_ingest_refusals_total", "Messages and requests refused, by way and reason", &["way", "reason"])?,
            dead: counter("cartwheel_ingest_dead_letters_total", "What was set aside, by way and reason", &["way", "reason"])?,
            requests: counter("cartwheel_ingest_requests_total", "HTTP requests by status", &["status"])?,
            append,
        })
    }

    pub(crate) fn took(&self, way: Way, count: usize) {
        self.taken.with_label_values(&[way.as_str()]).inc_by(count as u64);
    }

    pub(crate) fn refused(&self, way: Way, code: Code) {
        self.refused.with_label_values(&[way.as_str(), code.as_str()]).inc();
    }

    pub(crate) fn set_aside(&self, way: Way, code: Code) {
        self.dead.with_label_values(&[way.as_str(), code.as_str()]).inc();
    }

    pub(crate) fn answered(&self, status: u16) {
        self.requests.with_label_values(&[status.to_string()]).inc();
    }

    pub(crate) fn appended_within(&self, seconds: f64) {
        self.append.observe(seconds);
    }
}
