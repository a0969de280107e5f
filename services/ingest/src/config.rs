//! The settings of an ingest; `default.toml` says what each means.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use cartwheel_installation::SchemaRegistryConfig;
use cartwheel_language::phone;
use cartwheel_runtime::{
    admin::AdminConfig,
    config::{Configuration, Problems, Secret, duration},
    installation::InstallationConfig,
    kafka::KafkaConfig,
    telemetry::TelemetryConfig,
};
use cartwheel_wire::pseudonym::SHORTEST_SECRET;
use serde::{Deserialize, Serialize};
use url::Url;

/// The shortest key that a client may carry, in bytes: shorter ones can be guessed at the speed of the network.
const SHORTEST_KEY: usize = 16;

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
    /// The admin server.
    pub admin: AdminConfig,
    /// Logging.
    pub telemetry: TelemetryConfig,
    /// The ingest's own.
    pub ingest: IngestConfig,
}

/// The section `[ingest]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestConfig {
    /// Turns numbers and addresses into names.
    pub pseudonym_key: Secret,
    /// Opens opt-out links.
    pub link_key: Secret,
    /// The most events of one customer in a minute.
    pub events_per_customer_minute: u32,
    /// How long a stop may take.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// Secret keys by name.
    pub keys: BTreeMap<String, Secret>,
    /// Browser keys by name.
    pub browser_keys: BTreeMap<String, Secret>,
    /// The HTTP server.
    pub http: HttpConfig,
    /// The Kafka sources.
    pub sources: SourcesConfig,
    /// The providers by name.
    pub providers: BTreeMap<String, ProviderConfig>,
}

/// The section `[ingest.http]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port.
    pub listen: String,
    /// The address by which the outside reaches it; empty: callbacks are refused.
    pub public_url: String,
    /// Web pages that may send.
    pub origins: Vec<String>,
    /// Connections at a time.
    pub connections: usize,
    /// Requests at a time.
    pub requests: usize,
    /// How long the head of a request may take.
    #[serde(with = "duration")]
    pub head_timeout: Duration,
    /// How long the body may take.
    #[serde(with = "duration")]
    pub body_timeout: Duration,
    /// How long the log may take.
    #[serde(with = "duration")]
    pub log_timeout: Duration,
    /// Events a second for each key.
    pub events_per_second: u32,
    /// Events at once for each key.
    pub burst: u32,
}

/// The section `[ingest.sources]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcesConfig {
    /// The group's name; the topic is added.
    pub group: String,
    /// Where a topic begins that was never read.
    pub start: Start,
    /// The most records together.
    pub batch: usize,
    /// How long a read waits.
    #[serde(with = "duration")]
    pub patience: Duration,
    /// How often new topics are looked for.
    #[serde(with = "duration")]
    pub look_every: Duration,
}

/// Where a topic begins that was never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At its first record.
    Earliest,
    /// Behind its last.
    Latest,
}

/// One of `[ingest.providers]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// What it signs with.
    pub auth_token: Secret,
    /// Shops by the number that customers write to, where shop files do not tell.
    #[serde(default)]
    pub numbers: BTreeMap<String, String>,
}

impl IngestConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("default.toml");

    /// Reports what types cannot say.
    pub fn validate(&self, problems: &mut Problems) {
        for (secret, key) in [(&self.pseudonym_key, "ingest.pseudonym_key"), (&self.link_key, "ingest.link_key")] {
            let length = secret.expose().len();
            let make = format!("must have {SHORTEST_SECRET} characters or more, has {length}; make one with `openssl rand -hex 32`");
            problems.require(length >= SHORTEST_SECRET, key, make);
        }
        for (table, keys) in [("ingest.keys", &self.keys), ("ingest.browser_keys", &self.browser_keys)] {
            for (name, secret) in keys {
                let long = secret.expose().len() >= SHORTEST_KEY;
                problems.require(long, &format!("{table}.{name}"), format!("must have {SHORTEST_KEY} characters or more"));
            }
        }
        for name in self.browser_keys.keys() {
            let twice = self.keys.keys().any(|other| same_name(other, name));
            problems.require(!twice, &format!("ingest.browser_keys.{name}"), "is a secret key too; give them two names");
        }
        problems.require(self.events_per_customer_minute > 0, "ingest.events_per_customer_minute", "must be above 0");
        self.http.validate(problems);
        problems.require((1..=10_000).contains(&self.sources.batch), "ingest.sources.batch", "must be from 1 to 10000");
        problems.require(!self.sources.group.is_empty(), "ingest.sources.group", "is required");
        problems.require(!self.sources.look_every.is_zero(), "ingest.sources.look_every", "must be longer than nothing");
        for (name, provider) in &self.providers {
            let key = format!("ingest.providers.{name}");
            problems.require(!provider.auth_token.is_empty(), &format!("{key}.auth_token"), "is required");
            let public = "is required: callbacks are checked against the URL that the provider was told";
            problems.require(!self.http.public_url.is_empty(), "ingest.http.public_url", public);
            for number in provider.numbers.keys() {
                let sound = phone::parse(number, None).is_ok_and(|phone| phone.e164() == number) || number.starts_with("MG");
                problems.require(sound, &format!("{key}.numbers"), "has a key that is no number in E.164, such as +442079460123");
            }
        }
    }
}

impl HttpConfig {
    fn validate(&self, problems: &mut Problems) {
        let readable = self.listen.parse::<SocketAddr>().is_ok();
        problems.require(
            readable,
            "ingest.http.listen",
            format!("{:?} is not an address with a port, such as \"0.0.0.0:8080\"", self.listen),
        );
        let public = self.public_url.is_empty()
            || Url::parse(&self.public_url)
                .is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.query().is_none() && url.path() == "/");
        problems.require(public, "ingest.http.public_url", "must be a URL without a path, such as \"https://events.example\"");
        for (key, number) in [("connections", self.connections), ("requests", self.requests)] {
            problems.require(number > 0, &format!("ingest.http.{key}"), "must be above 0");
        }
        for (key, time) in [("head_timeout", self.head_timeout), ("body_timeout", self.body_timeout), ("log_timeout", self.log_timeout)] {
            problems.require(!time.is_zero(), &format!("ingest.http.{key}"), "must be longer than nothing");
        }
        problems.require(self.events_per_second > 0, "ingest.http.events_per_second", "must be above 0");
        problems.require(self.burst > 0, "ingest.http.burst", "must be above 0");
    }
}

impl Configuration for Config {
    const DEFAULTS: &'static [&'static str] = &[
        InstallationConfig::DEFAULTS,
        KafkaConfig::DEFAULTS,
        SchemaRegistryConfig::DEFAULTS,
        AdminConfig::DEFAULTS,
        TelemetryConfig::DEFAULTS,
        IngestConfig::DEFAULTS,
    ];
    const NEIGHBOURS: &'static [&'static str] = &["evaluator", "delay_timer", "dispatcher", "redis"];

    fn validate(&self, problems: &mut Problems) {
        self.installation.validate(problems);
        self.kafka.validate(problems);
        self.schema_registry.validate(problems);
        self.admin.validate(problems);
        self.telemetry.validate(problems);
        self.ingest.validate(problems);
    }
}

/// Whether two names of keys or providers are the same: variables of the environment cannot hold hyphens, names in files can.
pub fn same_name(one: &str, other: &str) -> bool {
    let plain = |letter: char| if letter == '-' { '_' } else { letter.to_ascii_lowercase() };
    one.chars().map(plain).eq(other.chars().map(plain))
}

#[cfg(test)]
mod tests {
    use cartwheel_runtime::config;

    use super::*;

    fn load(environment: &[(&str, &str)]) -> Result<Config, Problems> {
        config::load(None, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_defaults_lack_only_the_secrets() {
        let report = load(&[]).unwrap_err().to_string();
        assert!(report.contains("2 problems") && report.contains("pseudonym_key") && report.contains("link_key"), "{report}");
    }

    #[test]
    fn secrets_come_by_the_environment_and_are_not_shown() {
        let secret = "0123456789abcdef0123456789abcdef";
        let config = load(&[
            ("CARTWHEEL_INGEST__PSEUDONYM_KEY", secret),
            ("CARTWHEEL_INGEST__LINK_KEY", secret),
            ("CARTWHEEL_INGEST__KEYS__APP_WRITE_KEY", secret),
            ("CARTWHEEL_INGEST__HTTP__PUBLIC_URL", "https://events.example"),
            ("CARTWHEEL_INGEST__PROVIDERS__SMS_MAIN__AUTH_TOKEN", secret),
        ])
        .unwrap();
        let (name, key) = config.ingest.keys.first_key_value().unwrap();
        assert!(same_name(name, "app-write-key") && key.expose() == secret);
        assert!(!config::effective(&config).contains(secret));
    }

    #[test]
    fn all_mistakes_are_said_at_once() {
        let report = load(&[
            ("CARTWHEEL_INGEST__KEYS__APP", "short"),
            ("CARTWHEEL_INGEST__BROWSER_KEYS__APP", "a key that is long enough"),
            ("CARTWHEEL_INGEST__HTTP__LISTEN", "8080"),
            ("CARTWHEEL_INGEST__HTTP__PUBLIC_URL", "events.example/path"),
            ("CARTWHEEL_INGEST__EVENTS_PER_CUSTOMER_MINUTE", "0"),
        ])
        .unwrap_err()
        .to_string();
        for key in
            ["pseudonym_key", "link_key", "keys.app", "browser_keys.app", "http.listen", "http.public_url", "events_per_customer_minute"]
        {
            assert!(report.contains(&format!("ingest.{key}")), "{key} in {report}");
        }
    }
}
