//! The trigger-evaluator: the only reader of `cartwheel.events` that decides, and the only writer of customers' states.
//!
//! # What comes in, what goes out, what is stored
//! In: `cartwheel.events` (what happened) and `cartwheel.campaigns` (what shops applied). Out: timers, sends, decisions, and events for
//! other homes. Stored, per partition and in one atomic write: changed customers, the dispatcher's views of messages on their way and
//! of blocked addresses, and the facts (owner, head, marks, revisions in force).
//!
//! Each owned partition has one [`worker::Worker`]: read a batch, load the customers that are not in memory together with the facts,
//! let the engine decide, produce all effects, await their acknowledgement, write (rule P5).
//!
//! # If we crash
//! - after reading, before producing: nothing happened; the next owner reads the same records from the head in the store.
//! - between producing and the acknowledgement: some effects may have landed. The next owner decides the same records from the same
//!   state and produces the same effects with the same ids; receivers drop the repeats (rules P2, P8, P15).
//! - between the acknowledgement and the write: the same.
//! - during the write: it happened whole or not at all; the head tells which.
//! - after the write, before the mark in Kafka: the mark is a hint for lag tools; the head in the store counts.
//! - paused and resumed while another owner works (a zombie): effects already produced are repeats for their receivers; the next load
//!   and the next write find another fence, and nothing more is done (rules P5, P6).
//! - the store is rolled back under us: the next load or write finds a fence below ours, memory is dropped, and the log is folded
//!   again from the stored head.

pub mod app;
pub mod config;
pub mod definitions;
mod error;
mod fold;
mod metrics;
mod perform;
pub mod worker;

pub use error::WorkerError;
pub use fold::Marks;
pub use metrics::Metrics;
pub use perform::Performer;
