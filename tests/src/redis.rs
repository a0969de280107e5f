//! A Redis server from the machine's `redis-server`.

use std::{
    process::Command,
    sync::OnceLock,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    Missing, folder, free_port, need,
    process::{Process, finds, tail},
};

/// How long a server may take to start: well under a second on an idle machine.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// What a server is started with beside its port and folder.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    /// Writes go to the append-only file, each at once, so that a kill loses nothing.
    pub durable: bool,
    /// The port of the server on this machine that it copies.
    pub replica_of: Option<u16>,
    /// It watches over the server at this port of this machine instead of keeping data, and calls it `mymaster`.
    pub sentinel_of: Option<u16>,
    /// Further settings, such as `("maxmemory-policy", "allkeys-lru")`.
    pub settings: Vec<(String, String)>,
}

/// A Redis server. Dropping it kills it and removes its data.
pub struct Redis {
    folder: TempDir,
    port: u16,
    options: RedisOptions,
    process: Option<Process>,
}

/// The server that all tests of a test binary share, started by the first; none where it cannot be had. Use a prefix of your own, and
/// start a server of your own ([`Redis::start`]) to stop, empty or kill it.
///
/// # Panics
/// If it cannot be had and `CI=true`.
pub fn redis() -> Option<&'static Redis> {
    static SHARED: OnceLock<Result<Redis, Missing>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| Redis::start(RedisOptions::default()));
    need(shared.as_ref().map_err(Clone::clone))
}

impl Redis {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// If `redis-server` or a port cannot be had, or it does not come up.
    pub fn start(options: RedisOptions) -> Result<Self, Missing> {
        if finds("redis-server").is_none() {
            return Err(Missing::new("redis-server is missing; install it (Debian: apt-get install redis-server), or run make setup"));
        }
        let mut server = Self { folder: folder()?, port: free_port()?, options, process: None };
        server.launch()?;
        Ok(server)
    }

    /// Where it listens, as a url.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server as a power cut would; its append-only file stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port and folder.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&mut self) -> Result<(), Missing> {
        self.kill();
        self.launch()
    }

    /// Freezes the server; nothing is answered until [`Redis::thaw`].
    pub fn freeze(&self) {
        self.process.iter().for_each(|process| process.signal("STOP"));
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.process.iter().for_each(|process| process.signal("CONT"));
    }

    /// Runs a command and returns what `redis-cli` prints.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn command(&self, words: &[&str]) -> String {
        let answer = Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(words).output();
        let answer = answer.unwrap_or_else(|error| panic!("could not run redis-cli: {error}"));
        String::from_utf8_lossy(&answer.stdout).trim_end().to_owned()
    }

    /// Whether it answers, be it that it asks for a password.
    fn answers(&self) -> bool {
        let answer = self.command(&["PING"]);
        answer == "PONG" || answer.starts_with("NOAUTH")
    }

    fn launch(&mut self) -> Result<(), Missing> {
        let arguments = self.arguments()?;
        let log = self.folder.path().join("redis.log");
        let mut process = Process::start("redis-server", &arguments, &log)?;
        let deadline = Instant::now() + START_PATIENCE;
        while !self.answers() {
            if process.has_ended() || Instant::now() > deadline {
                return Err(Missing::new(format!("redis did not come up; the end of its log:\n{}", tail(&log))));
            }
        }
        self.process = Some(process);
        Ok(())
    }

    fn arguments(&self) -> Result<Vec<String>, Missing> {
        let mut settings = vec![
            ("bind".to_owned(), "127.0.0.1".to_owned()),
            ("port".to_owned(), self.port.to_string()),
            ("dir".to_owned(), self.folder.path().display().to_string()),
        ];
        if let Some(watched) = self.options.sentinel_of {
            settings.push(("sentinel".to_owned(), format!("monitor mymaster 127.0.0.1 {watched} 1")));
            settings.push(("sentinel".to_owned(), "down-after-milliseconds mymaster 500".to_owned()));
        } else {
            let durable = if self.options.durable { "yes" } else { "no" };
            settings.extend(
                [("save", "\"\""), ("appendonly", durable), ("appendfsync", "always")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        if let Some(primary) = self.options.replica_of {
            settings.push(("replicaof".to_owned(), format!("127.0.0.1 {primary}")));
        }
        settings.extend(self.options.settings.iter().cloned());
        // A file, because a sentinel wants to write down there what it learns.
        let file = self.folder.path().join("redis.conf");
        let text: String = settings.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        std::fs::write(&file, text).map_err(Missing::new)?;
        let mut arguments = vec![file.display().to_string()];
        arguments.extend(self.options.sentinel_of.map(|_| "--sentinel".to_owned()));
        Ok(arguments)
    }
}
