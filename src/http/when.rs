//! Times as people write them in a query: `2026-11-23T14:00:00Z`, or `15m`, `2h`, `7d` for that long ago.

use std::time::Duration;

use super::error::Problem;
use crate::clock::Time;

/// Nothing is older than bluetick; a longer way back is a mistake.
const FURTHEST_S: u64 = 10 * 366 * 24 * 3_600;

/// Reads a moment of the query parameter `field`.
pub(super) fn moment(field: &str, text: &str, now: Time) -> Result<Time, Problem> {
    if let Some(ago) = ago(text) {
        return Ok(now.minus(ago));
    }
    // A plus in a query is a space; a date is the one place where everybody forgets it.
    let text = text.replace(' ', "+");
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|time| Time(time.as_millisecond())).map_err(|_| {
        Problem::query(field, "is no time: write 2026-11-23T14:00:00Z, or 15m, 2h or 7d for that long ago")
    })
}

/// Reads an optional moment.
pub(super) fn maybe(field: &str, text: Option<&str>, now: Time) -> Result<Option<Time>, Problem> {
    text.map(|text| moment(field, text, now)).transpose()
}

/// Reads a length of time like `5s` or `500ms` of the query parameter `field`, no longer than `most`.
pub(super) fn span(field: &str, text: &str, most: Duration) -> Result<Duration, Problem> {
    let wrong = || Problem::query(field, format!("is no length of time up to {}s: write 5s or 500ms", most.as_secs()));
    let ms = text.strip_suffix("ms").and_then(|number| number.parse().ok()).map(Duration::from_millis);
    ms.or_else(|| ago(text)).filter(|span| *span <= most).ok_or_else(wrong)
}

fn ago(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).filter(|seconds| *seconds <= FURTHEST_S).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_date_or_a_while_ago() {
        let now = Time(1_700_000_000_000);
        let read = |text| moment("since", text, now).map(|time| time.0).map_err(|problem| problem.detail);
        assert_eq!(read("15m"), Ok(now.0 - 900_000));
        assert_eq!(read("2h"), Ok(now.0 - 7_200_000));
        assert_eq!(read("7d"), Ok(now.0 - 7 * 86_400_000));
        assert_eq!(read("2023-11-14T22:13:20.005Z"), Ok(now.0 + 5));
        assert_eq!(read("2023-11-14T23:13:20 01:00"), Ok(now.0), "a plus that became a space");
        for wrong in ["", "yesterday", "7", "-1h", "99999999999d", "2023-11-14", "７d", "1é"] {
            assert!(read(wrong).is_err_and(|detail| detail.starts_with("since: is no time")), "{wrong}");
        }
    }

    #[test]
    fn a_span_is_bounded() {
        let most = Duration::from_secs(30);
        assert_eq!(span("wait", "5s", most).map_err(drop), Ok(Duration::from_secs(5)));
        assert_eq!(span("wait", "250ms", most).map_err(drop), Ok(Duration::from_millis(250)));
        for wrong in ["31s", "1h", "5", "ms", "-5s", ""] {
            assert!(span("wait", wrong, most).is_err(), "{wrong}");
        }
    }
}
