//! The header that carries a trace across topics: W3C `traceparent`.
//!
//! Source: <https://www.w3.org/TR/trace-context/>, version 00. Who reads a record *links* to this span rather than continuing it: a
//! timer's parent may be months old.

use std::{fmt, str::FromStr};

/// The header's name.
pub const TRACE_HEADER: &str = "traceparent";

/// A span, as another process names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// A header that is no `traceparent`; it is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent of the form 00-trace-span-flags")]
pub struct NoTraceContext;

impl TraceContext {
    /// The context in a record's headers; none if there is none, or one that does not parse.
    pub fn of_headers<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<Self> {
        let (_, value) = headers.into_iter().find(|(name, _)| *name == TRACE_HEADER)?;
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    fn from_str(text: &str) -> Result<Self, NoTraceContext> {
        let lower_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let parts = text.split('-').collect::<Vec<_>>();
        // A version after 00 may append parts; 00 has exactly four and ff is forbidden.
        let [version, trace, span, flags, ..] = parts[..] else { return Err(NoTraceContext) };
        let lengths = (version.len(), trace.len(), span.len(), flags.len()) == (2, 32, 16, 2);
        let hexadecimal = [version, trace, span, flags].into_iter().all(lower_hex);
        if !lengths || !hexadecimal || version == "ff" || (version == "00" && parts.len() > 4) {
            return Err(NoTraceContext);
        }
        let number = |_| NoTraceContext;
        let context = Self {
            trace: u128::from_str_radix(trace, 16).map_err(number)?,
            span: u64::from_str_radix(span, 16).map_err(number)?,
            sampled: u8::from_str_radix(flags, 16).map_err(number)? & 1 == 1,
        };
        if context.trace == 0 || context.span == 0 { Err(NoTraceContext) } else { Ok(context) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_reads_back_and_nonsense_is_no_context() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = text.parse::<TraceContext>().unwrap();
        assert_eq!(context.to_string(), text);
        assert_eq!(TraceContext::of_headers([("x", &b""[..]), (TRACE_HEADER, text.as_bytes())]), Some(context));
        assert!(text.replacen("00", "01", 1).parse::<TraceContext>().is_ok());
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(wrong.parse::<TraceContext>().is_err(), "{wrong}");
        }
    }
}
