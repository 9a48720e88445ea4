//! What a team may set about its secrets: the `[secrets]` section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Secret;

/// The `[secrets]` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Days after which a secret is due to be rotated (1 to 3650).
    pub rotate_after_days: u32,
    /// Days before that in which it is said (0 to 365).
    pub warn_days: u32,
    /// Seconds that a rotated secret of bluetick's own is still good for (3600 to 2592000).
    pub overlap_s: u64,
    /// Seconds that callbacks signed with a rotated auth token of Twilio's are still let in (60 to 604800).
    pub twilio_grace_s: u64,
    /// When it is looked whether anything is due, as a cron line in UTC; empty for never.
    pub schedule: String,
    /// What opens the vault of secrets: 64 hex digits.
    #[serde(skip_serializing)]
    pub master_key: Option<Secret>,
    /// The file of the master key, made when there is none; else `master.key` in the data folder.
    pub master_key_path: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rotate_after_days: 90,
            warn_days: 14,
            overlap_s: 24 * 3_600,
            twilio_grace_s: 900,
            schedule: "0 0 8 * * *".to_owned(),
            master_key: None,
            master_key_path: None,
        }
    }
}

impl Options {
    /// How long a rotated secret of this kind is still good for something.
    pub fn overlap(&self, kind: super::Kind) -> Duration {
        Duration::from_secs(match kind {
            super::Kind::TwilioAuthToken => self.twilio_grace_s,
            super::Kind::TwilioApiKey | super::Kind::Jwt => self.overlap_s,
        })
    }
}
