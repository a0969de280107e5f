//! The keys of one mapping: which it may have, which it has, and what is said about the others.

use super::File;
use crate::findings::{did_you_mean, listed};
use crate::yaml::{Content, Key, Node, Place};

/// The keys that a mapping may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    /// How messages name the mapping: `send`, `caps rule`.
    pub(super) of: &'static str,
    /// What this version reads.
    pub(super) known: &'static [&'static str],
    /// What the language has besides.
    pub(super) later: &'static [&'static str],
}

/// One mapping, its keys checked.
#[derive(Debug)]
pub(super) struct Fields<'n> {
    of: &'static str,
    pub(super) place: Place,
    entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The mapping's fields; `None` and a finding when the node is no mapping. Unknown keys are found here, and those
    /// of the language that this version does not have.
    pub(super) fn of(file: &mut File<'_>, node: &'n Node, keys: &Keys) -> Option<Fields<'n>> {
        let Content::Map(entries) = &node.content else {
            let message = format!("{} is a mapping of keys and values, not {}", keys.of, node.kind());
            file.findings.form(node.place, message);
            return None;
        };
        for (key, _) in entries {
            let name = key.name.as_str();
            if keys.later.contains(&name) {
                file.findings.not_yet(key.place, &format!("`{name}`"));
            } else if !keys.known.contains(&name) {
                let all = keys.known.iter().chain(keys.later).copied();
                let meant = did_you_mean(name, all);
                let hint = if meant.is_empty() { format!("; it has {}", some(keys)) } else { meant };
                file.findings.form(key.place, format!("{} has no key `{name}`{hint}", keys.of));
            }
        }
        Some(Fields { of: keys.of, place: node.place, entries })
    }

    /// The value of a key.
    pub(super) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Where a key stands.
    pub(super) fn key_place(&self, name: &str) -> Place {
        self.entries.iter().find(|(key, _)| key.name == name).map_or(self.place, |(key, _)| key.place)
    }

    /// The value of a key that must be there.
    pub(super) fn required(&self, file: &mut File<'_>, name: &str) -> Option<&'n Node> {
        let node = self.get(name);
        if node.is_none() {
            file.findings.form(self.place, format!("{} needs `{name}`", self.of));
        }
        node
    }

    /// The one key of these that is there; a finding when there is none or more than one.
    pub(super) fn exactly_one(&self, file: &mut File<'_>, names: &[&'static str]) -> Option<&'static str> {
        let present: Vec<&'static str> = names.iter().copied().filter(|name| self.get(name).is_some()).collect();
        match present.as_slice() {
            [one] => Some(one),
            [] => {
                let message = format!("{} needs one of {}", self.of, listed(names.iter().copied(), "or"));
                file.findings.form(self.place, message);
                None
            }
            [_, second, ..] => {
                let message = format!("{} has {}; write one of them", self.of, listed(present.iter().copied(), "and"));
                file.findings.form(self.key_place(second), message);
                None
            }
        }
    }

    /// Says so where a key stands without the one that it belongs to.
    pub(super) fn belongs(&self, file: &mut File<'_>, name: &str, to: &str) {
        if self.get(name).is_some() && self.get(to).is_none() {
            let message = format!("`{name}` belongs to `{to}`, which is missing");
            file.findings.form(self.key_place(name), message);
        }
    }

    /// Says so where there are fewer keys than one.
    pub(super) fn not_empty(&self, file: &mut File<'_>) {
        if self.entries.is_empty() {
            file.findings.form(self.place, format!("{} is empty; leave it out or fill it", self.of));
        }
    }
}

/// The first keys of a mapping, for a hint.
fn some(keys: &Keys) -> String {
    listed(keys.known.iter().copied(), "and")
}

/// The entries of a mapping whose keys are names of the shop's own.
pub(super) fn entries<'n>(file: &mut File<'_>, node: &'n Node, of: &str, fits: fn(&str) -> bool, form: &str) -> Vec<(&'n Key, &'n Node)> {
    let Content::Map(entries) = &node.content else {
        file.findings.form(node.place, format!("{of} is a mapping, not {}", node.kind()));
        return Vec::new();
    };
    if entries.is_empty() {
        file.findings.form(node.place, format!("{of} is empty; leave it out or fill it"));
    }
    let (good, bad): (Vec<_>, Vec<_>) = entries.iter().map(|(key, node)| (key, node)).partition(|(key, _)| fits(&key.name));
    for (key, _) in bad {
        file.findings.form(key.place, format!("`{}` is no name for {of}: {form}", key.name));
    }
    good
}
