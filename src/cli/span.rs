//! Lengths of time as they are written on a command line: `90s`, `15m`, `2h`, `7d`.

use std::time::Duration;

/// The longest that a send is waited for, as the API has it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Reads a length of time.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    let wrong = || "write 90s, 15m, 2h or 7d".to_owned();
    let (number, seconds) = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400), ('w', 7 * 86_400)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

/// A length of time that is passed on as it is written.
pub(super) fn written(text: &str) -> Result<String, String> {
    length(text).map(|_| text.to_owned())
}

/// A wait for a message to leave, which may be given in milliseconds too.
pub(super) fn wait(text: &str) -> Result<String, String> {
    let ms = text.strip_suffix("ms").and_then(|number| number.parse().ok()).map(Duration::from_millis);
    let wait = ms.map_or_else(|| length(text), Ok)?;
    let wrong = || format!("write at most {}s, like 5s or 500ms", LONGEST_WAIT.as_secs());
    if wait > LONGEST_WAIT { Err(wrong()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_a_number_and_a_unit() {
        assert_eq!(length("15m"), Ok(Duration::from_secs(900)));
        for wrong in ["", "m", "3x", "-1h", "99999999999999999999d", "1ss", "５h"] {
            assert!(length(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wait_is_bounded() {
        assert_eq!(wait("500ms"), Ok("500ms".to_owned()));
        assert!(wait("31s").is_err() && wait("99s").is_err_and(|words| words.contains("at most 30s")));
    }
}
