//! The customer did something: state first, then what it ends, then what it begins.

use cartwheel_language::Value;
use jiff::{SignedDuration, Timestamp};

use super::Turn;
use crate::{
    customer::{Armed, Session},
    effect::Effect,
    id::{TimerId, digest},
    input::Event,
    kept::id_at,
};

/// The longest pause before a timer that fired too early is tried again (rule P13).
const EARLY_PAUSE: SignedDuration = SignedDuration::from_mins(5);

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
        if !self.campaigns.knows(&event.name) {
            return;
        }
        let whole = Value::Map(event.properties.clone());
        self.except(id, event, &whole);
        self.trigger(id, event, &whole);
        if self.campaigns.excepts(&event.name) {
            self.customer.history.remember(id, event, self.campaigns.exception_reads(), self.now);
        }
    }

    fn fold_event(&mut self, event: &Event) {
        let history = &mut self.customer.history;
        history.last_event = Some(self.now);
        history.count_event(&event.name, event.occurred);
        let shop = self.campaigns.shop();
        if let Some((_, cart)) = shop.object_of(&event.name).filter(|(name, _)| *name == "cart")
            && let Some(id) = id_at(&event.properties, cart.id_in(&event.name))
        {
            self.customer.carts.fold(&id, event);
        }
        if event.name == "Order Completed" {
            self.customer.history.fold_order(event);
            let path = shop.objects.get("cart").map_or("cart_id", |cart| cart.id_in(&event.name));
            if let Some(id) = id_at(&event.properties, path) {
                self.customer.carts.close(&id, event.occurred);
            }
        }
    }

    /// Follows the customer's visits (R05): a gap of silence, or an event of `ends_on`, ends one; the next event begins another.
    fn visit(&mut self, event: &Event) {
        let gap = self.campaigns.shop().session.gap;
        let over = self.customer.history.session.as_ref().is_some_and(|session| self.after(session.last, gap) <= self.now);
        if over && let Some(session) = self.customer.history.session.take() {
            self.leave(session);
        }
        match &mut self.customer.history.session {
            Some(session) => {
                session.last = self.now;
                self.watch_session();
            }
            None => {
                self.customer.history.session = Some(Session { began: self.now, last: self.now, timer: None });
                self.watch_session();
                self.derive("Session Started", event.occurred);
            }
        }
    }

    /// Sets the timer that looks whether the visit is over, where a campaign listens to that and none is set.
    fn watch_session(&mut self) {
        if !self.campaigns.knows("Session Ended") || self.customer.history.session.as_ref().is_none_or(|session| session.timer.is_some()) {
            return;
        }
        let over = self.after(self.now, self.campaigns.shop().session.gap);
        let timer = self.set_timer(TimerId::of_session(self.key(), &self.input.id), over);
        if let Some(session) = &mut self.customer.history.session {
            session.timer = Some(timer);
        }
    }

    /// A timer that came at `due` may be set again for this moment at the earliest: where the delay-timer's clock runs ahead of the
    /// log's, it is tried again after a pause (rule P13).
    pub(super) fn not_too_early(&self, due: Timestamp) -> Timestamp {
        let ahead = due.duration_since(self.now);
        if ahead <= SignedDuration::ZERO {
            return due;
        }
        due.saturating_add(ahead.min(EARLY_PAUSE)).unwrap_or(due)
    }

    /// A visit is over.
    fn leave(&mut self, session: Session) {
        if let Some(Armed { timer, home, .. }) = session.timer {
            self.effect(Effect::CancelTimer { timer, home });
        }
        self.derive("Session Ended", session.last);
    }

    /// The timer that looks whether a visit is over came due. True if it was one.
    pub(super) fn session_timer(&mut self, timer: &TimerId, due: Timestamp) -> bool {
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
        let over = self.after(session.last, self.campaigns.shop().session.gap);
        if over <= self.now {
            self.customer.history.session = None;
            self.derive("Session Ended", session.last);
        } else {
            let timer = self.set_timer(TimerId::of_session(self.key(), timer.as_str()), over.max(self.not_too_early(due)));
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
