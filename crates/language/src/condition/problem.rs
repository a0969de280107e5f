//! What is wrong with a condition, in the words of who wrote it.

use cel::ParseErrors;

/// Why a condition or an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// What is wrong and what would be right.
    pub message: String,
    /// Where, in characters from the beginning of the source, from 0.
    pub offset: usize,
}

impl ConditionError {
    pub(super) fn new(offset: usize, message: impl Into<String>) -> ConditionError {
        ConditionError { message: message.into(), offset }
    }
}

/// The problem of a source that the grammar refuses: what was probably meant, else what the parser says.
pub(super) fn of_syntax(source: &str, errors: &ParseErrors) -> ConditionError {
    if let Some((offset, advice)) = probably_meant(source) {
        return refused(source, offset, &advice);
    }
    let Some(first) = errors.errors.first() else {
        return refused(source, 0, "nobody can tell why");
    };
    let (line, column) = (first.pos.0.max(1).unsigned_abs(), first.pos.1.max(1).unsigned_abs());
    let before: usize = source.split_inclusive('\n').take(line - 1).map(|line| line.chars().count()).sum();
    let offset = (before + column - 1).min(source.chars().count());
    let reason = first.msg.trim_start_matches("Syntax error: ");
    let too_deep = errors.errors.iter().any(|error| error.to_string().contains("ecursion limit"));
    let reason = if too_deep { "it is nested too deeply; split it" } else { reason };
    let reason = if reason.contains("'<EOF>'") { "something is missing at the end" } else { reason };
    refused(source, offset, reason)
}

pub(super) fn refused(source: &str, offset: usize, reason: &str) -> ConditionError {
    ConditionError::new(offset, format!("condition does not parse: `{source}`: {reason}"))
}

/// Refuses brackets in brackets in brackets before they reach the parser, which would follow them until its stack ends.
pub(super) fn refuse_deep_brackets(source: &str, deepest: usize) -> Result<(), ConditionError> {
    let mut depth = 0_usize;
    for (offset, character) in code_of(source).0 {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > deepest {
            return Err(refused(source, offset, "it is nested too deeply; split it"));
        }
    }
    Ok(())
}

/// What people write out of habit from elsewhere, with its place in characters.
fn probably_meant(source: &str) -> Option<(usize, String)> {
    if source.trim().is_empty() {
        return Some((0, "it is empty; leave the key out where there is no condition".to_owned()));
    }
    let (code, unended) = code_of(source);
    let at = |position: Option<usize>| position.and_then(|position| code.get(position)).map_or(' ', |(_, letter)| *letter);
    let mut word_ends = 0;
    for (position, (offset, character)) in code.iter().enumerate() {
        let (before, next) = (at(position.checked_sub(1)), at(Some(position + 1)));
        let instead = match character {
            '=' if next == '=' && at(Some(position + 2)) == '=' => "compare with ==",
            '=' if next != '=' && !"=!<>".contains(before) => "compare with ==",
            '<' if next == '>' => "write != for unequal",
            '&' if next != '&' && before != '&' => "write && for and",
            '|' if next != '|' && before != '|' => "write || for or",
            '{' if next == '{' => "a condition is no text; write the name without braces",
            '‘' | '’' | '“' | '”' | '«' | '»' => "write straight quotes: 'text'",
            letter if is_word(*letter) && position >= word_ends => {
                let letters = code[position..].iter().map(|(_, letter)| *letter).take_while(|letter| is_word(*letter));
                let word: String = letters.collect();
                word_ends = position + word.chars().count();
                match word.to_ascii_lowercase().as_str() {
                    _ if before == '.' => continue,
                    "and" => "write && for and",
                    "or" => "write || for or",
                    "not" => "write ! for not",
                    "is" => "compare with ==, or ask with has(event.coupon) whether something is there",
                    _ => continue,
                }
            }
            _ => continue,
        };
        return Some((*offset, instead.to_owned()));
    }
    unended.map(|(offset, quote)| (offset, format!("a text that begins with {quote} does not end")))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// A character of the source and its place.
type Placed = (usize, char);

/// The characters outside texts and comments, and the opening quote of a text that does not end. A text is one blank.
fn code_of(source: &str) -> (Vec<Placed>, Option<Placed>) {
    let characters: Vec<char> = source.chars().collect();
    let is = |position: usize, wanted: char| characters.get(position) == Some(&wanted);
    let mut code = Vec::new();
    let mut position = 0;
    while let Some(&character) = characters.get(position) {
        match character {
            '/' if is(position + 1, '/') => {
                while position < characters.len() && !is(position, '\n') {
                    position += 1;
                }
            }
            quote @ ('\'' | '"') => {
                let opened = position;
                let raw = opened > 0 && matches!(characters[opened - 1], 'r' | 'R');
                let quotes = if is(opened + 1, quote) && is(opened + 2, quote) { 3 } else { 1 };
                let ends = |position: usize| (0..quotes).all(|more| is(position + more, quote));
                position += quotes;
                while position < characters.len() && !ends(position) {
                    position += if is(position, '\\') && !raw { 2 } else { 1 };
                }
                if position >= characters.len() {
                    return (code, Some((opened, quote)));
                }
                position += quotes;
                code.push((opened, ' '));
            }
            _ => {
                code.push((position, character));
                position += 1;
            }
        }
    }
    (code, None)
}
