//! `shop.yaml` into a shop, with the places of what is checked against other files.

use std::collections::BTreeMap;

use url::Url;

use super::File;
use super::campaign::NAME_FORM;
use super::fields::{Fields, Keys, entries};
use super::send::{MOST_PARTS, OVER, channel};
use super::values::{Placed, PlacedTexts, is_country, is_currency, is_event_name, is_language, is_name, is_word};
use crate::model::{Cap, Keywords, Object, Over, Period, QuietHours, Sender, Senders, Session, Shop, SmsSenders};
use crate::time::{Days, Hours, TimeOfDay};
use crate::words::{Channel, Class};
use crate::yaml::{Content, Node, Place};

const SHOP: Keys = Keys {
    of: "a shop",
    known: &[
        "grammar",
        "shop",
        "name",
        "url",
        "phone",
        "zone",
        "languages",
        "currencies",
        "channels",
        "caps",
        "quiet_hours",
        "senders",
        "links",
        "tracking_plan",
        "interactions",
        "objects",
        "session",
        "pages",
        "keywords",
        "sources",
    ],
    later: &["compete_within", "holdout", "budget", "webhooks", "relations", "segments", "areas", "holidays", "coupons"],
};

const CAP: Keys = Keys { of: "a rule of `caps`", known: &["at_most", "per", "channel", "tag"], later: &[] };

const QUIET_HOURS: Keys = Keys { of: "`quiet_hours`", known: &["promotional", "transactional"], later: &["countries"] };

const QUIET: Keys = Keys { of: "a quiet time", known: &["from", "to", "days_off"], later: &[] };

const SENDERS: Keys = Keys { of: "`senders`", known: &["sms"], later: &["email", "push", "whatsapp", "viber"] };

const SMS: Keys = Keys { of: "`senders.sms`", known: &["provider", "from", "countries", "max_parts", "over", "footer"], later: &["rate"] };

const COUNTRY_SENDER: Keys = Keys { of: "a country's sender", known: &["from", "provider"], later: &[] };

const LINKS: Keys = Keys { of: "`links`", known: &["domain"], later: &[] };

const OBJECT: Keys = Keys { of: "an object", known: &["id", "events", "in"], later: &[] };

const SESSION: Keys = Keys { of: "`session`", known: &["gap", "ends_on"], later: &[] };

const PAGE: Keys = Keys { of: "a page", known: &["url"], later: &["file"] };

const KEYWORDS: Keys = Keys { of: "`keywords`", known: &["stop", "start", "help"], later: &[] };

/// The most parts of a text message where the shop does not say.
const USUAL_PARTS: u32 = 2;

/// A shop, read. Where something could not be read there is a finding, and a harmless value stands in for it, so that
/// the campaigns can still be checked.
#[derive(Clone, Debug)]
pub(crate) struct ShopDraft {
    pub(crate) shop: Shop,
    pub(crate) tracking_plan: Option<Placed<String>>,
    /// Where the key `senders` stands, if it does.
    pub(crate) senders: Option<Place>,
    pub(crate) footer: Option<PlacedTexts>,
    /// Events in the order of the file, each with its object.
    pub(crate) object_events: Vec<(String, Placed<String>)>,
    /// Events that `in` of an object names, with the object.
    pub(crate) object_places: Vec<(String, Placed<String>)>,
    pub(crate) interactions: Vec<Placed<String>>,
    /// Events that end a visit.
    pub(crate) session_events: Vec<Placed<String>>,
    /// Our names of events in sources.
    pub(crate) source_events: Vec<Placed<String>>,
}

/// Reads `shop.yaml`.
pub(crate) fn shop(file: &mut File<'_>, root: &Node) -> Option<ShopDraft> {
    let fields = Fields::of(file, root, &SHOP)?;
    if let Some(node) = fields.required(file, "grammar") {
        file.whole(node, "`grammar`", 1, 1);
    }
    let id = fields.required(file, "shop").and_then(|node| file.formed(node, "shop's id", is_name, NAME_FORM));
    let name = fields.required(file, "name").and_then(|node| Some(file.text(node, "`name`")?.value.clone()));
    let url = fields.required(file, "url").and_then(|node| https(file, node, "`url`"));
    let phone = fields.get("phone").and_then(|node| Some(file.text(node, "`phone`")?.value.clone()));
    let zone = fields.required(file, "zone").and_then(|node| zone(file, node));
    let languages = fields.required(file, "languages").map_or_else(Vec::new, |node| {
        let read = |file: &mut File<'_>, item: &Node| file.formed(item, "language", is_language, "write en or zh-Hant");
        file.list(node, "`languages`", 1, read, true)
    });
    let currencies = fields.required(file, "currencies").map_or_else(Vec::new, |node| {
        let read = |file: &mut File<'_>, item: &Node| file.formed(item, "currency", is_currency, "write EUR");
        file.list(node, "`currencies`", 1, read, true)
    });
    if let Some(node) = fields.get("channels") {
        file.list(node, "`channels`", 1, channel, true);
    }
    let caps = fields.get("caps").map_or_else(usual_caps, |node| caps(file, node));
    let quiet_hours = quiet_hours(file, fields.get("quiet_hours"));
    let senders = fields.required(file, "senders").map(|node| senders(file, node)).unwrap_or_default();
    let mut object_events = Vec::new();
    let mut object_places = Vec::new();
    let objects = fields.get("objects").map_or_else(BTreeMap::new, |node| objects(file, node, &mut object_events, &mut object_places));
    let interactions =
        fields.get("interactions").map(|node| file.list(node, "`interactions`", 1, |file, item| file.event_name(item), false));
    let mut session_events = Vec::new();
    let session = fields.get("session").map_or_else(Session::default, |node| session(file, node, &mut session_events));
    let mut source_events = Vec::new();
    let sources = fields.get("sources").map_or_else(BTreeMap::new, |node| super::sources::sources(file, node, &mut source_events));
    let values = |placed: Vec<Placed<String>>| placed.into_iter().map(|placed| placed.value).collect();
    let shop = Shop {
        id: id.map_or_else(String::new, |id| id.value),
        name: name.unwrap_or_default(),
        url: url.unwrap_or_default(),
        phone,
        zone: zone.unwrap_or_else(|| "UTC".to_owned()),
        languages: values(languages),
        currencies: values(currencies),
        caps,
        quiet_hours,
        senders: Senders { sms: senders.as_ref().map(|(senders, _)| senders.clone()) },
        objects,
        interactions: interactions.clone().map(values),
        session,
        keywords: fields.get("keywords").map_or_else(Keywords::default, |node| keywords(file, node)),
        sources,
        links_domain: fields.get("links").and_then(|node| links_domain(file, node)),
        pages: fields.get("pages").map_or_else(BTreeMap::new, |node| pages(file, node)),
    };
    Some(ShopDraft {
        shop,
        tracking_plan: fields.get("tracking_plan").and_then(|node| file.formed(node, "file's name", |_| true, "")),
        senders: fields.get("senders").map(|_| fields.key_place("senders")),
        footer: senders.and_then(|(_, footer)| footer),
        object_events,
        object_places,
        interactions: interactions.unwrap_or_default(),
        session_events,
        source_events,
    })
}

/// Reads when a visit ends; the events that end it are added to `events`.
fn session(file: &mut File<'_>, node: &Node, events: &mut Vec<Placed<String>>) -> Session {
    let usual = Session::default();
    let Some(fields) = Fields::of(file, node, &SESSION) else { return usual };
    let gap = fields.required(file, "gap").and_then(|node| file.span(node, "`gap`"));
    let ends_on = fields.get("ends_on").map(|node| file.list(node, "`ends_on`", 1, |file, item| file.event_name(item), false));
    let ends_on = ends_on.unwrap_or_default();
    events.extend(ends_on.iter().cloned());
    Session { gap: gap.map_or(usual.gap, |gap| gap.value), ends_on: ends_on.into_iter().map(|event| event.value).collect() }
}

fn https(file: &mut File<'_>, node: &Node, what: &str) -> Option<String> {
    let text = file.text(node, what)?;
    let right = Url::parse(&text.value).is_ok_and(|url| url.scheme() == "https" && url.has_host());
    if !right {
        let message = format!("{what} is an address that begins with https://, not `{}`", text.value);
        file.findings.wrong(text.place, message);
    }
    right.then(|| text.value.clone())
}

fn zone(file: &mut File<'_>, node: &Node) -> Option<String> {
    let form = "write the city of the zone, as in Europe/London";
    let zone = file.formed(node, "zone", is_zone, form)?;
    if crate::time::zone(&zone.value).is_none() {
        file.findings.wrong(zone.place, format!("no time zone `{}`; {form}", zone.value));
    }
    Some(zone.value)
}

/// Parts of letters and `_`, later ones with `+` and `-` as well, between slashes.
fn is_zone(text: &str) -> bool {
    let letters = |part: &str, more: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_' || more.contains(letter))
    };
    let mut parts = text.split('/');
    parts.next().is_some_and(|part| letters(part, "")) && parts.all(|part| letters(part, "+-"))
}

/// One promotional message a day, three a week.
fn usual_caps() -> Vec<Cap> {
    [(1, Period::Day), (3, Period::Week)]
        .map(|(at_most, per)| Cap { at_most, per, channel: None, tag: None, class: Some(Class::Promotional) })
        .to_vec()
}

fn caps(file: &mut File<'_>, node: &Node) -> Vec<Cap> {
    let Content::List(items) = &node.content else {
        file.findings.form(node.place, format!("`caps` is a list of rules, not {}", node.kind()));
        return Vec::new();
    };
    if items.is_empty() {
        file.findings.form(node.place, "`caps` is empty; leave it out for one a day and three a week");
    }
    items.iter().filter_map(|item| cap(file, item)).collect()
}

fn cap(file: &mut File<'_>, node: &Node) -> Option<Cap> {
    let fields = Fields::of(file, node, &CAP)?;
    let at_most = fields.required(file, "at_most").and_then(|node| file.whole(node, "`at_most`", 1, u32::MAX));
    let per = fields.required(file, "per").and_then(|node| match &node.content {
        Content::Text(text) if text.value == "day" => Some(Period::Day),
        Content::Text(text) if text.value == "week" => Some(Period::Week),
        Content::Text(text) if text.value == "month" => Some(Period::Month),
        Content::Text(text) if !text.value.starts_with(|digit: char| digit.is_ascii_digit()) => {
            let message = format!("`per` is day, week, month or a duration such as 14d, not `{}`", text.value);
            file.findings.form(node.place, message);
            None
        }
        _ => file.span(node, "`per`").map(|span| Period::Rolling(span.value)),
    });
    let channel = fields.get("channel").map(|node| channel(file, node));
    let tag = fields.get("tag").and_then(|node| file.formed(node, "tag", is_name, NAME_FORM));
    Some(Cap { at_most: at_most?.value, per: per?, channel: channel.map(|_| Channel::Sms), tag: tag.map(|tag| tag.value), class: None })
}

fn quiet_hours(file: &mut File<'_>, node: Option<&Node>) -> QuietHours {
    let usual = || -> Option<Vec<Hours>> { Some(vec![Hours::outside_of(TimeOfDay::new(21, 0)?, TimeOfDay::new(9, 0)?)]) };
    let fields = node.and_then(|node| Fields::of(file, node, &QUIET_HOURS));
    let mut of = |class| {
        let node = fields.as_ref().and_then(|fields| fields.get(class))?;
        Some(quiet(file, node))
    };
    QuietHours { promotional: of("promotional").or_else(usual).unwrap_or_default(), transactional: of("transactional").unwrap_or_default() }
}

/// The hours that one class's quiet hours leave.
fn quiet(file: &mut File<'_>, node: &Node) -> Vec<Hours> {
    if let Content::Text(text) = &node.content {
        if text.value != "none" {
            let message = format!("quiet hours are none, or {{ from: \"21:00\", to: \"09:00\" }}, not `{}`", text.value);
            file.findings.form(node.place, message);
        }
        return Vec::new();
    }
    let Some(fields) = Fields::of(file, node, &QUIET) else { return Vec::new() };
    let from = fields.required(file, "from").and_then(|node| file.time_of_day(node, "`from`"));
    let to = fields.required(file, "to").and_then(|node| file.time_of_day(node, "`to`"));
    let mut hours = Vec::new();
    if let (Some(from), Some(to)) = (from, to) {
        if from.value == to.value {
            let message = format!("quiet hours from {} to {} say nothing; write none, or another time", from.value, to.value);
            file.findings.wrong(to.place, message);
        }
        hours.push(Hours::outside_of(from.value, to.value));
    }
    if let Some(open) = fields.get("days_off").and_then(|node| days_off(file, node)) {
        hours.push(open);
    }
    hours
}

/// The hours that whole days off leave: all day on the others.
fn days_off(file: &mut File<'_>, node: &Node) -> Option<Hours> {
    const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let words = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "public holidays"].map(|day| (day, day));
    let off = file.list(node, "`days_off`", 1, |file, item| file.choice(item, "a day off", &words), false);
    for day in off.iter().filter(|day| day.value == "public holidays") {
        file.findings.not_yet(day.place, "`public holidays`");
    }
    let open: Days = WEEK.into_iter().filter(|day| !off.iter().any(|closed| closed.value == *day)).filter_map(Days::named).collect();
    if open.is_empty() {
        file.findings.wrong(node.place, "every day is a day off; nothing would ever be sent");
    }
    let midnight = TimeOfDay::new(0, 0)?;
    Some(Hours { open: midnight, close: midnight, days: open })
}

fn senders(file: &mut File<'_>, node: &Node) -> Option<(SmsSenders, Option<PlacedTexts>)> {
    let fields = Fields::of(file, node, &SENDERS)?;
    fields.not_empty(file);
    let fields = Fields::of(file, fields.get("sms")?, &SMS)?;
    let provider = fields.required(file, "provider").and_then(|node| file.formed(node, "provider", is_name, NAME_FORM));
    let from = fields.get("from").and_then(|node| Some(file.text(node, "`from`")?.value.clone()));
    let sender = Sender { provider: provider.map_or_else(String::new, |name| name.value), from };
    let countries = fields.get("countries").map_or_else(BTreeMap::new, |node| {
        entries(file, node, "`countries`", is_country, "write the two letters of a country, as in US")
            .into_iter()
            .filter_map(|(key, node)| Some((key.name.clone(), country_sender(file, node, &sender)?)))
            .collect()
    });
    let max_parts = fields.get("max_parts").and_then(|node| file.whole(node, "`max_parts`", 1, MOST_PARTS));
    let over = fields.get("over").and_then(|node| file.choice(node, "`over`", &OVER));
    let footer = fields.get("footer").and_then(|node| file.texts(node, "`footer`"));
    let senders = SmsSenders {
        sender,
        countries,
        max_parts: max_parts.map_or(USUAL_PARTS, |parts| parts.value),
        over: over.map_or(Over::Refuse, |over| over.value),
        footer: footer.as_ref().map(PlacedTexts::by_language).unwrap_or_default(),
    };
    Some((senders, footer))
}

fn country_sender(file: &mut File<'_>, node: &Node, usual: &Sender) -> Option<Sender> {
    let fields = Fields::of(file, node, &COUNTRY_SENDER)?;
    fields.not_empty(file);
    let from = fields.get("from").and_then(|node| Some(file.text(node, "`from`")?.value.clone()));
    let provider = fields.get("provider").and_then(|node| file.formed(node, "provider", is_name, NAME_FORM));
    Some(Sender { provider: provider.map_or_else(|| usual.provider.clone(), |name| name.value), from: from.or_else(|| usual.from.clone()) })
}

fn links_domain(file: &mut File<'_>, node: &Node) -> Option<String> {
    let fields = Fields::of(file, node, &LINKS)?;
    let node = fields.required(file, "domain")?;
    let text = file.text(node, "`domain`")?;
    let parsed = Url::parse(&format!("https://{}", text.value));
    let right = parsed.is_ok_and(|url| url.host_str() == Some(text.value.as_str()) && text.value.contains('.'));
    if !right {
        let message = format!("`{}` is no domain; write it alone, as in hlok.example", text.value);
        file.findings.wrong(text.place, message);
    }
    Some(text.value.clone())
}

fn objects(
    file: &mut File<'_>,
    node: &Node,
    object_events: &mut Vec<(String, Placed<String>)>,
    object_places: &mut Vec<(String, Placed<String>)>,
) -> BTreeMap<String, Object> {
    let mut objects = BTreeMap::new();
    for (key, node) in entries(file, node, "`objects`", is_word, "small letters, digits and `_`, as in cart") {
        if matches!(key.name.as_str(), "customer" | "event") {
            let message = format!("`{}` means something else in `each`; give the object another name", key.name);
            file.findings.wrong(key.place, message);
        }
        let Some(fields) = Fields::of(file, node, &OBJECT) else { continue };
        let form = "the name of a property, as in cart_id";
        let id = fields.required(file, "id").and_then(|node| file.formed(node, "id", is_word, form));
        let events =
            fields.get("events").map_or_else(Vec::new, |node| file.list(node, "`events`", 1, |file, item| file.event_name(item), false));
        let places = fields.get("in").map_or_else(BTreeMap::new, |node| id_places(file, node, &key.name, object_places));
        let names = events.iter().map(|event| event.value.clone()).collect();
        object_events.extend(events.into_iter().map(|event| (key.name.clone(), event)));
        if let Some(id) = id {
            objects.insert(key.name.clone(), Object { id: id.value, events: names, places });
        }
    }
    objects
}

/// Where events name an object otherwise than by its own property.
fn id_places(
    file: &mut File<'_>,
    node: &Node,
    object: &str,
    object_places: &mut Vec<(String, Placed<String>)>,
) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    for (key, node) in entries(file, node, "`in`", |_| true, "") {
        if !is_event_name(&key.name) {
            file.findings.wrong(key.place, format!("`{}` is no event's name", key.name));
        }
        let form = "write a property, as in order.cart_id";
        let Some(path) = file.formed(node, "property", is_property_path, form) else { continue };
        if path.value.contains("[]") {
            file.findings.not_yet(path.place, "one journey for each element of a list (`[]`)");
        }
        object_places.push((object.to_owned(), Placed { value: key.name.clone(), place: key.place }));
        places.insert(key.name.clone(), path.value);
    }
    places
}

/// `cart_id`, `order.cart_id`, `products[].product_id`.
fn is_property_path(text: &str) -> bool {
    let mut parts = text.split('.');
    parts.next().is_some_and(|first| is_word(first.strip_suffix("[]").unwrap_or(first))) && parts.all(is_word)
}

fn pages(file: &mut File<'_>, node: &Node) -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for (key, node) in entries(file, node, "`pages`", is_word, "small letters, digits and `_`, as in gift_cards") {
        let Some(fields) = Fields::of(file, node, &PAGE) else { continue };
        if let Some("url") = fields.exactly_one(file, &["url", "file"])
            && let Some(url) = fields.get("url").and_then(|node| https(file, node, "a page"))
        {
            pages.insert(key.name.clone(), url);
        }
    }
    pages
}

fn keywords(file: &mut File<'_>, node: &Node) -> Keywords {
    let Some(fields) = Fields::of(file, node, &KEYWORDS) else { return Keywords::default() };
    let mut words = |key| {
        let node = fields.get(key);
        let read = |file: &mut File<'_>, item: &Node| file.formed(item, "word", |_| true, "");
        let words = node.map(|node| file.list(node, "a list of keywords", 1, read, false)).unwrap_or_default();
        for word in words.iter().filter(|word| word.value.trim().is_empty()) {
            file.findings.wrong(word.place, "a keyword without a letter");
        }
        words.into_iter().map(|word| word.value).collect()
    };
    Keywords { stop: words("stop"), start: words("start"), help: words("help") }
}
