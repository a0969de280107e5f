use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;

use super::*;
use crate::Value;

/// Data out of one JSON object, a root a key.
pub(super) struct Sample {
    roots: BTreeMap<String, Value>,
    counts: BTreeMap<(String, Option<u32>), u64>,
}

impl Sample {
    pub(super) fn new(roots: serde_json::Value) -> Sample {
        let Value::Map(roots) = Value::from(roots) else { panic!("an object") };
        Sample { roots, counts: BTreeMap::new() }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Sample {
        self.roots.insert(name.to_owned(), value.into());
        self
    }

    fn counting(mut self, event: &str, days: Option<u32>, count: u64) -> Sample {
        self.counts.insert((event.to_owned(), days), count);
        self
    }
}

impl Data for Sample {
    fn value(&self, name: &str) -> Option<Cow<'_, Value>> {
        self.roots.get(name).map(Cow::Borrowed)
    }

    fn count(&self, event: &str, within_days: Option<u32>) -> Option<u64> {
        self.counts.get(&(event.to_owned(), within_days)).copied()
    }
}

fn verdict(source: &str, data: &Sample) -> Verdict {
    Condition::parse(source).unwrap_or_else(|problem| panic!("{source}: {problem}")).evaluate(data)
}

fn refused(source: &str) -> ConditionError {
    Condition::parse(source).expect_err(source)
}

fn shop() -> Sample {
    let now: Timestamp = "2026-12-24T10:00:00Z".parse().unwrap();
    let last: Timestamp = "2026-12-20T10:00:00Z".parse().unwrap();
    let shop = Sample::new(json!({
        "event": {
            "total": 100, "price": 36, "old_price": 40, "currency": "USD", "gone": null, "at": "2026-12-24T09:00:00Z",
            "products": [{"category": "phones", "price": 199.99}, {"category": "cases"}], "name": "Ivan", "Order ID": 7, "a.b": 8,
            "extras": {"b": 1, "a": 2, "c": 3},
        },
        "customer": {"level": "gold", "segments": ["vip", "active"], "consent": {"sms": "promotional"}, "email": "i@x.example"},
        "orders": {"count": 1, "value": 250.5},
        "cart": {},
    }));
    let mut orders = shop.roots["orders"].clone();
    if let Value::Map(orders) = &mut orders {
        orders.insert("last_at".to_owned(), last.into());
    }
    shop.with("orders", orders).with("now", now).counting("Order Completed", Some(30), 2).counting("any interaction", None, 7)
}

#[test]
fn the_conditions_of_the_language_hold() {
    let data = shop();
    for source in [
        "event.total >= 20",
        "event.price <= event.old_price * 0.9",
        "event.currency == 'USD' && event.total > 99.99",
        "orders.count == 1",
        "event.products.exists(p, p.category == 'phones')",
        "size(event.products) == 2",
        "size(event.products) - 1 == 1.0",
        "double(size(event.products)) - 1 == 1",
        "event.products[0].price > 199",
        "'vip' in customer.segments",
        "customer.consent.sms == 'promotional'",
        "!has(event.coupon) && has(event.total) && !has(event.gone)",
        "event.total == 100 && event.total == 100.0 && orders.value == 250.5",
        "count('Order Completed', days(30)) > 1 && count('any interaction') == 7",
        "now - timestamp(event.at) <= hours(1) && now - timestamp(event.at) > hours(0.5)",
        "now - orders.last_at == days(4)",
        "orders.count % 2 == 1 && 7 / 2 == 3.5 && -7 % 3 == -1",
        "event.products.filter(p, has(p.price)).map(p, p.price)[0] == 199.99",
        "event.extras.map(key, key) == ['a', 'b', 'c']",
        "{'c': 1, 'a': 2, 'b': 3}.map(key, key) == ['a', 'b', 'c']",
        "cart.value > 20 || orders.count == 1",
        "now.getFullYear() == 2026",
        "event.`Order ID` == 7 && has(event.`a.b`) && !has(event.a.b)",
        "event.name.startsWith('Iv') && event.name.matches('^I')",
    ] {
        assert_eq!(verdict(source, &data), Verdict::True, "{source}");
    }
}

#[test]
fn what_cannot_be_worked_out_is_not_true_and_is_named_without_a_value() {
    let data = shop();
    for (source, reason) in [
        ("event.coupon == 'X'", "`event.coupon` is missing"),
        ("event.coupon != 'X'", "`event.coupon` is missing"),
        ("!(event.gone == 1)", "`event.gone` is missing"),
        ("cart.value >= 20", "`cart.value` is missing"),
        ("order.id == 1", "`order.id` is missing"),
        ("event.products.all(p, p.price > 1)", "`event.products[].price` is missing"),
        ("event.products[7].price > 1", "a list is too short"),
        ("event.currency > 5", "`>` does not take text and number: event.currency is text"),
        ("event.name * 2 > 5", "`*` does not take text and number: event.name is text"),
        ("event.total", "it gives number, not true or false"),
        ("count('Refund') > 0", "how often `Refund` happened is not known"),
        ("event.total / (event.price - 36) > 1", "it divides by zero"),
        ("event.total % 0 == 1", "it divides by zero"),
        ("event.total / event.name == 1", "`/` does not take number and text: event.total is number, event.name is text"),
        ("0.5 % event.total == 1", "`%` cannot read what it is given: event.total is number"),
        ("timestamp(event.name) < now", "`timestamp` cannot read what it is given: event.name is text, now is timestamp"),
        ("event.extras[event.name] == 1", "a key is missing"),
    ] {
        assert_eq!(verdict(source, &data), Verdict::Unknown(reason.to_owned()), "{source}");
        assert!(!reason.contains("Ivan"));
    }
    assert_eq!(verdict("event.total == 'a'", &data), Verdict::False);
}

#[test]
fn a_mistake_is_named_in_the_words_of_who_made_it() {
    for (source, offset, message) in [
        ("orders.count = 1", 13, "condition does not parse: `orders.count = 1`: compare with =="),
        ("a === 1", 2, "condition does not parse: `a === 1`: compare with =="),
        ("a == 1 and b == 2", 7, "condition does not parse: `a == 1 and b == 2`: write && for and"),
        ("a == 'x and y' or b", 15, "condition does not parse: `a == 'x and y' or b`: write || for or"),
        ("a <> 1", 2, "condition does not parse: `a <> 1`: write != for unequal"),
        ("a & b", 2, "condition does not parse: `a & b`: write && for and"),
        ("a == ‘x’", 5, "condition does not parse: `a == ‘x’`: write straight quotes: 'text'"),
        ("a == 'x", 5, "condition does not parse: `a == 'x`: a text that begins with ' does not end"),
        ("a >", 3, "condition does not parse: `a >`: something is missing at the end"),
        ("", 0, "condition does not parse: ``: it is empty; leave the key out where there is no condition"),
        ("event.name.startWith('a')", 11, "no function `startWith`; did you mean `startsWith`?"),
        ("'é' == 'é' && sise(event.a) > 1", 14, "no function `sise`; did you mean `size`?"),
        ("now > duration('1d')", 6, "`1d` is no duration; write days(1), hours(36) or duration('90m')"),
        ("event.at > timestamp('tomorrow')", 11, "`tomorrow` is no timestamp; write timestamp('2026-12-24T10:00:00Z')"),
        ("event.a.matches('(')", 8, "`(` is no pattern; it is a regular expression in RE2's syntax"),
        ("event.total + 1", 0, "`event.total + 1` is neither true nor false; compare it with something"),
        ("count('A')", 0, "`count('A')` is neither true nor false; compare it with something"),
        ("count(event.name) > 1", 0, "count takes an event's name and days, both written out: count('Product Viewed', days(30))"),
    ] {
        assert_eq!(refused(source), ConditionError { message: message.to_owned(), offset }, "{source}");
    }
}

#[test]
fn length_nesting_and_lists_in_lists_are_bounded() {
    let long = format!("event.a == '{}'", "x".repeat(2_000));
    assert!(refused(&long).message.contains("at most 2000 are allowed"));
    for deep in [
        format!("{}true{}", "(".repeat(900), ")".repeat(900)),
        format!("{}true", "!".repeat(1_900)),
        format!("event.a == 1{}", "+1".repeat(900)),
        format!("{}1{} == [1]", "[".repeat(900), "]".repeat(900)),
        format!("{}true", "true ? false : ".repeat(120)),
        "event".to_owned() + &"['a']".repeat(380) + " == 1",
        format!("{}1{}", "(a+-b==c?b:a?c?d:g?h:e?f:".repeat(24), ")".repeat(24)),
        "f(".repeat(900),
    ] {
        let parsed = Condition::parse(&deep);
        assert!(parsed.is_err() || deep.starts_with('!'), "{deep}");
    }
    let deepest = format!("{}1{} == 1 || 1{} > 1", "[".repeat(21), "][0]".repeat(21), "+1".repeat(44));
    assert_eq!(verdict(&deepest, &shop()), Verdict::True);
    assert!(refused(&format!("event.a == 1{}", "+1".repeat(900))).message.contains("levels deep"));
    let three = "event.a.all(x, event.b.all(y, event.c.all(z, z > 0)))";
    assert!(refused(three).message.contains("more than 2 lists"));

    let many = Sample::new(json!({"event": {"few": vec![1; 300], "many": vec![1; 301], "most": vec![1; 10_001]}}));
    assert_eq!(verdict("event.many.all(x, x == 1)", &many), Verdict::True);
    assert_eq!(verdict("event.few.all(x, event.few.all(y, x == y))", &many), Verdict::True);
    for source in ["event.many.all(x, event.few.all(y, x == y))", "event.most.all(x, x == 1)"] {
        assert_eq!(verdict(source, &many), Verdict::Unknown("the list is too long".to_owned()), "{source}");
    }
}

#[test]
fn what_a_condition_looks_at_is_listed_with_its_place() {
    let source = "'й' == event.a && has(event.coupon) && event.coupon.code == 'x' && event.items.exists(i, i.b.c > 0 && has(i.d))";
    let condition = Condition::parse(source).unwrap();
    let paths: Vec<(&str, bool, usize)> = condition.paths().iter().map(|path| (path.path.as_str(), path.guarded, path.offset)).collect();
    assert_eq!(
        paths,
        [
            ("event.a", false, 7),
            ("event.coupon", true, 22),
            ("event.coupon.code", false, 39),
            ("event.items", false, 67),
            ("event.items[].b.c", false, 89),
            ("event.items[].d", true, 106),
        ]
    );
    let counting = Condition::parse("count('A', days(3)) + count('B') > 1").unwrap();
    let counts: Vec<_> = counting.counts().iter().map(|count| (count.event.as_str(), count.within_days)).collect();
    assert_eq!(counts, [("A", Some(3)), ("B", None)]);
}

#[test]
fn a_decision_shows_what_it_saw_and_nothing_personal() {
    let data = shop().with(
        "event",
        Value::from(json!({
            "total": 12.5, "currency": "USD", "first_name": "Ivan", "kind": "Petr", "caller": 447400123456_u64, "gift": true,
        })),
    );
    let condition = Condition::parse(
        "event.total > 1 && event.currency in ['USD', 'EUR'] && event.first_name == 'Ivan' && event.kind == 'x' \
         && event.caller > 1 && event.gift && customer.email == 'a' && customer.level == 'gold' && count('Order Completed', days(30)) > 0",
    )
    .unwrap();
    let observed = condition.observed(&data);
    let shown: Vec<(String, String)> = observed.into_iter().map(|(path, value)| (path, value.to_json().to_string())).collect();
    let expected = [
        ("count('Order Completed', days(30))", "2"),
        ("event.currency", "\"USD\""),
        ("event.gift", "true"),
        ("event.kind", "\"another text\""),
        ("event.total", "12.5"),
    ];
    assert_eq!(shown, expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
}

fn mapped(source: &str, record: serde_json::Value) -> Result<Value, String> {
    let expression = Expression::parse(source).unwrap_or_else(|problem| panic!("{source}: {problem}"));
    expression.evaluate(&Sample::new(json!({ "record": record })))
}

#[test]
fn a_mapping_gives_amounts_and_ids_exactly() {
    let amount = |text: &str| Ok(Value::Number(text.parse::<Decimal>().unwrap()));
    assert_eq!(mapped("hundredths(record.pence)", json!({"pence": 1999})), amount("19.99"));
    assert_eq!(mapped("hundredths(record.pence)", json!({"pence": 10})), amount("0.1"));
    assert_eq!(mapped("record.id", json!({"id": u64::MAX})), Ok(u64::MAX.into()));
    assert_eq!(mapped("{'id': record.id}.id", json!({"id": i64::MAX})), Ok(i64::MAX.into()));
    assert_eq!(mapped("'https://x.example/' + record.sku", json!({"sku": "a"})), Ok("https://x.example/a".into()));
    assert_eq!(mapped("string(record.n)", json!({"n": 42})), Ok("42".into()));
    let at: Timestamp = "2026-11-01T00:30:00.250Z".parse().unwrap();
    assert_eq!(mapped("timestamp(record.at)", json!({"at": "2026-11-01T02:30:00.25+02:00"})), Ok(at.into()));
    assert_eq!(mapped("timestamp(record.at)", json!({"at": 1_793_493_000.25})), Ok(at.into()));
    let lines = json!({"lines": [{"sku": "a", "pence": 250}, {"sku": "b", "pence": 99}]});
    assert_eq!(
        mapped("record.lines.map(l, {'product_id': l.sku, 'price': hundredths(l.pence)})", lines),
        Ok(Value::from(json!([{"product_id": "a", "price": 2.5}, {"product_id": "b", "price": 0.99}])))
    );
}

#[test]
fn a_missing_part_of_a_record_is_null_and_a_wrong_one_an_error_without_its_value() {
    assert_eq!(mapped("record.order.code", json!({})), Ok(Value::Null));
    assert_eq!(mapped("hundredths(record.pence)", json!({})), Ok(Value::Null));
    let wrong = mapped("hundredths(record.pence)", json!({"pence": "Ivan"})).unwrap_err();
    assert_eq!(wrong, "`hundredths` does not take text: record.pence is text");
    assert_eq!(
        mapped("hundredths(record.pence)", json!({"pence": 1.5})).unwrap_err(),
        "`hundredths` cannot read what it is given: record.pence is number"
    );
    assert_eq!(mapped("days(1)", json!({})).unwrap_err(), "the result is a duration, which no property can be");
}

proptest! {
    #[test]
    fn no_source_makes_it_panic(source in r"(event|a|\.|\[|\]|\(|\)|'x'|1|2\.5|==|&&|\?|:|!|-|has|size|exists|map|,| |\{|\}|in|é|count|days|%){0,14}") {
        let data = shop();
        if let Ok(condition) = Condition::parse(&source) {
            condition.evaluate(&data);
            condition.observed(&data);
        }
        if let Ok(expression) = Expression::parse(&source) {
            let _ = expression.evaluate(&data);
        }
    }

    #[test]
    fn numbers_compare_as_their_decimals(left in -100_000..100_000_i64, right in -100_000..100_000_i64, scale in 0..3_u32) {
        let decimal = |number| Decimal::new(number, scale);
        let data = Sample::new(json!({})).with("event", Value::from(BTreeMap::from([
            ("left".to_owned(), Value::from(decimal(left))),
            ("right".to_owned(), Value::from(decimal(right))),
        ])));
        let truth = |source: &str| verdict(source, &data) == Verdict::True;
        prop_assert_eq!(truth("event.left < event.right"), left < right);
        prop_assert_eq!(truth("event.left == event.right"), left == right);
        let written = format!("event.left == {}", decimal(left));
        prop_assert!(truth(&written));
    }
}
