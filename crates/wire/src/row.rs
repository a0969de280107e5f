//! What rows, the flat shapes that stand on topics, share: words, moments, keys and JSON text.

use std::{borrow::Cow, collections::BTreeMap};

use cartwheel_engine::{
    decision::{self, Reason},
    input::{Consented, OptOutBy, OutcomeResult, Return, Suppression},
    key::CustomerKey,
};
use cartwheel_language::{Channel, Class, Delivery, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{codec::DecodeError, schema::RecordType};

/// Text that is borrowed while writing and owned after reading.
pub(crate) type Text<'a> = Cow<'a, str>;

/// Reads the fields of one kind of record.
#[derive(Clone, Copy)]
pub(crate) struct Fields(pub(crate) RecordType);

impl Fields {
    pub(crate) fn wrong(self, field: &'static str, problem: &'static str) -> DecodeError {
        DecodeError::Meaningless { record: self.0, field, problem }
    }

    pub(crate) fn there<T>(self, field: &'static str, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or_else(|| self.wrong(field, "is missing"))
    }

    pub(crate) fn moment(self, field: &'static str, micros: i64) -> Result<Timestamp, DecodeError> {
        // Not `from_microsecond`: it refuses the last second that a timestamp can hold.
        let nanos = micros.rem_euclid(1_000_000) as i32 * 1_000;
        Timestamp::new(micros.div_euclid(1_000_000), nanos).map_err(|_| self.wrong(field, "is no moment that a calendar has"))
    }

    pub(crate) fn key(self, field: &'static str, text: &str) -> Result<CustomerKey, DecodeError> {
        text.parse().map_err(|_| self.wrong(field, "is no customer key; write shop/kind:name"))
    }

    pub(crate) fn word<W: Word>(self, field: &'static str, text: &str) -> Result<W, DecodeError> {
        W::of_word(text).ok_or_else(|| self.wrong(field, "is none of the words that this version knows"))
    }

    pub(crate) fn values(self, field: &'static str, text: &str) -> Result<BTreeMap<String, Value>, DecodeError> {
        serde_json::from_str(text).map_err(|_| self.wrong(field, "is no JSON object, or nests deeper than 127"))
    }

    pub(crate) fn offset(self, field: &'static str, offset: i64) -> Result<u64, DecodeError> {
        u64::try_from(offset).map_err(|_| self.wrong(field, "is negative"))
    }

    pub(crate) fn result(self, word: &str, reason: Option<Text<'_>>, address: bool) -> Result<OutcomeResult, DecodeError> {
        let reason = || self.there("reason", reason);
        Ok(match word {
            "sent" => OutcomeResult::Sent,
            "delivered" => OutcomeResult::Delivered,
            "failed" => OutcomeResult::Failed { reason: reason()?.into_owned(), address },
            "unknown" => OutcomeResult::Unknown,
            "suppressed" => OutcomeResult::Suppressed { reason: self.word("reason", &reason()?)? },
            "expired" => OutcomeResult::Expired,
            "returned" => OutcomeResult::Returned { reason: self.word("reason", &reason()?)? },
            _ => return Err(self.wrong("result", "is none of the words that this version knows")),
        })
    }
}

/// The word, the reason and whether the address failed.
pub(crate) fn result_words(result: &OutcomeResult) -> (&'static str, Option<Text<'_>>, bool) {
    match result {
        OutcomeResult::Sent => ("sent", None, false),
        OutcomeResult::Delivered => ("delivered", None, false),
        OutcomeResult::Failed { reason, address } => ("failed", Some(reason.as_str().into()), *address),
        OutcomeResult::Unknown => ("unknown", None, false),
        OutcomeResult::Suppressed { reason } => ("suppressed", Some(reason.word().into()), false),
        OutcomeResult::Expired => ("expired", None, false),
        OutcomeResult::Returned { reason } => ("returned", Some(reason.word().into()), false),
    }
}

/// Values as one JSON object.
pub(crate) fn json(values: &BTreeMap<String, Value>) -> Text<'static> {
    serde_json::to_string(values).expect("keys are text and values are plain").into()
}

/// An offset or a size as Avro holds it; Kafka's own are 63 bits.
pub(crate) fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Something that stands on topics as a word.
pub(crate) trait Word: Sized + 'static {
    fn word(self) -> &'static str;
    fn of_word(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($($name:ty { $($variant:ident = $word:literal),+ $(,)? })*) => {$(
        impl Word for $name {
            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            fn of_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    )*};
}
pub(crate) use words;

words! {
    Channel { Sms = "sms" }
    Class { Promotional = "promotional", Transactional = "transactional", Conversational = "conversational" }
    Delivery { AtMostOnce = "at_most_once", AtLeastOnce = "at_least_once" }
    Consented { None = "none", Transactional = "transactional", Promotional = "promotional" }
    OptOutBy { Keyword = "keyword", Link = "link", Api = "api", Provider = "provider" }
    Suppression { Revoked = "revoked", OptedOut = "opted_out", Stopped = "stopped" }
    Return { WindowClosed = "window_closed", Moved = "moved", QueueFull = "queue_full", ProviderAway = "provider_away", Stopped = "stopped" }
}

impl Word for decision::Verdict {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::of_word(word)
    }
}

impl Word for Reason {
    fn word(self) -> &'static str {
        self.as_str()
    }

    fn of_word(word: &str) -> Option<Self> {
        Self::of_word(word)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Origin")]
pub(crate) struct OriginRow {
    partition: u32,
    offset: i64,
    slot: i32,
}

impl OriginRow {
    pub(crate) fn new(origin: &cartwheel_engine::input::Origin) -> Self {
        Self { partition: origin.partition, offset: long(origin.offset), slot: origin.slot.into() }
    }

    pub(crate) fn origin(&self, fields: Fields) -> Result<cartwheel_engine::input::Origin, DecodeError> {
        let slot = u16::try_from(self.slot).map_err(|_| fields.wrong("slot", "is outside 0 to 65535"))?;
        Ok(cartwheel_engine::input::Origin { partition: self.partition, offset: fields.offset("offset", self.offset)?, slot })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "Cause")]
pub(crate) struct CauseRow<'a> {
    event: Text<'a>,
    name: Text<'a>,
    occurred: i64,
    received: i64,
}

impl<'a> CauseRow<'a> {
    pub(crate) fn new(cause: &'a decision::Cause) -> Self {
        Self {
            event: cause.event.as_str().into(),
            name: cause.name.as_str().into(),
            occurred: cause.occurred.as_microsecond(),
            received: cause.received.as_microsecond(),
        }
    }

    pub(crate) fn cause(self, fields: Fields) -> Result<decision::Cause, DecodeError> {
        Ok(decision::Cause {
            event: self.event.into_owned(),
            name: self.name.into_owned(),
            occurred: fields.moment("occurred", self.occurred)?,
            received: fields.moment("received", self.received)?,
        })
    }
}
