//! Real servers for tests: Apache Kafka from its jars, Redis from the machine, and waiting with a deadline.
//!
//! Each server has ports and folders of its own, listens on 127.0.0.1 only, and ends with the test, even with one that is killed.
//! Where a server cannot be had a test says so and is passed over, unless `CI=true`: then it fails.
//!
//! ```no_run
//! # async fn test() {
//! use cartwheel_tests::{eventually, kafka, unique};
//!
//! let Some(kafka) = kafka() else { return };
//! let topic = unique("events");
//! kafka.create_topic(&topic, 4, &[("cleanup.policy", "compact")]).await;
//! # }
//! ```

mod crowd;
mod kafka;
mod process;
mod provider;
mod redis;
mod town;
mod wait;

use std::{
    fmt::Display,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Once,
        atomic::{AtomicU32, Ordering},
    },
};

use tempfile::TempDir;

pub use crowd::{Crowd, Customer};
pub use kafka::{Kafka, kafka};
pub use provider::{Provider, Taken};
pub use redis::{Redis, RedisOptions, redis};
pub use town::{SERVICES, Town, build_services, run_binary};
pub use wait::eventually;

/// Why a server cannot be had on this machine.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(String);

impl Missing {
    fn new(reason: impl Display) -> Self {
        Self(reason.to_string())
    }
}

/// What a test needs, or none and a line that says that it did not run.
///
/// # Panics
/// If it is missing and `CI=true`.
pub fn need<T>(what: Result<T, Missing>) -> Option<T> {
    match what {
        Ok(there) => Some(there),
        Err(missing) => {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{test} must run in CI: {missing}");
            // Not by a macro: the test runner would swallow it.
            let line = format!("NOT RUN {test}: {missing}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap_or_default();
            None
        }
    }
}

/// What `promtool check metrics` has against a service's metrics; nothing if they are as Prometheus asks.
///
/// # Errors
/// When there is no promtool.
pub fn promtool(metrics: &str) -> Result<String, Missing> {
    let failed = |error: std::io::Error| Missing::new(format!("promtool, of Debian's package prometheus: {error}"));
    let mut promtool = std::process::Command::new("promtool");
    let mut promtool = promtool
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = promtool.stdin.take() {
        input.write_all(metrics.as_bytes()).map_err(failed)?;
    }
    let checked = promtool.wait_with_output().map_err(failed)?;
    let said = [checked.stdout, checked.stderr].concat();
    Ok(if checked.status.success() { String::new() } else { String::from_utf8_lossy(&said).into_owned() })
}

/// A name that no other test has used, for topics, groups and prefixes.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The repository.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where what is fetched for tests is kept: `CARTWHEEL_TEST_CACHE`, else `.cache` in the repository.
fn cache() -> PathBuf {
    std::env::var_os("CARTWHEEL_TEST_CACHE").map_or_else(|| root().join(".cache"), PathBuf::from)
}

/// A folder for a server, removed when it is dropped. What servers of test processes left behind that have ended, as the shared ones do, is
/// removed on the way.
fn folder() -> Result<TempDir, Missing> {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| sweep(&std::env::temp_dir()));
    let prefix = format!("{FOLDER_PREFIX}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().map_err(Missing::new)
}

/// What the names of servers' folders begin with; the id of the test process and a random part follow.
const FOLDER_PREFIX: &str = "cartwheel-test-server-";

fn sweep(folders: &Path) {
    if !Path::new("/proc/self").exists() {
        return; // Only there can be seen who has ended.
    }
    for entry in folders.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(FOLDER_PREFIX)?.split_once('-'));
        if let Some((owner, _)) = owner
            && !Path::new("/proc").join(owner).exists()
        {
            // Another test process may be sweeping too.
            std::fs::remove_dir_all(entry.path()).unwrap_or_default();
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16, Missing> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| Missing::new(format!("no free port: {error}")))?;
    listener.local_addr().map(|address| address.port()).map_err(Missing::new)
}
