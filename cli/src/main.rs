//! The `cartwheel` command.

mod applied;
mod campaigns;
mod client;
mod controls;
mod demo;
mod dev;
mod embedded;
mod explain;
mod files;
mod roles;
mod run;
mod topics;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use client::ClientArguments;

/// Event-triggered messaging: what shoppers do becomes the right message at the right moment.
#[derive(Debug, Parser)]
#[command(name = "cartwheel", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a recorded shop in fast-forward: every message, and every one that was held back with its reason.
    Demo(demo::Arguments),
    /// Run the four services in one process without Kafka or Redis, to try things; nothing is kept.
    Dev(dev::Arguments),
    /// Run any set of the services in one process, on real Kafka and Redis.
    Run(run::Arguments),
    /// Check, plan, apply and steer campaigns.
    #[command(subcommand)]
    Campaigns(campaigns::Command),
    /// Create the topics, or check that they are as the services need them.
    #[command(subcommand)]
    Topics(topics::Command),
    /// Tell the story of one customer: what was decided, when, and why; also why nothing was sent.
    Explain(explain::Arguments),
    /// Stop sending: all, or that of a shop, a channel or a campaign. In force within 5 s.
    Stop(controls::StopArguments),
    /// Let sending go on, paced.
    Resume(controls::ResumeArguments),
}

/// What a command ends with: nothing to say, or what went wrong for whom.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// What was asked for cannot be: exit code 64.
    #[error("{0}")]
    Usage(String),
    /// What was checked is not right; it has been said: exit code 1.
    #[error("")]
    Found,
    /// It failed: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl CommandError {
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            let code = if told.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS };
            return if told.print().is_ok() { code } else { ExitCode::FAILURE };
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&CommandError::failed(format!("could not start: {error}"))),
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Demo(arguments) => demo::run(arguments).await,
            Command::Dev(arguments) => dev::run(arguments).await,
            Command::Run(arguments) => run::run(arguments).await,
            Command::Campaigns(command) => campaigns::run(command).await,
            Command::Topics(command) => topics::run(command).await,
            Command::Explain(arguments) => explain::run(arguments).await,
            Command::Stop(arguments) => controls::stop(arguments).await,
            Command::Resume(arguments) => controls::resume(arguments).await,
        }
    });
    ended.map_or_else(|error| complain(&error), |()| ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "a command tells people what went wrong")]
fn complain(error: &CommandError) -> ExitCode {
    let text = error.to_string();
    if !text.is_empty() {
        eprintln!("cartwheel: {text}");
    }
    match error {
        CommandError::Usage(_) => ExitCode::from(64),
        CommandError::Found | CommandError::Failed(_) => ExitCode::FAILURE,
    }
}

/// Prints a line of a command's answer.
#[expect(clippy::print_stdout, reason = "a command answers on standard output")]
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}
