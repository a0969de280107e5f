//! The customer did something: state first, then what it ends, then what it begins.

use cartwheel_language::Value;
use jiff::Timestamp;

use super::Turn;
use crate::{
    customer::{Armed, Session, object_text},
    effect::Effect,
    id::{TimerId, digest},
    input::Event,
};

impl Turn<'_> {
    pub(super) fn track(&mut self, event: &Event) {
        if !self.customer.history.admit(&self.input.id, self.now) {
            return;
        }
        self.claim_names();
        let mut event = event.clone();
        event.occurred = event.occurred.min(self.now);
        let id = self.input.id.clone();
        self.visit(&event);
        self.happen(&id, &event);
        let ends = self.campaigns.shop().session.ends_on.contains(&event.name);
        if ends && let Some(session) = self.customer.history.session.take() {
            self.leave(session);
        }
    }

    /// Folds an event and lets it end and begin journeys. State comes first: conditions already see the event.
    pub(super) fn happen(&mut self, id: &str, event: &Event) {
        self.fold_event(event);
        self.except(id, event);
        self.trigger(id, event);
        if self.campaigns.excepts(&event.name) {
            self.customer.history.remember(id, event, self.now);
        }
    }

    fn fold_event(&mut self, event: &Event) {
        let history = &mut self.customer.history;
        history.last_event = Some(self.now);
        history.count_event(&event.name, event.occurred);
        let shop = self.campaigns.shop();
        if let Some((_, cart)) = shop.object_of(&event.name).filter(|(name, _)| *name == "cart")
            && let Some(id) = property(event, cart.id_in(&event.name))
        {
            self.customer.carts.fold(&object_text(id), event);
        }
        if event.name == "Order Completed" {
            self.customer.history.fold_order(event);
            if let Some(id) = event.properties.get("cart_id") {
                self.customer.carts.close(&object_text(id));
            }
        }
    }

    /// Follows the customer's visits (R05): a gap of silence, or an event of `ends_on`, ends one; the next event begins another.
    fn visit(&mut self, event: &Event) {
        let gap = self.campaigns.shop().session.gap;
        let (zone, _) = self.zone();
        let over = self.customer.history.session.as_ref().is_some_and(|session| gap.add(session.last, &zone) <= self.now);
        if over && let Some(session) = self.customer.history.session.take() {
            self.leave(session);
        }
        match &mut self.customer.history.session {
            Some(session) => session.last = self.now,
            None => {
                let mut session = Session { began: self.now, last: self.now, timer: None };
                if self.campaigns.knows("Session Ended") {
                    let timer = TimerId::of_session(self.key(), &self.input.id);
                    session.timer = Some(self.set_timer(timer, gap.add(self.now, &zone)));
                }
                self.customer.history.session = Some(session);
                self.derive("Session Started", event.occurred);
            }
        }
    }

    /// A visit is over.
    fn leave(&mut self, session: Session) {
        if let Some(Armed { timer, home, .. }) = session.timer {
            self.effect(Effect::CancelTimer { timer, home });
        }
        self.derive("Session Ended", session.last);
    }

    /// The timer that looks whether a visit is over came due. True if it was one.
    pub(super) fn session_timer(&mut self, timer: &TimerId) -> bool {
        let Some(session) = self
            .customer
            .history
            .session
            .as_ref()
            .filter(|session| session.timer.as_ref().is_some_and(|armed| armed.timer == *timer))
            .cloned()
        else {
            return false;
        };
        let (zone, _) = self.zone();
        let over = self.campaigns.shop().session.gap.add(session.last, &zone);
        if over <= self.now {
            self.customer.history.session = None;
            self.derive("Session Ended", session.last);
        } else {
            let timer = self.set_timer(TimerId::of_session(self.key(), timer.as_str()), over);
            self.customer.history.session = Some(Session { timer: Some(timer), ..session });
        }
        true
    }

    /// An event that Cartwheel makes itself: it triggers, excepts and counts like any other.
    pub(super) fn derive(&mut self, name: &str, occurred: Timestamp) {
        if !self.campaigns.knows(name) {
            self.customer.history.count_event(name, occurred);
            return;
        }
        let event = Event { name: name.to_owned(), occurred, properties: std::collections::BTreeMap::new() };
        let id = digest(&["derived", name, &self.input.id]);
        let last_event = self.customer.history.last_event;
        self.happen(&id, &event);
        self.customer.history.last_event = last_event;
    }
}

/// A property by its path: `cart.id`.
pub(super) fn property<'e>(event: &'e Event, path: &str) -> Option<&'e Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = event.properties.get(first)?;
    let value = match rest {
        Some(rest) => value.at(rest)?,
        None => value,
    };
    (!value.is_null()).then_some(value)
}
