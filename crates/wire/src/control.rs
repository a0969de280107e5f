//! Records of `cartwheel.controls`: what is stopped (rule P22, R93).

use cartwheel_language::Channel;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Codec, DecodeError},
    row::{Fields, Text, Word},
    schema::RecordType,
};

const TYPE: RecordType = RecordType::Control;

/// An order to stop or to resume. The last one of a key holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlRecord {
    /// What it is about.
    pub scope: ControlScope,
    /// Whether nothing goes out; false resumes.
    pub stopped: bool,
    /// Messages a second and dispatcher at which to resume; none: the dispatcher's own pace. Finite and above 0.
    pub rate: Option<f64>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When. Kept to the microsecond.
    pub at: Timestamp,
}

/// What an order to stop or to resume is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ControlScope {
    /// All sending.
    All,
    /// One shop's.
    Shop(String),
    /// One channel's, of every shop.
    Channel(Channel),
    /// One campaign's.
    Campaign {
        /// The shop's id.
        shop: String,
        /// The campaign's name.
        campaign: String,
    },
}

impl ControlScope {
    /// The key in the topic: `all`, `shop:acme`, `channel:sms`, `campaign:acme/abandoned-cart`.
    pub fn key(&self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Shop(shop) => format!("shop:{shop}"),
            Self::Channel(channel) => format!("channel:{}", channel.word()),
            Self::Campaign { shop, campaign } => format!("campaign:{shop}/{campaign}"),
        }
    }

    /// Whether a message of this shop, channel and campaign is meant.
    pub fn covers(&self, shop: &str, channel: Channel, campaign: &str) -> bool {
        match self {
            Self::All => true,
            Self::Shop(stopped) => stopped == shop,
            Self::Channel(stopped) => *stopped == channel,
            Self::Campaign { shop: of, campaign: stopped } => of == shop && stopped == campaign,
        }
    }
}

impl ControlRecord {
    /// The record's key in the topic.
    pub fn key(&self) -> String {
        self.scope.key()
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        let (scope, shop, channel, campaign) = match &self.scope {
            ControlScope::All => ("all", None, None, None),
            ControlScope::Shop(shop) => ("shop", Some(shop), None, None),
            ControlScope::Channel(channel) => ("channel", None, Some(channel), None),
            ControlScope::Campaign { shop, campaign } => ("campaign", Some(shop), None, Some(campaign)),
        };
        codec.write(
            TYPE,
            &ControlRow {
                scope: scope.into(),
                shop: shop.map(|shop| shop.as_str().into()),
                channel: channel.map(|channel| channel.word().into()),
                campaign: campaign.map(|campaign| campaign.as_str().into()),
                stopped: self.stopped,
                rate: self.rate,
                by: self.by.as_str().into(),
                reason: self.reason.as_str().into(),
                at: self.at.as_microsecond(),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no control; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields = Fields(TYPE);
        let row = codec.read::<ControlRow<'static>>(TYPE, bytes)?;
        let shop = || fields.there("shop", row.shop.clone()).map(Text::into_owned);
        let scope = match &*row.scope {
            "all" => ControlScope::All,
            "shop" => ControlScope::Shop(shop()?),
            "channel" => ControlScope::Channel(fields.word("channel", &fields.there("channel", row.channel)?)?),
            "campaign" => ControlScope::Campaign { shop: shop()?, campaign: fields.there("campaign", row.campaign)?.into_owned() },
            _ => return Err(fields.wrong("scope", "is none of the words that this version knows")),
        };
        if row.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return Err(fields.wrong("rate", "is no number above 0"));
        }
        Ok(Self {
            scope,
            stopped: row.stopped,
            rate: row.rate,
            by: row.by.into_owned(),
            reason: row.reason.into_owned(),
            at: fields.moment("at", row.at)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Control")]
struct ControlRow<'a> {
    scope: Text<'a>,
    shop: Option<Text<'a>>,
    channel: Option<Text<'a>>,
    campaign: Option<Text<'a>>,
    stopped: bool,
    rate: Option<f64>,
    by: Text<'a>,
    reason: Text<'a>,
    at: i64,
}
