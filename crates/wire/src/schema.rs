//! The schemas that stand on topics: today's, which are written, and all that ever were, which are still read.

use std::sync::LazyLock;

use apache_avro::{Schema, rabin::Rabin, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};

macro_rules! record_types {
    ($($(#[$doc:meta])* $name:ident = $file:literal [$($version:literal),+],)*) => {
        /// What a record is; each has a schema of its own in `proto/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RecordType { $($(#[$doc])* $name,)* }

        impl RecordType {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its schema's file name in `proto/`, without ending.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $file,)* }
            }

            fn written(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("../../../proto/", $file, ".avsc")),)* }
            }

            fn history(self) -> &'static [(u32, &'static str)] {
                match self { $(Self::$name => &[$(($version, include_str!(concat!("../../../proto/history/", $file, ".", $version, ".avsc"))),)+],)* }
            }
        }
    };
}

record_types! {
    /// [`EventRecord`](crate::EventRecord).
    Event = "event" [1],
    /// [`TimerRecord`](crate::TimerRecord).
    Timer = "timer" [1],
    /// [`SendRecord`](crate::SendRecord).
    Send = "send" [1],
    /// [`DeliveryRecord`](crate::DeliveryRecord).
    Delivery = "delivery" [1],
    /// [`DecisionRecord`](crate::DecisionRecord).
    Decision = "decision" [1],
    /// [`CampaignFile`](crate::CampaignFile).
    CampaignFile = "campaign-file" [1],
    /// [`Revision`](crate::Revision).
    Revision = "revision" [1],
    /// [`ControlRecord`](crate::ControlRecord).
    Control = "control" [1],
    /// [`DeadLetter`](crate::DeadLetter).
    DeadLetter = "dead-letter" [1],
}

/// One version of one record's schema.
pub struct SchemaVersion {
    /// The record.
    pub record: RecordType,
    /// Counts the record's versions, from 1: its file is `proto/history/RECORD.VERSION.avsc`.
    pub version: u32,
    /// CRC-64-AVRO of the schema's canonical form.
    pub fingerprint: u64,
    /// The schema's file, for a schema registry.
    pub text: &'static str,
    /// Whether this is the version that is written.
    pub written: bool,
    pub(crate) schema: &'static Schema,
    pub(crate) reader: GenericDatumReader<'static>,
    pub(crate) writer: GenericDatumWriter<'static>,
}

impl std::fmt::Debug for SchemaVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}", self.record.as_str(), self.version)
    }
}

/// Every version of every schema that this build can read.
pub fn schemas() -> &'static [SchemaVersion] {
    &VERSIONS
}

/// The version of a record that is written.
pub(crate) fn written(record: RecordType) -> &'static SchemaVersion {
    &VERSIONS[WRITTEN[record as usize]]
}

/// The version with this fingerprint.
pub(crate) fn by_fingerprint(record: RecordType, fingerprint: u64) -> Option<&'static SchemaVersion> {
    let likely = written(record);
    if likely.fingerprint == fingerprint { Some(likely) } else { VERSIONS.iter().find(|version| version.fingerprint == fingerprint) }
}

const SHIPPED: &str = "shipped schemas are tested to be sound";

struct Parsed {
    record: RecordType,
    version: u32,
    text: &'static str,
    written: bool,
    fingerprint: u64,
    schema: Schema,
}

static PARSED: LazyLock<Vec<Parsed>> = LazyLock::new(|| {
    let mut all = Vec::new();
    for record in RecordType::ALL {
        let parsed = |version: u32, text: &'static str, written: bool| Parsed {
            record: *record,
            version,
            text,
            written,
            fingerprint: fingerprint(text).expect(SHIPPED),
            schema: Schema::parse_str(text).expect(SHIPPED),
        };
        let history = record.history();
        let today = parsed(0, record.written(), true);
        // A schema that is being changed stands in no history yet; a test sees to it that none is shipped so.
        let number = history
            .iter()
            .find(|(_, text)| fingerprint(text) == Some(today.fingerprint))
            .map_or(history.len() as u32 + 1, |(number, _)| *number);
        all.extend(history.iter().filter(|(version, _)| *version != number).map(|(version, text)| parsed(*version, text, false)));
        all.push(Parsed { version: number, ..today });
    }
    all
});

static VERSIONS: LazyLock<Vec<SchemaVersion>> = LazyLock::new(|| {
    let today = |record| &PARSED.iter().find(|parsed| parsed.record == record && parsed.written).expect(SHIPPED).schema;
    PARSED
        .iter()
        .map(|parsed| {
            let schema = &parsed.schema;
            // The direct path reads today's version; apache-avro resolves others only on its slower path.
            let reader = GenericDatumReader::builder(schema).maybe_reader_schema((!parsed.written).then(|| today(parsed.record))).build();
            SchemaVersion {
                record: parsed.record,
                version: parsed.version,
                fingerprint: parsed.fingerprint,
                text: parsed.text,
                written: parsed.written,
                schema,
                reader: reader.expect(SHIPPED),
                writer: GenericDatumWriter::builder(schema).build().expect(SHIPPED),
            }
        })
        .collect()
});

static WRITTEN: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let place = |record: &RecordType| VERSIONS.iter().position(|version| version.record == *record && version.written).expect(SHIPPED);
    RecordType::ALL.iter().map(place).collect()
});

/// CRC-64-AVRO of a schema's canonical form, as Avro's Java library computes it; none if the text is no schema.
pub fn fingerprint(text: &str) -> Option<u64> {
    let mut json = serde_json::from_str(text).ok()?;
    without_logical_types(&mut json);
    let bytes = Schema::parse(&json).ok()?.fingerprint::<Rabin>().bytes;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// apache-avro 0.22 leaves `{"type": "long"}` in the canonical form where a logical type stood; the specification and other
/// libraries have `"long"` there, and hence another fingerprint.
fn without_logical_types(json: &mut serde_json::Value) {
    match json {
        serde_json::Value::Object(object) if object.contains_key("logicalType") && object["type"].is_string() => {
            *json = object["type"].take()
        }
        serde_json::Value::Object(object) => object.values_mut().for_each(without_logical_types),
        serde_json::Value::Array(list) => list.iter_mut().for_each(without_logical_types),
        _ => {}
    }
}
