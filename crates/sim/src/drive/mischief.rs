//! Makes things go wrong: mostly right behind an effect, where it hurts.

use cartwheel_delay_timer::view::Snapshot as Disk;
use cartwheel_runtime::memory::Snapshot;
use futures::FutureExt;

use super::{Drive, after};
use crate::{Fault, RunError, process::Service};

/// In a thousand steps behind which something has happened.
const BEHIND_AN_EFFECT: usize = 25;

/// In ten thousand other steps.
const OTHERWISE: usize = 5;

/// How many earlier moments of the store are kept.
const SNAPSHOTS: usize = 40;

impl Drive {
    /// Draws whether something goes wrong at this step, and what.
    pub(super) fn maybe_go_wrong(&mut self) -> Result<(), RunError> {
        let stirred = self.world.witness().take_stirred();
        if self.world.is_calm() {
            return Ok(());
        }
        let (now, kept, drawn) = {
            let mut chance = self.world.chance();
            let wrong = if stirred { chance.in_thousand(BEHIND_AN_EFFECT) } else { chance.below(10_000) < OTHERWISE };
            let kept = stirred && chance.in_thousand(60);
            (wrong, kept, chance.below(100))
        };
        if kept {
            self.keep_snapshot();
        }
        if !now {
            return Ok(());
        }
        match drawn {
            0..44 => self.crash(),
            44..62 => self.freeze(),
            62..78 => self.double()?,
            78..87 => self.roll_back(),
            87..90 => {
                self.world.lose_marks();
                self.world.witness().saw(Fault::MarksLost);
            }
            _ => self.repeat_outcome(),
        }
        Ok(())
    }

    fn draw(&self, limit: usize) -> usize {
        self.world.chance().below(limit)
    }

    fn keep_snapshot(&mut self) {
        let snapshot = self.world.store.snapshot();
        if self.snapshots.len() < SNAPSHOTS {
            self.snapshots.push(snapshot);
        } else {
            let place = self.draw(SNAPSHOTS);
            self.snapshots[place] = snapshot;
        }
        let partition = self.draw(self.disk_snapshots.len());
        let disk = self.foundry.disks.get(partition).map(cartwheel_delay_timer::view::MemoryView::snapshot);
        self.disk_snapshots[partition] = disk;
    }

    /// A process dies; another takes its place after a while.
    fn crash(&mut self) {
        let drawn = self.draw(self.running.len());
        let Some(process) = self.running.get(drawn) else { return };
        let (id, service, partition) = (process.id, process.service, process.partition);
        self.kill(id);
        self.world.witness().saw(match service {
            Service::Ingest => Fault::IngestCrash,
            Service::Evaluator => Fault::EvaluatorCrash,
            Service::DelayTimer => Fault::DelayTimerCrash,
            Service::Dispatcher => Fault::DispatcherCrash,
        });
        if service == Service::DelayTimer && self.world.chance().in_thousand(300) {
            self.roll_back_disk(partition as usize);
        }
        let stays = |other: &super::Running| {
            other.service == service
                && other.partition == partition
                && other.frozen.is_none()
                && other.retires.is_none()
                && other.dies.is_none()
        };
        let is_coming = self.starts.iter().any(|(_, coming, place)| *coming == service && *place == partition);
        if !self.running.iter().any(stays) && !is_coming {
            let moment = after(self.world.now(), &mut self.world.chance(), 0, 15);
            self.starts.push((moment, service, partition));
        }
    }

    /// The delay-timer's disk is empty, or an older copy.
    fn roll_back_disk(&mut self, partition: usize) {
        let Some(disk) = self.foundry.disks.get(partition) else { return };
        let older = self.disk_snapshots.get(partition).cloned().flatten();
        let lost = self.world.chance().in_thousand(400);
        disk.restore(if lost { Disk::default() } else { older.unwrap_or_default() });
        self.world.witness().saw(Fault::ViewRollback);
    }

    /// A process stands still, another takes its partition, and the first goes on later.
    fn freeze(&mut self) {
        let Some(index) = self.sole_owner() else { return };
        let until = after(self.world.now(), &mut self.world.chance(), 2, 60);
        let start = after(self.world.now(), &mut self.world.chance(), 0, 5);
        let process = &mut self.running[index];
        process.frozen = Some(until);
        let (id, service, partition) = (process.id, process.service, process.partition);
        self.executor.freeze(id);
        self.world.witness().note(format_args!("process {} freezes", id.0));
        self.starts.push((start, service, partition));
        // The clock must get there even if nobody else waits for that moment.
        let clock = self.world.time.clock();
        self.world.spawner.spawn(crate::executor::WORLD, async move { clock.sleep_until(until).await });
    }

    /// Another process takes a partition whose owner has not noticed that it is to leave.
    fn double(&mut self) -> Result<(), RunError> {
        let Some(index) = self.sole_owner() else { return Ok(()) };
        let leaves = after(self.world.now(), &mut self.world.chance(), 2, 30);
        let dies = after(leaves, &mut self.world.chance(), 10, 90);
        let process = &mut self.running[index];
        process.retires = Some(leaves);
        process.dies = Some(dies);
        let (service, partition) = (process.service, process.partition);
        self.world.witness().saw(Fault::TwoOwners);
        self.start(service, partition)
    }

    /// An evaluator or dispatcher that has its partition for itself.
    fn sole_owner(&self) -> Option<usize> {
        let drawn = self.draw(self.running.len());
        let process = self.running.get(drawn)?;
        let twin = |service| matches!(service, Service::Evaluator | Service::Dispatcher);
        let of_same = self.running.iter().filter(|other| other.service == process.service && other.partition == process.partition).count();
        let is_coming = self.starts.iter().any(|(_, service, partition)| *service == process.service && *partition == process.partition);
        (twin(process.service) && of_same == 1 && !is_coming).then_some(drawn)
    }

    /// The store goes back to an earlier moment, or is empty.
    fn roll_back(&mut self) {
        let emptied = self.world.chance().in_thousand(100);
        let drawn = self.draw(self.snapshots.len());
        let snapshot = if emptied { None } else { self.snapshots.get(drawn).cloned() };
        self.world.store.restore(snapshot.unwrap_or_else(Snapshot::default));
        self.world.witness().saw(Fault::StoreRollback);
    }

    /// An outcome stands on the log once more.
    fn repeat_outcome(&mut self) {
        let drawn = self.draw(1 << 20);
        let Some(record) = self.world.witness().outcome_record(drawn) else { return };
        let outgoing = cartwheel_runtime::log::Outgoing {
            topic: record.topic,
            partition: record.partition,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        let (topic, partition) = (outgoing.topic.clone(), outgoing.partition);
        let landed = cartwheel_runtime::log::Log::append(&self.world.log, vec![outgoing]).now_or_never();
        if let Some(Ok(offsets)) = landed {
            let offset = offsets.first().copied().unwrap_or_default();
            let mut witness = self.world.witness();
            witness.landed(&topic, partition, offset);
            witness.saw(Fault::DuplicateOutcome);
        }
    }
}
