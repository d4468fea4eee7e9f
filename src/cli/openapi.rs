//! `iyagi openapi`

use super::{Context, Exit, Failure};
use crate::http::openapi::public_json;

pub(super) fn openapi(context: &mut Context) -> Result<Exit, Failure> {
    context.output.raw(public_json().as_bytes())?;
    Ok(Exit::Done)
}
