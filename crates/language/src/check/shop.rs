//! `shop.yaml` against itself and the tracking plan.

use super::{events, known, texts};
use crate::findings::Findings;
use crate::plan::Plan;
use crate::read::ShopDraft;
use crate::yaml::Place;

/// Checks a shop; `plan_given` says whether there is a tracking plan at all, be it right or wrong.
pub(crate) fn shop(draft: &ShopDraft, path: &str, plan: Option<&Plan>, plan_given: bool, findings: &mut Findings) {
    let file = &mut findings.of_file(path);
    match &draft.tracking_plan {
        None => file.doubt(
            Place::START,
            "no tracking plan: names and properties of events are not checked; write tracking_plan: tracking-plan.json",
        ),
        Some(name) if !plan_given => {
            file.wrong(name.place, format!("no file `{}` beside shop.yaml", name.value));
        }
        Some(_) => {}
    }
    for (index, (object, event)) in draft.object_events.iter().enumerate() {
        let before = draft.object_events.iter().take(index).find(|(_, earlier)| earlier.value == event.value);
        match before {
            Some((other, _)) if other == object => {
                file.wrong(event.place, format!("`{}` is listed twice under {object}", event.value));
            }
            Some((other, _)) => {
                let message = format!("`{}` is listed under {object} and under {other}; an event is about one object", event.value);
                file.wrong(event.place, message);
            }
            None => {}
        }
    }
    let named = draft.object_events.iter().chain(&draft.object_places).map(|(_, event)| event);
    for event in named.chain(&draft.interactions).chain(&draft.session_events).chain(&draft.source_events) {
        events::exists(event, plan, file);
    }
    if let Some(plan) = plan {
        for (object, event) in &draft.object_events {
            let Some(object) = draft.shop.objects.get(object) else { continue };
            let path: Vec<&str> = object.id_in(&event.value).split('.').collect();
            if plan.has(&event.value) && plan.property(&event.value, &path).is_none() {
                let message =
                    format!("`{}` never carries `{}` by {}, so it cannot be about one of these", event.value, path.join("."), plan.name);
                file.wrong(event.place, message);
            }
        }
    }
    if let (None, Some(place)) = (&draft.shop.senders.sms, draft.senders) {
        file.wrong(place, "`senders.sms` is missing; text messages need a sender");
    }
    if let Some(footer) = &draft.footer {
        texts::footer(footer, draft, known::SHOP_TEXTS, file);
    }
}
