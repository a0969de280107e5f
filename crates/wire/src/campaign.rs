//! Records of `cartwheel.campaigns`: immutable files, and the revisions that put versions of them in force (rule P25).
//!
//! # Keys
//! The topic is compacted, and of two records with one number the *first* by offset counts. So a key ends with a digest of the
//! content: two that compete have two keys, and compaction keeps both, at their offsets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    codec::{Codec, DecodeError},
    row::{Fields, Text, Word, words},
    schema::RecordType,
};

/// Any record of `cartwheel.campaigns`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CampaignsRecord {
    /// A version of a file.
    File(CampaignFile),
    /// A revision.
    Revision(Revision),
}

impl CampaignsRecord {
    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is neither; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        match codec.record_type(bytes)? {
            RecordType::CampaignFile => CampaignFile::decode(codec, bytes).map(Self::File),
            _ => Revision::decode(codec, bytes).map(Self::Revision),
        }
    }
}

/// One version of one file of a shop; never changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignFile {
    /// The shop's id.
    pub shop: String,
    /// The file's path below the shop's folder.
    pub file: String,
    /// Counts the file's versions, from 1. Of two texts with one version the first by offset counts.
    pub version: u32,
    /// The whole file.
    pub text: String,
}

impl CampaignFile {
    /// The record's key in the topic: `shop/file@version#digest`.
    pub fn key(&self) -> String {
        format!("{}/{}@{}#{}", self.shop, self.file, self.version, digest(self.text.as_bytes()))
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        codec.write(
            RecordType::CampaignFile,
            &CampaignFileRow {
                shop: self.shop.as_str().into(),
                file: self.file.as_str().into(),
                version: self.version,
                text: self.text.as_str().into(),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no file; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let row = codec.read::<CampaignFileRow<'static>>(RecordType::CampaignFile, bytes)?;
        Ok(Self { shop: row.shop.into_owned(), file: row.file.into_owned(), version: row.version, text: row.text.into_owned() })
    }
}

/// All of a shop that can change a decision, as one. Of several with one predecessor the first by offset counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The shop's id.
    pub shop: String,
    /// Counts the shop's revisions, from 1.
    pub number: u32,
    /// The revision that this one was made from; 0 for the first.
    pub predecessor: u32,
    /// The version in force of each file, by path.
    pub files: BTreeMap<String, u32>,
    /// The state of each campaign, by name; one that is not here is active.
    pub states: BTreeMap<String, CampaignState>,
    /// The engine level: code and state format that decide (rule P26).
    pub engine_level: u32,
    /// The version of the time-zone data that decide.
    pub time_zone_data: String,
    /// The version of the phone number data that decide.
    pub phone_data: String,
    /// A common start for all partitions; none: as soon as each partition's owner has seen it. Kept to the microsecond.
    pub effective_at: Option<Timestamp>,
    /// Who applied it.
    pub by: String,
    /// When it was applied. Kept to the microsecond.
    pub at: Timestamp,
}

/// Whether a campaign lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CampaignState {
    /// Begins journeys and sends.
    Active,
    /// Begins none; what is due is held and may expire.
    Paused,
    /// Begins none, and its journeys end.
    Archived,
}

words! {
    CampaignState { Active = "active", Paused = "paused", Archived = "archived" }
}

impl Revision {
    /// The record's key in the topic: `shop/revision@number#digest`.
    pub fn key(&self) -> String {
        let content = self.encode(&Codec::single_object());
        format!("{}/revision@{}#{}", self.shop, self.number, digest(&content))
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        codec.write(
            RecordType::Revision,
            &RevisionRow {
                shop: self.shop.as_str().into(),
                number: self.number,
                predecessor: self.predecessor,
                files: self.files.iter().map(|(file, version)| (file.as_str().into(), *version)).collect(),
                states: self.states.iter().map(|(campaign, state)| (campaign.as_str().into(), state.word().into())).collect(),
                engine_level: self.engine_level,
                time_zone_data: self.time_zone_data.as_str().into(),
                phone_data: self.phone_data.as_str().into(),
                effective_at: self.effective_at.map(|at| at.as_microsecond()),
                by: self.by.as_str().into(),
                at: self.at.as_microsecond(),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no revision; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields = Fields(RecordType::Revision);
        let row = codec.read::<RevisionRow<'static>>(RecordType::Revision, bytes)?;
        let state = |(campaign, state): (Text<'_>, Text<'_>)| Ok((campaign.into_owned(), fields.word("states", &state)?));
        Ok(Self {
            shop: row.shop.into_owned(),
            number: row.number,
            predecessor: row.predecessor,
            files: row.files.into_iter().map(|(file, version)| (file.into_owned(), version)).collect(),
            states: row.states.into_iter().map(state).collect::<Result<_, DecodeError>>()?,
            engine_level: row.engine_level,
            time_zone_data: row.time_zone_data.into_owned(),
            phone_data: row.phone_data.into_owned(),
            effective_at: row.effective_at.map(|at| fields.moment("effective_at", at)).transpose()?,
            by: row.by.into_owned(),
            at: fields.moment("at", row.at)?,
        })
    }
}

/// 48 bits of SHA-256: enough to tell the few records apart that compete for one number.
fn digest(content: &[u8]) -> String {
    Sha256::digest(content)[..6].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "CampaignFile")]
struct CampaignFileRow<'a> {
    shop: Text<'a>,
    file: Text<'a>,
    version: u32,
    text: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Revision")]
struct RevisionRow<'a> {
    shop: Text<'a>,
    number: u32,
    predecessor: u32,
    files: BTreeMap<Text<'a>, u32>,
    states: BTreeMap<Text<'a>, Text<'a>>,
    engine_level: u32,
    time_zone_data: Text<'a>,
    phone_data: Text<'a>,
    effective_at: Option<i64>,
    by: Text<'a>,
    at: i64,
}
