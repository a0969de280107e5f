//! Tags and caps: words that do nothing, messages that nothing limits.

use super::Subject;
use crate::findings::FileFindings;
use crate::model::Cap;
use crate::words::Class;

/// Checks the tags and the caps of a campaign against the shop's rules.
pub(super) fn check(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    let caps = &subject.shop.shop.caps;
    let send_tags = draft.send.iter().flat_map(|send| &send.tags);
    for tag in draft.tags.iter().chain(send_tags) {
        if !caps.iter().any(|cap| cap.tag.as_deref() == Some(tag.value.as_str())) {
            file.doubt(tag.place, format!("no rule of `caps` in shop.yaml knows the tag `{}`", tag.value));
        }
    }
    let promotional = draft.class() == Class::Promotional && draft.caps_obey.unwrap_or(true);
    let Some(send) = draft.send.as_ref().filter(|_| promotional) else { return };
    let tags = if send.tags.is_empty() { &draft.tags } else { &send.tags };
    let limits = |cap: &Cap| {
        let tagged = cap.tag.as_ref().is_none_or(|wanted| tags.iter().any(|tag| tag.value == *wanted));
        let classed = cap.class.is_none_or(|class| class == Class::Promotional);
        tagged && classed
    };
    if !caps.iter().any(limits) {
        file.doubt(send.place, "no rule of `caps` in shop.yaml limits these promotional SMS");
    }
}
