//! What stands on topics and in views: records, their keys and partitions, the topics themselves, and the one framing of all values.
//!
//! # Contract
//!
//! - Each record has `encode(&self, &Codec) -> Vec<u8>` and `decode(&Codec, &[u8]) -> Result<Self, DecodeError>`, and gives back what
//!   went in; the same record has the same bytes. Moments are kept to the microsecond.
//! - Whatever bytes come, decoding neither panics nor allocates more than a small multiple of their number.
//! - Every schema version that ever shipped is read, into today's types: `proto/history` keeps them.
//! - No error quotes content, so errors may be logged.
//!
//! A record is written from a *row*, a flat private struct with the fields of its schema in `proto/`, straight to Avro: no tree of
//! values in between.

mod bounds;
mod campaign;
mod codec;
mod control;
mod dead_letter;
mod decision;
mod delivery;
mod event;
pub mod history;
mod partition;
pub mod pseudonym;
mod row;
mod schema;
mod send;
mod timer;
mod topics;
mod trace;
pub mod views;

pub use campaign::{CampaignFile, CampaignState, CampaignsRecord, Revision};
pub use codec::{Codec, DecodeError, MissingIds, VALUE_LIMIT};
pub use control::{ControlRecord, ControlScope};
pub use dead_letter::{DeadLetter, DeadLetterSource};
pub use decision::DecisionRecord;
pub use delivery::{DeliveryRecord, DeliveryVerdict};
pub use event::{EventBody, EventRecord};
pub use partition::partition_of;
pub use schema::{RecordType, SchemaVersion, fingerprint, schemas};
pub use send::SendRecord;
pub use timer::TimerRecord;
pub use topics::{DEFAULT_PARTITIONS, DEFAULT_PREFIX, PartitionCount, TopicChoices, TopicPlan, Topics};
pub use trace::{TRACE_HEADER, TraceContext};
