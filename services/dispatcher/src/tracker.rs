//! Which records of a lane are done, and so up to where the lane may be marked.

use std::collections::BTreeSet;

use cartwheel_runtime::log::Offset;

/// Records finish in any order; the mark moves only over those that are done without a gap.
#[derive(Debug)]
pub(crate) struct Tracker {
    open: BTreeSet<Offset>,
    /// Behind the last record that was begun.
    next: Offset,
    marked: Offset,
}

impl Tracker {
    /// A lane that is read from `start` on.
    pub(crate) fn new(start: Offset) -> Self {
        Self { open: BTreeSet::new(), next: start, marked: start }
    }

    /// A record was read and is not done yet.
    pub(crate) fn begin(&mut self, offset: Offset) {
        self.open.insert(offset);
        self.next = self.next.max(offset + 1);
    }

    /// A record is done. Tells the new mark if it moved: everything below it is done.
    pub(crate) fn finish(&mut self, offset: Offset) -> Option<Offset> {
        self.open.remove(&offset);
        let mark = self.open.first().copied().unwrap_or(self.next);
        let moved = mark > self.marked;
        self.marked = self.marked.max(mark);
        moved.then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_waits_for_the_oldest_open_record_and_steps_over_gaps_of_the_log() {
        let mut lane = Tracker::new(5);
        for offset in [5, 6, 9] {
            lane.begin(offset);
        }
        assert_eq!(lane.finish(6), None);
        assert_eq!(lane.finish(5), Some(9));
        assert_eq!(lane.finish(9), Some(10));
        assert_eq!(lane.finish(9), None);
    }
}
