//! Every message of `check`, each in a case of its own under `tests/check`.
//!
//! A case is a folder with a `shop.yaml` or the shared one of `tests/check/shop.yaml`, campaigns, a tracking plan where
//! `shop.yaml` names one, and `expected.txt` with all problems as they are printed. `CARTWHEEL_WRITE_EXPECTED=1` writes what is
//! found today; read the diff before committing it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use cartwheel_language::{Severity, SourceFile, Sources, read};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check")
}

/// A file of a case, else the one that all cases share.
fn file(case: &Path, name: &str) -> Option<SourceFile> {
    let own = std::fs::read_to_string(case.join(name));
    let text = own.or_else(|_| std::fs::read_to_string(cases().join(name))).ok()?;
    Some(SourceFile { path: name.to_owned(), text })
}

fn campaigns(case: &Path) -> Vec<SourceFile> {
    let entries = std::fs::read_dir(case.join("campaigns")).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.iter().filter_map(|name| file(case, &format!("campaigns/{name}"))).collect()
}

fn found(case: &Path) -> String {
    let shop = file(case, "shop.yaml").expect("a shop");
    let planned = shop.text.contains("tracking_plan: tracking-plan.json");
    let tracking_plan = if planned { file(case, "tracking-plan.json") } else { None };
    let reading = read(&Sources { shop, campaigns: campaigns(case), tracking_plan });
    let refused = reading.problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(reading.project.is_none(), refused, "a project exactly where nothing is wrong");
    reading.problems.iter().fold(String::new(), |mut text, problem| {
        writeln!(text, "{problem}").expect("a string");
        text
    })
}

/// The lines that only one of two texts has.
fn difference(expected: &str, found: &str) -> String {
    let missing = expected.lines().filter(|line| !found.lines().any(|other| other == *line)).map(|line| format!("- {line}\n"));
    let more = found.lines().filter(|line| !expected.lines().any(|other| other == *line)).map(|line| format!("+ {line}\n"));
    missing.chain(more).collect()
}

#[test]
fn r75_every_problem_is_said_with_its_place_and_what_would_be_right() {
    let entries = std::fs::read_dir(cases()).expect("the cases");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(folders.len() >= 50, "only {} cases", folders.len());
    let mut differences = String::new();
    for folder in &folders {
        let found = found(folder);
        let golden = folder.join("expected.txt");
        if std::env::var_os("CARTWHEEL_WRITE_EXPECTED").is_some() {
            std::fs::write(&golden, &found).expect("to write");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if expected != found {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            writeln!(differences, "{name}:\n{}", difference(&expected, &found)).expect("a string");
        }
    }
    assert!(differences.is_empty(), "problems differ from expected.txt\n{differences}");
}
