//! What a text costs as SMS, and how to make it cost less.
//!
//! A part carries 160 characters of the GSM 7-bit alphabet or 70 UTF-16 units (3GPP TS 23.038). A text of several parts
//! gives up six bytes of each for their order, which leaves 153 and 67 (3GPP TS 23.040); neither a character of the
//! alphabet's extension nor a surrogate pair is split between two parts.

mod alphabet;
#[cfg(test)]
mod tests;
mod transliterate;

pub use transliterate::transliterate;

/// How a text is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The GSM 7-bit default alphabet and its extension.
    Gsm7,
    /// UCS-2, in practice UTF-16: one character outside of the alphabet is enough.
    Ucs2,
}

/// What a text costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// How it is encoded.
    pub encoding: Encoding,
    /// Its length in septets, or in UTF-16 units.
    pub units: usize,
    /// How many parts it is sent and charged as; at least 1.
    pub parts: usize,
    /// The first character that is not in the GSM alphabet.
    pub first_ucs2: Option<char>,
}

/// Counts a text's parts.
///
/// ```
/// use cartwheel_language::sms::{Encoding, count};
/// let parts = count("It’s ready");
/// assert_eq!((parts.encoding, parts.first_ucs2), (Encoding::Ucs2, Some('’')));
/// ```
pub fn count(text: &str) -> Parts {
    let first_ucs2 = text.chars().find(|character| alphabet::septets(*character).is_none());
    let (encoding, single, several) = match first_ucs2 {
        None => (Encoding::Gsm7, 160, 153),
        Some(_) => (Encoding::Ucs2, 70, 67),
    };
    let length = |character: char| match encoding {
        Encoding::Gsm7 => alphabet::septets(character).unwrap_or(1),
        Encoding::Ucs2 => character.len_utf16(),
    };
    let units = text.chars().map(length).sum();
    let mut parts = 1;
    if units > single {
        let mut filled = 0;
        for length in text.chars().map(length) {
            if filled + length > several {
                parts += 1;
                filled = 0;
            }
            filled += length;
        }
    }
    Parts { encoding, units, parts, first_ucs2 }
}

/// Cuts a text at a word until it fits in so many parts, marking the cut with three dots; links stay whole.
///
/// The longest stretch of words without a link is cut from its end, so that a link and what stands around it, such as
/// the way out, is left. `None` where even one word of it is too much. A text that fits is left as it is.
pub fn shorten(text: &str, max_parts: usize) -> Option<String> {
    if count(text).parts <= max_parts {
        return Some(text.to_owned());
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (start, end) = longest_stretch(&words)?;
    (start + 1..end).rev().find_map(|cut| {
        let kept = words[start..cut].join(" ");
        let kept = kept.trim_end_matches([',', ';', ':', '.', '!', '?', '-', '–', '—']);
        let marked = format!("{kept}...");
        let shorter: Vec<&str> = words[..start].iter().copied().chain([marked.as_str()]).chain(words[end..].iter().copied()).collect();
        let shorter = shorter.join(" ");
        (!kept.is_empty() && count(&shorter).parts <= max_parts).then_some(shorter)
    })
}

/// The place of the most characters in a row without a link among them.
fn longest_stretch(words: &[&str]) -> Option<(usize, usize)> {
    let is_link = |word: &&str| word.contains("://");
    let mut longest: Option<(usize, (usize, usize))> = None;
    let mut start = 0;
    while start < words.len() {
        let end = words[start..].iter().position(is_link).map_or(words.len(), |link| start + link);
        let length: usize = words[start..end].iter().map(|word| word.chars().count() + 1).sum();
        if length > longest.map_or(0, |(length, _)| length) {
            longest = Some((length, (start, end)));
        }
        start = end + 1;
    }
    longest.map(|(_, stretch)| stretch)
}
