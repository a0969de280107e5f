//! A server process that never outlives the test.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
};

use crate::Missing;

/// A running process. It is killed when this is dropped, and by the kernel when the test process dies.
pub(crate) struct Process {
    child: Child,
    /// The kernel ends the child with the *thread* that started it, so that thread stays until the process is dropped.
    release: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a program; what it writes goes to `log`.
    pub(crate) fn start(program: &str, arguments: &[String], log: &Path) -> Result<Self, Missing> {
        let failed = |error: std::io::Error| Missing::new(format!("could not start {program}: {error}"));
        let out = File::options().create(true).append(true).open(log).map_err(failed)?;
        let error_out = out.try_clone().map_err(failed)?;
        let mut command = if setpriv_exists() {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", program]);
            command
        } else {
            Command::new(program)
        };
        command.args(arguments).stdin(Stdio::null()).stdout(out).stderr(error_out);
        let (started, start) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let keeper = std::thread::spawn(move || {
            if started.send(command.spawn()).is_ok() {
                // Ends when the sender is dropped; nothing is ever sent.
                let _ = released.recv();
            }
        });
        let child = start.recv().map_err(Missing::new)?.map_err(failed)?;
        Ok(Self { child, release: Some(release), keeper: Some(keeper) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Sends a signal by its name, such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "could not send {name} to process {}", self.id());
    }

    /// Ends it at once, as a power cut would, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        // A process that has ended already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        self.release = None;
        if let Some(keeper) = self.keeper.take() {
            // The keeper only waits; it has nothing to report.
            let _ = keeper.join();
        }
    }
}

/// `setpriv` is part of util-linux. Without it a test that is killed leaves its servers behind.
fn setpriv_exists() -> bool {
    finds("setpriv").is_some()
}

/// Where `PATH` has a program.
pub(crate) fn finds(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|candidate| candidate.is_file())
}

/// The end of a log, for messages.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
