use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::Value;
use crate::time::zone;

struct Sample(BTreeMap<String, Value>);

impl Sample {
    fn new(roots: serde_json::Value) -> Sample {
        match Value::from(roots) {
            Value::Map(roots) => Sample(roots),
            _ => panic!("an object"),
        }
    }
}

impl Data for Sample {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.0.get(name).map(Cow::Borrowed)
    }

    fn count(&self, _: &str, _: Option<u32>) -> Option<u64> {
        None
    }
}

fn shop() -> Sample {
    let mut shop = Sample::new(json!({
        "shop": {"name": "Hollow Oak", "url": "https://hollow-oak.example", "phone": "+44 20 7946 0123"},
        "customer": {"first_name": "Ann", "id": "42"},
        "cart": {
            "url": "https://hollow-oak.example/cart/7",
            "products": [{"name": "Smoky tea"}, {"name": "Cup"}, {"name": "Pot"}],
        },
        "event": {
            "total": 1234.5, "currency": "GBP", "order_id": 17, "expected_on": "2026-12-27", "seats": 3,
            "starts_at": "2026-12-24T18:30:00+02:00", "sent_at": "2026-12-24T23:30:00Z", "tracking_url": "https://evil.example/x",
        },
    }));
    shop.0.insert("now".to_owned(), Value::Timestamp("2026-12-20T10:00:00Z".parse().unwrap()));
    shop
}

fn links() -> ShopLinks {
    ShopLinks::new(["https://www.hollow-oak.example", "hlok.example"])
        .with_pages(BTreeMap::from([("help".to_owned(), "https://hollow-oak.example/help".to_owned())]))
        .with_opt_out("https://hlok.example/o/abc".to_owned())
}

fn render_in(language: &str, source: &str, data: &Sample) -> Result<String, RenderError> {
    let template = Template::parse(source).unwrap_or_else(|problem| panic!("{source}: {problem}"));
    let zone = zone("Europe/Chisinau").unwrap();
    template.render(data, &TextSetting { language, zone: &zone, links: &links() })
}

fn render(source: &str) -> Result<String, RenderError> {
    render_in("en", source, &shop())
}

fn refused(source: &str) -> (String, usize) {
    let problem = Template::parse(source).expect_err(source);
    (problem.message, problem.offset)
}

#[test]
fn r55_a_text_shows_name_cart_amounts_and_links() {
    let text = "{{ customer.first_name | default('Hello') }}, your cart at {{ shop.name }} is as you left it: \
        {{ cart.products[0].name }}{% if cart.products | length > 1 %} and {{ cart.products | length - 1 }} more{% endif %}. {{ link(cart.url) }}";
    assert_eq!(
        render(text).unwrap(),
        "Ann, your cart at Hollow Oak is as you left it: Smoky tea and 2 more. https://hollow-oak.example/cart/7"
    );
    assert_eq!(render("Stop: {{ link(opt_out) }}").unwrap(), "Stop: https://hlok.example/o/abc");
    assert_eq!(render(" {{ link(page('help')) }}\n").unwrap(), "https://hollow-oak.example/help");
    assert_eq!(render("{{ link(page('help') ~ '?from=sms') }}").unwrap(), "https://hollow-oak.example/help?from=sms");
    assert_eq!(render("{% for p in cart.products %}{{ loop.index }} {{ p.name }} {% endfor %}").unwrap(), "1 Smoky tea 2 Cup 3 Pot");
    assert_eq!(render("{{ event.order_id }} {{ event.total }}").unwrap(), "17 1234.5");
}

#[test]
fn r55_a_missing_variable_is_an_error_and_never_a_hole() {
    for (source, missing) in [
        ("{{ customer.last_name }}", "customer.last_name"),
        ("a {{ event.nothing | money('GBP') }}", "event.nothing"),
        ("{{ order.id }}", "order.id"),
        ("{{ cart.products[7].name }}", "cart.products[].name"),
        ("{% if event.gift %}x{% endif %}", "event.gift"),
        ("{% for p in event.products %}x{% endfor %}", "event.products"),
    ] {
        assert_eq!(render(source), Err(RenderError::Missing(missing.to_owned())), "{source}");
    }
    assert_eq!(render("{{ order.id | default('-') }}{% if customer.x is defined %}{{ customer.x }}{% endif %}").unwrap(), "-");
}

#[test]
fn r57_amounts_dates_and_plurals_follow_the_language() {
    let text = "{{ event.total | money(event.currency) }}; {{ event.expected_on | date }}; {{ '2027-01-02' | date }}; \
        {{ event.expected_on | weekday }}; {{ event.seats | plural('one', 'few', 'many') }}; {{ 1234567.891 | money('EUR') }}; {{ 5 | money('RON') }}";
    for (language, expected) in [
        ("en", "£1,234.50; 27 December; 2 January 2027; Sunday; few; €1,234,567.89; RON 5.00"),
        ("en-US", "£1,234.50; December 27; January 2, 2027; Sunday; few; €1,234,567.89; RON 5.00"),
        ("ru", "1 234,50 £; 27 декабря; 2 января 2027; воскресенье; few; 1 234 567,89 €; 5,00 RON"),
        ("zh-Hant", "£1,234.50; 12月27日; 2027年1月2日; 星期日; one; €1,234,567.89; RON 5.00"),
        ("ro", "1.234,50 GBP; 27 decembrie; 2 ianuarie 2027; duminică; few; 1.234.567,89 EUR; 5,00 RON"),
        ("de", "1.234,50 £; 27. Dezember; 2. Januar 2027; Sonntag; few; 1.234.567,89 €; 5,00 RON"),
        ("fr", "1 234,50 £; 27 décembre; 2 janvier 2027; dimanche; few; 1 234 567,89 €; 5,00 RON"),
        ("es", "1234,50 £; 27 de diciembre; 2 de enero de 2027; domingo; few; 1.234.567,89 €; 5,00 RON"),
    ] {
        assert_eq!(render_in(language, text, &shop()).unwrap(), expected, "{language}");
    }
    let other = "{{ event.total | money('GBP') }} {{ event.expected_on | date }}";
    assert_eq!(render_in("nl", other, &shop()).unwrap(), "1234.50 GBP 2026-12-27");
    assert!(!is_supported_language("nl") && is_supported_language("ro-MD"));
    assert_eq!(
        render("{{ 1234.5 | money('JPY') }} {{ -3 | money('KWD') }} {{ '0.005' | money('USD') }}").unwrap(),
        "¥1,235 -KWD 3.000 $0.01"
    );
}

#[test]
fn r57_plural_forms_are_those_of_the_language() {
    let forms = |language: &str, numbers: &[f64]| -> String {
        let text: String = numbers.iter().map(|number| format!("{{{{ {number} | plural('1', '2', '5') }}}}")).collect();
        render_in(language, &text, &shop()).unwrap()
    };
    let numbers = [0.0, 1.0, 2.0, 5.0, 11.0, 12.0, 21.0, 22.0, 25.0, 100.0, 101.0, 111.0, 119.0, 120.0, 1.5];
    assert_eq!(forms("ru", &numbers), "512555125515552");
    assert_eq!(forms("ro", &numbers), "212222555522252");
    assert_eq!(forms("en", &numbers), "212222222222222");
    assert_eq!(forms("fr", &numbers), "112222222222221");
    assert_eq!(forms("pl", &numbers), "512555525555552");
    assert_eq!(forms("zh", &numbers), "111111111111111");
}

#[test]
fn a_time_with_an_offset_is_shown_on_its_own_clock_and_one_without_on_the_customers() {
    assert_eq!(render("{{ event.starts_at | time }} {{ event.starts_at | date }}").unwrap(), "18:30 24 December");
    assert_eq!(render("{{ event.sent_at | time }} {{ event.sent_at | date }}").unwrap(), "01:30 25 December");
    assert_eq!(render_in("en-US", "{{ event.sent_at | time }} {{ '2026-12-24T12:05' | time }}", &shop()).unwrap(), "1:30 AM 12:05 PM");
    assert_eq!(render("{{ now | time }}").unwrap(), "12:00");
    for (source, reason) in [
        ("{{ event.total | date }}", "`date` takes a date or timestamp, it was given a number"),
        ("{{ event.currency | time }}", "`time` takes a date or timestamp, it was given text"),
        ("{{ event.expected_on | time }}", "`time` was given a date without a time"),
        ("{{ event.currency | money('GBP') }}", "`money` takes a number, it was given text"),
        ("{{ event.total | money('pounds') }}", "`money` takes a currency's code, as in money('EUR')"),
        ("{{ cart.products }}", "a list or map is printed; name what of it is meant"),
    ] {
        assert_eq!(render(source), Err(RenderError::Value(reason.to_owned())), "{source}");
    }
}

#[test]
fn only_the_shops_addresses_are_printed() {
    for source in [
        "{{ event.tracking_url }}",
        "{{ link(event.tracking_url) }}",
        "{{ 'https:' ~ '//x.example' }}",
        "{{ link('http://hollow-oak.example') }}",
        "{{ link('https://hollow-oak.example.evil.example') }}",
        "{{ link('https://evilhollow-oak.example') }}",
        "{{ link('https://hollow-oak.example@evil.example/') }}",
        "{{ link('https://hollow-oak.example:8443/') }}",
        "{{ link('javascript:alert(1)') }}",
        "{{ link(customer.first_name) }}",
        "{{ link(page('nowhere')) }}",
        "{{ link(cart.url) | upper }}",
    ] {
        assert!(matches!(render(source), Err(RenderError::Link(_))), "{source}: {:?}", render(source));
    }
    assert_eq!(render("{{ link('https://m.hollow-oak.example/a b') }}").unwrap(), "https://m.hollow-oak.example/a%20b");
}

#[test]
fn a_customers_words_are_short_and_hold_no_link() {
    for name in ["http://x.example", "win at x.example/1", "www.x.example", "evil.com", "a@b.example", &"x".repeat(65)] {
        let data = Sample::new(json!({"customer": {"first_name": name}}));
        assert_eq!(render_in("en", "Hi {{ customer.first_name | default('you') }}", &data).unwrap(), "Hi you", "{name}");
        assert!(render_in("en", "{{ customer.first_name }}", &data).is_err());
    }
    for (name, shown) in [("Anna-Maria", "Anna-Maria"), ("J. R.", "J. R."), ("A\nB\u{202E}C\u{E000}", "A BC"), ("Ёлка", "Ёлка")] {
        let data = Sample::new(json!({"customer": {"first_name": name}}));
        assert_eq!(render_in("en", "{{ customer.first_name }}", &data).unwrap(), shown);
    }
}

#[test]
fn steps_and_length_are_bounded() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    assert_eq!(render(endless), Err(RenderError::TooLarge));
    assert_eq!(render("{% for a in range(2000) %}0123456789{% endfor %}"), Err(RenderError::TooLarge));
    assert!(render("{{ 'x' * 100000000 }}").is_err());
    for deep in [
        "{% if true %}".repeat(1_000),
        format!("{{{{ event{} }}}}", ".a".repeat(9_000)),
        format!("{{{{ 1{} }}}}", "|abs".repeat(4_000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(2_000), ")".repeat(2_000)),
        format!("{{{{ {}true }}}}", "not ".repeat(4_000)),
        format!("{{{{ 1{} }}}}", " ~ 1".repeat(4_000)),
    ] {
        assert!(Template::parse(&deep).is_err(), "{}", &deep[..40]);
    }
    let longest = format!("{{{{ '{}'{} }}}}", "x".repeat(500), " ~ 1".repeat(98));
    assert_eq!(render(&longest).unwrap().len(), 598);
    let nested = format!("{}deep{}", "{% if true %}".repeat(45), "{% endif %}".repeat(45));
    assert_eq!(render(&nested).unwrap(), "deep");
}

#[test]
fn variables_are_listed_and_told_apart_by_whether_they_can_be_missing() {
    let source = "{{ customer.a | default('é') }}{% if customer.b is defined %}{{ customer.b }}{% else %}{{ customer.c }}{% endif %}\
        {% for p in cart.products %}{{ p.name }}{{ p.note | default('') }}{% endfor %}{{ cart.products[0].name }}\
        {{ event.d if event.d is defined and event.e else '' }}{{ link(page('x')) }}{% set f = event.g %}{{ f.h }}{{ customer.a }}";
    let template = Template::parse(source).unwrap();
    let variables: Vec<(&str, bool)> = template.variables().iter().map(|variable| (variable.path.as_str(), variable.guarded)).collect();
    assert_eq!(
        variables,
        [
            ("customer.a", false),
            ("customer.b", true),
            ("customer.c", false),
            ("cart.products", false),
            ("cart.products[].name", false),
            ("cart.products[].note", true),
            ("event.d", true),
            ("event.e", false),
            ("event.g", false),
            ("event.g.h", false),
        ]
    );
    assert_eq!(template.pages().iter().map(|page| page.name.as_str()).collect::<Vec<_>>(), ["x"]);
    let offset = template.variables()[0].offset;
    assert!(source.chars().skip(offset).collect::<String>().starts_with("customer.a }}"));
}

#[test]
fn a_mistake_is_named_with_its_place() {
    for (source, message, offset) in [
        ("é {{ event.total | mony('GBP') }}", "no filter `mony`; did you mean `money`?", 19),
        ("{{ page(event.x) }}", "page takes a name written out, as in page('winter')", 3),
        ("{{ lnk(cart.url) }}", "no function `lnk`; did you mean `link`?", 3),
        ("{{ event.name.upper() }}", "texts call no methods; use a filter", 13),
        ("a {% macro x() %}{% endmacro %}", "text does not parse: unknown statement macro", 5),
        ("a {% filter upper %}b{% endfilter %}", "texts have for, if, set and with, and no other statements", 2),
        ("a\u{E000}", "text has a character for private use", 1),
    ] {
        assert_eq!(refused(source), (message.to_owned(), offset), "{source}");
    }
    let (message, offset) = refused("Hello {{ customer.first_name");
    assert!(message.starts_with("text does not parse: ") && offset >= 6, "{message} at {offset}");
}

proptest! {
    #[test]
    fn no_source_and_no_data_make_it_panic(
        source in r"(\{\{|\}\}|\{%|%\}| |event|\.a|\[0\]|\||default|money|date|plural|\('x'\)|if|endif|for|in|é|x){0,12}",
        value in ".{0,20}",
    ) {
        if let Ok(template) = Template::parse(&source) {
            let data = Sample::new(json!({"event": {"a": value}}));
            let zone = zone("Europe/London").unwrap();
            let _ = template.render(&data, &TextSetting { language: "ru", zone: &zone, links: &NoLinks });
        }
    }
}
