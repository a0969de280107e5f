//! The edge: turns what shops, shoppers and providers send into records of `cartwheel.events`.
//!
//! # Contract
//! **In:** HTTP in the Segment form ([`convert::segment`]), the shops' own Kafka topics ([`convert::mapping`]), providers' receipts and
//! inbound messages ([`callbacks`]), clicks on opt-out links. **Out:** inputs on `cartwheel.events`, keyed by the strongest name that
//! their source may claim, each with an id by which a repeat counts once; what is not understood on `cartwheel.dead-letters`, with its
//! bytes and the reason. **Stored:** nothing but the group's positions in the shops' topics.
//!
//! Who a shop is, which keys and topics are its own and how its records are read comes from `cartwheel.campaigns`
//! ([`definitions`]): what is applied holds without a restart. Secrets come from the configuration, by the names that shop files use.
//!
//! - An answer is 2xx only when the log has acknowledged all that it stands for.
//! - Every refusal has a code, a sentence and a counter; what a client cannot learn from its answer is in the dead letters.
//! - A number or an address is never part of a key, a log line or a metric.
//! - Names are never resolved here: a record goes to the home of its own name, and forwarding is the evaluator's (rule P24).
//!
//! # If we crash
//! - Before the append: the client has no answer and sends again; a source's record is read again from the mark.
//! - Between append and answer: the client sends again. The message's own id, or its contents where it says when it happened, make it
//!   count once; a message with neither counts twice.
//! - In the middle of a batch's append: some of it has landed. It comes again with the same ids.
//! - Between append and mark: the source's records are read and appended again with the same ids; dead letters stand twice, with the
//!   same key.
//! - A receipt or a customer's message that was not answered: the provider may not send it again. A lost receipt leaves its
//!   message as it was handed over; a lost STOP is the reason why an answer waits for the log as long as a provider waits.
//! - The producer fails for good (rule P3): the service ends and starts again with a new one.

pub mod app;
pub mod callbacks;
pub mod config;
pub mod convert;
pub mod definitions;
mod http;
pub mod intake;
pub mod metrics;
pub mod quota;
pub mod refusal;
pub mod shops;
pub mod sources;
pub mod worker;
