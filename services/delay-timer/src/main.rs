//! The delay-timer as a process of its own.

use std::process::ExitCode;

use cartwheel_delay_timer::{app, config::Config};
use cartwheel_runtime::service;

fn main() -> ExitCode {
    service::main(|config: &Config| &config.telemetry, app::serve)
}
