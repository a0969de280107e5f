//! Bytes that somebody else made: an error, never a panic or a large allocation.

use cartwheel_wire::{Codec, DecodeError, RecordType, VALUE_LIMIT, schemas};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{any::Any, samples::samples};

fn header(record: RecordType) -> Vec<u8> {
    let schema = schemas().iter().find(|schema| schema.record == record && schema.written).unwrap();
    [&[0xc3, 0x01][..], &schema.fingerprint.to_le_bytes()].concat()
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_allocated() {
    let codec = Codec::single_object();
    // 2^62 as a length or a count.
    let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    for record in RecordType::ALL {
        for lead in [&[][..], &[0], &[0, 0, 0, 0]] {
            let bytes = [&header(*record)[..], lead, &huge].concat();
            let error = Any::decode(*record, &codec, &bytes).unwrap_err();
            assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
        }
    }
    // A revision whose map claims more entries than a record may have, each of two bytes.
    let mut entries = header(RecordType::Revision);
    entries.extend([0, 2, 0]);
    entries.extend([0x80, 0x89, 0x7a]);
    entries.extend(vec![0; 2_000_000]);
    let error = Any::decode(RecordType::Revision, &codec, &entries).unwrap_err();
    assert!(error.to_string().contains("too many entries"), "{error}");
    let large = vec![0xc3; VALUE_LIMIT + 1];
    assert_eq!(Any::decode(RecordType::Event, &codec, &large), Err(DecodeError::TooLarge { size: VALUE_LIMIT + 1 }));
}

#[test]
fn properties_nest_as_deep_as_ingest_allows_and_not_without_end() {
    let codec = Codec::single_object();
    let nested = |depth| tracked(&format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth)));
    let record = Any::decode(RecordType::Event, &codec, &nested(120)).unwrap();
    assert_eq!(record.encode(&codec), nested(120));
    let error = Any::decode(RecordType::Event, &codec, &nested(200_000)).unwrap_err();
    assert!(matches!(error, DecodeError::Meaningless { field: "tracked.properties", .. }), "{error}");
}

/// The bytes of a tracked event with this text as its properties.
fn tracked(properties: &str) -> Vec<u8> {
    let sample = samples()["event.1.tracked"].encode(&Codec::single_object());
    let place = sample.windows(2).position(|window| window == b"{\"").unwrap();
    // The sample's own length stands right before the text, in two bytes; nine nulls follow it.
    let mut bytes = sample[..place - 2].to_vec();
    let mut length = properties.len() << 1;
    while length >= 0x80 {
        bytes.push((length as u8) | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(properties.as_bytes());
    bytes.extend([0; 9]);
    bytes
}

#[test]
fn errors_do_not_quote_what_a_record_holds() {
    let codec = Codec::single_object();
    let secret = b"+12025550142";
    for (name, sample) in samples() {
        let bytes = sample.encode(&codec);
        for cut in 10..bytes.len() {
            let Err(error) = Any::decode(sample.record_type(), &codec, &bytes[..cut]) else { continue };
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(str::from_utf8(secret).unwrap()) && !shown.contains("cart is as you left it"), "{name}: {shown}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..300)) {
        let codec = Codec::single_object();
        for record in RecordType::ALL {
            let _ = Any::decode(*record, &codec, &bytes);
            let _ = Any::decode(*record, &codec, &[&header(*record)[..], &bytes].concat());
        }
    }

    #[test]
    fn a_mutated_record_is_refused_or_reads_back_as_what_it_became(
        place in any::<Index>(), changes in vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let codec = Codec::single_object();
        let samples = samples();
        let sample = place.get(&samples.values().collect::<Vec<_>>()).to_owned();
        let mut bytes = sample.encode(&codec);
        for (place, byte, how) in changes {
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => bytes.truncate(place.max(1)),
            }
        }
        if let Ok(record) = Any::decode(sample.record_type(), &codec, &bytes) {
            prop_assert_eq!(Any::decode(sample.record_type(), &codec, &record.encode(&codec)), Ok(record));
        }
    }
}
