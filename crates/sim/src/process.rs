//! The processes of a run: each hosts the real worker of one service for one partition, and everything that the service runs beside it.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use cartwheel_delay_timer::{
    metrics::Metrics as TimerMetrics,
    progress::Timers,
    view::MemoryView,
    worker::{Common, Settings as TimerSettings, Worker as TimerWorker},
};
use cartwheel_dispatcher::{
    app::{Handles, Parts},
    config::{Config as DispatcherFile, DispatcherConfig},
    providers::{Bounds, Providers},
    worker::PartitionWorker,
};
use cartwheel_ingest::{
    config::Start,
    intake::Intake,
    metrics::Metrics as IngestMetrics,
    shops::Shops,
    worker::{self as ingest, Tools as IngestTools},
};
use cartwheel_language::seal::SealKey;
use cartwheel_runtime::{admin::Readiness, config::load, installation::InstallationConfig, log::Partition};
use cartwheel_trigger_evaluator::{app::work_on, definitions::Definitions};
use cartwheel_wire::pseudonym::Pseudonyms;
use jiff::SignedDuration;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::{
    RunError,
    executor::{ProcessId, lock},
    network::{Network, User},
    oracle::{self, Oracle},
    provider::Carrier,
    shop,
    store::FarStore,
    world::{INSTALLATION, SOURCE, SharedMarks, World},
};

/// The seal of opt-out links; every evaluator of an installation has the same.
const SEAL: &str = "the seal of simulated links, which is long enough for anybody";

/// Keys the names that are personal; every ingest of an installation has the same.
const SECRET: &str = "the secret of simulated customers, which is long enough";

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Ingest,
    Evaluator,
    DelayTimer,
    Dispatcher,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::Ingest, Self::Evaluator, Self::DelayTimer, Self::Dispatcher];
}

/// A process whose worker has ended, and the error that ended it.
pub(crate) type Ended = (ProcessId, Option<String>);

/// Starts processes.
pub(crate) struct Foundry {
    pub(crate) world: Arc<World>,
    pub(crate) network: Arc<Network>,
    pub(crate) oracle: Arc<Oracle>,
    installation: InstallationConfig,
    dispatcher: DispatcherConfig,
    shops: Shops,
    /// The delay-timers' disks, by partition.
    pub(crate) disks: Vec<MemoryView>,
    /// Processes whose worker has ended, with what ended it.
    pub(crate) ended: Arc<Mutex<Vec<Ended>>>,
}

impl Foundry {
    pub(crate) fn new(world: Arc<World>, network: Arc<Network>, oracle: Arc<Oracle>) -> Result<Self, RunError> {
        let settings = [
            ("CARTWHEEL_INSTALLATION__NAME", INSTALLATION.to_owned()),
            ("CARTWHEEL_INSTALLATION__PARTITIONS", world.topics.partitions.to_string()),
            ("CARTWHEEL_DISPATCHER__GATE__SAMPLE_EVERY", "1s".to_owned()),
        ];
        let file: DispatcherFile = load(None, settings.map(|(name, value)| (name.to_owned(), value))).map_err(RunError::setup)?;
        Ok(Self {
            network,
            oracle,
            installation: file.installation,
            dispatcher: file.dispatcher,
            shops: shop::known()?,
            disks: (0..world.topics.partitions).map(|_| MemoryView::default()).collect(),
            ended: Arc::default(),
            world,
        })
    }

    /// Starts a process; `stop` asks it to finish what it has in hand and to end.
    pub(crate) fn start(&self, id: ProcessId, service: Service, partition: Partition, stop: CancellationToken) -> Result<(), RunError> {
        match service {
            Service::Ingest => self.start_ingest(id, partition, stop)?,
            Service::Evaluator => self.start_evaluator(id, partition, stop)?,
            Service::DelayTimer => self.start_delay_timer(id, partition, stop)?,
            Service::Dispatcher => self.start_dispatcher(id, partition, stop)?,
        }
        Ok(())
    }

    /// The process's main work; its end is the process's end.
    fn work<E: std::fmt::Display>(&self, id: ProcessId, worker: impl Future<Output = Result<(), E>> + Send + 'static) {
        let ended = self.ended.clone();
        self.world.spawner.spawn(id, async move {
            let result = worker.await;
            lock(&ended).push((id, result.err().map(|error| error.to_string())));
        });
    }

    fn start_ingest(&self, id: ProcessId, partition: Partition, stop: CancellationToken) -> Result<(), RunError> {
        let log = self.network.log(id, User::Other);
        let clock = self.world.time.clock();
        let metrics = IngestMetrics::new(&Registry::new()).map_err(RunError::setup)?;
        let tools = IngestTools {
            intake: Intake::new(log.clone(), self.world.topics.clone(), self.world.codec.clone(), clock.clone(), metrics.clone()),
            log,
            positions: Arc::new(SharedMarks(self.world.clone())),
            shops: self.shops.clone(),
            pseudonyms: Pseudonyms::new(SECRET).map_err(RunError::setup)?,
            clock,
            metrics,
            start: Start::Earliest,
            batch: 8,
            patience: Duration::from_secs(1),
            events_per_customer_minute: 1000,
        };
        self.work(id, ingest::work(SOURCE.into(), partition, tools, stop));
        Ok(())
    }

    fn start_evaluator(&self, id: ProcessId, partition: Partition, stop: CancellationToken) -> Result<(), RunError> {
        let log = self.network.log(id, User::Evaluator);
        let definitions = definitions()?;
        let store = Arc::new(FarStore::new(self.world.clone(), self.oracle.clone()));
        let tools = oracle::tools(&self.world, log.clone(), store, definitions.clone(), self.world.topics.clone())?;
        let (batch, owner) = {
            let mut chance = self.world.chance();
            (chance.between(1, 6), chance.token())
        };
        self.work(id, work_on(partition, tools, oracle::settings(batch, owner), Duration::from_secs(1), stop));
        let (topic, codec) = (self.world.topics.campaigns.clone(), self.world.codec.clone());
        self.world.spawner.spawn(id, async move {
            // It ends only with its log, which ends with the process.
            let _ = definitions.follow(&*log, &topic, &codec).await;
        });
        Ok(())
    }

    fn start_delay_timer(&self, id: ProcessId, partition: Partition, stop: CancellationToken) -> Result<(), RunError> {
        let topics = &self.world.topics;
        let settings = TimerSettings {
            installation: INSTALLATION.to_owned(),
            timers: topics.timers.clone(),
            dead_letters: topics.dead_letters.clone(),
            targets: BTreeSet::from([topics.events.to_string()]),
            view_max_age: SignedDuration::from_hours(24),
            read_batch: 8,
            fire_batch: 4,
            fire_bytes: 1 << 20,
            unreturned: 50,
            recheck: Duration::from_secs(1),
        };
        let common = Common {
            log: self.network.log(id, User::Other),
            clock: self.world.time.clock(),
            codec: Arc::new(self.world.codec.clone()),
            settings: Arc::new(settings),
            metrics: TimerMetrics::new(&Registry::new()).map_err(RunError::setup)?,
            timers: Timers::default(),
        };
        let view = self.disks.get(partition as usize).cloned().unwrap_or_default();
        self.work(id, TimerWorker::new(common, partition, view, stop).run());
        Ok(())
    }

    fn start_dispatcher(&self, id: ProcessId, partition: Partition, stop: CancellationToken) -> Result<(), RunError> {
        let claimant = self.world.chance().token();
        let DispatcherConfig { retries, breaker, .. } = self.dispatcher;
        let bounds = Bounds { rate: 1000.0, concurrency: 8, shop_concurrency: 4, retries, breaker };
        let handles = Handles {
            log: self.network.log(id, User::Dispatcher { claimant }),
            store: Arc::new(FarStore::new(self.world.clone(), self.oracle.clone())),
            clock: self.world.time.clock(),
            positions: Arc::new(SharedMarks(self.world.clone())),
            ownership: (),
            codec: self.world.codec.clone(),
            providers: Providers::new().with("main", Arc::new(Carrier(self.world.clone())), bounds),
            registry: Registry::new(),
            readiness: Readiness::new(),
        };
        let Parts { shared, sampler, controls } = Parts::new(&self.dispatcher, &self.installation, &handles).map_err(RunError::setup)?;
        let worker = PartitionWorker::new(shared, partition, claimant, handles.positions, self.dispatcher.worker(), stop);
        self.work(id, worker.run());
        // They end with the process.
        self.world.spawner.spawn(id, sampler.run(CancellationToken::new()));
        self.world.spawner.spawn(id, controls.run(CancellationToken::new()));
        Ok(())
    }
}

/// What a process knows of campaigns.
pub(crate) fn definitions() -> Result<Definitions, RunError> {
    Ok(Definitions::new(Some(SealKey::from_secret(SEAL).map_err(RunError::setup)?)))
}
