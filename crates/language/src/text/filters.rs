//! What texts have besides MiniJinja's own: `link`, `page`, and filters that follow the language.

use std::sync::{Arc, LazyLock};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use minijinja::value::{Rest, Value as TextValue};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use rust_decimal::Decimal;

use super::locale;
use super::marks::{self, Mark};
use super::values::{SETTING, Setting};
use crate::Value;

/// How the errors made here begin, by which they are told from MiniJinja's, which may name values.
pub(super) const OURS: &str = "text: ";

/// The functions of texts.
pub(super) const FUNCTIONS: &[&str] = &["link", "page", "range"];

/// Filters for hints on misspelled ones.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "capitalize",
    "count",
    "date",
    "default",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "money",
    "plural",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "time",
    "title",
    "trim",
    "unique",
    "upper",
    "weekday",
];

/// Without a template; cloning it shares the filters.
static BASE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(print);
    environment.set_recursion_limit(50);
    for unused in ["debug", "dict", "namespace"] {
        environment.remove_global(unused);
    }
    for unused in ["attr", "batch", "bool", "chain", "dictsort", "e", "escape", "groupby", "indent", "items", "lines", "safe", "zip"] {
        environment.remove_filter(unused);
    }
    environment.add_function("link", |url: String| marks::mark(Mark::Link, &url));
    environment.add_function("page", |name: String| marks::mark(Mark::Page, &name));
    environment.add_filter("money", money);
    environment.add_filter("date", date);
    environment.add_filter("time", time);
    environment.add_filter("weekday", weekday);
    environment.add_filter("plural", plural);
    environment
});

pub(super) fn environment() -> Environment<'static> {
    BASE.clone()
}

fn wrong(problem: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("{OURS}{problem}"))
}

/// Prints a value, unless it is one that people cannot read or an address that was not checked.
fn print(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &TextValue) -> Result<(), Error> {
    if let Some(text) = value.as_str() {
        if marks::prints_address(text) {
            return Err(wrong("an address is only printed through link()"));
        }
    } else if value.try_iter().is_ok() && !value.is_undefined() {
        return Err(wrong("a list or map is printed; name what of it is meant"));
    } else if value.is_none() {
        return Err(Error::new(ErrorKind::UndefinedError, "none is printed"));
    }
    minijinja::escape_formatter(output, state, value)
}

fn setting(state: &State<'_, '_>) -> Result<Arc<Setting>, Error> {
    let setting = state.lookup(SETTING).and_then(|setting| setting.downcast_object::<Setting>());
    setting.ok_or_else(|| wrong("a filter is used outside of a rendering"))
}

/// Strictness reaches the arguments of filters only where they do not take every kind of value.
fn refuse_missing(value: &TextValue) -> Result<(), Error> {
    if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(()) }
}

fn decimal(value: &TextValue, filter: &str) -> Result<Decimal, Error> {
    refuse_missing(value)?;
    let number = match (i64::try_from(value.clone()), f64::try_from(value.clone()), value.as_str()) {
        (_, _, Some(text)) => text.trim().parse().ok(),
        (Ok(whole), ..) => Some(Decimal::from(whole)),
        (_, Ok(double), _) => Value::from_f64(double).as_number(),
        _ => None,
    };
    number.ok_or_else(|| wrong(format!("`{filter}` takes a number, it was given {}", kind(value))))
}

fn kind(value: &TextValue) -> &'static str {
    match value.as_str() {
        Some(_) => "text",
        None if value.is_number() => "a number",
        None => "something else",
    }
}

/// `{{ event.total | money(event.currency) }}`
fn money(state: &State<'_, '_>, amount: TextValue, currency: String) -> Result<String, Error> {
    let is_code = currency.len() == 3 && currency.bytes().all(|letter| letter.is_ascii_uppercase());
    if !is_code {
        return Err(wrong("`money` takes a currency's code, as in money('EUR')"));
    }
    Ok(locale::money(decimal(&amount, "money")?, &currency, &setting(state)?.language))
}

/// What a text spells of a day and a clock.
enum Moment {
    Day(Date),
    Clock(DateTime),
}

impl Moment {
    /// Reads `2026-12-24`, `2026-12-24T10:00` and `2026-12-24T10:00:00+02:00`. With an offset it is shown on that clock,
    /// because an appointment is where it is; in UTC (`Z`) it has no place, so the customer's clock shows it.
    fn read(value: &TextValue, zone: &TimeZone, filter: &str) -> Result<Moment, Error> {
        refuse_missing(value)?;
        let text = value.as_str().map(str::trim);
        let read = text.and_then(|text| {
            if let Ok(day) = text.parse::<Date>().map_err(drop).and_then(|day| if text.len() > 10 { Err(()) } else { Ok(day) }) {
                return Some(Moment::Day(day));
            }
            let Ok(moment) = text.parse::<Timestamp>() else {
                return text.parse::<DateTime>().ok().map(Moment::Clock);
            };
            let local = if text.ends_with(['Z', 'z']) || text.ends_with("+00:00") {
                Zoned::new(moment, zone.clone()).datetime()
            } else {
                let plain = text.split('[').next().unwrap_or(text);
                let offset = jiff::fmt::temporal::DateTimeParser::new().parse_pieces(plain).ok()?.to_numeric_offset()?;
                offset.to_datetime(moment)
            };
            Some(Moment::Clock(local))
        });
        read.ok_or_else(|| wrong(format!("`{filter}` takes a date or timestamp, it was given {}", kind(value))))
    }

    fn day(&self) -> Date {
        match self {
            Moment::Day(day) => *day,
            Moment::Clock(clock) => clock.date(),
        }
    }
}

fn date(state: &State<'_, '_>, value: TextValue) -> Result<String, Error> {
    let setting = setting(state)?;
    let day = Moment::read(&value, &setting.zone, "date")?.day();
    let this_year = setting.now.map(|now| setting.zone.to_datetime(now).year());
    Ok(locale::date(day, this_year, &setting.language))
}

fn time(state: &State<'_, '_>, value: TextValue) -> Result<String, Error> {
    let setting = setting(state)?;
    match Moment::read(&value, &setting.zone, "time")? {
        Moment::Clock(clock) => Ok(locale::time(clock.time(), &setting.language)),
        Moment::Day(_) => Err(wrong("`time` was given a date without a time")),
    }
}

fn weekday(state: &State<'_, '_>, value: TextValue) -> Result<String, Error> {
    let setting = setting(state)?;
    let day = Moment::read(&value, &setting.zone, "weekday")?.day();
    let name = locale::weekday(day.weekday(), &setting.language);
    name.map(str::to_owned).ok_or_else(|| wrong(format!("`weekday` does not know the language {}", setting.language)))
}

/// `{{ n | plural('товар', 'товара', 'товаров') }}`; the last form stands for those that are not given.
fn plural(state: &State<'_, '_>, value: TextValue, forms: Rest<String>) -> Result<String, Error> {
    let form = locale::plural_form(decimal(&value, "plural")?, &setting(state)?.language);
    let form = forms.get(form).or(forms.last()).ok_or_else(|| wrong("`plural` takes the forms of the word"))?;
    Ok(form.clone())
}
