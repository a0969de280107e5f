//! Wiring: what runs beside the workers, and how a process gets its clients.

use std::{collections::hash_map::RandomState, convert::Infallible, future::Future, hash::BuildHasher, sync::Arc, time::Duration};

use cartwheel_installation::Installation;
use cartwheel_runtime::{
    admin::Readiness,
    clock::Clock,
    installation::InstallationConfig,
    log::{Log, Positions},
    partitions::{OwnershipSource, host},
    service::{Failure, Tasks},
    store::PartitionStore,
};
use cartwheel_wire::Codec;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, DispatcherConfig},
    controls::{Controls, ControlsReader},
    desk::Shared,
    error::Error,
    gate::Gate,
    metrics::Metrics,
    providers::{Providers, Shown},
    samples::{Sampler, Samples},
    worker::PartitionWorker,
};

/// What the process takes to end behind the drain of its workers.
const BEHIND_DRAIN: Duration = Duration::from_secs(1);

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
        let topics = cartwheel_installation::topics(installation);
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
/// As [`run`]; a provider that cannot be set up; an admin address that is taken.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let registry = Registry::new();
    let readiness = Readiness::new();
    let mut tasks = Tasks::new(stop.clone(), config.dispatcher.drain + BEHIND_DRAIN);
    tasks.serve_admin(&config.admin, &registry, &readiness).await?;
    let reached = Installation::reach(&config.kafka, &config.installation, &readiness, &stop).await;
    let Some(found) = reached.map_err(Failure::stopped)? else { return tasks.run().await };
    let Some(codec) = found.codec(&config.schema_registry).await else { return tasks.run().await };
    let Some(store) = found.store(&config.redis, &config.installation).await else { return tasks.run().await };
    let show: Arc<dyn Fn(Shown<'_>) + Send + Sync> = Arc::new(|_| {});
    let providers = config.dispatcher.providers(&found.clock, &show).map_err(Failure::stopped)?;
    if providers.iter().next().is_none() {
        tracing::warn!("no provider is configured: every message comes back; see [dispatcher.providers]");
    }
    let membership = found.kafka.join(config.dispatcher.membership(&found.topics.sends_transactional)).map_err(Failure::stopped)?;
    let handles = Handles {
        log: found.log,
        store: Arc::new(store),
        clock: found.clock,
        positions: membership.positions(),
        ownership: membership,
        codec,
        providers,
        registry,
        readiness,
    };
    tasks.spawn("dispatcher", async move { run(&config.dispatcher, &config.installation, handles, stop).await });
    tasks.run().await
}

/// A token that no other worker has: 128 bits of two hashers that the standard library seeds from the machine's randomness.
fn token() -> u128 {
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    half() << 64 | half()
}
