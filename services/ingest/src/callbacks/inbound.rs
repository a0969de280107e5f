//! Messages from customers: stop, start, help, or anything else (R68, R69).
//!
//! The shop is found by the number that was written to: in the provider's settings, then among the senders of the shop files, then as
//! the only shop that uses the provider. A stop that could be meant for several shops stops them all; anything else that has no shop
//! is set aside.

use std::sync::Arc;

use cartwheel_engine::input::{Fact, Input, OptOutBy};
use cartwheel_language::{Channel, phone};
use cartwheel_wire::pseudonym::Pseudonyms;
use jiff::Timestamp;

use super::{
    Signed,
    keywords::{OwnWords, Wish, wish},
};
use crate::{
    config::same_name,
    refusal::{Code, Refusal},
    shops::{KnownShop, Snapshot, digits},
};

/// What a customer's message says, keyed by the home of the number that it came from.
pub(super) fn inputs(signed: &Signed, shops: &Snapshot, pseudonyms: &Pseudonyms, received: Timestamp) -> Result<Vec<Input>, Refusal> {
    let sid = signed.sid()?;
    let from = signed.field("From").and_then(|from| phone::parse(from, None).ok());
    let from = from.ok_or_else(|| Refusal::new(Code::UnknownNumber, "the message comes from no telephone number that can be answered"))?;
    let text = signed.field("Body").unwrap_or_default();
    let (own, possible) = addressed(signed, shops);
    let meant: Vec<(Arc<KnownShop>, Wish)> = match own {
        Some(shop) => vec![(shop.clone(), wished(signed, text, &shop.words))],
        None => possible
            .into_iter()
            .map(|shop| (shop.clone(), wished(signed, text, &shop.words)))
            .filter(|(_, wish)| *wish == Wish::Stop)
            .collect(),
    };
    if meant.is_empty() {
        return Err(Refusal::new(
            Code::UnknownNumber,
            "no shop has the number that was written to; name it in [ingest.providers.<name>] numbers",
        ));
    }
    let input = |(shop, wish): (Arc<KnownShop>, Wish)| {
        let key = pseudonyms.phone(&shop.id, from.e164()).map_err(|error| Refusal::new(Code::BadName, error.to_string()))?;
        let channel = Channel::Sms;
        let fact = match wish {
            Wish::Stop => Fact::OptedOut { channel, by: OptOutBy::Keyword },
            Wish::Start => Fact::OptedIn { channel },
            Wish::Help => Fact::Replied { channel, help: true },
            Wish::Other => Fact::Replied { channel, help: false },
        };
        Ok(Input { key, id: format!("inbound/{sid}"), received, names: Vec::new(), fact })
    };
    meant.into_iter().map(input).collect()
}

/// What is asked for: the provider says so itself where its own opt-out service has understood the message.
fn wished(signed: &Signed, text: &str, own: &OwnWords) -> Wish {
    match signed.field("OptOutType") {
        Some("STOP") => Wish::Stop,
        Some("START") => Wish::Start,
        Some("HELP") => Wish::Help,
        _ => wish(text, own),
    }
}

/// The shop that was written to, else all that it could be.
fn addressed(signed: &Signed, shops: &Snapshot) -> (Option<Arc<KnownShop>>, Vec<Arc<KnownShop>>) {
    let to = digits(signed.field("To").unwrap_or_default());
    let service = signed.field("MessagingServiceSid").unwrap_or_default();
    let named = signed.settings.numbers.iter().find(|(number, _)| (!to.is_empty() && digits(number) == to) || number.as_str() == service);
    if let Some(shop) = named.and_then(|(_, shop)| shops.get(shop)) {
        return (Some(shop.clone()), Vec::new());
    }
    let numbers = |shop: &KnownShop| {
        shop.numbers.iter().find(|(provider, _)| same_name(provider, &signed.provider)).map(|(_, numbers)| numbers.clone())
    };
    let users: Vec<(Arc<KnownShop>, _)> = shops.values().filter_map(|shop| Some((shop.clone(), numbers(shop)?))).collect();
    let mut senders = users.iter().filter(|(_, numbers)| numbers.contains(&to));
    match (senders.next(), senders.next(), users.as_slice()) {
        (Some((shop, _)), None, _) | (None, _, [(shop, _)]) => (Some(shop.clone()), Vec::new()),
        _ => (None, users.into_iter().map(|(shop, _)| shop).collect()),
    }
}
