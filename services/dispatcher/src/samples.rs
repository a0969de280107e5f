//! How far the events log reached, and when that was asked: what the gate measures the evaluator against (rule P16).
//!
//! All partitions' ends are asked for in one request, again and again. A sample's age is counted from *before* its request, on the
//! service's clock, which runs while the process stands frozen: who wakes up after a pause finds every sample too old. A clock that
//! is set back makes ages unknown, so then all samples are thrown away.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cartwheel_runtime::{
    admin::Condition,
    clock::Clock,
    log::{Log, Offset, Partition},
};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, moment::before};

/// The ends of all partitions of the events log at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Just before they were asked for.
    pub taken: Timestamp,
    ends: Arc<[Offset]>,
}

impl Sample {
    /// A partition's end; none if the log has no such partition.
    pub fn end(&self, partition: Partition) -> Option<Offset> {
        self.ends.get(partition as usize).copied()
    }
}

/// The samples of the last while, oldest first.
#[derive(Debug)]
pub struct Samples {
    kept: Mutex<Kept>,
    keep: Duration,
}

#[derive(Debug)]
struct Kept {
    samples: VecDeque<Sample>,
    latest: Timestamp,
}

/// How much earlier one thread's reading of the clock may come in than another's without meaning that the clock was set back.
const READING_SKEW: SignedDuration = SignedDuration::from_millis(100);

impl Samples {
    /// No samples yet; `keep` is the longest freshness that anybody will ask for.
    pub fn new(keep: Duration) -> Self {
        Self { kept: Mutex::new(Kept { samples: VecDeque::new(), latest: Timestamp::MIN }), keep }
    }

    /// Keeps an answer. `taken` is a moment before the request.
    pub fn note(&self, taken: Timestamp, now: Timestamp, ends: Vec<Offset>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = kept.present(now);
        if taken <= now {
            kept.samples.push_back(Sample { taken, ends: ends.into() });
        }
        let oldest = before(now, self.keep);
        kept.samples.retain(|sample| sample.taken >= oldest);
    }

    /// The oldest sample that is at most `freshness` old: the one that the evaluator is most likely to have reached.
    pub fn fresh(&self, now: Timestamp, freshness: Duration) -> Option<Sample> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = before(kept.present(now), freshness);
        kept.samples.iter().find(|sample| sample.taken >= oldest).cloned()
    }

    /// Whether a sample taken at `taken` is still at most `freshness` old.
    pub fn still_fresh(&self, taken: Timestamp, now: Timestamp, freshness: Duration) -> bool {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = before(kept.present(now), freshness);
        taken >= oldest && kept.samples.iter().any(|sample| sample.taken == taken)
    }
}

impl Kept {
    /// The highest moment seen. A clock that was set back begins anew, without samples.
    fn present(&mut self, now: Timestamp) -> Timestamp {
        if self.latest.duration_since(now) > READING_SKEW {
            tracing::warn!(
                back_ms = self.latest.duration_since(now).as_millis() as i64,
                "the clock was set back; nothing is sent until the log's end is known again"
            );
            self.samples.clear();
            self.latest = now;
        }
        self.latest = self.latest.max(now);
        self.latest
    }
}

/// Samples the ends of the events log, all partitions in one request.
pub struct Sampler {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The events topic's full name.
    pub topic: Arc<str>,
    /// The clock.
    pub clock: Clock,
    /// Where samples are kept.
    pub samples: Arc<Samples>,
    /// The pause between two requests.
    pub every: Duration,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Holds while the log answers.
    pub ready: Condition,
}

impl Sampler {
    /// Samples until `stop`. An answer that does not come lets the samples grow old, and so nothing go out.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let taken = self.clock.now();
            tokio::select! {
                () = stop.cancelled() => return,
                ends = self.log.ends(&self.topic) => match ends {
                    Ok(ends) => {
                        self.samples.note(taken, self.clock.now(), ends);
                        self.metrics.sampled(taken);
                        self.ready.holds();
                    }
                    Err(error) => {
                        tracing::warn!(%error, topic = &*self.topic, "could not ask for the end of the events log; nothing is sent without it");
                        self.ready.fails(error.to_string());
                    }
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(self.every) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn the_oldest_fresh_sample_is_taken_and_an_old_one_never() {
        let samples = Samples::new(Duration::from_secs(30));
        for second in [0, 3, 6] {
            samples.note(at(second), at(second), vec![second as Offset]);
        }
        let five = Duration::from_secs(5);
        assert_eq!(samples.fresh(at(6), five).unwrap().end(0), Some(3));
        assert_eq!(samples.fresh(at(11), five).unwrap().end(0), Some(6));
        assert!(samples.fresh(at(12), five).is_none(), "woke up from a pause");
        assert!(samples.still_fresh(at(6), at(12), Duration::from_secs(30)));
        assert!(samples.fresh(at(12), Duration::from_secs(30)).unwrap().end(1).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_makes_every_sample_worthless() {
        let samples = Samples::new(Duration::from_secs(30));
        samples.note(at(100), at(100), vec![1]);
        assert!(samples.fresh(at(98), Duration::from_secs(5)).is_none());
        assert!(samples.fresh(at(101), Duration::from_secs(5)).is_none());
        samples.note(at(102), at(99), vec![2]);
        assert!(samples.fresh(at(99), Duration::from_secs(5)).is_none(), "asked before the clock went back once more");
        samples.note(at(99), at(99), vec![2]);
        assert!(samples.fresh(at(99), Duration::from_secs(5)).is_some());
    }
}
