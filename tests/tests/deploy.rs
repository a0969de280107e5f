//! What `deploy/` and `helm/` hand to the services is what the services take.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::{io::Write, path::Path};

use cartwheel_runtime::config::{self, Configuration};

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// Every service's configuration from a file and an environment.
fn all_take(file: Option<&Path>, environment: &[(String, String)]) {
    fn takes<C: Configuration>(service: &str, file: Option<&Path>, environment: &[(String, String)]) {
        if let Err(problems) = config::load::<C>(file, environment.iter().cloned()) {
            panic!("{service}: {problems}");
        }
    }
    takes::<cartwheel_ingest::config::Config>("ingest", file, environment);
    takes::<cartwheel_trigger_evaluator::config::Config>("trigger-evaluator", file, environment);
    takes::<cartwheel_delay_timer::config::Config>("delay-timer", file, environment);
    takes::<cartwheel_dispatcher::config::Config>("dispatcher", file, environment);
}

#[test]
fn compose_hands_every_service_settings_that_it_takes() {
    let compose = text("deploy/compose.yaml");
    let settings = compose.lines().filter_map(|line| line.strip_prefix("  CARTWHEEL_")?.split_once(": "));
    let environment: Vec<(String, String)> = settings
        .map(|(name, value)| {
            let value = value.trim_matches('"');
            let fallback = value.strip_prefix("${").and_then(|rest| rest.trim_end_matches('}').split_once(":-"));
            (format!("CARTWHEEL_{name}"), fallback.map_or(value, |(_, fallback)| fallback).to_owned())
        })
        .collect();
    assert!(environment.len() > 5, "the environment of compose was not found");
    all_take(None, &environment);
}

#[test]
fn the_charts_configuration_with_secrets_is_one_that_every_service_takes() {
    let values = text("helm/cartwheel/values.yaml");
    let config: String = values
        .split_once("config: |\n")
        .unwrap()
        .1
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("  "))
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(config.as_bytes()).unwrap();
    let secret = "a-secret-of-32-characters-or-more-0000".to_owned();
    let secrets =
        ["INGEST__PSEUDONYM_KEY", "INGEST__LINK_KEY", "EVALUATOR__LINK_KEY"].map(|name| (format!("CARTWHEEL_{name}"), secret.clone()));
    all_take(Some(file.path()), &secrets);
}
