//! The delay-timer's configuration: plain data. `default.toml` explains every key.

use std::{path::PathBuf, time::Duration};

use cartwheel_installation::SchemaRegistryConfig;
use cartwheel_runtime::{
    admin::AdminConfig,
    config::{Configuration, Problems, duration},
    installation::InstallationConfig,
    kafka::{GroupConfig, KafkaConfig},
    telemetry::TelemetryConfig,
};
use serde::{Deserialize, Serialize};

/// `delete.retention.ms` of the timers topic, which the check of topics asks for.
const TOMBSTONES_LIVE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The smallest memory for a buffer that the database works well with, in bytes.
const MEMORY_LEAST: u64 = 1 << 20;

/// All of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What all services agree on.
    pub installation: InstallationConfig,
    /// How this service works.
    pub delay_timer: DelayTimerConfig,
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The schema registry, if any.
    pub schema_registry: SchemaRegistryConfig,
    /// The admin server.
    pub admin: AdminConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
}

/// The section `[delay_timer]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayTimerConfig {
    /// Topics that timers may append to beside the events topic.
    pub targets: Vec<String>,
    /// The view's folder.
    pub view_path: PathBuf,
    /// The age at which a view is thrown away.
    #[serde(with = "duration")]
    pub view_max_age: Duration,
    /// The view's cache, in bytes.
    pub view_cache_bytes: u64,
    /// Each of the view's two write buffers, in bytes.
    pub view_write_buffer_bytes: u64,
    /// The most records read in one turn.
    pub read_batch: usize,
    /// The most timers fired in one turn.
    pub fire_batch: usize,
    /// The bytes that end a turn of firing.
    pub fire_bytes: usize,
    /// The most tombstones that have not come back.
    pub unreturned_limit: usize,
    /// The longest that a partition goes without a look at the clock.
    #[serde(with = "duration")]
    pub recheck: Duration,
    /// Threads that the partitions share.
    pub threads: usize,
    /// How long a stop may take.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// The consumer group.
    pub group: DelayTimerGroup,
}

/// The section `[delay_timer.group]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayTimerGroup {
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

impl DelayTimerConfig {
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
        let batches = [("read_batch", self.read_batch), ("fire_batch", self.fire_batch), ("unreturned_limit", self.unreturned_limit)];
        for (key, number) in batches {
            let in_range = (1..=1_000_000).contains(&number);
            problems.require(in_range, &format!("delay_timer.{key}"), format!("must be from 1 to 1000000, is {number}"));
        }
        let memory = [("view_cache_bytes", self.view_cache_bytes), ("view_write_buffer_bytes", self.view_write_buffer_bytes)];
        for (key, bytes) in memory {
            problems.require(bytes >= MEMORY_LEAST, &format!("delay_timer.{key}"), format!("must be at least {MEMORY_LEAST}, is {bytes}"));
        }
        let young = !self.view_max_age.is_zero() && self.view_max_age < TOMBSTONES_LIVE;
        problems.require(young, "delay_timer.view_max_age", "must be longer than nothing and below 7d, which tombstones live");
        problems.require(
            !self.view_path.as_os_str().is_empty(),
            "delay_timer.view_path",
            "is required; name a folder of this process's own",
        );
        problems.require(!self.recheck.is_zero(), "delay_timer.recheck", "must be longer than nothing");
        problems.require((1..=256).contains(&self.threads), "delay_timer.threads", format!("must be from 1 to 256, is {}", self.threads));
        problems.require(!self.group.group.is_empty(), "delay_timer.group.group", "is required; name the consumer group");
        let beats = !self.group.heartbeat.is_zero() && self.group.heartbeat * 3 <= self.group.session_timeout;
        problems.require(beats, "delay_timer.group.heartbeat", "must be longer than nothing and at most a third of session_timeout");
    }
}

impl Configuration for Config {
    const DEFAULTS: &'static [&'static str] = &[
        InstallationConfig::DEFAULTS,
        DelayTimerConfig::DEFAULTS,
        KafkaConfig::DEFAULTS,
        SchemaRegistryConfig::DEFAULTS,
        AdminConfig::DEFAULTS,
        TelemetryConfig::DEFAULTS,
    ];
    const NEIGHBOURS: &'static [&'static str] = &["ingest", "evaluator", "dispatcher", "redis"];

    fn validate(&self, problems: &mut Problems) {
        self.installation.validate(problems);
        self.delay_timer.validate(problems);
        self.kafka.validate(problems);
        self.schema_registry.validate(problems);
        self.admin.validate(problems);
        self.telemetry.validate(problems);
    }
}

#[cfg(test)]
mod tests {
    use cartwheel_runtime::config::load;

    use super::*;

    #[test]
    fn the_defaults_are_right_and_every_mistake_is_reported_at_once() {
        assert!(load::<Config>(None, []).is_ok());
        let mistakes = [("VIEW_MAX_AGE", "8d"), ("FIRE_BATCH", "0"), ("THREADS", "0"), ("GROUP__HEARTBEAT", "10s"), ("VIEW_PATH", "")];
        let environment = mistakes.map(|(key, value)| (format!("CARTWHEEL_DELAY_TIMER__{key}"), value.to_owned()));
        let report = load::<Config>(None, environment).unwrap_err().to_string();
        assert!(report.contains("has 5 problems"), "{report}");
    }
}
