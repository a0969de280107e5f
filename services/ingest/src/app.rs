//! Straight-line wiring: clients, tasks, wait.

use std::sync::{Arc, Mutex};

use cartwheel_installation::{Installation, topics};
use cartwheel_language::seal::SealKey;
use cartwheel_runtime::{
    admin::Readiness,
    clock::Clock,
    installation::InstallationConfig,
    log::{Log, Positions},
    service::{Failure, Tasks},
};
use cartwheel_wire::{Codec, pseudonym::Pseudonyms};
use prometheus::Registry;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, IngestConfig},
    definitions,
    http::{self, Arrivals, Edge, Keys},
    intake::Intake,
    metrics::Metrics,
    quota::{Ceiling, Quotas},
    shops::Shops,
    sources::{self, KafkaGroups, SourceGroups},
    worker::Tools,
};

/// What an ingest works on: the same kinds of things whether it is a process of its own or one role of several in a process.
pub struct Handles {
    /// The log, for shops' topics and our own.
    pub log: Arc<dyn Log>,
    /// The clock.
    pub clock: Clock,
    /// Who shares out the partitions of shops' topics.
    pub groups: Arc<dyn SourceGroups>,
    /// Where HTTP is served.
    pub listener: TcpListener,
    /// How records are written.
    pub codec: Codec,
    /// Where metrics are registered.
    pub registry: Registry,
    /// Where it is said whether the service is ready.
    pub readiness: Readiness,
}

/// A process of its own: real Kafka, waited for where it is away.
///
/// # Errors
/// What ended it before `stop` was cancelled; an address that is taken.
pub async fn serve(config: Config, stop: CancellationToken) -> Result<(), Failure> {
    let registry = Registry::new();
    let readiness = Readiness::new();
    let mut tasks = Tasks::new(stop.clone(), config.ingest.drain);
    tasks.serve_admin(&config.admin, &registry, &readiness).await?;
    let reached = Installation::reach(&config.kafka, &config.installation, &readiness, &stop).await;
    let Some(found) = reached.map_err(Failure::stopped)? else { return tasks.run().await };
    let Some(codec) = found.codec(&config.schema_registry).await else { return tasks.run().await };
    let listen = &config.ingest.http.listen;
    let listener = TcpListener::bind(listen).await;
    let listener =
        listener.map_err(|error| Failure::stopped(format!("could not listen at {listen}: {error}; change ingest.http.listen")))?;
    let handles = Handles {
        log: found.log,
        clock: found.clock,
        groups: Arc::new(KafkaGroups::new(found.kafka, &config.ingest.sources.group)),
        listener,
        codec,
        registry,
        readiness,
    };
    tasks.spawn("ingest", async move { run(&config.ingest, &config.installation, handles, stop).await });
    tasks.run().await
}

/// Runs the role until `stop`: the HTTP server, the workers of shops' topics, the reader of what shops applied.
///
/// # Errors
/// The first task that failed. Nothing was claimed that the log has not.
pub async fn run(
    config: &IngestConfig,
    installation: &InstallationConfig,
    handles: Handles,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let Handles { log, clock, groups, listener, codec, registry, readiness } = handles;
    let topics = topics(installation);
    let metrics = Metrics::new(&registry).map_err(Failure::stopped)?;
    let pseudonyms = Pseudonyms::new(config.pseudonym_key.expose()).map_err(Failure::stopped)?;
    let links = SealKey::from_secret(config.link_key.expose()).map_err(Failure::stopped)?;
    let intake = Intake::new(log.clone(), topics.clone(), codec.clone(), clock.clone(), metrics.clone());
    let shops = Shops::default();
    let edge = Arc::new(Edge {
        config: config.http.clone(),
        providers: config.providers.clone(),
        keys: Keys::new(&config.keys, &config.browser_keys),
        quotas: Quotas::new(config.http.events_per_second, config.http.burst),
        ceiling: Mutex::new(Ceiling::new(config.events_per_customer_minute)),
        pseudonyms: pseudonyms.clone(),
        links,
        shops: shops.clone(),
        intake: intake.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        arrivals: Arrivals::new(),
        working: Semaphore::new(config.http.requests),
    });

    let mut tasks = Tasks::new(stop.clone(), config.drain);
    tasks.spawn("http", http::serve(listener, http::router(edge), config.http.clone(), stop.clone()));
    tasks.spawn("sources", {
        let (log, shops, intake, clock, config) = (log.clone(), shops.clone(), intake.clone(), clock.clone(), config.clone());
        let look_every = config.sources.look_every;
        let tools = move |positions: Arc<dyn Positions>| Tools {
            log: log.clone(),
            positions,
            intake: intake.clone(),
            shops: shops.clone(),
            pseudonyms: pseudonyms.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            start: config.sources.start,
            batch: config.sources.batch,
            patience: config.sources.patience,
            events_per_customer_minute: config.events_per_customer_minute,
        };
        sources::follow(groups, tools, look_every, stop.clone())
    });
    tasks.spawn("definitions", {
        let (known, stop) = (readiness.condition("shops"), stop.clone());
        async move { definitions::follow(&*log, &topics.campaigns, &codec, &clock, &shops, &known, &stop).await }
    });
    tasks.spawn("log", async move {
        match stop.run_until_cancelled(intake.failed()).await {
            Some(error) => Err(error),
            None => Ok(()),
        }
    });
    tasks.run().await
}
