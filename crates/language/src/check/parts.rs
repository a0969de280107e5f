//! Whether a text fits: rendered for the longest values that it can meet, footer and links included.

use super::Subject;
use super::known::{Scope, TEXTS};
use super::sample::{Likeness, Sample};
use crate::findings::FileFindings;
use crate::model::{Each, Over, Shop, for_language};
use crate::read::PlacedTemplate;
use crate::resolve;
use crate::sms::{self, Encoding, Parts};
use crate::text::{RenderError, ShopLinks, Template, TextSetting};

/// The most letters of a customer's name that a text must have room for. Longer first names are rare, and a text that
/// had room for every one of them would have room for little else.
const LONGEST_NAME: usize = 12;

/// How many characters an opt-out address has after the shop's domain: the path, and a sealed token with the shop, the
/// channel and a number of fifteen digits.
const OPT_OUT_CHARACTERS: usize = 100;

/// Checks how many parts the texts of a campaign can have.
pub(super) fn check(subject: &Subject<'_>, file: &mut FileFindings<'_>) {
    let draft = subject.draft;
    let shop = &subject.shop.shop;
    let (Some(send), Some(shared)) = (&draft.send, &shop.senders.sms) else { return };
    let Some(texts) = &send.text else { return };
    let begun: Vec<&str> = draft.triggers.iter().flat_map(|trigger| &trigger.events).map(|event| event.value.as_str()).collect();
    let about: Vec<Each> = draft.triggers.iter().map(|trigger| resolve::each(trigger, shop)).collect();
    let scope = Scope { roots: TEXTS, shop, plan: subject.plan, events: &begun, triggers: &begun, about: &about };
    for (language, text) in &texts.texts {
        let footer = resolve::has_footer(send, draft.class())
            .then(|| for_language(&shared.footer, Some(language), shop.fallback_language()))
            .flatten();
        let message = Message {
            language,
            text: &text.template,
            footer: footer.map(|(_, footer)| footer),
            transliterate: send.transliterate,
            scope: &scope,
        };
        let over = send.over.unwrap_or(shared.over);
        let most = send.max_parts.unwrap_or(shared.max_parts) as usize;
        fits(&message, text, over, most, file);
    }
}

/// One text, as it would be sent.
struct Message<'a> {
    language: &'a str,
    text: &'a Template,
    footer: Option<&'a Template>,
    transliterate: bool,
    scope: &'a Scope<'a>,
}

impl Message<'_> {
    /// The message for the customer with the longest name of so many letters, with what is optional and without.
    fn longest(&self, name_letters: usize) -> Result<(String, Parts), RenderError> {
        let letter = letter(self.language);
        let render = |optional| -> Result<(String, Parts), RenderError> {
            let likeness = Likeness { name_letters, letter, optional };
            let text = self.render(self.text, likeness)?;
            let text = match self.footer {
                Some(footer) => format!("{text}\n{}", self.render(footer, likeness)?),
                None => text,
            };
            let text = if self.transliterate { sms::transliterate(&text) } else { text };
            let parts = sms::count(&text);
            Ok((text, parts))
        };
        let (with, without) = (render(true)?, render(false)?);
        let larger = |parts: &Parts| (parts.parts, parts.units);
        Ok(if larger(&with.1) >= larger(&without.1) { with } else { without })
    }

    fn render(&self, template: &Template, likeness: Likeness) -> Result<String, RenderError> {
        let shop = self.scope.shop;
        let sample = Sample::of(template, self.scope, likeness);
        let setting = TextSetting { language: self.language, zone: &jiff::tz::TimeZone::UTC, links: &links(shop) };
        template.render(&sample, &setting)
    }
}

fn links(shop: &Shop) -> ShopLinks {
    let domain = shop.links_domain.as_deref().unwrap_or("opt-out.example");
    ShopLinks::new([shop.url.as_str(), domain])
        .with_pages(shop.pages.clone())
        .with_opt_out(format!("https://{domain}/{}", "x".repeat(OPT_OUT_CHARACTERS)))
}

/// The letter that names are made of in a language: one of its own where the SMS alphabet lacks its script.
fn letter(language: &str) -> char {
    match language.split('-').next().unwrap_or(language) {
        "ru" | "uk" | "be" | "bg" | "sr" | "mk" | "kk" => 'я',
        "zh" => '李',
        "ja" => '田',
        "ko" => '김',
        "el" => 'α',
        "he" => 'א',
        "ar" | "fa" => 'م',
        _ => 'n',
    }
}

fn fits(message: &Message<'_>, placed: &PlacedTemplate, over: Over, most: usize, file: &mut FileFindings<'_>) {
    let language = message.language;
    let guessed = message.scope.plan.is_none();
    let (text, parts) = match message.longest(LONGEST_NAME) {
        Ok(longest) => longest,
        Err(error) => {
            let message = format!("text cannot be rendered (language {language}): {error}");
            // Without a tracking plan the kinds of the values are guesses.
            match error {
                RenderError::Value(_) if guessed => file.doubt(placed.text.place, message),
                _ => file.wrong(placed.text.place, message),
            }
            return;
        }
    };
    lone_letter(message, placed, &text, &parts, file);
    if over == Over::Shorten || parts.parts <= most {
        return;
    }
    let room = match (parts.encoding, most) {
        (Encoding::Gsm7, 1) => 160,
        (Encoding::Gsm7, several) => several * 153,
        (Encoding::Ucs2, 1) => 70,
        (Encoding::Ucs2, several) => several * 67,
    };
    let beyond = parts.units.saturating_sub(room);
    let too_long = |letters: usize| message.longest(letters).is_ok_and(|(_, parts)| parts.parts > most);
    let first = (1..=LONGEST_NAME).find(|letters| too_long(*letters)).unwrap_or(LONGEST_NAME);
    let named = if first == 1 { " in the longest case".to_owned() } else { format!(" for names of {first} letters and more") };
    let count = parts.parts;
    file.wrong(placed.text.place, format!("{count} SMS parts{named} (language {language}, {beyond} characters over), max_parts is {most}"));
}

/// One accent that the SMS alphabet lacks makes every part hold 67 characters instead of 153.
fn lone_letter(message: &Message<'_>, placed: &PlacedTemplate, text: &str, parts: &Parts, file: &mut FileFindings<'_>) {
    let Some(first) = parts.first_ucs2.filter(|_| parts.encoding == Encoding::Ucs2) else { return };
    let own = letter(message.language) != 'n';
    let foreign = text.chars().filter(|letter| letter.is_alphabetic() && sms::count(&letter.to_string()).encoding == Encoding::Ucs2);
    let alphabetic = text.chars().filter(|letter| letter.is_alphabetic()).count();
    if own || foreign.count() * 10 > alphabetic {
        return;
    }
    let offset = placed.text.value.chars().position(|letter| letter == first);
    let place = offset.map_or(placed.text.place, |offset| placed.text.place_of(offset));
    let message = format!(
        "`{first}` is not in the SMS alphabet, so a part holds 67 characters instead of 153 (language {}); \
         write another letter, or transliterate: true",
        message.language
    );
    file.doubt(place, message);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::{OptOut, SealKey};

    #[test]
    fn an_opt_out_address_of_a_long_shop_name_fits_the_room_kept_for_it() {
        let key = SealKey::from_secret("a secret that is long enough to make a key of").expect("a key");
        let opt_out =
            OptOut { shop: "a-shop-with-a-long-name".to_owned(), channel: "sms".to_owned(), address: "+123456789012345".to_owned() };
        let token = key.seal(&opt_out).expect("a token");
        assert!("/opt-out/".len() + token.len() <= OPT_OUT_CHARACTERS, "{} characters", token.len());
    }
}
