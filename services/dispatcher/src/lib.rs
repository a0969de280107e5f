//! dispatcher: hands messages to providers, each at most once or at least once by its class, and never one that is no longer wanted.
//!
//! # What comes in
//! - `cartwheel.sends-transactional` and `-promotional`: messages, decided and rendered by the evaluator, keyed by customer.
//! - `cartwheel.deliveries`: the dispatcher's own journal, read back.
//! - `cartwheel.controls`: what people have stopped.
//! - The evaluator's store, read only: which messages in flight are still wanted, which addresses opted out.
//! - The ends of `cartwheel.events`: how far the evaluator must have come for its store to count.
//!
//! # What goes out
//! - Calls to providers.
//! - `cartwheel.deliveries`: claims and outcomes, keyed by message id, in the customer's partition. Neither number nor text.
//! - `cartwheel.events`: outcomes, keyed by the customer who was sent to; an opt-out that a provider reports, keyed by the address's home.
//! - `cartwheel.dead-letters`: sends that cannot be read.
//!
//! # What is stored
//! Nothing but positions of the lanes in the group, and those are hints. The journal is the only memory; its last 26 hours are read
//! at each start, before the first message goes out.
//!
//! # A message
//! Look into the journal; look at the controls and through the gate; wait for a turn at the provider; claim; be first; look at controls
//! and gate once more; call; journal the outcome; report it on the events log; mark. All of what may take its time comes before the claim.
//!
//! # If we crash
//! - before the claim: the next owner reads the send again; nothing was done.
//! - between claim and call, or call and outcome: the attempt stands without an outcome. After the grace the next owner says *unknown*
//!   (at most once), which a receipt may still turn into what it was, or hands over again with the same idempotency key (at least once).
//! - between outcome and report: the outcome is journalled, the next owner reports it.
//! - between report and mark: it is reported again with the same id, which the evaluator drops.
//! - frozen instead of dead: others claim first, or see our claim; when we wake up, every sample and confirmation is too old to call on.
//!
//! Two dispatchers that both believe they own a partition are the same case: the first claim by offset wins.

pub mod app;
pub mod config;
pub mod controls;
pub mod error;
pub mod gate;
pub mod journal;
pub mod lane;
pub mod metrics;
pub mod providers;
pub mod samples;
pub mod worker;

mod delivery;
mod desk;
mod moment;
mod queues;
mod tracker;

pub use desk::Shared;
pub use queues::QueueConfig;
