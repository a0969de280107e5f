//! How long encoding and decoding take: `cargo run --release -p cartwheel-wire --example codec_speed`.
//!
//! Prints microseconds a record on one core, the median of eleven rounds, for a tracked event with twelve properties.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::{collections::BTreeMap, error::Error, hint::black_box, time::Instant};

use cartwheel_engine::input::{Event, Fact, Input};
use cartwheel_language::Value;
use cartwheel_wire::{Codec, EventBody, EventRecord, TimerRecord, partition_of};

const ROUNDS: usize = 11;
const RECORDS: u32 = 50_000;

fn main() -> Result<(), Box<dyn Error>> {
    let codec = Codec::single_object();
    let event = event()?;
    let bytes = event.encode(&codec);
    let timer = TimerRecord {
        id: "0123456789abcdef0123456789abcdef".into(),
        due: "2026-11-01T10:30:00Z".parse()?,
        topic: "cartwheel.events".into(),
        partition: 4,
        key: Some("acme/user:42".into()),
        headers: vec![],
        value: Some(bytes.clone().into()),
    };
    let timer_bytes = timer.encode(&codec);
    println!("event of {} bytes: encode {:.2} us", bytes.len(), median(|| event.encode(&codec)));
    println!("event of {} bytes: decode {:.2} us", bytes.len(), median(|| EventRecord::decode(&codec, &bytes)));
    println!("timer of {} bytes: encode {:.2} us", timer_bytes.len(), median(|| timer.encode(&codec)));
    println!("timer of {} bytes: decode {:.2} us", timer_bytes.len(), median(|| TimerRecord::decode(&codec, &timer_bytes)));
    println!("partition of a key: {:.3} us", median(|| partition_of(black_box("acme/user:42"), 64)));
    Ok(())
}

fn event() -> Result<EventRecord, Box<dyn Error>> {
    let properties = serde_json::json!({
        "cart_id": "cart-7", "product_id": "sku-1001", "name": "Woollen hat", "category": "Hats", "brand": "Acme", "price": 19.9,
        "quantity": 2, "currency": "EUR", "url": "https://acme.example/p/1001", "image_url": "https://acme.example/p/1001.jpg",
        "gift": false, "tags": ["winter", "wool"],
    });
    let properties = serde_json::from_value::<BTreeMap<String, Value>>(properties)?;
    let input = Input {
        key: "acme/user:42".parse()?,
        id: "7d1a3c55-92a4-4f5e-8c0e-0a4a51b0c1de".into(),
        received: "2026-11-01T10:00:00.123456Z".parse()?,
        names: vec!["acme/user:42".parse()?, "acme/anonymous:3f6c1f0e".parse()?],
        fact: Fact::Tracked(Event { name: "Product Added".into(), occurred: "2026-11-01T09:59:58Z".parse()?, properties }),
    };
    Ok(EventRecord { origin: None, body: EventBody::Customer(input) })
}

/// Microseconds a call.
fn median<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut rounds = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..RECORDS).for_each(|_| drop(black_box(call())));
            start.elapsed().as_secs_f64() * 1e6 / f64::from(RECORDS)
        })
        .collect::<Vec<_>>();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}
