//! What the simulation can see: one rule is taken away at a time, at a seam, and some seed notices.

use cartwheel_sim::{RunError, Twist, run};

/// How many seeds are tried. With every rule in place they all pass.
const SEEDS: u64 = 60;

/// Plays seeds until one finds one of these promises broken.
fn is_noticed(twist: Twist, promises: &[&str]) {
    let mut others = Vec::new();
    for seed in 1..=SEEDS {
        match run(seed, Some(twist)) {
            Ok(_) => {}
            Err(RunError::Broken(failure)) if promises.contains(&failure.violation.promise) => {
                return;
            }
            Err(RunError::Broken(failure)) => others.push((seed, failure.violation.promise)),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{twist:?} broke none of {promises:?} in {SEEDS} seeds, but {others:?}");
}

#[test]
fn a_dispatcher_that_acts_without_having_been_first_is_noticed() {
    is_noticed(Twist::ActWithoutBeingFirst, &["at most once: handed over at most once"]);
}

#[test]
fn a_gate_that_does_not_wait_for_the_head_is_noticed() {
    is_noticed(Twist::DoNotWaitForTheHead, &["no hand-over after a STOP", "no hand-over after an exception"]);
}

#[test]
fn a_head_that_moves_on_before_its_effects_have_landed_is_noticed() {
    is_noticed(Twist::CommitBeforeProduce, &["every effect that the log decides is carried out"]);
}

#[test]
fn a_store_that_takes_writes_of_whoever_asks_is_noticed() {
    is_noticed(Twist::WriteWithoutFence, &["the store is the fold of the log up to its head"]);
}

#[test]
fn a_seed_is_one_run_step_by_step() {
    let [one, two] = [(); 2].map(|()| run(4, None).unwrap());
    assert_eq!((one.steps, one.digest), (two.steps, two.digest));
}
