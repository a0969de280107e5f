//! Conditions and other expressions: CEL with the names and functions of LANGUAGE.md section 9.
//!
//! # Contract
//!
//! - **What cannot be worked out is not true.** A missing property, `null` or a wrong type makes a condition
//!   [`Verdict::Unknown`], which counts as not true and says what was missing, by name. `has(event.coupon)` asks whether
//!   something is there and is never unknown.
//! - **Numbers are doubles.** CEL refuses `40 * 0.9` as whole number times double, so whole literals, the numbers of the
//!   data and the results of functions such as `size` are widened; whole numbers that a double cannot hold stay exact.
//! - **Nothing depends on chance.** Maps are gone through in the order of their keys, `now` is data, and evaluation has
//!   neither clock nor randomness.
//! - **It ends soon.** At most 2,000 characters, bounded nesting, at most two lists inside each other, and bounded lengths
//!   of the lists that are gone through.
//!
//! # How
//!
//! Loading turns every `event.total` into one slot, so that evaluation converts only the values that the condition
//! names, borrowing texts, and never a whole event.

mod bounds;
mod compile;
#[cfg(test)]
mod conformance_tests;
mod convert;
mod evaluate;
mod expression;
mod functions;
mod problem;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

pub use compile::{Count, Path};
pub use expression::Expression;
pub use problem::ConditionError;

use crate::Value;
use compile::Compiled;

/// What a condition, an expression or a text may look at.
pub trait Data: Sync {
    /// The value of a name of LANGUAGE.md section 9, such as `event`, `cart` or `now`; lent where it exists already.
    /// `None` where there is no such name here.
    fn value(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// How often the customer did this within so many days, or ever; `'any interaction'` counts as the shop defines it.
    /// `None` where that is not known.
    fn count(&self, event: &str, within_days: Option<u32>) -> Option<u64>;
}

/// A condition, parsed and checked: `where`, `audience`, `if`.
///
/// ```
/// use cartwheel_language::condition::Condition;
/// let problem = Condition::parse("orders.count = 1").expect_err("one sign is missing");
/// assert_eq!(problem.message, "condition does not parse: `orders.count = 1`: compare with ==");
/// assert_eq!(problem.offset, 13);
/// ```
#[derive(Clone)]
pub struct Condition(Arc<Compiled>);

/// Whether a condition holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be worked out, which counts as not true. Says what was missing or of the wrong type: names and types,
    /// never a value.
    Unknown(String),
}

impl Verdict {
    /// Whether it holds.
    pub fn is_true(&self) -> bool {
        *self == Verdict::True
    }
}

impl Condition {
    /// Parses a condition.
    ///
    /// # Errors
    ///
    /// What is wrong, where, and what would be right: it does not parse, is too long or too deep, calls a function that
    /// there is not, or can never be true or false.
    pub fn parse(source: &str) -> Result<Condition, ConditionError> {
        let compiled = compile::compile(source)?;
        compile::refuse_what_is_no_condition(&compiled)?;
        Ok(Condition(Arc::new(compiled)))
    }

    /// The condition as it was written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// What it looks at, in the order of first mention.
    pub fn paths(&self) -> &[Path] {
        &self.0.paths
    }

    /// The events that it counts.
    pub fn counts(&self) -> &[Count] {
        &self.0.counts
    }

    /// Whether it holds for this data.
    pub fn evaluate(&self, data: &dyn Data) -> Verdict {
        evaluate::verdict(&self.0, data)
    }

    /// The values behind the verdict, for the record of a decision, by path.
    ///
    /// Only what is no personal data: numbers that cannot be telephone numbers, true or false, timestamps and dates
    /// under `event`, `cart`, `order`, `orders`, `item`, `product` and `journey`, and counts. A text is shown only when
    /// the condition itself spells it, else as `another text`. Nothing of `customer`.
    pub fn observed(&self, data: &dyn Data) -> BTreeMap<String, Value> {
        evaluate::observed(&self.0, data)
    }
}

/// Equal when written alike.
impl PartialEq for Condition {
    fn eq(&self, other: &Condition) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Condition {}

impl fmt::Debug for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Condition({:?})", self.source())
    }
}
