//! The configuration: documented defaults, and all mistakes at once.

use cartwheel_runtime::config::{Problems, load};
use cartwheel_trigger_evaluator::config::Config;

fn with(environment: &[(&str, &str)]) -> Result<Config, Problems> {
    load(None, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

const KEY: (&str, &str) = ("CARTWHEEL_EVALUATOR__LINK_KEY", "0123456789abcdef0123456789abcdef");

#[test]
fn the_defaults_are_sound_but_for_the_secret_that_has_none() {
    assert_eq!(with(&[KEY]).unwrap().evaluator.batch, 500);
    let problems = with(&[]).unwrap_err().to_string();
    assert!(
        problems.contains("has a problem") && problems.contains("evaluator.link_key") && problems.contains("openssl rand"),
        "{problems}"
    );
    let shown = format!("{:?}", with(&[KEY]).unwrap());
    assert!(!shown.contains(KEY.1), "a secret is not shown");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let problems = with(&[
        ("CARTWHEEL_EVALUATOR__BATCH", "0"),
        ("CARTWHEEL_EVALUATOR__PATIENCE", "0ms"),
        ("CARTWHEEL_EVALUATOR__DRAIN", "soon"),
        ("CARTWHEEL_EVALUATOR__LINK_KEY", "short"),
        ("CARTWHEEL_INSTALLATION__PARTITIONS", "0"),
        ("CARTWHEEL_SCHEMA_REGISTRY__URL", "registry"),
        ("CARTWHEEL_EVALUATOR__BATCHES", "7"),
        ("CARTWHEEL_DISPATCHER__GRACE", "1s"),
    ]);
    let problems = problems.unwrap_err().to_string();
    for expected in [
        "evaluator.batch: must be",
        "evaluator.patience",
        "evaluator.drain",
        "evaluator.link_key",
        "installation.partitions",
        "schema_registry.url",
        "BATCHES",
    ] {
        assert!(problems.contains(expected), "{expected} is not in {problems}");
    }
    assert!(!problems.contains("GRACE"), "another service's settings may stand beside: {problems}");
}
