//! The `iyagi` binary: the command line of the library of the same name.

use std::process::ExitCode;

use iyagi::cli::{self, DemoArguments, Exit, Failure};

fn main() -> ExitCode {
    cli::main(demo).into()
}

/// Gives the demo.
fn demo(_: DemoArguments) -> Result<Exit, Failure> {
    Err(Failure::Other("this build has no demo".into()))
}
