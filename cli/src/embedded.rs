//! The embedded ground: librdkafka's broker in this process, a store in memory, nothing kept at exit.

use std::{path::Path, sync::Arc, time::Duration};

use cartwheel_dispatcher::config::ProviderKind;
use cartwheel_language::{Project, Source};
use cartwheel_runtime::{
    admin::Readiness,
    clock::Clock,
    config::{self, Problems},
    kafka::Embedded,
    log::Log,
    memory::MemoryStore,
    service::{Failure, Tasks},
};
use cartwheel_wire::{Codec, TopicChoices};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::{
    CommandError,
    applied::Applied,
    campaigns::checked,
    files::ShopFiles,
    roles::{Ground, Role, RolesConfig, Show, Watch, start},
};

/// What development needs no setting for. Keys and secrets are public and good for nothing else: nothing is kept, and nothing leaves
/// this machine.
const DEVELOPMENT: [(&str, &str); 9] = [
    ("CARTWHEEL_INSTALLATION__NAME", "development"),
    ("CARTWHEEL_INSTALLATION__PARTITIONS", "8"),
    ("CARTWHEEL_KAFKA__PROFILE", "development"),
    // The broker goes first at the end, which its clients would report.
    ("CARTWHEEL_TELEMETRY__LEVEL", "warn,librdkafka=error"),
    ("CARTWHEEL_TELEMETRY__FORMAT", "text"),
    ("CARTWHEEL_INGEST__HTTP__LISTEN", "127.0.0.1:8080"),
    ("CARTWHEEL_INGEST__PSEUDONYM_KEY", "development-only-pseudonym-key-0000"),
    ("CARTWHEEL_INGEST__LINK_KEY", LINK_KEY),
    ("CARTWHEEL_EVALUATOR__LINK_KEY", LINK_KEY),
];

const LINK_KEY: &str = "development-only-opt-out-link-key-0";

/// The write key of every HTTP source in development.
pub(crate) const WRITE_KEY: &str = "development-write-key";

/// What callbacks are signed with in development.
pub(crate) const CALLBACK_TOKEN: &str = "development-callback-token";

/// Messages a second that development shows: no provider is there to be spared.
const SHOWN_PER_SECOND: f64 = 1000.0;

/// How long everything may take to be ready, and how often that is looked at.
const START: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// Four services on embedded ground with one shop applied.
pub(crate) struct Town {
    pub(crate) config: RolesConfig,
    pub(crate) project: Project,
    pub(crate) ground: Ground,
    pub(crate) watch: Watch,
    /// Where HTTP is answered: `http://127.0.0.1:8080`.
    pub(crate) url: String,
    /// The SMS provider of the shop.
    pub(crate) provider: String,
}

impl Town {
    /// Starts everything as tasks. `listen` overrides where HTTP is answered.
    pub(crate) async fn start(
        shop: &Path,
        listen: Option<&str>,
        clock: Clock,
        show: &Show,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) -> Result<Self, CommandError> {
        let files = ShopFiles::read(shop)?;
        let project = checked(&files)?;
        let config = settings(&project, listen)?;
        let provider = project.shop.senders.sms.as_ref().map(|sms| sms.sender.provider.clone()).unwrap_or_default();

        let topics = cartwheel_installation::topics(&config.installation);
        let plans = topics.specs(&TopicChoices::default());
        let ours = plans.iter().map(|plan| (&*plan.name, plan.partitions.number(topics.partitions)));
        let sources = project.shop.sources.values().filter_map(|source| match source {
            Source::Topic(topic) => Some((topic.topic.as_str(), 1)),
            Source::Http(_) => None,
        });
        let broker = Embedded::start(ours.chain(sources)).map_err(CommandError::failed)?;
        let kafka = broker.kafka();
        let log: Arc<dyn Log> = Arc::new(kafka.log(clock.clone()).map_err(CommandError::failed)?);
        let codec = Codec::single_object();

        let applied = Applied::read(&*log, &topics, &codec).await?;
        let changes = applied.changes(&project, files.all(), "development", clock.now());
        applied.append(changes).await?;

        let ground = Ground {
            kafka,
            log,
            store: Arc::new(MemoryStore::new()),
            clock,
            topics,
            codec,
            registry: Registry::new(),
            readiness: Readiness::new(),
        };
        let watch = Watch::new(&ground.readiness);
        let failed = |failure: Failure| CommandError::failed(failure);
        tasks.serve_admin(&config.admin, &ground.registry, &ground.readiness).await.map_err(failed)?;
        start(&Role::ALL, &config, &ground, &watch, show, tasks, stop).await.map_err(failed)?;
        let url = format!("http://{}", config.ingest.http.listen);
        let ready = async {
            // Services add their conditions as they start; the shops are the last thing that ingest learns.
            while !(ground.readiness.is_met("shops") && ground.readiness.is_ready()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(START, ready).await.is_err() {
            return Err(CommandError::Failed(format!("not ready: {:?}", ground.readiness.unmet())));
        }
        Ok(Self { config, project, ground, watch, url, provider })
    }
}

/// The development settings, then the environment, then what the shop's file names: its keys and its provider.
fn settings(project: &Project, listen: Option<&str>) -> Result<RolesConfig, CommandError> {
    let mut given: Vec<(String, String)> = DEVELOPMENT.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    given.push(("CARTWHEEL_ADMIN__LISTEN".to_owned(), String::new()));
    if let Some(listen) = listen {
        given.push(("CARTWHEEL_INGEST__HTTP__LISTEN".to_owned(), listen.to_owned()));
    }
    let own = |name: &String| {
        given.iter().any(|(known, _)| known == name) || name.starts_with("CARTWHEEL_DISPATCHER__") || name.starts_with("CARTWHEEL_INGEST__")
    };
    let environment: Vec<(String, String)> = std::env::vars().filter(|(name, _)| own(name)).collect();
    given.extend(environment);
    for source in project.shop.sources.values() {
        if let Source::Http(http) = source {
            given.push((format!("CARTWHEEL_INGEST__KEYS__{}", variable(&http.write_key)), WRITE_KEY.to_owned()));
        }
    }
    if let Some(sms) = &project.shop.senders.sms {
        let provider = variable(&sms.sender.provider);
        if !given.iter().any(|(name, _)| name.starts_with(&format!("CARTWHEEL_DISPATCHER__PROVIDERS__{provider}__"))) {
            given.push((format!("CARTWHEEL_DISPATCHER__PROVIDERS__{provider}__KIND"), "log".to_owned()));
        }
        given.push((format!("CARTWHEEL_INGEST__PROVIDERS__{provider}__AUTH_TOKEN"), CALLBACK_TOKEN.to_owned()));
    }
    let mut config: RolesConfig = config::load(None, given).map_err(|problems| CommandError::Usage(problems.to_string()))?;
    if config.ingest.http.public_url.is_empty() {
        config.ingest.http.public_url = format!("http://{}", config.ingest.http.listen);
    }
    for provider in config.dispatcher.providers.values_mut().filter(|provider| provider.kind == Some(ProviderKind::Log)) {
        provider.rate = SHOWN_PER_SECOND;
    }
    let mut problems = Problems::default();
    config.validate_roles(&Role::ALL, &mut problems);
    if problems.is_empty() { Ok(config) } else { Err(CommandError::Usage(problems.to_string())) }
}

fn variable(name: &str) -> String {
    name.to_uppercase()
}
