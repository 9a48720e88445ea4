//! `bluetick serve`: the configuration and the log first, then everything else.

use std::path::PathBuf;

use clap::Args;

use super::exit::Answer;
use crate::config::Config;
use crate::telemetry;

/// How to run.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// The configuration; else $BLUETICK_CONFIG, ./config.toml, /etc/bluetick/config.toml.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder of the data file, whatever the configuration says.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl ServeArgs {
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(dir) = &self.data {
            config.store.dir.clone_from(dir);
        }
        Ok(config)
    }
}

/// Runs until it is told to stop.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<Answer> {
    let config = args.config()?;
    telemetry::init(&config.log)?;
    crate::serve::serve(config)?;
    Ok(Answer::Yes)
}
