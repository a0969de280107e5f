//! Who a record is about: names into keys of homes (rules P4, P23), phone numbers into addresses.

use cartwheel_engine::{
    input::Address,
    key::{CustomerKey, NameKind},
};
use cartwheel_language::{Value, phone};
use cartwheel_wire::pseudonym::Pseudonyms;

use crate::{
    refusal::{Code, Refusal},
    shops::KnownShop,
};

/// Texts that programs write where they have no id. Taken for a name, one of them would join all who share the mistake into one
/// customer. Compared in lower case.
const NO_NAME: &[&str] = &[
    "",
    "null",
    "nil",
    "none",
    "undefined",
    "nan",
    "[object object]",
    "0",
    "-1",
    "false",
    "true",
    "anonymous",
    "guest",
    "unknown",
    "not_set",
    "00000000-0000-0000-0000-000000000000",
];

/// The longest e-mail address (RFC 5321, 4.5.3.1.3).
const EMAIL_BYTES: usize = 254;

/// The names that a record gives, as it writes them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The shop's own id of the customer.
    pub user_id: Value,
    /// The id of a device or browser.
    pub anonymous_id: Value,
    /// A phone number; null or empty: the customer has none any more; `None`: nothing is said of it.
    pub phone: Option<Value>,
    /// An e-mail address; null or empty: there is none any more; `None`: nothing is said of it.
    pub email: Option<Value>,
}

/// Who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The home of the strongest name.
    pub key: CustomerKey,
    /// The homes of all names, strongest first.
    pub names: Vec<CustomerKey>,
    /// Where SMS reach the customer, if anything was said of it.
    pub sms: Option<Address>,
    /// What the profile keeps as `phone`: the number in E.164, or null where it is gone or no number.
    pub phone: Option<Value>,
}

/// Works out who a record is about.
///
/// # Errors
/// When a name is too long or holds control characters, or when there is no name at all.
pub fn person(given: &Given, shop: &KnownShop, pseudonyms: &Pseudonyms) -> Result<Person, Refusal> {
    let id = shop.id.as_str();
    let mut names = Vec::with_capacity(4);
    for (value, kind, what) in [(&given.user_id, NameKind::User, "user id"), (&given.anonymous_id, NameKind::Anonymous, "anonymous id")] {
        if let Some(name) = text_of_name(value, what)? {
            names.push(CustomerKey::new(id, kind, &name).map_err(|_| bad_name(what))?);
        }
    }
    let sms = given.phone.as_ref().map(|value| address(value, shop, pseudonyms)).transpose()?;
    names.extend(sms.as_ref().and_then(|address| address.home.clone()));
    if let Some(email) = given.email.as_ref().and_then(Value::as_text).filter(|text| is_email(text)) {
        names.push(pseudonyms.email(id, email).map_err(|_| bad_name("e-mail address"))?);
    }
    names.sort_by(|one, other| if one.outranks(other) { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater });
    names.dedup();
    let Some(key) = names.first().cloned() else {
        let message = "nothing says who the customer is; give a user id, an anonymous id, a valid phone number or an e-mail address";
        return Err(Refusal::new(Code::NoCustomer, message));
    };
    let phone = sms.as_ref().map(|address| if address.value.is_empty() { Value::Null } else { address.value.as_str().into() });
    Ok(Person { key, names, sms, phone })
}

/// The address that SMS go to, as the shop wrote it.
fn address(given: &Value, shop: &KnownShop, pseudonyms: &Pseudonyms) -> Result<Address, Refusal> {
    let invalid = |reason: &str| Ok(Address { value: String::new(), home: None, country: None, invalid: Some(reason.to_owned()) });
    let text = match given {
        Value::Null => String::new(),
        Value::Text(text) => text.trim().to_owned(),
        Value::Number(number) => number.normalize().to_string(),
        _ => return invalid("not a telephone number"),
    };
    if text.is_empty() {
        return invalid("removed");
    }
    match phone::parse(&text, shop.region.as_deref()) {
        Ok(phone) if !phone.takes_sms() => invalid("not a number that takes SMS"),
        Ok(phone) => Ok(Address {
            value: phone.e164().to_owned(),
            home: Some(pseudonyms.phone(&shop.id, phone.e164()).map_err(|_| bad_name("phone number"))?),
            country: phone.region().map(str::to_owned),
            invalid: None,
        }),
        Err(problem) => invalid(&problem.to_string()),
    }
}

fn text_of_name(value: &Value, what: &str) -> Result<Option<String>, Refusal> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Text(text) => text.trim().to_owned(),
        Value::Number(number) => number.normalize().to_string(),
        _ => return Err(Refusal::new(Code::WrongType, format!("the {what} must be text"))),
    };
    let means_nothing = NO_NAME.contains(&text.to_lowercase().as_str());
    Ok((!means_nothing).then_some(text))
}

fn bad_name(what: &str) -> Refusal {
    Refusal::new(Code::BadName, format!("the {what} must have at most 200 bytes and no control characters"))
}

/// Whether a text can be an address: one `@` between two parts, no space. Whether mail arrives there only mail can tell.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    let sound = text.len() <= EMAIL_BYTES && !text.chars().any(|character| character.is_whitespace() || character.is_control());
    sound && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'))
}
