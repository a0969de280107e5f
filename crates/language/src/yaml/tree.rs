//! From the text of a file to its tree, or to the mistakes that keep it from having one.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::{Content, Key, Node, Place, Text, places};

/// The largest file that is read. The longest of the example campaigns has 2 KiB, so this is room for a hundred times
/// that, and still nothing that a reader could choke on.
pub(crate) const MOST_BYTES: usize = 256 * 1024;

/// The deepest nesting that is read. The language itself needs twelve levels, and four more for each nested `then`.
pub(crate) const MOST_LEVELS: usize = 40;

/// A mistake in the YAML itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Reads one file.
///
/// Gives the tree wherever there is one, beside the mistakes, so that what can be said about the rest is said at once.
pub(crate) fn parse(text: &str) -> (Option<Node>, Vec<Mistake>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MOST_BYTES {
        let message =
            format!("the file has {} KiB, more than the {} KiB that are read; split it", text.len().div_ceil(1024), MOST_BYTES / 1024);
        return (None, vec![Mistake { place: Place::START, message }]);
    }
    if let Some(mistake) = tab_in_indentation(text) {
        return (None, vec![mistake]);
    }
    let mut builder = Builder { characters: text.chars().collect(), parser: Parser::new_from_str(text), mistakes: Vec::new() };
    let node = builder.file();
    (node, builder.mistakes)
}

fn tab_in_indentation(text: &str) -> Option<Mistake> {
    text.lines().enumerate().find_map(|(index, line)| {
        let column = line.chars().take_while(|letter| *letter == ' ').count() + 1;
        let rest = line.trim_start_matches(' ');
        (rest.starts_with('\t') && !rest.trim().is_empty())
            .then(|| Mistake { place: Place { line: index + 1, column }, message: "a tab; indent with spaces".to_owned() })
    })
}

/// The events of one file, being built into a tree. `None` as a result means that nothing after it can be read.
struct Builder<'a> {
    characters: Vec<char>,
    parser: Parser<'a, StrInput<'a>>,
    mistakes: Vec<Mistake>,
}

fn place(marker: &Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

impl<'a> Builder<'a> {
    fn mistake(&mut self, place: Place, message: impl Into<String>) {
        self.mistakes.push(Mistake { place, message: message.into() });
    }

    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        match self.parser.next_event()? {
            Ok(event) => Some(event),
            Err(error) => {
                let message = format!("not YAML: {}", error.info());
                self.mistake(place(error.marker()), message);
                None
            }
        }
    }

    fn file(&mut self) -> Option<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => return root.or_else(|| self.empty()),
                Event::DocumentStart(_) if root.is_some() => {
                    self.mistake(place(&span.start), "a second document; one file is one campaign or one shop");
                    return root;
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 1)?);
                }
                _ => {}
            }
        }
    }

    fn empty(&mut self) -> Option<Node> {
        self.mistake(Place::START, "the file is empty");
        None
    }

    fn node(&mut self, event: Event<'a>, span: Span, level: usize) -> Option<Node> {
        let begin = place(&span.start);
        if level > MOST_LEVELS {
            self.mistake(begin, format!("nested deeper than {MOST_LEVELS} levels"));
            return None;
        }
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_anchor(anchor, begin);
                if let Some(tag) = tag {
                    self.refuse_tag(&tag.to_string(), begin);
                }
                let content = self.scalar(&value, style, &span);
                Some(Node { place: begin, content })
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_anchor(anchor, begin);
                if let Some(tag) = tag {
                    self.refuse_tag(&tag.to_string(), begin);
                }
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        return Some(Node { place: begin, content: Content::List(items) });
                    }
                    items.push(self.node(event, span, level + 1)?);
                }
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_anchor(anchor, begin);
                if let Some(tag) = tag {
                    self.refuse_tag(&tag.to_string(), begin);
                }
                self.mapping(begin, level)
            }
            Event::Alias(_) => {
                self.mistake(begin, "an alias; write the value out");
                Some(Node { place: begin, content: Content::Null })
            }
            _ => None,
        }
    }

    fn mapping(&mut self, begin: Place, level: usize) -> Option<Node> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let at = place(&span.start);
            let key = match event {
                Event::MappingEnd => return Some(Node { place: begin, content: Content::Map(entries) }),
                Event::Scalar(name, _, anchor, tag) => {
                    self.refuse_anchor(anchor, at);
                    if let Some(tag) = tag {
                        self.refuse_tag(&tag.to_string(), at);
                    }
                    Some(Key { place: at, name: name.into_owned() })
                }
                other => {
                    self.mistake(at, "a key must be a word; a text or a condition that begins with `{` or `[` is quoted");
                    self.node(other, span, level + 1)?;
                    None
                }
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, level + 1)?;
            let Some(key) = key else { continue };
            if key.name == "<<" {
                self.mistake(key.place, "a merge; write the keys out");
            } else if let Some((first, _)) = entries.iter().find(|(known, _)| known.name == key.name) {
                let message = format!("`{}` is written twice; the first is in line {}", key.name, first.place.line);
                self.mistake(key.place, message);
            } else {
                entries.push((key, value));
            }
        }
    }

    fn refuse_anchor(&mut self, anchor: usize, place: Place) {
        if anchor != 0 {
            self.mistake(place, "an anchor; write the value out wherever it is needed");
        }
    }

    fn refuse_tag(&mut self, tag: &str, place: Place) {
        self.mistake(place, format!("`{tag}` is a YAML tag; a condition that begins with `!` is quoted: \"!...\""));
    }

    fn scalar(&self, value: &str, style: ScalarStyle, span: &Span) -> Content {
        if style == ScalarStyle::Plain
            && let Some(content) = core_schema(value)
        {
            return content;
        }
        let begin = place(&span.start);
        let spelling = self.characters.get(span.start.index()..).unwrap_or_default();
        Content::Text(Text { value: value.to_owned(), place: begin, places: places::of(value, spelling, begin, style) })
    }
}

/// What a plain scalar is by the core schema of YAML 1.2 (chapter 10.3.2), if it is no text.
fn core_schema(value: &str) -> Option<Content> {
    match value {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Content::Null),
        "true" | "True" | "TRUE" => return Some(Content::Boolean(true)),
        "false" | "False" | "FALSE" => return Some(Content::Boolean(false)),
        ".nan" | ".NaN" | ".NAN" => return Some(Content::Number(value.to_owned())),
        _ => {}
    }
    let unsigned = value.strip_prefix(['-', '+']).unwrap_or(value);
    let all = |digits: &str, radix| !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let number = matches!(unsigned, ".inf" | ".Inf" | ".INF")
        || value.strip_prefix("0o").is_some_and(|digits| all(digits, 8))
        || value.strip_prefix("0x").is_some_and(|digits| all(digits, 16))
        || decimal(unsigned);
    number.then(|| Content::Number(value.to_owned()))
}

/// `[0-9]+`, `[0-9]+.[0-9]*` or `.[0-9]+`, with an exponent or without.
fn decimal(unsigned: &str) -> bool {
    let digits = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    (!whole.is_empty() || !fraction.is_empty())
        && digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

#[cfg(test)]
mod tests;
