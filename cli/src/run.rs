//! `cartwheel run --roles ...`: any set of services in one process, on real Kafka and Redis.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cartwheel_installation::Installation;
use cartwheel_runtime::{
    admin::Readiness,
    config::{self, Problems},
    service::{Failure, Tasks},
    shutdown,
};
use clap::Args;
use prometheus::Registry;

use crate::{
    CommandError,
    roles::{Ground, Role, RolesConfig, Show, Watch, start},
    say,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The services: all, or some of ingest, trigger-evaluator, delay-timer, dispatcher, with commas.
    #[arg(long, value_delimiter = ',', default_value = "all")]
    roles: Vec<String>,
    /// The configuration file, TOML, with the sections of all of them.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check the configuration, say what is wrong with it, and end.
    #[arg(long)]
    check_config: bool,
}

fn roles(names: &[String]) -> Result<Vec<Role>, CommandError> {
    let mut roles = Vec::new();
    for name in names {
        match <Role as clap::ValueEnum>::from_str(name, true) {
            Ok(role) => roles.push(role),
            Err(_) if name == "all" => roles.extend(Role::ALL),
            Err(_) => {
                return Err(CommandError::Usage(format!(
                    "there is no role `{name}`; there are all, ingest, trigger-evaluator, delay-timer, dispatcher"
                )));
            }
        }
    }
    roles.sort_unstable();
    roles.dedup();
    Ok(roles)
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let roles = roles(&arguments.roles)?;
    let wrong = |config: &RolesConfig, problems: &mut Problems| config.validate_roles(&roles, problems);
    let loaded = config::load_for(arguments.config.as_deref(), std::env::vars(), wrong);
    let config = loaded.map_err(|problems| CommandError::Usage(problems.to_string()))?;
    if arguments.check_config {
        say("configuration is right");
        return Ok(());
    }
    cartwheel_runtime::telemetry::start(&config.telemetry);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config = config::effective(&config), "starting");
    let stop = shutdown::on_signal().map_err(CommandError::failed)?;
    serve(&roles, &config, stop).await.map_err(CommandError::failed)
}

async fn serve(roles: &[Role], config: &RolesConfig, stop: tokio_util::sync::CancellationToken) -> Result<(), Failure> {
    let registry = Registry::new();
    let readiness = Readiness::new();
    let mut tasks = Tasks::new(stop.clone(), Duration::from_secs(15));
    tasks.serve_admin(&config.admin, &registry, &readiness).await?;
    let reached = Installation::reach(&config.kafka, &config.installation, &readiness, &stop).await;
    let Some(found) = reached.map_err(Failure::stopped)? else { return tasks.run().await };
    let Some(codec) = found.codec(&config.schema_registry).await else { return tasks.run().await };
    let Some(store) = found.store(&config.redis, &config.installation).await else { return tasks.run().await };
    let ground = Ground {
        kafka: found.kafka,
        log: found.log,
        store: Arc::new(store),
        clock: found.clock,
        topics: found.topics,
        codec,
        registry,
        readiness,
    };
    let show: Show = Arc::new(|_| {});
    start(roles, config, &ground, &Watch::new(&ground.readiness), &show, &mut tasks, &stop).await?;
    tasks.run().await
}
