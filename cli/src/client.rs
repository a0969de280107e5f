//! How commands reach an installation: the services' own configuration file and environment, of which they read what they need.

use std::{path::PathBuf, sync::Arc};

use cartwheel_installation::{SchemaRegistryConfig, registry};
use cartwheel_runtime::{
    clock::Clock,
    config::{self, Configuration, Problems},
    installation::InstallationConfig,
    kafka::{Kafka, KafkaConfig, KafkaLog},
    log::{From, Log, LogError, Record},
};
use cartwheel_wire::{Codec, Topics};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::CommandError;

/// Which installation.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClientArguments {
    /// The services' configuration file, TOML; the sections `[installation]`, `[kafka]` and `[schema_registry]` count. The environment
    /// counts as for them: CARTWHEEL_KAFKA__BOOTSTRAP=host:port.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientConfig {
    installation: InstallationConfig,
    kafka: KafkaConfig,
    schema_registry: SchemaRegistryConfig,
}

impl ClientArguments {
    fn config(&self) -> Result<ClientConfig, CommandError> {
        config::load(self.config.as_deref(), std::env::vars()).map_err(|problems| CommandError::Usage(problems.to_string()))
    }

    /// The cluster's settings and the topics, without asking the cluster.
    pub(crate) fn topics(&self) -> Result<(KafkaConfig, Topics), CommandError> {
        let config = self.config()?;
        let topics = cartwheel_installation::topics(&config.installation);
        Ok((config.kafka, topics))
    }
}

impl Configuration for ClientConfig {
    const DEFAULTS: &'static [&'static str] = &[InstallationConfig::DEFAULTS, KafkaConfig::DEFAULTS, SchemaRegistryConfig::DEFAULTS];
    const NEIGHBOURS: &'static [&'static str] = &["ingest", "evaluator", "delay_timer", "dispatcher", "redis", "admin", "telemetry"];

    fn validate(&self, problems: &mut Problems) {
        self.installation.validate(problems);
        self.kafka.validate(problems);
        self.schema_registry.validate(problems);
    }
}

/// An installation as a command sees it.
pub(crate) struct Client {
    pub(crate) kafka: Kafka,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) topics: Topics,
    pub(crate) codec: Codec,
    pub(crate) clock: Clock,
}

impl Client {
    /// Reads the configuration and asks the cluster whether it is there.
    pub(crate) async fn connect(arguments: &ClientArguments) -> Result<Self, CommandError> {
        let config = arguments.config()?;
        let topics = cartwheel_installation::topics(&config.installation);
        let clock = Clock::system();
        let kafka = Kafka::new(config.kafka);
        let log: KafkaLog = kafka.log(clock.clone()).map_err(CommandError::failed)?;
        log.answers().await.map_err(|error| {
            CommandError::Failed(format!("could not reach kafka: {error}; set CARTWHEEL_KAFKA__BOOTSTRAP=host:port or --config"))
        })?;
        let codec = registry::codec(&config.schema_registry, &topics).await.map_err(CommandError::failed)?;
        Ok(Self { kafka, log: Arc::new(log), topics, codec, clock })
    }

    /// Everything that a partition holds now, in order.
    pub(crate) async fn read_all(&self, topic: &str, partition: u32) -> Result<Vec<Record>, CommandError> {
        read_all(&*self.log, topic, partition).await.map_err(CommandError::failed)
    }
}

/// Everything that a partition holds now, in order.
pub(crate) async fn read_all(log: &dyn Log, topic: &str, partition: u32) -> Result<Vec<Record>, LogError> {
    const BATCH: usize = 2_000;
    const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);
    let end = log.bounds(topic, partition).await?.end;
    let mut reader = log.open(topic, partition, From::Start).await?;
    let mut records = Vec::new();
    while reader.position() < end {
        records.extend(reader.read(BATCH, PATIENCE).await?);
    }
    Ok(records)
}
