//! Reading a whole project: every file into its draft, the drafts checked against each other, and, when nothing is
//! wrong, everything resolved.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::check;
use crate::findings::Findings;
use crate::model::{Project, Reading, SourceFile, Sources};
use crate::plan::Plan;
use crate::read::{self, CampaignDraft, File, ShopDraft};
use crate::resolve;
use crate::yaml::{self, Node};

/// Reads a shop and its campaigns.
///
/// Never stops at the first mistake: what can be said about the rest is said in the same reading. Warnings alone do not
/// keep the project from being used.
#[must_use]
pub fn read(sources: &Sources) -> Reading {
    let mut findings = Findings::default();
    let project = project(sources, &mut findings);
    let project = if findings.refused() { None } else { project };
    let mut paths = vec![sources.shop.path.as_str()];
    paths.extend(sources.tracking_plan.iter().map(|file| file.path.as_str()));
    let mut campaigns: Vec<&str> = sources.campaigns.iter().map(|file| file.path.as_str()).collect();
    campaigns.sort_unstable();
    paths.extend(campaigns);
    Reading { project, problems: findings.into_problems(&paths) }
}

fn project(sources: &Sources, findings: &mut Findings) -> Option<Project> {
    let plan = sources.tracking_plan.as_ref().and_then(|source| Plan::read(source, &mut findings.of_file(&source.path)));
    let shop = shop(&sources.shop, findings);
    let drafts: Vec<CampaignDraft> = sources.campaigns.iter().filter_map(|source| campaign(source, findings)).collect();
    let shop = shop?;
    let plan = plan.filter(|_| shop.tracking_plan.is_some());
    check::shop(&shop, &sources.shop.path, plan.as_ref(), sources.tracking_plan.is_some(), findings);
    let mut campaigns = BTreeMap::new();
    for draft in &drafts {
        check::campaign(draft, &shop, plan.as_ref(), findings);
        let Some(campaign) = resolve::campaign(draft, &shop.shop) else { continue };
        if campaigns.insert(campaign.name.clone(), Arc::new(campaign)).is_some() {
            let message = format!("campaign `{}` is in another file as well", draft.name.value);
            findings.of_file(&draft.path).wrong(draft.name.place, message);
        }
    }
    Some(Project { shop: shop.shop, campaigns })
}

fn shop(source: &SourceFile, findings: &mut Findings) -> Option<ShopDraft> {
    let root = tree(source, findings)?;
    read::shop(&mut File { findings: findings.of_file(&source.path) }, &root)
}

fn campaign(source: &SourceFile, findings: &mut Findings) -> Option<CampaignDraft> {
    let root = tree(source, findings)?;
    let draft = read::campaign(&mut File { findings: findings.of_file(&source.path) }, &source.path, &root)?;
    let file_name = source.path.rsplit(['/', '\\']).next().unwrap_or(&source.path);
    let stem = file_name.strip_suffix(".yaml").or(file_name.strip_suffix(".yml")).unwrap_or(file_name);
    if stem != draft.name.value {
        let message = format!("campaign `{0}` in the file {file_name}; name the file {0}.yaml", draft.name.value);
        findings.of_file(&source.path).wrong(draft.name.place, message);
    }
    Some(draft)
}

/// The file's tree, with what is wrong with its YAML and with the secrets in it found.
fn tree(source: &SourceFile, findings: &mut Findings) -> Option<Node> {
    let (root, mistakes) = yaml::parse(&source.text);
    let mut file = findings.of_file(&source.path);
    for mistake in mistakes {
        file.unreadable(mistake.place, mistake.message);
    }
    check::secrets(root.as_ref()?, &mut file);
    root
}

#[cfg(test)]
mod tests;
