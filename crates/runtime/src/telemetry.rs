//! Log lines: JSON for machines, plain text for people at a terminal.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use crate::config::Problems;

/// The section `[telemetry]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged: a level, or levels by module as `tracing` writes them.
    pub level: String,
    /// How lines look.
    pub format: Format,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl TelemetryConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("../defaults/telemetry.toml");

    /// Reports levels that cannot be read.
    pub fn validate(&self, problems: &mut Problems) {
        if let Err(error) = self.level.parse::<EnvFilter>() {
            problems.report("telemetry.level", format!("{error}; write a level such as \"info\" or \"warn,cartwheel_ingest=debug\""));
        }
    }
}

/// Starts logging to standard error; called once, by `main`. A second call changes nothing.
pub fn start(config: &TelemetryConfig) {
    let filter = EnvFilter::builder().parse_lossy(&config.level);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        Format::Json => builder.json().flatten_event(true).try_init(),
        Format::Text => builder.try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logging is already on");
    }
}
