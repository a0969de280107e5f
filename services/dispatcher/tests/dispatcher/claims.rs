//! Every interleaving of a few dispatchers over one message, run against the real journal: zombies, crashes, stale views, skewed clocks.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use cartwheel_dispatcher::journal::{Journal, Move, Word};
use cartwheel_engine::{
    id::MessageId,
    input::{OutcomeResult, Return, Suppression},
};
use cartwheel_language::Delivery;
use jiff::Timestamp;

/// What a record says; small, so that states are cheap to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Said {
    Attempt,
    TakeOver,
    Sent,
    Failed,
    Unknown,
    Suppressed,
    Returned,
}

impl Said {
    fn word(self) -> Word {
        match self {
            Self::Attempt => Word::Attempt { takes_over: false },
            Self::TakeOver => Word::Attempt { takes_over: true },
            Self::Sent => Word::Ended(OutcomeResult::Sent),
            Self::Failed => Word::Ended(OutcomeResult::Failed { reason: "refused".into(), address: false }),
            Self::Unknown => Word::Ended(OutcomeResult::Unknown),
            Self::Suppressed => Word::Ended(OutcomeResult::Suppressed { reason: Suppression::Revoked }),
            Self::Returned => Word::Ended(OutcomeResult::Returned { reason: Return::QueueFull }),
        }
    }

    fn of(result: &OutcomeResult) -> Self {
        match result {
            OutcomeResult::Sent | OutcomeResult::Delivered => Self::Sent,
            OutcomeResult::Failed { .. } => Self::Failed,
            OutcomeResult::Unknown => Self::Unknown,
            OutcomeResult::Suppressed { .. } => Self::Suppressed,
            OutcomeResult::Expired | OutcomeResult::Returned { .. } => Self::Returned,
        }
    }
}

/// Where a dispatcher stands. Everything but the journal is lost when it crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// It has read so many records.
    Looking(usize),
    /// Its attempt stands at this offset, behind that one.
    Claimed(usize, Option<u64>),
    /// It has won and is about to call.
    Holding(bool),
    /// It has called.
    Called(bool),
    /// It has reported.
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    journal: Vec<(Said, u8)>,
    dispatchers: Vec<(At, u8)>,
    /// What the evaluator believes: the first outcome, except that unknown gives way (rule P19).
    believed: Option<Said>,
    calls: u8,
    crashes: u8,
    incarnations: u8,
}

fn journal(records: &[(Said, u8)]) -> Journal {
    let mut journal = Journal::default();
    for (offset, (said, claimant)) in records.iter().enumerate() {
        journal.fold(offset as u64, &message(), u128::from(*claimant), said.word(), Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    }
    journal
}

fn message() -> MessageId {
    "m".to_owned().into()
}

impl World {
    fn write(&self, dispatcher: usize, said: Said, then: impl Fn(usize) -> At) -> Self {
        let mut next = self.clone();
        next.journal.push((said, self.dispatchers[dispatcher].1));
        next.dispatchers[dispatcher].0 = then(self.journal.len());
        next
    }

    fn at(&self, dispatcher: usize, at: At) -> Self {
        let mut next = self.clone();
        next.dispatchers[dispatcher].0 = at;
        next
    }

    /// All worlds that one step of one dispatcher leads to.
    fn steps(&self, dispatcher: usize, delivery: Delivery) -> Vec<Self> {
        let mut next = Vec::new();
        let looking = |offset: usize| At::Looking(offset + 1);
        match self.dispatchers[dispatcher].0 {
            At::Looking(read) => {
                for read in read..=self.journal.len() {
                    // Its clock says that every grace is over; before that it would only wait.
                    match journal(&self.journal[..read]).next_move(&message(), delivery, Timestamp::MAX, Duration::ZERO) {
                        Move::Claim { behind: None } => {
                            next.push(self.write(dispatcher, Said::Attempt, |offset| At::Claimed(offset, None)));
                            // Expired is to the journal what returned is.
                            for verdict in [Said::Returned, Said::Suppressed] {
                                next.push(self.write(dispatcher, verdict, looking));
                            }
                        }
                        Move::Claim { behind } => {
                            next.push(self.write(dispatcher, Said::TakeOver, |offset| At::Claimed(offset, behind)));
                            next.push(self.write(dispatcher, Said::Unknown, looking));
                        }
                        Move::SayUnknown => next.push(self.write(dispatcher, Said::Unknown, looking)),
                        Move::Report { result, .. } => {
                            let mut reported = self.at(dispatcher, At::Done);
                            let said = Said::of(&result);
                            let gives_way = matches!((self.believed, said), (None, _) | (Some(Said::Unknown), Said::Sent | Said::Failed));
                            if gives_way {
                                reported.believed = Some(said);
                            }
                            next.push(reported);
                        }
                        Move::Wait(_) => unreachable!("every grace is over"),
                    }
                }
            }
            At::Claimed(offset, behind) => {
                for read in offset + 1..=self.journal.len() {
                    let won = journal(&self.journal[..read]).won(&message(), offset as u64, behind);
                    next.push(self.at(dispatcher, if won { At::Holding(behind.is_some()) } else { At::Looking(read) }));
                }
            }
            At::Holding(maybe) => {
                let mut called = self.at(dispatcher, At::Called(maybe));
                called.calls += 1;
                next.push(called);
                let verdict = if maybe { Said::Unknown } else { Said::Suppressed };
                next.push(self.write(dispatcher, verdict, looking));
            }
            At::Called(maybe) => {
                next.push(self.write(dispatcher, Said::Sent, looking));
                if delivery == Delivery::AtMostOnce {
                    next.push(self.write(dispatcher, Said::Unknown, looking));
                }
                if delivery == Delivery::AtLeastOnce && !maybe {
                    next.push(self.at(dispatcher, At::Holding(true)));
                }
            }
            At::Done => {}
        }
        if self.crashes > 0 && !matches!(self.dispatchers[dispatcher].0, At::Done) {
            let mut crashed = self.at(dispatcher, At::Looking(0));
            crashed.crashes -= 1;
            crashed.dispatchers[dispatcher].1 = self.incarnations;
            crashed.incarnations += 1;
            next.push(crashed);
        }
        next
    }
}

/// Walks through every reachable world, and tells how many there are.
fn explore(dispatchers: u8, crashes: u8, records: usize, delivery: Delivery, calls_limit: u8) -> usize {
    let first = World {
        journal: Vec::new(),
        dispatchers: (0..dispatchers).map(|claimant| (At::Looking(0), claimant)).collect(),
        believed: None,
        calls: 0,
        crashes,
        incarnations: dispatchers,
    };
    let mut seen = HashSet::from([first.clone()]);
    let mut open = VecDeque::from([first]);
    while let Some(world) = open.pop_front() {
        assert!(world.calls <= calls_limit, "called too often: {world:?}");
        let handed_over = world.calls > 0;
        let denied = matches!(world.believed, Some(Said::Returned | Said::Suppressed));
        assert!(!(handed_over && denied), "handed over, and believed not to be: {world:?}");
        if world.dispatchers.iter().all(|(at, _)| *at == At::Done) {
            assert!(world.believed.is_some(), "nobody reported: {world:?}");
            assert!(world.calls > 0 || world.believed != Some(Said::Sent), "believed to be sent: {world:?}");
        }
        for dispatcher in 0..world.dispatchers.len() {
            for next in world.steps(dispatcher, delivery) {
                if next.journal.len() <= records && seen.insert(next.clone()) {
                    open.push_back(next);
                }
            }
        }
    }
    seen.len()
}

// Take-overs and lost claims may follow each other for ever; what can go wrong goes wrong within the records given here.

#[test]
fn at_most_once_is_called_once_in_every_interleaving_of_zombies_and_crashes() {
    let worlds = [explore(3, 0, 5, Delivery::AtMostOnce, 1), explore(2, 2, 5, Delivery::AtMostOnce, 1)];
    println!("{worlds:?} worlds");
    assert!(worlds.iter().all(|worlds| *worlds > 2_000));
}

#[test]
fn at_least_once_never_says_that_a_message_which_went_out_did_not() {
    let worlds = explore(2, 1, 6, Delivery::AtLeastOnce, u8::MAX);
    println!("{worlds} worlds");
    assert!(worlds > 2_000);
}
