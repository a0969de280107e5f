//! A project as a whole: the texts that go in, and the reading that comes out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Campaign, Shop};

/// One file's text, and the path by which problems name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as people should see it: `campaigns/welcome.yaml`.
    pub path: String,
    /// What the file holds.
    pub text: String,
}

/// The texts of one shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// `shop.yaml`.
    pub shop: SourceFile,
    /// The campaign files, in any order.
    pub campaigns: Vec<SourceFile>,
    /// The file that `tracking_plan` of `shop.yaml` names: a JSON object with a JSON Schema for each event.
    pub tracking_plan: Option<SourceFile>,
}

/// Everything that [`read`](crate::read) found out.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The shop and its campaigns; `None` when any problem is an error.
    pub project: Option<Project>,
    /// Every mistake and every doubt, by file (shop, tracking plan, campaigns by name) and place.
    pub problems: Vec<Problem>,
}

/// A shop with its campaigns, compiled: what the engine decides from.
#[derive(Clone, Debug)]
pub struct Project {
    /// What holds for the whole shop.
    pub shop: Shop,
    /// The campaigns by name.
    pub campaigns: BTreeMap<String, Arc<Campaign>>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The files are refused.
    Error,
    /// The files are taken, but somebody should look.
    Warning,
}

/// One mistake or doubt, where it is, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as [`SourceFile::path`] names it.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Whether the files are refused because of it.
    pub severity: Severity,
    /// What is wrong and what would be right, lower case, without a full stop.
    pub message: String,
}

/// `path:line:column: message`; a warning says so.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}: ", self.path, self.line, self.column)?;
        if self.severity == Severity::Warning {
            formatter.write_str("warning: ")?;
        }
        formatter.write_str(&self.message)
    }
}
