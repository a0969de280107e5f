//! `send` into its draft: one message to the person, by text message.

use super::File;
use super::campaign::tags;
use super::draft::SendDraft;
use super::fields::{Fields, Keys};
use crate::model::Over;
use crate::yaml::Node;

const SEND: Keys = Keys {
    of: "`send`",
    known: &["sms", "tags", "try"],
    later: &["email", "push", "whatsapp", "viber", "next_after", "receipt", "expires_after", "expires_at"],
};

const SMS: Keys = Keys { of: "`sms`", known: &["text", "max_parts", "over", "transliterate", "from", "footer"], later: &["picture"] };

/// More parts than this are more than any provider takes.
pub(super) const MOST_PARTS: u32 = 10;

/// The words for what becomes of a longer text.
pub(super) const OVER: [(&str, Over); 2] = [("refuse", Over::Refuse), ("shorten", Over::Shorten)];

/// The channels of the language, of which this version has the first.
const CHANNELS: [&str; 5] = ["sms", "email", "push", "whatsapp", "viber"];

/// Reads `send`.
pub(super) fn send(file: &mut File<'_>, node: &Node) -> Option<SendDraft> {
    let fields = Fields::of(file, node, &SEND)?;
    let tags = fields.get("tags").map_or_else(Vec::new, |node| tags(file, node));
    if let Some(node) = fields.get("try") {
        file.list(node, "`try`", 1, channel, true);
    }
    let Some(sms) = fields.get("sms") else {
        if !CHANNELS.iter().any(|channel| fields.get(channel).is_some()) {
            file.findings.form(fields.place, "`send` needs `sms`");
        }
        return None;
    };
    let place = fields.key_place("sms");
    let fields = Fields::of(file, sms, &SMS)?;
    let text = fields.required(file, "text").and_then(|node| file.texts(node, "`text`"));
    let max_parts = fields.get("max_parts").and_then(|node| file.whole(node, "`max_parts`", 1, MOST_PARTS));
    let over = fields.get("over").and_then(|node| file.choice(node, "`over`", &OVER));
    let transliterate = fields.get("transliterate").and_then(|node| file.boolean(node, "`transliterate`"));
    let from = fields.get("from").and_then(|node| file.formed(node, "sender", |_| true, ""));
    let footer = fields.get("footer").and_then(|node| file.boolean(node, "`footer`"));
    Some(SendDraft {
        tags,
        place,
        text,
        max_parts: max_parts.map(|placed| placed.value),
        over: over.map(|placed| placed.value),
        transliterate: transliterate.unwrap_or(false),
        from,
        footer,
    })
}

/// One channel; a finding for those that this version does not have.
pub(super) fn channel(file: &mut File<'_>, node: &Node) -> Option<super::values::Placed<&'static str>> {
    let channel = file.choice(node, "a channel", &CHANNELS.map(|channel| (channel, channel)))?;
    if channel.value != "sms" {
        file.findings.not_yet(channel.place, &format!("channel `{}`", channel.value));
    }
    Some(channel)
}
