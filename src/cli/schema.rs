//! `iyagi schema`

use super::{Context, Exit, Failure};
use crate::config::json_schema;

pub(super) fn schema(context: &mut Context) -> Result<Exit, Failure> {
    context.output.document(&json_schema())?;
    Ok(Exit::Done)
}
