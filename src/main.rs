//! bluetick, the program.

use std::process::ExitCode;

fn main() -> ExitCode {
    bluetick::cli::main()
}
