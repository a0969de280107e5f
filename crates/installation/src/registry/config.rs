//! The section `[schema_registry]`.

use std::time::Duration;

use cartwheel_runtime::config::{Problems, Secret, duration};
use serde::{Deserialize, Serialize};
use url::Url;

/// Which schema registry the installation uses, if any. The keys are explained in [`SchemaRegistryConfig::DEFAULTS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRegistryConfig {
    /// Its address; empty for none.
    pub url: String,
    /// The user, empty for none.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// Whether schemas that it lacks are registered.
    pub register: bool,
    /// Whether records are written with its ids; they are read with them in any case.
    pub write: bool,
    /// How long one answer may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl SchemaRegistryConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("../../defaults/schema_registry.toml");

    /// The defaults, for the registry at `url`; empty for none.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            username: String::new(),
            password: Secret::default(),
            register: true,
            write: true,
            timeout: Duration::from_secs(5),
        }
    }

    /// Reports what cannot work.
    pub fn validate(&self, problems: &mut Problems) {
        // The text may hold a password, so it is not repeated.
        if !self.url.is_empty() {
            match Url::parse(&self.url) {
                Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => {
                    let plain = url.username().is_empty() && url.password().is_none();
                    let problem = "holds a user or password; set schema_registry.username and schema_registry.password instead";
                    problems.require(plain, "schema_registry.url", problem);
                    let bare = url.query().is_none() && url.fragment().is_none();
                    problems.require(bare, "schema_registry.url", "must end with its path, without ? or #");
                }
                _ => problems.report("schema_registry.url", "is not http://host:port or https://host:port"),
            }
        }
        let signs_in = self.password.is_empty() || !self.username.is_empty();
        problems.require(signs_in, "schema_registry.username", "is empty while there is a password; set both or neither");
        problems.require(!self.timeout.is_zero(), "schema_registry.timeout", "must be above zero");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        schema_registry: SchemaRegistryConfig,
    }

    fn problems_of(config: &SchemaRegistryConfig) -> String {
        let mut problems = Problems::default();
        config.validate(&mut problems);
        if problems.is_empty() { String::new() } else { problems.to_string() }
    }

    #[test]
    fn the_documented_defaults_are_those_of_the_code_and_are_right() {
        let file: File = toml::from_str(SchemaRegistryConfig::DEFAULTS).unwrap();
        assert_eq!(problems_of(&file.schema_registry), "");
        let coded = serde_json::to_value(SchemaRegistryConfig::at("")).unwrap();
        assert_eq!(serde_json::to_value(&file.schema_registry).unwrap(), coded);
    }

    #[test]
    fn all_problems_are_reported_at_once_and_no_password_is_repeated() {
        let wrong = SchemaRegistryConfig {
            password: Secret::new("swordfish"),
            timeout: Duration::ZERO,
            ..SchemaRegistryConfig::at("https://maria:swordfish@registry:8081/?a=1")
        };
        let report = problems_of(&wrong);
        for expected in ["url: holds a user", "url: must end with its path", "username: is empty", "timeout: must be above zero"] {
            assert!(report.contains(expected), "{expected:?} is not in {report}");
        }
        assert!(!report.contains("swordfish"), "{report}");
        for no_address in ["registry:8081", "ftp://registry", "registry"] {
            assert!(problems_of(&SchemaRegistryConfig::at(no_address)).contains("is not http://host:port"), "{no_address}");
        }
        assert_eq!(problems_of(&SchemaRegistryConfig::at("https://registry:8081/apis/ccompat/v7")), "");
    }
}
