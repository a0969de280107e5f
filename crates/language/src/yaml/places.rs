//! Where each character of a scalar stands in its file, whatever the style of the scalar did to it.

use saphyr_parser::ScalarStyle;

use super::Place;

/// Walks a scalar and its spelling side by side and gives the place of each character of the scalar.
///
/// `spelling` begins at the scalar's first character in the file (its quote, its block indicator), which stands at
/// `begin`. Folded line breaks and escapes take more room in the file than in the text; white space is matched loosely,
/// because only folding changes it.
pub(super) fn of(text: &str, spelling: &[char], begin: Place, style: ScalarStyle) -> Vec<Place> {
    let mut walk = Walk { spelling, at: 0, place: begin };
    match style {
        ScalarStyle::Plain => {}
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => walk.step(),
        // The parser begins some block scalars at their indicator, some at their first line.
        ScalarStyle::Literal | ScalarStyle::Folded if matches!(walk.now(), Some('|' | '>')) => walk.skip_line(),
        ScalarStyle::Literal | ScalarStyle::Folded => {}
    }
    text.chars()
        .map(|wanted| {
            if wanted.is_whitespace() {
                let here = walk.place;
                if style == ScalarStyle::DoubleQuoted && walk.now() == Some('\\') {
                    walk.escape();
                } else if walk.now().is_some_and(char::is_whitespace) {
                    walk.step();
                }
                return here;
            }
            walk.skip_white_space(style);
            let here = walk.place;
            match (style, walk.now()) {
                (ScalarStyle::DoubleQuoted, Some('\\')) => walk.escape(),
                (ScalarStyle::SingleQuoted, Some('\'')) => walk.steps(2),
                _ => walk.step(),
            }
            here
        })
        .collect()
}

struct Walk<'a> {
    spelling: &'a [char],
    at: usize,
    place: Place,
}

impl Walk<'_> {
    fn now(&self) -> Option<char> {
        self.spelling.get(self.at).copied()
    }

    fn step(&mut self) {
        match self.now() {
            None => {}
            Some('\n') => {
                self.at += 1;
                self.place = Place { line: self.place.line + 1, column: 1 };
            }
            Some(_) => {
                self.at += 1;
                self.place.column += 1;
            }
        }
    }

    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }

    fn skip_line(&mut self) {
        while !matches!(self.now(), None | Some('\n')) {
            self.step();
        }
        self.step();
    }

    fn skip_white_space(&mut self, style: ScalarStyle) {
        loop {
            match self.now() {
                Some(white) if white.is_whitespace() => self.step(),
                Some('\\') if style == ScalarStyle::DoubleQuoted && matches!(self.spelling.get(self.at + 1), Some('\n' | '\r')) => {
                    self.step();
                }
                _ => return,
            }
        }
    }

    /// Steps over one escape of a double-quoted scalar.
    fn escape(&mut self) {
        let length = match self.spelling.get(self.at + 1) {
            Some('x') => 4,
            Some('u') => 6,
            Some('U') => 10,
            _ => 2,
        };
        self.steps(length);
    }
}
