//! The trigger-evaluator as a process of its own.

use std::process::ExitCode;

use cartwheel_runtime::service;
use cartwheel_trigger_evaluator::{app, config::Config};

fn main() -> ExitCode {
    service::main(|config: &Config| &config.telemetry, app::serve)
}
