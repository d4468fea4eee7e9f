//! `iyagi log`

use clap::Args;
use serde_json::json;

use super::control::Reason;
use super::{Context, Exit, Failure};
use crate::log::filter::LogStatus;
use crate::tell::moment;

const PATH: &str = "/v1/ops/log";

#[derive(Debug, Args)]
#[command(mut_arg("because", |because| because.requires("filter")))]
pub(super) struct LogArguments {
    /// A level, or one for each of several modules, such as `info,iyagi_actors::push_sender=debug`.
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// How long it holds.
    #[arg(long, value_name = "MINUTES", default_value_t = 10, requires = "filter", value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// Log as configured again.
    #[arg(long, conflicts_with_all = ["filter", "because"])]
    reset: bool,
    #[command(flatten)]
    reason: Reason,
}

pub(super) fn log(context: &mut Context, arguments: &LogArguments) -> Result<Exit, Failure> {
    let operations = context.operations()?;
    let status: LogStatus = match &arguments.filter {
        Some(filter) => {
            let mut body = json!({ "filter": filter, "minutes": arguments.minutes });
            arguments.reason.add_to(&mut body);
            operations.post(PATH, &body)?
        }
        None if arguments.reset => operations.delete(PATH)?,
        None => operations.get(PATH)?,
    };
    if context.output.json() {
        context.output.document(&status)?;
        return Ok(Exit::Done);
    }
    let LogStatus {
        filter,
        configured,
        until,
    } = status;
    match until {
        None => context
            .output
            .line(format_args!("{filter}, as configured"))?,
        Some(until) => context.output.line(format_args!(
            "{filter}, until {}; then {configured} again",
            moment(until)
        ))?,
    }
    Ok(Exit::Done)
}
