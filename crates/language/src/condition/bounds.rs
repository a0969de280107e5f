//! How large a condition may be, so that no file can hold up an engine that decides for everybody.

/// The longest source in characters (LANGUAGE.md section 9).
pub(super) const LONGEST_SOURCE: usize = 2_000;

/// The deepest nesting of an expression. Deeper ones are sums of dozens of terms; each level costs a stack frame.
pub(super) const DEEPEST: usize = 48;

/// The deepest nesting of brackets in a source; `? :` has the parser's own limit of 96.
pub(super) const DEEPEST_SOURCE: usize = 24;

/// The stack in bytes on which a source is parsed. The deepest sources take 8 MB of it in a debug build, more than the
/// 2 MB that a thread of a service has; what is not touched costs nothing.
pub(super) const PARSER_STACK: usize = 32 << 20;

/// How many lists may be gone through inside each other.
pub(super) const MOST_NESTED_LISTS: usize = 2;

/// The longest list that is gone through. A thousand times what an order holds.
pub(super) const LONGEST_LIST: u32 = 10_000;

/// The longest list that is gone through where one goes through a list for each element of another: its square is then
/// as many steps as nine such lists.
pub(super) const LONGEST_NESTED_LIST: u32 = 300;
