//! `bluetick demo`: bluetick, a built-in Twilio and live traffic in one process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// How to run the demo. Its data is kept apart from real data, since its messages were never sent.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Address and port of the pages and the API; port 0 takes a free one [default: 127.0.0.1:8080, or any free port].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address and port of the built-in Twilio; port 0 takes a free one [default: 127.0.0.1:4010, or any free port].
    #[arg(long, value_name = "ADDR")]
    pub emulator: Option<SocketAddr>,
    /// The folder of its data file and of demo.json; kept. Without it, every demo begins afresh in the usual folder.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// No traffic of its own: only what you send.
    #[arg(long)]
    pub quiet: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Cli, Command};

    #[test]
    fn a_demo_needs_no_argument_and_scripts_may_choose_free_ports() {
        let parse = |args: &[&str]| match Cli::try_parse_from(args).expect("a command").command {
            Command::Demo(args) => args,
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(&["bluetick", "demo"]).listen, None);
        let args = parse(&["bluetick", "demo", "--listen", "127.0.0.1:0", "--emulator", "127.0.0.1:0", "--quiet"]);
        assert!(args.quiet && args.listen.is_some_and(|at| at.port() == 0) && args.emulator.is_some());
    }
}
