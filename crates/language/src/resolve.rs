//! From drafts to campaigns: defaults filled in, what is not said inferred.

use std::collections::BTreeMap;

use crate::model::{
    Again, Campaign, CapsPolicy, Each, Exception, Of, Outside, Restarts, Runs, Send, Sender, Shop, Sms, Step, Trigger, TriggerKind, Verb,
    WhenFull,
};
use crate::read::{CampaignDraft, ExceptionDraft, Placed, SendDraft, TriggerDraft, WindowDraft};
use crate::time::{Hours, Span, Unit};
use crate::words::{Class, Delivery};

/// The campaign that a draft means; `None` when a part that must be there could not be read.
pub(crate) fn campaign(draft: &CampaignDraft, shop: &Shop) -> Option<Campaign> {
    let class = draft.class();
    let promotional = class == Class::Promotional;
    let triggers: Vec<Trigger> = draft.triggers.iter().map(|trigger| resolve_trigger(trigger, shop)).collect();
    let about_object = triggers.iter().any(|trigger| matches!(trigger.each, Each::Object(_)));
    let steps = steps(draft, shop)?;
    Some(Campaign {
        name: draft.name.value.clone(),
        class,
        tags: values(&draft.tags),
        priority: 50,
        exceptions: draft.exceptions.iter().map(|exception| resolve_exception(exception, about_object)).collect(),
        audience: draft.audience.as_ref().map(|placed| placed.condition.clone()),
        runs: Runs { from: draft.runs_from.as_ref().map(|placed| placed.value), to: draft.runs_to.as_ref().map(|placed| placed.value) },
        steps,
        restarts: draft.restarts.unwrap_or(Restarts::UntilSent),
        again: draft.again.unwrap_or_else(|| usual_again(&triggers)),
        triggers,
        parallel: draft.parallel.unwrap_or(true),
        ignore_older_than: draft.ignore_older_than.or(Span::new(72, Unit::Hour))?,
        window: window(draft, shop),
        outside: match draft.window {
            Some(WindowDraft::Hours { outside, .. }) => outside,
            _ => Outside::Hold,
        },
        expires_after: expires_after(draft)?,
        caps: CapsPolicy {
            obey: draft.caps_obey.unwrap_or(promotional),
            count: draft.caps_count.unwrap_or(promotional),
            when_full: draft.when_full.unwrap_or(WhenFull::Skip),
        },
        delivery: draft.delivery.unwrap_or(match class {
            Class::Transactional => Delivery::AtLeastOnce,
            Class::Promotional | Class::Conversational => Delivery::AtMostOnce,
        }),
    })
}

/// What one journey of a trigger is about: what the file says, else the object that lists its event, else the customer.
pub(crate) fn each(trigger: &TriggerDraft, shop: &Shop) -> Each {
    let said = trigger.each.as_ref().map(|each| each.value.as_str());
    match said {
        Some("customer") => Each::Customer,
        Some("event") => Each::Event,
        Some(object) => Each::Object(object.to_owned()),
        None => trigger
            .events
            .iter()
            .find_map(|event| shop.object_of(&event.value))
            .map_or(Each::Customer, |(name, _)| Each::Object(name.to_owned())),
    }
}

/// When a message may go out: the complement of the quiet hours of the class, and the campaign's own hours.
pub(crate) fn window(draft: &CampaignDraft, shop: &Shop) -> Vec<Hours> {
    let mut window = quiet_hours(draft.class(), shop).to_vec();
    if let Some(WindowDraft::Hours { hours, .. }) = draft.window
        && !window.contains(&hours)
    {
        window.push(hours);
    }
    window
}

/// What the quiet hours leave to a class; nobody is disturbed by the answer to their own message.
pub(crate) fn quiet_hours(class: Class, shop: &Shop) -> &[Hours] {
    match class {
        Class::Promotional => &shop.quiet_hours.promotional,
        Class::Transactional => &shop.quiet_hours.transactional,
        Class::Conversational => &[],
    }
}

/// How long after it was due a message of the campaign is worth sending.
pub(crate) fn expires_after(draft: &CampaignDraft) -> Option<Span> {
    draft.expires_after.as_ref().map(|placed| placed.value).or(Span::new(24, Unit::Hour))
}

/// Who sends a text message: by default, and to the countries that have another sender.
pub(crate) fn senders(send: &SendDraft, shop: &Shop) -> Option<(Sender, BTreeMap<String, Sender>)> {
    let senders = shop.senders.sms.as_ref()?;
    let Some(from) = &send.from else {
        return Some((senders.sender.clone(), senders.countries.clone()));
    };
    let own = std::iter::once(&senders.sender)
        .chain(senders.countries.values())
        .find(|sender| sender.from.as_deref() == Some(from.value.as_str()));
    let sender = Sender {
        provider: own.map_or_else(|| senders.sender.provider.clone(), |sender| sender.provider.clone()),
        from: Some(from.value.clone()),
    };
    Some((sender, BTreeMap::new()))
}

/// Whether the message carries the shop's opt-out line.
pub(crate) fn has_footer(send: &SendDraft, class: Class) -> bool {
    send.footer.unwrap_or(class == Class::Promotional)
}

/// Once per object; as often as it comes for the customer, because the caps protect them.
fn usual_again(triggers: &[Trigger]) -> Again {
    match triggers.iter().any(|trigger| trigger.each == Each::Customer) {
        true => Again::Always,
        false => Again::Never,
    }
}

fn values(placed: &[Placed<String>]) -> Vec<String> {
    placed.iter().map(|placed| placed.value.clone()).collect()
}

fn resolve_trigger(draft: &TriggerDraft, shop: &Shop) -> Trigger {
    Trigger {
        kind: TriggerKind::Event { names: values(&draft.events) },
        condition: draft.condition.as_ref().map(|placed| placed.condition.clone()),
        each: each(draft, shop),
    }
}

fn resolve_exception(draft: &ExceptionDraft, about_object: bool) -> Exception {
    let usual = if about_object { Of::Same } else { Of::Any };
    Exception {
        events: values(&draft.events),
        condition: draft.condition.as_ref().map(|placed| placed.condition.clone()),
        of: draft.of.as_ref().map_or(usual, |of| of.value),
    }
}

fn steps(draft: &CampaignDraft, shop: &Shop) -> Option<Vec<Step>> {
    let wait = draft.wait.as_ref().map(|wait| Verb::Wait(wait.value.clone()));
    let send = Verb::Send(Box::new(send(draft, shop)?));
    Some(wait.into_iter().chain([send]).map(|verb| Step { name: None, condition: None, verb }).collect())
}

fn send(draft: &CampaignDraft, shop: &Shop) -> Option<Send> {
    let send = draft.send.as_ref()?;
    let shared = shop.senders.sms.as_ref()?;
    let (sender, countries) = senders(send, shop)?;
    let footer = if has_footer(send, draft.class()) { shared.footer.clone() } else { Default::default() };
    let tags = if send.tags.is_empty() { &draft.tags } else { &send.tags };
    Some(Send {
        sms: Sms {
            text: send.text.as_ref()?.by_language(),
            footer,
            sender,
            countries,
            max_parts: send.max_parts.unwrap_or(shared.max_parts),
            over: send.over.unwrap_or(shared.over),
            transliterate: send.transliterate,
        },
        tags: values(tags),
    })
}
