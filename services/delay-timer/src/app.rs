//! Straight-line wiring: clients, tasks, wait.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use cartwheel_installation::Installation;
use cartwheel_runtime::{
    admin::Readiness,
    clock::Clock,
    installation::InstallationConfig,
    log::Log,
    partitions::{HostError, OwnershipSource, host},
    service::{Failure, Tasks},
};
use cartwheel_wire::Codec;
use jiff::SignedDuration;
use prometheus::Registry;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, DelayTimerConfig},
    metrics::{Gauges, Metrics},
    progress::Timers,
    view::{Disk, DiskSettings, Views},
    worker::{Common, Settings, Worker},
};

/// What a delay-timer works on: the same kinds of things whether it is a process of its own or one role of several in a process.
pub struct Handles<S> {
    /// The log.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Clock,
    /// Which partitions are this process's.
    pub ownership: S,
    /// The framing of records.
    pub codec: Codec,
    /// Where the open timers are kept.
    pub views: Views,
    /// Where progress can be seen from outside, such as when the next timer is due.
    pub timers: Timers,
    /// Where metrics are registered.
    pub registry: Registry,
}

/// A process of its own: real Kafka and a disk, waited for where Kafka is away.
///
/// # Errors
/// What ended it before `stop` was cancelled.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let registry = Registry::new();
    let readiness = Readiness::new();
    let mut tasks = Tasks::new(stop.clone(), config.delay_timer.drain);
    tasks.serve_admin(&config.admin, &registry, &readiness).await?;
    let reached = Installation::reach(&config.kafka, &config.installation, &readiness, &stop).await;
    let Some(found) = reached.map_err(Failure::stopped)? else { return tasks.run().await };
    let Some(codec) = found.codec(&config.schema_registry).await else { return tasks.run().await };
    let views = open_disk(&config.delay_timer).await?;
    let group = config.delay_timer.membership(&found.topics.timers);
    let handles = Handles {
        log: found.log,
        clock: found.clock,
        ownership: found.kafka.join(group).map_err(Failure::stopped)?,
        codec,
        views,
        timers: Timers::new(Some(readiness.condition("timers"))),
        registry,
    };
    tasks.spawn("delay-timer", async move { run(&config.delay_timer, &config.installation, handles, stop).await });
    tasks.run().await
}

/// Opens the view's database where the configuration says, off the async threads.
///
/// # Errors
/// When the disk is full, read-only or not ours, or another process uses the folder.
pub async fn open_disk(config: &DelayTimerConfig) -> Result<Views, Failure> {
    let settings = DiskSettings { cache: config.view_cache_bytes, write_buffer: config.view_write_buffer_bytes };
    let path = config.view_path.clone();
    let opened = tokio::task::spawn_blocking(move || Disk::open(Path::new(&path), settings)).await;
    opened.map_err(Failure::stopped)?.map(Views::Disk).map_err(Failure::stopped)
}

/// Runs the role until `stop`: a worker for each owned partition.
///
/// # Errors
/// The first worker that failed; the log is read again when the process is back.
pub async fn run<S: OwnershipSource>(
    config: &DelayTimerConfig,
    installation: &InstallationConfig,
    handles: Handles<S>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Handles { log, clock, ownership, codec, views, timers, registry } = handles;
    let metrics = Metrics::new(&registry).map_err(Failure::stopped)?;
    Gauges::register(&registry, timers.clone(), clock.clone()).map_err(Failure::stopped)?;
    let settings = Arc::new(settings(config, installation)?);
    let common = Common { log, clock, codec: Arc::new(codec), settings, metrics, timers };
    let own_threads = matches!(views, Views::Disk(_)).then(|| Threads::start(config.threads)).transpose()?;
    let hosted =
        host(ownership, stop.clone(), move |partition, leave| Worker::new(common.clone(), partition, views.view(partition), leave).run());
    let mut tasks = Tasks::new(stop, config.drain);
    tasks.spawn("partitions", async move {
        match own_threads {
            Some(threads) => threads.run(hosted).await,
            None => hosted.await.map_err(Failure::stopped),
        }
    });
    tasks.run().await
}

fn settings(config: &DelayTimerConfig, installation: &InstallationConfig) -> Result<Settings, Failure> {
    let topics = cartwheel_installation::topics(installation);
    let mut targets: BTreeSet<String> = config.targets.iter().cloned().collect();
    targets.insert(topics.events.to_string());
    Ok(Settings {
        installation: installation.name.clone(),
        timers: topics.timers,
        dead_letters: topics.dead_letters,
        targets,
        view_max_age: SignedDuration::try_from(config.view_max_age).map_err(Failure::stopped)?,
        read_batch: config.read_batch,
        fire_batch: config.fire_batch,
        fire_bytes: config.fire_bytes,
        unreturned: config.unreturned_limit,
        recheck: config.recheck,
    })
}

/// Threads of the workers' own: a disk that stalls them must not stall the answers to probes.
struct Threads(Option<tokio::runtime::Runtime>);

impl Threads {
    fn start(count: usize) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(count).thread_name("timers").enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| Failure::stopped(format!("could not start threads: {error}")))
    }

    /// Runs the workers there; dropping the future ends them.
    async fn run(self, hosted: impl Future<Output = Result<(), HostError>> + Send + 'static) -> Result<(), Failure> {
        let mut running = JoinSet::new();
        if let Some(runtime) = &self.0 {
            running.spawn_on(hosted, runtime.handle());
        }
        match running.join_next().await {
            Some(Ok(ended)) => ended.map_err(Failure::stopped),
            Some(Err(failed)) => Err(Failure::stopped(failed)),
            None => Ok(()),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // A runtime must not wait for its threads where others do async work.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
