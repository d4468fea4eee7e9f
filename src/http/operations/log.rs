//! What is logged: by the configured filter, or by another one for a while. Each order is in the journal before it is
//! carried out.

use std::time::Duration;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::LogChanged;

use super::WRITER;
use super::access::Operator;
use super::order::{self, BECAUSE};
use crate::config::{FilterFault, readable_filter};
use crate::http::State;
use crate::http::journalled;
use crate::http::openapi::orders::LogOrder;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Query};
use crate::http::response;
use crate::log::filter::{self, LogStatus};
use crate::surface::Surface;

const FIELDS: [&str; 3] = ["filter", "minutes", BECAUSE];
/// How long an order holds that does not say.
const MINUTES: u64 = 10;
/// Longest that one holds: a day.
const MINUTES_MAX: u64 = 1_440;

/// By what this host logs.
#[utoipa::path(
    get,
    path = "/v1/ops/log",
    operation_id = "showLog",
    tag = "log",
    responses((status = 200, description = "The filter, and how long it holds", body = LogStatus)),
    extensions(("x-problems" = json!([Kind::NotFound])))
)]
pub async fn show(request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    Ok(response::ok(&status()?))
}

/// Lets this host log by another filter for a while.
#[utoipa::path(
    post,
    path = "/v1/ops/log",
    operation_id = "changeLog",
    tag = "log",
    request_body = LogOrder,
    responses((status = 200, description = "The filter, and how long it holds", body = LogStatus)),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::StorageFull])))
)]
pub async fn change(
    state: Data<State>,
    request: HttpRequest,
    Operator { name: by, .. }: Operator,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let mut fields = order::body(&request, payload).await?;
    let written: String = fields.required("filter")?;
    let minutes: Option<u64> = fields.optional("minutes")?;
    let because = order::because(&mut fields)?;
    fields.end(&FIELDS)?;
    request::check_text("filter", &written)?;
    let filter = readable_filter(&written).map_err(|fault| invalid(&fault))?;
    let minutes = minutes.unwrap_or(MINUTES);
    if !(1..=MINUTES_MAX).contains(&minutes) {
        let detail = format!("`minutes` is a whole number from 1 to {MINUTES_MAX}");
        return Err(Problem::invalid("minutes", detail));
    }
    status()?;
    let (now, lasts) = (state.surface.clock.now(), Duration::from_mins(minutes));
    tracing::info!(
        filter = written,
        minutes,
        by,
        because,
        "the log is another one for a while"
    );
    let changed = LogChanged {
        filter: written.clone(),
        until: Some(filter::until(now, lasts)),
        by,
        because,
    };
    write(&state.surface, changed).await?;
    filter::change(filter, &written, now, lasts)
        .map_err(|error| Problem::internal("the change of the log", &error))?;
    Ok(response::ok(&status()?))
}

/// Lets this host log as it is configured.
#[utoipa::path(
    delete,
    path = "/v1/ops/log",
    operation_id = "changeLogBack",
    tag = "log",
    responses((status = 200, description = "The filter, and how long it holds", body = LogStatus)),
    extensions(("x-problems" = json!([Kind::NotFound, Kind::Contended, Kind::StorageFull])))
)]
pub async fn change_back(
    state: Data<State>,
    request: HttpRequest,
    Operator { name: by, .. }: Operator,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let LogStatus {
        configured, until, ..
    } = status()?;
    if until.is_some() {
        let changed = LogChanged {
            filter: configured,
            until: None,
            by: by.clone(),
            because: None,
        };
        write(&state.surface, changed).await?;
        filter::change_back()
            .map_err(|error| Problem::internal("the change of the log", &error))?;
        tracing::info!(by, "the log is as configured again");
    }
    Ok(response::ok(&status()?))
}

fn status() -> Result<LogStatus, Problem> {
    filter::status().ok_or_else(|| {
        Problem::new(
            Kind::NotFound,
            "this daemon is a part of a process that has a log of its own",
        )
    })
}

fn invalid(fault: &FilterFault) -> Problem {
    Problem::invalid("filter", format!("`filter` {fault}; {}", fault.cure()))
}

/// Journals by what the host is about to log. Each host of a fleet has a log of its own.
async fn write(surface: &Surface, changed: LogChanged) -> Result<(), Problem> {
    let host = surface.member.as_ref().map(ToString::to_string);
    let entity = Entity::new("log", host.as_deref().unwrap_or("daemon"));
    journalled::note(&*surface.journal, WRITER, entity, changed).await
}
