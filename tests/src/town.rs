//! A whole installation on real Kafka and real Redis: topics, a shop, and the four services as processes of their own.
//!
//! Services may be killed, started again, and started twice.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use serde_json::{Value, json};

use crate::{Kafka, Missing, Provider, Redis, free_port, process::Process, root, unique};

/// The services, by the names of their binaries.
pub const SERVICES: [&str; 4] = ["ingest", "trigger-evaluator", "delay-timer", "dispatcher"];

/// The write key of the shop's HTTP source.
const WRITE_KEY: &str = "end-to-end-write-key";

/// What the provider signs callbacks with.
const CALLBACK_TOKEN: &str = "end-to-end-callback-token";

/// Builds the services beside the test that runs.
///
/// # Errors
/// When they do not build.
pub fn build_services() -> Result<(), Missing> {
    binaries().map(|_| ())
}

/// Where cargo puts the binaries that this test belongs to, built if they are not there.
fn binaries() -> Result<&'static Path, Missing> {
    static FOLDER: OnceLock<Result<PathBuf, Missing>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let test = std::env::current_exe().map_err(Missing::new)?;
        let folder = test.ancestors().nth(2).ok_or_else(|| Missing::new("the test is not where cargo puts tests"))?.to_owned();
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(root()).args(["build", "--locked", "--quiet", "--workspace", "--bins", "--target-dir"]);
        build.arg(folder.parent().unwrap_or(&folder));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().map_err(Missing::new)?;
        if built.success() { Ok(folder) } else { Err(Missing::new("the services do not build")) }
    });
    folder.as_deref().map_err(Clone::clone)
}

/// Runs one of the binaries to its end, with these variables of the environment and no others of Cartwheel's.
///
/// # Errors
/// When the binaries do not build or it cannot be run.
pub fn run_binary(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Output, Missing> {
    let mut command = Command::new(binaries()?.join(name));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("CARTWHEEL_")) {
        command.env_remove(variable);
    }
    command.args(arguments).envs(environment.iter().copied()).output().map_err(Missing::new)
}

/// An installation of its own on shared servers.
pub struct Town {
    folder: tempfile::TempDir,
    name: String,
    partitions: u32,
    bootstrap: String,
    provider: Provider,
    http: u16,
    /// By the name that each was started under.
    services: Mutex<BTreeMap<String, Process>>,
    /// Ports of the admin servers, by service; the second process of one has none.
    admin: BTreeMap<&'static str, u16>,
}

impl Town {
    /// Creates topics, applies the shop in `shop` (a folder with `shop.yaml` and `campaigns/`), and starts the four services.
    ///
    /// # Errors
    /// What cannot be had on this machine.
    ///
    /// # Panics
    /// When topics or campaigns are refused.
    pub fn start(kafka: &Kafka, redis: &Redis, partitions: u32, shop: &Path) -> Result<Self, Missing> {
        let town = Self::found(kafka, redis, partitions)?;
        town.command(&["topics", "create"]);
        town.apply(shop);
        for service in SERVICES {
            town.start_service(service)?;
        }
        Ok(town)
    }

    /// A configuration and a provider, with neither topics nor running services.
    ///
    /// # Errors
    /// What cannot be had on this machine.
    pub fn found(kafka: &Kafka, redis: &Redis, partitions: u32) -> Result<Self, Missing> {
        let provider = Provider::start()?;
        let folder = tempfile::tempdir().map_err(Missing::new)?;
        let (name, http) = (unique("town"), free_port()?);
        let config = config(&name, partitions, &kafka.bootstrap(), &redis.url(), http, &provider.url(), folder.path());
        std::fs::write(folder.path().join("cartwheel.toml"), config).map_err(Missing::new)?;
        let admin = SERVICES.into_iter().map(|service| Ok((service, free_port()?))).collect::<Result<_, Missing>>()?;
        Ok(Self { folder, name, partitions, bootstrap: kafka.bootstrap(), provider, http, services: Mutex::default(), admin })
    }

    /// Applies a shop.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply(&self, shop: &Path) {
        self.command(&["campaigns", "apply", &shop.display().to_string(), "--by", "end-to-end"]);
    }

    /// The prefix of its topics and of its keys in Redis.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of partitions.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    /// Where its Kafka listens.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The provider that messages go to.
    pub fn provider(&self) -> &Provider {
        &self.provider
    }

    /// Runs the `cartwheel` command on this installation and gives what it said.
    ///
    /// # Panics
    /// When it fails.
    pub fn command(&self, arguments: &[&str]) -> String {
        let run = self.try_command(arguments);
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "cartwheel {arguments:?} failed: {said}{}", String::from_utf8_lossy(&run.stderr));
        said
    }

    /// Runs the `cartwheel` command on this installation, whatever becomes of it.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn try_command(&self, arguments: &[&str]) -> Output {
        let program = binaries().map(|folder| folder.join("cartwheel")).unwrap_or_else(|missing| panic!("{missing}"));
        let config = self.config().display().to_string();
        let run = Command::new(program).args(arguments).args(["--config", &config]).output();
        run.unwrap_or_else(|error| panic!("could not run cartwheel: {error}"))
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("cartwheel.toml")
    }

    fn services(&self) -> MutexGuard<'_, BTreeMap<String, Process>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a service, or starts it again.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start_service(&self, service: &str) -> Result<(), Missing> {
        let admin = self.admin.get(service).map(|port| format!("CARTWHEEL_ADMIN__LISTEN=127.0.0.1:{port}"));
        self.launch(service, service, admin.as_slice())
    }

    /// Starts a second process of a service with settings of its own (`CARTWHEEL_SECTION__KEY=value`), under the name `name`.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start_second(&self, service: &str, name: &str, settings: &[String]) -> Result<(), Missing> {
        self.launch(service, name, settings)
    }

    fn launch(&self, service: &str, name: &str, settings: &[String]) -> Result<(), Missing> {
        let program = binaries()?.join(service).display().to_string();
        let log = self.folder.path().join(format!("{name}.log"));
        let arguments: Vec<String> =
            settings.iter().cloned().chain([program, "--config".to_owned(), self.config().display().to_string()]).collect();
        let process = Process::start("env", &arguments, &log)?;
        self.services().insert(name.to_owned(), process);
        Ok(())
    }

    /// Ends a service as a power cut would.
    pub fn kill_service(&self, name: &str) {
        if let Some(mut process) = self.services().remove(name) {
            process.kill();
        }
    }

    /// The names of processes that have ended by themselves.
    pub fn ended(&self) -> Vec<String> {
        self.services().iter_mut().filter_map(|(name, process)| process.has_ended().then(|| name.clone())).collect()
    }

    /// What a service answers when it is asked whether it is ready.
    ///
    /// # Errors
    /// Why it is not, in its own words, or that it does not answer.
    pub async fn ready(&self, service: &str) -> Result<(), String> {
        let port = self.admin.get(service).ok_or("no such service")?;
        let answer = reqwest::get(format!("http://127.0.0.1:{port}/ready")).await.map_err(|error| error.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.text().await.unwrap_or_default()) }
    }

    /// The metrics of a service, as Prometheus would read them; nothing while it does not answer.
    pub async fn metrics(&self, service: &str) -> String {
        let Some(port) = self.admin.get(service) else { return String::new() };
        match reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// The last lines of a service's log, for messages of failed tests.
    pub fn log_of(&self, name: &str) -> String {
        crate::process::tail(&self.log_file(name))
    }

    /// Everything that a service has logged.
    pub fn whole_log_of(&self, name: &str) -> String {
        std::fs::read_to_string(self.log_file(name)).unwrap_or_default()
    }

    fn log_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// Posts a message of the Segment form.
    ///
    /// # Errors
    /// What ingest answered, or that it did not.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(), String> {
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let request = reqwest::Client::new().post(url).basic_auth(WRITE_KEY, Some("")).json(body);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default()))
    }

    /// Posts, again and again until ingest has it: services start and restart under the tests.
    pub async fn say(&self, path: &str, body: &Value) {
        crate::eventually("an answer of ingest", || async {
            self.post(path, body).await.map_err(|error| format!("{error}; its log: {}", self.log_of("ingest")))
        })
        .await;
    }

    /// Says who somebody is, with a phone number and promotional consent.
    pub async fn identify(&self, names: Value, phone: &str, zone: &str) {
        let mut message = json!({
            "messageId": unique("identify"),
            "traits": { "phone": phone, "zone": zone, "consent": { "sms": "promotional" }, "consent_source": "checkout" },
        });
        merge(&mut message, names);
        self.say("/v1/identify", &message).await;
    }

    /// Reports an event.
    pub async fn track(&self, names: Value, event: &str, properties: Value) {
        let mut message = json!({ "messageId": unique("event"), "event": event, "properties": properties });
        merge(&mut message, names);
        self.say("/v1/track", &message).await;
    }

    /// A text message from a customer, as the provider reports it.
    pub async fn reply(&self, from: &str, text: &str) {
        let path = "/callbacks/sms-main/inbound";
        let url = format!("http://127.0.0.1:{}{path}", self.http);
        let fields =
            vec![("Body", text.to_owned()), ("From", from.to_owned()), ("MessageSid", unique("SM")), ("To", "+15550100200".to_owned())];
        let pairs: Vec<(String, String)> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let signature = Provider::sign(CALLBACK_TOKEN, &url, &pairs);
        crate::eventually("an answer to a callback", || async {
            let request = reqwest::Client::new().post(&url).header("x-twilio-signature", &signature).form(&pairs);
            let answer = request.send().await.map_err(|error| error.to_string())?;
            if answer.status().is_success() { Ok(()) } else { Err(format!("{}", answer.status())) }
        })
        .await;
    }
}

fn merge(message: &mut Value, more: Value) {
    if let (Some(message), Value::Object(more)) = (message.as_object_mut(), more) {
        message.extend(more);
    }
}

fn config(name: &str, partitions: u32, bootstrap: &str, redis: &str, http: u16, provider: &str, folder: &Path) -> String {
    let secret = "end-to-end-secret-of-32-characters-or-more";
    let disk = folder.join("timers");
    format!(
        r#"
[installation]
name = "{name}"
prefix = "{name}"
partitions = {partitions}

[kafka]
bootstrap = ["{bootstrap}"]
profile = "development"
fetch_wait = "20ms"

[redis]
urls = ["{redis}"]
prefix = "{name}"

[admin]
listen = ""

[telemetry]
level = "info"

[ingest]
pseudonym_key = "{secret}"
link_key = "{secret}"

[ingest.keys]
app_write_key = "{WRITE_KEY}"

[ingest.http]
listen = "127.0.0.1:{http}"
public_url = "http://127.0.0.1:{http}"

[ingest.sources]
group = "{name}-ingest"

[ingest.providers.sms-main]
auth_token = "{CALLBACK_TOKEN}"

[evaluator]
link_key = "{secret}"

[evaluator.group]
group = "{name}-trigger-evaluator"
session_timeout = "6s"

[delay_timer]
view_path = "{}"

[delay_timer.group]
group = "{name}-delay-timer"
session_timeout = "6s"

[dispatcher]
grace = "5s"

[dispatcher.group]
name = "{name}-dispatcher"
session_timeout = "6s"

[dispatcher.providers.sms-main]
kind = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = "end-to-end"
base_url = "{provider}"
rate = 100.0
timeout = "3s"
"#,
        disk.display()
    )
}
