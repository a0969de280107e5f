//! What the class of a campaign asks for: consent, and a way out.

use super::Subject;
use crate::findings::FileFindings;
use crate::model::{Sender, for_language};
use crate::resolve;
use crate::words::Class;

/// The tag of an offer.
const OFFER: &str = "discount";

/// Checks the class against tags, triggers and senders.
pub(super) fn check(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    let Some(send) = &draft.send else {
        return;
    };
    let class = draft.class();
    if let Some(written) = &draft.class {
        if class == Class::Conversational {
            let message = "class conversational answers a customer's own message, so it begins with `keyword`; \
                           write transactional or promotional";
            file.wrong(written.place, message);
        }
        let offers = draft.tags.iter().chain(&send.tags).any(|tag| tag.value == OFFER);
        if class == Class::Transactional && offers {
            let message = format!("class transactional with tag `{OFFER}`: an offer needs promotional consent");
            file.wrong(written.place, message);
        }
    }
    known_sender(subject, file);
    if class == Class::Promotional {
        way_out(subject, file);
    }
}

fn known_sender(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let Some(from) = subject.draft.send.as_ref().and_then(|send| send.from.as_ref()) else { return };
    let Some(senders) = &subject.shop.shop.senders.sms else { return };
    let known: Vec<&str> =
        std::iter::once(&senders.sender).chain(senders.countries.values()).filter_map(|sender| sender.from.as_deref()).collect();
    if !known.contains(&from.value.as_str()) {
        let message = format!("no sender `{}` in senders.sms of shop.yaml; it has {}", from.value, crate::findings::listed(known, "and"));
        file.wrong(from.place, message);
    }
}

/// Promotional text messages need a way out: a sender that STOP can be written to, or an opt-out line.
fn way_out(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let shop = &subject.shop.shop;
    let Some(send) = &subject.draft.send else { return };
    let (Some(texts), Some((sender, countries))) = (&send.text, resolve::senders(send, shop)) else { return };
    let Some(mute) = std::iter::once(&sender).chain(countries.values()).find(|sender| !sender.receives()) else {
        return;
    };
    let footer = shop.senders.sms.as_ref().filter(|_| resolve::has_footer(send, Class::Promotional));
    for (language, text) in &texts.texts {
        let own = text.template.variables().iter().any(|variable| variable.path == "opt_out");
        let line = footer.and_then(|senders| for_language(&senders.footer, Some(language), language));
        if own || line.is_some() {
            continue;
        }
        let reason = match footer {
            None => "the message has `footer: false`".to_owned(),
            Some(_) => format!("senders.sms.footer has no language {language}"),
        };
        let message = format!("{} cannot receive STOP and {reason}: promotional SMS need a way out", name(mute));
        file.wrong(send.place, message);
    }
}

fn name(sender: &Sender) -> String {
    match &sender.from {
        Some(from) => format!("sender `{from}`"),
        None => format!("a sender of provider `{}`", sender.provider),
    }
}
