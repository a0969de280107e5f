//! Records of `cartwheel.events`.

use cartwheel_engine::input::{Address, ConsentChange, Event, Fact, Identified, Input, Origin, Outcome};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    codec::{Codec, DecodeError},
    row::{Fields, OriginRow, Text, Word, json, result_words},
    schema::RecordType,
};

const TYPE: RecordType = RecordType::Event;

/// One record of `cartwheel.events`. Moments are kept to the microsecond.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRecord {
    /// The record that caused it, where another home's evaluator emitted it (rule P8).
    pub origin: Option<Origin>,
    /// What it says.
    pub body: EventBody,
}

/// What a record of `cartwheel.events` says.
#[derive(Clone, Debug, PartialEq)]
pub enum EventBody {
    /// Something happened to a customer.
    Customer(Input),
    /// From here on a shop's campaigns are those of this revision (rule P25).
    Activation {
        /// The shop's id.
        shop: String,
        /// The revision's number.
        revision: u32,
    },
}

impl EventRecord {
    /// The record's key in the topic: the customer's, or `shop/revision@n`.
    pub fn key(&self) -> String {
        match &self.body {
            EventBody::Customer(input) => input.key.as_str().to_owned(),
            EventBody::Activation { shop, revision } => format!("{shop}/revision@{revision}"),
        }
    }

    /// The record as a value of its topic.
    pub fn encode(&self, codec: &Codec) -> Vec<u8> {
        let mut row = match &self.body {
            EventBody::Customer(input) => customer_row(input),
            EventBody::Activation { shop, revision } => EventRow {
                kind: "activation".into(),
                id: self.key().into(),
                activation: Some(ActivationRow { shop: shop.as_str().into(), revision: *revision }),
                ..EventRow::default()
            },
        };
        row.origin = self.origin.as_ref().map(OriginRow::new);
        codec.write(TYPE, &row)
    }

    /// Reads a value of the topic.
    ///
    /// # Errors
    /// When the value is no event; [`DecodeError::is_poison`] says what to do with it.
    pub fn decode(codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
        let fields = Fields(TYPE);
        let mut row = codec.read::<EventRow<'static>>(TYPE, bytes)?;
        let origin = row.origin.take().map(|origin| origin.origin(fields)).transpose()?;
        let there = [
            ("tracked", row.tracked.is_some()),
            ("identified", row.identified.is_some()),
            ("timer_fired", row.timer_fired.is_some()),
            ("outcome", row.outcome.is_some()),
            ("opted_out", row.opted_out.is_some()),
            ("opted_in", row.opted_in.is_some()),
            ("replied", row.replied.is_some()),
            ("claimed", row.claimed.is_some()),
            ("handed_over", row.handed_over.is_some()),
            ("activation", row.activation.is_some()),
        ];
        if there.iter().any(|(kind, there)| (*kind == row.kind) != *there) || !there.iter().any(|(kind, _)| *kind == row.kind) {
            return Err(fields.wrong("kind", "does not name the one part that is there"));
        }
        if let Some(activation) = row.activation {
            let body = EventBody::Activation { shop: activation.shop.into_owned(), revision: activation.revision };
            return Ok(Self { origin, body });
        }
        let key = fields.key("key", &fields.there("key", row.key.take())?)?;
        let received = fields.moment("received", fields.there("received", row.received)?)?;
        let names = row.names.iter().map(|name| fields.key("names", name)).collect::<Result<_, _>>()?;
        let id = std::mem::take(&mut row.id).into_owned();
        Ok(Self { origin, body: EventBody::Customer(Input { key, id, received, names, fact: fact(fields, row)? }) })
    }
}

fn fact(fields: Fields, row: EventRow<'_>) -> Result<Fact, DecodeError> {
    if let Some(tracked) = row.tracked {
        return Ok(Fact::Tracked(Event {
            name: tracked.name.into_owned(),
            occurred: fields.moment("tracked.occurred", tracked.occurred)?,
            properties: fields.values("tracked.properties", &tracked.properties)?,
        }));
    }
    if let Some(identified) = row.identified {
        return identified.identified(fields).map(Fact::Identified);
    }
    if let Some(fired) = row.timer_fired {
        return Ok(Fact::TimerFired { timer: fired.timer.into_owned().into(), due: fields.moment("timer_fired.due", fired.due)? });
    }
    if let Some(outcome) = row.outcome {
        return Ok(Fact::Outcome(Outcome {
            message: outcome.message.into_owned().into(),
            result: fields.result(&outcome.result, outcome.reason, outcome.address_failed)?,
            at: fields.moment("outcome.at", outcome.at)?,
        }));
    }
    if let Some(opted_out) = row.opted_out {
        return Ok(Fact::OptedOut {
            channel: fields.word("opted_out.channel", &opted_out.channel)?,
            by: fields.word("opted_out.by", &opted_out.by)?,
        });
    }
    if let Some(opted_in) = row.opted_in {
        return Ok(Fact::OptedIn { channel: fields.word("opted_in.channel", &opted_in.channel)? });
    }
    if let Some(replied) = row.replied {
        return Ok(Fact::Replied { channel: fields.word("replied.channel", &replied.channel)?, help: replied.help });
    }
    if let Some(claimed) = row.claimed {
        return Ok(Fact::Claimed { by: fields.key("claimed.by", &claimed.by)? });
    }
    let handed_over = fields.there("kind", row.handed_over)?;
    Ok(Fact::HandedOver { from: fields.key("handed_over.from", &handed_over.from)?, state: handed_over.state.into_vec() })
}

fn customer_row(input: &Input) -> EventRow<'_> {
    let mut row = EventRow {
        id: input.id.as_str().into(),
        key: Some(input.key.as_str().into()),
        received: Some(input.received.as_microsecond()),
        names: input.names.iter().map(|name| name.as_str().into()).collect(),
        ..EventRow::default()
    };
    row.kind = match &input.fact {
        Fact::Tracked(event) => {
            row.tracked = Some(TrackedRow {
                name: event.name.as_str().into(),
                occurred: event.occurred.as_microsecond(),
                properties: json(&event.properties),
            });
            "tracked"
        }
        Fact::Identified(identified) => {
            row.identified = Some(IdentifiedRow::new(identified));
            "identified"
        }
        Fact::TimerFired { timer, due } => {
            row.timer_fired = Some(TimerFiredRow { timer: timer.as_str().into(), due: due.as_microsecond() });
            "timer_fired"
        }
        Fact::Outcome(outcome) => {
            let (result, reason, address_failed) = result_words(&outcome.result);
            row.outcome = Some(OutcomeRow {
                message: outcome.message.as_str().into(),
                result: result.into(),
                reason,
                address_failed,
                at: outcome.at.as_microsecond(),
            });
            "outcome"
        }
        Fact::OptedOut { channel, by } => {
            row.opted_out = Some(OptedOutRow { channel: channel.word().into(), by: by.word().into() });
            "opted_out"
        }
        Fact::OptedIn { channel } => {
            row.opted_in = Some(OptedInRow { channel: channel.word().into() });
            "opted_in"
        }
        Fact::Replied { channel, help } => {
            row.replied = Some(RepliedRow { channel: channel.word().into(), help: *help });
            "replied"
        }
        Fact::Claimed { by } => {
            row.claimed = Some(ClaimedRow { by: by.as_str().into() });
            "claimed"
        }
        Fact::HandedOver { from, state } => {
            row.handed_over = Some(HandedOverRow { from: from.as_str().into(), state: ByteBuf::from(state.clone()) });
            "handed_over"
        }
    }
    .into();
    row
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename = "Event")]
struct EventRow<'a> {
    kind: Text<'a>,
    id: Text<'a>,
    key: Option<Text<'a>>,
    received: Option<i64>,
    names: Vec<Text<'a>>,
    origin: Option<OriginRow>,
    tracked: Option<TrackedRow<'a>>,
    identified: Option<IdentifiedRow<'a>>,
    timer_fired: Option<TimerFiredRow<'a>>,
    outcome: Option<OutcomeRow<'a>>,
    opted_out: Option<OptedOutRow<'a>>,
    opted_in: Option<OptedInRow<'a>>,
    replied: Option<RepliedRow<'a>>,
    claimed: Option<ClaimedRow<'a>>,
    handed_over: Option<HandedOverRow<'a>>,
    activation: Option<ActivationRow<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Tracked")]
struct TrackedRow<'a> {
    name: Text<'a>,
    occurred: i64,
    properties: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Identified")]
struct IdentifiedRow<'a> {
    occurred: Option<i64>,
    traits: Text<'a>,
    addresses: Vec<AddressRow<'a>>,
    consents: Vec<ConsentChangeRow<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Address")]
struct AddressRow<'a> {
    channel: Text<'a>,
    value: Text<'a>,
    home: Option<Text<'a>>,
    country: Option<Text<'a>>,
    invalid: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "ConsentChange")]
struct ConsentChangeRow<'a> {
    channel: Text<'a>,
    to: Text<'a>,
    source: Text<'a>,
    proof: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "TimerFired")]
struct TimerFiredRow<'a> {
    timer: Text<'a>,
    due: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Outcome")]
struct OutcomeRow<'a> {
    message: Text<'a>,
    result: Text<'a>,
    reason: Option<Text<'a>>,
    address_failed: bool,
    at: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "OptedOut")]
struct OptedOutRow<'a> {
    channel: Text<'a>,
    by: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "OptedIn")]
struct OptedInRow<'a> {
    channel: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Replied")]
struct RepliedRow<'a> {
    channel: Text<'a>,
    help: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Claimed")]
struct ClaimedRow<'a> {
    by: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "HandedOver")]
struct HandedOverRow<'a> {
    from: Text<'a>,
    state: ByteBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Activation")]
struct ActivationRow<'a> {
    shop: Text<'a>,
    revision: u32,
}

impl<'a> IdentifiedRow<'a> {
    fn new(identified: &'a Identified) -> Self {
        let text = |text: &'a Option<String>| text.as_deref().map(Text::from);
        let addresses = identified.addresses.iter().map(|(channel, address)| AddressRow {
            channel: channel.word().into(),
            value: address.value.as_str().into(),
            home: address.home.as_ref().map(|home| home.as_str().into()),
            country: text(&address.country),
            invalid: text(&address.invalid),
        });
        let consents = identified.consents.iter().map(|change| ConsentChangeRow {
            channel: change.channel.word().into(),
            to: change.to.word().into(),
            source: change.source.as_str().into(),
            proof: text(&change.proof),
        });
        Self {
            occurred: identified.occurred.map(|occurred| occurred.as_microsecond()),
            traits: json(&identified.traits),
            addresses: addresses.collect(),
            consents: consents.collect(),
        }
    }

    fn identified(self, fields: Fields) -> Result<Identified, DecodeError> {
        let address = |row: AddressRow<'_>| {
            let home = row.home.map(|home| fields.key("addresses.home", &home)).transpose()?;
            let address = Address {
                value: row.value.into_owned(),
                home,
                country: row.country.map(Text::into_owned),
                invalid: row.invalid.map(Text::into_owned),
            };
            Ok((fields.word("addresses.channel", &row.channel)?, address))
        };
        let consent = |row: ConsentChangeRow<'_>| {
            Ok(ConsentChange {
                channel: fields.word("consents.channel", &row.channel)?,
                to: fields.word("consents.to", &row.to)?,
                source: row.source.into_owned(),
                proof: row.proof.map(Text::into_owned),
            })
        };
        Ok(Identified {
            occurred: self.occurred.map(|occurred| fields.moment("identified.occurred", occurred)).transpose()?,
            traits: fields.values("identified.traits", &self.traits)?,
            addresses: self.addresses.into_iter().map(address).collect::<Result<_, DecodeError>>()?,
            consents: self.consents.into_iter().map(consent).collect::<Result<_, DecodeError>>()?,
        })
    }
}
