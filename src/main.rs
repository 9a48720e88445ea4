//! bluetick, the program.

use std::process::ExitCode;

/// A commit takes and gives back hundreds of pages: with the system's allocator that was a fifth of the writer's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bluetick::cli::main()
}
