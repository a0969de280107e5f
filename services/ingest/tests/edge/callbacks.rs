//! Callbacks of providers, signed as they sign.

use base64::{Engine, engine::general_purpose::STANDARD};
use cartwheel_engine::input::{Fact, OptOutBy, OutcomeResult};
use cartwheel_language::Channel;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::RequestBuilder;
use sha1::Sha1;

use crate::start::*;

const MESSAGE: &str = "0123456789abcdef0123456789abcdef";
const NUMBER: &str = "+447400123456";
const SENDER: &str = "+447400000001";

fn signature(path: &str, fields: &[(&str, &str)]) -> String {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(format!("{PUBLIC_URL}{path}").as_bytes());
    sorted.iter().for_each(|(name, value)| mac.update(format!("{name}{value}").as_bytes()));
    STANDARD.encode(mac.finalize().into_bytes())
}

fn form(edge: &Edge, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    edge.client.post(format!("{}{path}", edge.url)).form(fields)
}

async fn called(edge: &Edge, path: &str, fields: &[(&str, &str)]) {
    let answer = form(edge, path, fields).header("x-twilio-signature", signature(path, fields)).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "text/xml; charset=utf-8"));
    assert_eq!(answer.text().await.unwrap(), "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>");
}

fn status_path() -> String {
    format!("/callbacks/sms-main/status?s=acme&m={MESSAGE}&c=acme%2Fuser%3A42")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_becomes_the_outcome_of_its_message_and_a_repeat_has_the_same_id() {
    let edge = edge().await;
    let receipt =
        |state: &'static str, code: &'static str| [("MessageSid", "SM1"), ("MessageStatus", state), ("ErrorCode", code), ("To", NUMBER)];
    for (state, code) in [("queued", ""), ("sent", ""), ("delivered", ""), ("delivered", ""), ("undelivered", "30006"), ("failed", "21610")]
    {
        called(&edge, &status_path(), &receipt(state, code)).await;
    }
    let inputs = edge.inputs();
    let outcomes: Vec<_> = inputs
        .iter()
        .filter_map(|input| match &input.fact {
            Fact::Outcome(outcome) => {
                assert_eq!((input.key.as_str(), outcome.message.as_str()), ("acme/user:42", MESSAGE));
                Some((input.id.as_str(), outcome.result.clone()))
            }
            _ => None,
        })
        .collect();
    let failed = |reason: &str, address| OutcomeResult::Failed { reason: reason.to_owned(), address };
    assert_eq!(
        outcomes,
        [
            ("receipt/SM1/sent", OutcomeResult::Sent),
            ("receipt/SM1/delivered", OutcomeResult::Delivered),
            ("receipt/SM1/delivered", OutcomeResult::Delivered),
            ("receipt/SM1/undelivered", failed("30006", true)),
            ("receipt/SM1/failed", failed("21610", false)),
        ]
    );
    let home = pseudonyms().phone("acme", NUMBER).unwrap();
    assert!(inputs.iter().any(|input| input.key == home && input.fact == Fact::OptedOut { channel: Channel::Sms, by: OptOutBy::Provider }));
}

#[tokio::test(flavor = "multi_thread")]
async fn r68_stop_start_and_other_words_reach_the_numbers_own_home() {
    let edge = edge().await;
    let path = "/callbacks/sms-main/inbound";
    let words = ["STOP", "Basta!", "start", "help", "when do you open?", ""];
    for (index, body) in words.iter().enumerate() {
        let sid = format!("SM{index}");
        called(&edge, path, &[("MessageSid", &sid), ("From", NUMBER), ("To", SENDER), ("Body", body)]).await;
    }
    called(&edge, path, &[("MessageSid", "SM9"), ("From", NUMBER), ("To", SENDER), ("Body", "nein danke"), ("OptOutType", "STOP")]).await;
    let channel = Channel::Sms;
    let stop = Fact::OptedOut { channel, by: OptOutBy::Keyword };
    let facts: Vec<Fact> = edge
        .inputs()
        .into_iter()
        .inspect(|input| assert_eq!(input.key, pseudonyms().phone("acme", NUMBER).unwrap()))
        .map(|input| input.fact)
        .collect();
    let replied = |help| Fact::Replied { channel, help };
    assert_eq!(facts, [stop.clone(), stop.clone(), Fact::OptedIn { channel }, replied(true), replied(false), replied(false), stop]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r68_a_stop_that_may_be_meant_for_two_shops_stops_both_and_nothing_else_is_guessed() {
    let edge = edge().await;
    edge.apply("other", 1, &SHOP.replace("shop: acme", "shop: other").replace("app-write-key", "k1").replace("web-write-key", "k2")).await;
    let path = "/callbacks/sms-main/inbound";
    edge.eventually("both shops are stopped", || async {
        called(&edge, path, &[("MessageSid", "SM1"), ("From", NUMBER), ("To", SENDER), ("Body", "STOP")]).await;
        edge.inputs().iter().any(|input| input.key.shop() == "other")
    })
    .await;
    assert!(edge.inputs().iter().any(|input| input.key.shop() == "acme"));
    let before = edge.inputs().len();
    called(&edge, path, &[("MessageSid", "SM2"), ("From", NUMBER), ("To", SENDER), ("Body", "start")]).await;
    assert_eq!(edge.inputs().len(), before);
    let letters = edge.dead_letters();
    assert_eq!((letters.len(), letters[0].reason.as_str()), (1, "unknown_number"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_provider_itself_is_believed() {
    let edge = edge().await;
    let path = "/callbacks/sms-main/inbound";
    let fields = [("MessageSid", "SM1"), ("From", NUMBER), ("To", SENDER), ("Body", "STOP")];
    let right = signature(path, &fields);
    let forged = [
        form(&edge, path, &fields),
        form(&edge, path, &fields).header("x-twilio-signature", signature(path, &fields[..3])),
        form(&edge, "/callbacks/sms-main/status", &fields).header("x-twilio-signature", &right),
        form(&edge, path, &fields[..3]).header("x-twilio-signature", &right),
        form(&edge, path, &fields)
            .header("x-twilio-signature", signature(&format!("{path}?s=acme"), &fields))
            .header("x-forwarded-host", "evil.example"),
    ];
    for request in forged {
        let (status, body) = answer(request.send().await.unwrap()).await;
        assert_eq!((status, body["code"].as_str()), (403, Some("bad_signature")));
    }
    let unknown = form(&edge, "/callbacks/nobody/inbound", &fields).header("x-twilio-signature", &right).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
    assert!(edge.inputs().is_empty() && edge.dead_letters().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_callback_that_is_not_understood_is_kept_and_not_refused() {
    let edge = edge().await;
    called(&edge, &status_path(), &[("MessageSid", "SM1"), ("MessageStatus", "teleported")]).await;
    called(&edge, "/callbacks/sms-main/status?s=acme&m=short&c=acme%2Fuser%3A42", &[("MessageSid", "SM1"), ("MessageStatus", "sent")])
        .await;
    called(
        &edge,
        &format!("/callbacks/sms-main/status?s=other&m={MESSAGE}&c=acme%2Fuser%3A42"),
        &[("MessageSid", "SM1"), ("MessageStatus", "sent")],
    )
    .await;
    called(&edge, "/callbacks/sms-main/inbound", &[("MessageSid", "SM1"), ("From", "Bank"), ("To", SENDER), ("Body", "hi")]).await;
    called(&edge, "/callbacks/sms-main/inbound", &[("From", NUMBER), ("To", SENDER), ("Body", "STOP")]).await;
    assert!(edge.inputs().is_empty());
    assert_eq!(edge.dead_letters().len(), 5);
}
