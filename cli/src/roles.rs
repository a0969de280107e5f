//! Several services in one process: the same code as in production, on whatever ground it stands.

use std::sync::Arc;

use cartwheel_delay_timer::{
    self as delay_timer,
    config::DelayTimerConfig,
    progress::Timers,
    view::{MemoryViews, Views},
};
use cartwheel_dispatcher::{self as dispatcher, config::DispatcherConfig, providers::Shown};
use cartwheel_ingest::{
    self as ingest,
    config::IngestConfig,
    sources::{KafkaGroups, NoGroups, SourceGroups},
};
use cartwheel_installation::SchemaRegistryConfig;
use cartwheel_runtime::{
    admin::{AdminConfig, Readiness},
    clock::Clock,
    config::{Configuration, Problems},
    installation::InstallationConfig,
    kafka::{GroupConfig, Kafka, KafkaConfig, Membership, Ownership},
    log::{Log, LogError, Positions},
    memory_log::MemoryPositions,
    partitions::{Alone, OwnershipSource},
    redis::RedisConfig,
    service::{Failure, Tasks},
    store::PartitionStore,
    telemetry::TelemetryConfig,
};
use cartwheel_trigger_evaluator::{self as evaluator, config::EvaluatorConfig};
use cartwheel_wire::{Codec, Topics};
use clap::ValueEnum;
use futures::future::BoxFuture;
use prometheus::Registry;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Role {
    /// Takes events in: HTTP, shops' topics, callbacks.
    Ingest,
    /// Decides.
    TriggerEvaluator,
    /// Waits.
    DelayTimer,
    /// Hands over.
    Dispatcher,
}

impl Role {
    /// Every service.
    pub(crate) const ALL: [Self; 4] = [Self::Ingest, Self::TriggerEvaluator, Self::DelayTimer, Self::Dispatcher];
}

/// The configuration of all services together: one file serves them all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolesConfig {
    pub(crate) installation: InstallationConfig,
    pub(crate) kafka: KafkaConfig,
    pub(crate) redis: RedisConfig,
    pub(crate) schema_registry: SchemaRegistryConfig,
    pub(crate) admin: AdminConfig,
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) ingest: IngestConfig,
    pub(crate) evaluator: EvaluatorConfig,
    pub(crate) delay_timer: DelayTimerConfig,
    pub(crate) dispatcher: DispatcherConfig,
}

impl Configuration for RolesConfig {
    const DEFAULTS: &'static [&'static str] = &[
        InstallationConfig::DEFAULTS,
        KafkaConfig::DEFAULTS,
        RedisConfig::DEFAULTS,
        SchemaRegistryConfig::DEFAULTS,
        AdminConfig::DEFAULTS,
        TelemetryConfig::DEFAULTS,
        IngestConfig::DEFAULTS,
        EvaluatorConfig::DEFAULTS,
        DelayTimerConfig::DEFAULTS,
        DispatcherConfig::DEFAULTS,
    ];

    fn validate(&self, problems: &mut Problems) {
        self.installation.validate(problems);
        self.kafka.validate(problems);
        self.redis.validate(problems);
        self.schema_registry.validate(problems);
        self.admin.validate(problems);
        self.telemetry.validate(problems);
    }
}

impl RolesConfig {
    /// Reports what is wrong for these services; what others need is not asked for.
    pub(crate) fn validate_roles(&self, roles: &[Role], problems: &mut Problems) {
        for role in roles {
            match role {
                Role::Ingest => self.ingest.validate(problems),
                Role::TriggerEvaluator => self.evaluator.validate(problems),
                Role::DelayTimer => self.delay_timer.validate(problems),
                Role::Dispatcher => self.dispatcher.validate(problems),
            }
        }
    }
}

/// What the services stand on.
pub(crate) struct Ground {
    pub(crate) kafka: Kafka,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) store: Arc<dyn PartitionStore>,
    pub(crate) clock: Clock,
    pub(crate) topics: Topics,
    pub(crate) codec: Codec,
    pub(crate) registry: Registry,
    pub(crate) readiness: Readiness,
}

/// What whoever runs the services may watch.
#[derive(Clone)]
pub(crate) struct Watch {
    /// How far the evaluator has come in the events; only on embedded ground.
    pub(crate) evaluator: MemoryPositions,
    /// How far the dispatcher has come in the sends; only on embedded ground.
    pub(crate) dispatcher: MemoryPositions,
    /// The timers of all partitions.
    pub(crate) timers: Timers,
}

impl Watch {
    /// Nothing has come anywhere yet; `timers` of readiness holds once every owned partition's view is whole.
    pub(crate) fn new(readiness: &Readiness) -> Self {
        Self {
            evaluator: MemoryPositions::default(),
            dispatcher: MemoryPositions::default(),
            timers: Timers::new(Some(readiness.condition("timers"))),
        }
    }
}

/// Who owns partitions: a group, or this process alone.
enum Owners {
    Group(Membership),
    Alone(Alone),
}

impl OwnershipSource for Owners {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Ownership>, LogError>> {
        match self {
            Self::Group(membership) => OwnershipSource::next(membership),
            Self::Alone(alone) => alone.next(),
        }
    }

    fn leave(&mut self) {
        match self {
            Self::Group(membership) => OwnershipSource::leave(membership),
            Self::Alone(alone) => alone.leave(),
        }
    }
}

/// A group of a real cluster with its positions; on embedded ground, which one process has for itself, all partitions.
fn owners(ground: &Ground, group: GroupConfig, alone: &MemoryPositions) -> Result<(Owners, Arc<dyn Positions>), Failure> {
    if ground.kafka.is_embedded() {
        return Ok((Owners::Alone(Alone::new(ground.topics.partitions)), Arc::new(alone.clone())));
    }
    let membership = ground.kafka.join(group).map_err(Failure::stopped)?;
    let positions = membership.positions();
    Ok((Owners::Group(membership), positions))
}

/// Shows messages of providers of kind `log`.
pub(crate) type Show = Arc<dyn Fn(Shown<'_>) + Send + Sync>;

/// Starts services as tasks of this process.
pub(crate) async fn start(
    roles: &[Role],
    config: &RolesConfig,
    ground: &Ground,
    watch: &Watch,
    show: &Show,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    for role in roles {
        let installation = config.installation.clone();
        let stop = stop.clone();
        match role {
            Role::Ingest => {
                let listen = &config.ingest.http.listen;
                let listener = TcpListener::bind(listen).await;
                let listener = listener
                    .map_err(|error| Failure::stopped(format!("could not listen at {listen}: {error}; change ingest.http.listen")))?;
                let groups: Arc<dyn SourceGroups> = if ground.kafka.is_embedded() {
                    Arc::new(NoGroups::new(ground.log.clone()))
                } else {
                    Arc::new(KafkaGroups::new(ground.kafka.clone(), &config.ingest.sources.group))
                };
                let handles = ingest::app::Handles {
                    log: ground.log.clone(),
                    clock: ground.clock.clone(),
                    groups,
                    listener,
                    codec: ground.codec.clone(),
                    registry: ground.registry.clone(),
                    readiness: ground.readiness.clone(),
                };
                let config = config.ingest.clone();
                tasks.spawn("ingest", async move { ingest::app::run(&config, &installation, handles, stop).await });
            }
            Role::TriggerEvaluator => {
                let (ownership, positions) = owners(ground, config.evaluator.membership(&ground.topics.events), &watch.evaluator)?;
                let handles = evaluator::app::Handles {
                    log: ground.log.clone(),
                    store: ground.store.clone(),
                    clock: ground.clock.clone(),
                    positions,
                    ownership,
                    codec: ground.codec.clone(),
                    registry: ground.registry.clone(),
                };
                let config = config.evaluator.clone();
                tasks.spawn("trigger-evaluator", async move { evaluator::app::run(&config, &installation, handles, stop).await });
            }
            Role::DelayTimer => {
                let group = config.delay_timer.membership(&ground.topics.timers);
                let (ownership, _) = owners(ground, group, &MemoryPositions::default())?;
                let views = if ground.kafka.is_embedded() {
                    Views::Memory(MemoryViews::default())
                } else {
                    delay_timer::app::open_disk(&config.delay_timer).await?
                };
                let handles = delay_timer::app::Handles {
                    log: ground.log.clone(),
                    clock: ground.clock.clone(),
                    ownership,
                    codec: ground.codec.clone(),
                    views,
                    timers: watch.timers.clone(),
                    registry: ground.registry.clone(),
                };
                let config = config.delay_timer.clone();
                tasks.spawn("delay-timer", async move { delay_timer::app::run(&config, &installation, handles, stop).await });
            }
            Role::Dispatcher => {
                let (ownership, positions) =
                    owners(ground, config.dispatcher.membership(&ground.topics.sends_transactional), &watch.dispatcher)?;
                let handles = dispatcher::app::Handles {
                    log: ground.log.clone(),
                    store: ground.store.clone(),
                    clock: ground.clock.clone(),
                    positions,
                    ownership,
                    codec: ground.codec.clone(),
                    providers: config.dispatcher.providers(&ground.clock, show).map_err(Failure::stopped)?,
                    registry: ground.registry.clone(),
                    readiness: ground.readiness.clone(),
                };
                let config = config.dispatcher.clone();
                tasks.spawn("dispatcher", async move { dispatcher::app::run(&config, &installation, handles, stop).await });
            }
        }
    }
    Ok(())
}
