//! Whether what is written can work: names against the shop and the tracking plan, times against each other, texts
//! against what is known and what fits.
//!
//! Every refusal says what would be right. What can work but is perhaps not meant is a warning.

mod caps;
mod class;
mod conditions;
mod events;
mod hours;
mod known;
mod parts;
mod sample;
mod secrets;
mod shop;
mod texts;

use crate::findings::{FileFindings, Findings};
use crate::plan::Plan;
use crate::read::{CampaignDraft, ShopDraft};

pub(crate) use secrets::secrets;
pub(crate) use shop::shop;

/// What the checks of one campaign look at.
#[derive(Clone, Copy, Debug)]
struct Subject<'a> {
    draft: &'a CampaignDraft,
    shop: &'a ShopDraft,
    plan: Option<&'a Plan>,
}

/// Checks one campaign against its shop and the tracking plan.
pub(crate) fn campaign(draft: &CampaignDraft, shop: &ShopDraft, plan: Option<&Plan>, findings: &mut Findings) {
    let subject = Subject { draft, shop, plan };
    let file: &mut FileFindings<'_> = &mut findings.of_file(&draft.path);
    events::triggers(&subject, file);
    events::exceptions(&subject, file);
    conditions::check(&subject, file);
    class::check(&subject, file);
    hours::check(&subject, file);
    caps::check(&subject, file);
    let before = file.errors();
    texts::check(&subject, file);
    if file.errors() == before {
        parts::check(&subject, file);
    }
}
