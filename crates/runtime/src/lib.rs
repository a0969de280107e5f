//! What all services share: log, store, clock, configuration, telemetry, admin server, shutdown.
//!
//! This crate knows nothing of messaging. A worker of a service sees the outside only through three seams:
//!
//! - [`log::Log`]: ordered, partitioned, durable records (Kafka; librdkafka's mock cluster when embedded; memory in the simulation),
//! - [`store::PartitionStore`]: fenced state of one partition (Redis; memory when embedded or simulated),
//! - [`clock::Clock`]: the time and the only way to wait.
//!
//! So the same worker runs in production, in `cartwheel dev`, and on one thread under a seeded scheduler.

pub mod admin;
pub mod clock;
pub mod config;
pub mod installation;
pub mod kafka;
pub mod log;
pub mod memory;
pub mod memory_log;
pub mod partitions;
pub mod redis;
pub mod service;
pub mod shutdown;
pub mod store;
pub mod telemetry;
