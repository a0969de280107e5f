//! The simulation: the real workers of all services on one thread, on a log, a store, a clock and a provider in memory, driven by one seed.
//!
//! # What runs
//! Two partitions, each with an ingest, an evaluator, a delay-timer and a dispatcher, every one a process of its own: the worker that production
//! runs, behind the seams that production has. Only what lies beyond the seams is simulated. A shop with two campaigns publishes drawn
//! lives: carts left, bought and cleared, orders, logins of visitors, STOPs.
//!
//! # What goes wrong
//! Every call at a seam waits before and behind its effect; at any of these waits a process may die, freeze, or meet another that owns the
//! same partition. Records land late, are acknowledged late, outlive their writer or are lost with it; the store goes back to an earlier
//! moment or does not answer; views and marks are lost; the provider's answers are. [`Fault`] lists them, and [`Report::seen`]
//! counts them, because a run in which nothing went wrong proves nothing.
//!
//! # What is watched
//! - *Safety*, at every step: `witness` holds each record and each call against the promises of `docs/protocol.md`; `oracle` holds the
//!   store and every decision against a pure fold of the log, byte for byte.
//! - *Liveness*: when faults stop, everything drains, and then nothing is lost: each decision is on its topic, each timer has fired or was
//!   cancelled, each message has an outcome, the balance is zero.
//!
//! One seed is one run, step by step: [`Report::digest`] is the same whenever the seed is. A failure names its seed and its last steps.
//!
//! # That it can see
//! A [`Twist`] takes one rule away, at a seam and never in a worker; a test shows that each is noticed.

mod chance;
mod drive;
mod executor;
mod fault;
mod network;
mod oracle;
mod process;
mod provider;
mod shop;
mod store;
mod witness;
mod world;

use std::{collections::BTreeMap, fmt};

use cartwheel_engine::decision::{Reason, Verdict};

pub use drive::run;
pub use fault::Fault;

/// A rule that is taken away, to show that its absence is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// Dispatchers do not see others' claims, and so act without having been first (rule P15).
    ActWithoutBeingFirst,
    /// The store claims to have folded everything, so that the gate waits for nothing (rule P16).
    DoNotWaitForTheHead,
    /// Appends are confirmed before they land, so that heads move on without their effects (rule P5).
    CommitBeforeProduce,
    /// The store takes every write, whoever owns the partition (rules P5, P6).
    WriteWithoutFence,
}

/// A run that kept every promise.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many polls it took.
    pub steps: u64,
    /// The same for the same seed.
    pub digest: u64,
    /// How many messages the provider took.
    pub messages: usize,
    /// What went wrong, and how often.
    pub seen: BTreeMap<Fault, u64>,
    /// What was decided and why, and how often it stands on the log.
    pub decided: BTreeMap<(Verdict, Reason), u64>,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The promise, in words.
    pub promise: &'static str,
    /// By what.
    pub detail: String,
}

/// A run that broke a promise.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Plays it again.
    pub seed: u64,
    /// At which poll.
    pub step: u64,
    /// What was broken.
    pub violation: Violation,
    /// The last steps before, oldest first.
    pub last_steps: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, violation: Violation { promise, detail }, last_steps } = self;
        writeln!(formatter, "seed {seed} broke a promise at step {step}: {promise}: {detail}")?;
        last_steps.iter().try_for_each(|step| writeln!(formatter, "    {step}"))?;
        write!(formatter, "play it again with `make sim SEED={seed} SEEDS=1`")
    }
}

/// Why a run ended without a report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A promise was broken.
    #[error("{0}")]
    Broken(Box<Failure>),
    /// The simulation itself could not be set up.
    #[error("the simulation could not be set up: {0}")]
    Setup(String),
}

impl RunError {
    fn setup(error: impl fmt::Display) -> Self {
        Self::Setup(error.to_string())
    }
}
