//! Texts of messages: MiniJinja templates, checked when loaded, rendered strictly (LANGUAGE.md section 9).
//!
//! # Contract
//!
//! - **Never an empty hole.** A variable that is missing and has no `default` makes the rendering fail; nothing is sent.
//!   [`Template::variables`] says before launch which variables that can happen to.
//! - **Only the shop's links.** `link(url)` gives an address only after [`Links`] has checked it. A text that would print
//!   an address in any other way fails, so no event and no customer can put a foreign link into a message.
//! - **Customers' words are kept short and plain.** An attribute of `customer` that is longer than 64 characters or looks
//!   like a link counts as missing; control and direction characters are taken out of every value.
//! - **It ends soon and is not long**: steps and length are bounded.
//!
//! Amounts, dates, weekdays and plurals follow the text's language ([`TextSetting`]).

mod filters;
mod links;
mod locale;
mod marks;
#[cfg(test)]
mod tests;
mod values;
mod variables;

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use minijinja::{Environment, Error, ErrorKind};

pub use links::{Links, NoLinks, ShopLinks};
pub use locale::is_supported_language;
pub use variables::{Page, Variable};

use crate::condition::Data;
use variables::Used;

/// The longest source of a template in characters.
const LONGEST_SOURCE: usize = 20_000;

/// The longest rendered text in characters: six times the longest SMS that networks carry.
const LONGEST_TEXT: usize = 10_000;

/// Steps of a rendering; a text with ten loops over a hundred products takes a tenth of it.
const FUEL: u64 = 100_000;

/// The only template of each environment.
const NAME: &str = "text";

/// A text, parsed and checked.
#[derive(Clone)]
pub struct Template(Arc<Parsed>);

struct Parsed {
    source: String,
    environment: Environment<'static>,
    used: Used,
}

/// What a text is rendered for.
#[derive(Clone, Copy)]
pub struct TextSetting<'a> {
    /// The language of the text, such as `en`, `zh-Hant` or `en-US`: amounts, dates and plurals follow it.
    pub language: &'a str,
    /// Where the customer lives: timestamps without an offset of their own are shown on that clock.
    pub zone: &'a TimeZone,
    /// Where `link`, `page` and `opt_out` come from.
    pub links: &'a dyn Links,
}

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Where, in characters from the beginning of the source, from 0.
    pub offset: usize,
}

/// Why a text could not be rendered. Names and types, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A variable is missing, or is a customer's word that is too long or looks like a link.
    #[error("`{0}` is missing")]
    Missing(String),
    /// A link is not one of the shop's, or is printed other than through `link()`.
    #[error("{0}")]
    Link(String),
    /// A value does not fit what is done with it.
    #[error("{0}")]
    Value(String),
    /// The text is too long or takes too many steps.
    #[error("the text is longer than {LONGEST_TEXT} characters or takes too many steps")]
    TooLarge,
}

impl Template {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// What is wrong, where, and what would be right: it does not parse, is too long, or uses a filter, a function or a
    /// statement that texts do not have.
    pub fn parse(source: &str) -> Result<Template, TemplateError> {
        if source.chars().count() > LONGEST_SOURCE {
            let message = format!("text has more than {LONGEST_SOURCE} characters");
            return Err(TemplateError { message, offset: LONGEST_SOURCE });
        }
        if let Some(offset) = source.chars().position(marks::is_mark) {
            return Err(TemplateError { message: "text has a character for private use".to_owned(), offset });
        }
        let used = variables::of(source)?;
        let mut environment = filters::environment();
        environment.set_fuel(Some(FUEL));
        (environment.add_template_owned(NAME, source.to_owned())).map_err(|problem| variables::syntax_error(source, &problem))?;
        Ok(Template(Arc::new(Parsed { source: source.to_owned(), environment, used })))
    }

    /// The text as it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// What it prints or looks at, in the order of first mention, each once.
    pub fn variables(&self) -> &[Variable] {
        &self.0.used.variables
    }

    /// The pages that it links to.
    pub fn pages(&self) -> &[Page] {
        &self.0.used.pages
    }

    /// The text for this data, without white space around it.
    ///
    /// # Errors
    ///
    /// Something is missing, does not fit, is no link of the shop's, or gets too large. Nothing is sent then.
    pub fn render(&self, data: &dyn Data, setting: &TextSetting<'_>) -> Result<String, RenderError> {
        let parsed = &self.0;
        let context = values::context(&parsed.used.variables, data, setting);
        let template = parsed.environment.get_template(NAME).map_err(|problem| self.problem(&problem))?;
        let mut output = values::Bounded::new(LONGEST_TEXT * 4);
        match template.render_captured_to(context, &mut output) {
            Ok(_) => {}
            Err(_) if output.is_full() => return Err(RenderError::TooLarge),
            Err(problem) => return Err(self.problem(&problem)),
        }
        let text = marks::resolve(&output.into_text(), setting.links)?;
        if text.chars().count() > LONGEST_TEXT {
            return Err(RenderError::TooLarge);
        }
        Ok(text.trim().to_owned())
    }

    fn problem(&self, problem: &Error) -> RenderError {
        match problem.kind() {
            ErrorKind::OutOfFuel => RenderError::TooLarge,
            ErrorKind::UndefinedError => RenderError::Missing(self.missing(problem)),
            // The details of our own filters name no value; those of others may.
            ErrorKind::InvalidOperation => match problem.detail().and_then(|detail| detail.strip_prefix(filters::OURS)) {
                Some(detail) if detail.contains("link") => RenderError::Link(detail.to_owned()),
                Some(detail) => RenderError::Value(detail.to_owned()),
                None => RenderError::Value(format!("`{}` does not fit its values", self.written_at(problem))),
            },
            _ => RenderError::Value(format!("`{}` does not fit its values", self.written_at(problem))),
        }
    }

    /// The variable that an error is about: the last one written in its place, else, as the place of a filter is that
    /// of its name alone, the last one before it.
    fn missing(&self, problem: &Error) -> String {
        let range = problem.range().unwrap_or_default();
        let end = self.0.source.get(..range.end).map_or(0, |text| text.chars().count());
        let before = self.0.used.variables.iter().filter(|variable| !variable.guarded && variable.offset <= end);
        let nearest = before.max_by_key(|variable| variable.offset).map(|variable| variable.path.clone());
        nearest.unwrap_or_else(|| self.written_at(problem))
    }

    fn written_at(&self, problem: &Error) -> String {
        let range = problem.range().unwrap_or_default();
        let written = self.0.source.get(range).unwrap_or_default().trim();
        if written.is_empty() { "the text".to_owned() } else { written.to_owned() }
    }
}

/// Equal when written alike.
impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Template({:?})", self.source())
    }
}
