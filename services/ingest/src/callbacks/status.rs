//! Receipts: what became of a message that was handed over.
//!
//! Twilio's states (<https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks>) and error codes
//! (<https://www.twilio.com/docs/api/errors>).

use cartwheel_engine::{
    id::MessageId,
    input::{Fact, Input, OptOutBy, Outcome, OutcomeResult},
    key::CustomerKey,
};
use cartwheel_language::{Channel, phone};
use cartwheel_wire::pseudonym::Pseudonyms;
use jiff::Timestamp;

use super::Signed;
use crate::refusal::{Code, Refusal};

/// Codes that say that the address will never take messages: unknown handset, landline, not a number, not a mobile number.
const DEAD_ADDRESS: &[&str] = &["30005", "30006", "21211", "21217", "21614"];

/// The code that says that the number's owner opted out at the provider.
const OPTED_OUT: &str = "21610";

/// What a receipt says; nothing for the states on the way.
pub(super) fn inputs(signed: &Signed, pseudonyms: &Pseudonyms, received: Timestamp) -> Result<Vec<Input>, Refusal> {
    let sid = signed.sid()?;
    let state = signed.field("MessageStatus").or_else(|| signed.field("SmsStatus")).unwrap_or_default();
    let code = signed.field("ErrorCode").filter(|code| code.len() <= 10 && code.bytes().all(|byte| byte.is_ascii_digit()));
    let result = match state {
        "accepted" | "scheduled" | "queued" | "sending" => return Ok(Vec::new()),
        "sent" => OutcomeResult::Sent,
        "delivered" | "read" => OutcomeResult::Delivered,
        "failed" | "undelivered" | "canceled" => OutcomeResult::Failed {
            reason: code.unwrap_or(state).to_owned(),
            address: code.is_some_and(|code| DEAD_ADDRESS.contains(&code)),
        },
        _ => return Err(Refusal::new(Code::Unsupported, "the receipt's state is none that is known")),
    };
    let misses = |what: &str| {
        Refusal::new(Code::BadName, format!("the receipt's URL has no sound {what}; it must be the one that came with the message"))
    };
    let customer: CustomerKey = signed.queried("c").and_then(|key| key.parse().ok()).ok_or_else(|| misses("customer (c)"))?;
    if signed.queried("s") != Some(customer.shop()) {
        return Err(misses("shop (s)"));
    }
    let message = signed
        .queried("m")
        .filter(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .ok_or_else(|| misses("message (m)"))?;
    let outcome = Outcome { message: MessageId::from(message.to_owned()), result, at: received };
    let shop = customer.shop().to_owned();
    let fact = Fact::Outcome(outcome);
    let mut inputs = vec![Input { key: customer, id: format!("receipt/{sid}/{state}"), received, names: Vec::new(), fact }];
    let home = signed.field("To").filter(|_| code == Some(OPTED_OUT)).and_then(|to| phone::parse(to, None).ok());
    if let Some(home) = home.and_then(|to| pseudonyms.phone(&shop, to.e164()).ok()) {
        let fact = Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Provider };
        inputs.push(Input { key: home, id: format!("receipt/{sid}/opt-out"), received, names: Vec::new(), fact });
    }
    Ok(inputs)
}
