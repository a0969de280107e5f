//! The settings of a dispatcher; `default.toml` says what each means.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cartwheel_installation::SchemaRegistryConfig;
use cartwheel_runtime::{
    admin::AdminConfig,
    clock::Clock,
    config::{Configuration, Problems, Secret, duration},
    installation::InstallationConfig,
    kafka::{GroupConfig, KafkaConfig},
    redis::RedisConfig,
    telemetry::TelemetryConfig,
};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    error::Error,
    gate::GateConfig,
    providers::{Bounds, BreakerConfig, LogProvider, Provider, Providers, Retries, Schedule, Twilio, TwilioConfig},
    queues::QueueConfig,
    worker::WorkerConfig,
};

/// All settings of the service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What all services agree on.
    pub installation: InstallationConfig,
    /// The brokers.
    pub kafka: KafkaConfig,
    /// The schema registry, if any.
    pub schema_registry: SchemaRegistryConfig,
    /// The evaluator's store.
    pub redis: RedisConfig,
    /// The admin server.
    pub admin: AdminConfig,
    /// Logging.
    pub telemetry: TelemetryConfig,
    /// The dispatcher's own.
    pub dispatcher: DispatcherConfig,
}

/// The section `[dispatcher]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatcherConfig {
    /// How long what is in hand at a stop may take to finish.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// How long another dispatcher's attempt is believed to be under way.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// How far back the journal is read.
    #[serde(with = "duration")]
    pub journal: Duration,
    /// How partitions are shared out.
    pub group: MemberConfig,
    /// How old knowledge may be.
    pub gate: GateConfig,
    /// How much waits.
    pub queues: QueueConfig,
    /// How people stop it.
    pub controls: ControlsConfig,
    /// When a shop's calls to a provider are paused.
    pub breaker: BreakerConfig,
    /// When calls are made again.
    pub retries: Retries,
    /// Providers by name.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// How this process takes part in the group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberConfig {
    /// The group's name.
    pub name: String,
    /// A name that stays the same across restarts; empty for none.
    pub member: String,
    /// After this silence the process counts as lost.
    #[serde(with = "duration")]
    pub session_timeout: Duration,
    /// How often it shows that it lives.
    #[serde(with = "duration")]
    pub heartbeat: Duration,
}

/// How people stop sending.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlsConfig {
    /// Without word for this long nothing is sent.
    #[serde(with = "duration")]
    pub freshness: Duration,
    /// Messages a second after a resume that names no rate.
    pub resume_rate: f64,
}

/// One provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// What it is; required.
    #[serde(default)]
    pub kind: Option<ProviderKind>,
    /// Calls a second of this process.
    #[serde(default = "defaults::rate")]
    pub rate: f64,
    /// Calls at a time of this process, in each lane.
    #[serde(default = "defaults::concurrency")]
    pub concurrency: usize,
    /// Of them, of one shop.
    #[serde(default = "defaults::shop_concurrency")]
    pub shop_concurrency: usize,
    /// How long a connection may take.
    #[serde(default = "defaults::connect_timeout", with = "duration")]
    pub connect_timeout: Duration,
    /// How long a call may take.
    #[serde(default = "defaults::timeout", with = "duration")]
    pub timeout: Duration,
    /// Where a Twilio API is.
    #[serde(default = "defaults::base_url")]
    pub base_url: String,
    /// The Twilio account.
    #[serde(default)]
    pub account_sid: String,
    /// A Twilio API key; empty: the account itself.
    #[serde(default)]
    pub api_key: String,
    /// The account's token, or the key's secret.
    #[serde(default)]
    pub auth_token: Secret,
    /// The Twilio messaging service; empty: none.
    #[serde(default)]
    pub messaging_service_sid: String,
    /// Where receipts go; empty: none are asked for.
    #[serde(default)]
    pub status_callback: String,
}

/// What a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// Twilio's REST API.
    Twilio,
    /// Takes everything and sends nothing.
    Log,
}

const NO_KIND: &str = "is required; write \"twilio\" or \"log\"";

mod defaults {
    use std::time::Duration;

    pub(super) fn rate() -> f64 {
        10.0
    }

    pub(super) fn concurrency() -> usize {
        32
    }

    pub(super) fn shop_concurrency() -> usize {
        8
    }

    pub(super) fn connect_timeout() -> Duration {
        Duration::from_secs(5)
    }

    pub(super) fn timeout() -> Duration {
        Duration::from_secs(15)
    }

    pub(super) fn base_url() -> String {
        "https://api.twilio.com".to_owned()
    }
}

impl Configuration for Config {
    const DEFAULTS: &'static [&'static str] = &[
        InstallationConfig::DEFAULTS,
        KafkaConfig::DEFAULTS,
        SchemaRegistryConfig::DEFAULTS,
        RedisConfig::DEFAULTS,
        AdminConfig::DEFAULTS,
        TelemetryConfig::DEFAULTS,
        DispatcherConfig::DEFAULTS,
    ];
    const NEIGHBOURS: &'static [&'static str] = &["ingest", "evaluator", "delay_timer"];

    fn validate(&self, problems: &mut Problems) {
        self.installation.validate(problems);
        self.kafka.validate(problems);
        self.schema_registry.validate(problems);
        self.redis.validate(problems);
        self.admin.validate(problems);
        self.telemetry.validate(problems);
        self.dispatcher.validate(problems);
    }
}

/// The longest freshness that keeps the promise "a stop is in force within 5 s" (rule P22).
const CONTROLS_FRESHNESS_LIMIT: Duration = Duration::from_secs(5);

/// The least that the journal reaches back: a message's longest life (rule P15) and an hour for clocks and slow starts.
const JOURNAL_LEAST: Duration = Duration::from_hours(25);

impl DispatcherConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("default.toml");

    /// Reports settings that break a promise or make no sense.
    pub fn validate(&self, problems: &mut Problems) {
        let least = duration::show(JOURNAL_LEAST);
        problems.require(
            self.journal >= JOURNAL_LEAST,
            "dispatcher.journal",
            format!("must be at least {least}: a message lives up to 24h"),
        );
        problems.require(!self.group.name.is_empty(), "dispatcher.group.name", "is required");
        let heartbeat = self.group.heartbeat;
        problems.require(
            !heartbeat.is_zero() && heartbeat * 3 <= self.group.session_timeout,
            "dispatcher.group.heartbeat",
            "must be at most a third of session_timeout",
        );
        let gate = &self.gate;
        let freshness = gate.promotional_freshness.min(gate.transactional_freshness);
        problems.require(
            !gate.sample_every.is_zero() && gate.sample_every * 2 <= freshness,
            "dispatcher.gate.sample_every",
            "must be at most half of the shorter freshness, or nothing can be sent",
        );
        problems.require(!gate.hold.is_zero(), "dispatcher.gate.hold", "must not be 0s");
        for (key, number) in
            [("length", self.queues.length), ("concurrency", self.queues.concurrency), ("lane_length", self.queues.lane_length)]
        {
            problems.require(number >= 1, &format!("dispatcher.queues.{key}"), "must be at least 1");
        }
        let controls = self.controls.freshness;
        problems.require(
            Duration::from_secs(2) <= controls && controls <= CONTROLS_FRESHNESS_LIMIT,
            "dispatcher.controls.freshness",
            "must be from 2s to 5s: a stop is in force within 5s",
        );
        problems.require(positive(self.controls.resume_rate), "dispatcher.controls.resume_rate", "must be above 0");
        problems.require(
            self.breaker.failures >= 1 && !self.breaker.pause.is_zero(),
            "dispatcher.breaker",
            "failures must be at least 1 and pause above 0s",
        );
        let retries = &self.retries;
        for (key, schedule) in [
            ("throttled", &retries.throttled),
            ("unavailable", &retries.unavailable),
            ("credentials", &retries.credentials),
            ("unsure", &retries.unsure),
        ] {
            sound(schedule, &format!("dispatcher.retries.{key}"), problems);
        }
        for (name, provider) in &self.providers {
            provider.validate(&format!("dispatcher.providers.{name}"), self.grace, problems);
        }
    }

    /// The providers, with what `show` does with the messages of those of kind `log`.
    ///
    /// # Errors
    /// [`Error::Provider`] when one cannot be set up.
    pub fn providers(&self, clock: &Clock, show: &Arc<dyn Fn(crate::providers::Shown<'_>) + Send + Sync>) -> Result<Providers, Error> {
        let mut providers = Providers::new();
        for (name, config) in &self.providers {
            let provider: Arc<dyn Provider> = match config.kind {
                Some(ProviderKind::Log) => {
                    let show = show.clone();
                    Arc::new(LogProvider::new(move |shown| show(shown)))
                }
                Some(ProviderKind::Twilio) => {
                    let failed = |reason: String| Error::Provider { name: name.clone(), reason };
                    let account = config.twilio().map_err(|error| failed(error.to_string()))?;
                    Arc::new(Twilio::new(account, clock.clone()).map_err(failed)?)
                }
                None => return Err(Error::Provider { name: name.clone(), reason: NO_KIND.to_owned() }),
            };
            let bounds = Bounds {
                rate: config.rate,
                concurrency: config.concurrency,
                shop_concurrency: config.shop_concurrency,
                retries: self.retries,
                breaker: self.breaker,
            };
            providers = providers.with(name, provider, bounds);
        }
        Ok(providers)
    }

    /// How this process joins the group that shares out `topic`.
    pub fn membership(&self, topic: &str) -> GroupConfig {
        GroupConfig {
            member: self.group.member.clone(),
            session_timeout: self.group.session_timeout,
            heartbeat: self.group.heartbeat,
            handover_patience: self.drain,
            ..GroupConfig::new(&self.group.name, topic)
        }
    }

    /// How a worker reads and how much it holds.
    pub fn worker(&self) -> WorkerConfig {
        WorkerConfig { queues: self.queues, reach_back: self.journal }
    }
}

impl ProviderConfig {
    fn validate(&self, key: &str, grace: Duration, problems: &mut Problems) {
        let at = |name: &str| format!("{key}.{name}");
        problems.require(positive(self.rate), &at("rate"), "must be above 0");
        problems.require(self.concurrency >= 1, &at("concurrency"), "must be at least 1");
        let shop = self.shop_concurrency;
        problems.require((1..=self.concurrency).contains(&shop), &at("shop_concurrency"), "must be from 1 to concurrency");
        problems.require(!self.timeout.is_zero() && self.timeout < grace, &at("timeout"), "must be above 0s and below dispatcher.grace");
        problems.require(self.kind.is_some(), &at("kind"), NO_KIND);
        if self.kind == Some(ProviderKind::Twilio) {
            problems.require(!self.account_sid.is_empty(), &at("account_sid"), "is required; it begins with AC");
            problems.require(!self.auth_token.is_empty(), &at("auth_token"), "is required");
            if let Err(error) = self.twilio() {
                problems.report(key, format!("base_url or status_callback is no URL: {error}"));
            }
        }
    }

    fn twilio(&self) -> Result<TwilioConfig, url::ParseError> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(TwilioConfig {
            base_url: Url::parse(&self.base_url)?,
            account_sid: self.account_sid.clone(),
            api_key: given(&self.api_key),
            auth_token: self.auth_token.clone(),
            messaging_service_sid: given(&self.messaging_service_sid),
            status_callback: given(&self.status_callback).map(|url| Url::parse(&url)).transpose()?,
            connect_timeout: self.connect_timeout,
            timeout: self.timeout,
        })
    }
}

fn positive(rate: f64) -> bool {
    rate.is_finite() && rate > 0.0
}

fn sound(schedule: &Schedule, key: &str, problems: &mut Problems) {
    let bounded = (1..=20).contains(&schedule.calls) && !schedule.first.is_zero() && schedule.first <= schedule.longest;
    problems.require(bounded, key, "calls must be from 1 to 20, and first above 0s and at most longest");
}

#[cfg(test)]
mod tests {
    use cartwheel_runtime::config::load;

    use super::*;

    fn with(environment: &[(&str, &str)]) -> Result<Config, Problems> {
        load(None, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_defaults_are_sound() {
        let config = with(&[]).unwrap();
        assert!(config.dispatcher.providers.is_empty());
    }

    #[test]
    fn a_provider_s_secret_comes_from_the_environment_and_the_rest_from_the_file() {
        let file = std::env::temp_dir().join(format!("cartwheel-dispatcher-{}.toml", std::process::id()));
        std::fs::write(&file, "[dispatcher.providers.sms-main]\nkind = \"twilio\"\naccount_sid = \"AC1\"\nrate = 50.0").unwrap();
        let secret = ("CARTWHEEL_DISPATCHER__PROVIDERS__SMS-MAIN__AUTH_TOKEN".to_owned(), "hush".to_owned());
        let config: Result<Config, Problems> = load(Some(&file), [secret]);
        std::fs::remove_file(&file).unwrap();
        let provider = &config.unwrap().dispatcher.providers["sms-main"];
        assert_eq!((provider.auth_token.expose(), provider.rate, provider.kind), ("hush", 50.0, Some(ProviderKind::Twilio)));
        assert!(!format!("{provider:?}").contains("hush"));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let problems = with(&[
            ("CARTWHEEL_DISPATCHER__JOURNAL", "24h"),
            ("CARTWHEEL_DISPATCHER__CONTROLS__FRESHNESS", "10s"),
            ("CARTWHEEL_DISPATCHER__GATE__SAMPLE_EVERY", "4s"),
            ("CARTWHEEL_DISPATCHER__PROVIDERS", "{ main = { kind = \"twilio\", rate = 0.0 } }"),
        ])
        .unwrap_err()
        .to_string();
        for key in ["journal", "controls.freshness", "gate.sample_every", "main.rate", "main.account_sid", "main.auth_token"] {
            assert!(problems.contains(key), "{key} is not in {problems}");
        }
    }
}
