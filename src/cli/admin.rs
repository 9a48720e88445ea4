//! `bluetick admin`: who may use the pages; and the way back in for whoever is locked out of them.
//!
//! Invariant: only through the local socket, so that nobody but whoever may open it on the machine comes this way. A password
//! is never an argument: those are seen by everybody on the machine, and kept by the shell.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Reach, block_on, part};
use super::exit::{Answer, Trouble};
use super::table::{Table, distance, text};
use super::unseen;
use crate::clock::{Clock, Time};
use crate::keyring::Role;

/// Longer than any password is.
const MAX_LINE: u64 = 1_024;

/// What to do about people.
#[derive(Clone, Debug, Args)]
pub struct AdminArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AdminCommand,
}

/// What can be done about people.
#[derive(Clone, Debug, Subcommand)]
pub enum AdminCommand {
    /// List who may use the pages.
    List {
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
    /// Enter somebody; asks for their password.
    Add {
        /// What they log in by.
        name: String,
        /// What they may do: viewer, operator or admin.
        #[arg(long, value_name = "ROLE", value_parser = Role::ALL.map(Role::as_str))]
        role: String,
        /// They see who people are and what was written.
        #[arg(long)]
        pii: bool,
        /// Where the password comes from.
        #[command(flatten)]
        typed: Typed,
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
    /// Give somebody another password; all their sessions end.
    Password {
        /// Who.
        name: String,
        /// Where the password comes from.
        #[command(flatten)]
        typed: Typed,
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
    /// Let somebody in no more; all their sessions end.
    Disable {
        /// Who.
        name: String,
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
    /// Let somebody in again.
    Enable {
        /// Who.
        name: String,
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
    /// Ask somebody for the code of their phone no more, since they lost it; all their sessions end.
    TotpOff {
        /// Who.
        name: String,
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
    /// List who is logged in, or end it.
    Sessions {
        /// End all of them.
        #[arg(long)]
        end: bool,
        /// Only those of this person.
        #[arg(long, value_name = "NAME", requires = "end")]
        user: Option<String>,
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
    /// Print a fresh set-up code, by which the first person comes in at /login; the one before opens nothing any more.
    SetupCode {
        /// Which bluetick.
        #[command(flatten)]
        host: Host,
    },
}

/// Which bluetick on this machine.
#[derive(Clone, Debug, Default, Args)]
pub struct Host {
    /// The folder of the data file, where the local socket is.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration that names that folder.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub config: Option<PathBuf>,
    /// Print JSON, for programs.
    #[arg(long)]
    pub json: bool,
}

impl Host {
    fn reach(&self) -> Reach {
        Reach { data: self.data.clone(), config: self.config.clone(), json: self.json, ..Reach::default() }
    }
}

/// Where a password comes from.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Typed {
    /// Read the password from the standard input, one line, instead of asking at the terminal.
    #[arg(long)]
    pub password_stdin: bool,
}

/// Does it.
pub(super) fn run(args: &AdminArgs, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let (host, typed) = parts(&args.command);
    let password = typed.map(password).transpose()?;
    let (method, path, body) = request(&args.command, password.as_deref());
    let connection = host.reach().connect()?;
    let answer = block_on(connection.change(method, &path, body.as_ref()))?;
    if host.json {
        writeln!(out, "{answer}")?;
        return Ok(Answer::Yes);
    }
    let now = Clock::System.now();
    match &args.command {
        AdminCommand::List { .. } => write!(out, "{}", users(&answer, now))?,
        AdminCommand::Add { .. } => {
            writeln!(out, "{} may log in at /login, as {}", text(&answer["name"]), text(&answer["role"]))?
        }
        AdminCommand::Password { name, .. } => {
            writeln!(out, "{name} logs in with the new password; all their sessions have ended")?
        }
        AdminCommand::Disable { name, .. } => writeln!(out, "{name} is let in no more; all their sessions have ended")?,
        AdminCommand::Enable { name, .. } => writeln!(out, "{name} is let in again")?,
        AdminCommand::TotpOff { name, .. } => {
            writeln!(out, "{name} logs in with the password alone; all their sessions have ended")?;
        }
        AdminCommand::Sessions { end: false, .. } => write!(out, "{}", sessions(&answer, now))?,
        AdminCommand::Sessions { user, .. } => {
            writeln!(out, "ended: the sessions of {}", user.as_deref().unwrap_or("everybody"))?
        }
        AdminCommand::SetupCode { .. } => {
            writeln!(out, "{}", text(&answer["code"]))?;
            writeln!(out, "  lets the first person in, at /login, for 30 minutes.")?;
        }
    }
    Ok(Answer::Yes)
}

/// Which bluetick, and where a password comes from if one is needed.
fn parts(command: &AdminCommand) -> (&Host, Option<Typed>) {
    match command {
        AdminCommand::Add { host, typed, .. } | AdminCommand::Password { host, typed, .. } => (host, Some(*typed)),
        AdminCommand::List { host }
        | AdminCommand::Disable { host, .. }
        | AdminCommand::Enable { host, .. }
        | AdminCommand::TotpOff { host, .. }
        | AdminCommand::Sessions { host, .. }
        | AdminCommand::SetupCode { host } => (host, None),
    }
}

/// Method, path and body.
fn request(command: &AdminCommand, password: Option<&str>) -> (Method, String, Option<Value>) {
    let of = |name: &str, rest: &str| format!("/admin/api/users/{}{rest}", part(name));
    match command {
        AdminCommand::List { .. } => (Method::GET, "/admin/api/users".to_owned(), None),
        AdminCommand::Add { name, role, pii, .. } => {
            let body = json!({"name": name, "role": role, "pii": pii, "password": password});
            (Method::POST, "/admin/api/users".to_owned(), Some(body))
        }
        AdminCommand::Password { name, .. } => {
            (Method::POST, of(name, "/password"), Some(json!({"password": password})))
        }
        AdminCommand::Disable { name, .. } => (Method::PUT, of(name, ""), Some(json!({"disabled": true}))),
        AdminCommand::Enable { name, .. } => (Method::PUT, of(name, ""), Some(json!({"disabled": false}))),
        AdminCommand::TotpOff { name, .. } => (Method::DELETE, of(name, "/totp"), None),
        AdminCommand::Sessions { end: false, .. } => (Method::GET, "/admin/api/sessions".to_owned(), None),
        AdminCommand::Sessions { user, .. } => {
            let of = user.as_ref().map(|user| format!("?user={}", part(user))).unwrap_or_default();
            (Method::DELETE, format!("/admin/api/sessions{of}"), None)
        }
        AdminCommand::SetupCode { .. } => (Method::POST, "/admin/api/setup/code".to_owned(), None),
    }
}

fn users(answer: &Value, now: Time) -> String {
    let mut table = Table::new(&["name", "role", "sees people", "phone", "last log-in", "state"]);
    let word = |is_so: &Value, yes: &str, no: &str| if is_so == true { yes.to_owned() } else { no.to_owned() };
    for user in answer["data"].as_array().into_iter().flatten() {
        table.row([
            text(&user["name"]),
            text(&user["role"]),
            word(&user["pii"], "yes", "no"),
            word(&user["totp"], "yes", "no"),
            distance(&user["last_login_at"], now),
            word(&user["disabled"], "disabled", "active"),
        ]);
    }
    if let Some(declared) = answer["declared"].as_str() {
        let cells = [declared, "admin", "yes", "no", "–", "of the configuration"];
        table.row(cells.map(str::to_owned));
    }
    table.show()
}

fn sessions(answer: &Value, now: Time) -> String {
    let mut table = Table::new(&["session", "whose", "since", "last seen", "from", "browser"]);
    for session in answer["data"].as_array().into_iter().flatten() {
        table.row([
            text(&session["id"]),
            text(&session["user"]),
            distance(&session["created_at"], now),
            distance(&session["seen_at"], now),
            text(&session["address"]),
            text(&session["agent"]),
        ]);
    }
    table.show()
}

/// A password: typed twice at the terminal, unseen; or a line of the standard input.
fn password(typed: Typed) -> anyhow::Result<String> {
    if typed.password_stdin {
        return line(&mut io::stdin().lock());
    }
    if !io::stdin().is_terminal() {
        let words = "there is no terminal to ask for the password at: hand it over with --password-stdin";
        return Err(Trouble::Usage(words.to_owned()).into());
    }
    let first = typed_in(unseen::ask("New password")?)?;
    let second = unseen::ask("Once more")?;
    if first == second { Ok(first) } else { Err(Trouble::Refused("the two are not the same".to_owned()).into()) }
}

fn line(input: &mut impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    io::Read::take(input, MAX_LINE).read_line(&mut line)?;
    typed_in(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn typed_in(password: String) -> anyhow::Result<String> {
    if password.is_empty() { Err(Trouble::Usage("the password is empty".to_owned()).into()) } else { Ok(password) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::testing::House;
    use super::super::{Cli, Command};
    use super::*;

    fn command(args: &[&str]) -> AdminCommand {
        match Cli::try_parse_from(["bluetick", "admin"].iter().chain(args)).expect("a command").command {
            Command::Admin(args) => args.command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_command_asks_for_what_it_says() {
        let asked = |args: &[&str]| {
            let (method, path, body) = request(&command(args), Some("pw"));
            format!("{method} {path} {}", body.map(|body| body.to_string()).unwrap_or_default()).trim_end().to_owned()
        };
        assert_eq!(
            asked(&["add", "anna", "--role", "operator", "--pii"]),
            r#"POST /admin/api/users {"name":"anna","password":"pw","pii":true,"role":"operator"}"#
        );
        assert_eq!(asked(&["password", "a@b"]), r#"POST /admin/api/users/a%40b/password {"password":"pw"}"#);
        assert_eq!(asked(&["disable", "anna"]), r#"PUT /admin/api/users/anna {"disabled":true}"#);
        assert_eq!(asked(&["enable", "anna"]), r#"PUT /admin/api/users/anna {"disabled":false}"#);
        assert_eq!(asked(&["totp-off", "anna"]), "DELETE /admin/api/users/anna/totp");
        assert_eq!(asked(&["sessions", "--end", "--user", "anna"]), "DELETE /admin/api/sessions?user=anna");
        assert_eq!(asked(&["setup-code"]), "POST /admin/api/setup/code");
    }

    #[test]
    fn no_password_is_an_argument_and_nobody_comes_from_afar() {
        for wrong in [
            &["admin", "add", "anna", "--role", "viewer", "--password", "x"][..],
            &["admin", "password", "anna", "x"],
            &["admin", "add", "anna", "--role", "boss"],
            &["admin", "list", "--url", "https://example.com"],
            &["admin", "sessions", "--user", "anna"],
        ] {
            assert!(Cli::try_parse_from(["bluetick"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_password_is_one_line_whatever_ends_it() {
        for (given, read) in [("a b \n", "a b "), ("ab\r\nc", "ab"), ("ab", "ab")] {
            assert_eq!(line(&mut given.as_bytes()).expect("a password"), read);
        }
        assert!(line(&mut "\n".as_bytes()).is_err());
    }

    #[test]
    fn people_and_sessions_are_listed() {
        let house = House::open(|asked| {
            let user = json!({"name": "anna", "role": "viewer", "pii": false, "totp": true, "disabled": true, "last_login_at": null});
            let session = json!({"id": "ses_1", "user": "anna", "created_at": "2023-11-14T22:13:20Z",
                "seen_at": "2023-11-14T22:13:20Z", "address": "192.0.2.7", "agent": "Browser\u{1b}"});
            match asked {
                "/admin/api/users" => Some(json!({"data": [user], "declared": "root"}).to_string()),
                "/admin/api/sessions" => Some(json!({"data": [session]}).to_string()),
                "POST /admin/api/setup/code" => Some(json!({"code": "AAAA-BBBB-CCCC-DDDD"}).to_string()),
                "DELETE /admin/api/sessions" => Some(String::new()),
                _ => None,
            }
        });
        let said = |args: &[&str]| {
            let (answer, said) = house.run(args);
            assert_eq!(answer.expect("an answer"), Answer::Yes);
            said
        };
        let listed = said(&["admin", "list"]);
        assert!(
            listed.contains("anna  viewer  no") && listed.contains("disabled") && listed.contains("root"),
            "{listed}"
        );
        let open = said(&["admin", "sessions"]);
        assert!(open.contains("ses_1    anna") && open.contains("192.0.2.7") && !open.contains('\u{1b}'), "{open}");
        assert_eq!(said(&["admin", "sessions", "--end"]), "ended: the sessions of everybody\n");
        assert_eq!(said(&["admin", "setup-code"]).lines().next(), Some("AAAA-BBBB-CCCC-DDDD"));
    }
}
