//! One Kafka node, broker and controller in one (KRaft), from the jars that `tests/harness/fetch-kafka.sh` fetches.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    topic_partition_list::{Offset, TopicPartitionList},
};
use tempfile::TempDir;

use crate::{
    Missing, cache, folder, free_port, need,
    process::{Process, finds, tail},
    root,
};

/// How long a node may take to start: seconds on an idle machine.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// The cluster id that the node is formatted with; any 16 bytes in base 64 would do.
const CLUSTER_ID: &str = "Y2FydHdoZWVsLXRlc3RzIQ";

/// A Kafka node. Dropping it kills it and removes its data.
pub struct Kafka {
    folder: TempDir,
    port: u16,
    guarded_port: Option<u16>,
    process: Option<Process>,
}

/// The node that all tests of a test binary share, started by the first; none where it cannot be had. Use topics of your own, and start
/// a node of your own ([`Kafka::start`]) to stop or kill it.
///
/// # Panics
/// If it cannot be had and `CI=true`.
pub fn kafka() -> Option<&'static Kafka> {
    static SHARED: OnceLock<Result<Kafka, Missing>> = OnceLock::new();
    let shared = SHARED.get_or_init(Kafka::start);
    need(shared.as_ref().map_err(Clone::clone))
}

impl Kafka {
    /// Starts a node and waits until it answers.
    ///
    /// # Errors
    /// If jars, Java or ports cannot be had, or it does not come up.
    pub fn start() -> Result<Self, Missing> {
        let folder = folder()?;
        Self::begin(folder, None, "")
    }

    /// Starts a node that listens a second time with TLS and asks there for this user and password (SASL PLAIN).
    ///
    /// # Errors
    /// As [`Kafka::start`], and if `openssl` cannot be had.
    pub fn start_guarded(user: &str, password: &str) -> Result<Self, Missing> {
        let folder = folder()?;
        let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("ca.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .map_err(|error| Missing::new(format!("could not run openssl: {error}")))?;
        if !made.status.success() {
            return Err(Missing::new(format!("openssl made no certificate: {}", String::from_utf8_lossy(&made.stderr))));
        }
        let read = |path: &Path| std::fs::read_to_string(path).map_err(Missing::new);
        let store = folder.path().join("store.pem");
        std::fs::write(&store, read(&key)? + &read(&certificate)?).map_err(Missing::new)?;
        let port = free_port()?;
        let settings = format!(
            "listener.name.guarded.ssl.keystore.type=PEM\n\
             listener.name.guarded.ssl.keystore.location={}\n\
             listener.name.guarded.sasl.enabled.mechanisms=PLAIN\n\
             listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
             user_{user}=\"{password}\";\n",
            store.display()
        );
        Self::begin(folder, Some(port), &settings)
    }

    fn begin(folder: TempDir, guarded_port: Option<u16>, more: &str) -> Result<Self, Missing> {
        let libs = jars()?;
        let (port, controller) = (free_port()?, free_port()?);
        let settings = settings(folder.path(), port, guarded_port, controller) + more;
        let file = folder.path().join("server.properties");
        std::fs::write(&file, settings).map_err(Missing::new)?;
        let formatted = Command::new("java")
            .args(java(&libs, folder.path()))
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
            .arg(&file)
            .output()
            .map_err(|error| Missing::new(format!("could not run java: {error}")))?;
        if !formatted.status.success() {
            return Err(Missing::new(format!("could not format kafka's folder: {}", String::from_utf8_lossy(&formatted.stderr))));
        }
        let mut node = Self { folder, port, guarded_port, process: None };
        node.launch(&libs)?;
        Ok(node)
    }

    /// Where it listens, `host:port`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it listens with TLS and asks for a password.
    ///
    /// # Panics
    /// If it was not started by [`Kafka::start_guarded`].
    pub fn guarded_bootstrap(&self) -> String {
        let Some(port) = self.guarded_port else { panic!("this node is not guarded") };
        format!("127.0.0.1:{port}")
    }

    /// The certificate of the authority that a guarded node's own comes from.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Kills the node as a power cut would; its data stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port and data.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&mut self) -> Result<(), Missing> {
        self.kill();
        self.launch(&jars()?)
    }

    /// Freezes the node; nothing is answered until [`Kafka::thaw`].
    pub fn freeze(&self) {
        self.process.iter().for_each(|process| process.signal("STOP"));
    }

    /// Lets a frozen node go on.
    pub fn thaw(&self) {
        self.process.iter().for_each(|process| process.signal("CONT"));
    }

    /// Creates a topic and waits until it can be used.
    ///
    /// # Panics
    /// If the node refuses.
    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let topic = NewTopic { name, num_partitions: partitions, replication: TopicReplication::Fixed(1), config: settings.to_vec() };
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let created = self.admin().create_topics([&topic], &options).await;
        let created = created.unwrap_or_else(|error| panic!("could not create topic {name}: {error}"));
        created.into_iter().for_each(|result| assert!(result.is_ok(), "could not create a topic: {result:?}"));
    }

    /// Deletes a topic.
    ///
    /// # Panics
    /// If the node refuses.
    pub async fn delete_topic(&self, name: &str) {
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let deleted = self.admin().delete_topics(&[name], &options).await;
        let deleted = deleted.unwrap_or_else(|error| panic!("could not delete topic {name}: {error}"));
        deleted.into_iter().for_each(|result| assert!(result.is_ok(), "could not delete a topic: {result:?}"));
    }

    /// Deletes the records of a partition below an offset, as retention would.
    ///
    /// # Panics
    /// If the node refuses.
    pub async fn delete_records(&self, topic: &str, partition: i32, below: i64) {
        let mut list = TopicPartitionList::new();
        let added = list.add_partition_offset(topic, partition, Offset::Offset(below));
        assert!(added.is_ok(), "not an offset: {below}");
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let deleted = self.admin().delete_records(&list, &options).await;
        assert!(deleted.is_ok(), "could not delete records of {topic}: {:?}", deleted.err());
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        let client = ClientConfig::new().set("bootstrap.servers", self.bootstrap()).create();
        client.unwrap_or_else(|error| panic!("could not make an admin client: {error}"))
    }

    fn launch(&mut self, libs: &Path) -> Result<(), Missing> {
        let log = self.folder.path().join("kafka.log");
        let mut arguments = java(libs, self.folder.path());
        arguments.extend(["kafka.Kafka".to_owned(), self.folder.path().join("server.properties").display().to_string()]);
        let mut process = Process::start("java", &arguments, &log)?;
        let deadline = Instant::now() + START_PATIENCE;
        while !self.answers() {
            if process.has_ended() || Instant::now() > deadline {
                return Err(Missing::new(format!("kafka did not come up; the end of its log:\n{}", tail(&log))));
            }
        }
        self.process = Some(process);
        Ok(())
    }

    /// Whether the broker tells its cluster's topics. A refused connection is answered at once, so a short pause lies in the question.
    fn answers(&self) -> bool {
        let client: Result<rdkafka::consumer::BaseConsumer, _> =
            ClientConfig::new().set("bootstrap.servers", self.bootstrap()).set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg).create();
        client.is_ok_and(|client| {
            let metadata = rdkafka::consumer::Consumer::fetch_metadata(&client, None, Duration::from_millis(300));
            metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
        })
    }
}

/// The jars, fetched where they are not there yet.
fn jars() -> Result<PathBuf, Missing> {
    if finds("java").is_none() {
        return Err(Missing::new("java is missing; install Java 17 or later, or run make setup"));
    }
    let libs = cache().join("kafka/libs");
    let script = root().join("tests/harness/fetch-kafka.sh");
    let fetched = Command::new(&script).arg(&libs).output();
    let fetched = fetched.map_err(|error| Missing::new(format!("could not run {}: {error}", script.display())))?;
    if fetched.status.success() {
        Ok(libs)
    } else {
        Err(Missing::new(format!("kafka could not be fetched: {}", String::from_utf8_lossy(&fetched.stderr).trim())))
    }
}

/// What every run of Java gets: little memory, a fast start, warnings only.
fn java(libs: &Path, folder: &Path) -> Vec<String> {
    [
        "-Xmx512m".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn".to_owned(),
        format!("-Dkafka.logs.dir={}", folder.display()),
        "-cp".to_owned(),
        format!("{}/*", libs.display()),
    ]
    .into()
}

fn settings(folder: &Path, port: u16, guarded_port: Option<u16>, controller: u16) -> String {
    let clients = [Some(("PLAINTEXT", port)), guarded_port.map(|port| ("GUARDED", port))];
    let clients: Vec<String> = clients.into_iter().flatten().map(|(name, port)| format!("{name}://127.0.0.1:{port}")).collect();
    let clients = clients.join(",");
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         controller.listener.names=CONTROLLER\n\
         listeners={clients},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={clients}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,GUARDED:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n",
        folder.join("data").display()
    )
}
