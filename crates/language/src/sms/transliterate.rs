//! Other letters into the SMS alphabet.

use std::borrow::Cow;

use super::alphabet;

/// Writes what is outside of the SMS alphabet in its letters: Cyrillic in Latin letters, accented letters without the
/// accent, typographic quotes, dashes and spaces as plain ones. What has no such form, such as Chinese, stays.
///
/// Letters that the alphabet has, such as é and ü, keep their accents.
///
/// ```
/// use cartwheel_language::sms::transliterate;
/// assert_eq!(transliterate("It’s Щука, façade"), "It's Shchuka, facade");
/// ```
pub fn transliterate(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if alphabet::septets(character).is_some() {
            written.push(character);
            continue;
        }
        let Some(latin) = latin(character) else {
            written.push(character);
            continue;
        };
        // `Щ` is `Shch` in a word and `SHCH` in a word of capitals.
        let in_capitals = character.is_uppercase() && characters.peek().is_some_and(|next| next.is_uppercase());
        written.push_str(&if in_capitals { Cow::Owned(latin.to_uppercase()) } else { latin });
    }
    written
}

fn latin(character: char) -> Option<Cow<'static, str>> {
    if let Some(latin) = of_lower_case(character) {
        return Some(Cow::Borrowed(latin));
    }
    let mut lower = character.to_lowercase();
    let (lower, None) = (lower.next()?, lower.next()) else {
        return None;
    };
    let latin = of_lower_case(lower)?;
    let mut letters = latin.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    Some(Cow::Owned(first.into_iter().chain(letters).collect()))
}

/// Cyrillic after the table that Russian passports use (ICAO Doc 9303, part 3), with what Ukrainian and Belarusian add.
fn of_lower_case(character: char) -> Option<&'static str> {
    Some(match character {
        'а' => "a",
        'б' => "b",
        'в' => "v",
        'г' | 'ґ' => "g",
        'д' => "d",
        'е' | 'ё' | 'э' => "e",
        'ж' => "zh",
        'з' => "z",
        'и' | 'й' | 'і' => "i",
        'к' => "k",
        'л' => "l",
        'м' => "m",
        'н' => "n",
        'о' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'у' | 'ў' => "u",
        'ф' => "f",
        'х' => "kh",
        'ц' => "ts",
        'ч' => "ch",
        'ш' => "sh",
        'щ' => "shch",
        'ъ' => "ie",
        'ы' => "y",
        'ь' => "",
        'ю' => "iu",
        'я' => "ia",
        'є' => "ie",
        'ї' => "i",
        'á' | 'â' | 'ã' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' | 'ð' => "d",
        'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'í' | 'î' | 'ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ń' | 'ņ' | 'ň' => "n",
        'ó' | 'ô' | 'õ' | 'ō' | 'ŏ' | 'ő' => "o",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'ú' | 'û' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'œ' => "oe",
        'þ' => "th",
        '‘' | '’' | '‚' | '‛' | '′' | '´' | '`' => "'",
        '“' | '”' | '„' | '«' | '»' | '″' => "\"",
        '–' | '—' | '‐' | '‑' | '−' => "-",
        '…' => "...",
        '•' | '·' => "*",
        '№' => "No.",
        '\u{a0}' | '\u{2009}' | '\u{202f}' | '\t' => " ",
        '\u{ad}' | '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' => "",
        _ => return None,
    })
}
