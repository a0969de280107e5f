//! Which names there are in a condition or a text, and which of them can be missing (LANGUAGE.md section 9).

use super::events;
use crate::findings::{did_you_mean, listed};
use crate::model::{Each, Shop};
use crate::plan::{EACH_ELEMENT, Plan, Property};

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is always there.
    Always,
    /// It can be missing.
    CanBeMissing,
    /// There is no such name here; says what would be right.
    No(String),
    /// The language has it, this version does not.
    NotYet(String),
}

/// The names that a kind of condition or text may begin a path with.
pub(super) type Roots = &'static [&'static str];

/// `where` of a trigger.
pub(super) const WHERE: Roots = &["event", "item", "product", "customer", "cart", "order", "orders", "now"];

/// `audience`.
pub(super) const AUDIENCE: Roots =
    &["event", "item", "product", "customer", "cart", "order", "orders", "recommended", "coupon", "messages", "journey", "shop", "now"];

/// `where` of an exception.
pub(super) const UNLESS: Roots = &["event", "trigger", "item", "product", "customer", "cart", "order", "orders", "coupon", "now"];

/// Texts of campaigns.
pub(super) const TEXTS: Roots =
    &["event", "item", "product", "customer", "cart", "order", "orders", "recommended", "coupon", "campaign", "shop", "message", "now"];

/// Texts of the shop, which belong to no event.
pub(super) const SHOP_TEXTS: Roots = &["customer", "campaign", "shop", "message", "now"];

/// Names of the language that this version has no data for.
const LATER: [&str; 5] = ["item", "product", "recommended", "coupon", "messages"];

/// What is known about the names of one condition or text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// The names that a path may begin with.
    pub(super) roots: Roots,
    /// The shop.
    pub(super) shop: &'a Shop,
    /// The tracking plan.
    pub(super) plan: Option<&'a Plan>,
    /// The events that `event` can be.
    pub(super) events: &'a [&'a str],
    /// The events that `trigger` can be.
    pub(super) triggers: &'a [&'a str],
    /// What the journey is about, by each of its triggers.
    pub(super) about: &'a [Each],
}

impl<'a> Scope<'a> {
    /// What is known of a path of names and list indices.
    pub(super) fn known(&self, path: &[&str]) -> Known {
        let Some((root, rest)) = path.split_first() else { return Known::Always };
        if !self.roots.contains(root) {
            let hint = did_you_mean(root, self.roots.iter().copied().filter(|name| !LATER.contains(name)));
            let names = self.roots.iter().copied().filter(|name| !LATER.contains(name));
            let hint = if hint.is_empty() { format!("; there is {}", listed(names, "and")) } else { hint };
            return Known::No(format!("no `{root}` here{hint}"));
        }
        if LATER.contains(root) {
            return Known::NotYet(format!("`{root}`"));
        }
        match *root {
            "event" => self.of_events(self.events, rest),
            "trigger" => self.of_events(self.triggers, rest),
            "customer" => customer(rest),
            "cart" => self.cart(rest),
            "order" => self.order(rest),
            "orders" => of("orders", rest, &["count", "value"], &["first_at", "last_at"], &[]),
            "journey" => of("journey", rest, &["began_at", "restarts", "sends"], &[], &["clicks", "variant"]),
            "shop" => match rest.first() {
                Some(&"phone") if self.shop.phone.is_none() => Known::No("shop.yaml has no `phone`".to_owned()),
                _ => of("shop", rest, &["name", "url", "phone"], &[], &["holidays"]),
            },
            "campaign" => of("campaign", rest, &["name", "version", "tags"], &[], &[]),
            "message" => of("message", rest, &["language", "channel"], &[], &["id"]),
            _ => Known::Always,
        }
    }

    /// What the plan says of a path, if it stands for a property that it knows.
    pub(super) fn property(&self, path: &[&str]) -> Option<Property<'a>> {
        let (root, rest) = path.split_first()?;
        let plan = self.plan?;
        let events = match *root {
            "event" => self.events,
            "trigger" => self.triggers,
            "cart" if rest.first() == Some(&"products") && rest.len() > 2 => {
                return plan.property(PRODUCT_ADDED, &rest[2..]);
            }
            _ => return None,
        };
        events.iter().find_map(|event| plan.property(event, rest))
    }

    fn of_events(&self, events: &[&str], rest: &[&str]) -> Known {
        if rest.is_empty() {
            return Known::Always;
        }
        let own: Vec<&str> = events.iter().copied().filter(|event| events::is_own(event)).collect();
        if !own.is_empty() && own.len() == events.len() {
            return Known::No(format!("{} carries no properties", listed(own, "or")));
        }
        let Some(plan) = self.plan else {
            return if own.is_empty() { Known::Always } else { Known::CanBeMissing };
        };
        let planned: Vec<&str> = events.iter().copied().filter(|event| plan.has(event)).collect();
        let found: Vec<Property<'_>> = planned.iter().filter_map(|event| plan.property(event, rest)).collect();
        if planned.is_empty() {
            return Known::Always;
        }
        if found.is_empty() {
            let names: Vec<&str> = planned.iter().flat_map(|event| plan.properties(event)).collect();
            let hint = if rest.len() == 1 { did_you_mean(rest[0], names) } else { String::new() };
            let events = listed(planned.iter().copied(), "or");
            return Known::No(format!("no property `{}` of {events} in {}{hint}", spelled(rest), plan.name));
        }
        match own.is_empty() && found.len() == planned.len() && found.iter().all(|property| property.always) {
            true => Known::Always,
            false => Known::CanBeMissing,
        }
    }

    fn cart(&self, rest: &[&str]) -> Known {
        let known = of("cart", &rest[..rest.len().min(1)], &["value", "currency", "url", "products"], &[], &[]);
        if known != Known::Always {
            return known;
        }
        if !self.about.iter().all(|each| *each == Each::Object("cart".to_owned())) {
            return Known::CanBeMissing;
        }
        let Some(plan) = self.plan else { return Known::Always };
        match rest {
            ["currency"] => self.of_triggers("currency"),
            ["products", _, inside @ ..] if !inside.is_empty() && plan.has(PRODUCT_ADDED) => product(plan, inside),
            _ => Known::Always,
        }
    }

    /// What a cart has because the event that began the journey said it.
    fn of_triggers(&self, property: &str) -> Known {
        match self.of_events(self.triggers, &[property]) {
            Known::Always => Known::Always,
            // Another event about the cart may have said it.
            _ => Known::CanBeMissing,
        }
    }

    /// This journey's order: what the events about it said.
    fn order(&self, rest: &[&str]) -> Known {
        if !self.about.iter().all(|each| *each == Each::Object("order".to_owned())) {
            return Known::CanBeMissing;
        }
        match self.of_events(self.triggers, rest) {
            Known::Always => Known::Always,
            // An earlier event about the same order may have said it.
            _ => Known::CanBeMissing,
        }
    }
}

/// A product in the cart is what the event that added it said.
fn product(plan: &Plan, inside: &[&str]) -> Known {
    match plan.property(PRODUCT_ADDED, inside) {
        None => {
            let hint = match inside {
                [name] => did_you_mean(name, plan.properties(PRODUCT_ADDED)),
                _ => String::new(),
            };
            Known::No(format!("no property `{}` of `{PRODUCT_ADDED}` in {}{hint}", spelled(inside), plan.name))
        }
        Some(property) if property.always => Known::Always,
        Some(_) => Known::CanBeMissing,
    }
}

/// The event by which the Segment e-commerce specification puts a product in a cart.
const PRODUCT_ADDED: &str = "Product Added";

fn customer(rest: &[&str]) -> Known {
    match rest {
        [] | ["id"] => Known::Always,
        ["segments" | "bought" | "viewed", ..] => Known::NotYet(format!("`customer.{}`", rest[0])),
        _ => Known::CanBeMissing,
    }
}

fn of(root: &str, rest: &[&str], always: &[&str], optional: &[&str], later: &[&str]) -> Known {
    let Some(name) = rest.first() else { return Known::Always };
    if always.contains(name) {
        Known::Always
    } else if optional.contains(name) {
        Known::CanBeMissing
    } else if later.contains(name) {
        Known::NotYet(format!("`{root}.{name}`"))
    } else {
        let all: Vec<&str> = always.iter().chain(optional).copied().collect();
        let hint = did_you_mean(name, all.iter().copied());
        let hint = if hint.is_empty() { format!("; it has {}", listed(all, "and")) } else { hint };
        Known::No(format!("`{root}` has no `{name}`{hint}"))
    }
}

/// The steps of a path: `cart.products[0].name` has `cart`, `products`, `0` and `name`, `products[].price` has
/// `products`, [`EACH_ELEMENT`] and `price`.
pub(super) fn steps(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
        steps.extend((!name.is_empty()).then_some(name));
        for index in indices.split_inclusive(']') {
            steps.push(match index.trim_matches(['[', ']']) {
                "" => EACH_ELEMENT,
                index => index,
            });
        }
    }
    steps
}

/// A path as people write it: `products[0].name`.
pub(super) fn spelled(path: &[&str]) -> String {
    let mut text = String::new();
    for step in path {
        if *step == EACH_ELEMENT {
            text.push_str(step);
        } else if step.parse::<usize>().is_ok() {
            text.push_str(&format!("[{step}]"));
        } else {
            text.push_str(if text.is_empty() { "" } else { "." });
            text.push_str(step);
        }
    }
    text
}
