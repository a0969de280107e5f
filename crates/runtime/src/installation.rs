//! The section `[installation]`: what all services of one installation agree on.

use serde::{Deserialize, Serialize};

use crate::config::Problems;

/// The most partitions: the hash tags of the store's keys are spread over 16,384 slots.
const PARTITIONS_LIMIT: u32 = 4096;

/// What all services of one installation agree on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallationConfig {
    /// Its name; a store of another is refused.
    pub name: String,
    /// The first part of topic names and store keys.
    pub prefix: String,
    /// Counts migrations to another number of partitions, from 1.
    pub generation: u32,
    /// The number of partitions of the topics of customers.
    pub partitions: u32,
}

impl InstallationConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("../defaults/installation.toml");

    /// Reports names that Kafka or the store cannot carry, and numbers out of range.
    pub fn validate(&self, problems: &mut Problems) {
        let plain = |text: &str| {
            !text.is_empty() && text.len() <= 100 && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter))
        };
        let words = "letters, digits, dots, underscores and hyphens, at most 100";
        problems.require(plain(&self.name), "installation.name", format!("{:?} must be {words}", self.name));
        problems.require(plain(&self.prefix), "installation.prefix", format!("{:?} must be {words}", self.prefix));
        problems.require(self.generation >= 1, "installation.generation", "counts from 1");
        let in_range = (1..=PARTITIONS_LIMIT).contains(&self.partitions);
        problems.require(in_range, "installation.partitions", format!("must be from 1 to {PARTITIONS_LIMIT}, is {}", self.partitions));
    }
}
