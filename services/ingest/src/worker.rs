//! One partition of a shop's topic: read, convert, append, await the acknowledgement, mark.
//!
//! The worker spawns nothing and sees the outside through log, positions and clock alone. What cannot be understood is set aside
//! with its bytes and never stalls the partition; a log that is away is waited for in place.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use cartwheel_engine::input::Input;
use cartwheel_runtime::{
    clock::Clock,
    log::{From, Log, LogError, Partition, Positions, Reader, Record},
};
use cartwheel_wire::{DeadLetterSource, pseudonym::Pseudonyms};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Start,
    convert::mapping,
    intake::{Intake, SetAside},
    metrics::{Metrics, Way},
    quota::Ceiling,
    refusal::{Code, Refusal},
    shops::Shops,
};

/// The pause before a log that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// What workers share.
#[derive(Clone)]
pub struct Tools {
    /// The log that is read.
    pub log: Arc<dyn Log>,
    /// How far the group has come in the topic.
    pub positions: Arc<dyn Positions>,
    /// The way to our own topics.
    pub intake: Intake,
    /// The mappings, looked up for every batch, so that one that is applied holds at once.
    pub shops: Shops,
    /// Names for numbers and addresses.
    pub pseudonyms: Pseudonyms,
    /// The clock.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
    /// Where a topic begins that was never read.
    pub start: Start,
    /// The most records together.
    pub batch: usize,
    /// How long a read waits.
    pub patience: Duration,
    /// The most events of one customer in a minute.
    pub events_per_customer_minute: u32,
}

/// Works on a partition until `stop`.
///
/// # Errors
/// A log that failed for good or has no such partition.
pub async fn work(topic: Arc<str>, partition: Partition, tools: Tools, stop: CancellationToken) -> Result<(), LogError> {
    let mut ceiling = Ceiling::new(tools.events_per_customer_minute);
    let Some(mut reader) = open(&topic, partition, &tools, &stop).await? else { return Ok(()) };
    while !stop.is_cancelled() {
        let records = match reader.read(tools.batch, tools.patience).await {
            Ok(records) => records,
            Err(LogError::Unavailable(reason)) => {
                tracing::warn!(%topic, partition, reason, "the source does not answer, trying again");
                tools.clock.sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if records.is_empty() {
            continue;
        }
        let (inputs, aside) = loop {
            match convert(&topic, &records, &tools, &mut ceiling) {
                Some(told) => break told,
                None if stop.is_cancelled() => return Ok(()),
                // No shop names the topic at this moment: what was read waits for one that does, or for the end of this worker.
                None => tools.clock.sleep(tools.patience).await,
            }
        };
        if !append(inputs, aside, &tools, &stop).await? {
            return Ok(());
        }
        tools.positions.mark(&topic, partition, reader.position());
    }
    Ok(())
}

/// Opens the partition where the group left it; none if `stop` came first.
async fn open(topic: &str, partition: Partition, tools: &Tools, stop: &CancellationToken) -> Result<Option<Box<dyn Reader>>, LogError> {
    let mut lost = false;
    while !stop.is_cancelled() {
        let marked = match tools.positions.marked(topic, partition).await {
            Ok(marked) => marked,
            Err(LogError::Unavailable(reason)) => {
                wait(topic, partition, &reason, tools).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let from = match (marked, tools.start) {
            (Some(_), _) if lost => From::Start,
            (Some(next), _) => From::Offset(next),
            (None, Start::Earliest) => From::Start,
            (None, Start::Latest) => From::End,
        };
        match tools.log.open(topic, partition, from).await {
            Ok(reader) => return Ok(Some(reader)),
            Err(LogError::OutOfRange { wanted, bounds, .. }) => {
                let (start, end) = (bounds.start, bounds.end);
                tracing::error!(
                    topic,
                    partition,
                    wanted,
                    start,
                    end,
                    "records of a source are gone before they were read; going on with the first that is there"
                );
                lost = true;
            }
            Err(LogError::Unavailable(reason)) => wait(topic, partition, &reason, tools).await,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn wait(topic: &str, partition: Partition, reason: &str, tools: &Tools) {
    tracing::warn!(topic, partition, reason, "the source does not answer, trying again");
    tools.clock.sleep(PAUSE).await;
}

/// Appends until it is acknowledged; repeats have the same ids. False if `stop` came first: the records are read again.
async fn append(inputs: Vec<Input>, aside: Vec<SetAside>, tools: &Tools, stop: &CancellationToken) -> Result<bool, LogError> {
    while !stop.is_cancelled() {
        match tools.intake.append(Way::Topic, inputs.clone(), aside.clone()).await {
            Ok(()) => return Ok(true),
            Err(LogError::Unavailable(reason)) => {
                tracing::warn!(reason, "the log does not answer, trying again");
                tools.clock.sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// What a batch becomes, for every shop that names the topic; nothing where none does.
fn convert(topic: &str, records: &[Record], tools: &Tools, ceiling: &mut Ceiling) -> Option<(Vec<Input>, Vec<SetAside>)> {
    let (mut inputs, mut aside) = (Vec::new(), Vec::new());
    let (shops, received) = (tools.shops.snapshot(), tools.clock.now());
    let feeds = shops.values().flat_map(|shop| shop.topics.iter().map(move |(name, source)| (shop, name, source)));
    let feeds: Vec<_> = feeds.filter(|(_, _, source)| source.topic == topic).collect();
    if feeds.is_empty() {
        return None;
    }
    for record in records {
        for (shop, name, source) in &feeds {
            let told = mapping::convert(name, source, record, shop, &tools.pseudonyms, received);
            let told = told.and_then(|told| match told.first() {
                Some(first) if !ceiling.allows(first.key.as_str(), received) => {
                    Err(Refusal::new(Code::TooManyOfCustomer, "more events of this customer in a minute than a person causes"))
                }
                _ => Ok(told),
            });
            match told {
                Ok(told) => inputs.extend(told),
                Err(refusal) => {
                    tools.metrics.refused(Way::Topic, refusal.code);
                    aside.push(SetAside {
                        source: DeadLetterSource::Topic { topic: topic.to_owned(), partition: record.partition, offset: record.offset },
                        shop: Some(shop.id.clone()),
                        refusal,
                        bytes: record.value.clone().unwrap_or_else(Bytes::new),
                    });
                }
            }
        }
    }
    Some((inputs, aside))
}
