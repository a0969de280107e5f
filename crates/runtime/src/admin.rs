//! The admin server: `/live`, `/ready` and `/metrics`.
//!
//! A process is live while it answers; it is ready while every [`Condition`] holds. Liveness never depends on Kafka or Redis: to
//! restart a service because its store is away would only add a restart to the outage.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus::{Encoder, Registry, TextEncoder};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Problems;

/// The section `[admin]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port; empty turns the server off.
    pub listen: String,
}

impl AdminConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("../defaults/admin.toml");

    /// Reports an address that cannot be read.
    pub fn validate(&self, problems: &mut Problems) {
        let readable = self.listen.is_empty() || self.listen.parse::<SocketAddr>().is_ok();
        problems.require(readable, "admin.listen", format!("{:?} is not an address with a port, such as \"0.0.0.0:9100\"", self.listen));
    }
}

/// Whether a process is ready: all named conditions hold. Copies are the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<String, Option<String>>>>);

/// One thing that readiness depends on; it does not hold until told so.
#[derive(Clone, Debug)]
pub struct Condition {
    readiness: Readiness,
    name: String,
}

impl Readiness {
    /// Ready, with no condition yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition, which does not hold yet.
    pub fn condition(&self, name: impl Into<String>) -> Condition {
        let condition = Condition { readiness: self.clone(), name: name.into() };
        condition.fails("not there yet");
        condition
    }

    /// Whether all conditions hold.
    pub fn is_ready(&self) -> bool {
        self.unmet().is_empty()
    }

    /// Whether this condition is there and holds.
    pub fn is_met(&self, name: &str) -> bool {
        matches!(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name), Some(None))
    }

    /// The conditions that do not hold, with the reasons.
    pub fn unmet(&self) -> BTreeMap<String, String> {
        let conditions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.iter().filter_map(|(name, reason)| Some((name.clone(), reason.clone()?))).collect()
    }

    fn set(&self, name: &str, reason: Option<String>) {
        let mut conditions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.insert(name.to_owned(), reason);
    }
}

impl Condition {
    /// From now on the condition holds.
    pub fn holds(&self) {
        self.readiness.set(&self.name, None);
    }

    /// From now on it does not, for this reason.
    pub fn fails(&self, reason: impl Into<String>) {
        self.readiness.set(&self.name, Some(reason.into()));
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Answers on `listener` until `stop`.
///
/// # Errors
/// Those of the listener.
pub async fn serve(listener: TcpListener, registry: Registry, readiness: Readiness, stop: CancellationToken) -> std::io::Result<()> {
    let router = Router::new()
        .route("/live", get(|| async { "live\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state((registry, readiness));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

type Served = State<(Registry, Readiness)>;

async fn ready(State((_, readiness)): Served) -> Response {
    let unmet = readiness.unmet();
    let status = if unmet.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(serde_json::json!({ "ready": unmet.is_empty(), "unmet": unmet }))).into_response()
}

async fn metrics(State((registry, _)): Served) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The status line and the body of an answer.
    async fn get(address: SocketAddr, path: &str) -> (String, String) {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let question = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn an_unready_process_is_live_and_says_what_it_waits_for() {
        let (registry, readiness, stop) = (Registry::new(), Readiness::new(), CancellationToken::new());
        let folded = prometheus::IntCounter::new("cartwheel_evaluator_records_total", "Records folded.").unwrap();
        registry.register(Box::new(folded.clone())).unwrap();
        folded.inc();
        let kafka = readiness.condition("kafka");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, registry, readiness, stop.clone()));

        kafka.fails("no broker answers");
        assert_eq!(get(address, "/live").await.0, "HTTP/1.1 200 OK");
        let (status, body) = get(address, "/ready").await;
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        assert!(body.contains(r#""kafka":"no broker answers""#), "{body}");
        kafka.holds();
        assert_eq!(get(address, "/ready").await.0, "HTTP/1.1 200 OK");
        assert!(get(address, "/metrics").await.1.contains("cartwheel_evaluator_records_total 1"));

        stop.cancel();
        server.await.unwrap().unwrap();
    }

    #[test]
    fn a_process_is_ready_only_while_every_condition_holds() {
        let readiness = Readiness::new();
        let (kafka, redis) = (readiness.condition("kafka"), readiness.condition("redis"));
        kafka.holds();
        assert!(!readiness.is_ready());
        redis.holds();
        assert!(readiness.is_ready());
        kafka.fails("no broker answers");
        assert_eq!(readiness.unmet(), BTreeMap::from([("kafka".to_owned(), "no broker answers".to_owned())]));
    }
}
