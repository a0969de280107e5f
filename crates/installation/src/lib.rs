//! An installation as its services find it: Kafka answers, its topics are as the promises need them, Redis answers and is fit.
//!
//! What is away is waited for, said, and keeps the process from being ready. What is there and wrong is named with the command that
//! mends it, again and again until it is right: a platform that creates topics after its services needs no restart of theirs.

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
    /// The framing of records.
    pub codec: Codec,
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
        let found = Self {
            kafka,
            log,
            topics: topics(installation),
            codec: Codec::single_object(),
            clock,
            readiness: readiness.clone(),
            stop: stop.clone(),
        };
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
