//! What an installation has applied, and the next revision of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use cartwheel_language::{Project, SourceFile};
use cartwheel_runtime::log::{Log, Outgoing};
use cartwheel_wire::{
    CampaignFile, CampaignState, CampaignsRecord, Codec, Revision, Topics, history::CampaignHistory, history::campaign_of,
};
use jiff::Timestamp;

use crate::{CommandError, client::read_all};

/// The engine level that this version decides at.
const ENGINE_LEVEL: u32 = 1;

/// The campaigns topic, as a command works with it.
pub(crate) struct Applied<'a> {
    pub(crate) history: CampaignHistory,
    log: &'a dyn Log,
    topics: &'a Topics,
    codec: &'a Codec,
}

/// What a new revision changes.
pub(crate) struct Changes {
    /// New file versions, each with its text.
    pub(crate) files: Vec<(SourceFile, u32)>,
    /// Campaigns whose file is gone: they are archived, for their journeys need their versions.
    pub(crate) gone: Vec<String>,
    next: Revision,
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.gone.is_empty()
    }
}

impl<'a> Applied<'a> {
    /// Reads the topic to its end.
    pub(crate) async fn read(log: &'a dyn Log, topics: &'a Topics, codec: &'a Codec) -> Result<Self, CommandError> {
        let mut history = CampaignHistory::default();
        for record in read_all(log, &topics.campaigns, 0).await.map_err(CommandError::failed)? {
            if let Some(value) = &record.value {
                history.take(
                    CampaignsRecord::decode(codec, value)
                        .map_err(|error| CommandError::failed(format!("campaigns topic, offset {}: {error}", record.offset)))?,
                );
            }
        }
        Ok(Self { history, log, topics, codec })
    }

    /// The newest revision of a shop.
    pub(crate) fn newest(&self, shop: &str) -> Option<&Revision> {
        self.history.revisions(shop).next_back()
    }

    fn next(&self, shop: &str, by: &str, at: Timestamp) -> Revision {
        let newest = self.newest(shop);
        Revision {
            shop: shop.to_owned(),
            number: newest.map_or(0, |newest| newest.number) + 1,
            predecessor: newest.map_or(0, |newest| newest.number),
            files: newest.map(|newest| newest.files.clone()).unwrap_or_default(),
            states: newest.map(|newest| newest.states.clone()).unwrap_or_default(),
            engine_level: ENGINE_LEVEL,
            time_zone_data: cartwheel_language::time::DATA_VERSION.to_owned(),
            phone_data: cartwheel_language::phone::DATA_VERSION.to_owned(),
            effective_at: None,
            by: by.to_owned(),
            // Records keep moments to the microsecond; what is read back must be the same.
            at: Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at),
        }
    }

    /// What applying these files would change.
    pub(crate) fn changes<'f>(&self, project: &Project, files: impl Iterator<Item = &'f SourceFile>, by: &str, at: Timestamp) -> Changes {
        let shop = &project.shop.id;
        let mut next = self.next(shop, by, at);
        let mut in_force = BTreeMap::new();
        let mut changed = Vec::new();
        for file in files {
            let version = next.files.get(&file.path).copied();
            let same = version.is_some_and(|version| self.history.text(shop, &file.path, version) == Some(&file.text));
            let version = match version {
                Some(version) if same => version,
                _ => self.history.last_version(shop, &file.path) + 1,
            };
            if !same {
                changed.push((file.clone(), version));
                if let Some(name) = campaign_of(&file.path).filter(|name| next.states.get(*name) == Some(&CampaignState::Archived)) {
                    next.states.remove(name);
                }
            }
            in_force.insert(file.path.clone(), version);
        }
        let mut gone = Vec::new();
        for (path, version) in &next.files {
            let Some(name) = campaign_of(path).filter(|_| !in_force.contains_key(path)) else { continue };
            in_force.insert(path.clone(), *version);
            if next.states.insert(name.to_owned(), CampaignState::Archived) != Some(CampaignState::Archived) {
                gone.push(name.to_owned());
            }
        }
        next.files = in_force;
        Changes { files: changed, gone, next }
    }

    /// A revision that only changes a campaign's state.
    pub(crate) fn with_state(&self, shop: &str, campaign: &str, state: CampaignState, by: &str, at: Timestamp) -> Changes {
        let mut next = self.next(shop, by, at);
        next.states.insert(campaign.to_owned(), state);
        Changes { files: Vec::new(), gone: Vec::new(), next }
    }

    /// Appends a revision and reads back whether it is the one that counts: another may have been applied meanwhile.
    pub(crate) async fn append(&self, changes: Changes) -> Result<Revision, CommandError> {
        let Changes { files, next, .. } = changes;
        let outgoing = |key: String, value: Vec<u8>| Outgoing {
            topic: self.topics.campaigns.clone(),
            partition: 0,
            key: Some(Bytes::from(key)),
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        };
        let mut records = Vec::new();
        for (file, version) in files {
            let file = CampaignFile { shop: next.shop.clone(), file: file.path, version, text: file.text };
            records.push(outgoing(file.key(), file.encode(self.codec)));
        }
        records.push(outgoing(next.key(), next.encode(self.codec)));
        self.log.append(records).await.map_err(CommandError::failed)?;
        let now = Applied::read(self.log, self.topics, self.codec).await?;
        match now.history.revision(&next.shop, next.number) {
            Some(stands) if *stands == next => Ok(next),
            Some(stands) => Err(CommandError::Failed(format!(
                "{} applied revision {} of {} at the same moment; look at `cartwheel campaigns plan` and apply again",
                stands.by, stands.number, next.shop
            ))),
            None => Err(CommandError::Failed("the revision did not arrive; apply again".to_owned())),
        }
    }
}
