//! The mistakes of one reading, collected instead of stopped at.

use crate::model::{Problem, Severity};
use crate::yaml::Place;

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The file has another form than the language: what `schema.json` refuses.
    Form,
    /// The language has it, this version does not.
    NotYet,
    /// The form is right, but it cannot work.
    Meaning,
    /// It works, but perhaps not as meant.
    Doubt,
}

/// What was found, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: Vec<(Kind, Problem)>,
    /// Files and places at which there is nothing to read, and a finding that says why.
    unreadable: Vec<(String, Place)>,
}

impl Findings {
    /// The findings of one file go in here.
    pub(crate) fn of_file<'a>(&'a mut self, path: &'a str) -> FileFindings<'a> {
        FileFindings { path, findings: self }
    }

    /// Whether the files must be refused.
    pub(crate) fn refused(&self) -> bool {
        self.found.iter().any(|(_, problem)| problem.severity == Severity::Error)
    }

    /// The kinds of what was found.
    #[cfg(test)]
    pub(crate) fn kinds(&self) -> impl Iterator<Item = (Kind, &Problem)> {
        self.found.iter().map(|(kind, problem)| (*kind, problem))
    }

    /// Everything, by file in the order of `paths`, then by place; the same thing said of the same place once.
    pub(crate) fn into_problems(self, paths: &[&str]) -> Vec<Problem> {
        let rank = |problem: &Problem| paths.iter().position(|path| *path == problem.path);
        let mut problems: Vec<Problem> = self.found.into_iter().map(|(_, problem)| problem).collect();
        problems.sort_by(|a, b| (rank(a), a).cmp(&(rank(b), b)));
        problems.dedup();
        problems
    }
}

/// The findings of one file.
#[derive(Debug)]
pub(crate) struct FileFindings<'a> {
    path: &'a str,
    findings: &'a mut Findings,
}

impl FileFindings<'_> {
    fn add(&mut self, kind: Kind, place: Place, message: String) {
        let severity = if kind == Kind::Doubt { Severity::Warning } else { Severity::Error };
        let problem = Problem { path: self.path.to_owned(), line: place.line, column: place.column, severity, message };
        self.findings.found.push((kind, problem));
    }

    /// The file has another form than the language. Where nothing could be read, that has been said already.
    pub(crate) fn form(&mut self, place: Place, message: impl Into<String>) {
        if !self.findings.unreadable.iter().any(|(path, known)| path == self.path && *known == place) {
            self.add(Kind::Form, place, message.into());
        }
    }

    /// The file is no YAML of the language's dialect here.
    pub(crate) fn unreadable(&mut self, place: Place, message: impl Into<String>) {
        self.form(place, message);
        self.findings.unreadable.push((self.path.to_owned(), place));
    }

    /// How many findings keep the file from being used.
    pub(crate) fn errors(&self) -> usize {
        let own = self.findings.found.iter().filter(|(_, problem)| problem.path == self.path);
        own.filter(|(_, problem)| problem.severity == Severity::Error).count()
    }

    /// The language has this, this version does not.
    pub(crate) fn not_yet(&mut self, place: Place, what: &str) {
        self.add(Kind::NotYet, place, format!("{what} is not supported by this version"));
    }

    /// The form is right, but it cannot work.
    pub(crate) fn wrong(&mut self, place: Place, message: impl Into<String>) {
        self.add(Kind::Meaning, place, message.into());
    }

    /// It works, but perhaps not as meant.
    pub(crate) fn doubt(&mut self, place: Place, message: impl Into<String>) {
        self.add(Kind::Doubt, place, message.into());
    }
}

/// `; did you mean ...?` when one of the known words is close to what was written, else nothing.
pub(crate) fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let lower = written.to_lowercase();
    let most = (written.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.to_lowercase()), word))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map_or_else(String::new, |(_, word)| format!("; did you mean `{word}`?"))
}

/// `a`, `a and b`, `a, b and c`; each in back quotes.
pub(crate) fn listed<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let mut words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.pop() {
        None => String::new(),
        Some(only) if words.is_empty() => only,
        Some(end) => format!("{} {last} {end}", words.join(", ")),
    }
}
