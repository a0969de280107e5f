//! The decisions, without I/O: folds what happened to a customer into the customer's state and says what to do.
//!
//! # Contract
//! Same campaigns, state, `now` and input give the same state and effects, byte for byte. No I/O, clock, randomness, global, log line
//! or metric; ordered maps only; ids come from their cause; money is decimal. `now` is the log record's, never a clock's.

pub mod campaigns;
pub mod customer;
mod data;
pub mod decision;
pub mod effect;
pub mod id;
pub mod input;
mod kept;
pub mod key;
mod step;

pub use step::step;
