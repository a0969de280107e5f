//! The section `[redis]`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Problems, Secret, duration};

/// How Redis is reached. The keys are explained in [`RedisConfig::DEFAULTS`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// Servers, cluster nodes or sentinels.
    pub urls: Vec<String>,
    /// What stands at the urls.
    pub topology: Topology,
    /// The primary's name at the sentinels.
    pub primary: String,
    /// The user, empty for none.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// What all keys begin with.
    pub prefix: String,
    /// How long one answer may take.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How often the server is asked whether it evicts keys.
    #[serde(with = "duration")]
    pub inspection_interval: Duration,
}

/// What stands at the urls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topology {
    /// One primary.
    Standalone,
    /// Nodes of a cluster.
    Cluster,
    /// Sentinels that know the primary.
    Sentinel,
}

impl RedisConfig {
    /// The section's keys and defaults, as TOML.
    pub const DEFAULTS: &'static str = include_str!("../../defaults/redis.toml");

    /// The defaults, for a standalone server at `url`.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            topology: Topology::Standalone,
            primary: "mymaster".to_owned(),
            username: String::new(),
            password: Secret::default(),
            prefix: "cartwheel".to_owned(),
            timeout: Duration::from_secs(2),
            inspection_interval: Duration::from_secs(5),
        }
    }

    /// Reports what cannot work.
    pub fn validate(&self, problems: &mut Problems) {
        problems.require(!self.urls.is_empty(), "redis.urls", "is empty; name at least one as redis://host:port");
        let single = self.topology != Topology::Standalone || self.urls.len() == 1;
        problems.require(single, "redis.urls", "names several servers; a standalone server is one, else set redis.topology");
        for url in self.urls.iter().filter(|url| redis::parse_redis_url(url).is_none()) {
            // The text may hold a password.
            let scheme = url.split(':').next().unwrap_or_default();
            problems.report("redis.urls", format!("one that begins with {scheme:?} is not redis://host:port or rediss://host:port"));
        }
        let with_password = self.urls.iter().any(|url| url.contains('@'));
        problems.require(!with_password, "redis.urls", "holds a user or password; set redis.username and redis.password instead");
        let plain = !self.prefix.is_empty() && !self.prefix.contains(['{', '}', ':']);
        problems.require(plain, "redis.prefix", "must not be empty and must not contain '{', '}' or ':'");
        problems.require(!self.timeout.is_zero(), "redis.timeout", "must be above zero");
        problems.require(!self.inspection_interval.is_zero(), "redis.inspection_interval", "must be above zero");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        redis: RedisConfig,
    }

    #[test]
    fn the_documented_defaults_are_those_of_the_code_and_are_right() {
        let file: File = toml::from_str(RedisConfig::DEFAULTS).unwrap();
        let mut problems = Problems::default();
        file.redis.validate(&mut problems);
        assert!(problems.is_empty(), "{problems}");
        let coded = serde_json::to_value(RedisConfig::at("redis://localhost:6379")).unwrap();
        assert_eq!(serde_json::to_value(&file.redis).unwrap(), coded);
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let mut problems = Problems::default();
        RedisConfig::at("redis://user:swordfish@localhost:6379").validate(&mut problems);
        let report = problems.to_string();
        assert!(report.contains("redis.password") && !report.contains("swordfish"), "{report}");
    }
}
