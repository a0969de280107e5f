//! The life of a service process: arguments, configuration, tasks, exit code.

use std::{ffi::OsString, fmt::Display, future::Future, io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use prometheus::Registry;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, AdminConfig, Condition, Readiness},
    clock::Clock,
    config::{self, Configuration, Problems},
    shutdown,
    telemetry::{self, TelemetryConfig},
};

/// The exit code of a process whose arguments or configuration are wrong (EX_USAGE of sysexits.h).
pub const EXIT_CONFIGURATION: u8 = 64;

/// The first pause between two attempts to reach something that is away.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest such pause: a service is back within this time of what it waits for.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file, TOML.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say what is wrong with it, and end.
    #[arg(long)]
    check_config: bool,
    /// Print every setting with its default and meaning, and end.
    #[arg(long)]
    print_defaults: bool,
}

/// Why a service ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong; exit code 64.
    #[error(transparent)]
    Configuration(#[from] Problems),
    /// A task ended early.
    #[error("task {task} ended: {reason}")]
    Task {
        /// The task's name.
        task: &'static str,
        /// Why it ended.
        reason: String,
    },
    /// Tasks did not end within the time for the drain; the log is replayed when the service is back.
    #[error("not drained within {}: {}", config::duration::show(*.drain), tasks.join(", "))]
    Undrained {
        /// The time that they had.
        drain: Duration,
        /// The tasks that were still running.
        tasks: Vec<&'static str>,
    },
    /// Anything else that stops the service.
    #[error("{0}")]
    Stopped(String),
}

impl Failure {
    /// A failure with its reason.
    pub fn stopped(reason: impl Display) -> Self {
        Self::Stopped(reason.to_string())
    }

    /// The exit code that tells it to whoever started the process.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::from(EXIT_CONFIGURATION),
            Self::Task { .. } | Self::Undrained { .. } | Self::Stopped(_) => ExitCode::FAILURE,
        }
    }
}

/// The whole of a service's `main`: reads the arguments and the configuration, starts logging, runs `app` until it ends or a signal
/// cancels its token, and turns the result into an exit code.
pub fn main<C, F>(telemetry: impl FnOnce(&C) -> &TelemetryConfig, app: impl FnOnce(C, CancellationToken) -> F) -> ExitCode
where
    C: Configuration,
    F: Future<Output = Result<(), Failure>>,
{
    run(std::env::args_os(), telemetry, app)
}

fn run<C, F>(
    arguments: impl IntoIterator<Item = OsString>,
    telemetry: impl FnOnce(&C) -> &TelemetryConfig,
    app: impl FnOnce(C, CancellationToken) -> F,
) -> ExitCode
where
    C: Configuration,
    F: Future<Output = Result<(), Failure>>,
{
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(told) => {
            let code = if told.use_stderr() { EXIT_CONFIGURATION } else { 0 };
            return if told.print().is_ok() { ExitCode::from(code) } else { ExitCode::FAILURE };
        }
    };
    if arguments.print_defaults {
        return say(&mut std::io::stdout(), &C::DEFAULTS.join("\n"), ExitCode::SUCCESS);
    }
    let config: C = match config::load(arguments.config.as_deref(), std::env::vars()) {
        Ok(config) => config,
        Err(problems) => return say(&mut std::io::stderr(), &problems.to_string(), ExitCode::from(EXIT_CONFIGURATION)),
    };
    if arguments.check_config {
        return say(&mut std::io::stdout(), "configuration is right", ExitCode::SUCCESS);
    }
    telemetry::start(telemetry(&config));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = config::effective(&config), "starting");
    let ended = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(async {
            let stop = shutdown::on_signal().map_err(Failure::stopped)?;
            app(config, stop).await
        }),
        Err(error) => Err(Failure::stopped(format!("could not start the runtime: {error}"))),
    };
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!(error = %failure, "stopped by a failure");
            failure.exit_code()
        }
    }
}

fn say(out: &mut dyn Write, text: &str, code: ExitCode) -> ExitCode {
    match writeln!(out, "{}", text.trim_end()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The named tasks of a service. Each runs until the token is cancelled; one that ends before stops all.
#[derive(Debug)]
pub struct Tasks {
    stop: CancellationToken,
    drain: Duration,
    names: Vec<(tokio::task::Id, &'static str)>,
    running: JoinSet<Result<(), String>>,
}

impl Tasks {
    /// No tasks yet. When `stop` is cancelled they get `drain` to finish what is in their hands.
    pub fn new(stop: CancellationToken, drain: Duration) -> Self {
        Self { stop, drain, names: Vec::new(), running: JoinSet::new() }
    }

    /// Starts a task.
    pub fn spawn<E: Display>(&mut self, name: &'static str, task: impl Future<Output = Result<(), E>> + Send + 'static) {
        let handle = self.running.spawn(async move { task.await.map_err(|error| error.to_string()) });
        self.names.push((handle.id(), name));
    }

    /// Starts the admin server where the configuration names an address.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    pub async fn serve_admin(&mut self, config: &AdminConfig, registry: &Registry, readiness: &Readiness) -> Result<(), Failure> {
        if config.listen.is_empty() {
            return Ok(());
        }
        let listener = TcpListener::bind(&config.listen).await;
        let listener =
            listener.map_err(|error| Failure::stopped(format!("could not listen at {}: {error}; change admin.listen", config.listen)))?;
        self.spawn("admin", admin::serve(listener, registry.clone(), readiness.clone(), self.stop.clone()));
        Ok(())
    }

    /// Waits for the token, then for the drain.
    ///
    /// # Errors
    /// The first task that failed, panicked or ended before the token was cancelled; else the tasks that did not end in time.
    pub async fn run(mut self) -> Result<(), Failure> {
        let mut failure = None;
        let stopping = self.stop.clone();
        while failure.is_none() && !self.running.is_empty() {
            tokio::select! {
                biased;
                () = stopping.cancelled() => break,
                Some(ended) = self.running.join_next_with_id() => failure = self.judge(ended),
            }
        }
        self.stop.cancel();
        let deadline = tokio::time::Instant::now() + self.drain;
        while !self.running.is_empty() {
            match tokio::time::timeout_at(deadline, self.running.join_next_with_id()).await {
                Ok(Some(ended)) => failure = failure.or(self.judge(ended)),
                Ok(None) => break,
                Err(_) => {
                    let tasks = self.names.iter().map(|(_, name)| *name).collect();
                    failure = failure.or(Some(Failure::Undrained { drain: self.drain, tasks }));
                    self.running.shutdown().await;
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// What the end of a task means; the name leaves the list of those that run.
    fn judge(&mut self, ended: Result<(tokio::task::Id, Result<(), String>), tokio::task::JoinError>) -> Option<Failure> {
        let (id, reason) = match ended {
            Ok((id, Ok(()))) if self.stop.is_cancelled() => (id, None),
            Ok((id, Ok(()))) => (id, Some("it had nothing more to do, which it should not decide".to_owned())),
            Ok((id, Err(reason))) => (id, Some(reason)),
            Err(panic) => (panic.id(), Some(panic.to_string())),
        };
        let place = self.names.iter().position(|(known, _)| *known == id)?;
        let (_, task) = self.names.swap_remove(place);
        Some(Failure::Task { task, reason: reason? })
    }
}

/// Tries until something answers: says what is away, keeps `condition` unmet meanwhile, and pauses longer from try to try. None if
/// `stop` was cancelled first.
pub async fn reach<T, E, F>(condition: &Condition, clock: &Clock, stop: &CancellationToken, mut attempt: impl FnMut() -> F) -> Option<T>
where
    E: Display,
    F: Future<Output = Result<T, E>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let reason = tokio::select! {
            () = stop.cancelled() => return None,
            answer = attempt() => match answer {
                Ok(reached) => {
                    condition.holds();
                    return Some(reached);
                }
                Err(error) => error.to_string(),
            },
        };
        tracing::warn!(dependency = condition.name(), reason, retry_in_ms = pause.as_millis() as u64, "waiting for a dependency");
        condition.fails(reason);
        tokio::select! {
            () = stop.cancelled() => return None,
            () = clock.sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        telemetry: TelemetryConfig,
    }

    impl Configuration for Settings {
        const DEFAULTS: &'static [&'static str] = &[TelemetryConfig::DEFAULTS];

        fn validate(&self, problems: &mut Problems) {
            self.telemetry.validate(problems);
        }
    }

    /// The exit code of a service that is called with these arguments and ends as told.
    fn exit_code(arguments: &[&str], ended: Result<(), Failure>) -> ExitCode {
        let arguments = std::iter::once("service").chain(arguments.iter().copied()).map(OsString::from);
        run(arguments, |settings: &Settings| &settings.telemetry, |_, _| async move { ended })
    }

    #[test]
    fn the_exit_code_tells_wrong_configuration_from_other_failures() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wrong.toml");
        std::fs::write(&file, "[telemetry]\nlevel = \"info\"\nlevels = 1\n").unwrap();
        let wrong = ["--config", file.to_str().unwrap()];
        for (arguments, ended, code) in [
            (vec![], Ok(()), 0),
            (vec!["--check-config"], Err(Failure::stopped("must not run")), 0),
            (vec![], Err(Failure::stopped("broker thrown out")), 1),
            (vec!["--no-such-argument"], Ok(()), 64),
            (wrong.to_vec(), Ok(()), 64),
            ([&wrong[..], &["--check-config"]].concat(), Ok(()), 64),
        ] {
            assert_eq!(exit_code(&arguments, ended), ExitCode::from(code), "{arguments:?}");
        }
    }

    #[tokio::test]
    async fn a_task_that_ends_early_stops_all_and_is_named() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone(), SOON);
        let told = stop.clone();
        tasks.spawn("patient", async move {
            told.cancelled().await;
            Ok::<(), String>(())
        });
        tasks.spawn("hasty", async { Err("lost its way") });
        let failure = tasks.run().await.unwrap_err().to_string();
        assert_eq!(failure, "task hasty ended: lost its way");
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_task_that_does_not_drain_in_time_is_ended_and_named() {
        let stop = CancellationToken::new();
        let mut tasks = Tasks::new(stop.clone(), Duration::from_millis(10));
        tasks.spawn("deaf", pending::<Result<(), String>>());
        stop.cancel();
        assert_eq!(tasks.run().await.unwrap_err().to_string(), "not drained within 10ms: deaf");
    }

    #[tokio::test]
    async fn a_dependency_that_is_away_keeps_the_service_unready_until_it_answers() {
        let readiness = Readiness::new();
        let (condition, clock, stop) = (readiness.condition("kafka"), Clock::system(), CancellationToken::new());
        let mut tries = 0;
        let reached = reach(&condition, &clock, &stop, || {
            tries += 1;
            let answer = if tries == 1 { Err("no broker answers") } else { Ok(tries) };
            let ready = readiness.is_ready();
            async move {
                assert!(!ready);
                answer
            }
        });
        assert_eq!(reached.await, Some(2));
        assert!(readiness.is_ready());
    }
}
