//! An installation as its services find it: Kafka answers, its topics are as the promises need them, Redis answers and is fit.
//!
//! What is away is waited for, said, and keeps the process from being ready. What is there and wrong is named with the command that
//! mends it, again and again until it is right: a platform that creates topics after its services needs no restart of theirs. The same
//! holds for a [schema registry](registry), where one is configured.

pub mod registry;

use std::{sync::Arc, time::Duration};

use cartwheel_runtime::{
    admin::Readiness,
    clock::Clock,
    installation::InstallationConfig,
    kafka::{Finding, Kafka, KafkaConfig, KafkaLog, Setting, TopicSpec, Want},
    log::LogError,
    redis::{RedisConfig, RedisStore},
    service::reach,
};
use cartwheel_wire::{Codec, TopicChoices, Topics};
use tokio_util::sync::CancellationToken;

pub use registry::SchemaRegistryConfig;

/// How long a service waits before it looks again whether topics have become right.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Settings that may be more than the plan says.
const AT_LEAST: [&str; 6] =
    ["retention.ms", "delete.retention.ms", "min.compaction.lag.ms", "max.message.bytes", "min.insync.replicas", "retention.bytes"];

/// Settings that may be less than the plan says.
const AT_MOST: [&str; 1] = ["max.compaction.lag.ms"];

/// The topics of an installation, by name.
pub fn topics(config: &InstallationConfig) -> Topics {
    Topics::new(&config.prefix, config.generation, config.partitions)
}

/// How every topic must be, as the check of a broker understands it.
pub fn topic_specs(topics: &Topics, choices: &TopicChoices) -> Vec<TopicSpec> {
    let wanted = |name: &'static str, text: String| {
        let want = match text.parse::<i64>() {
            Ok(number) if AT_LEAST.contains(&name) => Want::AtLeast(number),
            Ok(number) if AT_MOST.contains(&name) => Want::AtMost(number),
            _ => Want::Is(text),
        };
        Setting { name, want }
    };
    let plans = topics.specs(choices).into_iter();
    plans
        .map(|plan| TopicSpec {
            name: plan.name.to_string(),
            partitions: plan.partitions.number(topics.partitions),
            replication: u32::from(choices.replicas),
            settings: plan.settings.into_iter().map(|(name, text)| wanted(name, text)).collect(),
        })
        .collect()
}

/// What a service reaches on a real installation.
pub struct Installation {
    /// The cluster; groups are joined through it.
    pub kafka: Kafka,
    /// The log, with the process's one producer.
    pub log: Arc<KafkaLog>,
    /// The topics.
    pub topics: Topics,
    /// The clock.
    pub clock: Clock,
    readiness: Readiness,
    stop: CancellationToken,
}

impl Installation {
    /// Waits until Kafka answers and its topics are right. None if `stop` was cancelled first.
    ///
    /// # Errors
    /// When no client can be made from the configuration.
    pub async fn reach(
        kafka: &KafkaConfig,
        installation: &InstallationConfig,
        readiness: &Readiness,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, LogError> {
        let clock = Clock::system();
        let kafka = Kafka::new(kafka.clone());
        let log = Arc::new(kafka.log(clock.clone())?);
        let found = Self { kafka, log, topics: topics(installation), clock, readiness: readiness.clone(), stop: stop.clone() };
        let answers = readiness.condition("kafka");
        if reach(&answers, &found.clock, stop, || found.log.answers()).await.is_none() {
            return Ok(None);
        }
        Ok(found.topics_are_right().await.then_some(found))
    }

    /// Waits until every topic is there and as it must be. False if the process is to stop.
    async fn topics_are_right(&self) -> bool {
        let condition = self.readiness.condition("topics");
        let profile = self.kafka.config().profile;
        let specs: Vec<TopicSpec> = topic_specs(&self.topics, &TopicChoices::default()).iter().map(|spec| spec.under(profile)).collect();
        loop {
            let checked = reach(&condition, &self.clock, &self.stop, || async { self.kafka.topics().check(&specs).await }).await;
            let Some(findings) = checked else { return false };
            if findings.is_empty() {
                condition.holds();
                return true;
            }
            condition.fails(format!("{} findings; see `cartwheel topics check`", findings.len()));
            findings.iter().for_each(say);
            if self.stop.run_until_cancelled(self.clock.sleep(LOOK_AGAIN)).await.is_none() {
                return false;
            }
        }
    }

    /// Waits until Redis answers and is fit. None if the process is to stop.
    pub async fn store(&self, config: &RedisConfig, installation: &InstallationConfig) -> Option<RedisStore> {
        let condition = self.readiness.condition("redis");
        reach(&condition, &self.clock, &self.stop, || RedisStore::connect(config, &installation.name, installation.partitions)).await
    }

    /// The framing of records; where a schema registry is configured, waits until it has given ids for all schemas. None if the process
    /// is to stop.
    pub async fn codec(&self, config: &SchemaRegistryConfig) -> Option<Codec> {
        if config.url.is_empty() {
            return Some(Codec::single_object());
        }
        let condition = self.readiness.condition("schema registry");
        reach(&condition, &self.clock, &self.stop, || registry::codec(config, &self.topics)).await
    }
}

fn say(finding: &Finding) {
    tracing::error!(
        topic = finding.topic,
        setting = finding.setting,
        found = finding.found,
        wanted = finding.wanted,
        mend = finding.mend,
        "a topic is not as it must be"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_may_be_better_than_the_plan_are_bounds_and_all_else_is_exact() {
        let topics = Topics::new("cartwheel", 1, 16);
        let specs = topic_specs(&topics, &TopicChoices::default());
        let want = |topic: &Arc<str>, name: &str| {
            let spec = specs.iter().find(|spec| spec.name == **topic).unwrap();
            spec.settings.iter().find(|setting| setting.name == name).map(|setting| setting.want.clone())
        };
        let week = Duration::from_secs(7 * 24 * 60 * 60).as_millis() as i64;
        assert_eq!(want(&topics.events, "retention.ms"), Some(Want::AtLeast(week)), "longer loses nothing");
        assert_eq!(want(&topics.timers, "delete.retention.ms"), Some(Want::AtLeast(week)));
        assert_eq!(want(&topics.deliveries, "min.compaction.lag.ms"), Some(Want::AtLeast(3 * week / 7)));
        assert_eq!(want(&topics.deliveries, "max.compaction.lag.ms"), Some(Want::AtMost(week)), "later would keep what was erased");
        assert_eq!(want(&topics.controls, "min.insync.replicas"), Some(Want::AtLeast(2)));
        assert_eq!(want(&topics.events, "cleanup.policy"), Some(Want::Is("delete".to_owned())));
        assert_eq!(want(&topics.events, "message.timestamp.type"), Some(Want::Is("LogAppendTime".to_owned())));
        assert_eq!(want(&topics.events, "unclean.leader.election.enable"), Some(Want::Is("false".to_owned())));
        let numbers = specs
            .iter()
            .flat_map(|spec| &spec.settings)
            .filter(|setting| setting.name.ends_with(".ms") || setting.name.ends_with(".bytes"));
        for setting in numbers {
            assert!(!matches!(setting.want, Want::Is(_)), "{}: a number without a direction refuses what is better", setting.name);
        }
    }

    #[test]
    fn topics_have_the_installations_partitions_and_the_chosen_replicas() {
        let topics = Topics::new("blue", 2, 16);
        for replicas in [1, 3] {
            let specs = topic_specs(&topics, &TopicChoices { replicas, ..TopicChoices::default() });
            assert_eq!(specs.len(), 10);
            for spec in specs {
                let alone = [&topics.campaigns, &topics.controls].iter().any(|topic| ***topic == *spec.name);
                assert_eq!(spec.partitions, if alone { 1 } else { 16 }, "{}", spec.name);
                assert_eq!(spec.replication, u32::from(replicas), "{}", spec.name);
                let insync = spec.settings.iter().find(|setting| setting.name == "min.insync.replicas").unwrap();
                assert_eq!(insync.want, Want::AtLeast(if replicas == 3 { 2 } else { 1 }));
            }
        }
    }
}
