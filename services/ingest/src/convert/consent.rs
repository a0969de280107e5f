//! What a shop says about a customer's consent (R67, R68). A consent is never guessed: what cannot be read is refused.
//!
//! Two forms are taken, by secret keys and Kafka sources only:
//!
//! - attributes of `identify`: `consent: {"sms": "promotional" | "transactional" | "none"}`, with `consent_source` (where it was given)
//!   and `consent_proof` (what proves it), or `context.consent: {"source", "proof"}`;
//! - the events `Opted In` and `Opted Out` with the properties `channel`, `for`, `source`, `proof`.

use std::collections::BTreeMap;

use cartwheel_engine::input::{ConsentChange, Consented};
use cartwheel_language::{Channel, Value};

use crate::refusal::{Code, Refusal};

/// The event by which a shop reports a consent.
pub const OPTED_IN: &str = "Opted In";

/// The event by which a shop reports that a customer wants no more.
pub const OPTED_OUT: &str = "Opted Out";

/// Where it was given and what proves it are words, not documents.
const SOURCE_BYTES: usize = 500;

/// Takes `consent`, `consent_source` and `consent_proof` out of the attributes. Channels that this version does not send by are
/// passed over. `context` is the message's `context.consent`; `origin` is the source's name, for who says nothing of the source.
pub fn from_traits(traits: &mut BTreeMap<String, Value>, context: Option<&Value>, origin: &str) -> Result<Vec<ConsentChange>, Refusal> {
    let (consent, source, proof) = (traits.remove("consent"), traits.remove("consent_source"), traits.remove("consent_proof"));
    let by_channel = match consent {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Map(by_channel)) => by_channel,
        Some(_) => return Err(Refusal::new(Code::BadConsent, "consent must be an object by channel, such as {\"sms\": \"promotional\"}")),
    };
    let Some(given) = by_channel.get("sms").filter(|value| !value.is_null()) else { return Ok(Vec::new()) };
    let to = match given.as_text() {
        Some("promotional") => Consented::Promotional,
        Some("transactional") => Consented::Transactional,
        Some("none") => Consented::None,
        _ => return Err(Refusal::new(Code::BadConsent, "consent.sms must be \"promotional\", \"transactional\" or \"none\"")),
    };
    let in_context = |name: &str| context.and_then(|context| context.at(name)).cloned();
    let source = word(source.or_else(|| in_context("source")), "consent_source")?.unwrap_or_else(|| origin.to_owned());
    let proof = word(proof.or_else(|| in_context("proof")), "consent_proof")?;
    Ok(vec![ConsentChange { channel: Channel::Sms, to, source, proof }])
}

/// What `Opted In` or `Opted Out` changes; none if it is another event, or about a channel that this version does not send by.
///
/// `Opted In` says for what (`promotional` or `transactional`). `Opted Out` ends everything, but with `for: promotional` the
/// transactional messages remain.
pub fn from_event(name: &str, properties: &BTreeMap<String, Value>, origin: &str) -> Result<Option<ConsentChange>, Refusal> {
    let out = match name {
        OPTED_IN => false,
        OPTED_OUT => true,
        _ => return Ok(None),
    };
    match properties.get("channel").unwrap_or(&Value::Null) {
        Value::Text(channel) if channel == "sms" => {}
        Value::Null if out => {}
        Value::Text(_) => return Ok(None),
        _ => return Err(Refusal::new(Code::BadConsent, format!("`{name}` must say the channel, such as channel: \"sms\""))),
    }
    let to = match (out, properties.get("for").unwrap_or(&Value::Null)) {
        (false, Value::Text(what)) if what == "promotional" => Consented::Promotional,
        (false, Value::Text(what)) if what == "transactional" => Consented::Transactional,
        (false, _) => return Err(Refusal::new(Code::BadConsent, "`Opted In` must say for: \"promotional\" or for: \"transactional\"")),
        (true, Value::Text(what)) if what == "promotional" => Consented::Transactional,
        (true, _) => Consented::None,
    };
    let source = word(properties.get("source").cloned(), "source")?.unwrap_or_else(|| origin.to_owned());
    let proof = word(properties.get("proof").cloned(), "proof")?;
    Ok(Some(ConsentChange { channel: Channel::Sms, to, source, proof }))
}

fn word(value: Option<Value>, what: &str) -> Result<Option<String>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(text)) if text.len() <= SOURCE_BYTES => Ok(Some(text).filter(|text| !text.trim().is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(Refusal::new(Code::BadConsent, format!("{what} must be text of at most {SOURCE_BYTES} bytes"))),
    }
}
