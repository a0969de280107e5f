//! The open timers on disk, in one database for all partitions of a process.
//!
//! Three sorted tables: *due* (partition, due, id) with the timers, *ids* (partition, id) with the due moment, *facts* (partition). A fold
//! writes to all three in one batch. Nothing is synced on purpose: after a power cut the database comes back as it was at some earlier
//! batch, which is only an older view.
//!
//! Removed timers leave markers at the front of *due* until compaction reaches them, so a scan must begin at a known place and not at
//! the front ([`Facts::floor`]): otherwise each scan walks all that ever fired.

use std::{
    error::Error,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::{Buf, BufMut, Bytes};
use cartwheel_runtime::log::Partition;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use jiff::Timestamp;

use super::{Change, Facts, View, ViewError};
use crate::timer::{Due, OpenTimer, Place};

/// The folder's name carries the layout; a folder of another layout is removed.
const FOLDER: &str = "timers-1";
/// Stands beside the folder if its files were found damaged while in use.
const DAMAGED: &str = "timers-1.damaged";
/// Removals in one batch while a view is cleared: a few hundred KiB of memory.
const CLEAR_BATCH: usize = 8192;

/// What the database may take of memory.
#[derive(Clone, Copy, Debug)]
pub struct DiskSettings {
    /// Cache of blocks read, in bytes.
    pub cache: u64,
    /// Each of two write buffers, in bytes.
    pub write_buffer: u64,
}

/// The database of a process; clones are the same.
#[derive(Clone)]
pub struct Disk(Arc<Tables>);

struct Tables {
    folder: PathBuf,
    database: Database,
    due: Keyspace,
    ids: Keyspace,
    facts: Keyspace,
}

impl Disk {
    /// Opens the database in `path`, and makes it anew where it is missing or damaged.
    ///
    /// # Errors
    /// When the disk is full, read-only or not ours, or another process uses the folder.
    pub fn open(path: &Path, settings: DiskSettings) -> Result<Self, ViewError> {
        let folder = path.join(FOLDER);
        let fault = |error: std::io::Error| disk_error("make room for", &folder, &error);
        std::fs::create_dir_all(path).map_err(fault)?;
        if path.join(DAMAGED).exists() {
            discard(path, &folder).map_err(fault)?;
        }
        match Tables::open(&folder, settings) {
            Ok(tables) => Ok(Self(Arc::new(tables))),
            Err(error) => match classify("open", &folder, &error) {
                ViewError::Damaged { reason, .. } => {
                    tracing::warn!(folder = %folder.display(), reason, "timer view is damaged, rebuilding it from the log");
                    discard(path, &folder).map_err(fault)?;
                    Tables::open(&folder, settings).map(|tables| Self(Arc::new(tables))).map_err(|error| classify("make", &folder, &error))
                }
                other => Err(other),
            },
        }
    }

    /// The view of this partition. There must be at most one user of it at a time.
    pub fn view(&self, partition: Partition) -> DiskView {
        DiskView { tables: self.0.clone(), partition }
    }

    /// What the database takes on disk, in bytes.
    pub fn bytes(&self) -> Result<u64, ViewError> {
        self.0.database.disk_space().map_err(|error| self.0.fault("measure", &error))
    }
}

/// The mark goes last, so that a crash in between discards again.
fn discard(path: &Path, folder: &Path) -> std::io::Result<()> {
    let mark = path.join(DAMAGED);
    std::fs::write(&mark, [])?;
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::remove_file(mark)
}

impl Tables {
    fn open(folder: &Path, settings: DiskSettings) -> fjall::Result<Self> {
        let database = Database::builder(folder).cache_size(settings.cache).worker_threads(1).max_journaling_size(64 << 20).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(settings.write_buffer);
        let (due, ids, facts) =
            (database.keyspace("due", options)?, database.keyspace("ids", options)?, database.keyspace("facts", options)?);
        Ok(Self { folder: folder.to_owned(), database, due, ids, facts })
    }

    /// Names the error, and marks the files if they are the cause, so that the next start rebuilds them.
    fn fault(&self, attempt: &'static str, error: &fjall::Error) -> ViewError {
        let fault = classify(attempt, &self.folder, error);
        if let (ViewError::Damaged { .. }, Some(path)) = (&fault, self.folder.parent())
            && let Err(error) = std::fs::write(path.join(DAMAGED), [])
        {
            tracing::error!(folder = %self.folder.display(), %error, "could not mark the damaged timer view, remove its folder by hand");
        }
        fault
    }

    fn damaged(&self, reason: &str) -> ViewError {
        self.fault("read", &fjall::Error::Io(std::io::Error::new(ErrorKind::InvalidData, reason)))
    }
}

/// Whether the disk or the files are at fault. What a full, forbidden or exhausted machine answers says nothing of the files.
fn classify(attempt: &'static str, folder: &Path, error: &fjall::Error) -> ViewError {
    let path = folder.display().to_string();
    if matches!(error, fjall::Error::Locked) {
        return ViewError::InUse { path };
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            let files =
                matches!(io.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::NotFound | ErrorKind::InvalidInput);
            return if files { ViewError::Damaged { path, reason: io.to_string() } } else { disk_error(attempt, folder, io) };
        }
        cause = error.source();
    }
    match error {
        fjall::Error::Poisoned => ViewError::Disk { attempt, path, reason: "an earlier write failed (is the disk full?)".to_owned() },
        other => ViewError::Damaged { path, reason: other.to_string() },
    }
}

fn disk_error(attempt: &'static str, folder: &Path, error: &std::io::Error) -> ViewError {
    ViewError::Disk { attempt, path: folder.display().to_string(), reason: error.to_string() }
}

/// A [`View`] on disk.
pub struct DiskView {
    tables: Arc<Tables>,
    partition: Partition,
}

impl DiskView {
    fn key(&self, rest: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(4 + rest.len());
        key.put_u32(self.partition);
        key.extend_from_slice(rest);
        key
    }

    fn scan(&self, from: &Place, until: Due) -> fjall::Iter {
        let end = Place { due: Due::from_microseconds(until.microseconds().saturating_add(1)), id: Bytes::new() };
        self.tables.due.range(self.key(&from.to_bytes())..self.key(&end.to_bytes()))
    }

    fn fault(&self, attempt: &'static str) -> impl Fn(fjall::Error) -> ViewError {
        move |error| self.tables.fault(attempt, &error)
    }

    fn remove_all(&self, table: &Keyspace) -> fjall::Result<()> {
        let mut keys = table.prefix(self.key(&[])).map(|entry| entry.key());
        loop {
            let mut batch = self.tables.database.batch();
            for key in keys.by_ref().take(CLEAR_BATCH) {
                batch.remove(table, key?);
            }
            if batch.is_empty() {
                return Ok(());
            }
            batch.commit()?;
        }
    }
}

impl View for DiskView {
    fn facts(&self) -> Result<Option<Facts>, ViewError> {
        let stored = self.tables.facts.get(self.key(&[])).map_err(self.fault("read"))?;
        stored.map(|bytes| serde_json::from_slice(&bytes).map_err(|error| self.tables.damaged(&error.to_string()))).transpose()
    }

    fn due_of(&self, id: &[u8]) -> Result<Option<Due>, ViewError> {
        let stored = self.tables.ids.get(self.key(id)).map_err(self.fault("read"))?;
        let due = |bytes: fjall::Slice| match <[u8; 8]>::try_from(&*bytes) {
            Ok(due) => Ok(Due::from_microseconds(i64::from_be_bytes(due))),
            Err(_) => Err(self.tables.damaged("a due moment is not eight bytes long")),
        };
        stored.map(due).transpose()
    }

    fn due(&self, from: &Place, until: Due, count: usize, bytes: usize) -> Result<Vec<OpenTimer>, ViewError> {
        let (mut due, mut read) = (Vec::new(), 0);
        for entry in self.scan(from, until).take(count) {
            let (key, value) = entry.into_inner().map_err(self.fault("read"))?;
            let timer = decode(&key, &value).ok_or_else(|| self.tables.damaged("a timer is cut short"))?;
            read += timer.record.len();
            due.push(timer);
            if read > bytes {
                break;
            }
        }
        Ok(due)
    }

    fn count_due(&self, from: &Place, until: Due, most: usize) -> Result<usize, ViewError> {
        let mut count = 0;
        for entry in self.scan(from, until).take(most) {
            entry.key().map_err(self.fault("read"))?;
            count += 1;
        }
        Ok(count)
    }

    fn apply(&mut self, change: Change, facts: &Facts) -> Result<(), ViewError> {
        let Tables { database, due, ids, facts: facts_table, .. } = &*self.tables;
        let mut batch = database.batch();
        // One batch must not both remove and insert a key: a timer that moves only gets its id's new due moment.
        let moved: std::collections::HashSet<&Bytes> = change.put.iter().map(|timer| &timer.place.id).collect();
        for place in &change.removed {
            batch.remove(due, self.key(&place.to_bytes()));
            if !moved.contains(&place.id) {
                batch.remove(ids, self.key(&place.id));
            }
        }
        for timer in &change.put {
            batch.insert(ids, self.key(&timer.place.id), timer.place.due.microseconds().to_be_bytes());
            batch.insert(due, self.key(&timer.place.to_bytes()), encode(timer));
        }
        let encoded = serde_json::to_vec(facts).map_err(|error| self.tables.damaged(&error.to_string()))?;
        batch.insert(facts_table, self.key(&[]), encoded);
        batch.commit().map_err(self.fault("write"))
    }

    fn clear(&mut self) -> Result<(), ViewError> {
        let fault = self.fault("clear");
        self.tables.facts.remove(self.key(&[])).map_err(&fault)?;
        self.remove_all(&self.tables.ids).map_err(&fault)?;
        self.remove_all(&self.tables.due).map_err(&fault)
    }
}

fn encode(timer: &OpenTimer) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + timer.record.len());
    bytes.put_u64(timer.offset);
    bytes.put_i64(timer.appended.as_microsecond());
    bytes.extend_from_slice(&timer.record);
    bytes
}

fn decode(key: &[u8], mut value: &[u8]) -> Option<OpenTimer> {
    let place = Place::from_bytes(key.get(4..)?)?;
    let offset = value.try_get_u64().ok()?;
    let appended = Timestamp::from_microsecond(value.try_get_i64().ok()?).ok()?;
    Some(OpenTimer { place, offset, appended, record: Bytes::copy_from_slice(value) })
}
