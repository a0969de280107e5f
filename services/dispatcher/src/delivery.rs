//! One message, from its first look into the journal to its outcome on the events log.
//!
//! Whatever happens, the next step is read off the journal ([`Journal::next_move`](crate::journal::Journal::next_move)): claim, wait for
//! another's attempt, say that nobody knows, or report how it ended. Writing anything leads back to that question, so two
//! dispatchers that both believe in themselves end with the same answer.

use std::{future::Future, time::Duration};

use cartwheel_engine::input::{OutcomeResult, Return, Suppression};
use cartwheel_language::Delivery;
use cartwheel_runtime::log::Offset;
use cartwheel_wire::{DeliveryVerdict, SendRecord};
use jiff::{SignedDuration, Timestamp};

use crate::{
    controls::{Pace, Permit},
    desk::{Desk, Made, word},
    error::Error,
    gate::Look,
    journal::Move,
    lane::Lane,
    moment::after,
    providers::{Account, Answer, Booking, Permits, Trouble},
};

/// How a message left the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Its outcome is on the events log.
    Done,
    /// The worker stops and nothing of it is begun: the next owner does it.
    Undone,
}

/// What is wanted of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Hand it over.
    HandOver,
    /// Return it at once, unless it is claimed already: its queue is full.
    TurnAway,
}

/// How often a message that waits looks again.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A first look older than this is repeated before the claim.
const LOOK_KEEPS: SignedDuration = SignedDuration::from_secs(1);

/// The longest that a message may live behind its decision (rule P15).
const LIFE_LIMIT: Duration = Duration::from_hours(24);

/// Where a message stands before its claim.
enum Ready<'a> {
    /// It may be claimed.
    Go(&'a Account, Permits),
    /// It is decided without a call.
    Ended(OutcomeResult),
    /// The worker stops.
    Undone,
}

/// What controls and gate say before the claim.
enum First {
    /// It is wanted, at the pace of what was lately resumed.
    Open(Vec<Pace>),
    /// It is decided without a call.
    Ended(OutcomeResult),
    /// The worker stops.
    Undone,
}

/// Carries one message through. `appended` is when it came onto its lane.
pub(crate) async fn deliver(desk: &Desk, send: &SendRecord, intent: Intent, appended: Timestamp) -> Result<Left, Error> {
    let message = &send.message;
    loop {
        let position = desk.journal_position();
        match desk.next_move(send) {
            Move::Report { result, at } => {
                desk.report(send, &result, at).await?;
                desk.shared.metrics.ended(message, word(&result));
                return Ok(Left::Done);
            }
            Move::Wait(until) => {
                if or_stop(desk, desk.grown(position, until)).await.is_none() {
                    return Ok(Left::Undone);
                }
            }
            Move::SayUnknown => {
                desk.write(send, DeliveryVerdict::Unknown, &Made::default()).await?;
            }
            Move::Claim { behind } => match prepare(desk, send, intent, behind).await? {
                Ready::Undone => return Ok(Left::Undone),
                Ready::Ended(result) => {
                    // Behind another's attempt nobody can say that the message was not handed over.
                    let result = if behind.is_some() { OutcomeResult::Unknown } else { result };
                    desk.write(send, result.into(), &Made::default()).await?;
                }
                Ready::Go(account, permits) => {
                    let mut made = Made { calls: u32::from(behind.is_some()), ..Made::default() };
                    let claim = desk.write(send, DeliveryVerdict::Attempt, &made).await?;
                    if !desk.won(&message.id, claim, behind) {
                        desk.shared.metrics.lost_claims.inc();
                        continue;
                    }
                    let Some(result) = hand_over(desk, send, account, permits, behind, &mut made, appended).await? else {
                        return Ok(Left::Undone);
                    };
                    desk.write(send, result.into(), &made).await?;
                }
            },
        }
    }
}

/// Everything that may take its time, before the claim: nothing waits with a claim in its hand.
async fn prepare<'a>(desk: &'a Desk, send: &SendRecord, intent: Intent, behind: Option<Offset>) -> Result<Ready<'a>, Error> {
    let message = &send.message;
    let shop = message.customer.shop();
    let returned = |reason| Ok(Ready::Ended(OutcomeResult::Returned { reason }));
    if desk.now() >= not_after(send) {
        return Ok(Ready::Ended(OutcomeResult::Expired));
    }
    if intent == Intent::TurnAway && behind.is_none() {
        return returned(Return::QueueFull);
    }
    let Some(account) = desk.shared.providers.get(&message.provider) else {
        tracing::error!(provider = message.provider, shop, "no such provider is configured; its messages come back until there is one");
        return returned(Return::ProviderAway);
    };
    let breaker = account.breaker(shop);
    if breaker.is_shut(desk.now()) || account.throughput().wait(desk.now()) > desk.shared.gate.config().hold {
        return returned(Return::ProviderAway);
    }
    let paces = match first_look(desk, send).await? {
        First::Open(paces) => paces,
        First::Ended(result) => return Ok(Ready::Ended(result)),
        First::Undone => return Ok(Ready::Undone),
    };
    let now = desk.now();
    let Some(slot) = desk.pacer().book(&paces, desk.shared.topics.partitions, now, desk.shared.gate.patience(now)) else {
        return returned(Return::Stopped);
    };
    let turn = async {
        desk.shared.clock.sleep_until(slot).await;
        turn(desk, account, shop, Lane::of(message.class)).await
    };
    let Some(permits) = or_stop(desk, turn).await else { return Ok(Ready::Undone) };
    if desk.now().duration_since(now) > LOOK_KEEPS {
        match first_look(desk, send).await? {
            First::Open(_) => {}
            First::Ended(result) => return Ok(Ready::Ended(result)),
            First::Undone => return Ok(Ready::Undone),
        }
    }
    if !breaker.lets_through(desk.now()) {
        return returned(Return::ProviderAway);
    }
    Ok(Ready::Go(account, permits))
}

/// Looks at controls and gate until they know, for as long as a message is held.
async fn first_look(desk: &Desk, send: &SendRecord) -> Result<First, Error> {
    let message = &send.message;
    let patience = desk.shared.gate.patience(desk.now());
    loop {
        let now = desk.now();
        if now >= not_after(send) {
            return Ok(First::Ended(OutcomeResult::Expired));
        }
        let doubt = match desk.shared.controls.permit(message, now) {
            Permit::Stopped => return Ok(First::Ended(OutcomeResult::Returned { reason: Return::Stopped })),
            Permit::Unknown => "controls",
            Permit::Go(paces) => match desk.shared.gate.look(send, now).await? {
                Look::Open { .. } => return Ok(First::Open(paces)),
                Look::Closed(result) => return Ok(First::Ended(result)),
                Look::NotYet(doubt) => doubt.name(),
            },
        };
        if now >= patience {
            return Ok(First::Ended(OutcomeResult::Returned { reason: Return::Stopped }));
        }
        desk.shared.metrics.waited(doubt);
        if or_stop(desk, desk.shared.clock.sleep(LOOK_EVERY)).await.is_none() {
            return Ok(First::Undone);
        }
    }
}

/// Waits for a permit and then for a slot of the provider.
async fn turn(desk: &Desk, account: &Account, shop: &str, lane: Lane) -> Permits {
    let permits = account.permits(shop, lane).await;
    loop {
        match account.throughput().book(desk.now(), lane) {
            Booking::At(slot) => {
                desk.shared.clock.sleep_until(slot).await;
                return permits;
            }
            Booking::AskAgain(moment) => desk.shared.clock.sleep_until(moment).await,
        }
    }
}

/// With the claim in hand: looks once more, calls, calls again where that is safe, and says how it ended. None: the worker stops and
/// the attempt is left to the next owner, which for this class tries again.
async fn hand_over(
    desk: &Desk,
    send: &SendRecord,
    account: &Account,
    permits: Permits,
    behind: Option<Offset>,
    made: &mut Made,
    appended: Timestamp,
) -> Result<Option<OutcomeResult>, Error> {
    let message = &send.message;
    let shop = message.customer.shop();
    let again_is_safe = message.delivery == Delivery::AtLeastOnce;
    // Whether somebody may have handed it over: another dispatcher before, or a call whose answer did not come.
    let mut maybe = behind.is_some();
    let mut permits = Some(permits);
    loop {
        if let Some(result) = last_look(desk, send).await? {
            return Ok(Some(if maybe { OutcomeResult::Unknown } else { result }));
        }
        made.calls += 1;
        let answer = account.provider().hand_over(message).await;
        let now = desk.now();
        desk.shared.metrics.called(account.name(), answer.name());
        if made.calls == 1 {
            desk.shared.metrics.reached_provider(message.class, now.duration_since(appended));
        }
        drop(permits.take());
        let (trouble, asked, reason) = match answer {
            Answer::Taken { id } => {
                settle_breaker(desk, account, shop);
                made.provider_message_id = id;
                return Ok(Some(OutcomeResult::Sent));
            }
            Answer::Refused { reason, address } => {
                settle_breaker(desk, account, shop);
                return Ok(Some(OutcomeResult::Failed { reason, address }));
            }
            Answer::NotNow { trouble, after, reason } => (trouble, after, reason),
            Answer::Unsure { reason } => {
                maybe = true;
                (Trouble::Unsure, None, reason)
            }
        };
        match trouble {
            Trouble::Throttled => account.throughput().pause_until(after(now, asked.unwrap_or_default())),
            Trouble::Unavailable | Trouble::Credentials | Trouble::Unsure => {
                if account.breaker(shop).failed(now) {
                    desk.shared.metrics.open_breakers(account.name(), account.open_breakers());
                    tracing::warn!(
                        provider = account.name(),
                        shop,
                        reason,
                        "calls to the provider are paused for this shop; its messages come back"
                    );
                }
            }
        }
        if trouble == Trouble::Unsure && !again_is_safe {
            return Ok(Some(OutcomeResult::Unknown));
        }
        let over = if maybe { OutcomeResult::Unknown } else { OutcomeResult::Failed { reason, address: false } };
        let Some(pause) = account.retries().of(trouble).pause(made.calls, &message.id) else { return Ok(Some(over)) };
        let moment = after(now, pause.max(asked.unwrap_or_default()));
        if moment >= not_after(send) {
            return Ok(Some(over));
        }
        let again = async {
            desk.shared.clock.sleep_until(moment).await;
            turn(desk, account, shop, Lane::of(message.class)).await
        };
        permits = match or_stop(desk, again).await {
            Some(permits) => Some(permits),
            None if again_is_safe => return Ok(None),
            None => return Ok(Some(over)),
        };
    }
}

/// The provider answered a call of this shop's.
fn settle_breaker(desk: &Desk, account: &Account, shop: &str) {
    let breaker = account.breaker(shop);
    let was_open = breaker.is_open();
    breaker.succeeded();
    if was_open {
        tracing::info!(provider = account.name(), shop, "the provider answers again; calls of this shop go on");
        desk.shared.metrics.open_breakers(account.name(), account.open_breakers());
    }
}

/// The look right before a call (rule P16). None: call, now. A claim ends here only as failed, or as suppressed because its own claimant
/// did not call; never as returned (rule P15).
async fn last_look(desk: &Desk, send: &SendRecord) -> Result<Option<OutcomeResult>, Error> {
    let message = &send.message;
    let failed = |reason: &str| Ok(Some(OutcomeResult::Failed { reason: reason.to_owned(), address: false }));
    let suppressed = |reason| Ok(Some(OutcomeResult::Suppressed { reason }));
    let patience = desk.shared.gate.patience(desk.now());
    loop {
        let look = desk.shared.gate.look(send, desk.now()).await?;
        // From here to the call nothing waits.
        let now = desk.now();
        if now >= not_after(send) {
            return failed("expired");
        }
        let permitted = matches!(desk.shared.controls.permit(message, now), Permit::Go(_));
        match look {
            Look::Open { taken } if permitted && desk.shared.gate.still_fresh(taken, message.class, now) => return Ok(None),
            Look::Closed(OutcomeResult::Suppressed { reason }) => return suppressed(reason),
            Look::Closed(OutcomeResult::Returned { reason: Return::WindowClosed }) => return failed("window_closed"),
            Look::Closed(_) => return suppressed(Suppression::Revoked),
            Look::NotYet(doubt) => desk.shared.metrics.waited(doubt.name()),
            Look::Open { .. } => desk.shared.metrics.waited("controls"),
        }
        if now >= patience {
            return suppressed(Suppression::Stopped);
        }
        desk.shared.clock.sleep(LOOK_EVERY).await;
    }
}

/// The moment from which on a message is not handed over.
fn not_after(send: &SendRecord) -> Timestamp {
    send.message.not_after.min(after(send.message.decided, LIFE_LIMIT))
}

/// Waits, unless the worker stops.
async fn or_stop<T>(desk: &Desk, wait: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = desk.stop.cancelled() => None,
        done = wait => Some(done),
    }
}
