//! What every shop has applied, compiled when a partition first needs it (rule P25).
//!
//! A revision compiles every version of every campaign that journeys may still follow, against the shop file in force; one that the
//! newer shop file no longer allows is compiled against the newest earlier one that does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cartwheel_engine::campaigns::{CampaignState, Campaigns, Live};
use cartwheel_language::{Campaign, Project, SourceFile, Sources, read, seal::SealKey};
use cartwheel_runtime::log::{From, Log, LogError};
use cartwheel_wire::{
    self as wire, CampaignsRecord, Codec, Revision,
    history::{CampaignHistory, campaign_of},
};
use jiff::Timestamp;
use tokio::sync::watch;

/// How many records one read of the topic takes.
const BATCH: usize = 500;

/// How long a read waits for the next record.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many compiled revisions of a shop are kept. Partitions switch within seconds of each other; one that is further behind compiles
/// what it needs again.
const COMPILED_KEPT: usize = 16;

/// A handle to what is known; clones share it.
#[derive(Clone)]
pub struct Definitions {
    known: Arc<Mutex<Known>>,
    changed: watch::Sender<u64>,
    seal: Option<SealKey>,
}

#[derive(Default)]
struct Known {
    history: CampaignHistory,
    compiled: BTreeMap<(String, u32), Arc<Campaigns>>,
}

/// A revision that cannot be used: `apply` checks before it writes, so this is damage or a version skew.
#[derive(Debug, thiserror::Error)]
#[error("revision {revision} of shop {shop} does not compile: {problem}")]
pub struct DefinitionError {
    shop: String,
    revision: u32,
    problem: String,
}

impl Definitions {
    /// Nothing is known yet; [`Definitions::follow`] reads the topic.
    pub fn new(seal: Option<SealKey>) -> Self {
        Self { known: Arc::default(), changed: watch::Sender::new(0), seal }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the topic for ever; what cannot be read is passed over and said.
    ///
    /// # Errors
    /// When the log fails for good.
    pub async fn follow(&self, log: &dyn Log, topic: &str, codec: &Codec) -> Result<(), LogError> {
        let mut reader = log.open(topic, 0, From::Start).await?;
        loop {
            let records = match reader.read(BATCH, PATIENCE).await {
                Err(LogError::Unavailable(reason)) => {
                    tracing::warn!(reason, "campaigns topic is unavailable, trying again");
                    continue;
                }
                other => other?,
            };
            for record in &records {
                let Some(value) = &record.value else { continue };
                match CampaignsRecord::decode(codec, value) {
                    Ok(record) => self.known().history.take(record),
                    Err(error) => {
                        tracing::error!(offset = record.offset, reason = %error, "campaigns topic holds a record that cannot be read")
                    }
                }
            }
            if !records.is_empty() {
                self.changed.send_modify(|count| *count += 1);
            }
        }
    }

    /// The newest revision of each shop that may be put in force at this moment.
    pub fn newest(&self, at: Timestamp) -> BTreeMap<String, u32> {
        let known = self.known();
        let newest = |shop: &str| Some((shop.to_owned(), known.history.newest(shop, at)?.number));
        known.history.shops().filter_map(newest).collect()
    }

    /// A shop's campaigns at a revision, once the topic has it.
    ///
    /// # Errors
    /// When the revision does not compile.
    pub async fn at(&self, shop: &str, revision: u32) -> Result<Arc<Campaigns>, DefinitionError> {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(campaigns) = self.compile(shop, revision)? {
                return Ok(campaigns);
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn compile(&self, shop: &str, number: u32) -> Result<Option<Arc<Campaigns>>, DefinitionError> {
        let mut known = self.known();
        let key = (shop.to_owned(), number);
        if let Some(compiled) = known.compiled.get(&key) {
            return Ok(Some(compiled.clone()));
        }
        let Some(revision) = known.history.revision(shop, number) else { return Ok(None) };
        let Some(files) = known.history.campaigns(revision) else { return Ok(None) };
        let Some(sources) = known.history.sources(revision, files) else { return Ok(None) };
        let compiled = campaigns(&known.history, revision, &sources, self.seal.clone());
        let compiled = Arc::new(compiled.map_err(|problem| DefinitionError { shop: shop.to_owned(), revision: number, problem })?);
        known.compiled.insert(key, compiled.clone());
        known.forget_the_oldest(shop);
        Ok(Some(compiled))
    }
}

impl Known {
    fn forget_the_oldest(&mut self, shop: &str) {
        let every = (shop.to_owned(), 0)..=(shop.to_owned(), u32::MAX);
        let too_many = self.compiled.range(every.clone()).count().saturating_sub(COMPILED_KEPT);
        let oldest: Vec<_> = self.compiled.range(every).take(too_many).map(|(revision, _)| revision.clone()).collect();
        for revision in oldest {
            self.compiled.remove(&revision);
        }
    }
}

/// Campaigns of a shop that has applied nothing: identities meet and histories grow, and nothing is triggered. None if no shop can have
/// this id.
pub(crate) fn nothing_applied(shop: &str) -> Option<Campaigns> {
    let text = format!(
        "grammar: 1\nshop: \"{shop}\"\nname: \"{shop}\"\nurl: https://shop.invalid\nzone: UTC\nlanguages: [en]\ncurrencies: [EUR]\nsenders: {{ sms: {{ provider: none }} }}\n"
    );
    let shop = SourceFile { path: "shop.yaml".to_owned(), text };
    let project = read(&Sources { shop, campaigns: Vec::new(), tracking_plan: None }).project?;
    Some(Campaigns::new(Arc::new(project.shop), 0, BTreeMap::new(), BTreeMap::new(), None))
}

fn project(sources: &Sources) -> Result<Project, String> {
    let reading = read(sources);
    reading.project.ok_or_else(|| reading.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// Compiles a revision.
fn campaigns(history: &CampaignHistory, revision: &Revision, sources: &Sources, seal: Option<SealKey>) -> Result<Campaigns, String> {
    let project = project(sources)?;
    let mut live = BTreeMap::new();
    let mut versions = BTreeMap::<(String, u32), Arc<Campaign>>::new();
    for (file, version) in &revision.files {
        let Some(name) = campaign_of(file) else { continue };
        let Some(campaign) = project.campaigns.get(name) else { return Err(format!("{file} holds no campaign {name}")) };
        versions.insert((name.to_owned(), *version), campaign.clone());
        for former in 1..*version {
            if let Some(campaign) = former_version(history, revision, file, name, former) {
                versions.insert((name.to_owned(), former), campaign);
            }
        }
        let state = match revision.states.get(name) {
            Some(wire::CampaignState::Paused) => CampaignState::Paused,
            Some(wire::CampaignState::Archived) => CampaignState::Archived,
            Some(wire::CampaignState::Active) | None => CampaignState::Active,
        };
        let first = history.revisions(&revision.shop).find(|revision| revision.files.contains_key(file)).unwrap_or(revision);
        live.insert(name.to_owned(), Live { version: *version, state, since: first.effective_at.unwrap_or(first.at) });
    }
    Ok(Campaigns::new(Arc::new(project.shop), revision.number, live, versions, seal))
}

/// A former version, against the newest shop file that allows it.
fn former_version(history: &CampaignHistory, revision: &Revision, file: &str, name: &str, version: u32) -> Option<Arc<Campaign>> {
    let source = history.source(&revision.shop, file, version)?;
    let mut shops = history.revisions(&revision.shop).rev().skip_while(|former| former.number > revision.number);
    shops.find_map(|former| project(&history.sources(former, vec![source.clone()])?).ok()?.campaigns.get(name).cloned())
}
