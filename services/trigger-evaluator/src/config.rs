//! The evaluator's configuration: plain data. `default.toml` explains every key.

use std::time::Duration;

use cartwheel_installation::SchemaRegistryConfig;
use cartwheel_runtime::{
    admin::AdminConfig,
    config::{Configuration, Problems, Secret, duration},
    installation::InstallationConfig,
    kafka::{GroupConfig, KafkaConfig},
    redis::RedisConfig,
    telemetry::TelemetryConfig,
};
use serde::{Deserialize, Serialize};

/// The shortest key that seals links, in characters: 32 of base64 are 192 bits.
const LINK_KEY_LENGTH: usize = 32;

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What all services agree on.
    pub installation: InstallationConfig,
    /// How this service works.
    pub evaluator: EvaluatorConfig,
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The schema registry, if any.
    pub schema_registry: SchemaRegistryConfig,
    /// The store.
    pub redis: RedisConfig,
    /// The admin server.
    pub admin: AdminConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
}

/// The section `[evaluator]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluatorConfig {
    /// The most events of a batch.
    pub batch: usize,
    /// How long a read waits for the first event.
    #[serde(with = "duration")]
    pub patience: Duration,
    /// The most customers in memory per partition.
    pub customers_in_memory: usize,
    /// The pause before a fenced partition is taken anew.
    #[serde(with = "duration")]
    pub retake_pause: Duration,
    /// How long a stop may take.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// Seals opt-out links.
    pub link_key: Secret,
    /// The consumer group.
    pub group: EvaluatorGroup,
}

/// The section `[evaluator.group]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluatorGroup {
    /// The group's name.
    pub group: String,
    /// A static member's name; empty for a dynamic one.
    pub member: String,
    /// The silence after which a member counts as lost.
    #[serde(with = "duration")]
    pub session_timeout: Duration,
    /// How often the member shows that it lives.
    #[serde(with = "duration")]
    pub heartbeat: Duration,
}

impl EvaluatorConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("default.toml");

    /// How this process joins the group that shares out `topic`.
    pub fn membership(&self, topic: &str) -> GroupConfig {
        GroupConfig {
            member: self.group.member.clone(),
            session_timeout: self.group.session_timeout,
            heartbeat: self.group.heartbeat,
            ..GroupConfig::new(&self.group.group, topic)
        }
    }

    /// Reports what types cannot say.
    pub fn validate(&self, problems: &mut Problems) {
        problems.require((1..=10_000).contains(&self.batch), "evaluator.batch", format!("must be from 1 to 10000, is {}", self.batch));
        problems.require(self.customers_in_memory >= self.batch, "evaluator.customers_in_memory", "must not be below evaluator.batch");
        problems.require(!self.patience.is_zero(), "evaluator.patience", "must be longer than nothing");
        let key = self.link_key.expose().len();
        problems.require(
            key >= LINK_KEY_LENGTH,
            "evaluator.link_key",
            format!("must have {LINK_KEY_LENGTH} characters or more, has {key}; make one with `openssl rand -hex 32`"),
        );
    }
}

impl Configuration for Config {
    const DEFAULTS: &'static [&'static str] = &[
        InstallationConfig::DEFAULTS,
        EvaluatorConfig::DEFAULTS,
        KafkaConfig::DEFAULTS,
        SchemaRegistryConfig::DEFAULTS,
        RedisConfig::DEFAULTS,
        AdminConfig::DEFAULTS,
        TelemetryConfig::DEFAULTS,
    ];
    const NEIGHBOURS: &'static [&'static str] = &["ingest", "delay_timer", "dispatcher"];

    fn validate(&self, problems: &mut Problems) {
        self.installation.validate(problems);
        self.evaluator.validate(problems);
        self.kafka.validate(problems);
        self.schema_registry.validate(problems);
        self.redis.validate(problems);
        self.admin.validate(problems);
        self.telemetry.validate(problems);
    }
}
