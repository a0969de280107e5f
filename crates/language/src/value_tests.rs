use std::collections::BTreeMap;

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::Value;

fn value() -> impl Strategy<Value = Value> {
    let key = prop_oneof!["[a-z]{0,3}", r"\$[mntd]", r"[!$][a-z]{0,2}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (any::<i128>(), 0..=28_u32).prop_map(|(digits, scale)| { Value::from(Decimal::from_i128_with_scale(digits >> 32, scale)) }),
        any::<f64>().prop_map(Value::from_f64),
        ".{0,4}".prop_map(Value::from),
        (-2_000_000_000_000_000_000_i64..2_000_000_000_000_000_000)
            .prop_map(|ns| Value::Timestamp(jiff::Timestamp::from_nanosecond(ns.into()).unwrap())),
        (0..9000_i16).prop_map(|year| Value::Date(jiff::civil::date(year, 2, 28))),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(key.clone(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_with_the_same_bytes(value in value()) {
        let json = serde_json::to_string(&value).unwrap();
        let read: Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), json);

        let packed = rmp_serde::to_vec_named(&value).unwrap();
        let read: Value = rmp_serde::from_slice(&packed).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(rmp_serde::to_vec_named(&read).unwrap(), packed);
    }

    #[test]
    fn plain_json_comes_out_as_it_went_in(number in any::<i64>(), whole in 0..10_000_000_u32, text in ".*") {
        let json = serde_json::json!({"n": number, "f": f64::from(whole) + 0.25, "t": text, "l": [null, true]});
        prop_assert_eq!(Value::from(json.clone()).to_json(), json);
    }
}

#[test]
fn simple_values_look_like_plain_json_and_the_others_carry_a_sign() {
    let text = |value: Value| serde_json::to_string(&value).unwrap();
    assert_eq!(text(Value::from(serde_json::json!({"a": [1, "x", null]}))), r#"{"a":[1,"x",null]}"#);
    assert_eq!(text(Value::Number(Decimal::new(1250, 2))), r#"{"$n":"12.50"}"#);
    let noon: jiff::Timestamp = "2026-12-24T12:00:00Z".parse().unwrap();
    assert_eq!(text(noon.into()), r#"{"$t":"2026-12-24T12:00:00Z"}"#);
    let forged = Value::from(serde_json::json!({"$t": "2026-12-24T12:00:00Z"}));
    assert_eq!(text(forged), r#"{"$m":{"$t":"2026-12-24T12:00:00Z"}}"#);
}

#[test]
fn a_number_that_no_decimal_holds_is_kept_as_its_spelling() {
    for (json, expected) in [
        ("1e300", Value::from("1e+300")),
        ("1e-40", Value::from("1e-40")),
        ("18446744073709551615", Value::from(u64::MAX)),
        ("0.1", Value::Number(Decimal::new(1, 1))),
        ("-0.0", Value::from(0)),
        ("2.0", Value::from(2)),
        ("1e2", Value::from(100)),
    ] {
        let read = Value::from(serde_json::from_str::<serde_json::Value>(json).unwrap());
        assert_eq!(read, expected, "{json}");
    }
}

#[test]
fn a_path_goes_through_maps_and_lists_and_finds_no_null() {
    let value = Value::from(serde_json::json!({"line": [{"price": 5}], "gone": null}));
    assert_eq!(value.at("line.0.price"), Some(&Value::from(5)));
    assert_eq!(value.at(""), Some(&value));
    for missing in ["gone", "line.1", "line.price", "line.0.price.x", "."] {
        assert_eq!(value.at(missing), None, "{missing}");
    }
    assert_eq!(Value::Map(BTreeMap::new()).at("a"), None);
}
