//! Records of `cartwheel.sends-transactional` and `cartwheel.sends-promotional`.

use cartwheel_engine::{decision::Cause, effect::Message, input::Origin};
use serde::{Deserialize, Serialize};

use crate::{
    codec::{Codec, DecodeError},
    row::{CauseRow, Fields, OriginRow, Text, Word},
    schema::RecordType,
};

const TYPE: RecordType = RecordType::Send;

/// A message to hand over. Holds number and text: personal data.
#[derive(Clone, Debug, PartialEq)]
pub struct SendRecord {
    /// The message. Moments are kept to the microsecond.
    pub message: Message,
    /// Where in `cartwheel.events` its cause stands: the gate waits until the head is above it (rule P16).
    pub origin: Origin,
    /// What caused it.
    pub cause: Cause,
}

impl SendRecord {
    /// The record's key in the topic: the customer's.
    pub fn key(&self) -> &str {
        self.message.customer.as_str()
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        let message = &self.message;
        codec.write(
            TYPE,
            &SendRow {
                id: message.id.as_str().into(),
                journey: message.journey.as_str().into(),
                customer: message.customer.as_str().into(),
                campaign: message.campaign.as_str().into(),
                version: message.version,
                step: message.step.into(),
                round: message.round,
                class: message.class.word().into(),
                delivery: message.delivery.word().into(),
                channel: message.channel.word().into(),
                provider: message.provider.as_str().into(),
                from: message.from.as_deref().map(Text::from),
                address: message.address.as_str().into(),
                address_home: message.address_home.as_str().into(),
                text: message.text.as_str().into(),
                parts: message.parts,
                decided: message.decided.as_microsecond(),
                not_after: message.not_after.as_microsecond(),
                origin: OriginRow::new(&self.origin),
                cause: CauseRow::new(&self.cause),
            },
        )
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no message; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields = Fields(TYPE);
        let row = codec.read::<SendRow<'static>>(TYPE, bytes)?;
        let message = Message {
            id: row.id.into_owned().into(),
            journey: row.journey.into_owned().into(),
            customer: fields.key("customer", &row.customer)?,
            campaign: row.campaign.into_owned(),
            version: row.version,
            step: u16::try_from(row.step).map_err(|_| fields.wrong("step", "is outside 0 to 65535"))?,
            round: row.round,
            class: fields.word("class", &row.class)?,
            delivery: fields.word("delivery", &row.delivery)?,
            channel: fields.word("channel", &row.channel)?,
            provider: row.provider.into_owned(),
            from: row.from.map(Text::into_owned),
            address: row.address.into_owned(),
            address_home: fields.key("address_home", &row.address_home)?,
            text: row.text.into_owned(),
            parts: row.parts,
            decided: fields.moment("decided", row.decided)?,
            not_after: fields.moment("not_after", row.not_after)?,
        };
        Ok(Self { message, origin: row.origin.origin(fields)?, cause: row.cause.cause(fields)? })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Send")]
struct SendRow<'a> {
    id: Text<'a>,
    journey: Text<'a>,
    customer: Text<'a>,
    campaign: Text<'a>,
    version: u32,
    step: i32,
    round: u32,
    class: Text<'a>,
    delivery: Text<'a>,
    channel: Text<'a>,
    provider: Text<'a>,
    from: Option<Text<'a>>,
    address: Text<'a>,
    address_home: Text<'a>,
    text: Text<'a>,
    parts: u32,
    decided: i64,
    not_after: i64,
    origin: OriginRow,
    cause: CauseRow<'a>,
}
