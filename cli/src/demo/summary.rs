//! What a run of the demo adds up to.

use std::{collections::BTreeMap, time::Duration};

use cartwheel_engine::decision::{Decision, Reason, Verdict};
use jiff::SignedDuration;

/// Counts by campaign.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    campaigns: BTreeMap<String, Counts>,
    seen: std::collections::BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Counts {
    began: u64,
    sent: u64,
    waited: u64,
    held_back: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub(super) fn handed_over(&mut self, campaign: &str) {
        self.campaigns.entry(campaign.to_owned()).or_default().sent += 1;
    }

    pub(super) fn decided(&mut self, decision: &Decision) {
        let Some(campaign) = &decision.campaign else { return };
        if !self.seen.insert(decision.id.clone()) {
            return;
        }
        let counts = self.campaigns.entry(campaign.clone()).or_default();
        match decision.verdict {
            Verdict::Began => counts.began += 1,
            Verdict::Held => counts.waited += 1,
            Verdict::Skipped | Verdict::Ended if decision.reason != Reason::Planned => {
                *counts.held_back.entry(decision.reason.as_str()).or_default() += 1;
            }
            _ => {}
        }
    }

    /// The table, and how long it took.
    pub(super) fn told(&self, played: SignedDuration, took: Duration) -> String {
        let mut told = format!("\n{:<22}{:>7}{:>7}{:>8}   held back\n", "campaign", "began", "sent", "waited");
        for (campaign, counts) in &self.campaigns {
            let reasons: Vec<String> = counts.held_back.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            told.push_str(&format!("{campaign:<22}{:>7}{:>7}{:>8}   {}\n", counts.began, counts.sent, counts.waited, reasons.join(", ")));
        }
        told.push_str(&format!(
            "\n{} days in {:.1} s; the reason of every decision is on the topic cartwheel.decisions",
            played.as_hours() / 24,
            took.as_secs_f64()
        ));
        told
    }
}
