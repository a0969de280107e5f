use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    text: String,
    encoding: String,
    parts: usize,
}

#[test]
fn r56_parts_are_counted_as_the_vectors_say() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/vectors/sms_parts.json")).unwrap();
    assert_eq!(cases.len(), 18);
    for case in cases {
        let counted = count(&case.text);
        let encoding = match counted.encoding {
            Encoding::Gsm7 => "GSM-7",
            Encoding::Ucs2 => "UCS-2",
        };
        assert_eq!((encoding, counted.parts), (case.encoding.as_str(), case.parts), "{:?}", case.text);
    }
}

#[test]
fn r56_a_pair_that_would_be_split_begins_the_next_part() {
    let fits_but_for_splitting = format!("{}€{}", "a".repeat(152), "b".repeat(152));
    assert_eq!(count(&fits_but_for_splitting).units, 306);
    assert_eq!(count(&fits_but_for_splitting).parts, 3);
    let emoji = format!("{}😀{}", "ж".repeat(66), "ж".repeat(66));
    assert_eq!((count(&emoji).units, count(&emoji).parts), (134, 3));
}

#[test]
fn r56_a_text_is_cut_at_a_word_and_its_links_stay() {
    let text = format!("Your cart waits, with {} inside: https://x.example/cart Stop: https://x.example/o/1", "things ".repeat(30));
    let shorter = shorten(&text, 1).unwrap();
    assert_eq!(count(&shorter).parts, 1);
    assert!(shorter.starts_with("Your cart waits, with things things"));
    assert!(shorter.ends_with("things... https://x.example/cart Stop: https://x.example/o/1"), "{shorter}");
    assert_eq!(shorten("short,  as it is", 1).unwrap(), "short,  as it is");
    assert_eq!(shorten(&format!("go https://x.example/{}", "a".repeat(200)), 1), None);
    assert_eq!(shorten(&"a".repeat(161), 1), None);
}

#[test]
fn r56_other_letters_are_written_in_the_sms_alphabet() {
    for (text, written) in [
        ("Здравствуйте, Юля!", "Zdravstvuite, Iulia!"),
        ("ЩУКА Щука щ", "SHCHUKA Shchuka shch"),
        ("Ștefan și țânțar — „da”", "Stefan si tantar - \"da\""),
        ("Łódź, Škoda, café, Zürich", "Lodz, Skoda, café, Zürich"),
        ("10\u{a0}€…", "10 €..."),
        ("中文 😀", "中文 😀"),
    ] {
        assert_eq!(transliterate(text), written);
    }
}

proptest! {
    #[test]
    fn r56_shortened_texts_fit_and_keep_every_link(
        words in prop::collection::vec(prop_oneof!["[a-z]{1,12}", "[а-я]{1,8}", "https://x\\.example/[a-z]{1,9}"], 1..60),
        max_parts in 1..4_usize,
    ) {
        let text = words.join(" ");
        if let Some(shorter) = shorten(&text, max_parts) {
            prop_assert!(count(&shorter).parts <= max_parts);
            let links = |text: &str| -> Vec<String> {
                text.split(' ').filter(|word| word.contains("://")).map(str::to_owned).collect()
            };
            prop_assert_eq!(links(&shorter), links(&text));
        }
    }

    #[test]
    fn r56_transliteration_never_costs_more_parts_than_it_can_save(text in "[а-яА-ЯăâîșțĂÂÎȘȚa-z’—… ]{0,300}") {
        let written = transliterate(&text);
        prop_assert_eq!(count(&written).encoding, Encoding::Gsm7);
        prop_assert_eq!(transliterate(&written), written);
    }
}
