//! Which variables a text uses, and which of them it can do without.
//!
//! Walks the parsed template. A variable can be missing where it stands behind `default`, or inside of an `if` that asks
//! whether it `is defined`.

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CallType, Expr, Filter, Stmt, UnaryOpKind};
use minijinja::machinery::{Span, Token, parse, tokenize};
use minijinja::{Error, ErrorKind};

use super::TemplateError;
use super::filters::{self, FILTERS, FUNCTIONS};

/// A variable that a text uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Names parted by dots, such as `customer.first_name`; `[]` after a list stands for its elements.
    pub path: String,
    /// Whether the text can do without it everywhere: by `default` or `is defined`.
    pub guarded: bool,
    /// Where it is first used without a guard, else where it is first used, in characters from 0.
    pub offset: usize,
}

/// A page of `shop.yaml` that a text links to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page's name.
    pub name: String,
    /// Where it is written, in characters from 0.
    pub offset: usize,
}

/// What a text uses.
pub(super) struct Used {
    pub(super) variables: Vec<Variable>,
    pub(super) pages: Vec<Page>,
}

/// The variables and pages of a text, and the refusal of what texts do not have.
pub(super) fn of(source: &str) -> Result<Used, TemplateError> {
    refuse_long_expressions(source)?;
    let parsed = parse(source, super::NAME, Default::default()).map_err(|problem| syntax_error(source, &problem))?;
    let used = Used { variables: Vec::new(), pages: Vec::new() };
    let mut walk = Walk { source, used };
    walk.statement(&parsed, &mut Scope::default())?;
    Ok(walk.used)
}

/// The most words and signs of an expression. Everything that goes through one calls itself for each of them.
const LONGEST_EXPRESSION: usize = 200;

/// Refuses what would use up a thread's stack before it is parsed.
fn refuse_long_expressions(source: &str) -> Result<(), TemplateError> {
    let mut length = 0;
    for token in tokenize(source, false, Default::default()) {
        match token {
            Ok((Token::TemplateData(_) | Token::VariableStart | Token::BlockStart, _)) => length = 0,
            Ok((_, span)) if length == LONGEST_EXPRESSION => {
                let message = format!("an expression has more than {LONGEST_EXPRESSION} words and signs; split it");
                return Err(TemplateError { message, offset: characters(source, span.start_offset as usize) });
            }
            Ok(_) => length += 1,
            // The parser says it better.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// What the parser refuses, in a person's words.
pub(super) fn syntax_error(source: &str, problem: &Error) -> TemplateError {
    let byte = problem.range().map_or_else(|| line_start(source, problem.line().unwrap_or(1)), |range| range.start);
    let reason = match (problem.kind(), problem.detail()) {
        (ErrorKind::SyntaxError, Some(detail)) => detail.to_owned(),
        (_, detail) => detail.map_or_else(|| problem.kind().to_string(), str::to_owned),
    };
    TemplateError { message: format!("text does not parse: {reason}"), offset: characters(source, byte) }
}

fn line_start(source: &str, line: usize) -> usize {
    source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum()
}

fn characters(source: &str, byte: usize) -> usize {
    source[..source.floor_char_boundary(byte)].chars().count()
}

/// Names that a block brings, and variables that are known to be there in it.
#[derive(Clone, Default)]
struct Scope {
    /// A name, and the path of the elements that it stands for, if it has one.
    bound: Vec<(String, Option<String>)>,
    defined: Vec<String>,
}

struct Walk<'a> {
    source: &'a str,
    used: Used,
}

type Walked = Result<(), TemplateError>;

impl Walk<'_> {
    fn refuse<T>(&self, span: Span, message: String) -> Result<T, TemplateError> {
        Err(TemplateError { message, offset: characters(self.source, span.start_offset as usize) })
    }

    fn statements(&mut self, statements: &[Stmt<'_>], scope: &mut Scope) -> Walked {
        statements.iter().try_for_each(|statement| self.statement(statement, scope))
    }

    fn statement(&mut self, statement: &Stmt<'_>, scope: &mut Scope) -> Walked {
        match statement {
            Stmt::Template(template) => self.statements(&template.children, scope),
            Stmt::EmitExpr(printed) => self.expression(&printed.expr, scope),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::ForLoop(each) => {
                self.expression(&each.iter, scope)?;
                let mut inside = scope.clone();
                let elements = path(&each.iter, scope).map(|path| format!("{path}[]"));
                self.bind(&each.target, elements, &mut inside);
                inside.bound.push(("loop".to_owned(), None));
                each.filter_expr.iter().try_for_each(|filter| self.expression(filter, &inside))?;
                self.statements(&each.body, &mut inside)?;
                self.statements(&each.else_body, &mut scope.clone())
            }
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr, scope)?;
                self.statements(&condition.true_body, &mut with_defined(scope, &condition.expr, true))?;
                self.statements(&condition.false_body, &mut with_defined(scope, &condition.expr, false))
            }
            Stmt::WithBlock(block) => {
                let mut inside = scope.clone();
                for (target, value) in &block.assignments {
                    self.expression(value, &inside)?;
                    let stands_for = path(value, &inside);
                    self.bind(target, stands_for, &mut inside);
                }
                self.statements(&block.body, &mut inside)
            }
            Stmt::Set(set) => {
                self.expression(&set.expr, scope)?;
                let stands_for = path(&set.expr, scope);
                self.bind(&set.target, stands_for, scope);
                Ok(())
            }
            _ => Err(TemplateError {
                message: "texts have for, if, set and with, and no other statements".to_owned(),
                offset: self.source.find("{%").map_or(0, |byte| characters(self.source, byte)),
            }),
        }
    }

    fn bind(&self, target: &Expr<'_>, stands_for: Option<String>, scope: &mut Scope) {
        match target {
            Expr::Var(variable) => scope.bound.push((variable.id.to_owned(), stands_for)),
            Expr::List(list) => list.items.iter().for_each(|item| self.bind(item, None, scope)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.bind(item, None, scope)),
            _ => {}
        }
    }

    fn expression(&mut self, expression: &Expr<'_>, scope: &Scope) -> Walked {
        match expression {
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => self.chain(expression, scope, false),
            Expr::Const(_) => Ok(()),
            Expr::Slice(slice) => {
                self.expression(&slice.expr, scope)?;
                [&slice.start, &slice.stop, &slice.step].into_iter().flatten().try_for_each(|part| self.expression(part, scope))
            }
            Expr::UnaryOp(unary) => self.expression(&unary.expr, scope),
            Expr::BinOp(binary) => {
                self.expression(&binary.left, scope)?;
                let right = match binary.op {
                    BinOpKind::ScAnd => with_defined(scope, &binary.left, true),
                    BinOpKind::ScOr => with_defined(scope, &binary.left, false),
                    _ => scope.clone(),
                };
                self.expression(&binary.right, &right)
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr, scope)?;
                compare.ops.iter().try_for_each(|operand| self.expression(&operand.expr, scope))
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr, scope)?;
                self.expression(&choice.true_expr, &with_defined(scope, &choice.test_expr, true))?;
                let otherwise = with_defined(scope, &choice.test_expr, false);
                choice.false_expr.iter().try_for_each(|other| self.expression(other, &otherwise))
            }
            Expr::Filter(filter) => self.filter(filter, expression.span(), scope),
            Expr::Test(test) => {
                if matches!(test.name, "defined" | "undefined") {
                    self.chain(&test.expr, scope, true)?;
                } else {
                    self.expression(&test.expr, scope)?;
                }
                self.arguments(&test.args, scope)
            }
            Expr::Call(call) => self.call(call, expression.span(), scope),
            Expr::List(list) => list.items.iter().try_for_each(|item| self.expression(item, scope)),
            Expr::Tuple(tuple) => tuple.items.iter().try_for_each(|item| self.expression(item, scope)),
            Expr::Map(map) => map.keys.iter().chain(&map.values).try_for_each(|part| self.expression(part, scope)),
        }
    }

    fn filter(&mut self, filter: &Filter<'_>, span: Span, scope: &Scope) -> Walked {
        let state = filters::environment();
        let unknown = matches!(state.empty_state().apply_filter(filter.name, &[]),
            Err(problem) if problem.kind() == ErrorKind::UnknownFilter);
        if unknown {
            return self.refuse(span, unknown_name("filter", filter.name, FILTERS));
        }
        if let Some(filtered) = &filter.expr {
            if matches!(filter.name, "default" | "d") {
                self.chain(filtered, scope, true)?;
            } else {
                self.expression(filtered, scope)?;
            }
        }
        self.arguments(&filter.args, scope)
    }

    fn call(&mut self, call: &Call<'_>, span: Span, scope: &Scope) -> Walked {
        match call.identify_call() {
            CallType::Function("page") => {
                let [CallArg::Pos(Expr::Const(name))] = call.args.as_slice() else {
                    return self.refuse(span, "page takes a name written out, as in page('winter')".to_owned());
                };
                let offset = characters(self.source, name.span().start_offset as usize);
                let name = name.value.as_str().unwrap_or_default().to_owned();
                self.used.pages.push(Page { name, offset });
                Ok(())
            }
            CallType::Function(name) if FUNCTIONS.contains(&name) => self.arguments(&call.args, scope),
            CallType::Function(name) => self.refuse(span, unknown_name("function", name, FUNCTIONS)),
            _ => self.refuse(span, "texts call no methods; use a filter".to_owned()),
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>], scope: &Scope) -> Walked {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) | CallArg::PosSplat(value) | CallArg::KwargSplat(value) => {
                self.expression(value, scope)
            }
        })
    }

    /// A variable with its fields, or an expression in its place.
    fn chain(&mut self, expression: &Expr<'_>, scope: &Scope, guarded: bool) -> Walked {
        let Some(path) = path(expression, scope) else {
            return match expression {
                Expr::Var(_) => Ok(()),
                Expr::GetAttr(field) => self.chain(&field.expr, scope, guarded),
                Expr::GetItem(item) => {
                    self.chain(&item.expr, scope, guarded)?;
                    self.expression(&item.subscript_expr, scope)
                }
                other => self.expression(other, scope),
            };
        };
        let guarded = guarded || scope.defined.contains(&path);
        let offset = characters(self.source, expression.span().start_offset as usize);
        match self.used.variables.iter_mut().find(|known| known.path == path) {
            Some(known) if known.guarded && !guarded => (known.guarded, known.offset) = (false, offset),
            Some(_) => {}
            None => self.used.variables.push(Variable { path, guarded, offset }),
        }
        Ok(())
    }
}

/// The path of a variable; `None` for what a block brings without one, and for other expressions.
fn path(expression: &Expr<'_>, scope: &Scope) -> Option<String> {
    match expression {
        Expr::Var(variable) => match scope.bound.iter().rev().find(|(name, _)| name == variable.id) {
            Some((_, stands_for)) => stands_for.clone(),
            None => Some(variable.id.to_owned()),
        },
        Expr::GetAttr(field) => Some(format!("{}.{}", path(&field.expr, scope)?, field.name)),
        Expr::GetItem(item) => {
            let Expr::Const(key) = &item.subscript_expr else {
                return None;
            };
            let whole = path(&item.expr, scope)?;
            Some(match key.value.as_str() {
                Some(name) => format!("{whole}.{name}"),
                None => format!("{whole}[]"),
            })
        }
        _ => None,
    }
}

/// The scope where a condition has turned out so.
fn with_defined(scope: &Scope, condition: &Expr<'_>, outcome: bool) -> Scope {
    let mut inside = scope.clone();
    add_defined(&mut inside, condition, outcome);
    inside
}

fn add_defined(scope: &mut Scope, condition: &Expr<'_>, outcome: bool) {
    match condition {
        Expr::Test(test) if test.name == if outcome { "defined" } else { "undefined" } => {
            scope.defined.extend(path(&test.expr, scope));
        }
        Expr::UnaryOp(unary) if matches!(unary.op, UnaryOpKind::Not) => add_defined(scope, &unary.expr, !outcome),
        Expr::BinOp(binary) => {
            let both = if outcome { BinOpKind::ScAnd } else { BinOpKind::ScOr };
            if std::mem::discriminant(&binary.op) == std::mem::discriminant(&both) {
                add_defined(scope, &binary.left, outcome);
                add_defined(scope, &binary.right, outcome);
            }
        }
        _ => {}
    }
}

fn unknown_name(what: &str, name: &str, known: &[&str]) -> String {
    let nearest =
        (known.iter().map(|known| (strsim::damerau_levenshtein(name, known), known))).min().filter(|(distance, _)| *distance <= 2);
    match nearest {
        Some((_, known)) => format!("no {what} `{name}`; did you mean `{known}`?"),
        None => format!("no {what} `{name}`"),
    }
}
