//! What the tests of the log share.

use std::time::Duration;

use bytes::Bytes;
use cartwheel_runtime::{
    kafka::{Membership, Ownership},
    log::{Outgoing, Partition, Reader, Record},
};
use cartwheel_tests::eventually;

/// Long enough for any record to come; a read that finds one returns at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A record with this text.
pub(crate) fn outgoing(topic: &str, partition: Partition, text: &str) -> Outgoing {
    Outgoing {
        topic: topic.into(),
        partition,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::copy_from_slice(text.as_bytes())),
        headers: vec![("name".to_owned(), Bytes::from_static(b"value"))],
    }
}

/// Records numbered from `from`.
pub(crate) fn numbered(topic: &str, partition: Partition, numbers: std::ops::Range<u64>) -> Vec<Outgoing> {
    numbers.map(|number| outgoing(topic, partition, &number.to_string())).collect()
}

/// Reads until there are `count` records.
pub(crate) async fn read(reader: &mut dyn Reader, count: usize) -> Vec<Record> {
    let mut records = Vec::with_capacity(count);
    while records.len() < count {
        let read = reader.read(count - records.len(), PATIENCE).await.expect("reading failed");
        assert!(!read.is_empty(), "only {} of {count} records came", records.len());
        records.extend(read);
    }
    records
}

/// The text of a record.
pub(crate) fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default().to_vec()).expect("a record that is not text")
}

/// The next change of a membership, which must come.
#[allow(dead_code, reason = "not every test binary joins a group")]
pub(crate) async fn change(membership: &mut Membership) -> Ownership {
    let change = tokio::time::timeout(PATIENCE, membership.next()).await.expect("no change of ownership came");
    change.expect("thrown out of the group").expect("group was left")
}

/// Waits until a group's mark is `wanted`.
#[allow(dead_code, reason = "not every test binary joins a group")]
pub(crate) async fn marked(positions: &dyn cartwheel_runtime::log::Positions, topic: &str, partition: Partition, wanted: u64) {
    eventually("the mark", || async {
        match positions.marked(topic, partition).await {
            Ok(Some(mark)) if mark == wanted => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}
