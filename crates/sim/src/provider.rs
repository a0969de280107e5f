//! The provider: takes messages, refuses some, is away for some, and now and then nobody hears its answer.
//!
//! A request that has left arrives whether or not its sender still lives. The predicates look at two moments: when a dispatcher calls,
//! and when the message is taken.

use std::sync::Arc;

use cartwheel_dispatcher::providers::{Answer, Provider, Trouble};
use cartwheel_engine::effect::Message;
use futures::{channel::oneshot, future::BoxFuture};

use crate::{executor::WORLD, fault::Fault, world::World};

/// The provider `main`.
pub(crate) struct Carrier(pub(crate) Arc<World>);

impl Provider for Carrier {
    fn hand_over<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Answer> {
        let world = self.0.clone();
        world.witness().called(message);
        let (answered, answer) = oneshot::channel();
        let request = message.clone();
        let carrier = world.clone();
        world.spawner.spawn(WORLD, async move {
            carrier.travel().await;
            let said = take(&carrier, &request);
            carrier.travel().await;
            // The caller may be dead.
            let _ = answered.send(said);
        });
        Box::pin(async move {
            let unsure = |_| Answer::Unsure { reason: "connection lost".to_owned() };
            match answer.await {
                Ok(Answer::Unsure { reason }) => {
                    let patience = world.chance().seconds(3, 15);
                    world.sleep(patience).await;
                    Answer::Unsure { reason }
                }
                answer => answer.unwrap_or_else(unsure),
            }
        })
    }
}

/// The request has arrived, or not.
fn take(world: &World, message: &Message) -> Answer {
    let timed_out = || Answer::Unsure { reason: "timed out".to_owned() };
    if world.goes_wrong(Fault::RequestLost, 40) {
        return timed_out();
    }
    if world.goes_wrong(Fault::ProviderAway, 60) {
        return Answer::NotNow { trouble: Trouble::Unavailable, after: None, reason: "503".to_owned() };
    }
    if world.goes_wrong(Fault::ProviderRefused, 30) {
        return Answer::Refused { reason: "30003".to_owned(), address: false };
    }
    world.witness().taken(message);
    if world.goes_wrong(Fault::AnswerLost, 60) {
        return timed_out();
    }
    Answer::Taken { id: Some(format!("p-{}", message.id)) }
}
