//! The topics: their names, and the settings that the rules rely on.

use std::sync::Arc;

use cartwheel_engine::key::CustomerKey;
use cartwheel_language::Class;
use jiff::SignedDuration;

use crate::partition::partition_of;

/// The names of all topics of an installation, and the number of partitions that most of them share.
///
/// Names are ready to be put into records: cloning one is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// What has happened: the one log per customer.
    pub events: Arc<str>,
    /// Records to append later.
    pub timers: Arc<str>,
    /// Transactional and conversational messages to hand over.
    pub sends_transactional: Arc<str>,
    /// Promotional messages to hand over.
    pub sends_promotional: Arc<str>,
    /// The dispatcher's journal.
    pub deliveries: Arc<str>,
    /// What was decided, and why.
    pub decisions: Arc<str>,
    /// Copies of customers' states.
    pub customers: Arc<str>,
    /// Campaign files and revisions.
    pub campaigns: Arc<str>,
    /// What is stopped.
    pub controls: Arc<str>,
    /// What could not be understood or carried out.
    pub dead_letters: Arc<str>,
    /// The number of partitions of every topic but `campaigns` and `controls`, which have one.
    pub partitions: u32,
}

/// The prefix of topic names where nothing else is configured.
pub const DEFAULT_PREFIX: &str = "cartwheel";

/// The number of partitions where nothing else is configured; chosen once (rule P27).
pub const DEFAULT_PARTITIONS: u32 = 64;

impl Topics {
    /// The topics of an installation (rule P4): `prefix.events`, and `prefix.events.g2` from generation 2 on.
    ///
    /// A generation is what a migration to another number of partitions makes (rule P27); the first is 1.
    pub fn new(prefix: &str, generation: u32, partitions: u32) -> Self {
        let name = |topic: &str| -> Arc<str> {
            if generation > 1 { format!("{prefix}.{topic}.g{generation}").into() } else { format!("{prefix}.{topic}").into() }
        };
        Self {
            events: name("events"),
            timers: name("timers"),
            sends_transactional: name("sends-transactional"),
            sends_promotional: name("sends-promotional"),
            deliveries: name("deliveries"),
            decisions: name("decisions"),
            customers: name("customers"),
            campaigns: name("campaigns"),
            controls: name("controls"),
            dead_letters: name("dead-letters"),
            partitions,
        }
    }

    /// The partition of a home and of everything that belongs to it: its events, timers, messages, deliveries, copies.
    pub fn partition_of(&self, home: &CustomerKey) -> u32 {
        partition_of(home.as_str(), self.partitions)
    }

    /// The lane of a class (rule P21).
    pub fn sends(&self, class: Class) -> &Arc<str> {
        match class {
            Class::Transactional | Class::Conversational => &self.sends_transactional,
            Class::Promotional => &self.sends_promotional,
        }
    }

    /// How each topic must be: for creating, printing and checking them.
    pub fn specs(&self, choices: &TopicChoices) -> Vec<TopicPlan> {
        let deleted_after =
            |time: SignedDuration| vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", time.as_millis().to_string())];
        let compacted = |settings: &[(&'static str, SignedDuration)]| {
            let mut all = vec![("cleanup.policy", "compact".to_owned()), ("delete.retention.ms", WEEK.as_millis().to_string())];
            all.extend(settings.iter().map(|(name, time)| (*name, time.as_millis().to_string())));
            all
        };
        let mut deliveries =
            compacted(&[("min.compaction.lag.ms", 3 * DAY), ("max.compaction.lag.ms", WEEK), ("retention.ms", choices.history)]);
        deliveries[0].1 = "compact,delete".to_owned();
        let plans = [
            (&self.events, PartitionCount::Same, deleted_after(choices.events)),
            (&self.timers, PartitionCount::Same, compacted(&[("min.compaction.lag.ms", TIMERS_LAG), ("max.compaction.lag.ms", WEEK)])),
            (&self.sends_transactional, PartitionCount::Same, deleted_after(choices.events)),
            (&self.sends_promotional, PartitionCount::Same, deleted_after(choices.events)),
            (&self.deliveries, PartitionCount::Same, deliveries),
            (&self.decisions, PartitionCount::Same, deleted_after(choices.history)),
            (&self.customers, PartitionCount::Same, compacted(&[("min.compaction.lag.ms", WEEK), ("max.compaction.lag.ms", 2 * WEEK)])),
            (&self.campaigns, PartitionCount::One, compacted(&[])),
            (&self.controls, PartitionCount::One, compacted(&[])),
            (&self.dead_letters, PartitionCount::Same, deleted_after(WEEK)),
        ];
        plans
            .into_iter()
            .map(|(name, partitions, mut settings)| {
                settings.extend([
                    ("message.timestamp.type", "LogAppendTime".to_owned()),
                    ("max.message.bytes", MESSAGE_BYTES.to_string()),
                    ("retention.bytes", "-1".to_owned()),
                    ("min.insync.replicas", if choices.replicas > 2 { "2" } else { "1" }.to_owned()),
                    ("unclean.leader.election.enable", "false".to_owned()),
                ]);
                settings.sort_unstable();
                TopicPlan { name: name.clone(), partitions, settings }
            })
            .collect()
    }
}

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// A delay-timer that was away for less sees a timer that was set again while it fired, before compaction takes it.
const TIMERS_LAG: SignedDuration = SignedDuration::from_hours(1);
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The largest batch that a topic takes, in bytes: Kafka's own default, said aloud so that no broker's default can lower it.
const MESSAGE_BYTES: u32 = 1_048_588;

/// What an operator may choose about topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicChoices {
    /// Copies of each record; below 3 only for development.
    pub replicas: u16,
    /// How long `events` and both `sends` are kept: at least eight times the age at which customers are copied (rule P10), and long
    /// enough for a service that was away.
    pub events: SignedDuration,
    /// How long `decisions` and `deliveries` are kept, to answer why (R81).
    pub history: SignedDuration,
}

impl Default for TopicChoices {
    fn default() -> Self {
        Self { replicas: 3, events: WEEK, history: 90 * DAY }
    }
}

/// How a topic must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its full name.
    pub name: Arc<str>,
    /// How many partitions it has.
    pub partitions: PartitionCount,
    /// Its settings by Kafka's names, sorted.
    pub settings: Vec<(&'static str, String)>,
}

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionCount {
    /// As many as [`Topics::partitions`] says.
    Same,
    /// One: its order holds for all that it holds.
    One,
}

impl PartitionCount {
    /// The number, where the shared one is `same`.
    pub fn number(self, same: u32) -> u32 {
        match self {
            Self::Same => same,
            Self::One => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_prefix_and_from_the_second_on_a_generation() {
        assert_eq!(&*Topics::new("cartwheel", 1, 64).sends_promotional, "cartwheel.sends-promotional");
        assert_eq!(&*Topics::new("blue", 2, 64).dead_letters, "blue.dead-letters.g2");
    }

    #[test]
    fn settings_keep_what_the_rules_rely_on() {
        let topics = Topics::new(DEFAULT_PREFIX, 1, DEFAULT_PARTITIONS);
        let plans = topics.specs(&TopicChoices::default());
        let setting = |topic: &Arc<str>, name: &str| {
            let plan = plans.iter().find(|plan| plan.name == *topic).unwrap();
            plan.settings.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
        };
        let days = |topic, name| setting(topic, name).unwrap().parse::<i64>().unwrap() / 86_400_000;
        assert!(plans.iter().all(|plan| setting(&plan.name, "message.timestamp.type") == Some("LogAppendTime")));
        assert!(plans.iter().all(|plan| setting(&plan.name, "min.insync.replicas") == Some("2")));
        assert_eq!(setting(&topics.events, "cleanup.policy"), Some("delete"));
        assert!(days(&topics.events, "retention.ms") >= 2, "eight times copy_after of 6 h");
        assert_eq!(setting(&topics.deliveries, "cleanup.policy"), Some("compact,delete"));
        assert!(days(&topics.deliveries, "min.compaction.lag.ms") >= 3);
        assert!(days(&topics.customers, "min.compaction.lag.ms") >= 7);
        for compacted in [&topics.timers, &topics.customers, &topics.campaigns, &topics.controls] {
            assert_eq!(setting(compacted, "cleanup.policy"), Some("compact"));
            assert!(days(compacted, "delete.retention.ms") >= 7);
        }
        assert!(days(&topics.dead_letters, "retention.ms") <= 7, "they may hold personal data");
        let alone = plans.iter().filter(|plan| plan.partitions == PartitionCount::One).map(|plan| &plan.name).collect::<Vec<_>>();
        assert_eq!(alone, [&topics.campaigns, &topics.controls]);
    }
}
