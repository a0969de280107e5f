//! The simulation over seeds.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use cartwheel_sim::{Fault, Report, run};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map_or(default, |text| text.parse().expect("a whole number"))
}

#[test]
fn no_promise_is_broken_whatever_goes_wrong_and_everything_goes_wrong_somewhere() {
    let (first, count) = (number("SEED", 1), number("SEEDS", 20));
    let mut seen: BTreeMap<Fault, u64> = BTreeMap::new();
    let mut decided: BTreeMap<_, u64> = BTreeMap::new();
    let (mut steps, mut messages, mut failures) = (0, 0, Vec::new());
    let next = AtomicU64::new(0);
    let play = || {
        let seeds = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count));
        seeds.map(|index| first.wrapping_add(index)).map(|seed| (seed, run(seed, None))).collect::<Vec<_>>()
    };
    // A run knows one thread; several runs know nothing of each other.
    let mut played: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..std::thread::available_parallelism().map_or(1, usize::from)).map(|_| scope.spawn(play)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    played.sort_by_key(|(seed, _)| seed.wrapping_sub(first));
    for (seed, played) in played {
        match played {
            Ok(Report { seen: of_seed, decided: why, steps: of_run, messages: taken, .. }) => {
                why.into_iter().for_each(|(why, times)| *decided.entry(why).or_default() += times);
                of_seed.into_iter().for_each(|(fault, times)| *seen.entry(fault).or_default() += times);
                steps += of_run;
                messages += taken;
            }
            Err(error) => {
                println!("{error}\n");
                failures.push(seed);
            }
        }
    }
    println!("{count} seeds from {first}: {steps} steps, {messages} messages taken");
    for fault in Fault::ALL {
        println!("{:>8} {}", seen.get(fault).unwrap_or(&0), fault.as_str());
    }
    for ((verdict, reason), times) in &decided {
        println!("{times:>8} {}: {}", verdict.as_str(), reason.as_str());
    }
    assert!(failures.is_empty(), "seeds that broke a promise: {failures:?}");
    let unseen: Vec<_> = Fault::ALL.iter().filter(|fault| !seen.contains_key(fault)).collect();
    assert!(count < 20 || unseen.is_empty(), "blind: {unseen:?} never occurred");
}
