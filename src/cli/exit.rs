//! Exit codes: 0 and 1 answer the question, the others say why there is no answer (as in BSD's sysexits).

use std::io;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::custody::CustodyError;
use crate::http::BadCertificate;
use crate::serve::DiskFailed;
use crate::store::StoreError;

/// The end of `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  0   done, or the answer is yes
  1   the answer is no: verify found differences, the signature is invalid, the send failed or nobody knows, there is
      no such message, it cannot be sent again, or bluetick refused (a wrong --api-key, say)
  2   the command line is wrong
  69  no bluetick answers, or one is in the way: the port or the data folder is in use
  66  a file that was named is not there or cannot be read
  70  something else went wrong
  74  the disk failed
  78  the configuration is wrong, the data file is not the one that belongs there, or the master key does not open it

Every key of config.toml is also a variable of the environment: BLUETICK__SECTION__KEY.";

/// What a command found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done, valid, found, whole.
    Yes,
    /// Not valid, not found, not whole, not sent.
    No,
}

impl Answer {
    /// Yes, if it is so.
    pub(super) fn from_bool(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Yes => Self::SUCCESS,
            Answer::No => Self::FAILURE,
        }
    }
}

/// Why a command has no answer, where no other room's error says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// bluetick said no.
    #[error("{0}")]
    Refused(String),
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers, or not in time.
    #[error("{0}")]
    Unavailable(String),
    /// All has been said already, in JSON.
    #[error("see above")]
    Told(Code),
    /// A file is missing or cannot be read.
    #[error("{0}")]
    NoInput(String),
    /// bluetick could not, and says why.
    #[error("{1}")]
    Failed(Code, String),
}

/// What the shell is told when there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The answer is no.
    No = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file is not there.
    NoInput = 66,
    /// Nobody answers.
    Unavailable = 69,
    /// Something else.
    Software = 70,
    /// The disk failed.
    Disk = 74,
    /// The configuration is wrong.
    Configuration = 78,
}

impl Code {
    /// The code for an error, by the room it comes from.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let any = |is_it: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(is_it);
        if let Some(trouble) = error.downcast_ref::<Trouble>() {
            return match trouble {
                Trouble::Refused(_) => Self::No,
                Trouble::Usage(_) => Self::Usage,
                Trouble::Unavailable(_) => Self::Unavailable,
                Trouble::NoInput(_) => Self::NoInput,
                Trouble::Told(code) | Trouble::Failed(code, _) => *code,
            };
        }
        match error.downcast_ref::<CustodyError>() {
            Some(CustodyError::Locked(_)) => return Self::Configuration,
            Some(CustodyError::Store(StoreError::Disk(_))) => return Self::Disk,
            _ => {}
        }
        match error.downcast_ref::<StoreError>() {
            Some(StoreError::Disk(_)) => return Self::Disk,
            Some(StoreError::WrongFile(_)) => return Self::Configuration,
            Some(_) => return Self::Unavailable,
            None => {}
        }
        let is_in_use = |error: &io::Error| error.kind() == io::ErrorKind::AddrInUse;
        if error.chain().filter_map(|error| error.downcast_ref()).any(is_in_use) {
            return Self::Unavailable;
        }
        if any(|error| error.is::<ConfigError>() || error.is::<BadCertificate>()) {
            return Self::Configuration;
        }
        if any(|error| error.is::<DiskFailed>() || error.is::<io::Error>()) { Self::Disk } else { Self::Software }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Whether the answer was printed in full already.
pub(super) fn is_told(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Trouble::Told(_)))
}

/// Whether whoever read our output has gone: then there is nothing left to say.
pub(super) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |error: &(dyn std::error::Error + 'static)| {
        error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(is_pipe)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn code<E: std::error::Error + Send + Sync + 'static>(error: E) -> Code {
        Code::of(&Err::<(), _>(error).context("while doing something").expect_err("an error"))
    }

    #[test]
    fn the_exit_code_follows_the_error_through_its_context() {
        assert_eq!(code(Trouble::Unavailable("gone".into())), Code::Unavailable);
        assert_eq!(code(Trouble::Refused("no".into())), Code::No);
        assert_eq!(code(StoreError::Disk("torn".into())), Code::Disk);
        assert_eq!(code(StoreError::Taken), Code::Unavailable);
        assert_eq!(code(ConfigError(Vec::new())), Code::Configuration);
        assert_eq!(code(BadCertificate::NoKey("key.pem".into())), Code::Configuration);
        assert_eq!((code(io::Error::other("disk")), code(DiskFailed)), (Code::Disk, Code::Disk));
        assert_eq!(Code::of(&anyhow::anyhow!("odd")), Code::Software);
    }
}
