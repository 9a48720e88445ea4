//! What bluetick says while it works: one subscriber, and one name for each thing a line can speak of.
//!
//! Invariant: a line can be read alone, and its ids stand in fields named by the constants here. No bodies, no phone
//! numbers, no tokens are ever written.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The names of the fields, for everyone who writes a line and for everyone who searches one.
pub mod field {
    /// A message: `msg_…`.
    pub const MESSAGE: &str = "message_id";
    /// Which handing of it to Twilio, from 1.
    pub const ATTEMPT: &str = "attempt";
    /// Twilio's name for it: `SM…`, `MM…`.
    pub const SID: &str = "sid";
    /// The store's number for one of our senders.
    pub const SENDER: &str = "sender";
    /// The store's number for a person.
    pub const CONTACT: &str = "contact";
    /// Twilio's error code.
    pub const CODE: &str = "code";
    /// A request to our own API.
    pub const REQUEST: &str = "request_id";
    /// Which job of the background.
    pub const JOB: &str = "job";
    /// How long it took, in milliseconds.
    pub const ELAPSED_MS: &str = "elapsed_ms";
    /// How many.
    pub const COUNT: &str = "count";
    /// What went wrong.
    pub const ERROR: &str = "error";
}

/// The shape of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
    /// Text on a terminal, JSON anywhere else.
    #[default]
    Auto,
}

/// What is said, and how: the `[log]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The least important lines that are written: `error`, `warn`, `info`, `debug`, `trace`; by room too, as in
    /// `info,bluetick::store=debug`.
    pub level: String,
    /// Text, JSON, or whatever fits where the lines go.
    pub format: Format,
}

impl Default for Options {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Auto }
    }
}

impl Options {
    /// Whether `level` can be understood.
    pub fn check(&self) -> Result<(), ParseError> {
        self.filter().map(drop)
    }

    fn filter(&self) -> Result<EnvFilter, ParseError> {
        let filter = EnvFilter::builder().parse(&self.level)?;
        // A line for everything that is no HTTP would let any stranger flood the log.
        Ok(filter.add_directive("actix_http::h1=off".parse()?))
    }

    fn is_json(&self, is_terminal: bool) -> bool {
        match self.format {
            Format::Text => false,
            Format::Json => true,
            Format::Auto => !is_terminal,
        }
    }
}

/// Starts writing lines to standard error. Once per process: a second call changes nothing.
pub fn init(options: &Options) -> Result<(), ParseError> {
    let is_terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(options.filter()?).with_writer(std::io::stderr);
    // The only failure is that a subscriber is there already, as in a test that starts two bluetick.
    let _ = match options.is_json(is_terminal) {
        true => lines.json().flatten_event(true).with_current_span(false).try_init(),
        false => lines.with_ansi(is_terminal).with_target(false).compact().try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_people_on_a_terminal_and_for_programs_elsewhere() {
        let options = Options::default();
        assert!(!options.is_json(true) && options.is_json(false));
        assert!(Options { format: Format::Json, ..options.clone() }.is_json(true));
        assert!(!Options { format: Format::Text, ..options }.is_json(false));
    }

    #[test]
    fn a_level_that_means_nothing_is_an_error() {
        let level = |level: &str| Options { level: level.to_owned(), ..Options::default() }.check();
        assert!(level("info,bluetick::store=debug").is_ok());
        assert!(level("bluetick=loud").is_err());
    }

    #[test]
    fn starting_twice_is_harmless() {
        assert!(init(&Options::default()).is_ok() && init(&Options::default()).is_ok());
    }
}
