//! The push gateway `log`: which pushes it fails, and what it accepts, live.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::{self, Stream};
use iyagi_messages::event::Entity;
use iyagi_messages::fact::{Fact, FaultInjected, FaultsCleared};
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::WRITER;
use super::access::Operator;
use super::order::{self, BECAUSE};
use crate::embedded::push_log::{Accepted, FaultRule, PushLog};
use crate::http::State;
use crate::http::body;
use crate::http::journalled;
use crate::http::openapi::events::{TapEvent, TapLine};
use crate::http::openapi::orders::FaultOrder;
use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields, Query};
use crate::http::response;
use crate::surface::Surface;

const FIELDS: [&str; 5] = ["device", "class", "times", "retry_after_seconds", BECAUSE];
/// Largest body of a rule.
const BODY_BYTES_MAX: u64 = 16 * 1024;
/// Longest that a rule may ask to wait: no push service asks for more, and pushes are stale by then.
const WAIT_SECONDS_MAX: u64 = 86_400;
/// Pushes that a tap may begin with.
const TAIL_MAX: u64 = 1_024;
/// How often a silent tap says that it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const EVENTS: &str = "text/event-stream";
const LINES: &str = "application/x-ndjson";

/// The rules by which pushes fail.
#[derive(Serialize, ToSchema)]
struct Faults {
    faults: Vec<FaultRule>,
}

/// The rules by which pushes fail.
#[utoipa::path(
    get,
    path = "/v1/ops/gateway/faults",
    operation_id = "listFaults",
    tag = "gateway",
    responses((status = 200, description = "The rules, in the order in which they are tried", body = Faults)),
    extensions(("x-problems" = json!([Kind::Elsewhere])))
)]
pub async fn faults(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let faults = log(&state)?.faults();
    Ok(response::ok(&Faults { faults }))
}

/// Lets pushes fail from now on.
#[utoipa::path(
    post,
    path = "/v1/ops/gateway/faults",
    operation_id = "addFault",
    tag = "gateway",
    request_body = FaultOrder,
    responses((status = 201, description = "All rules", body = Faults)),
    extensions(("x-problems" = json!([Kind::Elsewhere, Kind::Contended, Kind::StorageFull])))
)]
pub async fn add_fault(
    state: Data<State>,
    request: HttpRequest,
    Operator { name: by, .. }: Operator,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let body = body::read(&request, payload, BODY_BYTES_MAX).await?;
    let (rule, because) = read(&body)?;
    let log = log(&state)?;
    tracing::info!(?rule, by, because, "the push gateway is told to fail");
    let injected = FaultInjected {
        device: rule.device.clone(),
        class: rule.class.as_str().to_owned(),
        times: rule.times,
        by,
        because,
    };
    write(&state.surface, injected.into()).await?;
    log.add_fault(rule);
    let faults = log.faults();
    Ok(response::json(StatusCode::CREATED, &Faults { faults }))
}

/// Lets no push fail any more.
#[utoipa::path(
    delete,
    path = "/v1/ops/gateway/faults",
    operation_id = "clearFaults",
    tag = "gateway",
    responses((status = 204, description = "There is no rule any more")),
    extensions(("x-problems" = json!([Kind::Elsewhere, Kind::Contended, Kind::StorageFull])))
)]
pub async fn clear_faults(
    state: Data<State>,
    request: HttpRequest,
    Operator { name: by, .. }: Operator,
) -> Result<HttpResponse, Problem> {
    Query::of(&request, &[])?;
    let log = log(&state)?;
    tracing::info!(by, "the push gateway is told to work");
    write(&state.surface, FaultsCleared { by }.into()).await?;
    log.clear_faults();
    Ok(HttpResponse::NoContent().finish())
}

/// What the gateway accepts from now on, without end, and the last `tail` before that.
///
/// Lines that begin with a colon, or that are empty, come while nothing happens.
#[utoipa::path(
    get,
    path = "/v1/ops/tap/push",
    operation_id = "tapPushes",
    tag = "gateway",
    params(("tail" = Option<u32>, Query, maximum = 1024, description = "0 if absent")),
    responses((status = 200, description = "Events; or lines of JSON for who asks for them by `Accept`", content(
        (TapEvent = "text/event-stream"),
        (TapLine = "application/x-ndjson"),
    ))),
    extensions(("x-problems" = json!([Kind::Elsewhere])))
)]
pub async fn tap(state: Data<State>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = Query::of(&request, &["tail"])?;
    let tail = query.number("tail", 0..=TAIL_MAX, 0)? as usize;
    let log = log(&state)?;
    // Subscribed first, so that nothing falls between the two; what is in both is shown once.
    let live = log.subscribe();
    let mut past = VecDeque::from(log.tail());
    let shown: VecDeque<_> = past.split_off(past.len().saturating_sub(tail));
    let (quality, _) = response::wanted(request.headers(), EVENTS);
    let (lines, named) = response::wanted(request.headers(), LINES);
    let format = if named && lines >= quality {
        Format::Lines
    } else {
        Format::Events
    };
    let newest = shown
        .back()
        .or(past.back())
        .map(|push| push.gateway_id.clone());
    let tap = Tap {
        past: shown,
        newest,
        live,
        format,
        stopping: state.stopping.clone(),
    };
    let content_type = match format {
        Format::Events => EVENTS,
        Format::Lines => LINES,
    };
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(tap.pieces()))
}

fn log(state: &State) -> Result<&PushLog, Problem> {
    let here = state
        .surface
        .one_machine
        .as_ref()
        .map(|here| &*here.push_log);
    here.ok_or_else(|| {
        Problem::new(
            Kind::Elsewhere,
            "pushes go out by SNS: the journal tells of each, and CloudWatch of its delivery",
        )
    })
}

/// Journals what the gateway is about to be told.
async fn write(surface: &Surface, fact: Fact) -> Result<(), Problem> {
    let entity = Entity::new("gateway", "log");
    journalled::note(&*surface.journal, WRITER, entity, fact).await
}

fn read(body: &[u8]) -> Result<(FaultRule, Option<String>), Problem> {
    let mut fields = Fields::parse(body)?;
    let rule = FaultRule {
        device: fields.optional("device")?,
        class: fields.required("class")?,
        times: fields.optional("times")?,
        retry_after_seconds: fields.optional("retry_after_seconds")?,
    };
    let because = order::because(&mut fields)?;
    fields.end(&FIELDS)?;
    if let Some(device) = &rule.device {
        request::check_text("device", device.as_str())?;
    }
    if rule.times == Some(0) {
        let detail = "`times` is at least 1; leave it out for as long as nobody clears the rule";
        return Err(Problem::invalid("times", detail));
    }
    if rule.retry_after_seconds > Some(WAIT_SECONDS_MAX) {
        let detail = format!("`retry_after_seconds` is at most {WAIT_SECONDS_MAX}, a day");
        return Err(Problem::invalid("retry_after_seconds", detail));
    }
    Ok((rule, because))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Events,
    Lines,
}

impl Format {
    fn push(self, push: &Accepted) -> Bytes {
        let json = serde_json::to_string(push).expect("a push has only text keys");
        match self {
            Self::Events => {
                format!("id: {}\nevent: accepted\ndata: {json}\n\n", push.gateway_id).into()
            }
            Self::Lines => format!("{json}\n").into(),
        }
    }

    fn missed(self, count: u64) -> Bytes {
        match self {
            Self::Events => format!("event: missed\ndata: {{\"missed\":{count}}}\n\n").into(),
            Self::Lines => format!("{{\"missed\":{count}}}\n").into(),
        }
    }

    fn keep_alive(self) -> Bytes {
        match self {
            Self::Events => Bytes::from_static(b": still here\n\n"),
            Self::Lines => Bytes::from_static(b"\n"),
        }
    }
}

/// One listener to what the gateway accepts. It holds nothing back for whoever is slow: it says how much was missed.
struct Tap {
    past: VecDeque<Arc<Accepted>>,
    /// The gateway's ids sort by time, so whatever is not behind this one was shown or left out already.
    newest: Option<String>,
    live: Receiver<Arc<Accepted>>,
    format: Format,
    stopping: watch::Receiver<bool>,
}

impl Tap {
    fn pieces(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        // A first piece at once, so that clients see the answer begin.
        let hello = stream::iter([Ok(self.format.keep_alive())]);
        let rest = stream::unfold(self, |mut tap| async move {
            let piece = tap.next().await?;
            Some((Ok(piece), tap))
        });
        futures_util::StreamExt::chain(hello, Box::pin(rest))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(push) = self.past.pop_front() {
            return Some(self.format.push(&push));
        }
        loop {
            let received = tokio::select! {
                received = self.live.recv() => received,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(self.format.keep_alive()),
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            };
            match received {
                Ok(push)
                    if self
                        .newest
                        .as_ref()
                        .is_some_and(|newest| push.gateway_id <= *newest) => {}
                Ok(push) => return Some(self.format.push(&push)),
                Err(RecvError::Lagged(count)) => return Some(self.format.missed(count)),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_with_a_mistake_names_its_field() {
        for (body, field) in [
            (r"{}", "class"),
            (r#"{"class": "flaky"}"#, "class"),
            (r#"{"class": "dead", "times": 0}"#, "times"),
            (r#"{"class": "dead", "times": -1}"#, "times"),
            (
                r#"{"class": "throttled", "retry_after_seconds": 86401}"#,
                "retry_after_seconds",
            ),
            (r#"{"class": "dead", "devise": "d"}"#, "devise"),
            (r#"{"class": "dead", "device": ""}"#, "device"),
        ] {
            let problem = read(body.as_bytes()).unwrap_err();
            assert_eq!(problem.to_json()["field"], field, "{body}");
        }
    }
}
