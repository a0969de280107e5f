//! Reads what shops applied from `cartwheel.campaigns`, so that a shop file that is applied holds here without a restart.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cartwheel_language::read;
use cartwheel_runtime::{
    admin::Condition,
    clock::Clock,
    log::{From, Log, LogError, Reader},
};
use cartwheel_wire::{CampaignsRecord, Codec, history::CampaignHistory};
use tokio_util::sync::CancellationToken;

use crate::shops::{KnownShop, Shops};

/// How many records one read takes.
const BATCH: usize = 500;

/// How long a read waits for the next record, and so how late a revision with a common start may be taken up.
const PATIENCE: Duration = Duration::from_millis(250);

/// The pause before a log that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows the topic until `stop`; `known` holds once all that stood there at the start was read.
///
/// A revision that does not compile is said and passed over: the shop stays as it was.
///
/// # Errors
/// A log that failed for good.
pub async fn follow(
    log: &dyn Log,
    topic: &str,
    codec: &Codec,
    clock: &Clock,
    shops: &Shops,
    known: &Condition,
    stop: &CancellationToken,
) -> Result<(), LogError> {
    let (mut history, mut current) = (CampaignHistory::default(), BTreeMap::<String, (u32, Arc<KnownShop>)>::new());
    let mut opened: Option<(Box<dyn Reader>, u64)> = None;
    let mut complete = false;
    while !stop.is_cancelled() {
        let step = match &mut opened {
            None => open(log, topic).await.map(|reader| {
                (history, opened) = (CampaignHistory::default(), Some(reader));
                false
            }),
            Some((reader, end)) => reader.read(BATCH, PATIENCE).await.map(|records| {
                for record in &records {
                    let Some(value) = &record.value else { continue };
                    match CampaignsRecord::decode(codec, value) {
                        Ok(record) => history.take(record),
                        Err(error) => {
                            tracing::error!(offset = record.offset, reason = %error, "campaigns topic holds a record that cannot be read")
                        }
                    }
                }
                reader.position() >= *end
            }),
        };
        match step {
            Ok(false) => continue,
            Ok(true) => {}
            Err(LogError::Unavailable(reason)) => {
                tracing::warn!(reason, "campaigns topic is unavailable, trying again");
                stop.run_until_cancelled(clock.sleep(PAUSE)).await;
                continue;
            }
            Err(error) => return Err(error),
        }
        if take_up(&history, &mut current, clock) || !complete {
            shops.replace(current.iter().map(|(id, (_, shop))| (id.clone(), shop.clone())).collect());
            complete = true;
            known.holds();
        }
    }
    Ok(())
}

async fn open(log: &dyn Log, topic: &str) -> Result<(Box<dyn Reader>, u64), LogError> {
    let end = log.bounds(topic, 0).await?.end;
    Ok((log.open(topic, 0, From::Start).await?, end))
}

/// Brings every shop to its newest revision in force; true if one changed.
fn take_up(history: &CampaignHistory, current: &mut BTreeMap<String, (u32, Arc<KnownShop>)>, clock: &Clock) -> bool {
    let (now, mut changed) = (clock.now(), false);
    for id in history.shops() {
        let Some(revision) = history.newest(id, now) else { continue };
        if current.get(id).is_some_and(|(number, _)| *number == revision.number) {
            continue;
        }
        let Some(sources) = history.campaigns(revision).and_then(|campaigns| history.sources(revision, campaigns)) else { continue };
        let reading = read(&sources);
        let shop = match reading.project {
            Some(project) => Arc::new(KnownShop::of(&project.shop)),
            None => {
                let problem = reading.problems.first().map(ToString::to_string).unwrap_or_default();
                tracing::error!(shop = id, revision = revision.number, problem, "a revision does not compile; the shop stays as it was");
                match current.get(id) {
                    Some((_, former)) => former.clone(),
                    None => continue,
                }
            }
        };
        current.insert(id.to_owned(), (revision.number, shop));
        changed = true;
    }
    changed
}
