//! `bluetick emulate`: the built-in Twilio alone.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::Config;
use crate::emulator;

/// How to run the built-in Twilio; what is not given here is taken from `[emulator]`.
#[derive(Clone, Debug, Default, Args)]
pub struct EmulateArgs {
    /// The configuration whose [emulator] section counts. None is looked for: your app's own config.toml is not ours.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on.
    #[arg(long, value_name = "IP")]
    pub host: Option<IpAddr>,
    /// The port to listen on; 0 takes a free one.
    #[arg(long)]
    pub port: Option<u16>,
    /// What all chance in it comes from: one seed, one behaviour. Without it (and without --config) every run has another.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How fast people are.
    #[arg(long)]
    pub pace: Option<Pace>,
    /// Whether people who read a message sometimes write back.
    #[arg(long)]
    pub chatter: bool,
    /// The account it plays.
    #[arg(long, value_name = "AC…")]
    pub account_sid: Option<String>,
    /// That account's token: opens its API and signs what it posts.
    #[arg(long, value_name = "TOKEN")]
    pub auth_token: Option<String>,
    /// Where messages from people are posted.
    #[arg(long, value_name = "URL")]
    pub inbound_url: Option<String>,
    /// Where statuses go that no message, service or sender has a place for.
    #[arg(long, value_name = "URL")]
    pub status_callback_url: Option<String>,
    /// Messages it keeps; past that the oldest finished ones are forgotten.
    #[arg(long, value_name = "COUNT")]
    pub max_messages: Option<usize>,
}

/// How long people take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// Fractions of a second to be sent, seconds to be delivered and read.
    Lifelike,
    /// Every step follows at once.
    Instant,
}

impl EmulateArgs {
    /// Everything the emulator needs to know.
    pub fn options(&self) -> anyhow::Result<emulator::Options> {
        let config = match &self.config {
            Some(file) => Config::load(Some(file))?,
            None => Config::load_with(None, std::env::vars_os())?,
        };
        Ok(self.over(config.emulator))
    }

    /// One that every JSON reader can hold exactly, JavaScript's too: it is printed so that the run can be repeated.
    fn any_seed() -> u64 {
        rand::random::<u64>() >> 11
    }

    fn over(&self, options: emulator::Options) -> emulator::Options {
        let pace = self.pace.map(|pace| match pace {
            Pace::Lifelike => emulator::Pace::Lifelike,
            Pace::Instant => emulator::Pace::Instant,
        });
        let ip = self.host.unwrap_or(options.listen.ip());
        emulator::Options {
            listen: SocketAddr::new(ip, self.port.unwrap_or(options.listen.port())),
            seed: self.seed.or(self.config.as_ref().map(|_| options.seed)).unwrap_or_else(Self::any_seed),
            pace: pace.unwrap_or(options.pace),
            chatter: self.chatter || options.chatter,
            account_sid: self.account_sid.clone().unwrap_or(options.account_sid),
            auth_token: self.auth_token.clone().unwrap_or(options.auth_token),
            inbound_url: self.inbound_url.clone().or(options.inbound_url),
            status_callback_url: self.status_callback_url.clone().or(options.status_callback_url),
            max_messages: self.max_messages.unwrap_or(options.max_messages),
            ..options
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};
    use super::*;

    #[test]
    fn arguments_lie_over_the_emulator_section() {
        let cli = Cli::try_parse_from(["bluetick", "emulate", "--port", "0", "--seed", "7", "--pace", "lifelike"]);
        let Command::Emulate(args) = cli.expect("a command").command else { panic!("another command") };
        let options = args.over(emulator::Options { chatter: true, ..emulator::Options::default() });
        assert_eq!((options.listen.to_string().as_str(), options.seed), ("127.0.0.1:0", 7));
        assert!(options.pace == emulator::Pace::Lifelike && options.chatter);
        assert_eq!(options.account_sid, emulator::Options::default().account_sid);
    }
}
