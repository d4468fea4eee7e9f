//! `iyagi completions`

use clap::Args;
use clap_complete::Shell;

use super::{Context, Exit, Failure, description};

#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn completions(
    context: &mut Context,
    arguments: &CompletionsArguments,
) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut description(), "iyagi", &mut script);
    context.output.raw(&script)?;
    Ok(Exit::Done)
}
