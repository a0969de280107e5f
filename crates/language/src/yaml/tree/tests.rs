use super::*;

fn text_at<'a>(node: &'a Node, key: &str) -> &'a Text {
    let Content::Map(entries) = &node.content else { panic!("no mapping: {node:?}") };
    let (_, value) = entries.iter().find(|(known, _)| known.name == key).expect("the key");
    let Content::Text(text) = &value.content else { panic!("no text: {value:?}") };
    text
}

/// The character of `file` at a place.
fn character_at(file: &str, place: Place) -> char {
    let line = file.lines().nth(place.line - 1).unwrap_or_default();
    line.chars().nth(place.column - 1).unwrap_or('\n')
}

#[test]
fn every_character_of_a_text_knows_its_place_in_every_style() {
    let file = concat!(
        "plain: one two\n",
        "single: 'it''s here'\n",
        "double: \"a \\\"b\\\" \\u00e9 c\"\n",
        "folded: >-\n  Привет {{ x }},\n  second line\n",
        "literal: |\n  first\n    second\n",
        "broken: \"folded\n  over lines\"\n",
    );
    let (root, mistakes) = parse(file);
    assert_eq!(mistakes, []);
    let root = root.expect("a tree");
    for key in ["plain", "single", "double", "folded", "literal", "broken"] {
        let text = text_at(&root, key);
        for (offset, letter) in text.value.chars().enumerate().filter(|(_, letter)| letter.is_alphanumeric()) {
            let found = character_at(file, text.place_of(offset));
            assert!(found == letter || (letter == 'é' && found == '\\'), "{key}: {letter} is at {found}");
        }
    }
    let folded = text_at(&root, "folded");
    let second = folded.value.find("second").map(|at| folded.value[..at].chars().count()).expect("the word");
    assert_eq!(folded.place_of(second), Place { line: 6, column: 3 });
}

#[test]
fn plain_scalars_are_read_by_the_core_schema_of_yaml_1_2() {
    let (root, mistakes) =
        parse("[NO, 2026-12-01, 12:30:45, 01-01, 0b1, 1_000, yes, ~, null, True, 12, -1.5e3, 0o17, 0xFF, .inf, '1', +7]");
    assert_eq!(mistakes, []);
    let Some(Node { content: Content::List(items), .. }) = root else { panic!("no list") };
    let kinds: Vec<&str> = items.iter().map(Node::kind).collect();
    assert_eq!(kinds[..7], ["a text"; 7]);
    assert_eq!(kinds[7..10], ["nothing", "nothing", "true or false"]);
    assert_eq!(kinds[10..15], ["a number"; 5]);
    assert_eq!(kinds[15..], ["a text", "a number"]);
}

#[test]
fn what_reads_differently_from_how_it_runs_is_refused_with_its_place() {
    let cases = [
        ("a: 1\nb: 2\na: 3\n", 3, 1, "`a` is written twice; the first is in line 1"),
        ("a: &x 1\n", 1, 4, "an anchor; write the value out wherever it is needed"),
        ("a: &x 1\nb: *x\n", 2, 4, "an alias; write the value out"),
        ("<<: { a: 1 }\n", 1, 1, "a merge; write the keys out"),
        ("a: 1\n---\nb: 2\n", 2, 1, "a second document; one file is one campaign or one shop"),
        ("if: !coupon.used\n", 1, 5, "`!coupon.used` is a YAML tag; a condition that begins with `!` is quoted: \"!...\""),
        ("a:\n\tb: 1\n", 2, 1, "a tab; indent with spaces"),
        ("en: {{ shop.name }}\n", 1, 6, "a key must be a word; a text or a condition that begins with `{` or `[` is quoted"),
        ("", 1, 1, "the file is empty"),
        ("# nothing\n", 1, 1, "the file is empty"),
    ];
    for (file, line, column, message) in cases {
        let (_, mistakes) = parse(file);
        let expected = Mistake { place: Place { line, column }, message: message.to_owned() };
        assert!(mistakes.contains(&expected), "{file:?}: {mistakes:?}");
    }
}

#[test]
fn files_that_are_too_large_or_too_deep_are_refused_unread() {
    let (root, mistakes) = parse(&"a".repeat(MOST_BYTES + 1));
    assert!(root.is_none());
    assert_eq!(mistakes[0].message, "the file has 257 KiB, more than the 256 KiB that are read; split it");
    let (root, mistakes) = parse(&format!("{}{}", "[".repeat(MOST_LEVELS + 1), "]".repeat(MOST_LEVELS + 1)));
    assert!(root.is_none());
    assert_eq!(mistakes[0].message, "nested deeper than 40 levels");
    let (root, mistakes) = parse(&"[".repeat(MOST_BYTES));
    assert!(root.is_none() && mistakes.len() == 1, "{mistakes:?}");
}

#[test]
fn a_scanner_error_names_its_place() {
    let (root, mistakes) = parse("campaign: x\nwhen: { event: [A, B }\n");
    assert!(root.is_none());
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].place.line, 2);
    assert!(mistakes[0].message.starts_with("not YAML: "), "{}", mistakes[0].message);
}
