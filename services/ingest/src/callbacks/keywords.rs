//! What a customer's text message asks for: stop, start, help, or something else (R68, R69).
//!
//! The shipped words are Twilio's default ones, those of 47 CFR 64.1200(a)(10), which also wants "any other reasonable wording" to be
//! honoured, the French ones, and the same word in other languages; a shop adds its own.
//!
//! The two sides are not alike. Stop is read generously: case, full-width letters, punctuation and spaces make no difference (`Stop!`,
//! `opt-out`, `STOP ALL`), because to miss one is against the law and the customer's will. Start is read strictly, as the whole
//! message in any case, because consent must not be guessed.

/// What a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// To know who this is.
    Help,
    /// Anything else.
    Other,
}

/// The words of one shop besides the shipped ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnWords {
    /// For stop.
    pub stop: Vec<String>,
    /// For start.
    pub start: Vec<String>,
    /// For help.
    pub help: Vec<String>,
}

/// The longest message that is looked at, in bytes: a keyword is a word, and longer texts are conversation.
const LONGEST: usize = 64;

/// Stop words as [`letters`] writes them: Twilio's (REVOKE and OPTOUT since 2025), which cover the FCC's, then the French ones, then
/// the same in other languages.
const STOP: &[&str] = &[
    "STOP",
    "UNSUBSCRIBE",
    "END",
    "QUIT",
    "STOPALL",
    "CANCEL",
    "REVOKE",
    "OPTOUT", //
    "ARRET",
    "ARRETE",
    "ARRETT",
    "ARRÊT",
    "ARRÊTE", //
    "STOPP",
    "ALTO",
    "PARAR",
    "СТОП",
    "退订",
    "退訂",
    "DEZABONARE",
];

/// Start words, Twilio's.
const START: &[&str] = &["START", "YES", "UNSTOP"];

/// Help words, Twilio's.
const HELP: &[&str] = &["HELP", "INFO"];

/// What `text` asks for. A word that the shop gives two meanings stops.
pub fn wish(text: &str, own: &OwnWords) -> Wish {
    if text.len() > LONGEST {
        return Wish::Other;
    }
    let (letters_only, whole) = (letters(text), exact(text));
    let one_of = |words: &[String], said: &str, read: fn(&str) -> String| words.iter().any(|word| read(word) == said);
    if letters_only.is_empty() {
        Wish::Other
    } else if STOP.contains(&letters_only.as_str()) || one_of(&own.stop, &letters_only, letters) {
        Wish::Stop
    } else if START.contains(&whole.as_str()) || one_of(&own.start, &whole, exact) {
        Wish::Start
    } else if HELP.contains(&letters_only.as_str()) || one_of(&own.help, &letters_only, letters) {
        Wish::Help
    } else {
        Wish::Other
    }
}

/// Letters and digits alone, in capitals, full-width ones as ordinary ones.
fn letters(text: &str) -> String {
    text.chars().map(half_width).filter(|character| character.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}

/// The text in capitals without space around it, full-width letters as ordinary ones.
fn exact(text: &str) -> String {
    text.chars().map(half_width).flat_map(char::to_uppercase).collect::<String>().trim().to_owned()
}

/// Full-width forms (U+FF01 to U+FF5E, as keyboards for Chinese and Japanese write) stand 0xFEE0 above the ordinary ones.
fn half_width(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(character) - 0xfee0).unwrap_or(character),
        '\u{3000}' => ' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Published {
        stop: Words,
        start: Words,
        help: Words,
        fcc: Words,
        french: Words,
    }

    #[derive(Deserialize)]
    struct Words {
        words: Vec<String>,
    }

    #[test]
    fn r68_every_published_word_is_understood_in_any_case_and_with_space_around_it() {
        let published: Published = serde_json::from_str(include_str!("../../tests/vectors/keywords.json")).unwrap();
        let lists = [
            (&published.stop, Wish::Stop),
            (&published.fcc, Wish::Stop),
            (&published.french, Wish::Stop),
            (&published.start, Wish::Start),
            (&published.help, Wish::Help),
        ];
        for (list, meaning) in lists {
            assert!(!list.words.is_empty());
            for word in &list.words {
                for said in [word.clone(), word.to_lowercase(), format!("  {word}\r\n"), full_width(word)] {
                    assert_eq!(wish(&said, &OwnWords::default()), meaning, "{said:?}");
                }
            }
        }
    }

    #[test]
    fn r68_stop_is_read_generously_and_start_strictly() {
        for said in ["Stop!", "stop.", "\"STOP\"", "opt-out", "OPT OUT", "stop all", "«Стоп»", "退订。", "arrêt", "S.T.O.P"] {
            assert_eq!(wish(said, &OwnWords::default()), Wish::Stop, "{said}");
        }
        for said in ["yes!", "Start.", "yes please", "un-stop"] {
            assert_eq!(wish(said, &OwnWords::default()), Wish::Other, "{said}");
        }
        for said in [
            "",
            " ",
            "!!!",
            "😀",
            "do not stop now",
            "weekend",
            "ending",
            "the end of the story, and then a lot more that nobody would ever write as a keyword",
        ] {
            assert_eq!(wish(said, &OwnWords::default()), Wish::Other, "{said}");
        }
        assert_eq!(wish("help?", &OwnWords::default()), Wish::Help);
    }

    #[test]
    fn a_shop_has_words_of_its_own_and_stop_wins() {
        let own = OwnWords {
            stop: vec!["basta".to_owned(), "yes".to_owned()],
            start: vec!["СТАРТ".to_owned(), "stop".to_owned()],
            help: vec!["кто это".to_owned()],
        };
        assert_eq!(wish("Basta!", &own), Wish::Stop);
        assert_eq!(wish("старт", &own), Wish::Start);
        assert_eq!(wish("Кто это?", &own), Wish::Help);
        assert_eq!((wish("yes", &own), wish("stop", &own)), (Wish::Stop, Wish::Stop));
    }

    fn full_width(word: &str) -> String {
        word.chars()
            .map(|character| char::from_u32(u32::from(character) + 0xfee0).filter(|_| character.is_ascii_graphic()).unwrap_or(character))
            .collect()
    }
}
