//! The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038, sections 6.2.1 and 6.2.1.1).

/// The default alphabet: one septet each.
const BASIC: &str =
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The extension: an escape and one more septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How many septets a character takes; `None` outside of the alphabet.
pub(super) fn septets(character: char) -> Option<usize> {
    if EXTENSION.contains(character) {
        Some(2)
    } else if character.is_ascii_alphanumeric() || BASIC.contains(character) {
        Some(1)
    } else {
        None
    }
}
