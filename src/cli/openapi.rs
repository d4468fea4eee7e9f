//! `iyagi openapi`

use super::{Context, Exit, Failure};
use crate::http::openapi::public;

pub(super) fn openapi(context: &mut Context) -> Result<Exit, Failure> {
    context.output.document(&public())?;
    Ok(Exit::Done)
}
