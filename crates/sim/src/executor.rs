//! Tasks of processes on one thread under a virtual clock. One poll is one step; who is polled next is drawn from the seed.
//!
//! Time moves only when nobody can go on, and then to the next moment that somebody waits for. A process can be frozen, which its tasks
//! do not notice, and killed between any two polls of its tasks: since every effect has a wait before and behind it, that is between
//! any two awaits.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, TryLockError},
    task::{Context, Poll, Wake, Waker},
};

use cartwheel_runtime::clock::{Clock, TimeSource};
use futures::future::BoxFuture;
use jiff::Timestamp;

use crate::chance::Chance;

/// A process: what dies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcessId(pub(crate) u32);

/// What lives as long as the run: networks, disks, the world outside.
pub(crate) const WORLD: ProcessId = ProcessId(0);

/// Locks what only one thread uses; a lock that is held already would be held for ever, so it is a mistake of the simulation.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Ok(guard) => guard,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => panic!("a lock of the simulation is taken twice"),
    }
}

/// The virtual clock; clones are the same.
#[derive(Clone)]
pub(crate) struct Time(Arc<Mutex<Hands>>);

struct Hands {
    now: Timestamp,
    sleepers: BTreeMap<(Timestamp, u64), Waker>,
    count: u64,
}

impl Time {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Hands { now, sleepers: BTreeMap::new(), count: 0 })))
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::new(self.clone())
    }

    /// The next moment that somebody waits for.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        lock(&self.0).sleepers.keys().next().map(|(moment, _)| *moment)
    }

    /// Moves on to a moment and wakes who waited for it.
    pub(crate) fn move_to(&self, moment: Timestamp) {
        let mut hands = lock(&self.0);
        hands.now = hands.now.max(moment);
        let now = hands.now;
        let later = hands.sleepers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut hands.sleepers, later);
        drop(hands);
        due.into_values().for_each(Waker::wake);
    }
}

impl TimeSource for Time {
    fn now(&self) -> Timestamp {
        lock(&self.0).now
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let mut hands = lock(&self.0);
        hands.count += 1;
        Box::pin(Sleep { time: self.clone(), key: (until, hands.count) })
    }
}

struct Sleep {
    time: Time,
    key: (Timestamp, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut hands = lock(&self.time.0);
        if hands.now >= self.key.0 {
            return Poll::Ready(());
        }
        hands.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        lock(&self.time.0).sleepers.remove(&self.key);
    }
}

/// Starts tasks from within tasks; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Spawner(Arc<Mutex<Vec<Task>>>);

impl Spawner {
    pub(crate) fn spawn(&self, process: ProcessId, future: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0).push(Task { process, future: Box::pin(future) });
    }
}

struct Task {
    process: ProcessId,
    future: BoxFuture<'static, ()>,
}

struct TaskWaker {
    task: u64,
    woken: Arc<Mutex<BTreeSet<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.woken).insert(self.task);
    }
}

/// What a step was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A task of this process was polled.
    Polled(ProcessId),
    /// Nobody could go on; the clock moved.
    Waited,
    /// Nobody can go on and nobody waits.
    Stuck,
}

/// Holds and polls all tasks.
pub(crate) struct Executor {
    time: Time,
    spawner: Spawner,
    tasks: BTreeMap<u64, Task>,
    woken: Arc<Mutex<BTreeSet<u64>>>,
    frozen: BTreeSet<ProcessId>,
    count: u64,
}

impl Executor {
    pub(crate) fn new(time: Time, spawner: Spawner) -> Self {
        Self { time, spawner, tasks: BTreeMap::new(), woken: Arc::default(), frozen: BTreeSet::new(), count: 0 }
    }

    /// One poll, or one move of the clock.
    pub(crate) fn step(&mut self, chance: &Mutex<Chance>) -> Step {
        self.adopt();
        let runnable: Vec<u64> = {
            let woken = lock(&self.woken);
            let runs = |task: &u64| self.tasks.get(task).is_some_and(|task| !self.frozen.contains(&task.process));
            woken.iter().copied().filter(runs).collect()
        };
        let drawn = lock(chance).below(runnable.len());
        let Some(task) = runnable.get(drawn).copied() else {
            let Some(next) = self.time.next() else { return Step::Stuck };
            self.time.move_to(next);
            return Step::Waited;
        };
        lock(&self.woken).remove(&task);
        let Some(held) = self.tasks.get_mut(&task) else { return Step::Waited };
        let process = held.process;
        let waker = Waker::from(Arc::new(TaskWaker { task, woken: self.woken.clone() }));
        if held.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.tasks.remove(&task);
        }
        Step::Polled(process)
    }

    /// Takes in what was spawned.
    fn adopt(&mut self) {
        let spawned = std::mem::take(&mut *lock(&self.spawner.0));
        for task in spawned {
            self.count += 1;
            self.tasks.insert(self.count, task);
            lock(&self.woken).insert(self.count);
        }
    }

    /// The process dies where it stands.
    pub(crate) fn kill(&mut self, process: ProcessId) {
        self.adopt();
        self.frozen.remove(&process);
        let (dead, alive) = std::mem::take(&mut self.tasks).into_iter().partition(|(_, task)| task.process == process);
        self.tasks = alive;
        // Dropped only now: what dies may touch clocks and channels.
        drop::<BTreeMap<u64, Task>>(dead);
    }

    /// The process stands still until it is thawed, and does not know.
    pub(crate) fn freeze(&mut self, process: ProcessId) {
        self.frozen.insert(process);
    }

    pub(crate) fn thaw(&mut self, process: ProcessId) {
        self.frozen.remove(&process);
    }
}
