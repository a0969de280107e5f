//! Wiring: what runs beside the workers, and how a process gets its clients.

use std::{collections::hash_map::RandomState, convert::Infallible, future::Future, hash::BuildHasher, sync::Arc};

use cartwheel_runtime::{
    admin::{self, Readiness},
    clock::Clock,
    installation::InstallationConfig,
    kafka::{Kafka, Setting, TopicSpec},
    log::{Log, Positions},
    partitions::{OwnershipSource, host},
    redis::RedisStore,
    service::{Failure, Tasks, reach},
    store::PartitionStore,
};
use cartwheel_wire::{Codec, TopicChoices, Topics};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, DispatcherConfig},
    controls::{Controls, ControlsReader},
    desk::Shared,
    error::Error,
    gate::Gate,
    metrics::Metrics,
    providers::Providers,
    samples::{Sampler, Samples},
    worker::PartitionWorker,
};

/// What a dispatcher works on: the same kinds of things whether it is a process of its own or one role of several in a process.
pub struct Handles<S> {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The evaluator's store.
    pub store: Arc<dyn PartitionStore>,
    /// The clock.
    pub clock: Clock,
    /// The group's positions in the lanes.
    pub positions: Arc<dyn Positions>,
    /// Which partitions are this process's.
    pub ownership: S,
    /// How records are written.
    pub codec: Codec,
    /// Who carries messages out, by [`DispatcherConfig::providers`] or of the caller's own making.
    pub providers: Providers,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Where it is said whether the service is ready.
    pub readiness: Readiness,
}

/// The parts of the role, wired and not yet running: what [`run`] runs in tasks and the simulation on its one thread.
pub struct Parts {
    /// What the workers share.
    pub shared: Shared,
    /// Runs for as long as a worker does, and until it has ended.
    pub sampler: Sampler,
    /// As the sampler.
    pub controls: ControlsReader,
}

impl Parts {
    /// Wires them.
    ///
    /// # Errors
    /// When the registry has the role's metrics already.
    pub fn new<S>(config: &DispatcherConfig, installation: &InstallationConfig, handles: &Handles<S>) -> Result<Self, Error> {
        let Handles { log, store, clock, codec, providers, registry, readiness, .. } = handles;
        let topics = Topics::new(&installation.prefix, installation.generation, installation.partitions);
        let metrics = Arc::new(Metrics::new(registry)?);
        let samples = Arc::new(Samples::new(config.gate.longest_freshness()));
        let controls = Arc::new(Controls::new(config.controls.freshness, config.controls.resume_rate));
        let sampler = Sampler {
            log: log.clone(),
            topic: topics.events.clone(),
            clock: clock.clone(),
            samples: samples.clone(),
            every: config.gate.sample_every,
            metrics: metrics.clone(),
            ready: readiness.condition("end of the events log"),
        };
        let reader = ControlsReader {
            log: log.clone(),
            topic: topics.controls.clone(),
            codec: codec.clone(),
            clock: clock.clone(),
            controls: controls.clone(),
            metrics: metrics.clone(),
            ready: readiness.condition("controls"),
        };
        let shared = Shared {
            log: log.clone(),
            clock: clock.clone(),
            gate: Arc::new(Gate::new(store.clone(), samples, &installation.name, topics.clone(), config.gate)),
            topics,
            codec: codec.clone(),
            controls,
            providers: providers.clone(),
            grace: config.grace,
            metrics,
        };
        Ok(Self { shared, sampler, controls: reader })
    }
}

/// Runs the role until `stop`: workers of owned partitions, the sampler of the gate, the reader of the controls.
///
/// # Errors
/// The first task that failed; the log is replayed when the process is back.
pub async fn run<S: OwnershipSource>(
    config: &DispatcherConfig,
    installation: &InstallationConfig,
    handles: Handles<S>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Parts { shared, sampler, controls } = Parts::new(config, installation, &handles).map_err(Failure::stopped)?;
    let Handles { positions, ownership, .. } = handles;
    // What a worker has in hand at a stop still needs fresh samples and controls, so these two end after the workers.
    let workers_ended = CancellationToken::new();
    let mut tasks = Tasks::new(stop.clone(), config.drain);
    tasks.spawn("workers", {
        let (ended, worker_config) = (workers_ended.clone(), config.worker());
        async move {
            let _ended = ended.drop_guard();
            let hosted = host(ownership, stop, move |partition, stop| {
                let metrics = shared.metrics.clone();
                let worker = PartitionWorker::new(shared.clone(), partition, token(), positions.clone(), worker_config, stop);
                async move {
                    let ended = worker.run().await;
                    metrics.left(partition);
                    ended
                }
            });
            hosted.await.map_err(Error::from)
        }
    });
    tasks.spawn("sampler", never_fails(sampler.run(workers_ended.clone())));
    tasks.spawn("controls", never_fails(controls.run(workers_ended)));
    tasks.run().await
}

async fn never_fails(task: impl Future<Output = ()>) -> Result<(), Infallible> {
    task.await;
    Ok(())
}

/// A process of its own: real Kafka and Redis, waited for where they are away.
///
/// # Errors
/// As [`run`]; topics that are not as they must be; an admin address that is taken.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let clock = Clock::system();
    let registry = Registry::new();
    let readiness = Readiness::new();
    let installation = &config.installation;
    let topics = Topics::new(&installation.prefix, installation.generation, installation.partitions);
    let providers = config.dispatcher.providers(&clock, &(Arc::new(|_: crate::providers::Shown<'_>| {}) as _)).map_err(Failure::stopped)?;
    if providers.iter().next().is_none() {
        tracing::warn!("no provider is configured: every message comes back; see [dispatcher.providers]");
    }
    let admin = match config.admin.listen.as_str() {
        "" => None,
        listen => {
            let listener = TcpListener::bind(listen).await;
            let listener =
                listener.map_err(|error| Failure::stopped(format!("could not listen at {listen}: {error}; change admin.listen")))?;
            Some(tokio::spawn(admin::serve(listener, registry.clone(), readiness.clone(), stop.clone())))
        }
    };

    let kafka = Kafka::new(config.kafka.clone());
    let (on_kafka, on_redis) = (readiness.condition("kafka"), readiness.condition("redis"));
    let (check, specs) = (kafka.topics(), specs(&topics));
    let Some(findings) = reach(&on_kafka, &clock, &stop, || check.check(&specs)).await else { return Ok(()) };
    if !findings.is_empty() {
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        return Err(Failure::stopped(format!("topics are not as they must be:\n  - {}", findings.join("\n  - "))));
    }
    let connect = || RedisStore::connect(&config.redis, &installation.name, installation.partitions);
    let Some(store) = reach(&on_redis, &clock, &stop, connect).await else { return Ok(()) };
    let log = kafka.log(clock.clone()).map_err(Failure::stopped)?;
    let membership = kafka.join(config.dispatcher.membership(&topics.sends_transactional)).map_err(Failure::stopped)?;
    let handles = Handles {
        log: Arc::new(log),
        store: Arc::new(store),
        clock,
        positions: membership.positions(),
        ownership: membership,
        codec: Codec::single_object(),
        providers,
        registry,
        readiness,
    };
    let ended = run(&config.dispatcher, installation, handles, stop.clone()).await;
    stop.cancel();
    if let Some(admin) = admin {
        admin.await.map_err(Failure::stopped)?.map_err(Failure::stopped)?;
    }
    ended
}

/// A token that no other worker has: 128 bits of two hashers that the standard library seeds from the machine's randomness.
fn token() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    half() << 64 | half()
}

/// What the topics must be (DESIGN: equal partition counts; P12: LogAppendTime; P15: nothing of the journal is compacted too early).
fn specs(topics: &Topics) -> Vec<TopicSpec> {
    let choices = TopicChoices::default();
    let needed = [
        &topics.events,
        &topics.sends_transactional,
        &topics.sends_promotional,
        &topics.deliveries,
        &topics.controls,
        &topics.dead_letters,
    ];
    let plans = topics.specs(&choices).into_iter().filter(|plan| needed.contains(&&plan.name));
    plans
        .map(|plan| TopicSpec {
            name: plan.name.to_string(),
            partitions: plan.partitions.number(topics.partitions),
            replication: u32::from(choices.replicas),
            settings: plan.settings.into_iter().map(|(name, value)| setting(name, value)).collect(),
        })
        .collect()
}

/// Where a topic may keep more than it must, more is right.
fn setting(name: &'static str, value: String) -> Setting {
    match value.parse() {
        Ok(least) if name.starts_with("retention.") || name.starts_with("min.") || name == "max.message.bytes" => {
            Setting::at_least(name, least)
        }
        _ => Setting::is(name, value),
    }
}
