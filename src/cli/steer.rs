//! `bluetick hold`, `release` and `cancel`: what becomes of a message that waits.

use std::io::Write;

use clap::Args;
use reqwest::Method;

use super::connection::{Reach, block_on};
use super::exit::Answer;
use super::send::show;
use super::status::check_id;

/// Which message.
#[derive(Clone, Debug, Args)]
pub struct SteerArgs {
    /// The message: msg_…, or Twilio's SM… or MM….
    pub id: String,
    /// Which bluetick.
    #[command(flatten)]
    pub reach: Reach,
}

/// Asks for it, and shows the message as it is then.
pub(super) fn run(args: &SteerArgs, to: &str, out: &mut dyn Write) -> anyhow::Result<Answer> {
    check_id(&args.id)?;
    let connection = args.reach.connect()?;
    let path = format!("/v1/messages/{}/{to}", args.id);
    let message = block_on(connection.change(Method::POST, &path, None))?;
    match args.reach.json {
        true => writeln!(out, "{message}")?,
        false => out.write_all(show(&message).as_bytes())?,
    }
    Ok(Answer::Yes)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::exit::Trouble;
    use super::super::testing::House;
    use super::super::{Answer, Cli};

    #[test]
    fn a_message_is_held_released_and_canceled_by_its_name() {
        let house = House::open(|asked| {
            let to = asked.strip_prefix("POST /v1/messages/msg_1/")?;
            Some(format!(r#"{{"id":"msg_1","status":"after {to}"}}"#))
        });
        for command in ["hold", "release", "cancel"] {
            let (answer, said) = house.run(&[command, "msg_1"]);
            assert_eq!(answer.expect("an answer"), Answer::Yes);
            assert_eq!(said, format!("msg_1  after {command}\n"));
        }
        let (answer, _) = house.run(&["hold", "msg_2"]);
        assert!(matches!(answer.expect_err("no such message").downcast_ref(), Some(Trouble::Refused(_))));
        let (answer, _) = house.run(&["hold", "../pauses"]);
        assert!(matches!(answer.expect_err("no message").downcast_ref(), Some(Trouble::Usage(_))));
        assert!(Cli::try_parse_from(["bluetick", "hold"]).is_err());
    }
}
