//! Configuration as plain data: embedded defaults, then a TOML file, then `CARTWHEEL_SECTION__KEY` of the environment.
//!
//! The defaults are the documentation and the list of what exists: a key that they do not have is refused, and every default has the
//! type of its setting. An empty table in them is open (it takes any key); an empty text stands for "not set". All problems are
//! found in one pass and reported together, each with the place that it comes from.
//!
//! In the environment `__` separates levels (`CARTWHEEL_KAFKA__CLIENT_ID`), lists are separated by commas or written as in TOML. A
//! variable without `__` counts only if it names a top-level key, so that variables which others inject do no harm.

pub mod duration;
mod secret;

use std::{fmt, path::Path};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use secret::Secret;

/// The prefix of variables that are settings.
const PREFIX: &str = "CARTWHEEL_";

/// The configuration of one service: plain data that serde reads and writes, secrets as [`Secret`], durations by
/// [`mod@duration`].
pub trait Configuration: DeserializeOwned + Serialize {
    /// TOML texts that together hold every key with its default: the service's own `default.toml` and those of the shared sections
    /// that it uses, such as [`KafkaConfig::DEFAULTS`](crate::kafka::KafkaConfig::DEFAULTS).
    const DEFAULTS: &'static [&'static str];

    /// Top-level keys that may stand in the same file and environment for other services.
    const NEIGHBOURS: &'static [&'static str] = &[];

    /// Reports what types cannot say: ranges, settings that exclude each other, values that are required.
    fn validate(&self, problems: &mut Problems);
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Problems {
    /// Notes that the setting `key` (its full path, such as `kafka.client_id`) is wrong, and how it would be right.
    pub fn report(&mut self, key: &str, problem: impl fmt::Display) {
        self.0.push(format!("{key}: {problem}"));
    }

    /// Reports `key` unless `holds`.
    pub fn require(&mut self, holds: bool, key: &str, problem: impl fmt::Display) {
        if !holds {
            self.report(key, problem);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(formatter, "configuration has a problem:")?,
            count => write!(formatter, "configuration has {count} problems:")?,
        }
        self.0.iter().try_for_each(|problem| write!(formatter, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}

/// Reads the configuration from its defaults, `file` and `environment` (name and value of each variable).
///
/// # Errors
/// All problems: an unreadable file, unknown keys, values of a wrong type, and what [`Configuration::validate`] reports.
pub fn load<C: Configuration>(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Result<C, Problems> {
    load_for(file, environment, |_, _| {})
}

/// As [`load`], and reports with the same breath what `validate` finds wrong beyond [`Configuration::validate`], such as sections that
/// are only needed for what the process is asked to do.
///
/// # Errors
/// As [`load`], and what `validate` reports.
pub fn load_for<C: Configuration>(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    validate: impl FnOnce(&C, &mut Problems),
) -> Result<C, Problems> {
    let mut problems = Problems::default();
    let defaults = match merged_defaults(C::DEFAULTS) {
        Ok(defaults) => Value::Object(defaults),
        Err(problem) => return Err(Problems(vec![problem])),
    };
    let mut overrides = Vec::new();
    if let Some(path) = file {
        let origin = path.display().to_string();
        match read_file(path) {
            Ok(Value::Object(given)) => {
                let given = given.into_iter().filter(|(key, _)| !is_neighbour::<C>(key)).collect();
                collect(&defaults, given, &mut Vec::new(), &origin, &mut overrides, &mut problems);
            }
            Ok(_) => problems.report(&origin, "is not a table of settings"),
            Err(problem) => problems.report(&origin, problem),
        }
    }
    for (name, text) in environment {
        if let Some(keys) = path_of_variable::<C>(&defaults, &name) {
            match value_of_variable(&defaults, &keys, &text) {
                Ok(value) => overrides.push(Override { keys, value, origin: name }),
                Err(problem) => problems.report(&name, problem),
            }
        }
    }

    let mut effective = defaults.clone();
    for setting in overrides {
        let mut trial = defaults.clone();
        place(&mut trial, &setting.keys, setting.value.clone());
        match serde_json::from_value::<C>(trial) {
            Ok(_) => place(&mut effective, &setting.keys, setting.value),
            Err(error) => problems.report(&setting.keys.join("."), format!("{error} (from {})", setting.origin)),
        }
    }
    match serde_json::from_value::<C>(effective) {
        Ok(config) => {
            config.validate(&mut problems);
            validate(&config, &mut problems);
            if problems.is_empty() { Ok(config) } else { Err(problems) }
        }
        Err(error) => {
            problems.report("defaults", error);
            Err(problems)
        }
    }
}

/// The configuration in force as one line of JSON, secrets hidden: what a service logs once at start.
pub fn effective<C: Configuration>(config: &C) -> String {
    serde_json::to_string(config).unwrap_or_else(|error| format!("configuration cannot be shown: {error}"))
}

struct Override {
    keys: Vec<String>,
    value: Value,
    origin: String,
}

fn is_neighbour<C: Configuration>(key: &str) -> bool {
    C::NEIGHBOURS.contains(&key)
}

fn merged_defaults(texts: &[&str]) -> Result<Map<String, Value>, String> {
    let mut merged = Map::new();
    for text in texts {
        let part: Map<String, Value> = toml::from_str(text).map_err(|error| format!("defaults: {error}"))?;
        for (key, value) in part {
            if merged.insert(key.clone(), value).is_some() {
                return Err(format!("defaults: {key} is defined twice"));
            }
        }
    }
    Ok(merged)
}

fn read_file(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("could not read the file: {error}"))?;
    toml::from_str(&text).map_err(|error| error.to_string())
}

/// Takes the settings out of a file's tables, refusing the keys that the defaults do not have.
fn collect(
    defaults: &Value,
    given: Map<String, Value>,
    above: &mut Vec<String>,
    origin: &str,
    overrides: &mut Vec<Override>,
    problems: &mut Problems,
) {
    let Value::Object(known) = defaults else { return };
    for (key, value) in given {
        above.push(key.clone());
        match (known.get(&key), value) {
            (None, _) => problems.report(&above.join("."), unknown(known, origin)),
            (Some(default @ Value::Object(inner)), Value::Object(value)) if !inner.is_empty() => {
                collect(default, value, above, origin, overrides, problems);
            }
            (Some(_), value) => overrides.push(Override { keys: above.clone(), value, origin: origin.to_owned() }),
        }
        above.pop();
    }
}

fn unknown(known: &Map<String, Value>, origin: &str) -> String {
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    format!("unknown setting (from {origin}); known here: {}", known.join(", "))
}

/// The path of the setting that a variable names; none if it is not a setting or another service's.
fn path_of_variable<C: Configuration>(defaults: &Value, name: &str) -> Option<Vec<String>> {
    let path = name.strip_prefix(PREFIX)?.to_lowercase();
    let keys: Vec<String> = path.split("__").map(str::to_owned).collect();
    let first = keys.first()?;
    let counts = keys.len() > 1 || defaults.get(first).is_some_and(|value| !value.is_object());
    (counts && !is_neighbour::<C>(first)).then_some(keys)
}

/// A variable's text as a value of the default's type.
fn value_of_variable(defaults: &Value, keys: &[String], text: &str) -> Result<Value, String> {
    let mut default = defaults;
    for key in keys {
        let Value::Object(known) = default else { return Err("unknown setting: it names something inside a plain value".to_owned()) };
        match known.get(key) {
            Some(inner) => default = inner,
            None if known.is_empty() => return Ok(Value::String(text.to_owned())),
            None => return Err(unknown(known, "the environment")),
        }
    }
    match default {
        Value::String(_) | Value::Null => Ok(Value::String(text.to_owned())),
        Value::Array(_) if !text.trim_start().starts_with('[') => {
            Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect())
        }
        Value::Object(known) if !known.is_empty() => Err("is a section; name one of its settings behind `__`".to_owned()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            let mut table: Map<String, Value> =
                toml::from_str(&format!("value = {text}")).map_err(|_| format!("cannot be read as {}", kind(default)))?;
            table.remove("value").ok_or_else(|| format!("cannot be read as {}", kind(default)))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table as in TOML: { key = \"value\" }",
        Value::String(_) | Value::Null => "text",
    }
}

fn place(root: &mut Value, keys: &[String], value: Value) {
    let mut slot = root;
    for key in keys {
        if !slot.is_object() {
            *slot = Value::Object(Map::new());
        }
        slot = &mut slot[key.as_str()];
    }
    *slot = value;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        installation: String,
        broker: Broker,
    }

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Broker {
        servers: Vec<String>,
        #[serde(with = "duration")]
        patience: Duration,
        attempts: u32,
        password: Secret,
        properties: std::collections::BTreeMap<String, String>,
    }

    impl Configuration for Example {
        const DEFAULTS: &'static [&'static str] = &[
            "installation = \"\"",
            "[broker]\nservers = [\"localhost:9092\"]\npatience = \"250ms\"\nattempts = 3\npassword = \"\"\nproperties = {}",
        ];
        const NEIGHBOURS: &'static [&'static str] = &["ingest"];

        fn validate(&self, problems: &mut Problems) {
            problems.require(!self.installation.is_empty(), "installation", "is required; name this installation");
        }
    }

    fn from(file: &str, environment: &[(&str, &str)]) -> Result<Example, Problems> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cartwheel.toml");
        std::fs::write(&path, file).unwrap();
        load(Some(&path), environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let config = from(
            "installation = \"file\"\n[broker]\nattempts = 5\nproperties = { \"queued.min.messages\" = \"7\" }\n[ingest]\nport = 1",
            &[
                ("CARTWHEEL_INSTALLATION", "environment"),
                ("CARTWHEEL_BROKER__SERVERS", "a:1, b:2"),
                ("CARTWHEEL_BROKER__PATIENCE", "2s"),
                ("CARTWHEEL_INGEST__PORT", "2"),
                ("CARTWHEEL_INGEST_SERVICE_HOST", "10.0.0.1"),
            ],
        )
        .unwrap();
        assert_eq!(config.installation, "environment");
        assert_eq!(config.broker.servers, ["a:1", "b:2"]);
        assert_eq!(config.broker.patience, Duration::from_secs(2));
        assert_eq!(config.broker.attempts, 5);
        assert_eq!(config.broker.properties["queued.min.messages"], "7");
    }

    #[test]
    fn all_problems_come_in_one_report() {
        let problems = from(
            "[broker]\natempts = 5\npatience = \"soon\"\n[brokre]\nx = 1",
            &[("CARTWHEEL_BROKER__ATTEMPTS", "many"), ("CARTWHEEL_BROKR__X", "1")],
        )
        .unwrap_err();
        let report = problems.to_string();
        for expected in [
            "configuration has 6 problems:",
            "broker.atempts: unknown setting",
            "broker.patience: ",
            "brokre: unknown setting",
            "CARTWHEEL_BROKER__ATTEMPTS: cannot be read as a number",
            "CARTWHEEL_BROKR__X: unknown setting",
            "installation: is required",
        ] {
            assert!(report.contains(expected), "{expected:?} is not in {report}");
        }
    }

    #[test]
    fn secrets_are_hidden_in_what_is_logged() {
        let config = from("installation = \"a\"\n[broker]\npassword = \"swordfish\"", &[]).unwrap();
        assert_eq!(config.broker.password.expose(), "swordfish");
        assert!(!effective(&config).contains("swordfish"));
        assert!(!format!("{config:?}").contains("swordfish"));
    }
}
