//! How a webhook URL's fragment changes Twilio's patience with it: `#ct=2000&rt=4000&rc=3&rp=5xx,ct,rt`.
//!
//! Invariant: the fragment is taken off before anything is signed or sent.
//! <https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>

use std::time::Duration;

use super::exchange::Delivery;

/// Alert for a value outside its range.
pub(super) const INVALID_OVERRIDE: u32 = 11243;
/// Alert for an edge that does not exist.
pub(super) const INVALID_EDGE: u32 = 11240;

const EDGES: [&str; 8] = ["ashburn", "dublin", "frankfurt", "sao-paulo", "singapore", "sydney", "tokyo", "umatilla"];

/// What is tried again, how often and within which time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Bound on connecting.
    pub connect_timeout: Duration,
    /// Bound on waiting for the answer.
    pub read_timeout: Duration,
    /// Bound on all tries together.
    pub total_timeout: Duration,
    /// Tries after the first.
    pub retries: u8,
    on_4xx: bool,
    on_5xx: bool,
    on_connect: bool,
    on_read_timeout: bool,
}

impl Default for RetryPolicy {
    /// Once more, and only if there was no connection.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_millis(5000),
            read_timeout: Duration::from_millis(15_000),
            total_timeout: Duration::from_millis(15_000),
            retries: 1,
            on_4xx: false,
            on_5xx: false,
            on_connect: true,
            on_read_timeout: false,
        }
    }
}

impl RetryPolicy {
    /// Takes the fragment off a URL and reads it; a bad value keeps its default and is reported as an alert's code.
    pub fn split(url: &str) -> (&str, Self, Option<u32>) {
        let Some((url, fragment)) = url.split_once('#') else { return (url, Self::default(), None) };
        let mut policy = Self::default();
        let mut alert = None;
        for (key, value) in fragment.split('&').filter_map(|pair| pair.split_once('=')) {
            if let Err(code) = policy.set(key, value) {
                alert = Some(code);
            }
        }
        (url, policy, alert)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), u32> {
        match key {
            "ct" => self.connect_timeout = millis(value, 10_000)?,
            "rt" => self.read_timeout = millis(value, 15_000)?,
            "tt" => self.total_timeout = millis(value, 15_000)?,
            "rc" => self.retries = value.parse().ok().filter(|count| *count <= 5).ok_or(INVALID_OVERRIDE)?,
            "rp" => return self.set_causes(value),
            "e" if value.split(',').any(|edge| !EDGES.contains(&edge)) => return Err(INVALID_EDGE),
            "sni" if !matches!(value, "y" | "n") => return Err(INVALID_OVERRIDE),
            _ => {}
        }
        Ok(())
    }

    fn set_causes(&mut self, causes: &str) -> Result<(), u32> {
        let known = |cause: &str| matches!(cause, "4xx" | "5xx" | "ct" | "rt" | "all");
        if !causes.split(',').all(known) {
            return Err(INVALID_OVERRIDE);
        }
        let has = |name: &str| causes.split(',').any(|cause| cause == name || cause == "all");
        (self.on_4xx, self.on_5xx) = (has("4xx"), has("5xx"));
        (self.on_connect, self.on_read_timeout) = (has("ct"), has("rt"));
        Ok(())
    }

    /// Whether this outcome of a try asks for another, as long as tries and time are left.
    pub fn asks_again(&self, delivery: &Delivery) -> bool {
        match delivery {
            Delivery::Answered { status: 400..500, .. } => self.on_4xx,
            Delivery::Answered { status: 500.., .. } => self.on_5xx,
            Delivery::Answered { .. } => false,
            Delivery::NotConnected(_) => self.on_connect,
            Delivery::TimedOut => self.on_read_timeout,
            Delivery::Broken(_) => self.on_read_timeout,
        }
    }
}

/// Every timeout has 100 ms as its least value.
fn millis(value: &str, most: u64) -> Result<Duration, u32> {
    let value: u64 = value.parse().map_err(|_| INVALID_OVERRIDE)?;
    if (100..=most).contains(&value) { Ok(Duration::from_millis(value)) } else { Err(INVALID_OVERRIDE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16) -> Delivery {
        Delivery::Answered { status, content_type: String::new(), body: String::new() }
    }

    #[test]
    fn without_a_fragment_only_a_failed_connection_is_tried_again() {
        let (url, policy, alert) = RetryPolicy::split("https://app.example.com/hook?x=1");
        assert_eq!((url, alert, policy.retries), ("https://app.example.com/hook?x=1", None, 1));
        assert!(policy.asks_again(&Delivery::NotConnected(String::new())));
        assert!(!policy.asks_again(&answered(503)) && !policy.asks_again(&Delivery::TimedOut));
    }

    #[test]
    fn a_fragment_is_taken_off_and_honoured() {
        let (url, policy, alert) = RetryPolicy::split("https://app.example.com/hook#rc=3&rp=5xx,ct,rt&ct=2000&rt=4000");
        assert_eq!((url, alert, policy.retries), ("https://app.example.com/hook", None, 3));
        assert_eq!(policy.read_timeout, Duration::from_millis(4000));
        assert!(policy.asks_again(&answered(503)) && policy.asks_again(&Delivery::TimedOut));
        assert!(!policy.asks_again(&answered(403)) && !policy.asks_again(&answered(204)));
    }

    #[test]
    fn a_value_out_of_range_keeps_the_default_and_raises_an_alert() {
        let (_, policy, alert) = RetryPolicy::split("https://app.example.com/#rc=9&rt=4000");
        assert_eq!((policy.retries, alert), (1, Some(INVALID_OVERRIDE)));
        assert_eq!(RetryPolicy::split("https://a.example/#e=atlantis").2, Some(INVALID_EDGE));
    }
}
