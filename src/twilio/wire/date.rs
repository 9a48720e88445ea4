//! Twilio's dates: RFC 2822, whole seconds, always UTC.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

/// `Thu, 05 Feb 2026 10:30:00 +0000` for Unix milliseconds; what lies outside the calendar becomes its edge.
pub fn format_date(at_ms: i64) -> String {
    let edge = if at_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(edge);
    at.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
}

/// Unix milliseconds of a date in Twilio's documents or in a `Date` header; `None` for what is no date.
pub fn parse_date(text: &str) -> Option<i64> {
    rfc2822::parse(text).ok().map(|at| at.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_look_as_twilio_writes_them_and_read_back() {
        assert_eq!(format_date(1_770_287_400_999), "Thu, 05 Feb 2026 10:30:00 +0000");
        assert_eq!(parse_date("Thu, 05 Feb 2026 10:30:00 +0000"), Some(1_770_287_400_000));
    }

    #[test]
    fn a_date_header_is_read_too() {
        assert_eq!(parse_date("Thu, 05 Feb 2026 10:30:00 GMT"), Some(1_770_287_400_000));
    }

    #[test]
    fn nonsense_is_no_date_and_no_panic() {
        for text in ["", "2026-02-05", "Thu, 99 Feb 2026 10:30:00 +0000", "soon"] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert!(format_date(i64::MAX).ends_with("+0000") && format_date(i64::MIN).ends_with("+0000"));
    }
}
