//! Today's code reads yesterday's bytes, and writes the same as yesterday.
//!
//! `tests/golden/RECORD.VERSION.NAME.avro` holds the bytes of the sample of that name. To write the files of new samples:
//! `CARTWHEEL_WRITE_GOLDEN=1 cargo test -p cartwheel-wire golden` writes files that are missing and never changes one.

use std::{collections::BTreeSet, fs, path::Path};

use cartwheel_wire::{CampaignsRecord, Codec, DecodeError, RecordType, schemas};

use crate::{any::Any, samples::samples};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

#[test]
fn todays_code_reads_yesterdays_bytes_and_writes_them_again() {
    let codec = Codec::single_object();
    let samples = samples();
    for (name, sample) in &samples {
        let path = Path::new(FOLDER).join(format!("{name}.avro"));
        let bytes = sample.encode(&codec);
        if !path.exists() && std::env::var_os("CARTWHEEL_WRITE_GOLDEN").is_some() {
            fs::write(&path, &bytes).unwrap();
        }
        let golden =
            fs::read(&path).unwrap_or_else(|_| panic!("{name} has no golden bytes; run with CARTWHEEL_WRITE_GOLDEN=1 and commit them"));
        let version = name.split('.').nth(1).unwrap().parse::<u32>().unwrap();
        let written = schemas().iter().find(|schema| schema.record == sample.record_type() && schema.written).unwrap();
        assert_eq!(Any::decode(sample.record_type(), &codec, &golden), Ok(sample.clone()), "{name}");
        assert!(version != written.version || bytes == golden, "{name} is written in other bytes than before");
    }
    let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files = files.map(|file| file.trim_end_matches(".avro").to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(files, samples.keys().map(|name| (*name).to_owned()).collect(), "each golden file has a sample that says what it means");
    let shown = samples.values().map(Any::record_type).collect::<BTreeSet<_>>();
    assert_eq!(shown, RecordType::ALL.iter().copied().collect(), "each record has a sample");
}

#[test]
fn both_framings_are_read_wherever_the_schema_is_known() {
    let ids = schemas().iter().enumerate().map(|(place, schema)| (schema.fingerprint, 70_000 + place as u32));
    let confluent = Codec::confluent(ids.clone()).unwrap();
    let single = Codec::single_object();
    for (name, sample) in samples() {
        let record = sample.record_type();
        let framed = sample.encode(&confluent);
        assert_eq!(framed[..3], [0, 0, 1], "a zero byte and a big-endian id: {name}");
        assert_eq!(framed[5..], sample.encode(&single)[10..], "one datum in both: {name}");
        assert_eq!(Any::decode(record, &confluent, &framed), Ok(sample.clone()), "{name}");
        assert_eq!(Any::decode(record, &confluent, &sample.encode(&single)), Ok(sample.clone()), "{name}");
        let unknown = Any::decode(record, &single, &framed).unwrap_err();
        assert!(matches!(unknown, DecodeError::UnknownId { .. }) && !unknown.is_poison(), "{name}: {unknown}");
    }
    let sample = &samples()["control.1.all"];
    assert_eq!(sample.encode(&confluent.clone().writing_single_object()), sample.encode(&single));
    let missing = Codec::confluent(ids.skip(1)).unwrap_err();
    assert_eq!(missing.missing, [RecordType::Event]);
}

#[test]
fn a_schema_of_a_newer_version_is_not_poison_and_another_record_is() {
    let codec = Codec::single_object();
    let mut newer = samples()["control.1.all"].encode(&codec);
    newer[5] ^= 1;
    let error = Any::decode(RecordType::Control, &codec, &newer).unwrap_err();
    assert!(matches!(error, DecodeError::UnknownSchema { .. }) && !error.is_poison(), "{error}");
    let other = Any::decode(RecordType::Event, &codec, &samples()["control.1.all"].encode(&codec)).unwrap_err();
    assert_eq!(other, DecodeError::OtherRecord { wanted: RecordType::Event, found: RecordType::Control });
    assert!(other.is_poison());
    let not_framed = Any::decode(RecordType::Event, &codec, b"{\"event\": \"Product Added\"}").unwrap_err();
    assert!(not_framed == DecodeError::NotFramed && not_framed.is_poison());
}

#[test]
fn the_campaigns_topic_holds_files_and_revisions_whose_rivals_have_keys_of_their_own() {
    let codec = Codec::single_object();
    let samples = samples();
    let Any::Revision(revision) = samples["revision.1.revision"].clone() else { panic!() };
    let Any::CampaignFile(file) = samples["campaign-file.1.campaign"].clone() else { panic!() };
    assert_eq!(CampaignsRecord::decode(&codec, &file.encode(&codec)), Ok(CampaignsRecord::File(file.clone())));
    assert_eq!(CampaignsRecord::decode(&codec, &revision.encode(&codec)), Ok(CampaignsRecord::Revision(revision.clone())));
    assert!(CampaignsRecord::decode(&codec, &samples["control.1.all"].encode(&codec)).unwrap_err().is_poison());

    let rival = cartwheel_wire::Revision { by: "ivan".into(), ..revision.clone() };
    assert!(revision.key().starts_with("acme/revision@7#") && rival.key().starts_with("acme/revision@7#"));
    assert_ne!(revision.key(), rival.key());
    let rival = cartwheel_wire::CampaignFile { text: "campaign: other\n".into(), ..file.clone() };
    assert!(file.key().starts_with("acme/campaigns/abandoned-cart.yaml@3#"));
    assert_ne!(file.key(), rival.key());
}
