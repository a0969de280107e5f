//! Records of `cartwheel.deliveries`: the dispatcher's journal.

use cartwheel_engine::{
    id::MessageId,
    input::{OutcomeResult, Return, Suppression},
    key::CustomerKey,
};
use cartwheel_language::{Channel, Class};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Codec, DecodeError},
    row::{Fields, Text, Word, result_words},
    schema::RecordType,
};

const TYPE: RecordType = RecordType::Delivery;

/// What was done about a message. Holds neither number nor text. The key in the topic is the message's id.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveryRecord {
    /// The message.
    pub message: MessageId,
    /// The home that decided it.
    pub customer: CustomerKey,
    /// The campaign's name.
    pub campaign: String,
    /// The campaign's version.
    pub version: u32,
    /// The channel.
    pub channel: Channel,
    /// What it is to the customer.
    pub class: Class,
    /// The provider, by the name that operators configure.
    pub provider: String,
    /// A random token of the process that wrote the record: it tells its own claim from another's (rule P15).
    pub claimant: u128,
    /// What was done.
    pub verdict: DeliveryVerdict,
    /// When, by the dispatcher's clock. Kept to the microsecond.
    pub at: Timestamp,
    /// The message is not handed over from this moment on; its id may be forgotten after it (rule P15). Kept to the microsecond.
    pub not_after: Timestamp,
    /// The provider's own id of the message, once it gave one.
    pub provider_message_id: Option<String>,
    /// SMS parts of the text.
    pub parts: u32,
    /// How often the message was offered to the provider so far.
    pub attempts: u32,
    /// The address's own home; its name is a keyed hash, never the address itself.
    pub address_home: Option<CustomerKey>,
}

/// What was done about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// A dispatcher is about to hand it over.
    Attempt,
    /// A provider took it.
    Sent,
    /// A receipt says that it arrived.
    Delivered,
    /// The provider refused it, or a receipt says that it did not arrive.
    Failed {
        /// The provider's code or a word for it; never a text or number of the customer.
        reason: String,
        /// Whether the address will never take messages.
        address: bool,
    },
    /// Handed over or not: nobody knows (rule P20).
    Unknown,
    /// Not handed over: no longer wanted.
    Suppressed {
        /// Why.
        reason: Suppression,
    },
    /// Not handed over: its `not_after` had passed.
    Expired,
    /// Not handed over now; decided again (rule P21).
    Returned {
        /// Why.
        reason: Return,
    },
}

impl DeliveryVerdict {
    /// Whether only the first of these of a message counts (rule P15).
    pub fn is_claim(&self) -> bool {
        !matches!(self, Self::Sent | Self::Delivered | Self::Failed { .. })
    }

    /// What the customer's log hears of it; nothing of an attempt.
    pub fn outcome(&self) -> Option<OutcomeResult> {
        Some(match self.clone() {
            Self::Attempt => return None,
            Self::Sent => OutcomeResult::Sent,
            Self::Delivered => OutcomeResult::Delivered,
            Self::Failed { reason, address } => OutcomeResult::Failed { reason, address },
            Self::Unknown => OutcomeResult::Unknown,
            Self::Suppressed { reason } => OutcomeResult::Suppressed { reason },
            Self::Expired => OutcomeResult::Expired,
            Self::Returned { reason } => OutcomeResult::Returned { reason },
        })
    }
}

impl From<OutcomeResult> for DeliveryVerdict {
    fn from(result: OutcomeResult) -> Self {
        match result {
            OutcomeResult::Sent => Self::Sent,
            OutcomeResult::Delivered => Self::Delivered,
            OutcomeResult::Failed { reason, address } => Self::Failed { reason, address },
            OutcomeResult::Unknown => Self::Unknown,
            OutcomeResult::Suppressed { reason } => Self::Suppressed { reason },
            OutcomeResult::Expired => Self::Expired,
            OutcomeResult::Returned { reason } => Self::Returned { reason },
        }
    }
}

impl DeliveryRecord {
    /// The shop's id.
    pub fn shop(&self) -> &str {
        self.customer.shop()
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        let outcome = self.verdict.outcome();
        let (verdict, reason, address_failed) = outcome.as_ref().map_or(("attempt", None, false), result_words);
        codec.write(
            TYPE,
            &DeliveryRow {
                message: self.message.as_str().into(),
                shop: self.shop().into(),
                customer: self.customer.as_str().into(),
                campaign: self.campaign.as_str().into(),
                version: self.version,
                channel: self.channel.word().into(),
                class: self.class.word().into(),
                provider: self.provider.as_str().into(),
                claimant: format!("{:032x}", self.claimant).into(),
                verdict: verdict.into(),
                reason,
                address_failed,
                at: self.at.as_microsecond(),
                not_after: self.not_after.as_microsecond(),
                provider_message_id: self.provider_message_id.as_deref().map(Text::from),
                parts: self.parts,
                attempts: self.attempts,
                address_home: self.address_home.as_ref().map(|home| home.as_str().into()),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no delivery; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields = Fields(TYPE);
        let row = codec.read::<DeliveryRow<'static>>(TYPE, bytes)?;
        let customer = fields.key("customer", &row.customer)?;
        if customer.shop() != row.shop {
            return Err(fields.wrong("shop", "is not the customer's"));
        }
        let verdict = match &*row.verdict {
            "attempt" => DeliveryVerdict::Attempt,
            word => fields.result(word, row.reason, row.address_failed)?.into(),
        };
        Ok(Self {
            message: row.message.into_owned().into(),
            customer,
            campaign: row.campaign.into_owned(),
            version: row.version,
            channel: fields.word("channel", &row.channel)?,
            class: fields.word("class", &row.class)?,
            provider: row.provider.into_owned(),
            claimant: u128::from_str_radix(&row.claimant, 16).map_err(|_| fields.wrong("claimant", "is no hexadecimal number"))?,
            verdict,
            at: fields.moment("at", row.at)?,
            not_after: fields.moment("not_after", row.not_after)?,
            provider_message_id: row.provider_message_id.map(Text::into_owned),
            parts: row.parts,
            attempts: row.attempts,
            address_home: row.address_home.map(|home| fields.key("address_home", &home)).transpose()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Delivery")]
struct DeliveryRow<'a> {
    message: Text<'a>,
    shop: Text<'a>,
    customer: Text<'a>,
    campaign: Text<'a>,
    version: u32,
    channel: Text<'a>,
    class: Text<'a>,
    provider: Text<'a>,
    claimant: Text<'a>,
    verdict: Text<'a>,
    reason: Option<Text<'a>>,
    address_failed: bool,
    at: i64,
    not_after: i64,
    provider_message_id: Option<Text<'a>>,
    parts: u32,
    attempts: u32,
    address_home: Option<Text<'a>>,
}
