//! Topics: created by a command, and read back at every start.
//!
//! A service has no right to create topics and does not trust that its settings are there: it reads back what the promises rest on and
//! refuses, naming the setting and the command that mends it. Some managed services accept settings and ignore them, so only what
//! is read back counts; what a provider fixes for good is named in `kafka.assume`.

use std::{collections::BTreeSet, fmt, time::Duration};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    config::FromClientConfigAndContext,
    error::RDKafkaErrorCode,
};

use super::{ANSWER_PATIENCE, Hooks, Kafka, Profile, ask, refused, unmakeable};
use crate::log::LogError;

/// The setting whose minimum depends on the number of replicas.
const MIN_IN_SYNC: &str = "min.insync.replicas";

/// What a topic should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its full name.
    pub name: String,
    /// Its number of partitions, exactly.
    pub partitions: u32,
    /// Its number of replicas, at least.
    pub replication: u32,
    /// Its settings.
    pub settings: Vec<Setting>,
}

/// A setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Kafka's name of it.
    pub name: &'static str,
    /// What it should be.
    pub want: Want,
}

/// What a setting should be. For limits -1 means "without end".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// This text; a comma-separated list in any order.
    Is(String),
    /// This number or more; -1 is more than any.
    AtLeast(i64),
    /// This number or less; -1 is more than any.
    AtMost(i64),
}

/// Something that a topic is not and should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The topic.
    pub topic: String,
    /// What is wrong about it: a setting's name, `partitions`, `replicas` or `topic` if there is none.
    pub setting: String,
    /// What was found.
    pub found: String,
    /// What it should be.
    pub wanted: String,
    /// What to do.
    pub mend: String,
}

impl Setting {
    /// A setting that must be this text.
    pub fn is(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, want: Want::Is(text.into()) }
    }

    /// A setting that must be this number or more.
    pub fn at_least(name: &'static str, number: i64) -> Self {
        Self { name, want: Want::AtLeast(number) }
    }

    /// A setting that must be this number or less.
    pub fn at_most(name: &'static str, number: i64) -> Self {
        Self { name, want: Want::AtMost(number) }
    }

    /// The value that a new topic gets.
    pub fn value(&self) -> String {
        match &self.want {
            Want::Is(text) => text.clone(),
            Want::AtLeast(number) | Want::AtMost(number) => number.to_string(),
        }
    }
}

impl Want {
    /// Whether a value read back is as wanted.
    pub fn allows(&self, found: &str) -> bool {
        let endless = |number: i64| if number == -1 { i64::MAX } else { number };
        let number = found.trim().parse::<i64>().map(endless);
        match self {
            Self::Is(text) => items(text) == items(found),
            Self::AtLeast(least) => number.is_ok_and(|found| found >= endless(*least)),
            Self::AtMost(most) => number.is_ok_and(|found| found <= endless(*most)),
        }
    }
}

fn items(list: &str) -> BTreeSet<&str> {
    list.split(',').map(str::trim).collect()
}

impl fmt::Display for Want {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(text) => formatter.write_str(text),
            Self::AtLeast(-1) => formatter.write_str("-1 (without end)"),
            Self::AtLeast(number) => write!(formatter, "at least {number}"),
            Self::AtMost(number) => write!(formatter, "at most {number}"),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, setting, found, wanted, mend } = self;
        write!(formatter, "{topic}: {setting} is {found}, must be {wanted}; {mend}")
    }
}

impl TopicSpec {
    /// The specification under a profile: for development one replica is enough.
    pub fn under(&self, profile: Profile) -> Self {
        let mut spec = self.clone();
        if profile == Profile::Development {
            spec.replication = 1;
            for setting in spec.settings.iter_mut().filter(|setting| setting.name == MIN_IN_SYNC) {
                setting.want = Want::AtLeast(1);
            }
        }
        spec
    }

    /// The command of Kafka's own tools that makes the topic.
    pub fn creation_command(&self, bootstrap: &str) -> String {
        let Self { name, partitions, replication, settings } = self;
        let settings: String = settings.iter().map(|setting| format!(" --config {}={}", setting.name, setting.value())).collect();
        format!(
            "kafka-topics.sh --bootstrap-server {bootstrap} --create --topic {name} --partitions {partitions} \
             --replication-factor {replication}{settings}"
        )
    }

    /// What is wrong with the counts found.
    fn judge_counts(&self, partitions: usize, replicas: usize) -> Vec<Finding> {
        let mut findings = Vec::new();
        if partitions != self.partitions as usize {
            let mend = if partitions < self.partitions as usize {
                "a topic that holds nothing yet can be deleted and made again; else set the number of partitions to what it is, \
                 for all topics alike"
            } else {
                "a topic cannot lose partitions: set the number of partitions to what it is, for all topics alike"
            };
            findings.push(self.finding("partitions", &partitions.to_string(), self.partitions.to_string(), mend.to_owned()));
        }
        if replicas < self.replication as usize {
            let mend = "raise it with kafka-reassign-partitions.sh, or set profile = \"development\" where messages may be lost";
            findings.push(self.finding("replicas", &replicas.to_string(), format!("at least {}", self.replication), mend.to_owned()));
        }
        findings
    }

    /// What is wrong with the settings found.
    fn judge_settings(&self, found: impl Fn(&str) -> Option<String>, assume: &[String], bootstrap: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        for setting in self.settings.iter().filter(|setting| !assume.iter().any(|assumed| assumed == setting.name)) {
            let value = found(setting.name);
            if !value.as_deref().is_some_and(|value| setting.want.allows(value)) {
                let Setting { name, want } = setting;
                let mend = format!(
                    "run kafka-configs.sh --bootstrap-server {bootstrap} --alter --entity-type topics --entity-name {} --add-config '{name}=[{}]', \
                     or name it in kafka.assume if your provider fixes it",
                    self.name,
                    setting.value()
                );
                findings.push(self.finding(name, value.as_deref().unwrap_or("not told by the broker"), want.to_string(), mend));
            }
        }
        findings
    }

    fn finding(&self, setting: &str, found: &str, wanted: String, mend: String) -> Finding {
        Finding { topic: self.name.clone(), setting: setting.to_owned(), found: found.to_owned(), wanted, mend }
    }
}

/// How soon is looked again for a topic that was just made; brokers hear of it within some milliseconds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A cluster's topics.
#[derive(Clone, Debug)]
pub struct Topics {
    kafka: Kafka,
}

impl Topics {
    pub(super) fn new(kafka: Kafka) -> Self {
        Self { kafka }
    }

    /// Makes the topics that are not there yet, as the profile has them, and waits until the broker knows them; returns the names of those
    /// made. What is there is left alone: see [`Topics::check`].
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if no broker answers or it refuses one, with its reason.
    pub async fn create(&self, specs: &[TopicSpec]) -> Result<Vec<String>, LogError> {
        let specs: Vec<TopicSpec> = specs.iter().map(|spec| spec.under(self.kafka.config().profile)).collect();
        let values: Vec<Vec<(&str, String)>> =
            specs.iter().map(|spec| spec.settings.iter().map(|setting| (setting.name, setting.value())).collect()).collect();
        let topics: Vec<NewTopic<'_>> = specs
            .iter()
            .zip(&values)
            .map(|(spec, values)| {
                let (partitions, replication) = (count(spec.partitions), TopicReplication::Fixed(count(spec.replication)));
                values.iter().fold(NewTopic::new(&spec.name, partitions, replication), |topic, (name, value)| topic.set(name, value))
            })
            .collect();
        let answers = self.admin()?.create_topics(&topics, &options()).await;
        let mut made = Vec::new();
        for answer in answers.map_err(|error| LogError::Unavailable(format!("could not create topics: {error}")))? {
            match answer {
                Ok(name) => made.push(name),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(LogError::Unavailable(format!("could not create topic {name}: {code}"))),
            }
        }
        for name in &made {
            self.appears(name).await?;
        }
        Ok(made)
    }

    /// Resolves when the broker knows a new topic: the controller answers before its brokers have heard of it.
    async fn appears(&self, topic: &str) -> Result<(), LogError> {
        let deadline = tokio::time::Instant::now() + ANSWER_PATIENCE;
        loop {
            match self.counts(topic).await {
                Err(LogError::Missing { .. }) if tokio::time::Instant::now() < deadline => tokio::time::sleep(LOOK_AGAIN).await,
                known => return known.map(|_| ()),
            }
        }
    }

    /// Reads back what the topics are and says what they should be and are not, under the profile and without what is assumed.
    /// Nothing is found on the embedded broker, which has no settings.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if no broker answers or it refuses to tell.
    pub async fn check(&self, specs: &[TopicSpec]) -> Result<Vec<Finding>, LogError> {
        if self.kafka.is_embedded() {
            return Ok(Vec::new());
        }
        let config = self.kafka.config();
        let bootstrap = config.bootstrap.join(",");
        let specs: Vec<TopicSpec> = specs.iter().map(|spec| spec.under(config.profile)).collect();
        if config.profile == Profile::Development {
            tracing::warn!("kafka.profile is development: one replica is enough, and what a broker loses is lost");
        }
        let mut findings = Vec::new();
        let mut present = Vec::new();
        for spec in specs {
            match self.counts(&spec.name).await {
                Ok((partitions, replicas)) => {
                    findings.extend(spec.judge_counts(partitions, replicas));
                    present.push(spec);
                }
                Err(LogError::Missing { .. }) => {
                    let mend = format!("run cartwheel topics create, or {}", spec.creation_command(&bootstrap));
                    findings.push(spec.finding("topic", "missing", "there".to_owned(), mend));
                }
                Err(error) => return Err(error),
            }
        }
        if present.is_empty() {
            return Ok(findings);
        }
        let resources: Vec<ResourceSpecifier<'_>> = present.iter().map(|spec| ResourceSpecifier::Topic(&spec.name)).collect();
        let answers = self.admin()?.describe_configs(&resources, &options()).await;
        let answers = answers.map_err(|error| LogError::Unavailable(format!("could not read topic settings: {error}")))?;
        for (spec, answer) in present.iter().zip(answers) {
            let settings = answer.map_err(|code| LogError::Unavailable(format!("could not read settings of {}: {code}", spec.name)))?;
            let found = |name: &str| settings.get(name).and_then(|entry| entry.value.clone());
            findings.extend(spec.judge_settings(found, &config.assume, &bootstrap));
        }
        Ok(findings)
    }

    /// A topic's partitions, and the replicas of the partition that has the fewest.
    async fn counts(&self, topic: &str) -> Result<(usize, usize), LogError> {
        let (admin, topic) = (self.admin()?, topic.to_owned());
        ask(move || {
            let metadata = admin.inner().fetch_metadata(None, ANSWER_PATIENCE).map_err(|error| refused(&error, &topic, 0))?;
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            let found = found.ok_or_else(|| LogError::Missing { topic: topic.clone(), partition: 0 })?;
            let replicas = found.partitions().iter().map(|partition| partition.replicas().len()).min();
            Ok((found.partitions().len(), replicas.unwrap_or_default()))
        })
        .await
    }

    fn admin(&self) -> Result<AdminClient<Hooks>, LogError> {
        AdminClient::from_config_and_context(&self.kafka.client(), self.kafka.hooks()).map_err(|error| unmakeable(&error))
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_PATIENCE)).operation_timeout(Some(ANSWER_PATIENCE))
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> TopicSpec {
        TopicSpec {
            name: "cartwheel.timers".to_owned(),
            partitions: 64,
            replication: 3,
            settings: vec![
                Setting::is("cleanup.policy", "compact,delete"),
                Setting::at_least("delete.retention.ms", 604_800_000),
                Setting::at_most("max.compaction.lag.ms", 86_400_000),
                Setting::at_least(MIN_IN_SYNC, 2),
            ],
        }
    }

    fn found(name: &str) -> Option<String> {
        let value = match name {
            "cleanup.policy" => "delete,compact",
            "delete.retention.ms" => "-1",
            "max.compaction.lag.ms" => "9223372036854775807",
            _ => "1",
        };
        Some(value.to_owned())
    }

    #[test]
    fn a_finding_names_the_setting_and_the_command_that_mends_it() {
        let findings = spec().judge_settings(found, &[], "kafka:9092");
        let settings: Vec<&str> = findings.iter().map(|finding| finding.setting.as_str()).collect();
        assert_eq!(settings, ["max.compaction.lag.ms", MIN_IN_SYNC]);
        let text = findings[0].to_string();
        assert!(text.contains("must be at most 86400000; run kafka-configs.sh --bootstrap-server kafka:9092 --alter"), "{text}");
    }

    #[test]
    fn what_a_provider_fixes_is_not_checked() {
        let assume = ["max.compaction.lag.ms".to_owned(), MIN_IN_SYNC.to_owned()];
        assert_eq!(spec().judge_settings(found, &assume, "kafka:9092"), []);
    }

    #[test]
    fn development_is_content_with_one_replica_and_nothing_less() {
        let relaxed = spec().under(Profile::Development);
        assert_eq!(relaxed.judge_counts(64, 1), []);
        let settings: Vec<String> = relaxed.judge_settings(found, &[], "kafka:9092").into_iter().map(|finding| finding.setting).collect();
        assert_eq!(settings, ["max.compaction.lag.ms"]);
        assert_eq!(spec().judge_counts(64, 1).len(), 1);
    }

    #[test]
    fn p27_a_topic_with_other_partitions_is_refused() {
        for partitions in [63, 65] {
            assert_eq!(spec().judge_counts(partitions, 3)[0].setting, "partitions");
        }
    }
}
