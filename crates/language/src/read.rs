//! From files to drafts: the form of every value, its place, and nothing that needs a second file.
//!
//! What a reader of this folder accepts, `schema.json` accepts; a test holds the two together. Whether the parts fit each
//! other, the shop and the tracking plan is for [`check`](crate::check).

mod campaign;
mod draft;
mod fields;
mod send;
mod shop;
mod sources;
mod values;

pub(crate) use campaign::campaign;
pub(crate) use draft::{CampaignDraft, ExceptionDraft, SendDraft, TriggerDraft, WindowDraft};
pub(crate) use shop::{ShopDraft, shop};
pub(crate) use values::{Placed, PlacedCondition, PlacedTemplate, PlacedTexts};

use crate::findings::FileFindings;

/// The file that is being read.
#[derive(Debug)]
pub(crate) struct File<'a> {
    pub(crate) findings: FileFindings<'a>,
}
