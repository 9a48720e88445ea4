//! Everything that can be chosen: every room's own `Options`, gathered, loaded and checked before anything starts.
//!
//! Later beats earlier: defaults, the file, the environment (`BLUETICK__SECTION__KEY`); a secret can stand in a file of
//! its own in both (`auth_token_file`). Invariant: a [`Config`] that was loaded can work, as far as this machine can
//! tell; what is wrong is said all at once, each with its place and what to write instead.

mod check;
mod document;
mod environment;
mod keys;
mod layer;
mod problem;
mod shape;
mod template;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use problem::{ConfigError, Place, Problem, Spot};
pub use template::{environment as environment_template, file as template};

use crate::{archive, backup, emulator, http, jobs, keyring, message, store, telemetry, twilio};
use layer::Layer;
use shape::Shape;

/// Where a file is looked for when none is named, first to last.
const USUAL_FILES: [&str; 2] = ["config.toml", "/etc/bluetick/config.toml"];
/// Names the file, where no `--config` does.
const FILE_VARIABLE: &str = "BLUETICK_CONFIG";
/// A configuration is a page or two; what is bigger is another file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Whether messages reach real people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// For trying out: Twilio's sandbox, or the emulator.
    #[default]
    Sandbox,
    /// For customers: everything that would lose messages or trust is refused at start.
    Live,
}

/// Everything that can be chosen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where Twilio reaches us, as Twilio sees it; without it there are no callbacks, and receipts come by asking.
    pub public_url: Option<String>,
    /// Whether messages reach real people.
    pub mode: Mode,
    /// The API and the pages.
    pub http: http::Options,
    /// The data file.
    pub store: store::Options,
    /// Where old messages go, and when.
    pub archive: archive::Options,
    /// How long what is kept.
    pub retention: jobs::retention::Options,
    /// Backups.
    pub backup: backup::Options,
    /// Secrets: how they are kept, and when they are due.
    pub secrets: keyring::Options,
    /// The account at Twilio.
    pub twilio: twilio::Options,
    /// Waits and limits of sending.
    pub policy: message::Policy,
    /// Pace and concurrency of sending.
    pub sending: jobs::send::Options,
    /// Asking Twilio where its callbacks do not tell.
    pub reconcile: jobs::reconcile::Options,
    /// Senders with a rate of their own.
    pub senders: Vec<jobs::send::Sender>,
    /// The built-in Twilio of `demo` and `emulate`.
    pub emulator: emulator::Options,
    /// What is logged.
    pub log: telemetry::Options,
}

impl Config {
    /// Loads what holds for this process: `file` or one of the usual ones, then the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file_in_use(file).as_deref(), std::env::vars_os())
    }

    /// The same with everything named: for tests, and for whoever brings an environment of their own.
    pub fn load_with(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let shape = Shape::of::<Self>();
        let mut problems = Vec::new();
        let mut layer = Layer::default();
        if let Some(file) = file {
            match read(file) {
                Ok(text) => layer.extend(document::read(&text, file, &shape, &mut problems)),
                Err(problem) => problems.push(problem),
            }
        }
        layer.extend(environment::read(variables, &shape, &mut problems));
        layer.check_values(&mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::of(problems));
        }
        let config = layer.config()?;
        problems.extend(check::all(&config).into_iter().map(|flaw| layer.problem(&flaw.key, flaw.detail)));
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::of(problems)) }
    }

    /// The waits and limits that hold: without a public URL there are no callbacks, and Twilio is asked instead.
    pub fn policy(&self) -> message::Policy {
        message::Policy { is_polling: self.public_url.is_none(), ..self.policy.clone() }
    }

    /// What works, but perhaps not as intended: each a sentence.
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }
}

/// The file that [`Config::load`] reads, if there is one.
pub fn file_in_use(named: Option<&Path>) -> Option<PathBuf> {
    let from_variable = || std::env::var_os(FILE_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    let usual = || USUAL_FILES.iter().map(PathBuf::from).find(|path| path.exists());
    named.map(Path::to_owned).or_else(from_variable).or_else(usual)
}

fn read(file: &Path) -> Result<String, Problem> {
    let read = || -> std::io::Result<String> {
        if std::fs::metadata(file)?.len() > MAX_FILE_BYTES {
            return Err(std::io::Error::other("it is bigger than 1 MiB, so it is no configuration"));
        }
        std::fs::read_to_string(file)
    };
    read().map_err(|error| Problem::nowhere(format!("cannot read the configuration {}: {error}", file.display())))
}

#[cfg(test)]
mod tests;
