//! The Twilio client against a server on this machine that answers as Twilio does.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::post,
};
use cartwheel_dispatcher::providers::{Answer, OPTED_OUT_AT_PROVIDER, Provider, Trouble, Twilio, TwilioConfig};
use cartwheel_engine::effect::Message;
use cartwheel_language::Class;
use cartwheel_runtime::{clock::Clock, config::Secret};
use tokio::net::TcpListener;
use url::Url;

use crate::stage::Stage;

/// Status, `Retry-After` and body.
type Said = (u16, Option<&'static str>, &'static str);

/// What the server was asked, and what it answers; none hangs.
#[derive(Clone, Default)]
struct Server {
    asked: Arc<Mutex<Vec<(Uri, HeaderMap, String)>>>,
    answer: Arc<Mutex<Option<Said>>>,
}

async fn answer(State(server): State<Server>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    server.asked.lock().unwrap().push((uri, headers, body));
    let answer = *server.answer.lock().unwrap();
    let Some((status, retry_after, body)) = answer else { return std::future::pending().await };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.parse().unwrap());
    }
    response
}

impl Server {
    async fn start(answers: Said) -> (Self, Url) {
        let server = Self::default();
        server.say(answers);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let router = Router::new().route("/2010-04-01/Accounts/AC1/Messages.json", post(answer)).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, url)
    }

    fn say(&self, answers: Said) {
        *self.answer.lock().unwrap() = Some(answers);
    }
}

fn client(base_url: Url) -> Twilio {
    let config = TwilioConfig {
        base_url,
        account_sid: "AC1".into(),
        api_key: None,
        auth_token: Secret::new("hush"),
        messaging_service_sid: Some("MG1".into()),
        status_callback: Some(Url::parse("https://hooks.example/callbacks/main/status").unwrap()),
        connect_timeout: Duration::from_secs(2),
        timeout: Duration::from_millis(500),
    };
    Twilio::new(config, Clock::system()).unwrap()
}

fn message() -> Message {
    Stage::new().message(Class::Transactional, 1)
}

#[tokio::test]
async fn a_message_is_posted_in_twilio_s_form_with_all_that_a_receipt_needs() {
    let (server, url) = Server::start((201, None, r#"{"sid": "SM1", "status": "queued"}"#)).await;
    let (client, message) = (client(url), message());
    assert_eq!(client.hand_over(&message).await, Answer::Taken { id: Some("SM1".into()) });
    let (_, headers, body) = server.asked.lock().unwrap().remove(0);
    assert_eq!(headers[header::AUTHORIZATION], "Basic QUMxOmh1c2g=", "AC1:hush");
    assert_eq!(headers["idempotency-key"], message.id.as_str());
    let form: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    assert_eq!(form["To"], message.address);
    assert_eq!(form["Body"], message.text);
    assert_eq!(form["MessagingServiceSid"], "MG1");
    let callback = Url::parse(&form["StatusCallback"]).unwrap();
    let query: Vec<(String, String)> = callback.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    let expected = [("s", "acme"), ("m", message.id.as_str()), ("c", message.customer.as_str())];
    assert_eq!(query, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert!(form["ValidityPeriod"].parse::<u32>().unwrap() >= 1);

    let named = Message { from: Some("Acme".into()), ..message };
    client.hand_over(&named).await;
    let (_, _, body) = server.asked.lock().unwrap().remove(0);
    assert!(body.contains("From=Acme") && !body.contains("MessagingServiceSid"));
}

#[tokio::test]
async fn answers_are_told_apart_by_code_status_and_retry_after() {
    let (server, url) = Server::start((201, None, "{}")).await;
    let (client, message) = (client(url), message());
    let not_now = |trouble, after: Option<u64>, reason: &str| Answer::NotNow {
        trouble,
        after: after.map(Duration::from_secs),
        reason: reason.into(),
    };
    for (said, meant) in [
        ((201, None, "not what was promised"), Answer::Taken { id: None }),
        ((400, None, r#"{"code": 21211, "message": "..."}"#), Answer::Refused { reason: "twilio_21211".into(), address: true }),
        ((400, None, r#"{"code": 21610}"#), Answer::Refused { reason: OPTED_OUT_AT_PROVIDER.into(), address: false }),
        ((400, None, "<html>"), Answer::Refused { reason: "http_400".into(), address: false }),
        ((429, Some("7"), r#"{"code": 20429}"#), not_now(Trouble::Throttled, Some(7), "twilio_20429")),
        ((401, None, r#"{"code": 20003}"#), not_now(Trouble::Credentials, None, "twilio_20003")),
        ((503, Some("2"), ""), not_now(Trouble::Unavailable, Some(2), "http_503")),
        ((500, None, ""), Answer::Unsure { reason: "http_500".into() }),
        ((307, None, ""), not_now(Trouble::Credentials, None, "http_307")),
    ] {
        server.say(said);
        assert_eq!(client.hand_over(&message).await, meant, "{said:?}");
    }
}

#[tokio::test]
async fn a_time_out_behind_the_request_is_unsure_and_a_connection_that_fails_is_surely_nothing() {
    let (server, url) = Server::start((201, None, "{}")).await;
    *server.answer.lock().unwrap() = None;
    assert_eq!(client(url).hand_over(&message()).await, Answer::Unsure { reason: "timed_out".into() });
    assert_eq!(server.asked.lock().unwrap().len(), 1, "one call is one request");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = Url::parse(&format!("http://{}", closed.local_addr().unwrap())).unwrap();
    drop(closed);
    let answer = client(nobody).hand_over(&message()).await;
    assert_eq!(answer, Answer::NotNow { trouble: Trouble::Unavailable, after: None, reason: "no_connection".into() });
}

#[tokio::test]
async fn a_connection_that_breaks_behind_the_request_is_unsure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 16];
        stream.readable().await.unwrap();
        let _ = stream.try_read(&mut first);
    });
    assert_eq!(client(url).hand_over(&message()).await, Answer::Unsure { reason: "connection_lost".into() });
    server.await.unwrap();
}
