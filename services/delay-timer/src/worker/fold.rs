//! Reading: what the log says becomes one change of the view.

use std::collections::BTreeMap;

use bytes::Bytes;
use cartwheel_runtime::log::{Headers, Offset, Record};
use cartwheel_wire::{DecodeError, TimerRecord};
use jiff::Timestamp;

use super::{FIRED_HEADER, Next, RENEWED_HEADER, Worker};
use crate::{
    error::Error,
    timer::{Due, OpenTimer, Place},
    view::{Change, Stamp, View},
};

/// What becomes of a timer within one batch.
struct Folded {
    /// What the view holds.
    stored: Option<Due>,
    now: Standing,
}

enum Standing {
    AsStored,
    Open(OpenTimer),
    Gone,
}

impl Folded {
    fn due(&self) -> Option<Due> {
        match &self.now {
            Standing::AsStored => self.stored,
            Standing::Open(timer) => Some(timer.place.due),
            Standing::Gone => None,
        }
    }
}

impl<V: View> Worker<V> {
    /// Folds the records into the view, together with the position behind them.
    pub(super) fn fold(&mut self, records: Vec<Record>, position: Offset) -> Result<(), Error> {
        let mut batch = BTreeMap::new();
        for record in records {
            self.facts.last = Some(Stamp { offset: record.offset, timestamp: record.timestamp });
            let Some(id) = record.key.clone() else {
                // A compacted topic takes no record without a key, so only a topic that is set up wrongly brings one.
                tracing::warn!(partition = self.partition, offset = record.offset, "a timer without a key cannot be kept, passing over it");
                continue;
            };
            let folded = match batch.entry(id) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let stored = self.view.due_of(entry.key())?;
                    entry.insert(Folded { stored, now: Standing::AsStored })
                }
            };
            self.fold_one(folded, record)?;
        }
        self.facts.position = position;
        let change = self.settle(batch);
        self.facts.floor = self.cursor.clone();
        self.view.apply(change, &self.facts)?;
        Ok(())
    }

    fn fold_one(&mut self, folded: &mut Folded, record: Record) -> Result<(), Error> {
        let Record { key, value, headers, offset, timestamp, .. } = record;
        let id = key.unwrap_or_default();
        let before = folded.due();
        let Some(value) = value else {
            let fired = header(&headers, FIRED_HEADER).map(Due::from_microseconds);
            if let Some(due) = fired {
                self.fired.remove(&Place { due, id: id.clone() });
            }
            if before.is_some() && fired.is_some() && before != fired {
                self.facts.overtaken.insert(id);
            } else {
                self.facts.overtaken.remove(&id);
                self.renewed.remove(&id);
                folded.now = Standing::Gone;
                self.common.metrics.cancelled.inc_by(u64::from(before.is_some() && fired.is_none()));
            }
            return Ok(());
        };
        self.common.metrics.set.inc();
        self.facts.overtaken.remove(&id);
        self.renewed.remove(&id);
        let due = self.due_of_record(&id, &value, offset, timestamp)?;
        if let Some(repeated) = header(&headers, RENEWED_HEADER)
            && before.is_some_and(|before| before != due)
            && self.offset_of(folded, &id)? > repeated
        {
            self.facts.overtaken.insert(id);
            return Ok(());
        }
        folded.now = Standing::Open(OpenTimer { place: Place { due, id }, offset, appended: timestamp, record: value });
        Ok(())
    }

    /// Where the record that stands for a timer was read.
    fn offset_of(&self, folded: &Folded, id: &Bytes) -> Result<Offset, Error> {
        match &folded.now {
            Standing::Open(timer) => Ok(timer.offset),
            _ => Ok(self.open_timer(id)?.map_or(0, |timer| timer.offset)),
        }
    }

    /// What is no timer is kept like one that is due at once: firing it finds the fault and makes a dead letter of it, once and only
    /// when the log's end was reached.
    fn due_of_record(&self, id: &Bytes, value: &Bytes, offset: Offset, timestamp: Timestamp) -> Result<Due, Error> {
        match TimerRecord::decode(&self.common.codec, value) {
            Ok(timer) if timer.id.as_bytes() == id => Ok(Due::from(timer.due)),
            Err(error) if !error.is_poison() => Err(self.not_understood(offset, error)),
            _ => Ok(Due::from(timestamp)),
        }
    }

    pub(super) fn not_understood(&self, offset: Offset, error: DecodeError) -> Error {
        Error::NotUnderstood { topic: self.common.settings.timers.to_string(), partition: self.partition, offset, error }
    }

    fn settle(&mut self, batch: BTreeMap<Bytes, Folded>) -> Change {
        let mut change = Change::default();
        for (id, folded) in batch {
            let due = folded.due();
            match (folded.stored, due) {
                (None, Some(_)) => self.facts.open += 1,
                (Some(_), None) => self.facts.open = self.facts.open.saturating_sub(1),
                _ => {}
            }
            if let Some(stored) = folded.stored.filter(|stored| Some(*stored) != due) {
                let place = Place { due: stored, id };
                if self.next.as_ref().is_some_and(|next| next.place == place) {
                    self.next_is_known = false;
                }
                change.removed.push(place);
            }
            if let Standing::Open(timer) = folded.now {
                self.expect(&timer);
                change.put.push(timer);
            }
        }
        change
    }

    /// A timer that has not been fired may be the next one, and may stand before the cursor.
    fn expect(&mut self, timer: &OpenTimer) {
        let place = &timer.place;
        if self.fired.contains(place) {
            return;
        }
        if *place < self.cursor {
            self.cursor = place.clone();
        }
        if self.next_is_known && self.next.as_ref().is_none_or(|next| *place <= next.place) {
            self.next = Some(Next { place: place.clone(), waiting_since: timer.waiting_since() });
        }
    }
}

/// The number in one of the worker's own headers; anything else that stands there counts as nothing.
fn header<N: std::str::FromStr>(headers: &Headers, name: &str) -> Option<N> {
    let (_, number) = headers.iter().find(|(found, _)| found == name)?;
    std::str::from_utf8(number).ok()?.parse().ok()
}
