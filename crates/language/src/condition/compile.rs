//! Loading: from a source to what evaluation needs.

use std::collections::{BTreeMap, BTreeSet};

use cel::common::ast::operators;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, SourceInfo};
use cel::common::types::{CelDouble, CelString};
use cel::{Context, IdedExpr};

use super::bounds::{DEEPEST, DEEPEST_SOURCE, LONGEST_LIST, LONGEST_NESTED_LIST, LONGEST_SOURCE, MOST_NESTED_LISTS, PARSER_STACK};
use super::functions::{EACH, ENVIRONMENT, FUNCTIONS, QUOTIENT, REMAINDER, WHOLE_RESULTS};
use super::problem::{self, ConditionError};

/// Something that a condition looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Names parted by dots, such as `event.total`; `[]` after a list stands for its elements, as in
    /// `event.products[].category`.
    pub path: String,
    /// Whether the condition asks with `has()` if it is there.
    pub guarded: bool,
    /// Where it is first mentioned, in characters from 0.
    pub offset: usize,
}

/// Events that a condition counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The event's name, or `any interaction`.
    pub event: String,
    /// Within so many days; `None`: ever.
    pub within_days: Option<u32>,
    /// Where it is written, in characters from 0.
    pub offset: usize,
}

/// A source, ready to be evaluated.
pub(super) struct Compiled {
    pub(super) source: String,
    pub(super) expression: IdedExpr,
    pub(super) slots: Vec<Slot>,
    pub(super) paths: Vec<Path>,
    pub(super) counts: Vec<Count>,
    /// The texts that the source spells, which are no personal data.
    pub(super) spelled: BTreeSet<String>,
}

/// What the identifier `@n` of a loaded expression stands for, `n` being its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// A value of the data.
    Value(Reference),
    /// Whether there is one.
    Has(Reference),
    /// A count, by its place among [`Compiled::counts`].
    Count(usize),
}

/// A name of the data and the path below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) root: String,
    pub(super) fields: Vec<String>,
}

impl Reference {
    pub(super) fn path(&self) -> String {
        path_of(&self.root, &self.fields)
    }
}

fn path_of(root: &str, fields: &[String]) -> String {
    let names = std::iter::once(root).chain(fields.iter().map(String::as_str));
    names.collect::<Vec<_>>().join(".")
}

/// The identifier of a slot. No source can contain one: `@` is no letter of CEL.
fn slot_name(position: usize) -> String {
    format!("@{position}")
}

/// Names of CEL itself that are no data.
const TYPES: &[&str] =
    &["bool", "bytes", "double", "google", "int", "list", "map", "null_type", "optional", "optional_type", "string", "type", "uint"];

pub(super) fn compile(source: &str) -> Result<Compiled, ConditionError> {
    let length = source.chars().count();
    if length > LONGEST_SOURCE {
        let message = format!("condition has {length} characters, at most {LONGEST_SOURCE} are allowed; split it");
        return Err(ConditionError::new(LONGEST_SOURCE, message));
    }
    problem::refuse_deep_brackets(source, DEEPEST_SOURCE)?;
    let (mut expression, info) = parse(source)?;
    let mut loader = Loader::new(source, &info);
    loader.load(&mut expression, &mut Vec::new(), Place::default())?;
    let Loader { slots, mut paths, tested, counts, spelled, .. } = loader;
    for path in &mut paths {
        path.guarded = tested.contains(&path.path);
    }
    Ok(Compiled { source: source.to_owned(), expression, slots, paths, counts, spelled })
}

/// Parses on a stack of its own, because the parser calls itself for every bracket, many frames deep. Names may stand in
/// backticks, for properties such as Order ID.
fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), ConditionError> {
    let parse = || {
        let parser = ENVIRONMENT.parser().enable_ident_escape_syntax(true);
        parser.parse_with_source_info(source)
    };
    let parsed = std::thread::scope(|scope| {
        let aside = std::thread::Builder::new().stack_size(PARSER_STACK).spawn_scoped(scope, parse);
        let aside = aside.map_err(|problem| format!("no memory to parse it: {problem}"))?;
        aside.join().map_err(|_| "the parser gives up".to_owned())
    });
    match parsed {
        Ok(parsed) => parsed.map_err(|errors| problem::of_syntax(source, &errors)),
        Err(reason) => Err(problem::refused(source, 0, &reason)),
    }
}

/// Refuses what is never true or false, such as `event.total + 1`.
pub(super) fn refuse_what_is_no_condition(compiled: &Compiled) -> Result<(), ConditionError> {
    const NUMBERS: &[&str] = &[
        operators::ADD,
        operators::SUBSTRACT,
        operators::MULTIPLY,
        QUOTIENT,
        REMAINDER,
        operators::NEGATE,
        "double",
        "string",
        "days",
        "hours",
        "hundredths",
        "timestamp",
        "duration",
        "type",
    ];
    let undecided = match &compiled.expression.expr {
        Expr::Literal(LiteralValue::Boolean(_)) => false,
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) => true,
        Expr::Call(call) => NUMBERS.contains(&call.func_name.as_str()),
        Expr::Ident(name) => {
            (0..compiled.slots.len()).any(|position| *name == slot_name(position) && matches!(compiled.slots[position], Slot::Count(_)))
        }
        _ => false,
    };
    if undecided {
        let message = format!("`{}` is neither true nor false; compare it with something", compiled.source);
        return Err(ConditionError::new(0, message));
    }
    Ok(())
}

/// A variable of `exists`, `map` and the like, and the path of what it runs over, if it has one.
type Bound = (String, Option<String>);

/// Where in the expression the loader is.
#[derive(Clone, Copy, Default)]
struct Place {
    depth: usize,
    lists: usize,
}

impl Place {
    fn deeper(self) -> Place {
        Place { depth: self.depth + 1, ..self }
    }
}

struct Loader<'a> {
    source: &'a str,
    info: &'a SourceInfo,
    slots: Vec<Slot>,
    places: BTreeMap<Slot, usize>,
    paths: Vec<Path>,
    tested: BTreeSet<String>,
    counts: Vec<Count>,
    spelled: BTreeSet<String>,
}

impl<'a> Loader<'a> {
    fn new(source: &'a str, info: &'a SourceInfo) -> Loader<'a> {
        Loader {
            source,
            info,
            slots: Vec::new(),
            places: BTreeMap::new(),
            paths: Vec::new(),
            tested: BTreeSet::new(),
            counts: Vec::new(),
            spelled: BTreeSet::new(),
        }
    }

    fn load(&mut self, node: &mut IdedExpr, bound: &mut Vec<Bound>, place: Place) -> Result<(), ConditionError> {
        if place.depth > DEEPEST {
            let message = format!("condition is nested more than {DEEPEST} levels deep; split it");
            return Err(ConditionError::new(self.offset(node.id), message));
        }
        if let Some(names) = names_of(node) {
            self.load_names(node, names, bound);
            return Ok(());
        }
        let id = node.id;
        match &mut node.expr {
            Expr::Literal(literal) => {
                if let LiteralValue::String(text) = &*literal {
                    self.spelled.insert(text.inner().to_owned());
                }
                widen(literal);
                Ok(())
            }
            Expr::Select(select) => self.load(&mut select.operand, bound, place.deeper()),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.load(element, bound, place.deeper())),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    // A double is no key of a map, so whole keys stay whole.
                    if !matches!(entry.key.expr, Expr::Literal(_)) {
                        self.load(&mut entry.key, bound, place.deeper())?;
                    }
                    self.load(&mut entry.value, bound, place.deeper())
                }
                EntryExpr::StructField(field) => self.load(&mut field.value, bound, place.deeper()),
            }),
            Expr::Struct(structure) => {
                let message = format!("there is no type `{}` here", structure.type_name);
                Err(ConditionError::new(self.offset(id), message))
            }
            Expr::Comprehension(comprehension) => self.load_comprehension(id, comprehension, bound, place),
            Expr::Call(_) => self.load_call(node, bound, place),
            Expr::Ident(_) | Expr::Unspecified => Ok(()),
        }
    }

    /// A chain of names: of an element of a list, of CEL's own, or of the data, which becomes a slot.
    fn load_names(&mut self, node: &mut IdedExpr, names: Names, bound: &[Bound]) {
        let Names { root, fields, tests } = names;
        let offset = self.offset(root_id(node));
        if let Some((_, runs_over)) = bound.iter().rev().find(|(name, _)| *name == root) {
            if let Some(list) = runs_over {
                self.note(path_of(&format!("{list}[]"), &fields), offset, tests);
            }
            return;
        }
        if TYPES.contains(&root.as_str()) {
            return;
        }
        let reference = Reference { root: root.trim_start_matches('.').to_owned(), fields };
        self.note(reference.path(), offset, tests);
        let slot = if tests { Slot::Has(reference) } else { Slot::Value(reference) };
        self.replace_by_slot(node, slot);
    }

    fn replace_by_slot(&mut self, node: &mut IdedExpr, slot: Slot) {
        let position = *self.places.entry(slot.clone()).or_insert_with(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        });
        node.expr = Expr::Ident(slot_name(position));
    }

    fn note(&mut self, path: String, offset: usize, tests: bool) {
        if tests {
            self.tested.insert(path.clone());
        }
        if !self.paths.iter().any(|known| known.path == path) {
            self.paths.push(Path { path, guarded: false, offset });
        }
    }

    fn load_comprehension(
        &mut self,
        id: u64,
        comprehension: &mut ComprehensionExpr,
        bound: &mut Vec<Bound>,
        place: Place,
    ) -> Result<(), ConditionError> {
        let lists = place.lists + 1;
        if lists > MOST_NESTED_LISTS {
            let message = format!("more than {MOST_NESTED_LISTS} lists are gone through inside each other");
            return Err(ConditionError::new(self.offset(id), message));
        }
        let runs_over = self.path_of(&comprehension.iter_range, bound);
        self.load(&mut comprehension.iter_range, bound, place.deeper())?;
        let nested = lists > 1 || has_comprehension(&comprehension.loop_step);
        let longest = if nested { LONGEST_NESTED_LIST } else { LONGEST_LIST };
        let range = std::mem::take(&mut comprehension.iter_range);
        let longest = literal(range.id, LiteralValue::Double(CelDouble::from(f64::from(longest))));
        comprehension.iter_range = call(EACH, vec![range, longest]);

        let before = bound.len();
        bound.push((comprehension.iter_var.clone(), runs_over));
        bound.extend(comprehension.iter_var2.clone().map(|name| (name, None)));
        bound.push((comprehension.accu_var.clone(), None));
        let inside = Place { depth: place.depth + 1, lists };
        self.load(&mut comprehension.accu_init, bound, inside)?;
        self.load(&mut comprehension.loop_cond, bound, inside)?;
        self.load(&mut comprehension.loop_step, bound, inside)?;
        self.load(&mut comprehension.result, bound, inside)?;
        bound.truncate(before);
        Ok(())
    }

    fn path_of(&self, node: &IdedExpr, bound: &[Bound]) -> Option<String> {
        let Names { root, fields, .. } = names_of(node)?;
        let root = match bound.iter().rev().find(|(name, _)| *name == root) {
            Some((_, runs_over)) => format!("{}[]", runs_over.as_ref()?),
            None => root,
        };
        Some(path_of(&root, &fields))
    }

    fn load_call(&mut self, node: &mut IdedExpr, bound: &mut Vec<Bound>, place: Place) -> Result<(), ConditionError> {
        let id = node.id;
        let Expr::Call(function) = &mut node.expr else {
            return Ok(());
        };
        let name = function.func_name.clone();
        if name == "count" && function.target.is_none() {
            let count = self.counted(id, function)?;
            self.counts.push(count);
            let slot = Slot::Count(self.counts.len() - 1);
            self.replace_by_slot(node, slot);
            return Ok(());
        }
        if name.starts_with(|first: char| first.is_alphabetic()) && !FUNCTIONS.contains(&name.as_str()) {
            return Err(ConditionError::new(self.offset_of_name(id, &name), unknown_function(&name)));
        }
        self.refuse_bad_literal(id, function)?;
        if let Some(target) = &mut function.target {
            self.load(target, bound, place.deeper())?;
        }
        function.args.iter_mut().try_for_each(|argument| self.load(argument, bound, place.deeper()))?;
        match name.as_str() {
            operators::DIVIDE => function.func_name = QUOTIENT.to_owned(),
            operators::MODULO => function.func_name = REMAINDER.to_owned(),
            name if WHOLE_RESULTS.contains(&name) => *node = call("double", vec![std::mem::take(node)]),
            _ => {}
        }
        Ok(())
    }

    /// `count('Event Name')` or `count('Event Name', days(30))`, literally: what is counted must be known beforehand.
    fn counted(&self, id: u64, function: &CallExpr) -> Result<Count, ConditionError> {
        let offset = self.offset_of_name(id, "count");
        let refused = || {
            let message = "count takes an event's name and days, both written out: count('Product Viewed', days(30))";
            ConditionError::new(offset, message)
        };
        let text = |node: &IdedExpr| match &node.expr {
            Expr::Literal(LiteralValue::String(text)) => Some(text.inner().to_owned()),
            _ => None,
        };
        let days = |node: &IdedExpr| match &node.expr {
            Expr::Call(call) if call.func_name == "days" && call.target.is_none() => match call.args.as_slice() {
                [IdedExpr { expr: Expr::Literal(LiteralValue::Int(days)), .. }] => u32::try_from(*days.inner()).ok(),
                _ => None,
            },
            _ => None,
        };
        let (event, within_days) = match function.args.as_slice() {
            [event] => (text(event), None),
            [event, span] => (text(event), Some(days(span).filter(|days| *days > 0).ok_or_else(refused)?)),
            _ => (None, None),
        };
        Ok(Count { event: event.filter(|event| !event.is_empty()).ok_or_else(refused)?, within_days, offset })
    }

    /// Texts that are to become something else are tried now, not when a customer waits.
    fn refuse_bad_literal(&self, id: u64, function: &CallExpr) -> Result<(), ConditionError> {
        let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(text)), .. }) = function.args.last() else {
            return Ok(());
        };
        let advice = match function.func_name.as_str() {
            "duration" => "is no duration; write days(1), hours(36) or duration('90m')",
            "timestamp" => "is no timestamp; write timestamp('2026-12-24T10:00:00Z')",
            "matches" => "is no pattern; it is a regular expression in RE2's syntax",
            _ => return Ok(()),
        };
        let mut trial = function.clone();
        let empty = || literal(id, LiteralValue::String(CelString::from("")));
        match (trial.target.as_mut(), trial.args.as_mut_slice()) {
            (Some(target), _) => **target = empty(),
            (None, [first, _]) => *first = empty(),
            _ => {}
        }
        let trial = IdedExpr { id, expr: Expr::Call(trial) };
        match cel::Value::resolve(&trial, &Context::with_env(ENVIRONMENT.clone())) {
            Ok(_) => Ok(()),
            Err(_) => Err(ConditionError::new(self.offset_of_name(id, &function.func_name), format!("`{}` {advice}", text.inner()))),
        }
    }

    /// Where a node begins, in characters; the parser counts bytes.
    fn offset(&self, id: u64) -> usize {
        self.source[..self.byte(id)].chars().count()
    }

    /// Where the name of a called function begins; the parser points at the parenthesis behind it.
    fn offset_of_name(&self, id: u64, name: &str) -> usize {
        let before = &self.source[..self.byte(id)];
        before.trim_end().strip_suffix(name).unwrap_or(before).chars().count()
    }

    fn byte(&self, id: u64) -> usize {
        let start = self.info.offset_for(id).map_or(0, |(start, _)| start as usize);
        self.source.floor_char_boundary(start)
    }
}

struct Names {
    root: String,
    fields: Vec<String>,
    tests: bool,
}

/// `a.b.c`, or `has(a.b.c)`.
fn names_of(node: &IdedExpr) -> Option<Names> {
    let (mut node, tests) = match &node.expr {
        Expr::Select(select) => (node, select.test),
        _ => (node, false),
    };
    let mut fields = Vec::new();
    loop {
        match &node.expr {
            Expr::Select(select) if fields.is_empty() || !select.test => {
                fields.push(select.field.clone());
                node = &select.operand;
            }
            Expr::Ident(root) => {
                fields.reverse();
                return Some(Names { root: root.clone(), fields, tests });
            }
            _ => return None,
        }
    }
}

fn root_id(node: &IdedExpr) -> u64 {
    match &node.expr {
        Expr::Select(select) => root_id(&select.operand),
        _ => node.id,
    }
}

fn has_comprehension(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Comprehension(_) => true,
        Expr::Call(call) => call.target.iter().any(|target| has_comprehension(target)) || call.args.iter().any(has_comprehension),
        Expr::Select(select) => has_comprehension(&select.operand),
        Expr::List(list) => list.elements.iter().any(has_comprehension),
        Expr::Map(map) => map.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => has_comprehension(&entry.key) || has_comprehension(&entry.value),
            EntryExpr::StructField(field) => has_comprehension(&field.value),
        }),
        _ => false,
    }
}

fn widen(literal: &mut LiteralValue) {
    const LARGEST_EXACT: u64 = 1 << 53;
    #[expect(clippy::cast_precision_loss, reason = "whole numbers up to 2^53 are doubles")]
    let widened = match literal {
        LiteralValue::Int(number) if number.inner().unsigned_abs() <= LARGEST_EXACT => *number.inner() as f64,
        LiteralValue::UInt(number) if *number.inner() <= LARGEST_EXACT => *number.inner() as f64,
        _ => return,
    };
    *literal = LiteralValue::Double(CelDouble::from(widened));
}

fn literal(id: u64, value: LiteralValue) -> IdedExpr {
    IdedExpr { id, expr: Expr::Literal(value) }
}

/// A call that stands where its first argument stood.
fn call(name: &str, args: Vec<IdedExpr>) -> IdedExpr {
    let id = args.first().map_or(0, |first| first.id);
    IdedExpr { id, expr: Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }) }
}

fn unknown_function(name: &str) -> String {
    let nearest = FUNCTIONS
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    match nearest {
        Some((_, known)) => format!("no function `{name}`; did you mean `{known}`?"),
        None => format!("no function `{name}`"),
    }
}
