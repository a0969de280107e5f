//! Links while a text is rendered: marked where they stand, checked and put in at the end.
//!
//! Filters and functions of a template are shared by all renderings, so they cannot hold one shop's links. They mark
//! the place with characters for private use that no source and no data can contain.

use super::RenderError;
use super::links::Links;

const OPEN: char = '\u{E000}';
const CLOSE: char = '\u{E001}';

/// What a mark stands for.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// `link(url)`, with the address.
    Link,
    /// `page('name')`, with the name.
    Page,
    /// `opt_out`.
    OptOut,
}

/// Whether a character belongs to marks.
pub(super) fn is_mark(character: char) -> bool {
    matches!(character, OPEN | CLOSE)
}

/// The mark for something to be put in later.
pub(super) fn mark(kind: Mark, content: &str) -> String {
    let kind = match kind {
        Mark::Link => 'l',
        Mark::Page => 'p',
        Mark::OptOut => 'o',
    };
    format!("{OPEN}{kind}{content}{CLOSE}")
}

/// Whether a text outside of marks has something that phones turn into a link.
pub(super) fn prints_address(text: &str) -> bool {
    let mut depth = 0_usize;
    let outside: String = text
        .chars()
        .filter(|character| {
            match *character {
                OPEN => depth += 1,
                CLOSE => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect::<String>()
        .to_lowercase();
    outside.contains("://") || outside.contains("www.")
}

/// The text with every mark replaced by what it stands for.
pub(super) fn resolve(text: &str, links: &dyn Links) -> Result<String, RenderError> {
    // Each open mark with the text before it; the last one is being read.
    let mut outer: Vec<String> = Vec::new();
    let mut current = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            OPEN => outer.push(std::mem::take(&mut current)),
            CLOSE => {
                let Some(before) = outer.pop() else {
                    return Err(misused());
                };
                let put_in = put_in(&current, links)?;
                current = before + &put_in;
            }
            _ => current.push(character),
        }
    }
    if outer.is_empty() { Ok(current) } else { Err(misused()) }
}

fn put_in(marked: &str, links: &dyn Links) -> Result<String, RenderError> {
    let mut characters = marked.chars();
    let kind = characters.next();
    let content = characters.as_str();
    match kind {
        Some('l') => links.link(content).map_err(RenderError::Link),
        Some('p') => links.page(content).ok_or_else(|| RenderError::Link(format!("there is no page `{content}`"))),
        Some('o') => links.opt_out().ok_or_else(|| RenderError::Link("there is no opt-out link for this message".to_owned())),
        _ => Err(misused()),
    }
}

fn misused() -> RenderError {
    RenderError::Link("print link(), page() and opt_out as they are, without a filter".to_owned())
}
