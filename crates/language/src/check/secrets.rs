//! Secrets in files that everybody reads: refused by their look.

use crate::findings::FileFindings;
use crate::yaml::{Content, Node};

/// What keys of well-known services begin with, as their documentation shows them.
const PREFIXES: [&str; 12] =
    ["-----BEGIN", "sk_live_", "sk_test_", "rk_live_", "whsec_", "ghp_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "AIza"];

/// Finds every text of a file that looks like a key.
pub(crate) fn secrets(node: &Node, file: &mut FileFindings<'_>) {
    match &node.content {
        Content::Text(text) => {
            if text.value.split([' ', '\n', '"', '\'', '=']).any(is_secret) {
                let message = "this looks like a secret; write the name that operators keep it under";
                file.wrong(text.place, message);
            }
        }
        Content::List(items) => items.iter().for_each(|item| secrets(item, file)),
        Content::Map(entries) => entries.iter().for_each(|(_, value)| secrets(value, file)),
        Content::Null | Content::Boolean(_) | Content::Number(_) => {}
    }
}

fn is_secret(word: &str) -> bool {
    let known = PREFIXES.iter().any(|prefix| word.len() >= prefix.len() + 6 && word.starts_with(prefix));
    known || (word.starts_with("-----BEGIN")) || is_token(word) || has_password(word)
}

/// At least 32 letters and digits in one piece, as no word, name or id in a campaign has: digits among letters of one
/// case (hexadecimal), or digits, small and capital letters (base 64).
fn is_token(word: &str) -> bool {
    word.split(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '+' | '_'))).any(|piece| {
        let count = |fits: fn(&char) -> bool| piece.chars().filter(fits).count();
        let (digits, small) = (count(char::is_ascii_digit), count(char::is_ascii_lowercase));
        let capitals = count(char::is_ascii_uppercase);
        let hexadecimal = piece.chars().all(|letter| letter.is_ascii_hexdigit());
        piece.len() >= 32 && digits >= 4 && (hexadecimal || (small >= 4 && capitals >= 4))
    })
}

/// An address with a password: `https://user:password@host`.
fn has_password(word: &str) -> bool {
    let authority = word.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}
