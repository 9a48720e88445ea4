//! A line that is typed at the terminal and not shown.
//!
//! Invariant: the terminal is as it was before, however it ends. Ctrl-C is a letter here: as a signal it would end us with the
//! terminal still mute.

use std::io::{self, BufRead, Write};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use super::exit::Trouble;

/// What Ctrl-C types.
const GIVEN_UP: u8 = 3;

/// Asks for it. The standard input is a terminal.
pub(super) fn ask(prompt: &str) -> anyhow::Result<String> {
    let terminal = io::stdin();
    let before = tcgetattr(&terminal)?;
    let mut mute = before.clone();
    mute.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    mute.special_codes[SpecialCodeIndex::VEOL] = GIVEN_UP;
    tcsetattr(&terminal, OptionalActions::Flush, &mute)?;
    // What is typed ahead of the question is thrown away, so it comes last.
    let typed = write!(io::stderr(), "{prompt}: ").map_err(Into::into).and_then(|()| line(&mut terminal.lock()));
    tcsetattr(&terminal, OptionalActions::Flush, &before)?;
    writeln!(io::stderr())?;
    typed
}

/// A terminal hands over a line at once, or what there is of it at Ctrl-C.
fn line(terminal: &mut impl BufRead) -> anyhow::Result<String> {
    let typed = terminal.fill_buf()?.to_vec();
    terminal.consume(typed.len());
    if typed.contains(&GIVEN_UP) {
        return Err(Trouble::Usage("given up: nothing was changed".to_owned()).into());
    }
    let line = String::from_utf8(typed).map_err(|_| Trouble::Usage("it is not UTF-8".to_owned()))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
