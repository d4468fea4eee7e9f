//! `iyagi openapi`

use clap::{Args, ValueEnum};

use super::{Context, Exit, Failure};
use crate::http::listener::Side;
use crate::http::openapi;

#[derive(Debug, Args)]
pub(super) struct OpenapiArguments {
    /// Whose interface.
    #[arg(value_enum, value_name = "LISTENER", default_value = "public")]
    listener: Listener,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Listener {
    /// What apps read and write.
    Public,
    /// What operators ask, and the orders that they give.
    Operations,
}

pub(super) fn openapi(
    context: &mut Context,
    arguments: &OpenapiArguments,
) -> Result<Exit, Failure> {
    let of = match arguments.listener {
        Listener::Public => Side::Public,
        Listener::Operations => Side::Operations,
    };
    context.output.raw(openapi::json(of).as_bytes())?;
    Ok(Exit::Done)
}
