//! Kafka behind the seams of this crate: the log, group membership, topics, and an embedded broker.
//!
//! [`Kafka`] knows how to reach a cluster and makes everything else:
//!
//! - [`KafkaLog`]: the [`Log`](crate::log::Log), with one gapless producer and manually assigned readers,
//! - [`Membership`]: who owns which partition, and the group's [`Positions`](crate::log::Positions),
//! - [`Topics`]: creates topics and reads back what the promises rest on,
//! - [`Embedded`]: a broker in this process, for `cartwheel dev` and tests.
//!
//! Clients are librdkafka's, polled on threads of their own: its callbacks and queues never meet an async runtime.

mod config;
mod embedded;
mod ends;
mod group;
mod hooks;
mod inbox;
mod lane;
mod log;
mod membership;
mod producer;
mod topics;

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::{
    clock::Clock,
    log::{LogError, Partition},
};

pub use config::{KafkaConfig, Profile, Protocol, SecurityConfig};
pub use embedded::Embedded;
pub use group::GroupPositions;
pub use hooks::{Token, TokenSource};
pub use log::KafkaLog;
pub use membership::{GroupConfig, Handover, Membership, Ownership};
pub use topics::{Finding, Setting, TopicSpec, Topics, Want};

use hooks::Hooks;

/// How long a question to the cluster may take before it counts as unanswered.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// How long a thread blocks in librdkafka before it looks whether it should stop.
const POLL_PATIENCE: Duration = Duration::from_millis(100);

/// A cluster and how to reach it. Cheap to clone.
#[derive(Clone)]
pub struct Kafka {
    config: Arc<KafkaConfig>,
    tokens: Option<Arc<dyn TokenSource>>,
    embedded: Option<Embedded>,
}

impl Kafka {
    /// A real cluster.
    pub fn new(config: KafkaConfig) -> Self {
        Self { config: Arc::new(config), tokens: None, embedded: None }
    }

    /// Signs in with tokens of this source (SASL mechanism OAUTHBEARER).
    pub fn with_tokens(mut self, tokens: Arc<dyn TokenSource>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Whether the broker lives in this process; then nothing is kept at exit and topics need no check.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// How it is reached.
    pub fn config(&self) -> &KafkaConfig {
        &self.config
    }

    /// The log, with this process's one producer: make it once and share it. Nothing is sent yet; a cluster that is away shows at
    /// the first question (see [`KafkaLog::answers`]).
    ///
    /// # Errors
    /// [`LogError::Fatal`] if the properties cannot make a client.
    pub fn log(&self, clock: Clock) -> Result<KafkaLog, LogError> {
        KafkaLog::new(self.clone(), clock)
    }

    /// Joins a group.
    ///
    /// # Errors
    /// [`LogError::Fatal`] if the properties cannot make a client.
    pub fn join(&self, group: GroupConfig) -> Result<Membership, LogError> {
        Membership::join(self, group)
    }

    /// A group's positions for one who watches and does not belong to it; its marks are ignored.
    ///
    /// # Errors
    /// [`LogError::Fatal`] if the properties cannot make a client.
    pub fn positions(&self, group: &str) -> Result<GroupPositions, LogError> {
        GroupPositions::watch(self, group)
    }

    /// The cluster's topics.
    pub fn topics(&self) -> Topics {
        Topics::new(self.clone())
    }

    fn hooks(&self) -> Hooks {
        Hooks::new(self.tokens.clone())
    }

    /// What every client of the cluster is made with.
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set_log_level(RDKafkaLogLevel::Info);
        self.config.apply(&mut client);
        client
    }

    /// What every client that reads, asks or belongs to a group is made with. `group` is only a name for those that read and ask:
    /// librdkafka wants one before it assigns, and no such client joins.
    fn consumer(&self, group: &str) -> ClientConfig {
        let mut client = self.client();
        client
            .set("group.id", group)
            .set("group.protocol", "classic")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false")
            .set("fetch.wait.max.ms", self.fetch_wait().as_millis().to_string())
            .set("fetch.queue.backoff.ms", "5");
        client
    }

    /// The mock answers a fetch only when its wait is over, so this is the embedded latency from end to end.
    fn fetch_wait(&self) -> Duration {
        if self.is_embedded() { Duration::from_millis(5) } else { self.config.fetch_wait }
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Kafka").field("config", &self.config).field("embedded", &self.is_embedded()).finish_non_exhaustive()
    }
}

/// A client that could not be made: the process cannot go on, and its properties must be changed.
fn unmakeable(error: &KafkaError) -> LogError {
    LogError::Fatal(format!("could not make a kafka client, check the [kafka] settings: {error}"))
}

/// What an unanswered or refused question means.
fn refused(error: &KafkaError, topic: &str, partition: Partition) -> LogError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownPartition) => {
            LogError::Missing { topic: topic.to_owned(), partition }
        }
        _ => LogError::Unavailable(error.to_string()),
    }
}

/// Runs a blocking question to librdkafka off the async threads.
async fn ask<T: Send + 'static>(question: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    tokio::task::spawn_blocking(question).await.unwrap_or_else(|error| Err(LogError::Unavailable(error.to_string())))
}

/// Partitions are never negative on the wire except as "none".
fn partition_number(partition: i32) -> Partition {
    Partition::try_from(partition).unwrap_or_default()
}
