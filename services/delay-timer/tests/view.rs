//! The view on disk: what it survives, what is thrown away, and what it says when the disk is at fault.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use bytes::Bytes;
    use cartwheel_delay_timer::{
        timer::{Due, OpenTimer, Place},
        view::{Change, Disk, DiskSettings, DiskView, Facts, Identity, Stamp, Unfit, View, ViewError},
    };
    use cartwheel_runtime::log::Bounds;
    use jiff::{SignedDuration, Timestamp};

    const SETTINGS: DiskSettings = DiskSettings { cache: 1 << 20, write_buffer: 1 << 20 };
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn open(path: &Path) -> Disk {
        Disk::open(path, SETTINGS).unwrap()
    }

    fn identity(partition: u32) -> Identity {
        Identity { installation: "acme".to_owned(), topic: "cartwheel.timers".to_owned(), partition }
    }

    fn timer(due: i64, id: &str) -> OpenTimer {
        let place = Place { due: Due::from_microseconds(due), id: Bytes::from(id.to_owned()) };
        OpenTimer { place, offset: 7, appended: Timestamp::UNIX_EPOCH, record: Bytes::from(format!("record of {id}")) }
    }

    fn put(view: &mut DiskView, partition: u32, timers: &[OpenTimer]) -> Facts {
        let facts = Facts {
            position: 9,
            last: Some(Stamp { offset: 8, timestamp: Timestamp::UNIX_EPOCH }),
            open: timers.len() as u64,
            overtaken: BTreeSet::from([Bytes::from_static(b"\xff\x00 any bytes")]),
            ..Facts::beginning(identity(partition), 0)
        };
        view.apply(Change { put: timers.to_vec(), removed: Vec::new() }, &facts).unwrap();
        facts
    }

    fn all(view: &DiskView) -> Vec<OpenTimer> {
        view.due(&Place::FIRST, Due::LAST, usize::MAX, usize::MAX).unwrap()
    }

    #[test]
    fn a_view_survives_a_restart_and_partitions_do_not_mix() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = ([timer(-3, "a"), timer(5, "b")], [timer(4, "a")]);
        let disk = open(folder.path());
        let facts = put(&mut disk.view(1), 1, &first);
        put(&mut disk.view(2), 2, &second);
        disk.view(258).clear().unwrap();
        drop(disk);

        let disk = open(folder.path());
        let view = disk.view(1);
        assert_eq!(view.facts().unwrap(), Some(facts));
        assert_eq!((all(&view), all(&disk.view(2))), (first.to_vec(), second.to_vec()));
        assert_eq!(view.due_of(b"b").unwrap(), Some(Due::from_microseconds(5)));
        assert_eq!(view.due(&first[0].place.next(), Due::LAST, 9, 0).unwrap(), [first[1].clone()]);
        assert_eq!(view.count_due(&Place::FIRST, Due::from_microseconds(4), 9).unwrap(), 1);
    }

    #[test]
    fn a_cleared_view_holds_nothing_and_leaves_its_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path());
        put(&mut disk.view(0), 0, &[timer(1, "a")]);
        put(&mut disk.view(1), 1, &[timer(1, "a"), timer(2, "b")]);
        let mut view = disk.view(1);
        view.clear().unwrap();
        assert_eq!((view.facts().unwrap(), all(&view), view.due_of(b"a").unwrap()), (None, Vec::new(), None));
        assert_eq!(all(&disk.view(0)).len(), 1);
    }

    #[test]
    fn damaged_files_are_replaced_by_an_empty_view() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path());
        put(&mut disk.view(0), 0, &[timer(1, "a")]);
        drop(disk);
        for file in files(folder.path()) {
            std::fs::write(file, b"not what was here").unwrap();
        }
        let disk = open(folder.path());
        assert_eq!(disk.view(0).facts().unwrap(), None);
        put(&mut disk.view(0), 0, &[timer(1, "a")]);
    }

    fn files(folder: &Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn a_folder_in_use_and_a_disk_that_takes_nothing_are_named_and_nothing_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let disk = open(folder.path());
        put(&mut disk.view(0), 0, &[timer(1, "a")]);
        let in_use = Disk::open(folder.path(), SETTINGS).err().unwrap();
        assert!(matches!(in_use, ViewError::InUse { .. }), "{in_use}");
        assert_eq!(all(&disk.view(0)).len(), 1);
        // A device that is always full stands for a disk that is.
        let full = Disk::open(Path::new("/dev/full"), SETTINGS).err().unwrap();
        assert!(matches!(full, ViewError::Disk { .. }), "{full}");
        assert!(full.to_string().contains("timers are safe on the log"), "{full}");
    }

    #[test]
    fn only_a_view_that_can_be_read_on_is_fit() {
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let facts = Facts { position: 10, complete_until: now - DAY, ..Facts::beginning(identity(3), 0) };
        let judge = |facts: &Facts, start, end| facts.judge(&identity(3), Bounds { start, end }, now, 6 * DAY);
        assert_eq!(judge(&facts, 10, 10), Ok(()));
        assert_eq!(judge(&facts, 11, 20), Err(Unfit::Behind));
        assert_eq!(judge(&facts, 0, 9), Err(Unfit::Ahead));
        assert_eq!(judge(&Facts { complete_until: now - 6 * DAY, ..facts.clone() }, 0, 20), Err(Unfit::Old));
        assert_eq!(judge(&Facts { complete_until: now + DAY, ..facts.clone() }, 0, 20), Err(Unfit::Old));
        for foreign in [
            Identity { installation: "staging".to_owned(), ..identity(3) },
            Identity { topic: "cartwheel.timers.g2".to_owned(), ..identity(3) },
            identity(4),
        ] {
            assert_eq!(judge(&Facts { identity: foreign, ..facts.clone() }, 0, 20), Err(Unfit::Foreign));
        }
    }
}
