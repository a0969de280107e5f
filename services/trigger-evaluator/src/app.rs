//! Straight-line wiring: clients, tasks, wait.

use std::{sync::Arc, time::Duration};

use cartwheel_installation::Installation;
use cartwheel_language::seal::SealKey;
use cartwheel_runtime::{
    admin::Readiness,
    clock::Clock,
    installation::InstallationConfig,
    log::{Log, Positions},
    partitions::{OwnershipSource, host},
    service::{Failure, Tasks},
    store::{Fence, PartitionStore},
};
use cartwheel_wire::Codec;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, EvaluatorConfig},
    definitions::Definitions,
    error::WorkerError,
    metrics::Metrics,
    perform::Performer,
    worker::{Settings, Tools, Worker},
};

/// What an evaluator works on: the same kinds of things whether it is a process of its own or one role of several in a process.
pub struct Handles<S> {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The store.
    pub store: Arc<dyn PartitionStore>,
    /// The clock.
    pub clock: Clock,
    /// Marks of the evaluator's group.
    pub positions: Arc<dyn Positions>,
    /// Which partitions are this process's.
    pub ownership: S,
    /// The framing of records.
    pub codec: Codec,
    /// Where metrics are registered.
    pub registry: Registry,
}

/// A process of its own: real Kafka and Redis, waited for where they are away.
///
/// # Errors
/// What ended it before `stop` was cancelled.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let registry = Registry::new();
    let readiness = Readiness::new();
    let mut tasks = Tasks::new(stop.clone(), config.evaluator.drain);
    tasks.serve_admin(&config.admin, &registry, &readiness).await?;
    let reached = Installation::reach(&config.kafka, &config.installation, &readiness, &stop).await;
    let Some(found) = reached.map_err(Failure::stopped)? else { return tasks.run().await };
    let Some(codec) = found.codec(&config.schema_registry).await else { return tasks.run().await };
    let Some(store) = found.store(&config.redis, &config.installation).await else { return tasks.run().await };
    let group = config.evaluator.membership(&found.topics.events);
    let membership = found.kafka.join(group).map_err(Failure::stopped)?;
    let handles = Handles {
        log: found.log,
        store: Arc::new(store),
        clock: found.clock,
        positions: membership.positions(),
        ownership: membership,
        codec,
        registry,
    };
    tasks.spawn("evaluator", async move { run(&config.evaluator, &config.installation, handles, stop).await });
    tasks.run().await
}

/// Runs the role until `stop`: workers of owned partitions, and the reader of what shops apply.
///
/// # Errors
/// The first task that failed; the log is replayed when the process is back.
pub async fn run<S: OwnershipSource>(
    config: &EvaluatorConfig,
    installation: &InstallationConfig,
    handles: Handles<S>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Handles { log, store, clock, positions, ownership, codec, registry } = handles;
    let topics = cartwheel_installation::topics(installation);
    let seal = SealKey::from_secret(config.link_key.expose()).map_err(Failure::stopped)?;
    let definitions = Definitions::new(Some(seal));
    let metrics = Metrics::new(&registry).map_err(Failure::stopped)?;
    let tools = Tools {
        log: log.clone(),
        store,
        clock: clock.clone(),
        positions,
        definitions: definitions.clone(),
        performer: Performer::new(topics.clone(), codec.clone()),
        metrics,
    };
    let mut tasks = Tasks::new(stop.clone(), config.drain);
    let follow_stop = stop.clone();
    tasks.spawn("campaigns", async move {
        let ended = follow_stop.run_until_cancelled(definitions.follow(&*log, &topics.campaigns, &codec)).await;
        ended.unwrap_or(Ok(()))
    });
    let (config, installation) = (config.clone(), installation.name.clone());
    tasks.spawn("partitions", async move {
        host(ownership, stop, move |partition, leave| {
            let owner = owner_token(&clock, partition);
            let settings = Settings {
                installation: installation.clone(),
                batch: config.batch,
                patience: config.patience,
                customers_in_memory: config.customers_in_memory,
                owner,
            };
            work_on(partition, tools.clone(), settings, config.retake_pause, leave)
        })
        .await
    });
    tasks.run().await
}

/// A token that no other owner of a partition has: the moment, the process, and chance (rule P6).
fn owner_token(clock: &Clock, partition: u32) -> u128 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's hasher is seeded by the operating system's randomness, anew in every process.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u32(partition);
    let chance = u128::from(hasher.finish());
    let moment = u128::from(u64::from_ne_bytes(clock.now().as_microsecond().to_ne_bytes()));
    (moment << 64) | chance
}

/// Works on a partition until it is to be left; a fence or a store that is not right makes it take the partition anew after a pause.
///
/// # Errors
/// What the process cannot go on with.
pub async fn work_on(
    partition: u32,
    tools: Tools,
    settings: Settings,
    pause: Duration,
    leave: CancellationToken,
) -> Result<(), WorkerError> {
    let mut seen: Option<Fence> = None;
    while !leave.is_cancelled() {
        let taken = tokio::select! {
            () = leave.cancelled() => return Ok(()),
            taken = Worker::take(partition, seen.as_ref(), tools.clone(), settings.clone()) => taken,
        };
        let error = match taken {
            Ok(mut worker) => {
                tools.metrics.taken();
                let ended = work(&mut worker, &mut seen, &leave).await;
                tools.metrics.left(matches!(ended, Err(WorkerError::Fenced { .. })));
                match ended {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        if error.is_fatal() {
            return Err(error);
        }
        tracing::error!(partition, reason = %error, "left partition, taking it anew after a pause");
        tokio::select! {
            () = leave.cancelled() => {}
            () = tools.clock.sleep(pause) => {}
        }
    }
    Ok(())
}

/// Batch after batch; a batch in hand is finished before the partition is left.
async fn work(worker: &mut Worker, seen: &mut Option<Fence>, leave: &CancellationToken) -> Result<(), WorkerError> {
    while !leave.is_cancelled() {
        *seen = Some(worker.fence().clone());
        worker.turn().await?;
    }
    Ok(())
}
