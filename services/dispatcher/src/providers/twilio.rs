//! Text messages through Twilio's REST API, or whatever speaks its form.
//!
//! `POST {base}/2010-04-01/Accounts/{sid}/Messages.json`, form-encoded, basic authentication
//! (<https://www.twilio.com/docs/messaging/api/message-resource>). What an answer means, by its HTTP status and Twilio's code, is
//! [`judge`]'s table. The message's id goes along as `Idempotency-Key`, for gateways that know it; Twilio itself does not, so with it
//! "at least once" may mean twice.
//!
//! The status callback carries what ingest needs to key a receipt, as query `?s=<shop>&m=<message id>&c=<customer key>`; Twilio signs
//! the whole URL, so nobody else can make one up. `ValidityPeriod` is the time that the message has left, so that it does not go out
//! late from Twilio's own queue either (R32).

use std::time::Duration;

use cartwheel_engine::effect::Message;
use cartwheel_runtime::{clock::Clock, config::Secret};
use futures::future::BoxFuture;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{Client, StatusCode, header::RETRY_AFTER, redirect, retry};
use serde::Deserialize;
use url::Url;

use super::{Answer, OPTED_OUT_AT_PROVIDER, Provider, Trouble};

/// The longest time that Twilio keeps a message in its queue, in seconds (Message resource, `ValidityPeriod`).
const VALIDITY_LIMIT: i64 = 36_000;

/// The most bytes of an answer that are read; Twilio's are about one kilobyte.
const ANSWER_LIMIT: usize = 65_536;

/// How to reach an account.
#[derive(Clone, Debug)]
pub struct TwilioConfig {
    /// Where the API is: `https://api.twilio.com`.
    pub base_url: Url,
    /// The account, `AC...`: part of the path.
    pub account_sid: String,
    /// Who authenticates: an API key, `SK...`; none: the account itself.
    pub api_key: Option<String>,
    /// The secret of the API key, or the account's token.
    pub auth_token: Secret,
    /// The messaging service, `MG...`, that chooses the sender where a message names none.
    pub messaging_service_sid: Option<String>,
    /// Where receipts go; none: no receipts are asked for.
    pub status_callback: Option<Url>,
    /// How long a connection may take; until then surely nothing was sent.
    pub connect_timeout: Duration,
    /// How long a whole call may take.
    pub timeout: Duration,
}

/// An account at Twilio.
pub struct Twilio {
    client: Client,
    messages: Url,
    config: TwilioConfig,
    clock: Clock,
}

impl Twilio {
    /// A client of an account.
    ///
    /// # Errors
    /// When the base URL can have no path, or the TLS library does not start.
    pub fn new(config: TwilioConfig, clock: Clock) -> Result<Self, String> {
        let mut messages = config.base_url.clone();
        messages
            .path_segments_mut()
            .map_err(|()| format!("{} can have no path; write a URL such as https://api.twilio.com", config.base_url))?
            .pop_if_empty()
            .extend(["2010-04-01", "Accounts", &config.account_sid, "Messages.json"]);
        let client = Client::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .build()
            .map_err(|error| format!("could not make an HTTP client: {error}"))?;
        Ok(Self { client, messages, config, clock })
    }

    fn form<'a>(&'a self, message: &'a Message) -> Vec<(&'static str, String)> {
        let mut form = vec![("To", message.address.clone()), ("Body", message.text.clone())];
        match (&message.from, &self.config.messaging_service_sid) {
            (Some(from), _) => form.push(("From", from.clone())),
            (None, Some(service)) => form.push(("MessagingServiceSid", service.clone())),
            (None, None) => {}
        }
        if let Some(callback) = &self.config.status_callback {
            let mut callback = callback.clone();
            callback
                .query_pairs_mut()
                .append_pair("s", message.customer.shop())
                .append_pair("m", message.id.as_str())
                .append_pair("c", message.customer.as_str());
            form.push(("StatusCallback", callback.into()));
        }
        let left = message.not_after.duration_since(self.clock.now()).as_secs();
        form.push(("ValidityPeriod", left.clamp(1, VALIDITY_LIMIT).to_string()));
        form
    }

    async fn call(&self, message: &Message) -> Answer {
        let user = self.config.api_key.as_ref().unwrap_or(&self.config.account_sid);
        let sent = self
            .client
            .post(self.messages.clone())
            .basic_auth(user, Some(self.config.auth_token.expose()))
            .header("Idempotency-Key", message.id.as_str())
            .form(&self.form(message))
            .send()
            .await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Answer::Refused { reason: "not_a_request".into(), address: false },
            Err(error) if error.is_connect() => {
                return Answer::NotNow { trouble: Trouble::Unavailable, after: None, reason: "no_connection".into() };
            }
            Err(error) if error.is_timeout() => return Answer::Unsure { reason: "timed_out".into() },
            Err(_) => return Answer::Unsure { reason: "connection_lost".into() },
        };
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|value| pause(value.to_str().ok()?, self.clock.now()));
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LIMIT {
                break;
            }
        }
        judge(status, serde_json::from_slice(&body).unwrap_or_default(), after)
    }
}

impl Provider for Twilio {
    fn hand_over<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Answer> {
        Box::pin(self.call(message))
    }
}

/// The pause that a `Retry-After` asks for: seconds or a date (RFC 9110, 10.2.3).
fn pause(value: &str, now: Timestamp) -> Option<Duration> {
    match value.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Duration::try_from(rfc2822::parse(value.trim()).ok()?.timestamp().duration_since(now)).ok(),
    }
}

#[derive(Debug, Default, Deserialize)]
struct Body {
    /// The id of a message that was taken.
    sid: Option<String>,
    /// Twilio's error code: <https://www.twilio.com/docs/api/errors>.
    code: Option<u32>,
}

/// What an answer means.
///
/// A code is believed before the status, for its meaning is narrower. A 503 and a 429 say that nothing was done; of other 5xx nobody
/// knows, for they may come from behind the place where the message was taken.
fn judge(status: StatusCode, body: Body, after: Option<Duration>) -> Answer {
    if status.is_success() {
        return Answer::Taken { id: body.sid };
    }
    let reason = body.code.map_or_else(|| format!("http_{}", status.as_u16()), |code| format!("twilio_{code}"));
    let not_now = |trouble| Answer::NotNow { trouble, after, reason: reason.clone() };
    match (body.code, status.as_u16()) {
        (Some(21_610), _) => Answer::Refused { reason: OPTED_OUT_AT_PROVIDER.into(), address: false },
        // No number, out of reach, no subscriber's number, a short code, not a mobile, a landline.
        (Some(21_211 | 21_214 | 21_217 | 21_265 | 21_614 | 21_635), _) => Answer::Refused { reason, address: true },
        // Too many requests; a sending rate or a queue of the sender is exceeded.
        (Some(20_429 | 14_107 | 21_611), _) | (_, 429) => not_now(Trouble::Throttled),
        // Wrong credentials, account not active, forbidden, no such account; or a base URL that leads elsewhere.
        (Some(20_003 | 20_005 | 20_403 | 20_404), _) | (None, 300..=399 | 401 | 403 | 404) => not_now(Trouble::Credentials),
        (_, 408 | 503) => not_now(Trouble::Unavailable),
        (_, 500..) => Answer::Unsure { reason },
        _ => Answer::Refused { reason, address: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_until_a_date() {
        let now = "2026-03-01T09:00:00Z".parse().unwrap();
        assert_eq!(pause("7", now), Some(Duration::from_secs(7)));
        assert_eq!(pause("Sun, 01 Mar 2026 09:00:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(pause("soon", now), None);
    }

    #[test]
    fn answers_mean_what_twilio_says_they_mean() {
        let said = |status, code| judge(StatusCode::from_u16(status).unwrap(), Body { sid: None, code }, None);
        assert_eq!(said(201, None), Answer::Taken { id: None });
        assert_eq!(said(400, Some(21_211)), Answer::Refused { reason: "twilio_21211".into(), address: true });
        assert_eq!(said(400, Some(21_610)), Answer::Refused { reason: OPTED_OUT_AT_PROVIDER.into(), address: false });
        assert_eq!(said(400, Some(21_408)), Answer::Refused { reason: "twilio_21408".into(), address: false });
        for (status, code, expected) in [
            (429, Some(20_429), Trouble::Throttled),
            (400, Some(21_611), Trouble::Throttled),
            (401, Some(20_003), Trouble::Credentials),
            (302, None, Trouble::Credentials),
            (503, None, Trouble::Unavailable),
        ] {
            assert!(matches!(said(status, code), Answer::NotNow { trouble, .. } if trouble == expected), "{status}");
        }
        for status in [500, 502, 504] {
            assert!(matches!(said(status, None), Answer::Unsure { .. }), "{status}");
        }
    }
}
