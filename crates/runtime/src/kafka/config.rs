//! The section `[kafka]`.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::config::{Problems, Secret, duration};

/// How a cluster is reached. The keys are explained in [`KafkaConfig::DEFAULTS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Brokers to begin with, `host:port`.
    pub bootstrap: Vec<String>,
    /// The name shown to brokers.
    pub client_id: String,
    /// The largest record that is written, in bytes.
    pub record_limit_bytes: usize,
    /// Bytes sent and not yet acknowledged by this process.
    pub in_flight_limit_bytes: u32,
    /// How long a broker holds an empty fetch.
    #[serde(with = "duration")]
    pub fetch_wait: Duration,
    /// What the check of topics asks for.
    pub profile: Profile,
    /// Topic settings that are not checked.
    pub assume: Vec<String>,
    /// Further librdkafka properties.
    pub properties: BTreeMap<String, String>,
    /// TLS and SASL.
    pub security: SecurityConfig,
}

/// What the check of topics asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Replicas as the specification has them.
    Production,
    /// One replica is enough.
    Development,
}

/// TLS and SASL.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityConfig {
    /// How the connection is secured.
    pub protocol: Protocol,
    /// The authorities of brokers' certificates, PEM; empty for the system's.
    pub ca_file: String,
    /// This client's certificate, PEM; empty for none.
    pub certificate_file: String,
    /// This client's key, PEM; empty for none.
    pub key_file: String,
    /// The key's password.
    pub key_password: Secret,
    /// The SASL mechanism.
    pub mechanism: String,
    /// The SASL user.
    pub username: String,
    /// The SASL password.
    pub password: Secret,
}

/// How the connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// Neither encrypted nor signed in.
    Plaintext,
    /// Encrypted, perhaps signed in by certificate.
    Ssl,
    /// Signed in, not encrypted.
    SaslPlaintext,
    /// Encrypted and signed in.
    SaslSsl,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn signs_in(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// Mechanisms that librdkafka offers in this build.
const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// Properties that the promises rest on or that have a setting of their own: not to be set by hand.
const KEPT: [&str; 27] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "client.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "fetch.wait.max.ms",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "security.protocol",
    "transactional.id",
];

impl KafkaConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("../../defaults/kafka.toml");

    /// The defaults, for a cluster at `bootstrap`.
    pub fn at(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: vec![bootstrap.into()],
            client_id: "cartwheel".to_owned(),
            record_limit_bytes: 1_000_000,
            in_flight_limit_bytes: 32 * 1024 * 1024,
            fetch_wait: Duration::from_millis(50),
            profile: Profile::Production,
            assume: Vec::new(),
            properties: BTreeMap::new(),
            security: SecurityConfig {
                protocol: Protocol::Plaintext,
                ca_file: String::new(),
                certificate_file: String::new(),
                key_file: String::new(),
                key_password: Secret::default(),
                mechanism: String::new(),
                username: String::new(),
                password: Secret::default(),
            },
        }
    }

    /// Reports what cannot work.
    pub fn validate(&self, problems: &mut Problems) {
        problems.require(!self.bootstrap.is_empty(), "kafka.bootstrap", "is empty; name at least one broker as host:port");
        for broker in &self.bootstrap {
            let has_port = broker.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
            problems.require(has_port, "kafka.bootstrap", format!("{broker:?} is not host:port"));
        }
        let limits = 1_000..=100_000_000;
        problems.require(
            limits.contains(&self.record_limit_bytes),
            "kafka.record_limit_bytes",
            format!("must be from {} to {}", limits.start(), limits.end()),
        );
        problems.require(
            self.in_flight_limit_bytes as usize >= self.record_limit_bytes,
            "kafka.in_flight_limit_bytes",
            "must not be below record_limit_bytes",
        );
        for property in self.properties.keys().filter(|property| KEPT.contains(&property.as_str())) {
            problems.report(&format!("kafka.properties.{property}"), "is kept by cartwheel and cannot be set; leave it out");
        }
        let security = &self.security;
        if security.protocol.signs_in() {
            problems.require(
                MECHANISMS.contains(&security.mechanism.as_str()),
                "kafka.security.mechanism",
                format!("is {:?}; protocol {} needs one of {}", security.mechanism, security.protocol.name(), MECHANISMS.join(", ")),
            );
        }
    }

    /// Sets what every client needs.
    pub(super) fn apply(&self, client: &mut ClientConfig) {
        for (name, value) in &self.properties {
            client.set(name, value);
        }
        client
            .set("bootstrap.servers", self.bootstrap.join(","))
            .set("client.id", &self.client_id)
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true");
        let security = &self.security;
        client.set("security.protocol", security.protocol.name());
        let settings = [
            ("ssl.ca.location", security.ca_file.as_str()),
            ("ssl.certificate.location", &security.certificate_file),
            ("ssl.key.location", &security.key_file),
            ("ssl.key.password", security.key_password.expose()),
            ("sasl.mechanism", &security.mechanism),
            ("sasl.username", &security.username),
            ("sasl.password", security.password.expose()),
        ];
        for (name, value) in settings.into_iter().filter(|(_, value)| !value.is_empty()) {
            client.set(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        kafka: KafkaConfig,
    }

    #[test]
    fn the_documented_defaults_are_those_of_the_code_and_are_right() {
        let file: File = toml::from_str(KafkaConfig::DEFAULTS).unwrap();
        let mut problems = Problems::default();
        file.kafka.validate(&mut problems);
        assert!(problems.is_empty(), "{problems}");
        let (documented, coded) =
            (serde_json::to_value(&file.kafka).unwrap(), serde_json::to_value(KafkaConfig::at("localhost:9092")).unwrap());
        assert_eq!(documented, coded);
    }

    #[test]
    fn p03_the_properties_that_promises_rest_on_cannot_be_set_by_hand() {
        let mut config = KafkaConfig::at("localhost:9092");
        config.properties.insert("message.timeout.ms".to_owned(), "1000".to_owned());
        let mut problems = Problems::default();
        config.validate(&mut problems);
        assert!(problems.to_string().contains("kafka.properties.message.timeout.ms: is kept"), "{problems}");
    }
}
