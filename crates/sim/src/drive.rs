//! One run: sets the stage, lets everybody work, makes things go wrong, stops making them, waits, and judges.

mod mischief;

use std::{collections::BTreeSet, sync::Arc};

use cartwheel_delay_timer::view::Snapshot as Disk;
use cartwheel_runtime::{
    log::{Log, Outgoing, Partition},
    memory::Snapshot,
    store::PartitionStore,
};
use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    Failure, Fault, Report, RunError, Twist,
    chance::Chance,
    executor::{Executor, ProcessId, Step, WORLD, lock},
    network::Network,
    oracle::Oracle,
    process::{Foundry, Service, definitions},
    shop::{self, Lives, OPEN},
    world::{PARTITIONS, SOURCE, World},
};

/// The moment at which every run begins: a working day, late morning.
const START: &str = "2026-03-02T10:00:00Z";

/// When the shop has closed, faults go on for this long: the last carts' timers and their messages.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(5);

/// When nothing goes wrong any more, all that is under way must come to its end within this time: a claim whose owner died is believed
/// in for 30 s, a held message for a minute, a returned one is decided again after a back-off of minutes.
const DRAIN: SignedDuration = SignedDuration::from_mins(60);

/// A run that takes more polls than this is going in circles.
const STEPS_LIMIT: u64 = 5_000_000;

/// What the fold has timers for beyond this time need not have fired when all has drained: forgetting, and other long waits.
const FAR: SignedDuration = SignedDuration::from_mins(20);

/// A process and what is to become of it.
struct Running {
    id: ProcessId,
    service: Service,
    partition: Partition,
    stop: CancellationToken,
    /// Frozen until then.
    frozen: Option<Timestamp>,
    /// Asked to leave then; another owns its partition by now.
    retires: Option<Timestamp>,
    /// Killed then, if it has not left.
    dies: Option<Timestamp>,
}

/// A run under way.
struct Drive {
    world: Arc<World>,
    network: Arc<Network>,
    oracle: Arc<Oracle>,
    foundry: Foundry,
    executor: Executor,
    running: Vec<Running>,
    starts: Vec<(Timestamp, Service, Partition)>,
    snapshots: Vec<Snapshot>,
    /// An earlier moment of each delay-timer's disk.
    disk_snapshots: Vec<Option<Disk>>,
    processes: u32,
    steps: u64,
}

/// Plays a seed.
///
/// # Errors
/// [`RunError::Broken`] with the first broken promise; [`RunError::Setup`] where the simulation itself is at fault.
pub fn run(seed: u64, twist: Option<Twist>) -> Result<Report, RunError> {
    let start: Timestamp = START.parse().map_err(RunError::setup)?;
    let world = Arc::new(World::new(seed, start, twist));
    for record in shop::applied(&world.topics, &world.codec, start) {
        append(&world, record)?;
    }
    let oracle = Arc::new(Oracle::new(world.clone(), definitions()?)?);
    let network = Network::new(world.clone());
    let foundry = Foundry::new(world.clone(), network.clone(), oracle.clone())?;
    let mut drive = Drive {
        executor: Executor::new(world.time.clone(), world.spawner.clone()),
        foundry,
        network,
        oracle,
        running: Vec::new(),
        starts: Vec::new(),
        snapshots: Vec::new(),
        disk_snapshots: vec![None; PARTITIONS as usize],
        processes: 0,
        steps: 0,
        world,
    };
    let played = drive.play(start);
    let world = &drive.world;
    let witness = world.witness();
    if let Some(violation) = witness.violation() {
        let last_steps = witness.last_steps();
        return Err(RunError::Broken(Box::new(Failure { seed, step: drive.steps, violation, last_steps })));
    }
    played?;
    Ok(Report {
        steps: drive.steps,
        digest: witness.digest(),
        messages: witness.messages(),
        seen: witness.seen(),
        decided: witness.decided(),
    })
}

fn append(world: &World, record: Outgoing) -> Result<(), RunError> {
    world.log.append(vec![record]).now_or_never().ok_or(RunError::Setup("the log waits".to_owned()))?.map_err(RunError::setup)?;
    Ok(())
}

impl Drive {
    fn play(&mut self, start: Timestamp) -> Result<(), RunError> {
        let world = self.world.clone();
        let lives = Lives::draw(&mut world.chance(), start);
        {
            let mut witness = world.witness();
            lives.faults.iter().for_each(|fault| witness.saw(*fault));
            witness.promotional.extend(lives.promotional);
            witness.orders.extend(lives.orders);
        }
        for partition in 0..world.topics.partitions {
            for service in Service::ALL {
                self.start(service, partition)?;
            }
        }
        let publisher = world.clone();
        world.spawner.spawn(WORLD, async move {
            for publication in lives.publications {
                publisher.time.clock().sleep_until(publication.at).await;
                let record = publication.record(publisher.topics.partitions);
                if let Err(error) = publisher.log.append(vec![record]).await {
                    publisher.witness().violate("the shop can publish", error.to_string());
                }
            }
        });
        let until = moment(start, OPEN.saturating_add(AFTERMATH));
        self.work(until, |_| false)?;
        self.calm_down()?;
        let deadline = moment(world.now(), DRAIN);
        if !self.work(deadline, Self::is_drained)? {
            let left = self.unfinished().join("; ");
            world.witness().violate("all drains once faults stop", left);
            return Ok(());
        }
        self.judge_end();
        Ok(())
    }

    /// Steps until a moment, a broken promise, or until it is done; tells whether it was.
    fn work(&mut self, until: Timestamp, done: impl Fn(&Self) -> bool) -> Result<bool, RunError> {
        let mut looked = self.world.now();
        while self.world.now() < until {
            self.steps += 1;
            if self.steps > STEPS_LIMIT {
                self.world.witness().violate("a run comes to its end", format!("{STEPS_LIMIT} steps were not enough"));
            }
            let step = self.executor.step(&self.world.chance);
            self.bury_the_ended()?;
            self.judge_produced();
            if self.world.witness().violation().is_some() {
                return Ok(false);
            }
            match step {
                Step::Polled(_) => self.maybe_go_wrong()?,
                Step::Waited => {
                    self.keep_appointments()?;
                    if self.world.now().duration_since(looked) >= SignedDuration::from_secs(5) {
                        looked = self.world.now();
                        if done(self) {
                            return Ok(true);
                        }
                    }
                }
                Step::Stuck => return Ok(done(self)),
            }
        }
        Ok(done(self))
    }

    /// Starts a process now.
    fn start(&mut self, service: Service, partition: Partition) -> Result<(), RunError> {
        self.processes += 1;
        let id = ProcessId(self.processes);
        let stop = CancellationToken::new();
        self.world.witness().note(format_args!("process {} starts: {service:?} of partition {partition}", id.0));
        self.foundry.start(id, service, partition, stop.clone())?;
        self.running.push(Running { id, service, partition, stop, frozen: None, retires: None, dies: None });
        Ok(())
    }

    /// The process dies where it stands; what it has sent may land.
    fn kill(&mut self, id: ProcessId) {
        self.executor.kill(id);
        self.network.cut(id);
        self.running.retain(|process| process.id != id);
    }

    /// Clears away processes whose worker has ended. None may end that was not asked to.
    fn bury_the_ended(&mut self) -> Result<(), RunError> {
        let ended = std::mem::take(&mut *lock(&self.foundry.ended));
        for (id, error) in ended {
            let Some(process) = self.running.iter().find(|process| process.id == id) else { continue };
            if error.is_some() || !process.stop.is_cancelled() {
                let detail = format!("{:?} of partition {}: {error:?}", process.service, process.partition);
                self.world.witness().violate("a worker works until it is asked to leave", detail);
            }
            self.executor.kill(id);
            self.running.retain(|process| process.id != id);
        }
        Ok(())
    }

    /// Holds what evaluators have produced against what the log's fold decides.
    fn judge_produced(&self) {
        let produced = std::mem::take(&mut self.world.witness().unjudged);
        for record in produced {
            if !self.oracle.decides(&record) {
                let detail = format!("{}/{}@{}", record.topic, record.partition, record.offset);
                self.world.witness().violate("every effect is one that the log decides", detail);
            }
        }
    }

    /// Thaws, retires, kills and starts whoever's moment has come.
    fn keep_appointments(&mut self) -> Result<(), RunError> {
        let now = self.world.now();
        let came = |appointment: Option<Timestamp>| appointment.is_some_and(|moment| moment <= now);
        let mut dying = Vec::new();
        for process in &mut self.running {
            if came(process.frozen) {
                process.frozen = None;
                self.executor.thaw(process.id);
                let mut chance = self.world.chance();
                let leaves = after(now, &mut chance, 1, 20);
                process.retires = Some(leaves);
                process.dies = Some(after(leaves, &mut chance, 10, 90));
                drop(chance);
                let zombie = if process.service == Service::Evaluator { Fault::EvaluatorZombie } else { Fault::DispatcherZombie };
                self.world.witness().saw(zombie);
            }
            if process.frozen.is_none() && came(process.retires) {
                process.retires = None;
                process.stop.cancel();
            }
            if came(process.dies) {
                dying.push(process.id);
            }
        }
        dying.into_iter().for_each(|id| self.kill(id));
        let (due, later) = std::mem::take(&mut self.starts).into_iter().partition(|(moment, ..)| *moment <= now);
        self.starts = later;
        let due: Vec<(Timestamp, Service, Partition)> = due;
        due.into_iter().try_for_each(|(_, service, partition)| self.start(service, partition))
    }

    /// Nothing goes wrong any more: frozen processes go on, and each partition is left with one owner.
    fn calm_down(&mut self) -> Result<(), RunError> {
        self.world.witness().note("faults stop");
        self.world.calm_down();
        let now = self.world.now();
        for process in &mut self.running {
            if process.frozen.is_some() {
                process.frozen = Some(now);
            }
        }
        self.keep_appointments()
    }

    fn head(&self, partition: Partition) -> u64 {
        let loaded = self.world.store.load(partition, &[]).now_or_never().and_then(Result::ok);
        loaded.and_then(|loaded| loaded.facts).map_or(0, |facts| facts.fence.head)
    }

    fn end(&self, topic: &str, partition: Partition) -> u64 {
        self.world.log.bounds(topic, partition).now_or_never().and_then(Result::ok).map_or(0, |bounds| bounds.end)
    }

    fn is_drained(&self) -> bool {
        self.unfinished().is_empty()
    }

    /// What is still under way.
    fn unfinished(&self) -> Vec<String> {
        let world = &self.world;
        let mut left = world.witness().unfinished(moment(world.now(), FAR));
        for partition in 0..world.topics.partitions {
            let (head, end) = (self.head(partition), self.end(&world.topics.events, partition));
            if head != end {
                left.push(format!("partition {partition} is folded up to {head} of {end}"));
            }
            let marked = world.reached(SOURCE, partition);
            if marked < self.end(SOURCE, partition) {
                left.push(format!("partition {partition} of the shop's topic is read up to {marked}"));
            }
        }
        if !self.network.is_idle() {
            left.push("records are on their way".to_owned());
        }
        left
    }

    /// All is drained: nothing may be missing.
    fn judge_end(&self) {
        let world = &self.world;
        self.oracle.catch_up();
        (0..world.topics.partitions).for_each(|partition| self.oracle.judge_store(partition));
        let topics = [&world.topics.sends_promotional, &world.topics.sends_transactional, &world.topics.decisions, &world.topics.timers];
        for topic in topics {
            let landed: BTreeSet<_> = (0..world.topics.partitions)
                .flat_map(|partition| world.log.records(topic, partition))
                .map(|record| (record.key, record.value))
                .collect();
            let missing = self.oracle.decided(topic).into_iter().filter(|record| !landed.contains(record)).count();
            if missing > 0 {
                world
                    .witness()
                    .violate("every effect that the log decides is carried out", format!("{missing} records of {topic} never landed"));
            }
        }
        let customers = self.oracle.customers();
        let imbalance: i128 = customers.values().map(|customer| customer.sends.imbalance()).sum();
        let flights: usize = customers.values().map(|customer| customer.sends.flights.len()).sum();
        if imbalance != 0 || flights != 0 {
            world.witness().violate("the balance is zero", format!("{imbalance}, with {flights} messages on their way"));
        }
        let unanswered = world.witness().unanswered_orders();
        if !unanswered.is_empty() {
            world.witness().violate("each order is confirmed, or it is on record why not", unanswered.join(", "));
        }
    }
}

fn moment(from: Timestamp, time: SignedDuration) -> Timestamp {
    from.saturating_add(time).unwrap_or(Timestamp::MAX)
}

/// A moment so many seconds after `from`.
fn after(from: Timestamp, chance: &mut Chance, least: usize, most: usize) -> Timestamp {
    moment(from, SignedDuration::try_from(chance.seconds(least, most)).unwrap_or(SignedDuration::ZERO))
}
