//! The processes of a run: each hosts the real worker of one service for one partition, and everything that the service runs beside it.

use std::{
    collections::BTreeSet,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
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
use cartwheel_language::seal::SealKey;
use cartwheel_runtime::{
    admin::Readiness,
    config::load,
    installation::InstallationConfig,
    log::{From, Log, LogError, Outgoing, Partition, Positions},
};
use cartwheel_trigger_evaluator::{app::work_on, definitions::Definitions};
use cartwheel_wire::{EventBody, EventRecord};
use jiff::SignedDuration;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::{
    RunError,
    executor::{ProcessId, lock},
    network::{Network, User},
    oracle::{self, Oracle},
    provider::Carrier,
    shop::Edge,
    store::FarStore,
    world::{INSTALLATION, SOURCE, SharedMarks, World},
};

/// The seal of opt-out links; every evaluator of an installation has the same.
const SEAL: &str = "the seal of simulated links, which is long enough for anybody";

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
    edge: Arc<Edge>,
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
            edge: Arc::new(Edge::new()?),
            disks: (0..world.topics.partitions).map(|_| MemoryView::default()).collect(),
            ended: Arc::default(),
            world,
        })
    }

    /// Starts a process; `stop` asks it to finish what it has in hand and to end.
    pub(crate) fn start(&self, id: ProcessId, service: Service, partition: Partition, stop: CancellationToken) -> Result<(), RunError> {
        match service {
            Service::Ingest => {
                let log = self.network.log(id, User::Other);
                self.work(id, ingest(self.world.clone(), self.edge.clone(), log, partition, stop));
            }
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

/// Reads the shop's topic, converts by ingest's rules, appends, awaits, marks.
async fn ingest(
    world: Arc<World>,
    edge: Arc<Edge>,
    log: Arc<dyn Log>,
    partition: Partition,
    stop: CancellationToken,
) -> Result<(), LogError> {
    let positions = SharedMarks(world.clone());
    let from = positions.marked(SOURCE, partition).await?.map_or(From::Start, From::Offset);
    let mut reader = log.open(SOURCE, partition, from).await?;
    while !stop.is_cancelled() {
        let mut outgoing = Vec::new();
        for record in reader.read(8, Duration::from_secs(1)).await? {
            let id = format!("{SOURCE}/{partition}@{}", record.offset);
            match edge.read(record.value.as_deref().unwrap_or_default(), &id, world.now()) {
                Ok(inputs) => outgoing.extend(inputs.into_iter().map(|input| event(&world, input))),
                Err(error) => world.witness().violate("nothing sound is refused", error.to_string()),
            }
        }
        if !outgoing.is_empty() {
            log.append(outgoing).await?;
            positions.mark(SOURCE, partition, reader.position());
        }
    }
    Ok(())
}

fn event(world: &World, input: cartwheel_engine::input::Input) -> Outgoing {
    let partition = world.topics.partition_of(&input.key);
    let key = Bytes::copy_from_slice(input.key.as_str().as_bytes());
    let record = EventRecord { origin: None, body: EventBody::Customer(input) };
    Outgoing {
        topic: world.topics.events.clone(),
        partition,
        key: Some(key),
        value: Some(record.encode(&world.codec).into()),
        headers: Vec::new(),
    }
}
