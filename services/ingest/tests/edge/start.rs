//! Starts an ingest for one test, and looks at what it left on the log.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cartwheel_engine::input::Input;
use cartwheel_ingest::{
    app::{Handles, run},
    config::{Config, IngestConfig},
    sources::{NoGroups, SourceGroups},
};
use cartwheel_runtime::{
    admin::Readiness,
    clock::Clock,
    config::{self, Problems},
    installation::InstallationConfig,
    log::{Bounds, From, Log, LogError, Offset, Outgoing, Partition, Reader},
    memory_log::MemoryLog,
    service::Failure,
};
use cartwheel_wire::{CampaignFile, Codec, DeadLetter, EventBody, EventRecord, Revision, Topics, pseudonym::Pseudonyms};
use futures::future::BoxFuture;
use jiff::Timestamp;
use prometheus::Registry;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const SECRET: &str = "a secret key of the tests";
pub const BROWSER: &str = "a browser key of the tests";
pub const TOKEN: &str = "12345";
pub const PUBLIC_URL: &str = "https://events.acme.example";
pub const SEAL: &str = "a link key of the tests, 32 bytes!";
pub const PSEUDONYM: &str = "a pseudonym key of the tests, 32 b";

/// A shop with an HTTP source, a topic, and a number that customers can write to.
pub const SHOP: &str = r#"
grammar: 1
shop: acme
name: Acme & Sons
url: https://acme.example
phone: "+44 20 7946 0123"
zone: Europe/London
languages: [en]
currencies: [GBP]
senders: { sms: { provider: sms-main, from: "+44 7400 000001", footer: { en: "Stop: {{ link(opt_out) }}" } } }
links: { domain: acme.example }
keywords: { stop: [basta] }
objects:
  order: { id: order_id, events: [Order Completed] }
sources:
  app: { http: { form: segment, write_key: app-write-key } }
  web: { http: { form: segment, write_key: web-write-key } }
  clicks:
    topic: acme.clicks
    format: json
    id: record.uid
    time: "timestamp(record.at)"
    customer: { user_id: record.account, anonymous_id: record.visitor, phone: record.mobile }
    name: record.kind
    events:
      put: { event: Product Added, properties: { cart_id: record.cart, price: hundredths(record.pence), coupon: record.coupon } }
    others: refuse
"#;

/// A log that can be told to be away.
#[derive(Clone)]
pub struct TestLog {
    pub memory: MemoryLog,
    pub away: Arc<AtomicBool>,
    pub silent: Arc<AtomicBool>,
}

impl Log for TestLog {
    fn append(&self, records: Vec<Outgoing>) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        if self.away.load(Ordering::SeqCst) {
            return Box::pin(async { Err(LogError::Unavailable("no broker answers".to_owned())) });
        }
        if self.silent.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        self.memory.append(records)
    }

    fn open(&self, topic: &str, partition: Partition, from: From) -> BoxFuture<'_, Result<Box<dyn Reader>, LogError>> {
        self.memory.open(topic, partition, from)
    }

    fn bounds(&self, topic: &str, partition: Partition) -> BoxFuture<'_, Result<Bounds, LogError>> {
        self.memory.bounds(topic, partition)
    }

    fn ends(&self, topic: &str) -> BoxFuture<'_, Result<Vec<Offset>, LogError>> {
        self.memory.ends(topic)
    }
}

/// An ingest that runs until it is dropped.
pub struct Edge<L = TestLog> {
    pub url: String,
    pub log: L,
    pub topics: Topics,
    pub client: reqwest::Client,
    pub stop: CancellationToken,
    running: Option<JoinHandle<Result<(), Failure>>>,
}

impl<L> Drop for Edge<L> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The settings of the tests, with changes.
pub fn settings(change: impl FnOnce(&mut IngestConfig)) -> IngestConfig {
    let environment = [
        ("PSEUDONYM_KEY", PSEUDONYM),
        ("LINK_KEY", SEAL),
        ("KEYS__APP_WRITE_KEY", SECRET),
        ("BROWSER_KEYS__WEB_WRITE_KEY", BROWSER),
        ("HTTP__PUBLIC_URL", PUBLIC_URL),
        ("PROVIDERS__SMS_MAIN__AUTH_TOKEN", TOKEN),
        ("SOURCES__PATIENCE", "10ms"),
        ("SOURCES__LOOK_EVERY", "10ms"),
    ];
    let environment = environment.map(|(name, value)| (format!("CARTWHEEL_INGEST__{name}"), value.to_owned()));
    let config: Result<Config, Problems> = config::load(None, environment);
    let mut config = config.unwrap().ingest;
    change(&mut config);
    config
}

pub async fn edge() -> Edge {
    edge_with(settings(|_| {})).await
}

pub async fn edge_with(config: IngestConfig) -> Edge {
    let memory = MemoryLog::new(Clock::system());
    let topics = Topics::new("cartwheel", 1, 4);
    for (topic, partitions) in [(&*topics.events, 4), (&*topics.dead_letters, 4), (&*topics.campaigns, 1), ("acme.clicks", 2)] {
        memory.create_topic(topic, partitions);
    }
    let log = TestLog { memory, away: Arc::default(), silent: Arc::default() };
    let edge = edge_on(log.clone(), Arc::new(NoGroups::new(Arc::new(log))), config).await;
    edge.apply("acme", 1, SHOP).await;
    edge.eventually("the shop is known", || async {
        edge.track(serde_json::json!({ "userId": "ready", "event": "Ready" })).send().await.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    edge
}

/// An ingest on a log that is there.
pub async fn edge_on<L: Log + Clone>(log: L, groups: Arc<dyn SourceGroups>, config: IngestConfig) -> Edge<L> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stop = CancellationToken::new();
    let handles = Handles {
        log: Arc::new(log.clone()),
        clock: Clock::system(),
        groups,
        listener,
        codec: Codec::single_object(),
        registry: Registry::new(),
        readiness: Readiness::new(),
    };
    let installation = InstallationConfig { name: "test".to_owned(), prefix: "cartwheel".to_owned(), generation: 1, partitions: 4 };
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { run(&config, &installation, handles, stop).await }
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Edge { url, log, topics: Topics::new("cartwheel", 1, 4), client, stop, running: Some(running) }
}

impl<L: Log> Edge<L> {
    /// Stops it and waits until all is handed in.
    pub async fn end(mut self) {
        self.stop.cancel();
        let running = self.running.take().unwrap();
        tokio::time::timeout(Duration::from_secs(20), running).await.expect("it ends in time").unwrap().unwrap();
    }

    /// Applies a shop file, as the CLI does.
    pub async fn apply(&self, shop: &str, number: u32, text: &str) {
        let codec = Codec::single_object();
        let file = CampaignFile { shop: shop.to_owned(), file: "shop.yaml".to_owned(), version: number, text: text.to_owned() };
        let revision = Revision {
            shop: shop.to_owned(),
            number,
            predecessor: number - 1,
            files: BTreeMap::from([("shop.yaml".to_owned(), number)]),
            states: BTreeMap::new(),
            engine_level: 1,
            time_zone_data: String::new(),
            phone_data: String::new(),
            effective_at: None,
            by: "test".to_owned(),
            at: Timestamp::now(),
        };
        let record = |key: String, value: Vec<u8>| Outgoing {
            topic: self.topics.campaigns.clone(),
            partition: 0,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Vec::new(),
        };
        let records = vec![record(file.key(), file.encode(&codec)), record(revision.key(), revision.encode(&codec))];
        self.log.append(records).await.unwrap();
    }

    /// Polls until `holds`, at most thirty seconds.
    pub async fn eventually<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        while !holds().await {
            assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Edge {
    pub fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url)).body(body)
    }

    /// A `track` with the secret key.
    pub fn track(&self, message: Value) -> RequestBuilder {
        self.post("/v1/track", message.to_string()).basic_auth(SECRET, Some("")).header("content-type", "application/json")
    }

    /// A batch with the secret key.
    pub fn batch(&self, messages: Value) -> RequestBuilder {
        self.post("/v1/batch", serde_json::json!({ "batch": messages }).to_string()).basic_auth(SECRET, Some(""))
    }

    /// All inputs on the log but those of the start, by partition and offset.
    pub fn inputs(&self) -> Vec<Input> {
        let records = (0..4).flat_map(|partition| self.log.memory.records(&self.topics.events, partition));
        let inputs = records.map(|record| {
            let event = EventRecord::decode(&Codec::single_object(), &record.value.unwrap()).unwrap();
            assert_eq!((event.origin, record.key.unwrap()), (None, event.key().into()));
            let EventBody::Customer(input) = event.body else { panic!("an activation") };
            assert_eq!(record.partition, self.topics.partition_of(&input.key));
            input
        });
        inputs.filter(|input| input.key.name() != "ready").collect()
    }

    /// All dead letters.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let records = (0..4).flat_map(|partition| self.log.memory.records(&self.topics.dead_letters, partition));
        records.map(|record| DeadLetter::decode(&Codec::single_object(), &record.value.unwrap()).unwrap()).collect()
    }
}

pub fn pseudonyms() -> Pseudonyms {
    Pseudonyms::new(PSEUDONYM).unwrap()
}

/// The status and the JSON of an answer.
pub async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON with status {status}: {text}")))
}
