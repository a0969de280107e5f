//! How languages write amounts, dates, times and plurals, after the Unicode CLDR.
//!
//! Where CLDR has a no-break space, an ordinary one stands: the other is not in the SMS alphabet and would halve what a
//! part holds.

use jiff::civil::{Date, Time, Weekday};
use rust_decimal::{Decimal, RoundingStrategy};

/// A language's ways.
pub(super) struct Locale {
    language: &'static str,
    decimal: char,
    group: char,
    /// Digits before the group mark that make grouping worth while.
    least_grouped: usize,
    currency: CurrencyPlace,
    months: [&'static str; 12],
    weekdays: [&'static str; 7],
    /// `{day}`, `{month}` by name, `{number}` of the month, and behind `|` what `{year}` adds.
    date: &'static str,
    /// Where the year stands before the rest, as in Chinese.
    year_first: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum CurrencyPlace {
    Before,
    After,
    /// The code, not the sign, behind.
    CodeAfter,
}

static LOCALES: [Locale; 7] = [
    Locale {
        language: "en",
        decimal: '.',
        group: ',',
        least_grouped: 4,
        currency: CurrencyPlace::Before,
        months: ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
        weekdays: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        date: "{day} {month}| {year}",
        year_first: "",
    },
    Locale {
        language: "ru",
        decimal: ',',
        group: ' ',
        least_grouped: 4,
        currency: CurrencyPlace::After,
        months: ["января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"],
        weekdays: ["понедельник", "вторник", "среда", "четверг", "пятница", "суббота", "воскресенье"],
        date: "{day} {month}| {year}",
        year_first: "",
    },
    Locale {
        language: "zh",
        decimal: '.',
        group: ',',
        least_grouped: 4,
        currency: CurrencyPlace::Before,
        months: ["", "", "", "", "", "", "", "", "", "", "", ""],
        weekdays: ["星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"],
        date: "{number}月{day}日",
        year_first: "{year}年",
    },
    Locale {
        language: "ro",
        decimal: ',',
        group: '.',
        least_grouped: 4,
        currency: CurrencyPlace::CodeAfter,
        months: [
            "ianuarie",
            "februarie",
            "martie",
            "aprilie",
            "mai",
            "iunie",
            "iulie",
            "august",
            "septembrie",
            "octombrie",
            "noiembrie",
            "decembrie",
        ],
        weekdays: ["luni", "marți", "miercuri", "joi", "vineri", "sâmbătă", "duminică"],
        date: "{day} {month}| {year}",
        year_first: "",
    },
    Locale {
        language: "de",
        decimal: ',',
        group: '.',
        least_grouped: 4,
        currency: CurrencyPlace::After,
        months: ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"],
        weekdays: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
        date: "{day}. {month}| {year}",
        year_first: "",
    },
    Locale {
        language: "fr",
        decimal: ',',
        group: ' ',
        least_grouped: 4,
        currency: CurrencyPlace::After,
        months: ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
        weekdays: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
        date: "{day} {month}| {year}",
        year_first: "",
    },
    Locale {
        language: "es",
        decimal: ',',
        group: '.',
        least_grouped: 5,
        currency: CurrencyPlace::After,
        months: [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
        weekdays: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
        date: "{day} de {month}| de {year}",
        year_first: "",
    },
];

/// Whether amounts, dates and weekdays have this language's own form. In others amounts are `12.50 EUR`, dates
/// `2026-12-24`, and there is no weekday.
pub fn is_supported_language(language: &str) -> bool {
    locale(language).is_some()
}

/// The ways of a language: those of its base, `en` for `en-GB`.
pub(super) fn locale(language: &str) -> Option<&'static Locale> {
    LOCALES.iter().find(|locale| locale.language == base(language))
}

fn base(language: &str) -> &str {
    language.split(['-', '_']).next().unwrap_or(language)
}

fn is_american(language: &str) -> bool {
    language == "en-US"
}

/// An amount in a currency (ISO 4217), rounded half away from zero to its decimal places.
pub(super) fn money(amount: Decimal, currency: &str, language: &str) -> String {
    let places = decimal_places(currency);
    let rounded = amount.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
    let spelled = format!("{:.*}", places as usize, rounded.abs());
    let minus = if rounded.is_sign_negative() && !rounded.is_zero() { "-" } else { "" };
    let Some(locale) = locale(language) else {
        return format!("{minus}{spelled} {currency}");
    };
    let (whole, fraction) = spelled.split_once('.').unwrap_or((&spelled, ""));
    let mut number = grouped(whole, locale);
    if !fraction.is_empty() {
        number.push(locale.decimal);
        number.push_str(fraction);
    }
    match (locale.currency, sign(currency, language)) {
        (CurrencyPlace::Before, Some(sign)) => format!("{minus}{sign}{number}"),
        (CurrencyPlace::Before, None) => format!("{minus}{currency} {number}"),
        (CurrencyPlace::After, Some(sign)) => format!("{minus}{number} {sign}"),
        (CurrencyPlace::After | CurrencyPlace::CodeAfter, _) => format!("{minus}{number} {currency}"),
    }
}

fn grouped(whole: &str, locale: &Locale) -> String {
    let mut text = String::new();
    for (position, digit) in whole.chars().enumerate() {
        let left = whole.len() - position;
        if position > 0 && left.is_multiple_of(3) && whole.len() >= locale.least_grouped {
            text.push(locale.group);
        }
        text.push(digit);
    }
    text
}

/// Decimal places of currencies that do not have two (ISO 4217).
fn decimal_places(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    }
}

fn sign(currency: &str, language: &str) -> Option<&'static str> {
    Some(match (currency, base(language)) {
        ("EUR", _) => "€",
        ("GBP", _) => "£",
        ("USD", "zh") => "US$",
        ("USD", _) => "$",
        ("CNY", "zh") => "¥",
        ("JPY", "en" | "de" | "fr") => "¥",
        ("RUB", "ru") => "₽",
        ("UAH", "ru") => "₴",
        _ => return None,
    })
}

/// A date; the year only where it is not this one.
pub(super) fn date(day: Date, this_year: Option<i16>, language: &str) -> String {
    let Some(locale) = locale(language) else {
        return day.to_string();
    };
    let has_year = this_year != Some(day.year());
    if is_american(language) {
        let year = if has_year { format!(", {}", day.year()) } else { String::new() };
        return format!("{} {}{year}", locale.months[month(day)], day.day());
    }
    let (always, year) = locale.date.split_once('|').unwrap_or((locale.date, ""));
    let pattern = if has_year { [locale.year_first, always, year].concat() } else { always.to_owned() };
    pattern
        .replace("{day}", &day.day().to_string())
        .replace("{month}", locale.months[month(day)])
        .replace("{number}", &day.month().to_string())
        .replace("{year}", &day.year().to_string())
}

fn month(day: Date) -> usize {
    usize::from(day.month().unsigned_abs()) - 1
}

/// A time to the minute: `18:00`, American `6:00 PM`.
pub(super) fn time(time: Time, language: &str) -> String {
    if is_american(language) {
        let half = if time.hour() < 12 { "AM" } else { "PM" };
        return format!("{}:{:02} {half}", (time.hour() + 11) % 12 + 1, time.minute());
    }
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// A weekday's name, if the language is known.
pub(super) fn weekday(day: Weekday, language: &str) -> Option<&'static str> {
    let position = usize::from(day.to_monday_zero_offset().unsigned_abs());
    locale(language).map(|locale| locale.weekdays[position])
}

/// Which of the forms, counted from 0, goes with a number: one, few and many by the plural rules of CLDR.
pub(super) fn plural_form(number: Decimal, language: &str) -> usize {
    let number = number.abs().normalize();
    let whole = number.fract().is_zero();
    let last = |modulus: i64| (number.trunc() % Decimal::from(modulus)).try_into().unwrap_or(0_u32);
    let (tens, hundreds) = (last(10), last(100));
    let is_one = number == Decimal::ONE;
    match base(language) {
        "zh" | "ja" | "ko" | "th" | "vi" | "id" | "ms" => 0,
        "ru" | "uk" | "be" => match (whole, tens, hundreds) {
            (false, ..) => 1,
            (_, 1, hundreds) if hundreds != 11 => 0,
            (_, 2..=4, hundreds) if !(12..=14).contains(&hundreds) => 1,
            _ => 2,
        },
        "pl" => match (whole, tens, hundreds) {
            (false, ..) => 1,
            _ if is_one => 0,
            (_, 2..=4, hundreds) if !(12..=14).contains(&hundreds) => 1,
            _ => 2,
        },
        "cs" | "sk" => match (whole, tens) {
            _ if is_one => 0,
            (true, _) if number >= Decimal::TWO && number < Decimal::from(5) => 1,
            _ => 2,
        },
        "ro" => match hundreds {
            _ if is_one => 0,
            1..=19 => 1,
            _ if !whole || number.is_zero() => 1,
            _ => 2,
        },
        "fr" | "pt" if number < Decimal::TWO => 0,
        _ => usize::from(!is_one),
    }
}
