//! The worker against what is asked of it, whatever happens: a timer fires or is cancelled, never neither, never early.
//!
//! One thread polls the real worker step by step, so that a crash can fall between any two awaits; clock, log and view are in memory or on
//! disk. The log is compacted and forgets tombstones, the view is lost or put back to an earlier moment.

#[cfg(test)]
mod bench;

use bench::{Bench, Keep, Step, Views};
use proptest::prelude::*;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..3u8;
    let step = prop_oneof![
        3 => (id.clone(), -20..20i64).prop_map(|(id, delay)| Step::Set { id, delay }),
        3 => (id.clone(), -20..200i64).prop_map(|(id, delay)| Step::Set { id, delay }),
        3 => id.clone().prop_map(|id| Step::Cancel { id }),
        1 => id.prop_map(|id| Step::Poison { id }),
        4 => (1..60i64).prop_map(Step::Advance),
        1 => (200..1200i64).prop_map(Step::Advance),
        1 => (1..20i64).prop_map(|seconds| Step::Advance(-seconds)),
        6 => (1..4usize).prop_map(Step::Poll),
        2 => (4..12usize).prop_map(Step::Poll),
        2 => Just(Step::Settle),
        1 => Just(Step::Crash(Keep::View)),
        1 => Just(Step::Crash(Keep::Snapshot)),
        1 => Just(Step::Crash(Keep::Nothing)),
        1 => Just(Step::TakeSnapshot),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_timer_fires_or_is_cancelled_never_neither_and_never_early(steps in steps()) {
        let mut bench = Bench::new(Views::memory());
        bench.play(&steps);
        bench.finish();
        bench.judge();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn without_a_crash_each_timer_fires_once(mut steps in steps()) {
        steps.retain(|step| !matches!(step, Step::Crash(_)));
        let mut bench = Bench::new(Views::memory());
        bench.play(&steps);
        bench.finish();
        bench.judge();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_on_disk_gives_what_a_view_in_memory_gives(steps in steps()) {
        // An earlier moment of a disk cannot be put back while the process runs, so both lose the view instead.
        let steps: Vec<Step> = steps.into_iter().map(|step| if step == Step::Crash(Keep::Snapshot) { Step::Crash(Keep::Nothing) } else { step }).collect();
        let mut both = [Bench::new(Views::memory()), Bench::new(Views::disk())];
        for bench in &mut both {
            bench.play(&steps);
            bench.finish();
            bench.judge();
        }
        let [memory, disk] = both;
        prop_assert_eq!(memory.written(), disk.written());
        prop_assert_eq!(memory.facts(), disk.facts());
    }
}

/// Fires a timer up to the moment when its record is on the log and its tombstone is not, and sets it again.
fn set_again_while_firing() -> Bench {
    let mut bench = Bench::new(Views::memory());
    bench.play(&[Step::Set { id: 1, delay: 10 }, Step::Settle, Step::Advance(10), Step::Poll(2)]);
    assert_eq!(bench.firings(), 1, "fired, and its tombstone is not on the log yet");
    bench.play(&[Step::Set { id: 1, delay: 100 }]);
    bench
}

#[test]
fn a_timer_set_again_while_it_fires_fires_again_even_if_only_the_compacted_log_is_left() {
    let mut bench = set_again_while_firing();
    bench.play(&[Step::Settle, Step::Set { id: 2, delay: 500 }, Step::Compact, Step::Crash(Keep::Nothing), Step::Settle]);
    assert_eq!(bench.firings(), 1);
    bench.play(&[Step::Advance(100), Step::Settle]);
    assert_eq!(bench.firings(), 2);
    bench.finish();
    bench.judge();
}

#[test]
fn a_timer_set_a_third_time_while_the_second_is_appended_again_fires_at_the_third_moment() {
    for polls in 0..12 {
        let mut bench = set_again_while_firing();
        bench.play(&[Step::Poll(polls), Step::Set { id: 1, delay: 300 }, Step::Settle, Step::Advance(200), Step::Settle]);
        assert_eq!(bench.firings(), 1, "moved after {polls} polls");
        bench.finish();
        bench.judge();
    }
}

#[test]
fn a_restart_with_its_view_reads_only_what_is_new_and_fires_what_became_due() {
    let mut bench = Bench::new(Views::disk());
    let set: Vec<Step> = (0..4).map(|id| Step::Set { id, delay: 50 }).collect();
    bench.play(&set);
    bench.play(&[Step::Settle, Step::Crash(Keep::View), Step::Advance(50), Step::Settle]);
    assert_eq!(bench.firings(), 4);
    assert_eq!(bench.rebuilt(), 1, "only the first start found no view");
}

#[test]
fn a_timer_cancelled_while_the_view_was_away_for_longer_than_tombstones_live_does_not_fire() {
    let mut bench = Bench::new(Views::memory());
    bench.play(&[Step::Set { id: 1, delay: 20_000 }, Step::Settle, Step::TakeSnapshot]);
    bench.play(&[Step::Cancel { id: 1 }, Step::Settle, Step::Advance(10_000), Step::Compact]);
    bench.play(&[Step::Crash(Keep::Snapshot), Step::Settle, Step::Advance(20_000), Step::Settle]);
    assert_eq!((bench.firings(), bench.rebuilt()), (0, 2));
}

#[test]
fn a_view_of_a_deleted_log_of_the_same_name_is_thrown_away() {
    let mut bench = Bench::new(Views::memory());
    bench.play(&[Step::Set { id: 1, delay: 50 }, Step::Settle]);
    bench.replace_log();
    bench.play(&[
        Step::Advance(1),
        Step::Set { id: 2, delay: 50 },
        Step::Crash(Keep::View),
        Step::Settle,
        Step::Advance(100),
        Step::Settle,
    ]);
    assert_eq!((bench.firings(), bench.rebuilt()), (1, 2), "only the timer of the log that is there fires");
}
