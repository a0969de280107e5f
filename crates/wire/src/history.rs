//! What shops have applied, folded from `cartwheel.campaigns` (rule P25): every file version and every revision that counts.
//!
//! Of several revisions with one predecessor the first by offset counts; the others never were. Who applies reads back and sees.

use std::collections::BTreeMap;

use cartwheel_language::{SourceFile, Sources};
use jiff::Timestamp;

use crate::{CampaignFile, CampaignsRecord, Revision};

/// The name of the shop file among a revision's files.
pub const SHOP_FILE: &str = "shop.yaml";

/// Where campaign files lie among a revision's files.
const CAMPAIGNS: &str = "campaigns/";

/// All that the topic holds.
#[derive(Clone, Debug, Default)]
pub struct CampaignHistory {
    files: BTreeMap<(String, String, u32), String>,
    shops: BTreeMap<String, BTreeMap<u32, Revision>>,
}

/// The campaign of a file: `campaigns/welcome.yaml` holds `welcome`; none for the shop file and the tracking plan.
pub fn campaign_of(file: &str) -> Option<&str> {
    file.strip_prefix(CAMPAIGNS)?.strip_suffix(".yaml")
}

/// The file of a campaign.
pub fn file_of(campaign: &str) -> String {
    format!("{CAMPAIGNS}{campaign}.yaml")
}

impl CampaignHistory {
    /// Folds the topic's next record.
    pub fn take(&mut self, record: CampaignsRecord) {
        match record {
            CampaignsRecord::File(CampaignFile { shop, file, version, text }) => {
                self.files.entry((shop, file, version)).or_insert(text);
            }
            CampaignsRecord::Revision(revision) => {
                let revisions = self.shops.entry(revision.shop.clone()).or_default();
                let newest = revisions.keys().next_back().copied().unwrap_or(0);
                if revision.predecessor == newest && revision.number == newest + 1 {
                    revisions.insert(revision.number, revision);
                }
            }
        }
    }

    /// Every shop that has applied something.
    pub fn shops(&self) -> impl Iterator<Item = &str> {
        self.shops.keys().map(String::as_str)
    }

    /// A shop's revisions by number.
    pub fn revisions(&self, shop: &str) -> impl DoubleEndedIterator<Item = &Revision> {
        self.shops.get(shop).into_iter().flat_map(BTreeMap::values)
    }

    /// A shop's revision.
    pub fn revision(&self, shop: &str, number: u32) -> Option<&Revision> {
        self.shops.get(shop)?.get(&number)
    }

    /// The newest revision of a shop that is in force at a moment.
    pub fn newest(&self, shop: &str, at: Timestamp) -> Option<&Revision> {
        self.revisions(shop).rev().find(|revision| revision.effective_at.is_none_or(|effective_at| effective_at <= at))
    }

    /// The text of a file's version.
    pub fn text(&self, shop: &str, file: &str, version: u32) -> Option<&str> {
        self.files.get(&(shop.to_owned(), file.to_owned(), version)).map(String::as_str)
    }

    /// The highest version of a file, 0 if it never was.
    pub fn last_version(&self, shop: &str, file: &str) -> u32 {
        let key = |version| (shop.to_owned(), file.to_owned(), version);
        self.files.range(key(0)..=key(u32::MAX)).next_back().map_or(0, |((_, _, version), _)| *version)
    }

    /// A file's version as the language reads it.
    pub fn source(&self, shop: &str, file: &str, version: u32) -> Option<SourceFile> {
        Some(SourceFile { path: file.to_owned(), text: self.text(shop, file, version)?.to_owned() })
    }

    /// A revision's files as the language reads them, with these campaigns; none while the topic lacks one of the files.
    pub fn sources(&self, revision: &Revision, campaigns: Vec<SourceFile>) -> Option<Sources> {
        let file = |name: &str| revision.files.get(name).and_then(|version| self.source(&revision.shop, name, *version));
        let plan = revision.files.keys().find(|name| *name != SHOP_FILE && campaign_of(name).is_none());
        let tracking_plan = match plan {
            Some(name) => Some(file(name)?),
            None => None,
        };
        Some(Sources { shop: file(SHOP_FILE)?, campaigns, tracking_plan })
    }

    /// The campaign files of a revision; none while the topic lacks one of them.
    pub fn campaigns(&self, revision: &Revision) -> Option<Vec<SourceFile>> {
        let files = revision.files.iter().filter(|(name, _)| campaign_of(name).is_some());
        files.map(|(name, version)| self.source(&revision.shop, name, *version)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(number: u32, predecessor: u32, by: &str) -> CampaignsRecord {
        CampaignsRecord::Revision(Revision {
            shop: "acme".to_owned(),
            number,
            predecessor,
            files: BTreeMap::from([(SHOP_FILE.to_owned(), 1), (file_of("welcome"), 1)]),
            states: BTreeMap::new(),
            engine_level: 1,
            time_zone_data: String::new(),
            phone_data: String::new(),
            effective_at: (number == 2).then(|| Timestamp::from_second(100).unwrap()),
            by: by.to_owned(),
            at: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn of_two_revisions_with_one_predecessor_the_first_counts() {
        let mut history = CampaignHistory::default();
        for record in [revision(1, 0, "ann"), revision(2, 1, "ben"), revision(2, 1, "cid"), revision(4, 3, "dan")] {
            history.take(record);
        }
        let who: Vec<&str> = history.revisions("acme").map(|revision| revision.by.as_str()).collect();
        assert_eq!(who, ["ann", "ben"]);
        let at = |second| history.newest("acme", Timestamp::from_second(second).unwrap()).unwrap().number;
        assert_eq!((at(99), at(100)), (1, 2), "a common start is kept");
    }

    #[test]
    fn a_revision_is_read_once_all_its_files_are_there() {
        let mut history = CampaignHistory::default();
        history.take(revision(1, 0, "ann"));
        let file = |file: &str| {
            CampaignsRecord::File(CampaignFile { shop: "acme".to_owned(), file: file.to_owned(), version: 1, text: "x".to_owned() })
        };
        history.take(file(SHOP_FILE));
        let first = history.revision("acme", 1).unwrap().clone();
        assert!(history.campaigns(&first).is_none());
        history.take(file("campaigns/welcome.yaml"));
        assert_eq!(history.campaigns(&first).unwrap().len(), 1);
        assert!(history.sources(&first, Vec::new()).is_some());
        assert_eq!((history.last_version("acme", "campaigns/welcome.yaml"), history.last_version("acme", "campaigns/none.yaml")), (1, 0));
        assert_eq!(campaign_of("campaigns/welcome.yaml"), Some("welcome"));
    }
}
