//! Expressions that give any value: mappings of sources, and numbers worked out when a wait begins.

use std::fmt;
use std::sync::Arc;

use super::compile::{self, Compiled, Count, Path};
use super::evaluate;
use super::{ConditionError, Data};
use crate::Value;

/// An expression, parsed and checked.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    ///
    /// What is wrong, where, and what would be right, as for a [`Condition`](super::Condition).
    pub fn parse(source: &str) -> Result<Expression, ConditionError> {
        Ok(Expression(Arc::new(compile::compile(source)?)))
    }

    /// The expression as it was written.
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

    /// The value for this data; [`Value::Null`] where something that it needs is missing, as an optional property of a
    /// record may be.
    ///
    /// An expression that only names a value gives that value untouched, whatever its size or precision.
    ///
    /// # Errors
    ///
    /// Something is of the wrong type, or the result is nothing that a property can be. Names and types, never a value.
    pub fn evaluate(&self, data: &dyn Data) -> Result<Value, String> {
        evaluate::value(&self.0, data)
    }
}

/// Equal when written alike.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Expression({:?})", self.source())
    }
}
