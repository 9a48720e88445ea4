//! The command line: one file per command, one answer per question, one exit code per kind of trouble.
//!
//! `serve`, `demo` and `emulate` are the programs themselves. The others are for the person beside them: they speak to a
//! running bluetick through its local socket, or from afar with `--url` and `--api-key`.

mod admin;
mod archive;
mod audit;
mod backup;
mod check;
mod connection;
mod demo;
mod emulate;
mod erase;
mod exit;
mod keys;
mod logs;
mod metrics;
mod migrate;
mod opt_out;
mod pauses;
mod quarantine;
mod retry;
mod secrets;
mod send;
mod serve;
mod signature;
mod span;
mod split;
mod status;
mod steer;
mod table;
#[cfg(test)]
mod testing;
mod unseen;
mod verify;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

pub use admin::{AdminArgs, AdminCommand};
pub use archive::{ArchiveArgs, ArchiveCommand};
pub use audit::AuditArgs;
pub use backup::{BackupArgs, BackupCommand};
pub use check::CheckArgs;
pub use connection::{DEMO_DIR, Reach};
pub use demo::DemoArgs;
pub use emulate::{EmulateArgs, Pace};
pub use erase::{EraseArgs, ExportArgs};
pub use exit::{Answer, Trouble};
pub use keys::{KeysArgs, KeysCommand};
pub use logs::LogsArgs;
pub use metrics::MetricsArgs;
pub use migrate::{MigrateArgs, Migration, bring_forward};
pub use opt_out::OptOutArgs;
pub use pauses::{PauseArgs, ResumeArgs};
pub use quarantine::{QuarantineArgs, QuarantineCommand};
pub use retry::RetryArgs;
pub use secrets::{SecretsArgs, SecretsCommand};
pub use send::SendArgs;
pub use serve::ServeArgs;
pub use signature::SignatureArgs;
pub use status::StatusArgs;
pub use steer::SteerArgs;
pub use verify::VerifyArgs;

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (schema {})", env!("CARGO_PKG_VERSION"), crate::store::SCHEMA));

/// WhatsApp delivery you can prove: one binary, one data file, no other service.
#[derive(Debug, Parser)]
#[command(name = "bluetick", version = VERSION.as_str(), after_help = exit::HELP, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What bluetick can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run bluetick: take messages, send them, follow them.
    Serve(ServeArgs),
    /// Run everything at once, with a built-in Twilio and live traffic: nothing leaves this machine.
    Demo(DemoArgs),
    /// Run only the built-in Twilio, for your own app's tests.
    Emulate(EmulateArgs),
    /// Look at the configuration and say what is wrong with it.
    Check(CheckArgs),
    /// Send one message.
    Send(Box<SendArgs>),
    /// Show how bluetick is doing, or how far a message has come.
    Status(StatusArgs),
    /// Send a failed message again, or all that failed: first it says which, which not, and why.
    Retry(RetryArgs),
    /// Hold a message that waits, until it is released.
    Hold(SteerArgs),
    /// Let a held message go, whatever it waits for.
    Release(SteerArgs),
    /// Cancel a message that waits.
    Cancel(SteerArgs),
    /// Send nothing more: at all, from a sender, or with a template. Messages are taken in all the same, and wait.
    Pause(PauseArgs),
    /// Go on sending what was paused.
    Resume(ResumeArgs),
    /// List who does not want your messages, add someone, or take it back.
    OptOut(OptOutArgs),
    /// Show what happened, and follow it.
    Logs(LogsArgs),
    /// Show the numbers: by sender, and what fails most.
    Metrics(MetricsArgs),
    /// Recompute every number and index from the records: the difference must be nothing.
    Verify(VerifyArgs),
    /// Move old messages out of the way, and find them there.
    Archive(ArchiveArgs),
    /// Make, list and check backups, and restore one.
    Backup(BackupArgs),
    /// Make, list, rotate and revoke API keys.
    Keys(KeysArgs),
    /// Show how every secret stands, rotate one, revoke one in an emergency.
    Secrets(SecretsArgs),
    /// Show webhooks that were refused because of their signature, why, and let them in once it is repaired.
    Quarantine(QuarantineArgs),
    /// Enter, change and list who may use the pages, and end sessions; on this machine only.
    Admin(AdminArgs),
    /// Show who did what.
    Audit(AuditArgs),
    /// Take away everything about one person, for good; bluetick must run.
    Erase(EraseArgs),
    /// Write everything about one person into a file; bluetick must run.
    Export(ExportArgs),
    /// Bring the data file of an earlier version forward; `serve` does so by itself.
    Migrate(MigrateArgs),
    /// Say whether a webhook signature of Twilio's is right, without any network.
    Signature(SignatureArgs),
}

impl Cli {
    /// Does what was asked; what a person or a script reads goes to `out`.
    pub fn run(self, out: &mut dyn Write) -> anyhow::Result<Answer> {
        match self.command {
            Command::Serve(args) => serve::run(&args),
            Command::Demo(args) => crate::serve::demo(args).map(|()| Answer::Yes),
            Command::Emulate(args) => crate::serve::emulate(args).map(|()| Answer::Yes),
            Command::Check(args) => check::run(&args, out),
            Command::Send(args) => send::run(&args, out),
            Command::Status(args) => status::run(&args, out),
            Command::Retry(args) => retry::run(&args, out),
            Command::Hold(args) => steer::run(&args, "hold", out),
            Command::Release(args) => steer::run(&args, "release", out),
            Command::Cancel(args) => steer::run(&args, "cancel", out),
            Command::Pause(args) => pauses::pause(&args, out),
            Command::Resume(args) => pauses::resume(&args, out),
            Command::OptOut(args) => opt_out::run(&args, out),
            Command::Logs(args) => logs::run(&args, out),
            Command::Metrics(args) => metrics::run(&args, out),
            Command::Verify(args) => verify::run(&args, out),
            Command::Archive(args) => archive::run(&args, out),
            Command::Keys(args) => keys::run(&args, out),
            Command::Secrets(args) => secrets::run(&args, out),
            Command::Quarantine(args) => quarantine::run(&args, out),
            Command::Admin(args) => admin::run(&args, out),
            Command::Audit(args) => audit::run(&args, out),
            Command::Erase(args) => erase::erase(&args, out),
            Command::Export(args) => erase::export(&args, out),
            Command::Migrate(args) => migrate::run(&args, out),
            Command::Backup(args) => backup::run(&args, out),
            Command::Signature(args) => signature::run(&args, out),
        }
    }
}

/// The whole program, from its arguments to its exit code.
pub fn main() -> ExitCode {
    // Fails only if a provider is installed already, and then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Whoever closed our output does not want to read this.
            let _ = error.print();
            return if error.use_stderr() { exit::Code::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    match cli.run(&mut io::stdout().lock()) {
        Ok(answer) => answer.into(),
        Err(error) if exit::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if exit::is_told(&error) => exit::Code::of(&error).into(),
        Err(error) => {
            let _ = writeln!(io::stderr(), "bluetick: {}", format!("{error:#}").trim_end());
            exit::Code::of(&error).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_version_names_the_schema_of_the_data_file() {
        let shown = Cli::try_parse_from(["bluetick", "--version"]).expect_err("the version is not a command");
        let expected = format!("bluetick {} (schema {})\n", env!("CARGO_PKG_VERSION"), crate::store::SCHEMA);
        assert_eq!(shown.to_string(), expected);
    }

    #[test]
    fn help_lists_every_exit_code() {
        let help = Cli::command().render_help().to_string();
        for code in ["0 ", "1 ", "2 ", "66 ", "69 ", "70 ", "74 ", "78 "] {
            assert!(help.contains(&format!("\n  {code}")), "{code}: {help}");
        }
    }
}
