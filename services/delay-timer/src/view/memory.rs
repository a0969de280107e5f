//! The open timers in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use cartwheel_runtime::log::Partition;

use super::{Change, Facts, View, ViewError};
use crate::timer::{Due, OpenTimer, Place};

/// A [`View`] in memory; clones are the same view, which is how a restart with the view at hand is rehearsed.
#[derive(Clone, Debug, Default)]
pub struct MemoryView(Arc<Mutex<Contents>>);

/// All that a [`MemoryView`] held at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Contents);

#[derive(Clone, Debug, Default)]
struct Contents {
    facts: Option<Facts>,
    ordered: BTreeMap<Place, OpenTimer>,
    due: BTreeMap<Bytes, Due>,
}

impl MemoryView {
    /// All that the view holds now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.lock().clone())
    }

    /// Puts an earlier moment back, as an old disk would; the default snapshot empties the view.
    pub fn restore(&self, snapshot: Snapshot) {
        *self.lock() = snapshot.0;
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View for MemoryView {
    fn facts(&self) -> Result<Option<Facts>, ViewError> {
        Ok(self.lock().facts.clone())
    }

    fn due_of(&self, id: &[u8]) -> Result<Option<Due>, ViewError> {
        Ok(self.lock().due.get(id).copied())
    }

    fn due(&self, from: &Place, until: Due, count: usize, bytes: usize) -> Result<Vec<OpenTimer>, ViewError> {
        let contents = self.lock();
        let mut left = Some(bytes);
        let due = contents.ordered.range(from.clone()..).map(|(_, timer)| timer).take_while(|timer| {
            let fits = left.is_some() && timer.place.due <= until;
            left = left.and_then(|left| left.checked_sub(timer.record.len()));
            fits
        });
        Ok(due.take(count).cloned().collect())
    }

    fn count_due(&self, from: &Place, until: Due, most: usize) -> Result<usize, ViewError> {
        Ok(self.lock().ordered.range(from.clone()..).take_while(|(place, _)| place.due <= until).take(most).count())
    }

    fn apply(&mut self, change: Change, facts: &Facts) -> Result<(), ViewError> {
        let mut contents = self.lock();
        for place in change.removed {
            contents.due.remove(&place.id);
            contents.ordered.remove(&place);
        }
        for timer in change.put {
            contents.due.insert(timer.place.id.clone(), timer.place.due);
            contents.ordered.insert(timer.place.clone(), timer);
        }
        contents.facts = Some(facts.clone());
        Ok(())
    }

    fn clear(&mut self) -> Result<(), ViewError> {
        *self.lock() = Contents::default();
        Ok(())
    }
}

/// A view for each partition, kept as long as the value lives; clones are the same views.
#[derive(Clone, Debug, Default)]
pub struct MemoryViews(Arc<Mutex<HashMap<Partition, MemoryView>>>);

impl MemoryViews {
    /// The view of this partition.
    pub fn view(&self, partition: Partition) -> MemoryView {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(partition).or_default().clone()
    }
}
