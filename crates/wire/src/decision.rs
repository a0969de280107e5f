//! Records of `cartwheel.decisions`.

use cartwheel_engine::decision::Decision;
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Codec, DecodeError},
    row::{CauseRow, Fields, Text, Word, json},
    schema::RecordType,
};

const TYPE: RecordType = RecordType::Decision;

/// What was decided, and why. Holds neither number nor text. Moments are kept to the microsecond.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionRecord(pub Decision);

impl DecisionRecord {
    /// The record's key in the topic: the customer's.
    pub fn key(&self) -> &str {
        self.0.customer.as_str()
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        let decision = &self.0;
        codec.write(
            TYPE,
            &DecisionRow {
                id: decision.id.as_str().into(),
                shop: decision.customer.shop().into(),
                customer: decision.customer.as_str().into(),
                at: decision.at.as_microsecond(),
                campaign: decision.campaign.as_deref().map(Text::from),
                version: decision.version,
                journey: decision.journey.as_ref().map(|journey| journey.as_str().into()),
                object: decision.object.as_deref().map(Text::from),
                message: decision.message.as_ref().map(|message| message.as_str().into()),
                verdict: decision.verdict.word().into(),
                reason: decision.reason.word().into(),
                detail: decision.detail.as_deref().map(Text::from),
                cause: CauseRow::new(&decision.cause),
                values: json(&decision.values),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no decision; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields = Fields(TYPE);
        let row = codec.read::<DecisionRow<'static>>(TYPE, bytes)?;
        let customer = fields.key("customer", &row.customer)?;
        if customer.shop() != row.shop {
            return Err(fields.wrong("shop", "is not the customer's"));
        }
        Ok(Self(Decision {
            id: row.id.into_owned(),
            customer,
            at: fields.moment("at", row.at)?,
            campaign: row.campaign.map(Text::into_owned),
            version: row.version,
            journey: row.journey.map(|journey| journey.into_owned().into()),
            object: row.object.map(Text::into_owned),
            message: row.message.map(|message| message.into_owned().into()),
            verdict: fields.word("verdict", &row.verdict)?,
            reason: fields.word("reason", &row.reason)?,
            detail: row.detail.map(Text::into_owned),
            cause: row.cause.cause(fields)?,
            values: fields.values("values", &row.values)?,
        }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Decision")]
struct DecisionRow<'a> {
    id: Text<'a>,
    shop: Text<'a>,
    customer: Text<'a>,
    at: i64,
    campaign: Option<Text<'a>>,
    version: Option<u32>,
    journey: Option<Text<'a>>,
    object: Option<Text<'a>>,
    message: Option<Text<'a>>,
    verdict: Text<'a>,
    reason: Text<'a>,
    detail: Option<Text<'a>>,
    cause: CauseRow<'a>,
    values: Text<'a>,
}
